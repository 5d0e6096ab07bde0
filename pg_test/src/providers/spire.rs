//! `SPIRE` (Go module proxy): a server that mints JWT-SVIDs, and the discovery provider that publishes its keys.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::machine::{child, environment, scratch};
use crate::net::tls::Authority;
use crate::person::browser::Browser;
use crate::providers::daemon::{self, Daemon};

const LIMIT: Duration = Duration::from_secs(60);

/// The running pair for the trust domain `corp.example`; the discovery provider speaks https as `localhost`.
pub struct Spire {
    issuer: String,
    folder: PathBuf,
    _discovery: Daemon,
    _server: Daemon,
}

impl Spire {
    /// Starts both. With `names_issuer`, tokens have `iss`, as they need here.
    #[track_caller]
    pub fn start(names_issuer: bool) -> Spire {
        let folder = scratch::new_folder("spire");
        let (port, own_port) = (daemon::free_port(), daemon::free_port());
        let issuer = format!("https://localhost:{port}");
        let jwt_issuer = match names_issuer {
            true => format!("jwt_issuer = \"{issuer}\""),
            false => String::new(),
        };
        let server = format!(
            r#"server {{
                bind_address = "127.0.0.1"
                bind_port = {own_port}
                socket_path = "api.sock"
                trust_domain = "corp.example"
                data_dir = "."
                {jwt_issuer}
            }}
            plugins {{
                DataStore "sql" {{ plugin_data {{ database_type = "sqlite3", connection_string = "data.sqlite3" }} }}
                KeyManager "memory" {{ plugin_data {{}} }}
                NodeAttestor "join_token" {{ plugin_data {{}} }}
            }}"#
        );
        fs::write(folder.join("server.conf"), server).expect("it can be written");
        let (certificate, key) = Authority::shared().server().files();
        let socket = folder.join("api.sock");
        let discovery = format!(
            r#"domains = ["localhost"]
            jwt_issuer = "{issuer}"
            log_level = "info"
            serving_cert_file {{
                cert_file_path = "{}"
                key_file_path = "{}"
                addr = "127.0.0.1:{port}"
            }}
            server_api {{
                address = "unix://{}"
                poll_interval = "1s"
            }}"#,
            certificate.display(),
            key.display(),
            socket.display()
        );
        fs::write(folder.join("discovery.conf"), discovery).expect("it can be written");
        let mut server = program("spire-server");
        server.args(["run", "-config", "server.conf"]);
        let server = Daemon::start(server, &folder, || socket.exists(), LIMIT);
        let mut discovery = program("oidc-discovery-provider");
        discovery.args(["-config", "discovery.conf"]);
        let is_ready = || daemon::is_served(&format!("{issuer}/keys"));
        Spire {
            _discovery: Daemon::start(discovery, &folder, is_ready, LIMIT),
            _server: server,
            issuer,
            folder,
        }
    }

    /// The issuer's identifier.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// A JWT-SVID for `spiffe://corp.example` and this path.
    #[track_caller]
    pub fn token(&self, path: &str, audience: &str) -> String {
        let id = format!("spiffe://corp.example{path}");
        self.run(&["jwt", "mint", "-spiffeID", &id, "-audience", audience])
    }

    /// The trust domain's own document, whose keys say `jwt-svid`.
    #[track_caller]
    pub fn bundle(&self) -> String {
        self.run(&["bundle", "show", "-format", "spiffe"])
    }

    /// Signs with a new key from now on and keeps publishing the old one; the old one's identifier, for
    /// [`retire`](Spire::retire).
    #[track_caller]
    pub fn rotate(&self) -> String {
        let prepared = self.authority("prepare", None);
        let id = text(&prepared["prepared_authority"]["authority_id"]);
        self.wait_for_key(&id, true);
        self.authority("activate", Some(&id));
        let shown = self.authority("show", None);
        text(&shown["old"]["authority_id"])
    }

    /// Stops publishing an old key.
    #[track_caller]
    pub fn retire(&self, id: &str) {
        self.authority("taint", Some(id));
        self.authority("revoke", Some(id));
        self.wait_for_key(id, false);
    }

    #[track_caller]
    fn authority(&self, order: &str, id: Option<&str>) -> Value {
        let mut arguments = vec!["localauthority", "jwt", order, "-output", "json"];
        arguments.extend(id.map(|id| ["-authorityID", id]).into_iter().flatten());
        let answer = self.run(&arguments);
        serde_json::from_str(&answer).unwrap_or_else(|e| panic!("{e}: {answer}"))
    }

    /// Waits until the discovery provider publishes a key, or no longer does.
    #[track_caller]
    fn wait_for_key(&self, kid: &str, published: bool) {
        let start = Instant::now();
        loop {
            let keys = Browser::new().get(&format!("{}/keys", self.issuer)).json();
            let keys = keys["keys"].as_array().cloned().unwrap_or_default();
            if keys.iter().any(|key| key["kid"] == kid) == published {
                return;
            }
            assert!(start.elapsed() < LIMIT, "{kid} {published}: {keys:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Runs the server's command line; what it prints.
    #[track_caller]
    fn run(&self, arguments: &[&str]) -> String {
        let mut command = program("spire-server");
        command.args(arguments).current_dir(&self.folder);
        command.args(["-socketPath", "api.sock"]);
        child::run(command, LIMIT).success().to_owned()
    }
}

fn program(name: &str) -> Command {
    Command::new(environment::spire_folder().join(name))
}

#[track_caller]
fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}
