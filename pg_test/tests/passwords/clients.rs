//! psql, as people use it.

use std::process::Command;
use std::time::Duration;

use rig::{Authority, Finished, Login, Server, child};

use crate::start;

/// psql over TLS that asks who it is.
fn psql(server: &Server, role: &str) -> Command {
    let mut command = server.psql_command();
    let authority = Authority::shared().file().display().to_string();
    command.args(["-X", "-A", "-t", "-w", "-c", "SELECT system_user"]);
    command.arg(format!(
        "host=localhost hostaddr=127.0.0.1 port={} dbname=postgres user={role} sslmode=verify-full sslrootcert={authority} \
         require_auth=password",
        server.port()
    ));
    command.env_remove("PGPASSWORD");
    command
}

fn run(command: Command) -> Finished {
    child::run(command, Duration::from_secs(30))
}

#[test]
fn psql_logs_in_with_a_token_in_its_environment() {
    let Some((issuer, server)) = start() else {
        return;
    };
    let mut command = psql(&server, "alice");
    command.env("PGPASSWORD", issuer.token("alice").encode());
    assert_eq!(run(command).success(), "pam:alice");
}

#[test]
fn raw() {
    let Some((issuer, server)) = start() else {
        return;
    };
    let token = issuer.token("alice").encode();
    let login = Login::by_tls(&server, "alice", None).token(&token);
    let mut session = server.admits_login(login);
    assert_eq!(session.value("SELECT system_user"), "pam:alice");
}
