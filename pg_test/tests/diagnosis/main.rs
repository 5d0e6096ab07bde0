//! Set-ups that are broken in one realistic way each: what the first explanation says. Each case asserts the code, the
//! evidence and the setting that are named, and that no setting is to be loosened where that is not the cure.

mod certificates;
mod configuration;
mod doctor;
mod introspection;
mod keys;
mod kinds;
mod maps;
mod settings;
mod spelling;
mod times;
mod whose;

use rig::{Issuer, Login, Server, ServerBuilder};

/// Settings whose loosening cures few things, and opens much.
const LOOSENING: [&str; 5] = [
    "validator.token_types",
    "validator.audience if",
    "validator.optional_scopes",
    "validator.clock_skew",
    "validator.allow_superuser",
];

/// The log about this refusal: its facts and its hint.
struct Explained {
    facts: String,
    hint: String,
}

/// Logs in, expects this code, and gives the explanation.
#[track_caller]
fn explain(server: &Server, role: &str, token: &str, reason: &str) -> Explained {
    Explained::read(&server.refuses(role, token, reason).log)
}

/// The same for any login.
#[track_caller]
fn explain_login(server: &Server, login: Login, token: &str, reason: &str) -> Explained {
    Explained::read(&server.refuses_login(login, token, reason).log)
}

/// What try_login says in its last step about a login over TCP without TLS.
#[track_caller]
fn try_login(server: &Server, role: &str, token: &str) -> String {
    server.sql("CREATE EXTENSION IF NOT EXISTS validator");
    let asked = format!("validator.try_login('{token}', '{role}', tls => false)");
    server.value(&format!(
        "SELECT detail FROM {asked} WHERE NOT passed ORDER BY step DESC LIMIT 1"
    ))
}

/// What check_config finds, without what it finds on every server of these tests.
#[track_caller]
fn check_config(server: &Server) -> String {
    server.sql("CREATE EXTENSION IF NOT EXISTS validator");
    server.value(
        "SELECT string_agg(finding || ': ' || detail, E'\\n') FROM validator.check_config() \
         WHERE finding NOT IN ('not_preloaded', 'tls_not_required', 'issuer_http')",
    )
}

impl Explained {
    /// The first explanation in a log.
    #[track_caller]
    fn read(log: &str) -> Explained {
        let mut lines = log.lines();
        let facts = lines
            .by_ref()
            .find_map(|line| Some(format!("reason={}", line.split_once("DETAIL:  reason=")?.1)));
        let hint = lines.find_map(|line| Some(line.split_once("HINT:  ")?.1.to_owned()));
        Explained {
            facts: facts.unwrap_or_else(|| panic!("no facts in {log}")),
            hint: hint.unwrap_or_else(|| panic!("no hint in {log}")),
        }
    }

    /// Asserts that the hint says all of this.
    #[track_caller]
    fn says(&self, parts: &[&str]) -> &Self {
        for part in parts {
            assert!(self.hint.contains(part), "{part} is not in: {}", self.hint);
        }
        self
    }

    /// Asserts that the hint says none of this.
    #[track_caller]
    fn does_not_say(&self, parts: &[&str]) -> &Self {
        for part in parts {
            assert!(!self.hint.contains(part), "{part} is in: {}", self.hint);
        }
        self
    }

    #[track_caller]
    fn has_fact(&self, fact: &str) -> &Self {
        assert!(
            self.facts.contains(fact),
            "{fact} is not in: {}",
            self.facts
        );
        self
    }

    /// Asserts that the hint advises to loosen nothing.
    #[track_caller]
    fn loosens_nothing(&self) -> &Self {
        for setting in LOOSENING {
            assert!(
                !self.hint.contains(setting),
                "{setting} is in: {}",
                self.hint
            );
        }
        self
    }
}

/// A server that trusts this issuer.
fn server_for(issuer: &Issuer) -> ServerBuilder {
    Server::trusting(issuer).log_everything()
}
