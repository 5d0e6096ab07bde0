//! The real psql, logging in by the device flow.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::machine::child::{self, Finished};
use crate::server::Server;

/// What psql asks a person to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The page to visit.
    pub url: String,
    /// The code to enter there.
    pub user_code: String,
}

/// A device login that is being described; [`run`](DeviceLogin::run) makes psql try it.
#[must_use]
pub struct DeviceLogin<'a> {
    server: &'a Server,
    role: String,
    issuer: String,
    client_id: String,
    ca_file: Option<PathBuf>,
    parameters: String,
    sql: String,
    limit: Duration,
}

impl<'a> DeviceLogin<'a> {
    /// psql, as the client `psql`, logs in as `role` with a token of `issuer`.
    pub fn new(server: &'a Server, role: &str, issuer: &str) -> DeviceLogin<'a> {
        DeviceLogin {
            server,
            role: role.to_owned(),
            issuer: issuer.to_owned(),
            client_id: "psql".to_owned(),
            ca_file: None,
            parameters: String::new(),
            sql: "SELECT system_user".to_owned(),
            limit: Duration::from_secs(60),
        }
    }

    /// Another OAuth client.
    pub fn client_id(mut self, client_id: &str) -> Self {
        self.client_id = client_id.to_owned();
        self
    }

    /// The authority that signed the issuer's certificate.
    pub fn ca_file(mut self, path: &Path) -> Self {
        self.ca_file = Some(path.to_owned());
        self
    }

    /// More libpq parameters, such as `oauth_scope=postgres`.
    pub fn parameters(mut self, parameters: &str) -> Self {
        self.parameters = parameters.to_owned();
        self
    }

    /// What psql runs once it is in (otherwise `SELECT system_user`).
    pub fn sql(mut self, sql: &str) -> Self {
        self.sql = sql.to_owned();
        self
    }

    /// The test fails when psql takes longer (otherwise a minute).
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs psql; `approve` is called once psql has asked, and does what the person would do.
    #[track_caller]
    pub fn run(self, approve: impl FnOnce(&Prompt)) -> DeviceOutcome {
        let mut command = self.server.psql_command();
        let conninfo = format!(
            "{} oauth_issuer='{}' oauth_client_id='{}' {}",
            self.server.conninfo(&self.role),
            self.issuer,
            self.client_id,
            self.parameters
        );
        command.args([
            "-X",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            &conninfo,
            "-c",
            &self.sql,
        ]);
        // libpq 18 takes http issuers and PGOAUTHCAFILE in this mode only; it prints its HTTP traffic.
        command.env("PGOAUTHDEBUG", "UNSAFE");
        if let Some(path) = &self.ca_file {
            command.env("PGOAUTHCAFILE", path);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let start = Instant::now();
        let mut psql = child::spawn(command, libc::SIGKILL).expect("psql can be started");
        let stdout = psql.stdout.take().expect("psql has a standard output");
        let stderr = psql.stderr.take().expect("psql has a standard error");
        let (asked, prompts) = mpsc::channel();
        let stderr =
            thread::spawn(move || collect(stderr, |line| drop(parse(line).map(|p| asked.send(p)))));
        let stdout = thread::spawn(move || collect(stdout, |_| ()));
        // Ends without a prompt when psql ends without one.
        let prompt = prompts.recv_timeout(self.limit).ok();
        if let Some(prompt) = &prompt {
            approve(prompt);
        }
        let status = child::wait(&mut psql, self.limit.saturating_sub(start.elapsed()));
        if status.is_none() {
            let _ = psql.kill();
            let _ = psql.wait();
        }
        let stdout = stdout.join().unwrap_or_default();
        let stderr = stderr.join().unwrap_or_default();
        match status {
            Some(status) => DeviceOutcome {
                psql: Finished {
                    status,
                    stdout,
                    stderr,
                },
                prompt,
                elapsed: start.elapsed(),
            },
            None => panic!(
                "psql has not ended after {:?}\nstdout: {stdout}\nstderr: {stderr}",
                self.limit
            ),
        }
    }
}

/// How a device login went.
#[derive(Debug)]
pub struct DeviceOutcome {
    /// psql's exit status and output; the latter with libpq's HTTP traffic, tokens included.
    pub psql: Finished,
    /// What psql asked a person to do, if it came that far.
    pub prompt: Option<Prompt>,
    /// How long psql ran.
    pub elapsed: Duration,
}

impl DeviceOutcome {
    /// What psql printed, if it succeeded.
    #[track_caller]
    pub fn success(&self) -> &str {
        self.psql.success()
    }

    /// The access token that psql was given, from the HTTP traffic that libpq prints in debug mode.
    #[track_caller]
    pub fn access_token(&self) -> &str {
        let answers = self.psql.stderr.split("\"access_token\"").nth(1);
        let value = answers.and_then(|rest| rest.split('"').nth(1));
        value.unwrap_or_else(|| panic!("no token: {self:?}"))
    }

    /// psql's own messages, without libpq's HTTP traffic and the prompt.
    pub fn messages(&self) -> Vec<&str> {
        self.psql
            .stderr
            .lines()
            .filter(|l| l.starts_with("psql: ") || l.starts_with("connection to server"))
            .collect()
    }
}

fn collect(stream: impl Read, mut see: impl FnMut(&str)) -> String {
    let mut text = String::new();
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        let piece = String::from_utf8_lossy(&line);
        see(piece.trim_end());
        text.push_str(&piece);
        line.clear();
    }
    text
}

/// `Visit URL and enter the code: CODE`, which libpq prints, maybe after something else.
fn parse(line: &str) -> Option<Prompt> {
    let (_, rest) = line.split_once("Visit ")?;
    let (url, user_code) = rest.split_once(" and enter the code: ")?;
    Some(Prompt {
        url: url.to_owned(),
        user_code: user_code.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompt_is_found_in_what_libpq_prints() {
        let prompt = Prompt {
            url: "https://idp.test/device".to_owned(),
            user_code: "AB-CD".to_owned(),
        };
        assert_eq!(
            parse("Visit https://idp.test/device and enter the code: AB-CD"),
            Some(prompt)
        );
        assert_eq!(parse("< HTTP/1.1 200 OK"), None);
    }
}
