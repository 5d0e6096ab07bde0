//! Tokens that are accepted, and logins that PostgreSQL refuses nevertheless: maps and roles.

use std::fs;
use std::time::{Duration, Instant};

use rig::{Issuer, Login, Outcome, Server, assert_silent_log, oauth_line, reasons};

use crate::{check_config, explain, server_for, try_login};

const PAGE: &str = include_str!("../../../docs/troubleshooting.md");

/// A server on whose line this map stands, with these lines of pg_ident.conf.
fn server_with_map(issuer: &Issuer, map: &str, ident: &[&str]) -> Server {
    let server = server_for(issuer).start();
    server.set_hba(&[&oauth_line(issuer.url(), &format!("map={map}"))]);
    server.set_ident(ident);
    server.reload();
    server
}

/// Asserts that try_login gives the same code and advice.
#[track_caller]
fn try_login_says(server: &Server, role: &str, token: &str, parts: &[&str]) {
    let said = try_login(server, role, token);
    for part in parts {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
}

#[test]
fn map_that_does_not_exist_is_said_with_those_that_do() {
    let issuer = Issuer::builder().start();
    let ident = ["corp_users alice alice", "other bob bob"];
    let server = server_with_map(&issuer, "corp-users", &ident);
    let token = issuer.token("alice").encode();
    let told = [
        "\"corp_users\" differs only by an underscore or dash for a hyphen",
        "in map= of the HBA line",
    ];
    explain(&server, "alice", &token, "map_missing")
        .has_fact("hba_line=3 map=corp-users")
        .has_fact("identity=alice")
        .says(&told)
        .loosens_nothing();
    try_login_says(&server, "alice", &token, &told);
    try_login_says(&server, "alice", &token, &["reason=map_missing"]);
    let found = check_config(&server);
    assert!(found.contains("map_missing: "), "{found}");
}

#[test]
fn identity_with_its_prefix_is_compared_with_the_maps_lines() {
    let issuer = Issuer::builder().start();
    let server = server_with_map(&issuer, "people", &["people alice alice", "people bob bob"]);
    server.reload_with(&[("validator.identity_prefix", "corp:")]);
    let token = issuer.token("alice").encode();
    let told = [
        "which can give the role, is for \"alice\"; the identity is \"corp:alice\"",
        "begins with \"corp:\", as validator.identity_prefix",
    ];
    explain(&server, "alice", &token, "identity_not_mapped")
        .has_fact("map=people")
        .says(&told)
        .loosens_nothing();
    try_login_says(&server, "alice", &token, &told);
}

#[test]
fn map_for_another_role_says_what_it_gives() {
    let issuer = Issuer::builder().start();
    let ident = ["people /^(.*)@corp\\.example$ \\1", "people alice carol"];
    let server = server_with_map(&issuer, "people", &ident);
    let token = issuer.token("alice").encode();
    let mark = server.log().mark();
    explain(&server, "bob", &token, "identity_not_mapped")
        .says(&["is for \"/^(.*)@corp", "the identity is \"alice\""])
        .loosens_nothing();
    let log = server.log().since(mark);
    assert!(
        log.contains("refused by PostgreSQL for user \"bob\": the map people in pg_ident.conf does not give bob to alice, but: carol"),
        "{log}"
    );
}

#[test]
fn regular_expression_without_a_group_is_pointed_out() {
    let issuer = Issuer::builder().start();
    let server = server_with_map(&issuer, "people", &["people /^.*$ \\1"]);
    let token = issuer.token("alice").encode();
    explain(&server, "alice", &token, "map_broken")
        .says(&["in parentheses, and reload"])
        .loosens_nothing();
}

#[test]
fn map_that_is_not_loaded_yet_is_said_to_need_a_reload() {
    let issuer = Issuer::builder().start();
    let server = server_with_map(&issuer, "people", &["people bob bob"]);
    let file = server.data_folder().join("pg_ident.conf");
    let text = fs::read_to_string(&file).expect("pg_ident.conf");
    fs::write(&file, text + "people alice alice\n").expect("pg_ident.conf");
    let token = issuer.token("alice").encode();
    explain(&server, "alice", &token, "map_not_loaded")
        .says(&["Reload the server"])
        .loosens_nothing();
    server.sql("SELECT pg_reload_conf()");
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Outcome::Refused(_) = Login::new(&server, "alice").token(&token).run() {
        assert!(Instant::now() < deadline, "the map is not loaded");
    }
}

#[test]
fn identity_that_is_not_the_role_is_compared_with_it() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer).start();
    for (identity, told) in [
        ("Alice", "They differ only by capital letters"),
        ("alice@corp.example", "more than the role's name"),
        (
            "0f8fad5b-d9cb-469f-a165-70867728950e",
            "validator.identity_claim says",
        ),
    ] {
        let token = issuer.token(identity).encode();
        explain(&server, "alice", &token, "identity_not_role")
            .has_fact(&format!("identity={identity}"))
            .says(&[told])
            .loosens_nothing();
        try_login_says(
            &server,
            "alice",
            &token,
            &["reason=identity_not_role", told],
        );
    }
}

#[test]
fn role_that_does_not_exist_is_said_so_before_postgresql_ends_the_login() {
    let issuer = Issuer::builder().start();
    let server = server_with_map(&issuer, "people", &["people alice nobody"]);
    // As on a standby that was just copied: only few caches of the catalog can be used before a database is chosen.
    let _ = fs::remove_file(server.data_folder().join("global/pg_internal.init"));
    let token = issuer.token("alice").encode();
    let mark = server.log().mark();
    let refusal = Login::new(&server, "nobody").token(&token).run().refusal();
    let log = server.log().since(mark);
    assert_eq!(reasons(&log).collect::<Vec<_>>(), ["role_unknown"], "{log}");
    assert_silent_log(&log, &token);
    assert!(
        refusal.error().message().contains("does not exist"),
        "{refusal:?}"
    );
    let told = "OAuth login refused by PostgreSQL for user \"nobody\": the role does not exist";
    let (before, after) = log.split_once(told).unwrap_or_else(|| panic!("{log}"));
    assert!(!before.contains("FATAL:"), "{log}");
    assert!(after.contains("HINT:  Create the role"), "{log}");
}

#[test]
fn client_that_goes_away_causes_no_explanation() {
    let issuer = Issuer::builder().start();
    let server = server_with_map(&issuer, "people", &["people alice alice"]);
    let token = issuer.token("alice").encode();
    let mark = server.log().mark();
    server.admits("alice", &token);
    assert_eq!(reasons(&server.log().since(mark)).count(), 0);
}

#[test]
fn every_reason_after_acceptance_is_in_the_manual() {
    for code in [
        "identity_not_role",
        "map_missing",
        "identity_not_mapped",
        "map_broken",
        "map_not_loaded",
    ] {
        assert!(PAGE.contains(&format!("| `{code}` |")), "{code}");
    }
}
