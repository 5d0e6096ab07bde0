//! The views `stats` and `refusals`, and `reset_stats()`.

use std::thread;
use std::time::Duration;

use rig::{Endpoint, Fault, Issuer, Key, KeyKind, Server, oauth_line};
use serde_json::json;

use crate::{BOTH, server_of, server_that_asks, with_extension};

fn texts<const N: usize>(row: [&str; N]) -> Vec<Option<String>> {
    row.iter().map(|text| Some((*text).to_owned())).collect()
}

/// The first columns of the only row.
fn stats(server: &Server, columns: &str) -> Vec<Option<String>> {
    let mut rows = server.sql(&format!("SELECT {columns} FROM validator.stats"));
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0)
}

fn refusals(server: &Server) -> Vec<Vec<Option<String>>> {
    server.sql("SELECT reason, count FROM validator.refusals ORDER BY reason")
}

#[test]
fn views_are_empty_before_anybody_has_tried_to_log_in() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = with_extension(server_of(&issuer, preload));
        for view in ["stats", "refusals", "issuers", "keys", "sessions"] {
            let rows = server.sql(&format!("SELECT * FROM validator.{view}"));
            assert!(rows.is_empty(), "{view}: {rows:?}");
        }
        server.sql("SELECT validator.reset_stats(); SELECT validator.flush_cache()");
    }
}

#[test]
fn logins_are_counted_by_outcome_and_reason() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = with_extension(server_of(&issuer, preload));
        for _ in 0..3 {
            server.admits("alice", &issuer.token("alice").encode());
        }
        server.refuses("alice", "garbage", "not_a_jwt");
        server.refuses("alice", "garbage", "not_a_jwt");
        let other = issuer.token("alice").claim("aud", "other").encode();
        server.refuses("alice", &other, "aud_mismatch");
        server.reload_with(&[("validator.enabled", "off")]);
        server.refuses("alice", &issuer.token("alice").encode(), "disabled");
        assert_eq!(
            stats(
                &server,
                "issuer, accepted, refused, fetches, fetch_failures, waits, introspections"
            ),
            texts([issuer.url(), "3", "4", "1", "0", "0", "0"])
        );
        assert_eq!(
            refusals(&server),
            [["aud_mismatch", "1"], ["disabled", "1"], ["not_a_jwt", "2"]].map(texts)
        );
        assert_eq!(
            server.value(
                "SELECT bool_and(last_at BETWEEN stats_reset AND clock_timestamp()) \
                 FROM validator.refusals JOIN validator.stats USING (issuer)"
            ),
            "t"
        );
        let before = server.value("SELECT stats_reset FROM validator.stats");
        server.sql("SELECT validator.reset_stats()");
        assert_eq!(
            stats(
                &server,
                "accepted, refused, fetches, fetch_total_ms, fetch_max_ms"
            ),
            texts(["0", "0", "0", "0", "0"])
        );
        assert!(refusals(&server).is_empty());
        assert_eq!(
            server.value(&format!(
                "SELECT stats_reset > '{before}' FROM validator.stats"
            )),
            "t"
        );
    }
}

#[test]
fn login_that_only_pg_ident_refuses_is_neither_accepted_nor_a_refused_token() {
    let issuer = Issuer::builder().start();
    let server = with_extension(server_of(&issuer, false));
    server.admits("alice", &issuer.token("alice").encode());
    let outcome = rig::Login::new(&server, "bob")
        .token(&issuer.token("alice").encode())
        .run();
    assert!(matches!(outcome, rig::Outcome::Refused(_)));
    assert_eq!(stats(&server, "accepted, refused"), texts(["1", "0"]));
}

#[test]
fn attacker_makes_no_rows() {
    let issuer = Issuer::builder().start();
    let server = with_extension(server_of(&issuer, false));
    let stranger = Key::new(KeyKind::P256);
    for n in 0..5 {
        let iss = format!("https://evil{n}.example");
        let token = issuer.token("alice").claim("iss", iss.as_str());
        server.refuses("alice", &token.encode(), "iss_mismatch");
        let token = token.signed_by(&stranger, stranger.default_alg());
        server.refuses("alice", &token.encode(), "unknown_kid");
    }
    assert_eq!(
        stats(&server, "issuer, refused"),
        texts([issuer.url(), "10"])
    );
    assert_eq!(server.value("SELECT count(*) FROM validator.issuers"), "1");
}

#[test]
fn each_issuer_has_a_row_under_its_own_name() {
    let issuers: Vec<Issuer> = (0..2).map(|_| Issuer::builder().start()).collect();
    let well_known = format!("{}/.well-known/openid-configuration", issuers[1].url());
    let line =
        |role: &str, url: &str| oauth_line(url, "").replacen("all all", &format!("all {role}"), 1);
    let server = with_extension(server_of(&issuers[0], false));
    server.set_hba(&[&line("alice", issuers[0].url()), &line("bob", &well_known)]);
    server.reload();
    server.admits("alice", &issuers[0].token("alice").encode());
    for _ in 0..2 {
        server.admits("bob", &issuers[1].token("bob").encode());
    }
    let mut expected = vec![
        texts([issuers[0].url(), "1"]),
        texts([issuers[1].url(), "2"]),
    ];
    expected.sort();
    for view in ["stats", "issuers"] {
        let names = server.sql(&format!(
            "SELECT issuer FROM validator.{view} ORDER BY issuer COLLATE \"C\""
        ));
        let wanted: Vec<_> = expected.iter().map(|row| vec![row[0].clone()]).collect();
        assert_eq!(names, wanted, "{view}");
    }
    assert_eq!(
        server.sql("SELECT issuer, accepted FROM validator.stats ORDER BY issuer COLLATE \"C\""),
        expected
    );
}

#[test]
fn as_many_issuers_are_counted_as_are_set() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        // Rounded up to 48.
        let builder = server_of(&issuer, preload).set("validator.jwks_cache_issuers", "33");
        let server = with_extension(builder);
        let line = |role: &str, url: &str| {
            oauth_line(url, "").replacen("all all", &format!("all {role}"), 1)
        };
        let url = |n: usize| format!("https://idp{n:02}.example");
        let mut lines = vec![line("alice", issuer.url())];
        lines.extend((0..48).map(|n| line(&format!("r{n}"), &url(n))));
        server.set_hba(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        server.reload();
        let refuse = |n: usize| server.refuses(&format!("r{n}"), "garbage", "not_a_jwt");
        for n in 0..47 {
            refuse(n);
        }
        // The last row; one more issuer has none, and no other's.
        server.admits("alice", &issuer.token("alice").encode());
        refuse(47);
        let mut expected: Vec<_> = (0..47).map(|n| texts([&url(n), "0", "1", "0"])).collect();
        expected.push(texts([issuer.url(), "1", "0", "1"]));
        expected.sort();
        let rows = || {
            server.sql(
                "SELECT issuer, accepted, refused, fetches FROM validator.stats \
                 ORDER BY issuer COLLATE \"C\"",
            )
        };
        assert_eq!(rows(), expected);
        assert_eq!(
            server.value("SELECT sum(count) FROM validator.refusals"),
            "47"
        );
        server.sql("SELECT validator.reset_stats()");
        assert_eq!(
            server.value("SELECT sum(accepted + refused + fetches) FROM validator.stats"),
            "0"
        );
        server.admits("alice", &issuer.token("alice").encode());
        assert_eq!(
            server.value("SELECT sum(accepted) FROM validator.stats"),
            "1"
        );
    }
}

#[test]
fn requests_their_failures_and_who_waited_are_counted() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = with_extension(server_of(&issuer, preload));
        issuer.fail(Endpoint::Jwks, Fault::Delay(Duration::from_millis(700)));
        let token = issuer.token("alice").encode();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| server.admits("alice", &token));
            }
        });
        assert_eq!(issuer.hits(Endpoint::Jwks), 1);
        assert_eq!(
            stats(&server, "accepted, fetches, fetch_failures"),
            texts(["4", "1", "0"])
        );
        let waits: u32 = server
            .value("SELECT waits FROM validator.stats")
            .parse()
            .expect("a number");
        assert!((1..=3).contains(&waits), "{waits} of the other three");
        assert_eq!(
            server.value("SELECT fetch_max_ms = fetch_total_ms AND fetch_total_ms BETWEEN 700 AND 60000 FROM validator.stats"),
            "t"
        );
        issuer.go_down();
        server.sql("SELECT validator.flush_cache()");
        server.refuses("alice", &token, "provider_unavailable");
        assert_eq!(
            stats(&server, "accepted, refused, fetches, fetch_failures"),
            texts(["4", "1", "2", "1"])
        );
    }
}

#[test]
fn requests_about_tokens_are_counted() {
    let issuer = Issuer::builder().start();
    let server = with_extension(server_that_asks(&issuer));
    let token = issuer.opaque_token("alice");
    for _ in 0..3 {
        server.admits("alice", &token);
    }
    server.refuses("alice", "opaque-unknown", "token_inactive");
    assert_eq!(
        stats(
            &server,
            "accepted, refused, introspections, introspection_failures, introspection_cache_hits, fetches"
        ),
        texts(["3", "1", "2", "0", "2", "0"])
    );
    issuer.fail(Endpoint::Introspection, Fault::Status(500));
    let other = issuer.opaque_token("alice");
    server.refuses("alice", &other, "provider_unavailable");
    assert_eq!(
        stats(&server, "introspections, introspection_failures"),
        texts(["3", "1"])
    );
    issuer.say(&other, json!({"active": false}));
}

#[test]
fn counting_works_on_a_standby() {
    let issuer = Issuer::builder().start();
    let primary = with_extension(server_of(&issuer, false));
    primary.admits("alice", &issuer.token("alice").encode());
    let standby = primary.standby();
    assert!(standby.sql("SELECT * FROM validator.stats").is_empty());
    for _ in 0..2 {
        standby.admits("alice", &issuer.token("alice").encode());
    }
    assert_eq!(stats(&standby, "accepted"), texts(["2"]));
    assert_eq!(stats(&primary, "accepted"), texts(["1"]));
    standby.sql(&format!(
        "SELECT validator.refresh_keys('{}')",
        issuer.url()
    ));
    assert_eq!(
        standby.value("SELECT state FROM validator.issuers"),
        "fresh"
    );
    standby.sql("SELECT validator.reset_stats()");
    assert_eq!(stats(&standby, "accepted"), texts(["0"]));
}

#[test]
fn accepted_logins_are_logged_where_that_is_set() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer, false).ident("m /^ali.*$ alice").start();
    server.set_hba(&[&oauth_line(issuer.url(), "map=m")]);
    server.reload();
    let token = issuer
        .token("alice")
        .claim("client_id", "app\nLOG:  forged")
        .claim("jti", "t\u{202e}1");
    let mark = server.log().mark();
    server.admits("alice", &token.encode());
    assert!(!server.log().since(mark).contains("OAuth token accepted"));

    server.reload_with(&[("validator.log_accepted", "on")]);
    let mark = server.log().mark();
    server.admits("alice", &token.encode());
    let log = server.log().since(mark);
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("OAuth token accepted"))
        .collect();
    let expected = format!(
        "LOG:  OAuth token accepted for user \"alice\": issuer={} client_id=\"app\\u{{a}}LOG:  forged\" jti=\"t\\u{{202e}}1\" identity=alice",
        issuer.url()
    );
    assert!(
        lines.len() == 1 && lines[0].ends_with(&expected),
        "{lines:#?}"
    );
    for part in token.encode().split('.') {
        assert!(!log.contains(part), "{log}");
    }

    // A token that is good, for a role that pg_ident.conf does not give, opens no session.
    let mark = server.log().mark();
    let outcome = rig::Login::new(&server, "bob").token(&token.encode()).run();
    assert!(matches!(outcome, rig::Outcome::Refused(_)));
    assert!(!server.log().since(mark).contains("OAuth token accepted"));
}
