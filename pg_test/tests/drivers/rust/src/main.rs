//! The Rust drivers: each opens two connections, with a token of its own for each.

mod deadpool;
mod sqlx_pool;
mod tokio_postgres_connections;

use std::env;
use std::error::Error;
use std::fs;
use std::process::ExitCode;

use native_tls::{Certificate, TlsConnector};
use postgres_native_tls::MakeTlsConnector;
use tokio::process::Command;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Err(error) = run().await else {
        return ExitCode::SUCCESS;
    };
    let mut cause: Option<&dyn Error> = Some(error.as_ref());
    while let Some(error) = cause {
        eprintln!("{error}");
        cause = error.source();
    }
    ExitCode::FAILURE
}

async fn run() -> Result<(), Box<dyn Error>> {
    match env::args().nth(1).as_deref() {
        Some("tokio-postgres") => tokio_postgres_connections::run().await,
        Some("deadpool") => deadpool::run().await,
        Some("sqlx") => sqlx_pool::run().await,
        _ => Err("name a driver".into()),
    }
}

/// Where the programs get a token: from a command that prints one.
async fn fetch_token() -> String {
    let mut command = Command::new(variable("TOKEN_COMMAND"));
    let output = command.output().await.expect("the command can be run");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

/// tokio-postgres leaves TLS to another crate: this one verifies the server's certificate and name.
fn tls() -> Result<MakeTlsConnector, Box<dyn Error>> {
    let authority = fs::read(variable("PGSSLROOTCERT"))?;
    let connector = TlsConnector::builder()
        .add_root_certificate(Certificate::from_pem(&authority)?)
        .build()?;
    Ok(MakeTlsConnector::new(connector))
}
