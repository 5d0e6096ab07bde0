//! The receiver of back-channel logouts that docs/sessions.md shows, as a reader would run it.

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use crate::machine::{environment, scratch};
use crate::net::tls::Authority;
use crate::providers::daemon::{self, Daemon};
use crate::server::Server;

const PAGE: &str = include_str!("../../../docs/sessions.md");

/// The running receiver. It stops when this value goes.
pub struct LogoutReceiver {
    port: u16,
    _program: Daemon,
}

impl LogoutReceiver {
    /// Starts it for one client of an issuer; it ends sessions of `server` as the role `revoker`.
    #[track_caller]
    pub fn start(
        server: &Server,
        revoker: &str,
        issuer: &str,
        client_id: &str,
        jwks_uri: &str,
    ) -> LogoutReceiver {
        let folder = scratch::new_folder("receiver");
        fs::write(folder.join("backchannel_logout.py"), program()).expect("it can be written");
        let port = daemon::free_port();
        let mut command = Command::new(environment::logout_python());
        command
            .args(["-u", "backchannel_logout.py"])
            .envs([("ISSUER", issuer), ("CLIENT_ID", client_id)])
            .envs([("JWKS_URI", jwks_uri), ("PGUSER", revoker)])
            .env("SSL_CERT_FILE", Authority::shared().file())
            .env("PORT", port.to_string())
            .env("PGHOST", server.socket_folder())
            .env("PGPORT", server.port().to_string())
            .env("PGDATABASE", "postgres");
        let listens = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        LogoutReceiver {
            port,
            _program: Daemon::start(command, &folder, listens, Duration::from_secs(30)),
        }
    }

    /// Where the provider sends logout tokens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }
}

fn program() -> &'static str {
    let (_, rest) = PAGE
        .split_once("`backchannel_logout.py`")
        .expect("the receiver's name");
    let (_, rest) = rest
        .split_once("```python\n")
        .expect("a program follows it");
    rest.split("```").next().unwrap_or_default()
}
