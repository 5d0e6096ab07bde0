//! The SASL exchange itself (RFC 7628): clients that ask, that are rude, and that are broken.

use std::thread;
use std::time::{Duration, Instant};

use rig::{
    Ending, FirstResponse, Issuer, Login, OnError, Outcome, Refusal, Server, assert_silent_log,
    reasons,
};
use serde_json::json;

/// How long a server may take to log what it did, or to end a backend.
const SOON: Duration = Duration::from_secs(10);

fn start() -> (Issuer, Server) {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).log_everything().start();
    (issuer, server)
}

/// Nothing crashed, no backend is left, and a good token gets in.
#[track_caller]
fn assert_unharmed(server: &Server, issuer: &Issuer) {
    let log = server.log().text();
    for sign in [
        "PANIC:",
        "was terminated by signal",
        "panicked",
        "internal_error",
    ] {
        assert!(!log.contains(sign), "{sign}: {log}");
    }
    server.admits("alice", &issuer.token("alice").encode());
}

/// The client learned no reason, whatever it sent.
#[track_caller]
fn assert_silent(refusal: &Refusal) {
    let told = refusal.received_text();
    assert!(
        !told.contains("reason=") && !told.contains("OAuth token refused"),
        "{refusal:?}"
    );
    assert!(!told.contains("validator."), "{refusal:?}");
}

#[test]
fn client_without_a_token_is_told_where_to_get_one() {
    let (issuer, server) = start();
    for first in [
        FirstResponse::Discovery,
        FirstResponse::Late(b"n,,\x01auth=\x01\x01".to_vec()),
    ] {
        let mark = server.log().mark();
        let refusal = Login::new(&server, "alice").first(first).run().refusal();
        let document: serde_json::Value =
            serde_json::from_str(refusal.document.as_deref().expect("a document")).expect("JSON");
        assert_eq!(
            document,
            json!({
                "status": "invalid_token",
                "scope": Issuer::SCOPE,
                "openid-configuration": format!("{}/.well-known/openid-configuration", issuer.url()),
            })
        );
        assert_eq!(
            (refusal.error().code(), refusal.ending),
            ("28000", Ending::Closed)
        );
        assert_silent(&refusal);
        // To ask is no refusal.
        let log = server.log().since(mark);
        assert_eq!(reasons(&log).count(), 0, "{log}");
    }
    assert_eq!(issuer.requests().len(), 0, "the provider was asked");
    assert_unharmed(&server, &issuer);
}

#[test]
fn token_can_come_after_an_empty_challenge() {
    let (issuer, server) = start();
    let token = issuer.token("alice").encode();
    let late = |token: &str| {
        let first = FirstResponse::Late(FirstResponse::bearer(token));
        Login::new(&server, "alice").first(first)
    };
    let mark = server.log().mark();
    assert_eq!(
        server
            .admits_login(late(&token))
            .value("SELECT system_user"),
        "oauth:alice"
    );
    assert_silent_log(&server.log().since(mark), &token);
    let expired = issuer.token("alice").claim("exp", 1).encode();
    server.refuses_login(late(&expired), &expired, "expired");
}

#[test]
fn refusal_is_logged_even_if_the_client_does_not_acknowledge_it() {
    let (issuer, server) = start();
    let token = issuer.token("alice").claim("exp", 1).encode();
    for answer in [
        OnError::Close,
        OnError::Silence,
        OnError::Bytes(b"\x01\x01".to_vec()),
        OnError::Bytes(b"garbage".to_vec()),
        OnError::Bytes(vec![]),
    ] {
        let mark = server.log().mark();
        let login = Login::new(&server, "alice")
            .token(&token)
            .on_error(answer)
            .limit(Duration::from_secs(2));
        let refusal = login.run().refusal();
        assert!(refusal.document.is_some(), "{refusal:?}");
        assert_silent(&refusal);
        let log = server.log().wait_for(mark, "DETAIL:  reason=", SOON);
        assert_eq!(reasons(&log).collect::<Vec<_>>(), ["expired"], "{log}");
        assert_silent_log(&log, &token);
    }
    assert_unharmed(&server, &issuer);
}

#[test]
fn garbage_instead_of_a_response_is_refused() {
    let (issuer, server) = start();
    let good = issuer.token("alice").encode();
    let bearer = |text: String| text.into_bytes();
    for bytes in [
        vec![],
        vec![0],
        vec![0xff; 1000],
        b"garbage".to_vec(),
        b"n,,".to_vec(),
        b"n,,\x01".to_vec(),
        b"n,,\x01\x01".to_vec(),
        b"y,,\x01auth=\x01\x01".to_vec(),
        b"p=tls-server-end-point,,\x01auth=\x01\x01".to_vec(),
        b"n,a=bob,\x01auth=\x01\x01".to_vec(),
        bearer(format!("n,,\x01auth=Bearer {good}")),
        bearer(format!("n,,\x01auth=Bearer {good}\x01")),
        bearer(format!(
            "n,,\x01auth=Bearer {good}\x01auth=Bearer {good}\x01\x01"
        )),
        bearer(format!("n,,\x01auth=Bearer {good}\x01\x01x")),
        bearer(format!("n,,\x01auth=Bearer {good}\x01\x01\0")),
        bearer(format!("n,,\x01auth=Bearer {good}\0\x01\x01")),
        bearer(format!("n,,\x01auth=Basic {good}\x01\x01")),
        bearer(format!("n,,\x01token={good}\x01\x01")),
        bearer("n,,\x01auth=Bearer \x01\x01".to_owned()),
        bearer("n,,\x01auth=Bearer a b\x01\x01".to_owned()),
        bearer("n,,\x01auth=Bearer \u{e9}\x01\x01".to_owned()),
        bearer("n,,\x01auth=Bearer a;b\x01\x01".to_owned()),
        bearer(format!("n,,\x01auth=Bearer {good}%\x01\x01")),
    ] {
        for first in [
            FirstResponse::Bytes(bytes.clone()),
            FirstResponse::Late(bytes.clone()),
        ] {
            let mark = server.log().mark();
            let refusal = Login::new(&server, "alice").first(first).run().refusal();
            assert_silent(&refusal);
            assert_eq!(refusal.ending, Ending::Closed, "{refusal:?}");
            let log = server.log().since(mark);
            assert_silent_log(&log, &good);
            assert!(!log.contains("connection authenticated"), "{log}");
        }
    }
    assert_eq!(issuer.requests().len(), 0, "the provider was asked");
    assert_unharmed(&server, &issuer);
}

#[test]
fn token_with_white_space_before_it_or_another_case_of_bearer_gets_in() {
    let (issuer, server) = start();
    let good = issuer.token("alice").encode();
    // RFC 7235 §2.1: the scheme ignores case; RFC 7628 §3.1 allows spaces before the token.
    for text in [
        format!("n,,\x01auth=bearer {good}\x01\x01"),
        format!("n,,\x01auth=BEARER   {good}\x01\x01"),
        format!("n,,\x01host=x\x01port=1\x01auth=Bearer {good}\x01\x01"),
    ] {
        let login = Login::new(&server, "alice").first(FirstResponse::Bytes(text.into_bytes()));
        server.admits_login(login);
    }
}

#[test]
fn token_that_is_larger_than_postgresql_reads_ends_the_login() {
    let (issuer, server) = start();
    server.reload_with(&[("validator.max_token_size", "64kB")]);
    // The largest that PostgreSQL passes on is judged by us.
    let large = "x".repeat(65_000);
    server.refuses("alice", &large, "not_a_jwt");
    for size in [65_536, 100_000, 1_000_000] {
        let mark = server.log().mark();
        let token = "x".repeat(size);
        for first in [
            FirstResponse::Token(token.clone()),
            FirstResponse::Late(FirstResponse::bearer(&token)),
        ] {
            let outcome = Login::new(&server, "alice").first(first).run();
            let Outcome::Refused(refusal) = outcome else {
                panic!("let in")
            };
            assert_silent(&refusal);
        }
        let log = server.log().since(mark);
        assert!(!log.contains(&"x".repeat(100)), "the log has the token");
        assert_eq!(reasons(&log).count(), 0, "{log}");
    }
    assert_unharmed(&server, &issuer);
}

#[test]
fn client_that_closes_in_the_middle_leaves_nothing_behind() {
    let (issuer, server) = start();
    let token = issuer.token("alice").claim("exp", 1).encode();
    for _ in 0..10 {
        let half = Login::new(&server, "alice")
            .first(FirstResponse::Half(token.clone()))
            .run()
            .refusal();
        assert_eq!(half.ending, Ending::ClosedByClient);
        let gone = Login::new(&server, "alice")
            .first(FirstResponse::Close)
            .run()
            .refusal();
        assert!(gone.asked_for_token, "{gone:?}");
        let gone = Login::new(&server, "alice")
            .token(&token)
            .on_error(OnError::Close)
            .run()
            .refusal();
        assert_eq!(gone.ending, Ending::ClosedByClient);
    }
    let count = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'";
    let start = Instant::now();
    while server.value(count) != "1" {
        assert!(start.elapsed() < SOON, "backends are left behind");
        thread::sleep(Duration::from_millis(10));
    }
    assert_silent_log(&server.log().text(), &token);
    assert_unharmed(&server, &issuer);
}

#[test]
fn role_name_can_not_forge_a_log_line() {
    let (issuer, server) = start();
    let token = issuer.token("alice").claim("exp", 1).encode();
    let role = "alice\nLOG:  connection authorized: user=postgres";
    let mark = server.log().mark();
    let refusal = Login::new(&server, role).token(&token).run().refusal();
    assert_silent(&refusal);
    let log = server.log().since(mark);
    let line = log
        .lines()
        .find(|l| l.contains("OAuth token refused"))
        .expect("our line");
    assert!(
        line.contains(r"alice\u{a}LOG:  connection authorized"),
        "{line}"
    );
}

#[test]
fn client_is_told_nothing_whatever_messages_it_may_get() {
    let (issuer, server) = start();
    // At a login, also a warning is due.
    server.reload_with(&[
        ("client_min_messages", "debug5"),
        ("validator.misspelt", "x"),
    ]);
    let token = issuer.token("alice").claim("exp", 1).encode();
    let verdict = server.refuses("alice", &token, "expired");
    assert!(
        verdict.log.contains("validator.misspelt"),
        "{}",
        verdict.log
    );
    assert_silent(&verdict.refusal);
    let tags = |text: &str| text.matches("OAuth").count();
    assert_eq!(
        tags(&verdict.refusal.received_text()),
        1,
        "{:?}",
        verdict.refusal
    );
}

#[test]
fn many_logins_at_once_all_get_in() {
    let (issuer, server) = start();
    let clients: Vec<_> = (0..40)
        .map(|_| {
            let token = issuer.token("alice").encode();
            let login = Login::new(&server, "alice").token(&token);
            thread::spawn(move || login.run().is_session())
        })
        .collect();
    let admitted = clients
        .into_iter()
        .filter_map(|client| client.join().ok())
        .filter(|in_| *in_);
    assert_eq!(admitted.count(), 40);
    assert_unharmed(&server, &issuer);
}
