//! The view `validator.sessions`.

use std::thread;
use std::time::{Duration, Instant};

use rig::{Issuer, Login, Server, now, oauth_line};
use serde_json::json;

use crate::{BOTH, SOON, assert_ended, server_of, with_extension};

/// How many sessions the registry has.
fn count(server: &Server) -> String {
    server.value("SELECT count(*) FROM validator.sessions")
}

/// Backends may take a moment to end.
#[track_caller]
pub fn wait_for_count(server: &Server, wanted: &str) {
    let start = Instant::now();
    while count(server) != wanted {
        assert!(
            start.elapsed() < SOON,
            "{} sessions, not {wanted}",
            count(server)
        );
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn session_is_seen_with_what_its_token_says() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = with_extension(server_of(&issuer, preload));
        let exp = now() + 300;
        let token = issuer
            .token("alice")
            .claim("exp", exp)
            .claim("jti", "token-1")
            .claim("sid", "sid-1")
            .encode();
        let session = server.admits("alice", &token);
        let rows = server.sql(
            "SELECT s.pid, a.usename, identity, issuer, client_id, jti, sid, extract(epoch FROM expires_at)::bigint \
             FROM validator.sessions s JOIN pg_stat_activity a ON a.pid = s.pid AND a.backend_start = s.backend_start",
        );
        let expected = [
            &session.pid().to_string(),
            "alice",
            "alice",
            issuer.url(),
            "psql",
            "token-1",
            "sid-1",
            &exp.to_string(),
        ];
        assert_eq!(rows, [expected.map(|text| Some(text.to_owned()))]);
        drop(session);
        wait_for_count(&server, "0");
    }
}

#[test]
fn what_the_token_does_not_say_is_null() {
    let issuer = Issuer::builder().start();
    let server = with_extension(server_of(&issuer, false));
    let token = issuer
        .token("alice")
        .without_claim("jti")
        .without_claim("client_id")
        .without_claim("azp")
        // Not strings, so they name nothing.
        .claim("sid", json!(["a"]));
    let _session = server.admits("alice", &token.encode());
    assert_eq!(
        server.value("SELECT (client_id, jti, sid) IS NULL FROM validator.sessions"),
        "t"
    );
}

#[test]
fn only_sessions_that_a_token_has_opened_are_listed() {
    let issuer = Issuer::builder().start();
    let server = with_extension(server_of(&issuer, false));
    // Accepted by the validator, and then refused: by PostgreSQL, for the role, the role's limits or the database.
    let stranger = issuer.token("mallory").encode();
    assert!(
        !Login::new(&server, "alice")
            .token(&stranger)
            .run()
            .is_session()
    );
    server.sql("CREATE ROLE nologin_role");
    for login in [
        Login::new(&server, "nologin_role").token(&issuer.token("nologin_role").encode()),
        Login::new(&server, "nobody").token(&issuer.token("nobody").encode()),
        Login::new(&server, "alice")
            .token(&issuer.token("alice").encode())
            .database("nowhere"),
    ] {
        assert!(!login.run().is_session());
    }
    server.refuses(
        "alice",
        &issuer.token("alice").claim("aud", "x").encode(),
        "aud_mismatch",
    );
    wait_for_count(&server, "0");
    let _sessions: Vec<_> = ["alice", "bob", "alice"]
        .map(|role| server.admits(role, &issuer.token(role).encode()))
        .into();
    assert_eq!(
        server.value("SELECT string_agg(identity, ' ' ORDER BY identity) FROM validator.sessions"),
        "alice alice bob"
    );
}

#[test]
fn session_vanishes_however_it_ends() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = with_extension(server_of(&issuer, preload));
        let token = issuer.token("alice").encode();
        let log_in = || server.admits("alice", &token);

        drop(log_in());
        wait_for_count(&server, "0");
        let mut cancelled = log_in();
        assert_eq!(count(&server), "1");
        server.sql(&format!("SELECT pg_terminate_backend({})", cancelled.pid()));
        cancelled.wait_for_end(SOON);
        wait_for_count(&server, "0");

        // A process that is killed makes PostgreSQL end all others, and start with new memory.
        let killed = log_in();
        let _other = log_in();
        let postmaster = server.postmaster_pid();
        server.kill(killed.pid());
        assert_eq!(server.postmaster_pid(), postmaster);
        assert_eq!(count(&server), "0", "preload: {preload}");
        let _new = log_in();
        assert_eq!(count(&server), "1", "preload: {preload}");
    }
}

#[test]
fn long_and_foreign_texts_are_cut_where_they_may_be() {
    let issuer = Issuer::builder().start();
    let server = with_extension(server_of(&issuer, false));
    let token = issuer
        .token("alice")
        .claim("jti", format!("{}é", "é".repeat(51)))
        .claim("sid", "a\u{0}b");
    let _session = server.admits("alice", &token.encode());
    assert_eq!(
        server.value("SELECT jti FROM validator.sessions"),
        format!("{}…", "é".repeat(51))
    );
    assert_eq!(
        server.value("SELECT sid FROM validator.sessions"),
        r"a\u{0}b"
    );
    // Where the encoding has no such characters, monitoring still works.
    server.sql("CREATE DATABASE plain ENCODING 'SQL_ASCII' TEMPLATE template0");
    let mut admin = Login::by_socket(&server, "postgres")
        .database("plain")
        .run()
        .session();
    admin.query("CREATE EXTENSION validator").expect("it works");
    let shown = admin.value("SELECT jti FROM validator.sessions");
    assert!(shown.starts_with(r"\u{e9}\u{e9}"), "{shown}");
}

#[test]
fn text_is_shown_as_cut_only_if_it_is() {
    let issuer = Issuer::builder().start();
    let server = with_extension(server_of(&issuer, false));
    // There is space for 102 bytes, of which a character that does not fit leaves up to three.
    let x = |count| "x".repeat(count);
    for (jti, shown) in [
        (x(98), x(98)),
        (x(99), x(99)),
        (x(102), x(102)),
        (x(103), format!("{}…", x(102))),
        (x(98) + "😀", x(98) + "😀"),
        (x(99) + "😀", format!("{}…", x(99))),
        (x(101) + "😀", format!("{}…", x(101))),
    ] {
        let token = issuer.token("alice").claim("jti", jti.as_str()).encode();
        let session = server.admits("alice", &token);
        let of_session = format!(
            "SELECT jti FROM validator.sessions WHERE pid = {}",
            session.pid()
        );
        assert_eq!(server.value(&of_session), shown, "{jti}");
    }
}

#[test]
fn as_many_sessions_as_the_server_takes_are_listed() {
    let issuer = Issuer::builder().start();
    let server = with_extension(server_of(&issuer, true).set("max_connections", "25"));
    let token = issuer.token("alice").encode();
    let sessions: Vec<_> = (0..20).map(|_| server.admits("alice", &token)).collect();
    assert_eq!(
        server.value("SELECT count(DISTINCT pid) FROM validator.sessions JOIN pg_stat_activity USING (pid, backend_start)"),
        sessions.len().to_string()
    );
    drop(sessions);
    wait_for_count(&server, "0");
}

#[test]
fn registry_is_for_monitors_and_superusers() {
    let issuer = Issuer::builder().start();
    let server = with_extension(server_of(&issuer, false));
    let token = issuer.token("alice").encode();
    let mut session = server.admits("alice", &token);
    let sql = "SELECT identity FROM validator.sessions";
    assert_eq!(session.query(sql).expect_err("no grant").code(), "42501");
    server.sql("GRANT USAGE ON SCHEMA validator TO alice");
    for sql in [sql, "SELECT validator.list_sessions()"] {
        assert_eq!(session.query(sql).expect_err("no grant").code(), "42501");
    }
    server.sql("GRANT pg_monitor TO alice");
    assert_eq!(session.value(sql), "alice");
}

#[test]
fn replication_connections_are_sessions_too() {
    let issuer = Issuer::builder().start();
    let line = oauth_line(issuer.url(), "").replacen("host all", "host replication", 1);
    let builder = server_of(&issuer, true).set("validator.allow_superuser", "on");
    let server = with_extension(builder.hba(&line));
    server.sql("ALTER ROLE alice REPLICATION");
    let token = issuer.token("alice").encode();
    let login = Login::new(&server, "alice").token(&token);
    let mut session = server.admits_login(login.parameter("replication", "true"));
    assert_eq!(
        server.value(
            "SELECT identity || ' ' || backend_type FROM validator.sessions JOIN pg_stat_activity USING (pid, backend_start)"
        ),
        "alice walsender"
    );
    let call = format!(
        "SELECT validator.end_sessions('{}', identity => 'alice')",
        issuer.url()
    );
    assert_eq!(server.value(&call), "1");
    assert_ended(&mut session);
}

#[test]
fn standby_has_sessions_of_its_own() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let primary = with_extension(server_of(&issuer, preload));
        let standby = primary.standby();
        let token = issuer.token("alice").encode();
        let mut there = primary.admits("alice", &token);
        let mut here = standby.admits("alice", &token);
        for (server, session) in [(&primary, &there), (&standby, &here)] {
            assert_eq!(
                server.value("SELECT pid FROM validator.sessions"),
                session.pid().to_string()
            );
        }
        let call = format!(
            "SELECT validator.end_sessions('{}', identity => 'alice')",
            issuer.url()
        );
        assert_eq!(standby.value(&call), "1");
        assert_ended(&mut here);
        assert_eq!(there.value("SELECT 1"), "1");
    }
}
