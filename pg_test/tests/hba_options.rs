//! Settings on lines of pg_hba.conf: `validator.audience="…"`. PostgreSQL 19 has them, 18 has not.

use rig::{
    Issuer, Key, KeyKind, Login, Server, ServerBuilder, Token, environment, oauth_line, skip,
};
use serde_json::json;

const ELSEWHERE: &str = "https://elsewhere.example.test/";

fn lines_have_options() -> bool {
    environment::postgresql_version() >= 19
}

fn both_modes(test: impl Fn(fn(ServerBuilder) -> ServerBuilder)) {
    test(|builder| builder);
    test(ServerBuilder::preload);
}

/// A server whose first line, line 3 of the file, lets alice and bob in and has these options, and whose second one
/// lets carol in and has none.
fn server_with(issuer: &Issuer, options: &str) -> ServerBuilder {
    Server::builder()
        .log_everything()
        .set("validator.allow_http", "on")
        .set("validator.audience", Issuer::AUDIENCE)
        .hba(&line(issuer, "alice,bob", options))
        .hba(&line(issuer, "carol", ""))
}

fn line(issuer: &Issuer, roles: &str, options: &str) -> String {
    let roles = format!("host all {roles}");
    oauth_line(issuer.url(), options).replacen("host all all", &roles, 1)
}

/// Gives the first line other options.
fn set_options(server: &Server, issuer: &Issuer, options: &str) {
    server.set_hba(&[
        &line(issuer, "alice,bob", options),
        &line(issuer, "carol", ""),
    ]);
    server.reload();
}

fn text(token: Token) -> String {
    token.encode()
}

#[test]
fn postgresql_18_does_not_load_a_line_with_options() {
    if lines_have_options() {
        return skip("PostgreSQL 18 is the last that has no settings in lines of pg_hba.conf");
    }
    let issuer = Issuer::builder().start();
    let server = server_with(&issuer, "").start();
    server.set_hba(&[&line(&issuer, "alice", "validator.audience=x")]);
    let log = server.reload();
    assert!(
        log.contains("unrecognized authentication option name: \"validator.audience\""),
        "{log}"
    );
    // The lines that were in force still are.
    server.admits("alice", &text(issuer.token("alice")));
}

#[test]
fn what_a_line_says_wins_over_profile_and_server() {
    if !lines_have_options() {
        return skip("PostgreSQL 19 is the first that has settings in lines of pg_hba.conf");
    }
    both_modes(|mode| {
        let issuer = Issuer::builder().start();
        let of_line = format!("validator.audience=\"{ELSEWHERE}\"");
        let server = mode(server_with(&issuer, &of_line)).start();
        let for_us = text(issuer.token("alice"));
        let for_them = text(issuer.token("alice").claim("aud", ELSEWHERE));
        server.admits("alice", &for_them);
        server.refuses("alice", &for_us, "aud_mismatch");
        // The other line has its own.
        server.admits("carol", &text(issuer.token("carol")));

        server.reload_with(&[
            ("validator.profiles", "corp"),
            ("validator_corp.issuer", issuer.url()),
            ("validator_corp.audience", "https://profile.example.test/"),
        ]);
        server.admits("alice", &for_them);
        server.refuses("alice", &for_us, "aud_mismatch");
        server.refuses("carol", &text(issuer.token("carol")), "aud_mismatch");

        // Set to nothing is set: nothing below counts.
        set_options(&server, &issuer, "validator.audience=\"\"");
        server.refuses("alice", &for_us, "audience_unset");
        set_options(&server, &issuer, "");
        server.refuses("alice", &for_them, "aud_mismatch");
    });
}

#[test]
fn numbers_switches_and_providers_work_on_a_line() {
    if !lines_have_options() {
        return skip("PostgreSQL 19 is the first that has settings in lines of pg_hba.conf");
    }
    let issuer = Issuer::builder().start();
    let server = server_with(&issuer, "validator.max_token_age=10min").start();
    let old = |user| {
        let then = rig::now() - 3600;
        text(issuer.token(user).claim("iat", then))
    };
    server.admits("alice", &text(issuer.token("alice")));
    server.refuses("alice", &old("alice"), "too_old");
    server.admits("carol", &old("carol"));

    // A provider's ways on the line, and a setting over them beside.
    let keycloak = |user| {
        issuer
            .token(user)
            .header("typ", "JWT")
            .claim("typ", "Bearer")
            .claim("preferred_username", user)
    };
    set_options(&server, &issuer, "validator.provider=keycloak");
    server.admits("alice", &text(keycloak("alice")));
    server.refuses("carol", &text(keycloak("carol")), "typ_not_allowed");
    set_options(
        &server,
        &issuer,
        "validator.provider=keycloak validator.token_types=at+jwt",
    );
    server.refuses("alice", &text(keycloak("alice")), "typ_not_allowed");

    let delegated = "delegate_ident_mapping=1 validator.role_claim=groups";
    server.sql("ALTER ROLE alice SUPERUSER");
    let token = text(issuer.token("zoe").claim("groups", json!(["alice"])));
    set_options(&server, &issuer, delegated);
    server.refuses("alice", &token, "role_too_powerful");
    let allowed = format!("{delegated} validator.allow_superuser=on");
    set_options(&server, &issuer, &allowed);
    server.admits("alice", &token);
}

#[test]
fn a_bad_value_refuses_the_logins_of_its_line_and_the_log_says_which_line() {
    if !lines_have_options() {
        return skip("PostgreSQL 19 is the first that has settings in lines of pg_hba.conf");
    }
    let issuer = Issuer::builder().start();
    let server = server_with(&issuer, "").start();
    let token = text(issuer.token("alice"));
    for (option, why) in [
        ("audience=\"a,,b\"", "empty item"),
        ("algorithms=HS256", "HS256"),
        ("jwks_uri=\"not a url\"", "URL"),
        ("jwks_file=relative.json", "absolute path"),
        ("provider=unheard-of", "unheard-of"),
        ("clock_skew=301", "outside the valid range (0 .. 300)"),
        ("clock_skew=-1", "outside the valid range (0 .. 300)"),
        ("clock_skew=10kB", "not a number"),
        ("http_timeout=soon", "not a number"),
        ("max_token_age=99999999999999999999", "not a number"),
        ("allow_superuser=maybe", "neither on nor off"),
        ("allow_superuser=\"\"", "neither on nor off"),
        ("profile=unheard_of", "validator.profiles does not name it"),
    ] {
        set_options(&server, &issuer, &format!("validator.{option}"));
        let log = server.refuses("alice", &token, "setting_invalid").log;
        let name = option.split('=').next().unwrap_or_default();
        let place = format!(
            "setting \"validator.{name}\" cannot be used: line 3 of {}/pg_hba.conf: ",
            server.data_folder().display()
        );
        assert!(log.contains(&place) && log.contains(why), "{option}: {log}");
        server.admits("carol", &text(issuer.token("carol")));
    }
    set_options(&server, &issuer, "validator.clock_skew=300");
    server.admits("alice", &token);
}

#[test]
fn names_that_a_line_can_not_have_let_nobody_in() {
    if !lines_have_options() {
        return skip("PostgreSQL 19 is the first that has settings in lines of pg_hba.conf");
    }
    let issuer = Issuer::builder().start();
    let server = server_with(&issuer, "").start();
    let token = text(issuer.token("alice"));
    // A misspelt one, and settings that are the whole server's.
    for name in [
        "audiense",
        "enabled",
        "profiles",
        "max_token_size",
        "issuer",
    ] {
        set_options(&server, &issuer, &format!("validator.{name}=on"));
        let mark = server.log().mark();
        let outcome = Login::new(&server, "alice").token(&token).run();
        assert!(!outcome.is_session(), "{name}");
        let log = server.log().since(mark);
        assert!(log.contains(name), "{name}: {log}");
        server.admits("carol", &text(issuer.token("carol")));
    }
}

#[test]
fn a_line_can_name_a_profile() {
    if !lines_have_options() {
        return skip("PostgreSQL 19 is the first that has settings in lines of pg_hba.conf");
    }
    both_modes(|mode| {
        let issuer = Issuer::builder().start();
        let builder = server_with(&issuer, "validator.profile=them")
            .set("validator.profiles", "us, them, others")
            .set("validator_us.issuer", issuer.url())
            .set("validator_them.audience", ELSEWHERE)
            .set("validator_others.issuer", "https://others.example.test/");
        let server = mode(builder).start();
        let for_us = text(issuer.token("alice"));
        let for_them = text(issuer.token("alice").claim("aud", ELSEWHERE));
        server.admits("alice", &for_them);
        server.refuses("alice", &for_us, "aud_mismatch");
        server.admits("carol", &text(issuer.token("carol")));

        // Two profiles of one issuer are no riddle for a line that names one.
        server.reload_with(&[("validator_them.issuer", issuer.url())]);
        server.admits("alice", &for_them);
        server.refuses("carol", &text(issuer.token("carol")), "setting_invalid");

        // A setting on the line goes before the profile that it names.
        let both = format!(
            "validator.profile=them validator.audience=\"{}\"",
            Issuer::AUDIENCE
        );
        set_options(&server, &issuer, &both);
        server.admits("alice", &for_us);
        server.refuses("alice", &for_them, "aud_mismatch");

        set_options(&server, &issuer, "validator.profile=others");
        let log = server.refuses("alice", &for_us, "setting_invalid").log;
        assert!(log.contains("it is for another issuer"), "{log}");
    });
}

#[test]
fn lines_that_ask_elsewhere_for_keys_do_not_share_them() {
    if !lines_have_options() {
        return skip("PostgreSQL 19 is the first that has settings in lines of pg_hba.conf");
    }
    both_modes(|mode| {
        let issuer = Issuer::builder().start();
        let server = mode(server_with(&issuer, "")).start();
        let foreign = Key::new(KeyKind::P256);
        let set = json!({"keys": [foreign.jwk()]}).to_string();
        let file = server.private_file("keys.json", &set);
        let option = format!("validator.jwks_file=\"{}\"", file.display());
        set_options(&server, &issuer, &option);
        let signed_by_file = |user| {
            text(
                issuer
                    .token(user)
                    .signed_by(&foreign, foreign.default_alg()),
            )
        };
        server.admits("alice", &signed_by_file("alice"));
        server.refuses("alice", &text(issuer.token("alice")), "unknown_kid");
        server.admits("carol", &text(issuer.token("carol")));
        server.refuses("carol", &signed_by_file("carol"), "unknown_kid");
    });
}

#[test]
fn postgresql_19_repeats_our_reason_where_the_connection_ends() {
    if !lines_have_options() {
        return skip("PostgreSQL 19 is the first that has settings in lines of pg_hba.conf");
    }
    let issuer = Issuer::builder().start();
    let server = server_with(&issuer, "").start();
    let expired = text(issuer.token("alice").claim("exp", 1));
    let log = server.refuses("alice", &expired, "expired").log;
    let (_, end) = log.split_once("FATAL:  ").expect("the connection failed");
    let (_, detail) = end.split_once("DETAIL:  ").expect("it says why");
    let expected = format!(
        "reason=expired hba_line=3 line_issuer={} kid=",
        issuer.url()
    );
    assert!(detail.starts_with(&expected), "{log}");
    // What it is not: our fault, or what the client hears of.
    let opaque = server.refuses("alice", "opaque", "not_a_jwt").log;
    assert!(opaque.contains("DETAIL:  reason=not_a_jwt"), "{opaque}");
}

#[test]
fn the_doctor_goes_by_what_a_line_says() {
    if !lines_have_options() {
        return skip("PostgreSQL 19 is the first that has settings in lines of pg_hba.conf");
    }
    let issuer = Issuer::builder().start();
    let server = server_with(&issuer, "").start();
    server.sql("CREATE EXTENSION validator");
    for (options, expected) in [
        ("", None),
        ("validator.audience=\"\"", Some("audience_unset")),
        ("validator.clock_skew=301", Some("setting_invalid")),
        ("validator.audiense=x", Some("setting_invalid")),
        ("validator.profile=nobody", Some("setting_invalid")),
        ("validator.clock_skew=300", None),
    ] {
        set_options(&server, &issuer, options);
        let found = server.value(
            "SELECT string_agg(finding, ' ') FROM validator.check_config() \
             WHERE hba_line = 3 AND severity = 'error'",
        );
        assert_eq!(found, expected.unwrap_or_default(), "{options}");
    }
}
