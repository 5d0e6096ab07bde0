//! `check_token()`: it agrees with logins, and never shows a token.

use std::fs;

use rig::{Endpoint, Issuer, Key, KeyKind, Login, Rows, Server, now, oauth_line};
use serde_json::json;

use crate::{BOTH, server_of, server_that_asks, steps_of, with_extension};

fn check(server: &Server, issuer: &Issuer, token: &str, role: &str) -> Rows {
    let (url, scope) = (issuer.url(), Issuer::SCOPE);
    let call = format!("check_token('{token}', '{url}', '{scope}', '{role}')");
    steps_of(server, &call, token)
}

/// Name, whether it has passed, and detail.
fn last(rows: &Rows) -> (&str, &str, &str) {
    let row = rows.last().expect("there are steps");
    let text = |column: usize| row[column].as_deref().unwrap_or("null");
    (text(0), text(1), text(2))
}

#[test]
fn good_token_passes_all_steps() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = with_extension(server_of(&issuer, preload));
        let token = issuer.token("alice").encode();
        let rows = check(&server, &issuer, &token, "alice");
        assert_eq!(rows.len(), 16, "{rows:#?}");
        assert!(
            rows.iter().all(|row| row[1].as_deref() == Some("t")),
            "{rows:#?}"
        );
        assert_eq!(
            (rows[0][0].as_deref(), last(&rows).0),
            (Some("settings"), "user_map")
        );
        // It is no login, but has used the cache.
        assert_eq!(
            server.value("SELECT accepted + refused FROM validator.stats"),
            "0"
        );
        assert_eq!(server.value("SELECT count(*) FROM validator.sessions"), "0");
        server.admits("alice", &token);
        assert_eq!(issuer.hits(Endpoint::Jwks), 1);

        let rows = check(&server, &issuer, &token, "bob");
        assert_eq!((last(&rows).0, last(&rows).1), ("user_map", "f"));
    }
}

#[test]
fn refusal_has_the_reason_that_a_login_has() {
    let issuer = Issuer::builder().start();
    let server = with_extension(server_of(&issuer, false));
    let stranger = Key::new(KeyKind::P256);
    let good = || issuer.token("alice");
    let cases = [
        (
            "structure",
            "typ_not_allowed",
            good().header("typ", "JWT").encode(),
        ),
        ("structure", "not_a_jwt", "garbage".to_owned()),
        (
            "key",
            "unknown_kid",
            good().signed_by(&stranger, stranger.default_alg()).encode(),
        ),
        (
            "issuer",
            "iss_mismatch",
            good().claim("iss", "https://evil.example").encode(),
        ),
        (
            "audience",
            "aud_mismatch",
            good().claim("aud", "other").encode(),
        ),
        (
            "expiry",
            "expired",
            good().claim("exp", now() - 60).encode(),
        ),
        (
            "scope",
            "insufficient_scope",
            good().claim("scope", "openid").encode(),
        ),
        (
            "confirmation",
            "cnf_unsupported",
            good().claim("cnf", json!({"jkt": "x"})).encode(),
        ),
        (
            "identity",
            "identity_missing",
            good().without_claim("sub").encode(),
        ),
    ];
    for (step, reason, token) in cases {
        server.refuses("alice", &token, reason);
        let rows = check(&server, &issuer, &token, "alice");
        let (name, passed, detail) = last(&rows);
        assert_eq!((name, passed), (step, "f"), "{rows:#?}");
        assert!(detail.contains(&format!("reason={reason}")), "{detail}");
        assert!(
            rows[..rows.len() - 1]
                .iter()
                .all(|row| row[1].as_deref() == Some("t"))
        );
    }
    issuer.go_down();
    server.sql("SELECT validator.flush_cache()");
    let rows = check(&server, &issuer, &good().encode(), "alice");
    assert_eq!((last(&rows).0, last(&rows).1), ("key", "f"));
    assert!(
        last(&rows)
            .2
            .contains("reason=provider_unavailable cause=connection"),
        "{rows:#?}"
    );
}

#[test]
fn settings_that_allow_no_judgement_are_the_first_step() {
    let issuer = Issuer::builder().start();
    let server = with_extension(server_of(&issuer, false));
    server.unset("validator.audience");
    server.reload();
    let rows = check(&server, &issuer, &issuer.token("alice").encode(), "alice");
    assert_eq!(rows.len(), 1);
    let (name, passed, detail) = last(&rows);
    assert!(
        (name, passed) == ("settings", "f") && detail.contains("reason=audience_unset"),
        "{rows:#?}"
    );
    assert_eq!(
        server.value("SELECT count(*) FROM validator.check_token('x', 'not a url', '', 'alice') WHERE NOT passed"),
        "1"
    );
}

#[test]
fn roles_are_judged_by_the_files_as_they_are() {
    let issuer = Issuer::builder().start();
    let server = with_extension(
        server_of(&issuer, false)
            .set("validator.role_claim", "groups")
            .ident("m x alice"),
    );
    let check = |server: &Server, groups: serde_json::Value, role: &str| {
        let token = issuer.token("x").claim("groups", groups).encode();
        let sql = format!(
            "SELECT coalesce(passed::text, 'null') || ' ' || detail \
             FROM validator.check_token('{token}', '{}', '{}', '{role}', true) WHERE name = 'role'",
            issuer.url(),
            Issuer::SCOPE
        );
        server.value(&sql)
    };
    assert!(check(&server, json!(["alice"]), "alice").starts_with("true groups="));
    assert!(check(&server, json!(["bob"]), "alice").contains("reason=role_not_granted"));
    assert!(check(&server, json!(["postgres"]), "postgres").contains("reason=role_too_powerful"));
    server.reload_with(&[("validator.role_map", "m")]);
    assert!(check(&server, json!(["x"]), "alice").starts_with("true groups="));
    assert!(check(&server, json!(["x"]), "bob").contains("reason=role_not_granted"));
    assert!(check(&server, json!(["alice"]), "alice").contains("reason=role_not_granted"));
}

#[test]
fn word_of_a_provider_that_repeats_the_token_is_not_shown() {
    let issuer = Issuer::builder().start();
    let server = with_extension(server_that_asks(&issuer));
    let part = issuer.opaque_token("alice");
    let token = format!("{part}.more");
    for (repeated, expected) in [
        // It is no claim at all.
        (token.as_str(), "it names no client"),
        (&part, "(not shown: it contains a part of the token)"),
    ] {
        let mut word = issuer.word_on("alice");
        word["client_id"] = json!(format!("client of {repeated}"));
        issuer.say(&token, word);
        server.forget_keys();
        let rows = check(&server, &issuer, &token, "alice");
        assert_eq!(last(&rows).1, "t", "{rows:#?}");
        let client = rows.iter().find(|row| row[0].as_deref() == Some("client"));
        let told = client.and_then(|row| row[2].as_deref());
        assert_eq!(told, Some(expected));
    }
}

#[test]
fn issuer_without_a_line_is_not_asked_and_takes_no_place_in_the_cache() {
    for preload in BOTH {
        let (issuer, other) = (Issuer::builder().start(), Issuer::builder().start());
        let builder = server_of(&issuer, preload)
            .set("validator.introspection", "opaque")
            .set("validator.client_auth_method", "none")
            .hba("local all alice trust");
        let server = with_extension(builder);
        server.sql(
            "GRANT USAGE ON SCHEMA validator TO alice; \
             GRANT EXECUTE ON FUNCTION validator.check_token(text, text, text, text, boolean) TO alice",
        );
        server.admits("alice", &issuer.token("alice").encode());
        let cached = server.value("SELECT string_agg(issuer, ' ') FROM validator.issuers");
        let mut alice = Login::by_socket(&server, "alice").run().session();
        let origin = other.origin();
        for n in 0..20 {
            for url in [
                other.url().to_owned(),
                format!("{origin}/{n}"),
                format!("{origin}/{n}/.well-known/openid-configuration"),
            ] {
                for token in [other.token("alice").encode(), other.opaque_token("alice")] {
                    let rows = alice
                        .query(&format!(
                            "SELECT name, passed, detail FROM validator.check_token('{token}', '{url}', '', 'alice')"
                        ))
                        .expect("it was granted");
                    assert_eq!((last(&rows).0, last(&rows).1), ("settings", "f"));
                    let said = "no line of pg_hba.conf that uses this module has this issuer";
                    assert!(last(&rows).2.starts_with(said), "{rows:#?}");
                }
            }
        }
        assert!(other.requests().is_empty());
        let still = server.value("SELECT string_agg(issuer, ' ') FROM validator.issuers");
        assert_eq!(still, cached);
        server.admits("alice", &issuer.token("alice").encode());
        assert_eq!(issuer.hits(Endpoint::Jwks), 1);

        // An issuer that has a line is judged for whom it is granted to, by its name and by its well-known URI.
        let uri = format!("{}/.well-known/openid-configuration", issuer.url());
        for url in [issuer.url(), &uri] {
            let token = issuer.token("alice").encode();
            let passed = alice.value(&format!(
                "SELECT bool_and(passed) FROM validator.check_token('{token}', '{url}', '{}', 'alice')",
                Issuer::SCOPE
            ));
            assert_eq!(passed, "t", "{url}");
        }
        assert_eq!(issuer.hits(Endpoint::Jwks), 1);
    }
}

/// The commands of docs/sql.md.
#[test]
fn token_that_is_passed_as_the_manual_says_is_not_logged() {
    let issuer = Issuer::builder().start();
    let server = with_extension(
        server_of(&issuer, false)
            .set("log_statement", "all")
            .set("log_min_duration_statement", "0"),
    );
    server.set_hba(&[&oauth_line(issuer.url(), "")]);
    server.reload();
    let token = issuer.token("alice").encode();
    let folder = server.socket_folder();
    let file = folder.join("token.txt");
    fs::write(&file, format!("{token}\n")).expect("a file");
    let page = include_str!("../../../docs/sql.md");
    let commands = page
        .split("```psql\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("the page has commands")
        .replace("token.txt", &file.display().to_string())
        .replace("https://idp.example.com/realms/corp", issuer.url());
    let script = folder.join("check.sql");
    fs::write(&script, commands).expect("a file");
    let mark = server.log().mark();
    let ended = server.psql_script(&script);
    let shown = ended.success();
    assert!(shown.contains("user_map|t|"), "{shown}");
    let log = server.log().since(mark);
    assert!(log.contains("SET log_statement"), "{log}");
    for part in token.split('.') {
        assert!(!log.contains(part), "{log}");
    }
}
