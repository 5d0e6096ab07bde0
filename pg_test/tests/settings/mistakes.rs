//! Bad values and misspelt names, with the module preloaded: they are reported, and what was in force stays.

use rig::{Issuer, Login, Server};

use crate::preloaded;

/// Setting, bad value, and what the message must say about it.
const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "algorithms",
        "HS256",
        "\"HS256\" is not a supported asymmetric signature algorithm; supported are RS256",
    ),
    (
        "algorithms",
        "RS256, none",
        "\"none\" is not a supported asymmetric signature algorithm",
    ),
    ("algorithms", "rs256", "\"rs256\" is not a supported"),
    (
        "algorithms",
        "RS256 ES256",
        "\"RS256 ES256\" is not a supported",
    ),
    ("algorithms", "", "At least one algorithm is required."),
    ("algorithms", "RS256,", "has an empty item"),
    ("audience", "a,,b", "The list has an empty item."),
    ("audience", "\"a", "A double quote is not closed."),
    (
        "audience",
        "\"a\" b",
        "A comma is missing after a quoted item.",
    ),
    ("ca_file", "ca.pem", "It must be an absolute path."),
    ("ca_file", "../ca.pem", "It must be an absolute path."),
    ("client_ids", ",", "The list has an empty item."),
    (
        "discovery_url",
        "idp.test",
        "invalid value for parameter \"validator.discovery_url\"",
    ),
    (
        "jwks_uri",
        "file:///etc/passwd",
        "invalid value for parameter \"validator.jwks_uri\"",
    ),
    ("jwks_file", "jwks.json", "It must be an absolute path."),
    (
        "jwks_min_ttl",
        "0",
        "0 s is outside the valid range for parameter \"validator.jwks_min_ttl\" (1 s .. 86400 s)",
    ),
    ("jwks_max_ttl", "8d", "691200 s is outside the valid range"),
    ("jwks_stale_ttl", "-1", "-1 s is outside the valid range"),
    (
        "jwks_refresh_cooldown",
        "0",
        "0 s is outside the valid range",
    ),
    ("access_token_issuer", "fs.corp.example", "It is not a URI."),
    ("optional_scopes", "openid,", "The list has an empty item."),
    ("token_types", "", "At least one token type is required."),
    (
        "identity_claim",
        "",
        "At character 1: the name of a claim is required.",
    ),
    (
        "identity_claim",
        "sub, sub",
        "At character 6: this claim appears twice.",
    ),
    (
        "identity_claim",
        "/a~2b",
        "At character 1: the JSON Pointer has a \"~\" without \"0\" or \"1\".",
    ),
    ("identity_case", "Lower", "It must be one of as_is, lower."),
    (
        "identity_prefix",
        "01234567890123456789012345678901234567890123456789012345678901234567890123456789\
      0123456789012345678901234567890123456789012345678",
        "The prefix is longer than 128 bytes.",
    ),
    (
        "required_claims",
        "acr",
        "At character 4: \"=\", \"in (\", \"like\", \"present\" or \"absent\" is missing.",
    ),
    (
        "required_claims",
        "acr=",
        "At character 5: a value is missing.",
    ),
    (
        "required_claims",
        "sub like repo:corp",
        "At character 10: a pattern needs a \"*\"; without one, use \"=\".",
    ),
    (
        "required_claims",
        "=phr",
        "At character 1: the name of a claim is required.",
    ),
    (
        "role_separator",
        "|",
        "It must be empty, one space, \",\" or \";\".",
    ),
    (
        "clock_skew",
        "301",
        "301 s is outside the valid range for parameter \"validator.clock_skew\" (0 s .. 300 s)",
    ),
    ("clock_skew", "-1", "-1 s is outside the valid range"),
    ("clock_skew", "1h", "3600 s is outside the valid range"),
    (
        "clock_skew",
        "a lot",
        "invalid value for parameter \"validator.clock_skew\": \"a lot\"",
    ),
    ("clock_skew", "10kB", "Valid units for this parameter are"),
    ("max_token_age", "-1", "-1 s is outside the valid range"),
    ("max_token_size", "255", "255 B is outside the valid range"),
    (
        "max_token_size",
        "65kB",
        "66560 B is outside the valid range",
    ),
    ("http_timeout", "99", "99 ms is outside the valid range"),
    ("http_timeout", "0", "0 ms is outside the valid range"),
    ("http_timeout", "61s", "61000 ms is outside the valid range"),
    (
        "enabled",
        "perhaps",
        "parameter \"validator.enabled\" requires a Boolean value",
    ),
    (
        "allow_http",
        "2",
        "parameter \"validator.allow_http\" requires a Boolean value",
    ),
];

/// Good values that are not the defaults, so that it shows which ones are in force.
const IN_FORCE: &[(&str, &str)] = &[
    ("algorithms", "RS256"),
    ("ca_file", ""),
    ("client_ids", "psql"),
    ("clock_skew", "7s"),
    ("http_timeout", "8s"),
    ("identity_prefix", "corp:"),
    ("max_token_age", "1h"),
    ("max_token_size", "8kB"),
    ("optional_scopes", "openid"),
    ("required_claims", "client_id=psql"),
    ("token_types", "at+jwt, JWT"),
];

/// A server with the values above, and a token that all of them accept.
fn start() -> (Issuer, Server, String) {
    let (issuer, mut builder) = preloaded();
    for (name, value) in IN_FORCE {
        builder = builder.set(&format!("validator.{name}"), value);
    }
    let server = builder.ident(r"prefixed /^corp:(.*)$ \1").start();
    server.set_hba(&[&rig::oauth_line(issuer.url(), "map=prefixed")]);
    server.reload();
    let token = issuer.token("alice").encode();
    server.admits("alice", &token);
    (issuer, server, token)
}

#[test]
fn bad_value_in_the_file_is_explained_at_reload_and_the_old_one_stays() {
    let (_issuer, server, token) = start();
    for (setting, bad, why) in MISTAKES {
        let name = format!("validator.{setting}");
        let before = server.value(&format!("SHOW {name}"));
        let good = IN_FORCE
            .iter()
            .find(|(n, _)| n == setting)
            .map(|(_, value)| *value);
        let log = server.reload_with(&[(&name, bad)]);
        assert!(log.contains(why), "{name} = '{bad}': {log}");
        assert!(
            log.contains("contains errors; unaffected changes were applied"),
            "{name} = '{bad}': {log}"
        );
        assert_eq!(
            server.value(&format!("SHOW {name}")),
            before,
            "{name} = '{bad}'"
        );
        match (good, *setting) {
            (Some(good), _) => server.set(&name, good),
            (None, "audience") => server.set(&name, Issuer::AUDIENCE),
            (None, "allow_http") => server.set(&name, "on"),
            (None, _) => server.unset(&name),
        }
    }
    // Everything wrong at once: logins go on by the old values.
    for (setting, bad, _) in MISTAKES {
        server.set(&format!("validator.{setting}"), bad);
    }
    server.reload();
    server.admits("alice", &token);
}

#[test]
fn bad_value_is_refused_by_alter_system_with_the_reason() {
    let (_issuer, server, token) = start();
    for (setting, bad, why) in MISTAKES {
        let mut session = Login::by_socket(&server, "postgres").run().session();
        let quoted = bad.replace('\'', "''");
        let sql = format!("ALTER SYSTEM SET validator.{setting} = '{quoted}'");
        let error = session.query(&sql).expect_err(&sql);
        let said = [
            error.message(),
            error.field('D').unwrap_or_default(),
            error.field('H').unwrap_or_default(),
        ];
        assert!(
            said.iter().any(|text| text.contains(why)),
            "{sql}: {said:?}"
        );
        assert_eq!(error.code(), "22023", "{sql}");
    }
    server.reload();
    server.admits("alice", &token);
}

#[test]
fn preloaded_module_lets_nobody_in_on_a_value_that_was_bad_at_start() {
    for (setting, bad, good) in [
        ("algorithms", "HS256", "RS256"),
        ("required_claims", "acr", "client_id=psql"),
        ("clock_skew", "1h", "60s"),
        ("enabled", "perhaps", "on"),
    ] {
        let (issuer, builder) = preloaded();
        let name = format!("validator.{setting}");
        let server = builder.set(&name, bad).start();
        let started = server.log().text();
        assert!(
            started.contains("WARNING:  ") && started.contains(&name),
            "{started}"
        );
        let token = issuer.token("alice").encode();
        let verdict = server.refuses("alice", &token, "setting_invalid");
        assert!(
            verdict.log.contains(&format!("HINT:  Correct {name}")),
            "{}",
            verdict.log
        );
        server.reload();
        server.refuses("alice", &token, "setting_invalid");
        server.reload_with(&[(&name, good)]);
        server.admits("alice", &token);
    }
}

#[test]
fn misspelt_name_is_reported() {
    let (issuer, builder) = preloaded();
    let server = builder.set("validator.audiense", "x").start();
    let log = server.log().text();
    assert!(
        log.contains("invalid configuration parameter name \"validator.audiense\""),
        "{log}"
    );
    assert!(
        log.contains("\"validator\" is now a reserved prefix."),
        "{log}"
    );
    server.unset("validator.audiense");
    let log = server.reload_with(&[("validator.requiredclaims", "x=y")]);
    assert!(log.contains("\"validator.requiredclaims\""), "{log}");
    server.admits("alice", &issuer.token("alice").encode());
    let mut session = Login::by_socket(&server, "postgres").run().session();
    for sql in [
        "ALTER SYSTEM SET validator.audiense = 'x'",
        "SET validator.audiense = 'x'",
    ] {
        let error = session.query(sql).expect_err(sql);
        assert!(error.message().contains("validator.audiense"), "{error}");
    }
}

#[test]
fn misspelt_name_is_reported_at_login_where_the_module_is_loaded_on_demand() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .set("validator.audiense", "x")
        .start();
    let mark = server.log().mark();
    server.admits("alice", &issuer.token("alice").encode());
    let log = server.log().since(mark);
    assert!(
        log.contains("invalid configuration parameter name \"validator.audiense\""),
        "{log}"
    );
}
