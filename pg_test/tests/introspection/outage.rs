//! While the provider is down, one login at a time finds out whether it still is, and no other waits for that. It is down
//! only if it does not answer about a token that nobody has sent, either.

use std::thread;
use std::time::{Duration, Instant};

use rig::{Endpoint, Fault, Issuer, Login, Response, Server, ServerBuilder, StopMode};

use crate::{BOTH, asked, server_of};

/// How long the first login waits that finds the provider hanging.
const TIMEOUT: Duration = Duration::from_secs(4);
/// Far less than that, and more than a refusal without a request takes on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(2);
/// The longest that the first pause takes: a second, and a quarter of one by chance.
const PAUSE: Duration = Duration::from_millis(1300);

fn builder(issuer: &Issuer, preload: bool) -> ServerBuilder {
    server_of(issuer, "opaque", preload).set("validator.http_timeout", "4s")
}

/// A server that has read the metadata.
fn warm(builder: ServerBuilder, issuer: &Issuer) -> Server {
    let server = builder.start();
    server.admits("alice", &issuer.opaque_token("alice"));
    server
}

/// A login with a token of its own is refused for the outage, without a request.
#[track_caller]
fn refuses_at_once(server: &Server, issuer: &Issuer, cause: &str) {
    let before = asked(issuer);
    let token = issuer.opaque_token("alice");
    let verdict = server.refuses("alice", &token, "provider_unavailable");
    assert!(
        verdict.refusal.elapsed < AT_ONCE,
        "{:?}",
        verdict.refusal.elapsed
    );
    let detail = format!("cause={cause} url={}/introspect ", issuer.url());
    assert!(verdict.log.contains(&detail), "{}", verdict.log);
    assert_eq!(asked(issuer), before);
}

/// The provider was down for a moment, which a login with this token has found.
fn find_down(server: &Server, issuer: &Issuer) -> String {
    issuer.fail(Endpoint::Introspection, Fault::Status(503));
    let token = issuer.opaque_token("alice");
    server.refuses("alice", &token, "provider_unavailable");
    refuses_at_once(server, issuer, "http_status");
    issuer.heal();
    token
}

#[test]
fn one_login_waits_for_a_provider_that_hangs_and_the_others_do_not() {
    for (preload, ttl) in [(false, "30s"), (true, "30s"), (false, "0")] {
        let issuer = Issuer::builder().start();
        let builder = builder(&issuer, preload).set("validator.introspection_cache_ttl", ttl);
        let server = warm(builder, &issuer);
        issuer.fail(Endpoint::Introspection, Fault::HangInBody);
        let token = issuer.opaque_token("alice");
        let before = asked(&issuer).1;
        let verdict = server.refuses("alice", &token, "provider_unavailable");
        assert!(verdict.refusal.elapsed >= TIMEOUT - Duration::from_millis(500));
        assert!(verdict.log.contains("cause=timeout "), "{}", verdict.log);
        let failed = Instant::now();
        assert_eq!(asked(&issuer).1, before + 2);
        // As long as the first pause surely lasts; the token itself fares like the others.
        refuses_at_once(&server, &issuer, "timeout");
        if failed.elapsed() < Duration::from_millis(900) {
            server.refuses("alice", &token, "provider_unavailable");
            assert_eq!(asked(&issuer).1, before + 2, "preload: {preload}");
        }

        // Then one tries, and while it does, the others are still refused at once.
        thread::sleep(PAUSE.saturating_sub(failed.elapsed()));
        let trial = Login::new(&server, "alice").token(&token);
        let trial = thread::spawn(move || trial.run());
        while asked(&issuer).1 < before + 4 {
            thread::sleep(Duration::from_millis(5));
        }
        for _ in 0..3 {
            refuses_at_once(&server, &issuer, "timeout");
        }
        assert!(!trial.join().expect("no panic").is_session());
        let failed = Instant::now();
        refuses_at_once(&server, &issuer, "timeout");

        // The pause has doubled; after it, the first login finds that the provider is back.
        issuer.heal();
        thread::sleep((PAUSE * 2).saturating_sub(failed.elapsed()));
        server.admits("alice", &token);
        server.admits("alice", &issuer.opaque_token("alice"));
    }
}

#[test]
fn outage_is_known_by_its_first_failure_however_many_fail_at_once() {
    let issuer = Issuer::builder().start();
    let server = warm(builder(&issuer, true), &issuer);
    issuer.fail(Endpoint::Introspection, Fault::HangInBody);
    let logins: Vec<_> = (0..6)
        .map(|_| {
            let login = Login::new(&server, "alice").token(&issuer.opaque_token("alice"));
            thread::spawn(move || login.run())
        })
        .collect();
    for login in logins {
        assert!(!login.join().expect("no panic").is_session());
    }
    // One pause, and not one for each of them.
    issuer.heal();
    thread::sleep(PAUSE);
    server.admits("alice", &issuer.opaque_token("alice"));
}

#[test]
fn what_may_be_about_the_token_is_no_outage() {
    let issuer = Issuer::builder().start();
    let server = warm(builder(&issuer, true), &issuer);
    let answer = |status, text| Fault::Answer(Response::new(status, "application/json", text));
    for fault in [
        Fault::Status(500),
        Fault::Status(400),
        Fault::Status(403),
        Fault::Html,
        Fault::Oversize(10_000_000),
        answer(401, "{\"error\":\"invalid_client\"}"),
        answer(200, "{}"),
    ] {
        issuer.fail(Endpoint::Introspection, fault.clone());
        let token = issuer.opaque_token("alice");
        server.refuses("alice", &token, "provider_unavailable");
        issuer.heal();
        // Another token is asked about at once, this one after its own pause.
        server.admits("alice", &issuer.opaque_token("alice"));
    }
    for (fault, cause) in [
        (Fault::Status(503), "http_status"),
        (Fault::Status(429), "http_status"),
        (Fault::Closed, "connection"),
    ] {
        issuer.fail(Endpoint::Introspection, fault);
        let token = issuer.opaque_token("alice");
        server.refuses("alice", &token, "provider_unavailable");
        issuer.heal();
        refuses_at_once(&server, &issuer, cause);
        server.forget_keys();
        server.admits("alice", &token);
    }
}

#[test]
fn outage_is_one_of_the_endpoint_as_it_is_asked() {
    let (issuer, other) = (Issuer::builder().start(), Issuer::builder().start());
    let server = warm(builder(&issuer, true), &issuer);
    let cached = issuer.opaque_token("alice");
    server.admits("alice", &cached);
    issuer.go_down();
    let token = issuer.opaque_token("alice");
    server.refuses("alice", &token, "provider_unavailable");
    refuses_at_once(&server, &issuer, "connection");
    // What is cached is used, JWTs are judged without the provider, and other issuers are asked.
    server.admits("alice", &cached);
    let expired = issuer.token("alice").claim("exp", 1_000_000).encode();
    issuer.come_up();
    server.refuses("alice", &expired, "expired");
    server.set_hba(&[&rig::oauth_line(other.url(), "")]);
    server.reload();
    server.admits("alice", &other.opaque_token("alice"));
    server.set_hba(&[&rig::oauth_line(issuer.url(), "")]);
    // Settings that were the reason count at once.
    server.reload_with(&[("validator.client_id", "pg2")]);
    server.admits("alice", &issuer.opaque_token("alice"));
}

#[test]
fn trial_that_is_ended_is_taken_over() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = warm(builder(&issuer, preload), &issuer);
        issuer.fail(Endpoint::Introspection, Fault::Status(503));
        server.refuses(
            "alice",
            &issuer.opaque_token("alice"),
            "provider_unavailable",
        );
        issuer.fail(Endpoint::Introspection, Fault::HangInBody);
        server.reload_with(&[("validator.http_timeout", "60s")]);
        thread::sleep(PAUSE);
        let before = asked(&issuer);
        let login = Login::new(&server, "alice").token(&issuer.opaque_token("alice"));
        let trial = thread::spawn(move || login.run());
        while asked(&issuer) == before {
            thread::sleep(Duration::from_millis(5));
        }
        let pid = server.wait_for_backend("wait_event = 'ValidatorFetch'");
        refuses_at_once(&server, &issuer, "http_status");
        issuer.heal();
        server.sql(&format!("SELECT pg_terminate_backend({pid})"));
        assert!(!trial.join().expect("no panic").is_session());
        server.admits("alice", &issuer.opaque_token("alice"));
        assert!(server.stop(StopMode::Fast) < AT_ONCE * 5);
    }
}

#[test]
fn token_about_which_the_provider_does_not_answer_shuts_out_nobody_else() {
    for (preload, ttl) in [(true, "30s"), (false, "30s"), (false, "0")] {
        let issuer = Issuer::builder().start();
        let builder = builder(&issuer, preload).set("validator.introspection_cache_ttl", ttl);
        let server = warm(builder, &issuer);
        for (fault, cause) in [
            (Fault::HangInBody, "timeout"),
            (Fault::Closed, "connection"),
            (Fault::Status(503), "http_status"),
        ] {
            let token = issuer.opaque_token("alice");
            issuer.fail_about(&token, fault);
            let verdict = server.refuses("alice", &token, "provider_unavailable");
            let detail = format!("cause={cause} url={}/introspect ", issuer.url());
            assert!(verdict.log.contains(&detail), "{}", verdict.log);
            let failed = Instant::now();
            let before = asked(&issuer).1;
            server.admits("alice", &issuer.opaque_token("alice"));
            assert_eq!(asked(&issuer).1, before + 1);
            // The token itself has a pause of its own.
            server.refuses("alice", &token, "provider_unavailable");
            let is_paused = ttl != "0" && failed.elapsed() < Duration::from_millis(900);
            assert!(!is_paused || asked(&issuer).1 == before + 1, "{cause}");
        }
    }
}

#[test]
fn token_about_which_the_provider_does_not_answer_does_not_prolong_an_outage() {
    let issuer = Issuer::builder().start();
    let server = warm(builder(&issuer, true), &issuer);
    let token = find_down(&server, &issuer);
    issuer.fail_about(&token, Fault::HangInBody);
    thread::sleep(PAUSE);
    // The first login finds that the provider is back, although it is not answered itself.
    let before = asked(&issuer).1;
    let login = Login::new(&server, "alice").token(&token);
    let first = thread::spawn(move || login.run());
    while asked(&issuer).1 < before + 2 {
        thread::sleep(Duration::from_millis(5));
    }
    let is_admitted = || {
        let token = issuer.opaque_token("alice");
        let outcome = Login::new(&server, "alice").token(&token).run();
        outcome.is_session()
    };
    while !is_admitted() {
        assert!(!first.is_finished(), "the first login has ended");
    }
    assert!(!first.is_finished(), "the provider has answered");
    assert!(!first.join().expect("no panic").is_session());
    server.admits("alice", &issuer.opaque_token("alice"));
}

#[test]
fn any_answer_ends_an_outage() {
    let issuer = Issuer::builder().start();
    let server = warm(builder(&issuer, true), &issuer);
    let token = find_down(&server, &issuer);
    // Also of a provider that does not answer about tokens that it has not issued.
    issuer.fail_about("never-issued", Fault::HangInBody);
    thread::sleep(PAUSE);
    let start = Instant::now();
    server.admits("alice", &token);
    assert!(start.elapsed() < TIMEOUT, "it waited for the other request");
    server.admits("alice", &issuer.opaque_token("alice"));
}

#[test]
fn provider_that_got_little_time_is_not_taken_for_down() {
    let issuer = Issuer::builder().start();
    issuer.add_header(Endpoint::Discovery, "Cache-Control", "max-age=600");
    issuer.fail(Endpoint::Discovery, Fault::Delay(TIMEOUT * 5 / 8));
    issuer.fail(Endpoint::Introspection, Fault::Delay(TIMEOUT / 2));
    let server = builder(&issuer, true).start();
    let token = issuer.opaque_token("alice");
    server.refuses("alice", &token, "provider_unavailable");
    // The metadata is known now, so there is time enough.
    server.admits("alice", &issuer.opaque_token("alice"));
}

#[test]
fn logins_whose_answer_cannot_be_kept_do_not_wait_for_each_other() {
    let issuer = Issuer::builder().start();
    let server = warm(builder(&issuer, true), &issuer);
    let (large, short) = (issuer.opaque_token("alice"), "short-token");
    let mut word = issuer.word_on("alice");
    issuer.say(short, word.clone());
    word["groups"] = serde_json::json!(vec!["a group with a long name"; 500]);
    issuer.say(&large, word);
    issuer.fail(Endpoint::Introspection, Fault::Delay(TIMEOUT / 4));
    for token in [&large, short] {
        // One after the other, the fifth would come too late.
        let logins: Vec<_> = (0..8)
            .map(|_| {
                let login = Login::new(&server, "alice").token(token);
                thread::spawn(move || login.run())
            })
            .collect();
        for login in logins {
            login.join().expect("no panic").session();
        }
    }
    server.admits("alice", &issuer.opaque_token("alice"));
}

#[test]
fn endpoint_that_has_moved_is_looked_up_again() {
    let (issuer, old) = (Issuer::builder().start(), Issuer::builder().start());
    issuer.add_header(Endpoint::Discovery, "Cache-Control", "max-age=86400");
    let former = format!("{}/introspect", old.url());
    let names_former = Fault::altered(move |document| {
        document["introspection_endpoint"] = former.as_str().into();
    });
    issuer.fail(Endpoint::Discovery, names_former);
    let server = builder(&issuer, true)
        .set("validator.jwks_refresh_cooldown", "5s")
        .start();
    let token = issuer.opaque_token("alice");
    old.say(&token, issuer.word_on("alice"));
    server.admits("alice", &token);
    issuer.heal();
    for fault in [Fault::Status(404), Fault::Status(500)] {
        old.fail(Endpoint::Introspection, fault);
        server.refuses(
            "alice",
            &issuer.opaque_token("alice"),
            "provider_unavailable",
        );
        assert_eq!(issuer.hits(Endpoint::Discovery), 1);
    }
    thread::sleep(Duration::from_millis(5100));
    // A fault of the endpoint is none of its place.
    server.refuses(
        "alice",
        &issuer.opaque_token("alice"),
        "provider_unavailable",
    );
    server.refuses(
        "alice",
        &issuer.opaque_token("alice"),
        "provider_unavailable",
    );
    assert_eq!(issuer.hits(Endpoint::Discovery), 1);
    old.fail(Endpoint::Introspection, Fault::Status(404));
    server.refuses(
        "alice",
        &issuer.opaque_token("alice"),
        "provider_unavailable",
    );
    server.admits("alice", &issuer.opaque_token("alice"));
    assert_eq!(issuer.hits(Endpoint::Discovery), 2);
}
