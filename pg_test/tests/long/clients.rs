//! Those who log in, and those who make that hard: each does its own once when it is called, for the nth time.

use std::process::Command;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use rig::{FirstResponse, Key, KeyKind, Login, OnError, Outcome, SignatureFault, child, now};

use crate::seen::add;
use crate::soak::{ANSWER_TTL, FRESH, PACE, SECOND, Soak, is_refused};
use crate::support::AT_ONCE;

impl Soak {
    /// Someone with a good token, who is let in whatever else happens, and works for a moment.
    pub fn honest_client(&self, round: usize) {
        let token = self.issuer.token("alice").encode();
        let mark = self.server.log().mark();
        let outcome = Login::new(&self.server, "alice").token(&token).run();
        let admitted = self.note(&outcome);
        if admitted == Some(false) {
            // A flush during an outage leaves no keys; nothing else may.
            let log = self.server.log().since(mark);
            assert!(
                log.contains("reason=provider_unavailable"),
                "{outcome:?}\n{log}"
            );
        }
        if let Outcome::Session(mut session) = outcome
            && round.is_multiple_of(3)
            && let Ok(rows) = session.query("SELECT validator.claim('sub')")
        {
            assert_eq!(rows, [[Some("alice".to_owned())]]);
        }
    }

    /// Someone with all kinds of bad tokens, who is never let in.
    pub fn attacker(&self, round: usize) {
        let good = self.issuer.token("alice");
        let token = match round % 9 {
            0 => good.claim("exp", now() - 60).encode(),
            1 => good.claim("aud", "https://other.example/").encode(),
            2 => good.claim("iss", "https://other.example/").encode(),
            3 => good.signature_fault(SignatureFault::FlippedBit).encode(),
            4 => good.header("kid", format!("made-up-{round}")).encode(),
            5 => good
                .header("alg", "none")
                .signature_fault(SignatureFault::Empty)
                .encode(),
            6 => good.header("typ", "JWT").encode(),
            7 => format!("opaque-nobody-issued-{round}"),
            _ => good.claim("sub", "bob").encode(),
        };
        let outcome = Login::new(&self.server, "alice").token(&token).run();
        assert!(!outcome.is_session(), "let in by {token}");
        match &outcome {
            // A good token of somebody else: the module accepts it, and PostgreSQL refuses the role.
            Outcome::Refused(refusal) if round % 9 == 8 && is_refused(refusal) => {
                add(&self.seen.accepted);
            }
            _ => drop(self.note(&outcome)),
        }
        if token.starts_with("opaque") {
            add(&self.seen.opaque);
        }
    }

    /// Someone with an opaque token, which is revoked, and counts no longer than answers are cached.
    pub fn opaque_client(&self, _round: usize) {
        let token = self.issuer.opaque_token("bob");
        let attempt = || {
            add(&self.seen.opaque);
            let outcome = Login::new(&self.server, "bob").token(&token).run();
            self.note(&outcome)
        };
        for _ in 0..4 {
            attempt();
            thread::sleep(PACE);
        }
        self.issuer.revoke(&token);
        thread::sleep(ANSWER_TTL + PACE);
        assert_ne!(attempt(), Some(true), "a revoked token is let in");
        add(&self.seen.revoked);
    }

    /// Whose session a superuser ends by the identity.
    pub fn client_whose_session_is_ended(&self, _round: usize) {
        let token = self.issuer.token("carol").encode();
        let outcome = Login::new(&self.server, "carol").token(&token).run();
        self.note(&outcome);
        if let Outcome::Session(mut session) = outcome {
            let issuer = self.issuer.url();
            self.server.sql(&format!(
                "SELECT validator.end_sessions('{issuer}', 'carol')"
            ));
            session.wait_for_end(AT_ONCE * 3);
            add(&self.seen.ended);
        }
        thread::sleep(SECOND * 2);
    }

    /// Whose session ends with its token.
    pub fn client_whose_token_expires(&self, _round: usize) {
        let token = self.issuer.token("bob").claim("exp", now() + 3).encode();
        let outcome = Login::new(&self.server, "bob").token(&token).run();
        self.note(&outcome);
        if let Outcome::Session(mut session) = outcome {
            let start = Instant::now();
            session.wait_for_end(SECOND * 10);
            assert!(start.elapsed() < SECOND * 9, "a session outlives its token");
            add(&self.seen.expired);
        }
    }

    /// Who goes away in the middle.
    pub fn careless_client(&self, round: usize) {
        let token = self.issuer.token("alice").encode();
        let login = Login::new(&self.server, "alice");
        let outcome = match round % 4 {
            0 => login.first(FirstResponse::Half(token)).run(),
            1 => login.first(FirstResponse::Close).run(),
            2 => login
                .first(FirstResponse::Bytes(
                    b"n,,\x01auth=Bearer a.b\x01\x01".to_vec(),
                ))
                .on_error(OnError::Close)
                .run(),
            _ => login.run(),
        };
        assert!(!outcome.is_session());
        if round % 4 == 2 {
            // The only one who has presented a token that could be judged.
            let judged =
                matches!(&outcome, Outcome::Refused(refusal) if refusal.document.is_some());
            add(if judged {
                &self.seen.refused
            } else {
                &self.seen.unknown
            });
            add(&self.seen.opaque);
        }
    }

    /// A program that is killed while it logs in, or soon after.
    pub fn killed_client(&self, round: usize) {
        let token = match round % 2 {
            0 => self.issuer.token("alice").encode(),
            _ => self.issuer.opaque_token("alice"),
        };
        let mut bytes = 196_608_u32.to_be_bytes().to_vec();
        bytes.extend(b"user\0alice\0database\0postgres\0\0");
        let startup = framed(None, &bytes);
        let response = FirstResponse::bearer(&token);
        let length = u32::try_from(response.len()).expect("a token is short");
        let response = [
            b"OAUTHBEARER\0".as_slice(),
            &length.to_be_bytes(),
            &response,
        ]
        .concat();
        let all = [startup, framed(Some(b'p'), &response)].concat();
        let escaped: String = all.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        let mut command = Command::new("bash");
        command.args([
            "-c",
            "exec 3<>/dev/tcp/127.0.0.1/$0; printf \"$1\" >&3; exec cat <&3 >/dev/null",
        ]);
        command.args([self.server.port().to_string(), escaped]);
        let mut client = child::spawn(command, libc::SIGKILL).expect("bash can be started");
        // At another instruction each time.
        thread::sleep(Duration::from_millis(10 * (round as u64 % 20)));
        child::signal(client.id(), libc::SIGKILL);
        child::wait(&mut client, AT_ONCE).expect("a killed process ends");
        add(&self.seen.unknown);
        add(&self.seen.killed);
        thread::sleep(SECOND / 2);
    }

    /// One order of an administrator or the provider after the other.
    pub fn operate(&self, round: usize) {
        let issuer = self.issuer.url();
        match round % 6 {
            0 => {
                let value = ["on", "off"][round / 6 % 2];
                self.server
                    .reload_with(&[("validator.log_accepted", value)]);
                add(&self.seen.reloads);
            }
            1 => {
                self.server.sql("SELECT validator.flush_cache()");
                add(&self.seen.flushes);
            }
            2 => {
                self.server
                    .sql(&format!("SELECT validator.refresh_keys('{issuer}')"));
                add(&self.seen.refreshes);
            }
            3 => {
                // Published before it is used, as long as the old document is fresh.
                let old = self.issuer.signing_key();
                let new = Key::new(KeyKind::P256);
                self.issuer.publish(&new);
                self.pause(FRESH + SECOND * 2);
                self.issuer.sign_with(&new);
                self.pause(SECOND * 2);
                self.issuer
                    .withdraw(old.kid().expect("the issuer's keys have names"));
                add(&self.seen.rotations);
            }
            4 => {
                self.issuer.go_down();
                self.pause(SECOND * 3);
                self.issuer.come_up();
                add(&self.seen.outages);
            }
            _ => {
                self.server
                    .sql(&format!("SELECT validator.end_sessions('{issuer}', 'bob')"));
            }
        }
    }

    /// Ends a backend that is logging in, or has.
    pub fn terminate(&self, _round: usize) {
        let spared = self.spared.load(Ordering::SeqCst);
        let ended = self.server.value(&format!(
            "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity \
             WHERE client_addr IS NOT NULL AND pid <> {spared} ORDER BY random() LIMIT 1) AS victim"
        ));
        if ended == "1" {
            add(&self.seen.terminated);
        }
    }
}

/// A message of PostgreSQL's protocol.
fn framed(tag: Option<u8>, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a message is short");
    let tag = tag.into_iter().collect::<Vec<_>>();
    [tag.as_slice(), &length.to_be_bytes(), body].concat()
}
