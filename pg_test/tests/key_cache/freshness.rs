//! How long keys are used before they are fetched again, and how long if that fails.

use std::thread;
use std::time::{Duration, Instant};

use rig::{Endpoint, Fault, Issuer, Login, Server};

use crate::{
    Mode, asked, assert_settled, failed_refreshes, log_in, log_in_by, server_of_many,
    wait_for_fetcher,
};

const SECOND: Duration = Duration::from_secs(1);

/// Logs in by the Nth issuer until that asks the provider again. The keys were fresh for longer than the
/// first time that is returned, and for no longer than the second: bounds that hold on the slowest machine.
fn measure_freshness(server: &Server, issuers: &[Issuer], n: usize) -> (Duration, Duration) {
    let before_first = Instant::now();
    log_in_by(server, issuers, n);
    let after_first = Instant::now();
    assert_eq!(asked(&issuers[n]), (1, 1));
    let mut fresh_for = Duration::ZERO;
    loop {
        thread::sleep(Duration::from_millis(50));
        let start = Instant::now();
        log_in_by(server, issuers, n);
        if asked(&issuers[n]) != (1, 1) {
            return (fresh_for, before_first.elapsed());
        }
        fresh_for = start.saturating_duration_since(after_first);
        assert!(fresh_for < SECOND * 10, "fresh for {fresh_for:?} already");
    }
}

#[test]
fn keys_are_fresh_for_as_long_as_the_answer_says_within_the_limits() {
    // The headers of the key set's answer; the seconds that it is to be fresh for.
    let cases: [(&[(&str, &str)], u32); 8] = [
        (&[("Cache-Control", "max-age=3")], 3),
        (&[("Cache-Control", "public, max-age=86400")], 4),
        (&[("Cache-Control", "max-age=1")], 2),
        (&[("Cache-Control", "no-store")], 2),
        (&[("Cache-Control", "no-cache, max-age=86400")], 2),
        (&[("Cache-Control", "max-age=100"), ("Age", "97")], 3),
        (&[("Cache-Control", "max-age=never")], 2),
        (&[], 4),
    ];
    let issuers: Vec<Issuer> = cases.iter().map(|_| Issuer::builder().start()).collect();
    for (issuer, (headers, _)) in issuers.iter().zip(cases) {
        for (name, value) in headers {
            issuer.add_header(Endpoint::Jwks, name, value);
        }
        // What the metadata's answer says is not about the keys.
        issuer.add_header(Endpoint::Discovery, "Cache-Control", "no-store");
    }
    let settings = [
        ("validator.jwks_min_ttl", "2s"),
        ("validator.jwks_max_ttl", "4s"),
    ];
    let server = server_of_many(&issuers, Mode::OnDemand, &settings);
    thread::scope(|scope| {
        for (n, (headers, seconds)) in cases.into_iter().enumerate() {
            let (server, issuers) = (&server, &issuers);
            scope.spawn(move || {
                let (longer_than, at_most) = measure_freshness(server, issuers, n);
                let wanted = SECOND * seconds;
                assert!(
                    longer_than < wanted && wanted <= at_most,
                    "{headers:?}: {longer_than:?} to {at_most:?}"
                );
            });
        }
    });
}

/// A server whose keys are stale a second after they were fetched.
fn with_stale_keys(issuer: &Issuer, settings: &[(&str, &str)]) -> Server {
    issuer.add_header(Endpoint::Jwks, "Cache-Control", "no-store");
    let mut builder = Server::trusting(issuer).set("validator.jwks_min_ttl", "1s");
    for (name, value) in settings {
        builder = builder.set(name, value);
    }
    let server = builder.start();
    log_in(&server, issuer);
    thread::sleep(SECOND + Duration::from_millis(50));
    server
}

#[test]
fn stale_keys_are_refreshed_by_one_login_while_a_provider_that_hangs_holds_up_no_other() {
    let issuer = Issuer::builder().start();
    let server = with_stale_keys(&issuer, &[("validator.http_timeout", "3s")]);
    let mark = server.log().mark();
    issuer.fail(Endpoint::Jwks, Fault::HangInBody);
    let token = issuer.token("alice").encode();
    let login = Login::new(&server, "alice").token(&token);
    let first = thread::spawn(move || login.run());
    wait_for_fetcher(&server);
    for _ in 0..10 {
        log_in(&server, &issuer);
    }
    assert!(!first.is_finished(), "the provider does not hang");
    assert_eq!(asked(&issuer), (2, 2), "more than one asked");
    // The one that asked in vain gets in, too: its keys are still good.
    first.join().expect("no panic").session();
    assert_eq!(failed_refreshes(&server, mark), 1);
    assert_settled(&server, &issuer);
}

#[test]
fn provider_that_got_little_time_is_not_left_alone() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        issuer.fail(Endpoint::Discovery, Fault::HangInBody);
        let server = mode
            .server_of(&issuer)
            .set("validator.http_timeout", "12s")
            .start();
        let token = issuer.token("alice").encode();
        let [first, second] = [0, 1].map(|_| Login::new(&server, "alice").token(&token));
        let first = thread::spawn(move || first.run());
        let pid = server.wait_for_backend("wait_event = 'ValidatorFetch'");
        let second = thread::spawn(move || second.run());
        server.wait_for_backend("wait_event = 'ValidatorWait'");
        thread::sleep(SECOND * 7);
        // The second takes over, when more than half of its time has gone.
        server.sql(&format!("SELECT pg_terminate_backend({pid})"));
        for login in [first, second] {
            assert!(!login.join().expect("no panic").is_session());
        }
        assert_eq!(asked(&issuer).0, 2);
        issuer.heal();
        log_in(&server, &issuer);
    }
}

#[test]
fn logins_go_on_with_stale_keys_until_the_provider_has_been_away_for_too_long() {
    let issuer = Issuer::builder().start();
    issuer.add_header(Endpoint::Jwks, "Cache-Control", "no-store");
    let server = Server::trusting(&issuer)
        .set("validator.jwks_min_ttl", "1s")
        .set("validator.jwks_stale_ttl", "3s")
        .start();
    let before_first = Instant::now();
    log_in(&server, &issuer);
    let after_first = Instant::now();
    issuer.go_down();
    let token = issuer.token("alice").encode();
    let mut used_for = Duration::ZERO;
    loop {
        let start = Instant::now();
        let mark = server.log().mark();
        let outcome = Login::new(&server, "alice").token(&token).run();
        if !outcome.is_session() {
            rig::assert_silent_refusal(&outcome.refusal(), "provider_unavailable");
            let log = server.log().since(mark);
            assert!(
                log.contains("reason=provider_unavailable cause=connection"),
                "{log}"
            );
            break;
        }
        used_for = start.saturating_duration_since(after_first);
        assert!(used_for < SECOND * 10, "keys of {used_for:?} ago are used");
        thread::sleep(Duration::from_millis(50));
    }
    assert!(
        used_for > SECOND && used_for < SECOND * 3 && before_first.elapsed() >= SECOND * 3,
        "keys were used for {used_for:?}"
    );
    // Nobody gets in by old keys any more, but by new ones as soon as there are some.
    issuer.come_up();
    server.forget_keys();
    assert_settled(&server, &issuer);
}

#[test]
fn key_that_the_provider_withdrew_is_refused_after_the_next_refresh() {
    let issuer = Issuer::builder().start();
    let old = issuer.token("alice").encode();
    let old_kid = issuer.signing_key().kid().expect("a kid").to_owned();
    let server = with_stale_keys(&issuer, &[("validator.jwks_max_ttl", "1s")]);
    issuer.rotate();
    issuer.withdraw(&old_kid);
    server.refuses("alice", &old, "unknown_kid");
    // No login asks once more because of that.
    let before = asked(&issuer);
    server.refuses("alice", &old, "unknown_kid");
    assert_eq!((before, asked(&issuer)), ((2, 2), (2, 2)));
    log_in(&server, &issuer);
}

#[test]
fn lower_limit_that_is_set_later_counts_from_the_next_answer() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).start();
    log_in(&server, &issuer);
    server.reload_with(&[
        ("validator.jwks_min_ttl", "1s"),
        ("validator.jwks_max_ttl", "1s"),
    ]);
    log_in(&server, &issuer);
    assert_eq!(asked(&issuer), (1, 1));
    server.forget_keys();
    log_in(&server, &issuer);
    thread::sleep(SECOND + Duration::from_millis(50));
    log_in(&server, &issuer);
    assert_eq!(asked(&issuer), (3, 3));
}
