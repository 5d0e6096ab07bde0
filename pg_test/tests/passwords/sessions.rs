//! What a session knows of its token, and what others know of the session: as after any login by a token.

use std::time::Duration;

use rig::{Ending, Login, Server, Session, environment, now, oauth_line};

use crate::{has_oauth, start_with, system_user};

fn login(server: &Server, role: &str, token: &str) -> Login {
    Login::by_tls(server, role, None).token(token)
}

fn number(server: &Server, sql: &str) -> i64 {
    server.value(sql).parse().expect("a number")
}

#[track_caller]
fn assert_ended(session: &mut Session) {
    let (ending, error) = session.wait_for_end(Duration::from_secs(20));
    assert_eq!(ending, Ending::Closed);
    assert_eq!(error.expect("a last word").code(), "57P01");
}

#[test]
fn session_has_claims_and_identity_and_is_listed_and_ended() {
    let started = start_with(|builder| {
        builder
            .set("validator.log_accepted", "on")
            .set("validator.password_map", "people")
            .ident("people some-subject alice")
    });
    let Some((issuer, server)) = started else {
        return;
    };
    server.sql("CREATE EXTENSION validator");
    let token = issuer
        .token("some-subject")
        .claim("jti", "t1")
        .claim("team", "blue");
    let token = token.encode();
    let mark = server.log().mark();
    let mut session = server.admits_login(login(&server, "alice", &token));
    let log = server.log().since(mark);
    assert!(
        log.contains("OAuth token accepted for user \"alice\": ")
            && log.contains(" identity=some-subject"),
        "{log}"
    );
    assert_eq!(system_user(&server, &mut session), "pam:some-subject");
    assert_eq!(session.value("SELECT validator.claim('team')"), "blue");
    assert_eq!(session.value("SELECT validator.claims() ->> 'jti'"), "t1");
    assert_eq!(
        session.value("SELECT validator.token_expires_at() > now()"),
        "t"
    );
    // Parallel workers are told, too.
    if environment::postgresql_version() >= 16 {
        let parallel =
            "SET debug_parallel_query = on; SET parallel_setup_cost = 0; SELECT system_user";
        assert_eq!(session.value(parallel), "pam:some-subject");
    }
    let listed = "SELECT identity || ' ' || jti FROM validator.sessions";
    assert_eq!(server.value(listed), "some-subject t1");
    assert_eq!(number(&server, "SELECT accepted FROM validator.stats"), 1);
    let refused = issuer
        .token("some-subject")
        .claim("exp", now() - 3600)
        .encode();
    server.refuses_login(login(&server, "alice", &refused), &refused, "expired");
    let counted = "SELECT count FROM validator.refusals WHERE reason = 'expired'";
    assert_eq!(number(&server, counted), 1);
    let end = format!(
        "SELECT validator.end_sessions('{}', identity => 'some-subject')",
        issuer.url()
    );
    assert_eq!(server.value(&end), "1");
    assert_ended(&mut session);
}

#[test]
fn session_ends_with_its_token() {
    let started = start_with(|builder| {
        builder
            .set("validator.session_expiry", "on")
            .set("validator.clock_skew", "0")
    });
    let Some((issuer, server)) = started else {
        return;
    };
    let token = issuer.token("alice").claim("exp", now() + 6).encode();
    let mut session = server.admits_login(login(&server, "alice", &token));
    assert_ended(&mut session);
    let log = server.log().text();
    assert!(
        log.contains("OAuth session of \"alice\" ended: its token expired"),
        "{log}"
    );
    server.refuses_login(login(&server, "alice", &token), &token, "expired");
}

#[test]
fn lines_for_tokens_of_both_methods_share_keys_and_statistics() {
    if !has_oauth() {
        return;
    }
    let Some((issuer, server)) = start_with(|builder| builder) else {
        return;
    };
    server.sql("CREATE EXTENSION validator");
    let other = oauth_line(issuer.url(), "").replace("host all all", "host all bob");
    server.set_hba(&[&other, &rig::pam_line()]);
    server.reload();
    let (alice, bob) = (issuer.token("alice").encode(), issuer.token("bob").encode());
    let mut by_password = server.admits_login(login(&server, "alice", &alice));
    let mut by_token = server.admits_login(login(&server, "bob", &bob));
    assert_eq!(by_password.value("SELECT system_user"), "pam:alice");
    assert_eq!(by_token.value("SELECT system_user"), "oauth:bob");
    assert_eq!(issuer.hits(rig::Endpoint::Jwks), 1);
    assert_eq!(number(&server, "SELECT accepted FROM validator.stats"), 2);
    let listed = "SELECT string_agg(identity, ' ' ORDER BY identity) FROM validator.sessions";
    assert_eq!(server.value(listed), "alice bob");
    // Each by the rules of its own line.
    let alien = issuer
        .token("alice")
        .claim("aud", "https://other.example/")
        .encode();
    server.refuses_login(login(&server, "alice", &alien), &alien, "aud_mismatch");
    server.refuses_login(login(&server, "bob", &alien), &alien, "aud_mismatch");
}
