//! `validator.end_sessions`: what a revocation hook calls.

use std::time::Duration;

use rig::{Issuer, Login, Server, Session, oauth_line};

use crate::{BOTH, assert_ended, server_of, with_extension};

/// Sessions of alice and bob, by three tokens.
fn log_in(server: &Server, issuer: &Issuer) -> [Session; 4] {
    let token = |who: &str, jti: &str, sid: &str| {
        let token = issuer.token(who).claim("jti", jti).claim("sid", sid);
        token.encode()
    };
    let first = token("alice", "t1", "s1");
    [
        server.admits("alice", &first),
        server.admits("alice", &first),
        server.admits("alice", &token("alice", "t2", "s2")),
        server.admits("bob", &token("bob", "t3", "s1")),
    ]
}

/// Those of the four sessions that are still there.
fn left(sessions: &mut [Session; 4]) -> Vec<usize> {
    (0..4)
        .filter(|n| sessions[*n].query("SELECT 1").is_ok())
        .collect()
}

#[test]
fn sessions_that_meet_every_criterion_end_at_once_and_are_counted() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = with_extension(server_of(&issuer, preload));
        let url = issuer.url();
        for (criteria, count, kept) in [
            ("identity => 'alice'", "3", vec![3]),
            ("jti => 't1'", "2", vec![2, 3]),
            ("sid => 's1'", "3", vec![2]),
            ("sid => 's1', identity => 'bob'", "1", vec![0, 1, 2]),
            ("'alice', 't2', 's2'", "1", vec![0, 1, 3]),
            ("'alice', 't2', 's1'", "0", vec![0, 1, 2, 3]),
            ("identity => 'alic'", "0", vec![0, 1, 2, 3]),
            ("jti => ''", "0", vec![0, 1, 2, 3]),
            ("sub => 'alice'", "3", vec![3]),
            ("sub => 'alice', sid => 's1'", "2", vec![2, 3]),
            ("sub => 'bob', identity => 'alice'", "0", vec![0, 1, 2, 3]),
            ("sub => ''", "0", vec![0, 1, 2, 3]),
        ] {
            let mut sessions = log_in(&server, &issuer);
            let call = format!("SELECT validator.end_sessions('{url}', {criteria})");
            assert_eq!(server.value(&call), count, "{criteria}");
            for n in (0..4).filter(|n| !kept.contains(n)) {
                assert_ended(&mut sessions[n]);
            }
            assert_eq!(left(&mut sessions), kept, "{criteria}");
            assert_eq!(
                server.value(&format!(
                    "SELECT count(*) FROM validator.sessions WHERE pid IN ({})",
                    sessions.each_ref().map(|s| s.pid().to_string()).join(",")
                )),
                kept.len().to_string()
            );
        }
    }
}

/// A provider's logout names the subject, whatever claim is the identity.
#[test]
fn subject_ends_sessions_whose_identity_is_another_claim() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = with_extension(
            server_of(&issuer, preload)
                .set("validator.identity_claim", "preferred_username")
                .set("validator.identity_prefix", "corp:")
                .ident(r"m /^corp:(.*)$ \1"),
        );
        server.set_hba(&[&oauth_line(issuer.url(), "map=m")]);
        server.reload();
        let log_in = |user: &str, sub: Option<&str>| {
            let token = issuer.token(user).claim("preferred_username", user);
            let token = match sub {
                Some(sub) => token.claim("sub", sub),
                None => token.without_claim("sub"),
            };
            server.admits(user, &token.encode())
        };
        let mut alice = log_in("alice", Some("b1946ac9"));
        let mut bob = log_in("bob", Some("b1946ac"));
        let mut carol = log_in("carol", None);
        let end = |criteria: &str| {
            let url = issuer.url();
            server.value(&format!(
                "SELECT validator.end_sessions('{url}', {criteria})"
            ))
        };
        for nobody in [
            "sub => 'alice'",
            "sub => 'corp:alice'",
            "sub => 'b1946ac9', identity => 'corp:bob'",
            "identity => 'alice'",
        ] {
            assert_eq!(end(nobody), "0", "{nobody}");
        }
        let mark = server.log().mark();
        assert_eq!(end("sub => 'b1946ac9'"), "1");
        assert!(server.log().since(mark).contains(" sub=b1946ac9\n"));
        assert_ended(&mut alice);
        for left in [&mut bob, &mut carol] {
            assert_eq!(left.value("SELECT 1"), "1");
        }
    }
}

#[test]
fn sessions_of_another_issuer_and_of_no_issuer_stay() {
    let (issuer, other) = (Issuer::builder().start(), Issuer::builder().start());
    let server = with_extension(server_of(&issuer, false));
    let mut session = server.admits("alice", &issuer.token("alice").encode());
    for url in [other.url(), "", &format!("{}/", issuer.url())] {
        let call = format!("SELECT validator.end_sessions('{url}', identity => 'alice')");
        assert_eq!(server.value(&call), "0");
    }
    let call = format!(
        "SELECT validator.end_sessions('{}', identity => 'postgres')",
        issuer.url()
    );
    assert_eq!(server.value(&call), "0");
    assert_eq!(session.value("SELECT 1"), "1");
}

/// As after the theft of a signing key, by the statement of the manual.
#[test]
fn all_sessions_of_an_issuer_end_by_the_statement_of_the_page() {
    let page = include_str!("../../../docs/sessions.md");
    let statement = page
        .lines()
        .find(|line| line.contains("pg_terminate_backend(pid)"))
        .expect("the statement");
    let (issuer, other) = (Issuer::builder().start(), Issuer::builder().start());
    let server = with_extension(server_of(&issuer, true));
    let mut sessions = log_in(&server, &issuer);
    server.set_hba(&[&oauth_line(other.url(), "")]);
    server.reload();
    let mut stays = server.admits("alice", &other.token("alice").encode());
    let statement = statement.replace("https://idp.example.com/realms/corp", issuer.url());
    assert_eq!(server.value(&statement), "4");
    for session in &mut sessions {
        assert_ended(session);
    }
    assert_eq!(server.value(&statement), "0");
    assert_eq!(stays.value("SELECT 1"), "1");
}

#[test]
fn running_query_and_open_transaction_end_too() {
    let issuer = Issuer::builder().start();
    let server = with_extension(server_of(&issuer, false));
    let token = issuer.token("alice").encode();
    let mut in_transaction = server.admits("alice", &token);
    in_transaction.query("BEGIN").expect("BEGIN");
    let mut failed = server.admits("alice", &token);
    failed
        .query("BEGIN; SELECT 1/0")
        .expect_err("division by zero");
    let mut asleep = server.admits("alice", &token);
    let pid = asleep.pid();
    let sleeper = std::thread::spawn(move || asleep.query("SELECT pg_sleep(60)"));
    server.wait_for_backend(&format!("pid = {pid} AND wait_event = 'PgSleep'"));
    let call = format!(
        "SELECT validator.end_sessions('{}', identity => 'alice')",
        issuer.url()
    );
    assert_eq!(server.value(&call), "3");
    let error = sleeper.join().expect("no panic").expect_err("it is ended");
    assert_eq!(error.code(), "57P01");
    assert_ended(&mut in_transaction);
    assert_ended(&mut failed);
}

#[test]
fn text_that_was_cut_is_compared_as_a_whole() {
    let issuer = Issuer::builder().start();
    let server = with_extension(server_of(&issuer, false));
    let long = "x".repeat(200);
    let mut session = server.admits(
        "alice",
        &issuer
            .token("alice")
            .claim("jti", format!("{long}1"))
            .encode(),
    );
    let end = |jti: &str| {
        server.value(&format!(
            "SELECT validator.end_sessions('{}', jti => '{jti}')",
            issuer.url()
        ))
    };
    let shown = server.value("SELECT jti FROM validator.sessions");
    assert_eq!(shown, format!("{}…", &long[..102]));
    for other in [
        format!("{long}2"),
        long.clone(),
        long[..102].to_owned(),
        shown,
    ] {
        assert_eq!(end(&other), "0", "{other}");
    }
    assert_eq!(end(&format!("{long}1")), "1");
    assert_ended(&mut session);
}

#[test]
fn missing_arguments_are_errors_and_end_nobody() {
    let issuer = Issuer::builder().start();
    let server = with_extension(server_of(&issuer, false));
    let mut session = server.admits("alice", &issuer.token("alice").encode());
    let mut admin = Login::by_socket(&server, "postgres").run().session();
    for (arguments, code) in [
        (format!("'{}'", issuer.url()), "22023"),
        (
            format!("'{}', NULL, NULL, NULL, NULL", issuer.url()),
            "22023",
        ),
        ("NULL, 'alice'".to_owned(), "22004"),
    ] {
        let error = admin
            .query(&format!("SELECT validator.end_sessions({arguments})"))
            .expect_err("an error");
        assert_eq!(error.code(), code, "{arguments}");
    }
    assert_eq!(session.value("SELECT 1"), "1");
}

#[test]
fn only_whom_it_is_granted_to_may_end_sessions_and_then_those_of_all() {
    let issuer = Issuer::builder().start();
    let builder = server_of(&issuer, false).set("validator.allow_superuser", "on");
    let server = with_extension(builder);
    server.sql("ALTER ROLE bob SUPERUSER; GRANT USAGE ON SCHEMA validator TO alice");
    let mut hook = server.admits("alice", &issuer.token("alice").encode());
    let mut superuser = server.admits("bob", &issuer.token("bob").encode());
    let call = format!(
        "SELECT validator.end_sessions('{}', identity => 'bob')",
        issuer.url()
    );
    assert_eq!(hook.query(&call).expect_err("no grant").code(), "42501");
    server.sql("GRANT pg_monitor TO alice");
    assert_eq!(hook.query(&call).expect_err("no grant").code(), "42501");
    server.sql(
        "GRANT EXECUTE ON FUNCTION validator.end_sessions(text, text, text, text, text) TO alice",
    );
    let mark = server.log().mark();
    assert_eq!(hook.value(&call), "1");
    assert_ended(&mut superuser);
    let log = server.log().since(mark);
    assert!(
        log.contains("LOG:  validator.end_sessions ended 1 OAuth sessions"),
        "{log}"
    );
    assert!(
        log.contains(&format!("DETAIL:  issuer={} identity=bob", issuer.url())),
        "{log}"
    );
    let forged = format!(
        "SELECT validator.end_sessions('{}', identity => 'x identity=bob')",
        issuer.url()
    );
    let mark = server.log().mark();
    assert_eq!(hook.value(&forged), "0");
    let log = server.log().since(mark);
    assert!(log.contains(" identity=\"x identity=bob\"\n"), "{log}");
}

#[test]
fn session_may_end_itself() {
    let issuer = Issuer::builder().start();
    let server = with_extension(server_of(&issuer, false));
    server.sql(
        "GRANT USAGE ON SCHEMA validator TO alice; \
         GRANT EXECUTE ON FUNCTION validator.end_sessions(text, text, text, text, text) TO alice",
    );
    let mut own = server.admits("alice", &issuer.token("alice").encode());
    let mut other = server.admits("alice", &issuer.token("alice").encode());
    let call = format!(
        "SELECT validator.end_sessions('{}', identity => 'alice')",
        issuer.url()
    );
    let _ = own.query(&call);
    assert!(own.query("SELECT 1").is_err());
    assert_ended(&mut other);
}

#[test]
fn processes_come_and_go_while_sessions_are_ended() {
    let issuer = Issuer::builder().start();
    let server = with_extension(server_of(&issuer, true));
    let token = issuer.token("alice").encode();
    let url = issuer.url();
    // Others, that must never be hit, get the places and the numbers of those that go.
    let mut keeper = server.admits("bob", &issuer.token("bob").encode());
    std::thread::scope(|scope| {
        let churn = |role: &'static str, token: String| {
            let server = &server;
            move || {
                let mut whole = 0;
                for _ in 0..40 {
                    if let rig::Outcome::Session(mut session) =
                        Login::new(server, role).token(&token).run()
                    {
                        whole += usize::from(session.query("SELECT 1").is_ok());
                    }
                }
                whole
            }
        };
        let alices = [0; 2].map(|_| scope.spawn(churn("alice", token.clone())));
        let bob = scope.spawn(churn("bob", issuer.token("bob").encode()));
        let mut admin = Login::by_socket(&server, "postgres").run().session();
        let call = format!("SELECT validator.end_sessions('{url}', identity => 'alice')");
        while !bob.is_finished() {
            admin.value(&call);
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(bob.join().expect("no panic"), 40);
        for alice in alices {
            alice.join().expect("no panic");
        }
    });
    assert_eq!(keeper.value("SELECT 1"), "1");
}
