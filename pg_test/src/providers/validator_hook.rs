//! `validator-hook`, as an administrator runs it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::machine::child::Finished;
use crate::machine::{child, environment, scratch};
use crate::net::tls::Authority;
use crate::providers::daemon::Daemon;
use crate::server::Server;

/// The running program. It stops when this value goes.
pub struct Hook {
    port: u16,
    folder: PathBuf,
    _program: Daemon,
}

/// What the program answers.
#[derive(Debug)]
pub struct HookAnswer {
    /// The status code.
    pub status: u16,
    /// The status line and the header.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Hook {
    /// Starts it on a free port of 127.0.0.1, with the rest of its configuration.
    #[track_caller]
    pub fn start(configuration: &str) -> Hook {
        let folder = scratch::new_folder("hook");
        let log = folder.join("log");
        let listens = || port_in(&log).is_some();
        let program = command(&folder, configuration);
        let program = Daemon::start(program, &folder, listens, Duration::from_secs(30));
        Hook {
            port: port_in(&log).expect("it listens"),
            folder,
            _program: program,
        }
    }

    /// What `--check` says of a configuration.
    #[track_caller]
    pub fn check(configuration: &str) -> Finished {
        let mut command = command(&scratch::new_folder("hook"), configuration);
        command.arg("--check");
        child::run(command, Duration::from_secs(60))
    }

    /// The same, run by the user `nobody`. `None`: we are not root, and can become nobody else; this is said, and the test
    /// counts as skipped.
    #[track_caller]
    pub fn check_as_nobody(configuration: &str) -> Option<Finished> {
        if child::server_user().is_none() {
            environment::skip("to run a program as another user needs root");
            return None;
        }
        let mut command = command(&scratch::new_folder("hook"), configuration);
        command.arg("--check");
        child::as_server_user(&mut command);
        Some(child::run(command, Duration::from_secs(60)))
    }

    /// The table of a server to which it connects as `role`, through the socket.
    pub fn server_table(name: &str, server: &Server, role: &str) -> String {
        let (folder, port) = (server.socket_folder().display(), server.port());
        format!(
            "[[server]]\nname = \"{name}\"\nconnection = \"host={folder} port={port} user={role} dbname=postgres\"\n"
        )
    }

    /// Where a path of the program is.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).expect("a log")
    }

    /// Waits until it has logged this.
    #[track_caller]
    pub fn wait_for(&self, needle: &str, limit: Duration) -> String {
        let start = Instant::now();
        loop {
            let log = self.log();
            if log.contains(needle) {
                return log;
            }
            assert!(start.elapsed() < limit, "no {needle:?} in:\n{log}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a logout token as providers do.
    #[track_caller]
    pub fn log_out(&self, token: &str) -> HookAnswer {
        let body = format!("logout_token={token}");
        self.post("/logout", "application/x-www-form-urlencoded", "", &body)
    }

    /// Sends a security event token as transmitters do; `header` has further lines of the header.
    #[track_caller]
    pub fn tell(&self, token: &str, header: &str) -> HookAnswer {
        self.post("/events", "application/secevent+jwt", header, token)
    }

    /// Sends a request.
    #[track_caller]
    pub fn post(&self, path: &str, content_type: &str, header: &str, body: &str) -> HookAnswer {
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: hook\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{header}\r\n{body}"
        );
        self.exchange(request.as_bytes())
    }

    /// Sends these bytes, and reads to the end of what is answered.
    #[track_caller]
    pub fn exchange(&self, bytes: &[u8]) -> HookAnswer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a socket");
        // It may answer, and close, before it has read everything.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        HookAnswer {
            status: status.unwrap_or(0),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }
}

/// The program with this configuration; `listen` is added.
fn command(folder: &Path, configuration: &str) -> Command {
    let file = folder.join("validator-hook.toml");
    let text = match configuration.contains("listen = ") {
        true => configuration.to_owned(),
        false => format!("listen = \"127.0.0.1:0\"\n{configuration}"),
    };
    fs::write(&file, text).expect("it can be written");
    let mut command = Command::new(environment::hook());
    command
        .arg(file)
        .env("SSL_CERT_FILE", Authority::shared().file());
    command
}

/// The port in the line that says where the program listens.
fn port_in(log: &Path) -> Option<u16> {
    let log = fs::read_to_string(log).ok()?;
    let (_, rest) = log.split_once(" listens on ")?;
    let address = rest.split_once('\n')?.0;
    address.rsplit(':').next()?.parse().ok()
}
