//! A cold login asks the provider twice, however many log in at once; a warm one does not ask.

use std::time::Duration;

use rig::{Endpoint, Fault, Issuer, Login, reasons};

use crate::{Mode, asked, assert_settled, at_once, join, log_in};

#[test]
fn first_login_asks_twice_and_later_ones_not_at_all() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        let server = mode.server_of(&issuer).start();
        assert_eq!(asked(&issuer), (0, 0), "{mode:?}: asked before any login");
        // Each login is a backend of its own, which ends before the next one.
        for _ in 0..50 {
            log_in(&server, &issuer);
            assert_eq!(asked(&issuer), (1, 1), "{mode:?}");
        }
        join(at_once(&server, &issuer, 20))
            .into_iter()
            .for_each(|outcome| drop(outcome.session()));
        assert_eq!(issuer.requests().len(), 2, "{mode:?}");
    }
}

#[test]
fn warm_logins_need_no_provider() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().https().start();
        let server = mode.server_of(&issuer).start();
        log_in(&server, &issuer);
        issuer.go_down();
        for _ in 0..5 {
            log_in(&server, &issuer);
        }
        // What is judged of a token besides its key is judged as ever.
        let token = issuer.token("alice");
        for (spoiled, reason) in [
            (token.clone().claim("aud", "other"), "aud_mismatch"),
            (token.clone().claim("exp", 1), "expired"),
        ] {
            server.refuses("alice", &spoiled.encode(), reason);
        }
        // Whether its key was replaced cannot be asked; the cached one decides.
        let forged = token.signature_fault(rig::SignatureFault::FlippedBit);
        let mark = server.log().mark();
        let login = Login::new(&server, "alice").token(&forged.encode());
        rig::assert_silent_refusal(&login.run().refusal(), "bad_signature");
        let told: Vec<String> = reasons(&server.log().since(mark))
            .map(str::to_owned)
            .collect();
        assert_eq!(told, ["provider_unavailable", "bad_signature"], "{mode:?}");
        assert_settled(&server, &issuer);
    }
}

#[test]
fn three_hundred_logins_at_once_on_a_cold_cache_ask_twice_and_all_get_in() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        let server = mode
            .server_of(&issuer)
            .set("max_connections", "400")
            .set("validator.http_timeout", "30s")
            .start();
        // Long enough that many come while the first one asks.
        issuer.fail(Endpoint::Jwks, Fault::Delay(Duration::from_millis(700)));
        let outcomes = join(at_once(&server, &issuer, 300));
        let refused: Vec<_> = outcomes.iter().filter(|o| !o.is_session()).collect();
        assert!(
            refused.is_empty(),
            "{mode:?}: {} refused: {:?}",
            refused.len(),
            refused[0]
        );
        assert_eq!(asked(&issuer), (1, 1), "{mode:?}");
        drop(outcomes);
        assert_settled(&server, &issuer);
        assert_eq!(asked(&issuer), (1, 1), "{mode:?}");
    }
}

#[test]
fn flushed_cache_is_filled_again_by_the_next_login() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        let server = mode.server_of(&issuer).start();
        for round in 1..=3 {
            log_in(&server, &issuer);
            log_in(&server, &issuer);
            assert_eq!(asked(&issuer), (round, round), "{mode:?}");
            server.forget_keys();
        }
        // A failure is forgotten, too: the next login does not wait out the pause after it.
        let token = issuer.token("alice").encode();
        issuer.fail(Endpoint::Discovery, Fault::Status(500));
        server.refuses("alice", &token, "provider_unavailable");
        issuer.heal();
        server.refuses("alice", &token, "provider_unavailable");
        assert_eq!(
            asked(&issuer),
            (4, 3),
            "{mode:?}: asked too soon after a failure"
        );
        server.forget_keys();
        server.admits("alice", &token);
    }
}

#[test]
fn nobody_but_a_superuser_flushes_the_cache() {
    let issuer = Issuer::builder().start();
    let server = Mode::OnDemand.server_of(&issuer).start();
    server.sql("CREATE EXTENSION validator; GRANT USAGE ON SCHEMA validator TO alice; GRANT pg_monitor TO alice");
    let mut alice = server.admits("alice", &issuer.token("alice").encode());
    let error = alice
        .query("SELECT validator.flush_cache()")
        .expect_err("alice is no superuser");
    assert_eq!(error.code(), "42501");
    log_in(&server, &issuer);
    assert_eq!(asked(&issuer), (1, 1));
}
