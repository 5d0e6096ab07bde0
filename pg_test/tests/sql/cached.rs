//! The views `issuers` and `keys`, and `refresh_keys()`.

use std::thread;
use std::time::Duration;

use rig::{Endpoint, Fault, Issuer, Key, KeyKind, Login, Server};
use serde_json::json;

use crate::{BOTH, server_of, with_extension};

fn state(server: &Server) -> String {
    server.value("SELECT state FROM validator.issuers")
}

fn log_in(server: &Server, issuer: &Issuer) {
    server.admits("alice", &issuer.token("alice").encode());
}

#[test]
fn state_of_an_issuer_is_shown_from_fresh_to_expired_by_the_limits_that_are_set_now() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let builder = server_of(&issuer, preload)
            .set("validator.jwks_min_ttl", "1")
            .set("validator.jwks_max_ttl", "1")
            .set("validator.jwks_stale_ttl", "4");
        let server = with_extension(builder);
        log_in(&server, &issuer);
        assert_eq!(
            server.value(
                "SELECT (state, keys, unusable_keys, last_error) IS NOT DISTINCT FROM ('fresh', 1, 0, NULL) \
                 AND fetched_at <= clock_timestamp() AND fresh_until = fetched_at + interval '1s' \
                 AND usable_until = fetched_at + interval '4s' AND last_used_at >= fetched_at FROM validator.issuers"
            ),
            "t"
        );
        issuer.go_down();
        thread::sleep(Duration::from_millis(1200));
        assert_eq!(state(&server), "stale");
        log_in(&server, &issuer);
        assert_eq!(
            server.value(
                "SELECT last_error LIKE 'connection failed: % (http://127.0.0.1:%)' AND last_error_at > fetched_at \
                 FROM validator.issuers"
            ),
            "t"
        );
        thread::sleep(Duration::from_millis(3000));
        assert_eq!(state(&server), "expired");
        // In an outage the limit can be raised, and lowered, for the keys that there are.
        server.reload_with(&[("validator.jwks_stale_ttl", "1h")]);
        assert_eq!(state(&server), "stale");
        log_in(&server, &issuer);
        server.reload_with(&[("validator.jwks_stale_ttl", "4s")]);
        assert_eq!(state(&server), "expired");
        let token = issuer.token("alice").encode();
        server.refuses("alice", &token, "provider_unavailable");
        server.sql("SELECT validator.flush_cache()");
        assert_eq!(state(&server), "empty");
        assert_eq!(
            server.value("SELECT (fetched_at, fresh_until, usable_until, last_error, last_error_at) IS NULL FROM validator.issuers"),
            "t"
        );
    }
}

#[test]
fn provider_that_never_answered_is_unavailable_and_the_last_error_stays_after_a_success() {
    let issuer = Issuer::builder().start();
    let server = with_extension(server_of(&issuer, false));
    issuer.fail(Endpoint::Jwks, Fault::Status(503));
    server.refuses(
        "alice",
        &issuer.token("alice").encode(),
        "provider_unavailable",
    );
    assert_eq!(state(&server), "unavailable");
    assert_eq!(server.value("SELECT count(*) FROM validator.keys"), "0");
    issuer.heal();
    server.sql(&format!(
        "SELECT validator.refresh_keys('{}')",
        issuer.url()
    ));
    assert_eq!(state(&server), "fresh");
    assert!(
        server
            .value("SELECT last_error FROM validator.issuers WHERE last_error_at < fetched_at")
            .starts_with("answered with HTTP status 503 (http://")
    );
}

#[test]
fn keys_are_shown_without_their_material() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = with_extension(server_of(&issuer, preload));
        let (p256, ed25519) = (Key::new(KeyKind::P256), Key::new(KeyKind::Ed25519));
        issuer.publish(&p256);
        issuer.publish_jwk(ed25519.without_kid().jwk_with(json!({})));
        issuer.publish_jwk(
            Key::new(KeyKind::P384)
                .with_kid("for encryption")
                .jwk_with(json!({"use": "enc"})),
        );
        log_in(&server, &issuer);
        let rows = server
            .sql("SELECT issuer, kid, alg, kty, usable, length(thumbprint), unusable_member FROM validator.keys");
        let row = |kid: Option<&str>, alg: Option<&str>, kty: Option<&str>, usable: &str| {
            let length = kty.map(|_| "43".to_owned());
            let text = |text: Option<&str>| text.map(str::to_owned);
            vec![
                text(Some(issuer.url())),
                text(kid),
                text(alg),
                text(kty),
                text(Some(usable)),
                length,
                text((usable == "f").then_some("use")),
            ]
        };
        let rsa = issuer.signing_key();
        assert_eq!(
            rows,
            [
                row(rsa.kid(), Some(rsa.default_alg().name()), Some("RSA"), "t"),
                row(p256.kid(), Some("ES256"), Some("EC"), "t"),
                row(None, None, Some("OKP"), "t"),
                row(Some("for encryption"), None, None, "f"),
            ]
        );
        let all: Vec<String> = server
            .sql("SELECT * FROM validator.keys")
            .into_iter()
            .flatten()
            .flatten()
            .collect();
        for key in [&rsa, &p256, &ed25519] {
            for member in ["n", "x", "y"] {
                if let Some(material) = key.jwk_with(json!({}))[member].as_str() {
                    assert!(!all.iter().any(|text| text.contains(material)));
                }
            }
        }
        assert_eq!(
            server.value("SELECT keys || ' ' || unusable_keys FROM validator.issuers"),
            "3 1"
        );
    }
}

#[test]
fn refresh_fetches_fresh_keys_again() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = with_extension(server_of(&issuer, preload));
        let refresh = format!("SELECT validator.refresh_keys('{}')", issuer.url());
        // Before anybody has logged in, too.
        server.sql(&refresh);
        assert_eq!(issuer.hits(Endpoint::Jwks), 1);
        log_in(&server, &issuer);
        assert_eq!(issuer.hits(Endpoint::Jwks), 1);
        let withdrawn = issuer.signing_key();
        issuer.rotate();
        issuer.withdraw(withdrawn.kid().expect("a kid"));
        server.sql(&refresh);
        assert_eq!(issuer.hits(Endpoint::Jwks), 2);
        issuer.sign_with(&withdrawn);
        server.refuses("alice", &issuer.token("alice").encode(), "unknown_kid");
        // The first unknown key causes one, too.
        assert_eq!(server.value("SELECT fetches FROM validator.stats"), "3");
    }
}

#[test]
fn refresh_that_fails_says_why_and_keeps_the_keys() {
    let issuer = Issuer::builder().start();
    let server = with_extension(server_of(&issuer, false));
    log_in(&server, &issuer);
    issuer.fail(Endpoint::Jwks, Fault::Html);
    let mut session = Login::by_socket(&server, "postgres").run().session();
    let error = session
        .query(&format!(
            "SELECT validator.refresh_keys('{}')",
            issuer.url()
        ))
        .expect_err("a web page is no key set");
    assert_eq!(error.code(), "08006");
    let text = format!("{error:?}");
    assert!(
        text.contains("reason=provider_unavailable cause=malformed"),
        "{text}"
    );
    log_in(&server, &issuer);
    assert_eq!(state(&server), "fresh");
}

#[test]
fn refresh_asks_no_url_but_that_of_an_issuer_of_pg_hba_conf() {
    let issuer = Issuer::builder().start();
    let other = Issuer::builder().start();
    let server = with_extension(server_of(&issuer, false).hba("local all alice trust"));
    server.sql("GRANT EXECUTE ON FUNCTION validator.refresh_keys(text) TO alice");
    let mut alice = Login::by_socket(&server, "alice").run().session();
    for url in [other.url(), "", "x", "file:///etc/passwd"] {
        let error = alice
            .query(&format!("SELECT validator.refresh_keys('{url}')"))
            .expect_err(url);
        assert_eq!(error.code(), "22023", "{url}");
    }
    assert!(other.requests().is_empty());
    alice
        .query(&format!(
            "SELECT validator.refresh_keys('{}')",
            issuer.url()
        ))
        .expect("it was granted");
    assert_eq!(issuer.hits(Endpoint::Jwks), 1);
}

/// As under pg_cron: in a background worker that is not ours.
#[test]
fn refresh_in_a_worker_of_another_module_goes_on_while_a_reload_is_pending() {
    let issuer = Issuer::builder().start();
    let server = with_extension(
        server_of(&issuer, true)
            .set("wal_level", "logical")
            .set("validator.http_timeout", "60s"),
    );
    server.sql("CREATE TABLE calls (n int PRIMARY KEY)");
    server.sql("CREATE DATABASE copy TEMPLATE postgres");
    server.sql("CREATE PUBLICATION p FOR TABLE calls");
    server.sql("SELECT pg_create_logical_replication_slot('s', 'pgoutput')");
    let mut copy = Login::by_socket(&server, "postgres")
        .database("copy")
        .run()
        .session();
    for sql in [
        format!(
            "CREATE FUNCTION refresh() RETURNS trigger LANGUAGE plpgsql AS \
             $$BEGIN PERFORM validator.refresh_keys('{}'); RETURN NEW; END$$",
            issuer.url()
        ),
        "CREATE TRIGGER t BEFORE INSERT ON calls FOR EACH ROW EXECUTE FUNCTION refresh()"
            .to_owned(),
        "ALTER TABLE calls ENABLE ALWAYS TRIGGER t".to_owned(),
        format!(
            "CREATE SUBSCRIPTION s CONNECTION 'host={} port={} dbname=postgres user=postgres' \
             PUBLICATION p WITH (create_slot = false, copy_data = false, slot_name = s)",
            server.socket_folder().display(),
            server.port()
        ),
    ] {
        copy.query(&sql).expect(&sql);
    }
    issuer.fail(Endpoint::Jwks, Fault::Delay(Duration::from_secs(3)));
    server.sql("INSERT INTO calls VALUES (1)");
    let pid = server.wait_for_backend("wait_event = 'ValidatorFetch'");
    let kind = server.value(&format!(
        "SELECT backend_type FROM pg_stat_activity WHERE pid = {pid}"
    ));
    assert_eq!(kind, "logical replication apply worker");
    let mark = server.log().mark();
    server.sql("SELECT pg_reload_conf()");
    let mut rows = String::new();
    for _ in 0..600 {
        rows = copy.value("SELECT count(*) FROM calls");
        if rows == "1" {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    let log = server.log().since(mark);
    assert!(!log.contains("interrupted"), "{log}");
    assert_eq!(
        (rows.as_str(), issuer.hits(Endpoint::Jwks)),
        ("1", 1),
        "{log}"
    );
    copy.query("ALTER SUBSCRIPTION s DISABLE")
        .expect("it can be");
}

#[test]
fn refresh_can_be_cancelled_while_the_provider_hangs() {
    let issuer = Issuer::builder().start();
    let server = with_extension(server_of(&issuer, false).set("validator.http_timeout", "60s"));
    issuer.fail(Endpoint::Jwks, Fault::Hang);
    let mut session = Login::by_socket(&server, "postgres").run().session();
    let error = session
        .query(&format!(
            "SET statement_timeout = '500ms'; SELECT validator.refresh_keys('{}')",
            issuer.url()
        ))
        .expect_err("it takes too long");
    assert_eq!(error.code(), "57014");
    // It has left no fetch open for others to wait for.
    issuer.heal();
    log_in(&server, &issuer);
}
