//! Tokens of keys that nobody has seen yet: of a rotation, or made up.

use std::thread;
use std::time::Duration;

use rig::{Alg, Issuer, Key, KeyKind, Server, reasons};
use serde_json::json;

use crate::{Mode, asked, assert_settled, flood, log_in, made_up};

/// As short as it can be set.
const COOLDOWN: Duration = Duration::from_secs(1);

fn server_of(issuer: &Issuer, mode: Mode) -> Server {
    mode.server_of(issuer)
        .set("validator.jwks_refresh_cooldown", "1s")
        .start()
}

#[test]
fn key_that_the_provider_added_is_accepted_at_once_and_asked_for_once() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        let server = server_of(&issuer, mode);
        let old = issuer.token("alice").encode();
        server.admits("alice", &old);
        thread::sleep(COOLDOWN);
        issuer.rotate();
        for _ in 0..5 {
            log_in(&server, &issuer);
            server.admits("alice", &old);
        }
        assert_eq!(asked(&issuer), (2, 2), "{mode:?}");
    }
}

#[test]
fn provider_that_replaced_all_keys_locks_nobody_out() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        let server = server_of(&issuer, mode);
        let old = issuer.token("alice").encode();
        server.admits("alice", &old);
        thread::sleep(COOLDOWN);
        let key = Key::new(KeyKind::Ed25519);
        issuer.publish_only(&[key.jwk()]);
        issuer.sign_with(&key);
        let new: Vec<_> = (0..20).map(|_| issuer.token("alice").encode()).collect();
        // Many with the new key at once: one asks, and the others wait for it.
        thread::scope(|scope| {
            for token in &new {
                let server = &server;
                scope.spawn(move || server.admits("alice", token));
            }
        });
        assert_eq!(asked(&issuer), (2, 2), "{mode:?}");
        server.refuses("alice", &old, "unknown_kid");
        assert_settled(&server, &issuer);
    }
}

#[test]
fn token_without_kid_that_no_key_fits_causes_one_refresh() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer, Mode::OnDemand);
    log_in(&server, &issuer);
    thread::sleep(COOLDOWN);
    let key = Key::new(KeyKind::P256).without_kid();
    let token = issuer.token("alice").signed_by(&key, Alg::ES256).encode();
    server.refuses("alice", &token, "no_fitting_key");
    server.refuses("alice", &token, "no_fitting_key");
    assert_eq!(asked(&issuer), (2, 2));
    issuer.publish(&key);
    thread::sleep(COOLDOWN);
    server.admits("alice", &token);
}

#[test]
fn flood_of_made_up_keys_causes_one_refresh_a_cooldown_and_hinders_nobody() {
    for mode in Mode::BOTH {
        let (issuer, elsewhere) = (Issuer::builder().start(), Issuer::builder().start());
        let server = mode
            .server_of(&issuer)
            .set("validator.jwks_refresh_cooldown", "2s")
            .start();
        log_in(&server, &issuer);
        let mark = server.log().mark();
        let tokens = made_up(&issuer, &format!("{}/jwks", elsewhere.url()), 300);
        let (fetches, took) = flood(&server, &issuer, &tokens);
        let allowed = took.as_secs() / 2 + 1;
        assert!(
            fetches as u64 <= allowed,
            "{mode:?}: {fetches} fetches in {took:?}"
        );
        assert_eq!(
            elsewhere.requests().len(),
            0,
            "the token's server was asked"
        );
        let log = server.log().since(mark);
        let wrong: Vec<_> = reasons(&log).filter(|r| *r != "unknown_kid").collect();
        assert_eq!((reasons(&log).count(), wrong), (300, vec![]), "{mode:?}");
        assert_settled(&server, &issuer);
    }
}

#[test]
fn token_that_is_refused_on_sight_causes_no_request_even_on_a_cold_cache() {
    for mode in Mode::BOTH {
        let (issuer, elsewhere) = (Issuer::builder().start(), Issuer::builder().start());
        let server = mode.server_of(&issuer).start();
        let good = issuer.token("alice");
        let jku = format!("{}/jwks", elsewhere.url());
        let secret = Key::new(KeyKind::Secret);
        for (token, reason) in [
            ("opaque".to_owned(), "not_a_jwt"),
            ("a.b".to_owned(), "not_a_jwt"),
            ("e30.e30.e30".to_owned(), "alg_not_allowed"),
            (
                good.clone()
                    .header("alg", "none")
                    .header("jku", &*jku)
                    .encode(),
                "alg_not_allowed",
            ),
            (
                good.clone().signed_by(&secret, Alg::HS256).encode(),
                "alg_not_allowed",
            ),
            (
                good.clone()
                    .header("typ", "JWT")
                    .header("kid", "new")
                    .encode(),
                "typ_not_allowed",
            ),
            (
                good.clone()
                    .header("crit", json!(["x"]))
                    .header("kid", "new")
                    .encode(),
                "crit",
            ),
            (good.clone().raw_header("{\"alg\":").encode(), "header"),
            (
                good.clone().claim("filler", "x".repeat(20_000)).encode(),
                "token_too_large",
            ),
        ] {
            let mark = server.log().mark();
            let refusal = rig::Login::new(&server, "alice")
                .token(&token)
                .run()
                .refusal();
            let log = server.log().since(mark);
            let told: Vec<_> = reasons(&log).collect();
            assert!(
                told.len() == 1 && told[0].contains(reason),
                "{mode:?}: {told:?} for {reason}: {refusal:?}"
            );
        }
        assert_eq!(
            issuer.requests().len(),
            0,
            "{mode:?}: the provider was asked"
        );
        assert_eq!(
            elsewhere.requests().len(),
            0,
            "the token's server was asked"
        );
        assert_settled(&server, &issuer);
    }
}
