//! `validator.flush_cache()` while the provider is being asked: what it answers may be older than the flush, and counts
//! for nobody.

use std::thread;
use std::time::{Duration, Instant};

use rig::{Endpoint, Fault, Issuer, Key, KeyKind, Login, Outcome, Server};

use crate::{Mode, asked, assert_settled, eventually, log_in, wait_for_fetcher};

/// How long the answer that is overtaken takes.
const SLOW: Duration = Duration::from_secs(4);

/// A server that knows the issuer's keys, and may ask for them again.
fn server_of(issuer: &Issuer, mode: Mode, settings: &[(&str, &str)]) -> Server {
    let mut builder = mode
        .server_of(issuer)
        .set("validator.jwks_refresh_cooldown", "1s")
        .set("validator.http_timeout", "20s");
    for (name, value) in settings {
        builder = builder.set(name, value);
    }
    let server = builder.start();
    server.sql("CREATE EXTENSION validator");
    log_in(&server, issuer);
    thread::sleep(Duration::from_millis(1050));
    server
}

/// A login that has asked for the keys, and will get them as they are now, but slowly; later requests are answered at once.
fn slow_login(server: &Server, issuer: &Issuer, token: &str) -> thread::JoinHandle<Outcome> {
    let before = asked(issuer).1;
    issuer.fail(Endpoint::Jwks, Fault::Delay(SLOW));
    let login = Login::new(server, "alice").token(token);
    let login = thread::spawn(move || login.run());
    eventually(SLOW / 2, "the keys are asked for", || {
        asked(issuer).1 > before
    });
    issuer.heal();
    login
}

/// The provider puts another key in the place of the one that was stolen.
fn replace_key(issuer: &Issuer) {
    let key = Key::new(KeyKind::Ed25519);
    issuer.publish_only(&[key.jwk()]);
    issuer.sign_with(&key);
}

fn unknown_kid(issuer: &Issuer) -> String {
    issuer.token("alice").header("kid", "made-up").encode()
}

#[test]
fn key_that_was_withdrawn_does_not_come_back_by_a_fetch_that_a_flush_overtook() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        let server = server_of(&issuer, mode, &[]);
        let stolen = issuer.token("alice").encode();
        let forged = unknown_kid(&issuer);
        let attacker = slow_login(&server, &issuer, &forged);
        replace_key(&issuer);
        server.sql("SELECT validator.flush_cache()");
        let flushed = Instant::now();
        // Without waiting for the fetch that is still under way.
        server.refuses("alice", &stolen, "unknown_kid");
        log_in(&server, &issuer);
        assert!(flushed.elapsed() < SLOW / 2, "{mode:?}: waited");
        attacker.join().expect("no panic").refusal();
        assert!(flushed.elapsed() > SLOW / 2, "{mode:?}: not overtaken");
        server.refuses("alice", &stolen, "unknown_kid");
        assert_eq!(server.value("SELECT count(*) FROM validator.keys"), "1");
        assert_settled(&server, &issuer);
    }
}

#[test]
fn login_whose_fetch_a_flush_overtook_is_judged_by_what_is_asked_for_after() {
    for (mode, settings) in [
        // Nothing is cached; the keys are stale.
        (Mode::OnDemand, [("validator.jwks_max_ttl", "1d"); 2]),
        (
            Mode::OnDemand,
            [
                ("validator.jwks_min_ttl", "1s"),
                ("validator.jwks_max_ttl", "1s"),
            ],
        ),
    ] {
        let issuer = Issuer::builder().start();
        let server = server_of(&issuer, mode, &settings);
        let are_stale = settings[0].1 == "1s";
        if !are_stale {
            server.forget_keys();
        }
        let stolen = issuer.token("alice").encode();
        let thief = slow_login(&server, &issuer, &stolen);
        replace_key(&issuer);
        server.sql("SELECT validator.flush_cache()");
        let refusal = thief.join().expect("no panic").refusal();
        assert!(refusal.elapsed > SLOW / 2, "{are_stale}: {refusal:?}");
        log_in(&server, &issuer);
        server.refuses("alice", &stolen, "unknown_kid");
        assert_settled(&server, &issuer);
    }
}

#[test]
fn good_login_whose_fetch_a_flush_overtook_gets_in() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer, Mode::OnDemand, &[]);
    server.forget_keys();
    let before = asked(&issuer).1;
    let good = slow_login(&server, &issuer, &issuer.token("alice").encode());
    server.sql("SELECT validator.flush_cache()");
    assert!(good.join().expect("no panic").is_session());
    assert_eq!(asked(&issuer).1, before + 2);
    assert_settled(&server, &issuer);
}

#[test]
fn keys_that_a_failed_refresh_left_are_not_used_after_a_flush() {
    let issuer = Issuer::builder().start();
    let short = [
        ("validator.jwks_min_ttl", "1s"),
        ("validator.jwks_max_ttl", "1s"),
        ("validator.http_timeout", "3s"),
    ];
    let server = server_of(&issuer, Mode::OnDemand, &short);
    // Stale keys, and a refresh that will fail.
    issuer.fail(Endpoint::Jwks, Fault::HangInBody);
    let token = issuer.token("alice").encode();
    let login = Login::new(&server, "alice").token(&token);
    let login = thread::spawn(move || login.run());
    wait_for_fetcher(&server);
    server.sql("SELECT validator.flush_cache()");
    login.join().expect("no panic").refusal();
    issuer.heal();
    assert_settled(&server, &issuer);
}

#[test]
fn refresh_that_a_flush_overtook_asks_again() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer, Mode::OnDemand, &[]);
    let stolen = issuer.token("alice").encode();
    issuer.fail(Endpoint::Jwks, Fault::Delay(SLOW));
    let before = asked(&issuer).1;
    let refresh = format!("SELECT validator.refresh_keys('{}')", issuer.url());
    thread::scope(|scope| {
        scope.spawn(|| server.sql(&refresh));
        eventually(SLOW / 2, "the keys are asked for", || {
            asked(&issuer).1 > before
        });
        issuer.heal();
        replace_key(&issuer);
        server.sql("SELECT validator.flush_cache()");
    });
    assert_eq!(asked(&issuer).1, before + 2);
    server.refuses("alice", &stolen, "unknown_kid");
    log_in(&server, &issuer);
    assert_settled(&server, &issuer);
}
