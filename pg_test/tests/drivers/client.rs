//! What must hold of every client, driver or tool.

use rig::{Finished, Token, assert_silent_log, reasons};

use crate::programs::Place;
use crate::setup::Setup;
use crate::tap::Tap;
use crate::tokens::TokenCommand;

/// All that PostgreSQL says to a client that it refuses, whatever the reason.
fn refusal(role: &str) -> String {
    format!("PAM authentication failed for user \"{role}\"")
}

/// A client on its way to a server.
pub struct Client<'a> {
    pub setup: &'a Setup,
    pub role: &'static str,
    /// Starts it; `None`: it cannot be had here, which was said.
    pub run: &'a dyn Fn(&Place, &TokenCommand) -> Option<Finished>,
}

impl Client<'_> {
    /// Runs it with good tokens.
    pub fn with(&self, tokens: &TokenCommand) -> Option<Finished> {
        let place = Place {
            port: self.setup.server.port(),
            role: self.role,
            encrypted: true,
        };
        (self.run)(&place, tokens)
    }

    /// Refused with bad tokens, each for its reason, which only the server's log has; and without TLS.
    pub fn is_refused_otherwise(&self) -> TokenCommand {
        for (reason, token) in self.setup.bad() {
            self.is_refused(token, reason);
        }
        self.sends_nothing_without_tls()
    }

    fn is_refused(&self, token: Token, reason: &str) {
        let tokens = TokenCommand::new(token);
        let log = self.setup.server.log();
        let mark = log.mark();
        let finished = self.with(&tokens).expect("it ran before");
        let log = log.since(mark);
        self.assert_refused(&finished);
        let found: Vec<&str> = reasons(&log).collect();
        assert!(!found.is_empty(), "{log}");
        // A pool tries more than once.
        assert!(found.iter().all(|found| *found == reason), "{found:?}");
        for token in tokens.all() {
            assert_silent_log(&log, token);
            assert_silent_log(&said(&finished), token);
        }
    }

    /// The server refuses before it asks for a password, so no token travels in clear. The command that would have given
    /// one is returned.
    fn sends_nothing_without_tls(&self) -> TokenCommand {
        let tokens = TokenCommand::new(self.setup.good());
        let tap = Tap::on(self.setup.server.port());
        let place = Place {
            port: tap.port,
            role: self.role,
            encrypted: false,
        };
        let finished = (self.run)(&place, &tokens).expect("it ran before");
        self.assert_refused(&finished);
        let sent = tap.sent();
        assert!(sent.contains(self.role), "{sent:?}");
        for token in tokens.all() {
            assert!(!sent.contains(token.as_str()), "{sent:?}");
        }
        tokens
    }

    #[track_caller]
    fn assert_refused(&self, finished: &Finished) {
        assert!(!finished.status.success(), "{finished:?}");
        let said = said(finished);
        assert!(said.contains(&refusal(self.role)), "{finished:?}");
    }
}

fn said(finished: &Finished) -> String {
    format!("{}{}", finished.stdout, finished.stderr)
}
