//! Providers that answer where or when to ask instead.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rig::{Endpoint, Fault, Issuer, Response, Server, child};

fn redirect(status: u16, location: &str) -> Fault {
    let mut answer = Response::html(status, "moved");
    let location = ("Location".to_owned(), location.to_owned());
    answer.headers.push(location);
    Fault::Answer(answer)
}

/// Each login is refused with these parts in the log: the first that asks, and one that has only heard of it.
#[track_caller]
fn refuses(server: &Server, token: &str, first: &[&str], second: &[&str]) {
    for parts in [first, second] {
        let log = server.refuses("alice", token, "provider_unavailable").log;
        for part in parts {
            assert!(log.contains(part), "no {part:?} in: {log}");
        }
    }
}

#[test]
fn redirect_is_refused_with_the_setting_that_takes_its_place() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).start();
    let token = issuer.token("alice").encode();
    let discovery = format!("{}/.well-known/oauth-authorization-server", issuer.url());
    let path = discovery
        .strip_prefix(issuer.origin())
        .expect("of the issuer");
    for status in [301, 302, 307, 308] {
        for location in [path, &discovery] {
            issuer.fail(Endpoint::Discovery, redirect(status, location));
            server.forget_keys();
            let message = format!("answered with redirect {status} to {discovery}, which");
            let hint = format!("set validator.discovery_url = '{discovery}'.");
            let first = ["cause=redirect ", &message, &hint];
            refuses(
                &server,
                &token,
                &first,
                &[&message, "validator.discovery_url (metadata)"],
            );
        }
    }
    // The hint is right.
    server.forget_keys();
    server.reload_with(&[("validator.discovery_url", &discovery)]);
    server.admits("alice", &token);

    let keys = format!("{}/new-keys", issuer.origin());
    issuer.fail(Endpoint::Jwks, redirect(301, "/new-keys"));
    server.forget_keys();
    let hint = format!("set validator.jwks_uri = '{keys}'");
    refuses(
        &server,
        &token,
        &["cause=redirect ", &hint],
        &["cause=redirect "],
    );
    assert_eq!(issuer.hits(Endpoint::Unknown), 0, "a redirect was followed");

    // What it leads to is shown, and does nothing else.
    issuer.heal();
    server.unset("validator.discovery_url");
    server.reload();
    let hostile = format!("https://x.example/'\"\\ LOG:  forged {}", "x".repeat(9_000));
    issuer.fail(Endpoint::Discovery, redirect(302, &hostile));
    server.forget_keys();
    let log = server.refuses("alice", &token, "provider_unavailable").log;
    assert!(
        log.contains("to https://x.example/'\\\"\\\\ LOG:  forged xxx"),
        "{log}"
    );
    assert!(!log.contains(&"x".repeat(400)), "{log}");
}

#[test]
fn redirect_of_an_introspection_endpoint_is_refused_and_no_token_sent_elsewhere() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).asks_about_opaque_tokens().start();
    for status in [301, 302, 307, 308] {
        issuer.fail(Endpoint::Introspection, redirect(status, "/elsewhere"));
        let token = issuer.opaque_token("alice");
        let log = server.refuses("alice", &token, "provider_unavailable").log;
        let target = format!("{}/elsewhere", issuer.origin());
        let hint = format!("set validator.introspection_endpoint = '{target}'.");
        for part in ["cause=redirect ", hint.as_str()] {
            assert!(log.contains(part), "no {part:?} in: {log}");
        }
    }
    assert_eq!(issuer.hits(Endpoint::Unknown), 0, "a redirect was followed");
    issuer.heal();
    server.admits("alice", &issuer.opaque_token("alice"));
}

fn busy(status: u16, retry_after: &str) -> Fault {
    let mut answer = Response::html(status, "busy");
    let header = ("Retry-After".to_owned(), retry_after.to_owned());
    answer.headers.push(header);
    Fault::Answer(answer)
}

/// A provider that was asked at `start`, wants a pause of some seconds and is sound again: it gets its pause, and then a
/// login is let in.
#[track_caller]
fn gets_its_pause(
    server: &Server,
    start: Instant,
    token: impl Fn() -> String,
    asked: impl Fn() -> usize,
) {
    let before = asked();
    // Without the wish, the first pause lasts for a second and a quarter at most.
    while start.elapsed() < Duration::from_millis(2500) {
        server.refuses("alice", &token(), "provider_unavailable");
        thread::sleep(Duration::from_millis(300));
    }
    assert_eq!(asked(), before, "the provider was asked");
    let login = || rig::Login::new(server, "alice").token(&token()).run();
    while !login().is_session() {
        let waits_too_long = start.elapsed() > Duration::from_secs(20);
        assert!(!waits_too_long, "it waits too long");
        thread::sleep(Duration::from_millis(200));
    }
}

/// A date as HTTP has it, some time from now.
fn date_in(seconds: u64) -> String {
    let mut date = Command::new("date");
    date.env("LC_ALL", "C").args(["-u", "-d"]);
    date.arg(format!("+{seconds} seconds"));
    date.arg("+%a, %d %b %Y %H:%M:%S GMT");
    let date = child::run(date, Duration::from_secs(10));
    date.success().trim().to_owned()
}

#[test]
fn retry_after_is_heeded_for_metadata_and_keys() {
    for (endpoint, status, wish) in [
        (
            Endpoint::Discovery,
            429,
            (|| "4".to_owned()) as fn() -> String,
        ),
        (Endpoint::Jwks, 503, || date_in(5)),
    ] {
        let issuer = Issuer::builder().start();
        let server = Server::trusting(&issuer).start();
        let token = issuer.token("alice").encode();
        issuer.fail(endpoint, busy(status, &wish()));
        let start = Instant::now();
        let log = server.refuses("alice", &token, "provider_unavailable").log;
        let message = format!("answered with HTTP status {status}, and asks to wait for ");
        for part in [
            "cause=busy ",
            &message,
            "HINT:  The provider limits requests",
        ] {
            assert!(log.contains(part), "no {part:?} in: {log}");
        }
        issuer.heal();
        let asked = || issuer.requests().len();
        gets_its_pause(&server, start, || token.clone(), asked);
    }
}

#[test]
fn keys_in_the_cache_are_used_while_the_provider_wants_to_be_left_alone() {
    let issuer = Issuer::builder().start();
    issuer.add_header(Endpoint::Jwks, "Cache-Control", "max-age=1");
    let server = Server::trusting(&issuer)
        .set("validator.jwks_min_ttl", "1s")
        .start();
    let token = issuer.token("alice").encode();
    server.admits("alice", &token);
    issuer.fail(Endpoint::Discovery, busy(503, "3600"));
    thread::sleep(Duration::from_millis(1200));
    let asked = issuer.hits(Endpoint::Discovery);
    for _ in 0..5 {
        server.admits("alice", &token);
        thread::sleep(Duration::from_millis(400));
    }
    assert_eq!(issuer.hits(Endpoint::Discovery), asked + 1);
}

#[test]
fn retry_after_of_an_introspection_endpoint_holds_all_logins_back() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).asks_about_opaque_tokens().start();
    server.admits("alice", &issuer.opaque_token("alice"));
    issuer.fail(Endpoint::Introspection, busy(429, "4"));
    let start = Instant::now();
    let token = issuer.opaque_token("alice");
    let log = server.refuses("alice", &token, "provider_unavailable").log;
    assert!(log.contains("cause=busy "), "{log}");
    issuer.heal();
    let asked = || issuer.hits(Endpoint::Introspection);
    gets_its_pause(&server, start, || issuer.opaque_token("alice"), asked);
}
