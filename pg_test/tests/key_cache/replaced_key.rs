//! A key that is replaced under its name, as development providers do at each start: the signature of a good token is
//! then bad by the cached key, as that of every forged one is.

use std::fs;
use std::time::{Duration, Instant};

use rig::{Alg, Endpoint, Fault, Issuer, Key, KeyKind, Server, SignatureFault, reasons, scratch};
use serde_json::{Value, json};

use crate::{
    Mode, asked, assert_settled, at_once, eventually, failed_refreshes, flood, join, log_in,
    made_up, wait_for_fetcher,
};

/// A provider whose answers are good for a day, with one key of this name.
fn provider(kid: Option<&str>) -> Issuer {
    let issuer = Issuer::builder().key(key(kid)).start();
    issuer.add_header(Endpoint::Jwks, "Cache-Control", "max-age=86400");
    issuer
}

fn key(kid: Option<&str>) -> Key {
    let key = Key::new(KeyKind::P256);
    kid.map_or_else(|| key.without_kid(), |kid| key.with_kid(kid))
}

/// The provider starts again, and has a new key of the same name.
fn restart(issuer: &Issuer) {
    let new = key(issuer.signing_key().kid());
    issuer.publish_only(&[new.jwk()]);
    issuer.sign_with(&new);
}

fn server_of(issuer: &Issuer, mode: Mode, cooldown: &str) -> Server {
    mode.server_of(issuer)
        .set("validator.jwks_refresh_cooldown", cooldown)
        .start()
}

/// Tokens that were altered after they were signed.
fn forged(issuer: &Issuer, count: usize) -> Vec<String> {
    let token = |_| {
        let token = issuer.token("alice");
        token.signature_fault(SignatureFault::FlippedBit).encode()
    };
    (0..count).map(token).collect()
}

/// Tokens that name the provider's key, and are signed by one of another type.
fn of_another_type(issuer: &Issuer, count: usize) -> Vec<String> {
    let kid = issuer.signing_key().kid().unwrap_or_default().to_owned();
    let key = Key::new(KeyKind::P384).with_kid(&kid);
    let token = issuer.token("alice").signed_by(&key, Alg::ES384);
    (0..count)
        .map(|n| token.clone().claim("n", n).encode())
        .collect()
}

#[test]
fn replaced_key_is_fetched_at_the_first_login_and_then_not_for_a_cooldown() {
    for mode in Mode::BOTH {
        for kid in [Some("1"), None] {
            let issuer = provider(kid);
            let server = server_of(&issuer, mode, "1h");
            log_in(&server, &issuer);
            let old = issuer.token("alice").encode();
            restart(&issuer);
            log_in(&server, &issuer);
            assert_eq!(asked(&issuer), (2, 2), "{mode:?}");
            for _ in 0..3 {
                log_in(&server, &issuer);
                let verdict = server.refuses("alice", &old, "bad_signature");
                for told in [
                    "its key was replaced under the same \"kid\"",
                    "a token that comes in 3",
                    "since the keys were fetched, at 20",
                    "validator.refresh_keys('",
                ] {
                    assert!(verdict.log.contains(told), "{}", verdict.log);
                }
            }
            // Once more within the cooldown: what the hint says helps.
            restart(&issuer);
            server.refuses("alice", &issuer.token("alice").encode(), "bad_signature");
            assert_eq!(asked(&issuer), (2, 2), "{mode:?}");
            server.sql(&format!(
                "CREATE EXTENSION validator; SELECT validator.refresh_keys('{}')",
                issuer.url()
            ));
            log_in(&server, &issuer);
            restart(&issuer);
            server.sql("SELECT validator.flush_cache()");
            log_in(&server, &issuer);
            assert_eq!(asked(&issuer), (4, 4), "{mode:?}");
            assert_settled(&server, &issuer);
        }
    }
}

/// The cached keys have one of the token's name, and say that it is not for this token.
#[test]
fn key_that_was_replaced_by_one_of_another_type_or_use_is_fetched_at_the_first_login() {
    let (rsa, ec) = (Key::new(KeyKind::Rsa), Key::new(KeyKind::P256));
    let named = |key: &Key| key.with_kid("1");
    let of_twins: Vec<Value> = (0..5)
        .map(|_| named(&Key::new(KeyKind::P256)).jwk())
        .collect();
    let other = Key::new(KeyKind::P384);
    for (before, reason) in [
        (vec![named(&rsa).jwk()], "key_unsuitable"),
        (
            vec![named(&ec).jwk_with(json!({"use": "enc"}))],
            "key_unsuitable",
        ),
        (of_twins, "ambiguous_key"),
    ] {
        for mode in Mode::BOTH {
            let issuer = provider(Some("1"));
            let old = [&before[..], &[other.jwk()]].concat();
            issuer.publish_only(&old);
            let server = server_of(&issuer, mode, "1h");
            let sign = |key: &Key| {
                issuer
                    .token("alice")
                    .signed_by(key, key.default_alg())
                    .encode()
            };
            server.admits("alice", &sign(&other));
            issuer.publish_only(&[named(&ec).jwk(), other.jwk()]);
            issuer.sign_with(&named(&ec));
            log_in(&server, &issuer);
            log_in(&server, &issuer);
            assert_eq!(asked(&issuer), (2, 2), "{mode:?} {reason}");
            // Within the cooldown the hint says what helps.
            issuer.publish_only(&old);
            server.sql(&format!(
                "CREATE EXTENSION validator; SELECT validator.refresh_keys('{}')",
                issuer.url()
            ));
            issuer.publish_only(&[named(&ec).jwk()]);
            let verdict = server.refuses("alice", &issuer.token("alice").encode(), reason);
            for told in [
                "The provider may have changed its keys since they were fetched, at 20",
                "a token that comes in 3",
                "validator.refresh_keys('",
            ] {
                assert!(verdict.log.contains(told), "{}", verdict.log);
            }
            assert_eq!(asked(&issuer), (3, 3), "{mode:?} {reason}");
            server.sql("SELECT validator.flush_cache()");
            log_in(&server, &issuer);
            assert_settled(&server, &issuer);
        }
    }
}

#[test]
fn of_many_logins_with_a_replaced_key_one_asks_and_all_get_in() {
    for mode in Mode::BOTH {
        let issuer = provider(Some("1"));
        let server = server_of(&issuer, mode, "1h");
        log_in(&server, &issuer);
        restart(&issuer);
        issuer.fail(Endpoint::Jwks, Fault::Delay(Duration::from_millis(300)));
        for outcome in join(at_once(&server, &issuer, 20)) {
            drop(outcome.session());
        }
        assert_eq!(asked(&issuer), (2, 2), "{mode:?}");
        assert_settled(&server, &issuer);
    }
}

#[test]
fn forged_tokens_cause_no_more_requests_than_made_up_keys() {
    for mode in Mode::BOTH {
        let issuer = provider(Some("1"));
        let server = server_of(&issuer, mode, "2s");
        log_in(&server, &issuer);
        let mark = server.log().mark();
        // All share one cooldown.
        let mut tokens = forged(&issuer, 40);
        tokens.extend(made_up(&issuer, "https://elsewhere.example/", 40));
        tokens.extend(of_another_type(&issuer, 40));
        let (fetches, took) = flood(&server, &issuer, &tokens);
        let allowed = took.as_secs() / 2 + 1;
        assert!(
            fetches as u64 <= allowed,
            "{mode:?}: {fetches} fetches in {took:?}"
        );
        let log = server.log().since(mark);
        let refused = |reason: &str| reasons(&log).filter(|told| *told == reason).count();
        for reason in ["bad_signature", "unknown_kid", "key_unsuitable"] {
            assert_eq!(refused(reason), 40, "{mode:?} {reason}");
        }
        // On a cold cache, the fetch that each of them needs is the one that they cause.
        server.reload_with(&[("validator.jwks_refresh_cooldown", "1h")]);
        server.forget_keys();
        let before = asked(&issuer);
        for token in tokens[35..45].iter().chain(&tokens[78..85]) {
            assert!(
                !rig::Login::new(&server, "alice")
                    .token(token)
                    .run()
                    .is_session()
            );
        }
        let after = asked(&issuer);
        assert_eq!((after.0 - before.0, after.1 - before.1), (1, 1), "{mode:?}");
        assert_settled(&server, &issuer);
    }
}

#[test]
fn honest_logins_do_not_wait_for_what_a_forged_token_causes() {
    for mode in Mode::BOTH {
        let issuer = provider(Some("1"));
        let server = mode
            .server_of(&issuer)
            .set("validator.http_timeout", "3s")
            .start();
        log_in(&server, &issuer);
        issuer.fail(Endpoint::Jwks, Fault::HangInBody);
        let mark = server.log().mark();
        let token = forged(&issuer, 1).remove(0);
        let login = rig::Login::new(&server, "alice").token(&token);
        let attack = std::thread::spawn(move || login.run());
        wait_for_fetcher(&server);
        let start = Instant::now();
        for _ in 0..5 {
            log_in(&server, &issuer);
        }
        assert!(!attack.is_finished(), "after {:?}", start.elapsed());
        assert!(!attack.join().expect("no panic").is_session());
        // The cached keys have decided; that they could not be fetched again is told, too.
        let told: Vec<String> = reasons(&server.log().since(mark))
            .map(str::to_owned)
            .collect();
        assert_eq!(told, ["provider_unavailable", "bad_signature"], "{mode:?}");
        assert_eq!(failed_refreshes(&server, mark), 1);
        // During the pause after the failure nobody asks.
        let before = asked(&issuer);
        server.refuses("alice", &token, "bad_signature");
        assert_eq!(asked(&issuer), before, "{mode:?}");
        issuer.heal();
        assert_settled(&server, &issuer);
    }
}

#[test]
fn file_is_read_again_only_when_it_has_changed() {
    let issuer = provider(Some("1"));
    let path = scratch::new_folder("jwks").join("keys.json");
    let write = || {
        let keys = json!({ "keys": [issuer.signing_key().jwk()] }).to_string();
        fs::write(&path, keys).expect("the file can be written");
    };
    write();
    let server = Server::trusting(&issuer)
        .set("validator.jwks_file", &path.display().to_string())
        .start();
    log_in(&server, &issuer);
    let old = issuer.token("alice").encode();
    restart(&issuer);
    let verdict = server.refuses("alice", &issuer.token("alice").encode(), "bad_signature");
    assert!(!verdict.log.contains("refresh_keys"), "{}", verdict.log);
    write();
    log_in(&server, &issuer);
    server.refuses("alice", &old, "bad_signature");
    assert_eq!(issuer.requests().len(), 0);
}

#[test]
fn scheduled_refresh_does_not_hold_back_the_first_token_of_a_new_key() {
    let issuer = Issuer::builder().start();
    issuer.add_header(Endpoint::Jwks, "Cache-Control", "no-store");
    for mode in Mode::BOTH {
        let server = mode
            .server_of(&issuer)
            .set("validator.jwks_min_ttl", "1s")
            .set("validator.jwks_refresh_cooldown", "1h")
            .start();
        log_in(&server, &issuer);
        let first = asked(&issuer);
        eventually(Duration::from_secs(20), "the keys are refreshed", || {
            log_in(&server, &issuer);
            asked(&issuer) != first
        });
        server.reload_with(&[("validator.jwks_min_ttl", "1d")]);
        server.forget_keys();
        log_in(&server, &issuer);
        let before = asked(&issuer).1;
        issuer.rotate();
        log_in(&server, &issuer);
        assert_eq!(asked(&issuer).1 - before, 1, "{mode:?}");
        // The next one of the kind waits, and is told how long.
        let key = issuer.rotate();
        let verdict = server.refuses("alice", &issuer.token("alice").encode(), "unknown_kid");
        for told in [
            "If the token is newer than the keys",
            "a token that comes in 3",
            "validator.refresh_keys('http",
        ] {
            assert!(verdict.log.contains(told), "{}", verdict.log);
        }
        let nameless = issuer
            .token("alice")
            .signed_by(&Key::new(KeyKind::P384).without_kid(), Alg::ES384);
        let verdict = server.refuses("alice", &nameless.encode(), "no_fitting_key");
        assert!(
            verdict.log.contains("a token that comes in 3"),
            "{}",
            verdict.log
        );
        server.forget_keys();
        server.admits(
            "alice",
            &issuer.token("alice").signed_by(&key, Alg::ES256).encode(),
        );
        // What was fetched for this very token is as new as can be.
        server.forget_keys();
        let stranger = issuer.token("alice").header("kid", "made-up").encode();
        let verdict = server.refuses("alice", &stranger, "unknown_kid");
        assert!(!verdict.log.contains("refresh_keys"), "{}", verdict.log);
        assert!(
            verdict.log.contains("is from another issuer"),
            "{}",
            verdict.log
        );
    }
}
