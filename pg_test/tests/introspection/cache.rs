//! The cache of the provider's words.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use rig::{Authority, Endpoint, Fault, Issuer, Login, Outcome, Server, now, oauth_line};
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
    // About this token, and about one that nobody has sent.
    assert_eq!(asked(&issuer), (1, 2));
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
fn changed_file_asks_again() {
    let authority = |server: &Server, name: &str| {
        let pem = std::fs::read_to_string(Authority::shared().file()).expect("a file of ours");
        server.private_file(name, &pem).display().to_string()
    };
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer, "opaque", false)
        .set("validator.introspection_cache_ttl", "1h")
        .set("validator.client_auth_method", "client_secret_post")
        .start();
    let secret = |name: &str, text: &str| {
        let file = server.private_file(name, text).display().to_string();
        server.reload_with(&[("validator.client_secret_file", &file)]);
    };
    let token = issuer.opaque_token("alice");
    let mut requests = 0;
    let mut asks = |why: &str, new: usize| {
        requests += new;
        for _ in 0..2 {
            server.admits("alice", &token);
            assert_eq!(asked(&issuer).1, requests, "{why}");
        }
    };
    secret("secret", "one");
    asks("nothing is known", 1);
    secret("secret", "one and more");
    asks("another secret", 1);
    secret("another", "one and more");
    asks("another file", 1);
    server.reload_with(&[("validator.ca_file", &authority(&server, "ca"))]);
    asks("another authority", 1);
    authority(&server, "ca");
    asks("the same authority, written again", 1);
    let bearer = server.private_file("bearer", "x").display().to_string();
    server.reload_with(&[("validator.http_bearer_file", &bearer)]);
    asks("another bearer token", 1);
    server.private_file("bearer", "y2");
    asks("a new one in the same file", 1);
    for setting in ["client_key_file", "client_cert_file"] {
        server.reload_with(&[(&format!("validator.{setting}"), &bearer)]);
        asks(setting, 1);
    }
    // Nothing is left of what was stored under a secret that is gone.
    std::fs::remove_file(server.private_file("another", "x")).expect("it is there");
    server.refuses("alice", &token, "setting_invalid");
    secret("another", "back again");
    asks("a file that is back", 1);
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
    server.kill(session.pid());
    assert_eq!(server.postmaster_pid(), postmaster);
    server.admits("alice", &token);
    assert_eq!(asked(&issuer).1, 2);
}

#[test]
fn flush_forgets_every_word_at_once() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = server_of(&issuer, "opaque", preload)
            .set("validator.introspection_cache_ttl", "1h")
            .start();
        let (yes, no) = (issuer.opaque_token("alice"), "made-up-token");
        server.admits("alice", &yes);
        server.refuses("alice", no, "token_inactive");
        issuer.revoke(&yes);
        issuer.say(no, issuer.word_on("alice"));
        server.admits("alice", &yes);
        server.refuses("alice", no, "token_inactive");
        assert_eq!(asked(&issuer).1, 2, "preload: {preload}");
        server.forget_keys();
        server.refuses("alice", &yes, "token_inactive");
        server.admits("alice", no);
        assert_eq!(asked(&issuer).1, 4, "preload: {preload}");
    }
}

#[test]
fn words_of_one_issuer_are_flushed_and_nothing_else() {
    for preload in BOTH {
        let (issuer, other) = (Issuer::builder().start(), Issuer::builder().start());
        let server = server_of(&issuer, "opaque", preload)
            .set("validator.introspection_cache_ttl", "1h")
            .start();
        let line = |issuer: &Issuer, role: &str| {
            oauth_line(issuer.url(), "").replace("all all", &format!("all {role}"))
        };
        server.set_hba(&[&line(&issuer, "alice"), &line(&other, "bob")]);
        server.reload();
        server.sql("CREATE EXTENSION validator");
        let (yes, no, others) = (
            issuer.opaque_token("alice"),
            "made-up-token",
            other.opaque_token("bob"),
        );
        let signed = issuer.token("alice").encode();
        let log_in = || {
            server.admits("alice", &signed);
            server.admits("bob", &others);
        };
        server.admits("alice", &yes);
        server.refuses("alice", no, "token_inactive");
        log_in();
        let keys = || {
            let view = "SELECT string_agg(concat_ws(',', issuer, state, keys, fetched_at), ';') FROM validator.issuers";
            let fetches = issuer.hits(Endpoint::Jwks) + other.hits(Endpoint::Jwks);
            (server.value(view), fetches)
        };
        let (known, discoveries) = (keys(), asked(&issuer).0);
        issuer.revoke(&yes);
        issuer.say(no, issuer.word_on("alice"));
        other.revoke(&others);
        let flush = |url: &str| server.value(&format!("SELECT validator.flush_answers('{url}')"));
        for url in ["", "https://idp.test", &format!("{}/", issuer.url())] {
            assert_eq!(flush(url), "0", "{url}");
        }
        server.admits("alice", &yes);
        assert_eq!(flush(issuer.url()), "2", "preload: {preload}");
        assert_eq!(flush(issuer.url()), "0");
        server.refuses("alice", &yes, "token_inactive");
        server.admits("alice", no);
        log_in();
        assert_eq!(asked(&issuer), (discoveries, 4), "preload: {preload}");
        assert_eq!(asked(&other).1, 1, "preload: {preload}");
        assert_eq!(keys(), known, "preload: {preload}");
    }
}

#[test]
fn word_that_was_on_its_way_during_a_flush_is_not_kept() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = server_of(&issuer, "opaque", preload)
            .set("validator.introspection_cache_ttl", "1h")
            .set("validator.http_timeout", "60s")
            .start();
        let token = issuer.opaque_token("alice");
        issuer.fail(
            Endpoint::Introspection,
            Fault::Delay(Duration::from_secs(2)),
        );
        let login = Login::new(&server, "alice").token(&token);
        let on_its_way = thread::spawn(move || login.run());
        while asked(&issuer).1 == 0 {
            thread::sleep(Duration::from_millis(5));
        }
        issuer.revoke(&token);
        server.forget_keys();
        // It was asked about again, and what was said then is kept.
        assert!(!on_its_way.join().expect("no panic").is_session());
        issuer.heal();
        server.refuses("alice", &token, "token_inactive");
        assert_eq!(asked(&issuer).1, 2, "preload: {preload}");
    }
}

#[test]
fn shorter_ttl_counts_at_once() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer, "opaque", false)
        .set("validator.introspection_cache_ttl", "1h")
        .start();
    let token = issuer.opaque_token("alice");
    server.admits("alice", &token);
    issuer.revoke(&token);
    server.admits("alice", &token);
    server.reload_with(&[("validator.introspection_cache_ttl", "10s")]);
    server.refuses("alice", &token, "token_inactive");
    // Without a cache, each login asks.
    server.reload_with(&[("validator.introspection_cache_ttl", "0")]);
    issuer.say(&token, issuer.word_on("alice"));
    let before = asked(&issuer).1;
    for _ in 0..3 {
        server.admits("alice", &token);
    }
    assert_eq!(asked(&issuer).1, before + 3);
}

#[test]
fn no_is_remembered_for_ten_seconds_at_most() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer, "opaque", false)
        .set("validator.introspection_cache_ttl", "1h")
        .start();
    server.refuses("alice", "not-yet-issued", "token_inactive");
    issuer.say("not-yet-issued", issuer.word_on("alice"));
    server.refuses("alice", "not-yet-issued", "token_inactive");
    assert_eq!(asked(&issuer).1, 1);
    thread::sleep(Duration::from_millis(10_200));
    server.admits("alice", "not-yet-issued");
    assert_eq!(asked(&issuer).1, 2);
}

/// Whether the memory that the server's processes share has these bytes, by the files of POSIX shared memory.
fn shared_memory_has(needle: &str) -> bool {
    let files = std::fs::read_dir("/dev/shm").expect("it is mounted");
    let segments = files.flatten().filter(|file| {
        file.file_name()
            .to_string_lossy()
            .starts_with("PostgreSQL.")
    });
    segments
        .filter_map(|segment| std::fs::read(segment.path()).ok())
        .any(|memory| memory.windows(needle.len()).any(|w| w == needle.as_bytes()))
}

#[test]
fn neither_token_nor_secret_is_in_shared_memory() {
    const SECRET: &str = "the secret of this very client";
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer, "opaque", false)
        .set("validator.client_auth_method", "client_secret_post")
        .set("dynamic_shared_memory_type", "posix")
        .start();
    let file = server.private_file("secret", SECRET).display().to_string();
    server.reload_with(&[("validator.client_secret_file", &file)]);
    let token = issuer.opaque_token("alice");
    let mut word = issuer.word_on("alice");
    // Some providers repeat it.
    word["access_token"] = json!(token);
    word["note"] = json!(format!("kept-with-{token}"));
    word["department"] = json!(format!("department-of-{}", server.port()));
    issuer.say(&token, word);
    server.admits("alice", &token);
    server.admits("alice", &token);
    assert_eq!(asked(&issuer).1, 1);
    assert!(shared_memory_has(&format!(
        "department-of-{}",
        server.port()
    )));
    assert!(!shared_memory_has(&token));
    assert!(!shared_memory_has(SECRET));
}
