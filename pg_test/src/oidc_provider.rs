//! The certified provider `oidc-provider` (npm) as an issuer that nobody here wrote.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::browser::Browser;
use crate::device::Prompt;
use crate::issuer::Issuer;
use crate::tls::{Authority, Identity};
use crate::{child, environment, scratch};
use token_minter::Alg;

const PROGRAM: &str = include_str!("../providers/oidc-provider/server.mjs");

/// A running `oidc-provider` with the public client `psql`. It stops when this value goes.
pub struct OidcProvider {
    issuer: String,
    mtls: String,
    process: Mutex<Process>,
}

struct Process {
    child: Child,
    commands: ChildStdin,
    answers: Receiver<String>,
}

impl OidcProvider {
    /// Starts a provider that signs access tokens for [`Issuer::AUDIENCE`] with this algorithm:
    /// `RS256`, `PS256`, `ES256` or `EdDSA` (and what else the library knows).
    #[track_caller]
    pub fn start(alg: Alg) -> OidcProvider {
        // An ES module is resolved from where it lies, so the program lies beside the packages.
        let folder = scratch::new_folder("oidc-provider");
        let packages = environment::oidc_provider_folder().join("node_modules");
        symlink(&packages, folder.join("node_modules")).expect("a link can be made");
        fs::write(folder.join("server.mjs"), PROGRAM).expect("the program can be written");

        let (certificate, key) = Authority::shared().server().files();
        let mut command = Command::new(environment::node());
        command
            .arg("server.mjs")
            .arg(alg.name())
            .arg(Issuer::AUDIENCE)
            .args([&certificate, &key])
            .arg(Authority::shared().file())
            .current_dir(&folder);
        let log = fs::File::create(folder.join("log")).expect("a log can be made");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = child::spawn(command, libc::SIGKILL).expect("node can be started");
        let commands = child.stdin.take().expect("node has a standard input");
        let stdout = child.stdout.take().expect("node has a standard output");
        let (lines, answers) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        });
        let mut process = Process {
            child,
            commands,
            answers,
        };
        let Some(ready) = process.answer() else {
            let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
            panic!("oidc-provider does not start: {log}");
        };
        let url = |name: &str| {
            let url = ready[name].as_str();
            url.expect("the first line has the URLs").to_owned()
        };
        OidcProvider {
            issuer: url("issuer"),
            mtls: url("mtls"),
            process: Mutex::new(process),
        }
    }

    /// The issuer's identifier.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// RFC 8705 §2, §3: the token of a program that presents this certificate, bound to it; or the provider's error.
    /// The certificate of the client `alice` has her name.
    #[track_caller]
    pub fn token_for(&self, identity: Option<&Identity>) -> Result<String, String> {
        let mut program = identity.map_or_else(Browser::new, Browser::presenting);
        let answer = program.post(
            &format!("{}/token", self.mtls),
            &[
                ("grant_type", "client_credentials"),
                ("client_id", "alice"),
                ("scope", Issuer::SCOPE),
            ],
        );
        let answer = answer.json();
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        text("access_token").ok_or_else(|| text("error").unwrap_or_default())
    }

    /// Signs with a new key from now on and keeps publishing the old ones; its `kid`.
    #[track_caller]
    pub fn rotate(&self) -> String {
        self.command("rotate")
    }

    /// Stops publishing old keys; the `kid` of the one that stays.
    #[track_caller]
    pub fn retire_old_keys(&self) -> String {
        self.command("retire")
    }

    /// Walks the provider's own pages as a person would: code, confirmation, login, consent.
    #[track_caller]
    pub fn approve(&self, prompt: &Prompt, user: &str) {
        let mut browser = Browser::new();
        let mut page = browser.get(&prompt.url);
        page = browser.submit(&page, &[("user_code", &prompt.user_code)]);
        for _ in 0..6 {
            if page.text.contains("Success") {
                return;
            }
            page = match page.text.contains("name=\"login\"") {
                true => browser.submit(&page, &[("login", user), ("password", "any")]),
                false => browser.submit(&page, &[]),
            };
        }
        panic!("oidc-provider did not say that it is done: {page:?}");
    }

    #[track_caller]
    fn command(&self, command: &str) -> String {
        let mut process = self.process.lock().unwrap_or_else(|e| e.into_inner());
        writeln!(process.commands, "{command}").expect("node reads its standard input");
        let answer = process.answer().expect("node answers a command");
        answer["kid"]
            .as_str()
            .expect("the answer names a key")
            .to_owned()
    }
}

impl Process {
    fn answer(&mut self) -> Option<Value> {
        // The library prints warnings on standard output as well.
        loop {
            let line = self.answers.recv_timeout(Duration::from_secs(30)).ok()?;
            if let Ok(answer @ Value::Object(_)) = serde_json::from_str(&line) {
                return Some(answer);
            }
        }
    }
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        let mut process = self.process.lock().unwrap_or_else(|e| e.into_inner());
        let _ = process.child.kill();
        let _ = process.child.wait();
    }
}
