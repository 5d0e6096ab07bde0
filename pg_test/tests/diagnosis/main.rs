//! Set-ups that are broken in one realistic way each: what the first explanation says. Each case asserts the code, the
//! evidence and the setting that are named, and that no setting is to be loosened where that is not the cure.

mod doctor;
mod kinds;
mod spelling;
mod whose;

use rig::{Issuer, Server, ServerBuilder};

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
    let log = server.refuses(role, token, reason).log;
    let line = |start: &str| {
        let line = log.lines().find_map(|line| Some(line.split_once(start)?.1));
        line.unwrap_or_else(|| panic!("no {start} in {log}"))
            .to_owned()
    };
    Explained {
        facts: line("DETAIL:  "),
        hint: line("HINT:  "),
    }
}

impl Explained {
    /// Asserts that the hint says all of this.
    #[track_caller]
    fn says(&self, parts: &[&str]) -> &Self {
        for part in parts {
            assert!(self.hint.contains(part), "{part} is not in: {}", self.hint);
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
