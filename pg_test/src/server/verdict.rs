//! What the tests expect of every login: who is let in, and what nobody may learn from a refusal.

use serde_json::Value;

use crate::client::login::{Login, Outcome, Refusal};
use crate::client::session::Session;
use crate::server::Server;

/// A refusal that told the client nothing, and what the server logged about it.
#[derive(Debug)]
pub struct Verdict {
    /// What the client learned.
    pub refusal: Refusal,
    /// What the server logged from the start of the login on.
    pub log: String,
}

impl Server {
    /// Logs in over TCP with this token. Not being let in fails the test, and the log is shown.
    #[track_caller]
    pub fn admits(&self, role: &str, token: &str) -> Session {
        self.admits_login(Login::new(self, role).token(token))
    }

    /// The same for any login.
    #[track_caller]
    pub fn admits_login(&self, login: Login) -> Session {
        let mark = self.log().mark();
        match login.run() {
            Outcome::Session(session) => session,
            Outcome::Refused(refusal) => {
                panic!(
                    "refused: {refusal:?}\n{}",
                    explained(&self.log().since(mark))
                )
            }
        }
    }

    /// Logs in over TCP with this token, which must be refused for this reason; see
    /// [`refuses_login`](Server::refuses_login).
    #[track_caller]
    pub fn refuses(&self, role: &str, token: &str, reason: &str) -> Verdict {
        self.refuses_login(Login::new(self, role).token(token), token, reason)
    }

    /// Runs a login that presents `token`, which must be refused for this reason.
    ///
    /// The reason must be in the log, in one line's detail; the token must not, nor one of its parts;
    /// and the client must have got nothing but PostgreSQL's own error document and message.
    #[track_caller]
    pub fn refuses_login(&self, login: Login, token: &str, reason: &str) -> Verdict {
        let mark = self.log().mark();
        let outcome = login.run();
        let log = self.log().since(mark);
        let refusal = match outcome {
            Outcome::Session(_) => {
                panic!("let in, not refused for {reason}:\n{}", explained(&log))
            }
            Outcome::Refused(refusal) => refusal,
        };
        let reasons: Vec<&str> = reasons(&log).collect();
        assert_eq!(reasons, [reason], "{}\n{refusal:?}", explained(&log));
        assert_silent_log(&log, token);
        assert_silent_refusal(&refusal, reason);
        Verdict { refusal, log }
    }
}

/// The codes of all refusals in a log.
pub fn reasons(log: &str) -> impl Iterator<Item = &str> {
    explanations(log).filter_map(|explanation| explanation.split(char::is_whitespace).next())
}

/// What the module has logged about each refusal, from its code on. PostgreSQL 19 repeats it as a detail of its own
/// messages, which are left out.
pub fn explanations(log: &str) -> impl Iterator<Item = &str> {
    let is_postgresqls = |line: &str| {
        line.contains(" FATAL:  ")
            || line.contains(" WARNING:  internal error in OAuth validator module")
    };
    let messages = log.lines().zip(log.lines().skip(1));
    messages
        .filter(move |(message, _)| !is_postgresqls(message))
        .filter_map(|(_, detail)| Some(detail.split_once("DETAIL:  reason=")?.1))
}

/// The facts `name=value` of a text, as docs/troubleshooting.md says that they are to be read.
#[track_caller]
pub fn facts(mut text: &str) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once('=').expect("a fact has a value");
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let end = rest.find(' ').unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        facts.push((name.to_owned(), value));
        assert!(rest.is_empty() || rest.starts_with(' '), "{rest}");
        text = rest.trim_start();
    }
    facts
}

/// What is quoted at the beginning of a text, and what follows the quotation.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    panic!("no end: {text}");
}

/// Fails if a log has a token, or one of its parts that is long enough to tell something.
#[track_caller]
pub fn assert_silent_log(log: &str, token: &str) {
    for part in std::iter::once(token)
        .chain(token.split('.'))
        .filter(|part| part.len() >= 12)
    {
        assert!(
            !log.contains(part),
            "the log has a part of the token: {part}"
        );
    }
}

/// Fails if a client learned more than PostgreSQL tells every client whose login fails.
#[track_caller]
pub fn assert_silent_refusal(refusal: &Refusal, reason: &str) {
    if let Some(document) = &refusal.document {
        let document: Value = serde_json::from_str(document).expect("the error document is JSON");
        let members: Vec<&str> = document
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(members, ["openid-configuration", "scope", "status"]);
        assert_eq!(document["status"], "invalid_token");
    }
    let error = refusal.error();
    assert_eq!(
        (error.severity(), error.code()),
        ("FATAL", "28000"),
        "{refusal:?}"
    );
    let is_by_password = refusal.asked_for_password || error.message().starts_with("PAM ");
    let generic = match is_by_password {
        true => "PAM authentication failed for user ",
        false => "OAuth bearer authentication failed for user ",
    };
    assert!(error.message().starts_with(generic), "{error}");
    for (code, text) in &error.fields {
        assert!(
            "SVCMFLR".contains(*code),
            "the client was sent a field {code}: {text}"
        );
    }
    assert!(!refusal.received_text().contains(reason), "{refusal:?}");
}

/// A log without the lines that only a debugger wants.
fn explained(log: &str) -> String {
    let lines = log
        .lines()
        .filter(|l| !l.contains("DEBUG:  ") && !l.contains("  LOCATION:  "));
    lines.collect::<Vec<_>>().join("\n")
}
