//! The cache of the provider's words.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use pg_test::{Endpoint, Fault, Issuer, Login, Outcome, Server, now};
use serde_json::json;

use crate::{BOTH, asked, server_of};

/// Starts that many logins with this token at the same time; how many get in.
fn at_once(server: &Server, token: &str, count: usize) -> usize {
    let barrier = Arc::new(Barrier::new(count));
    let start = |_| {
        let login = Login::new(server, "alice")
            .token(token)
            .limit(Duration::from_secs(60));
        let barrier = barrier.clone();
        thread::spawn(move || {
            barrier.wait();
            login.run()
        })
    };
    let clients: Vec<_> = (0..count).map(start).collect();
    clients
        .into_iter()
        .map(|client| client.join().expect("no panic"))
        .filter(Outcome::is_session)
        .count()
}

#[test]
fn word_is_used_for_the_ttl_and_asked_for_again_after_it() {
    for (mode, preload) in [
        ("opaque", false),
        ("opaque", true),
        ("always", false),
        ("always", true),
    ] {
        let issuer = Issuer::builder().start();
        let server = server_of(&issuer, mode, preload)
            .set("validator.introspection_cache_ttl", "3s")
            .start();
        let token = match mode {
            "opaque" => issuer.opaque_token("alice"),
            _ => issuer.token("alice").encode(),
        };
        issuer.say(&token, issuer.word_on("alice"));
        server.admits("alice", &token);
        let discoveries = asked(&issuer).0;
        for _ in 0..3 {
            server.admits("alice", &token);
        }
        assert_eq!(
            asked(&issuer),
            (discoveries, 1),
            "{mode}, preload: {preload}"
        );
        issuer.revoke(&token);
        thread::sleep(Duration::from_millis(3100));
        server.refuses("alice", &token, "token_inactive");
        assert_eq!(
            asked(&issuer),
            (discoveries, 2),
            "{mode}, preload: {preload}"
        );
        // "No" is remembered, too, but not for long.
        server.refuses("alice", &token, "token_inactive");
        assert_eq!(asked(&issuer), (discoveries, 2));
        issuer.say(&token, issuer.word_on("alice"));
        thread::sleep(Duration::from_millis(3100));
        server.admits("alice", &token);
    }
}

#[test]
fn word_is_never_used_past_the_tokens_end() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer, "opaque", false)
        .set("validator.introspection_cache_ttl", "1h")
        .start();
    let token = issuer.opaque_token("alice");
    let mut word = issuer.word_on("alice");
    word["exp"] = json!(now() + 3);
    issuer.say(&token, word);
    server.admits("alice", &token);
    thread::sleep(Duration::from_secs(4));
    // Still within clock_skew, so only the provider can know.
    issuer.revoke(&token);
    server.refuses("alice", &token, "token_inactive");
    assert_eq!(asked(&issuer).1, 2);
}

#[test]
fn outage_is_survived_within_the_ttl_only() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = server_of(&issuer, "opaque", preload)
            .set("validator.introspection_cache_ttl", "3s")
            .start();
        let token = issuer.opaque_token("alice");
        server.admits("alice", &token);
        issuer.go_down();
        server.admits("alice", &token);
        thread::sleep(Duration::from_millis(3100));
        server.refuses("alice", &token, "provider_unavailable");
        issuer.come_up();
        server.forget_keys();
        server.admits("alice", &token);
    }
}

#[test]
fn of_many_logins_with_one_token_one_asks() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = server_of(&issuer, "opaque", preload)
            .set("validator.http_timeout", "30s")
            .start();
        let token = issuer.opaque_token("alice");
        issuer.fail(
            Endpoint::Introspection,
            Fault::Delay(Duration::from_secs(1)),
        );
        assert_eq!(at_once(&server, &token, 12), 12, "preload: {preload}");
        assert_eq!(asked(&issuer), (1, 1), "preload: {preload}");
    }
}

#[test]
fn failure_is_told_to_all_who_waited_for_it() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer, "opaque", false)
        .set("validator.http_timeout", "2s")
        .start();
    let token = issuer.opaque_token("alice");
    issuer.fail(Endpoint::Introspection, Fault::Hang);
    assert_eq!(at_once(&server, &token, 8), 0);
    assert_eq!(asked(&issuer), (1, 1));
}

#[test]
fn answer_that_is_too_large_to_keep_is_used() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer, "opaque", false).start();
    let token = issuer.opaque_token("alice");
    let mut word = issuer.word_on("alice");
    word["groups"] = json!(vec!["a group with a long name"; 500]);
    issuer.say(&token, word);
    for _ in 0..2 {
        server.admits("alice", &token);
    }
    assert_eq!(asked(&issuer), (1, 2));
}

#[test]
fn changed_client_or_endpoint_asks_again() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer, "opaque", false).start();
    let token = issuer.opaque_token("alice");
    server.admits("alice", &token);
    server.reload_with(&[("validator.client_id", "pg2")]);
    server.admits("alice", &token);
    assert_eq!(asked(&issuer).1, 2);
    let endpoint = format!("{}/introspect", issuer.url());
    server.reload_with(&[("validator.introspection_endpoint", &endpoint)]);
    server.admits("alice", &token);
    assert_eq!(asked(&issuer).1, 3);
    // What it is judged by is looked at each time, cached or not.
    server.reload_with(&[("validator.audience", "https://other.test/")]);
    server.refuses("alice", &token, "aud_mismatch");
    assert_eq!(asked(&issuer).1, 3);
}

#[test]
fn least_recently_used_word_makes_room() {
    let issuer = Issuer::builder().start();
    let endpoint = format!("{}/introspect", issuer.url());
    let server = server_of(&issuer, "opaque", true)
        .set("validator.introspection_cache_entries", "16")
        .set("validator.introspection_endpoint", &endpoint)
        .set("validator.introspection_cache_ttl", "1h")
        .start();
    let tokens: Vec<_> = (0..16).map(|_| issuer.opaque_token("alice")).collect();
    for token in &tokens {
        server.admits("alice", token);
    }
    // The first is used again, so the second is the one to go.
    server.admits("alice", &tokens[0]);
    assert_eq!(asked(&issuer).1, 16);
    server.admits("alice", &issuer.opaque_token("alice"));
    assert_eq!(asked(&issuer).1, 17);
    server.admits("alice", &tokens[0]);
    assert_eq!(asked(&issuer).1, 17);
    server.admits("alice", &tokens[1]);
    assert_eq!(asked(&issuer).1, 18);
    // Tokens that nobody issued take one another's place, and at most one of a good token's.
    for n in 0..30 {
        server.refuses("alice", &format!("made-up-{n:04}"), "token_inactive");
    }
    let before = asked(&issuer).1;
    for token in tokens.iter().skip(4) {
        server.admits("alice", token);
    }
    assert_eq!(asked(&issuer).1, before);
}

#[test]
fn crash_restart_leaves_an_empty_cache_that_works() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer, "opaque", true).start();
    let token = issuer.opaque_token("alice");
    let session = server.admits("alice", &token);
    let postmaster = server.postmaster_pid();
    let pid = i32::try_from(session.pid()).expect("a process id");
    // SAFETY: the process is a backend of this test's own server.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    thread::sleep(Duration::from_secs(2));
    server.wait_for_backend("true");
    assert_eq!(server.postmaster_pid(), postmaster);
    server.admits("alice", &token);
    assert_eq!(asked(&issuer).1, 2);
}
