//! Findings about postgresql.conf.

use crate::{assert_findings, healthy, started};

/// In both modes: with the module preloaded, and loaded by the doctor's own session.
fn both_modes(test: impl Fn(&rig::Server, &[&str])) {
    let (_issuer, builder) = healthy();
    test(&started(builder), &[]);
    let (_issuer, builder) = healthy();
    let server = started(builder.set("shared_preload_libraries", ""));
    test(&server, &["notice not_preloaded"]);
}

#[test]
fn a_name_is_misspelt() {
    both_modes(|server, before| {
        server.reload_with(&[("validator.audiense", "x"), ("Validator.Clock_Skew", "20s")]);
        let expected = [before, &["error setting_unknown", "ok ok"]].concat();
        let found = assert_findings(server, &expected);
        let detail = &found[before.len()].detail;
        assert!(detail.contains("/postgresql.conf line "), "{detail}");
        assert!(detail.contains("validator.audiense"), "{detail}");
        server.unset("validator.audiense");
        server.reload();
        assert_findings(server, &[before, &["ok ok"]].concat());
    });
}

#[test]
fn a_value_was_refused() {
    both_modes(|server, before| {
        server.reload_with(&[("validator.required_claims", "acr")]);
        let expected = [before, &["error setting_invalid", "ok ok"]].concat();
        let found = assert_findings(server, &expected);
        let detail = &found[before.len()].detail;
        assert!(detail.contains("/postgresql.conf line "), "{detail}");
        assert!(detail.contains("validator.required_claims"), "{detail}");
        assert!(detail.contains("at character 4: "), "{detail}");
        server.reload_with(&[
            ("validator.required_claims", "acr=1"),
            ("validator.clock_skew", "1h"),
        ]);
        let found = assert_findings(server, &expected);
        let detail = &found[before.len()].detail;
        assert!(detail.contains("validator.clock_skew"), "{detail}");
    });
}

#[test]
fn a_value_was_refused_that_was_set_by_sql() {
    let (_issuer, builder) = healthy();
    let server = started(builder.set("shared_preload_libraries", ""));
    // In a session that has not loaded the module the server cannot know better.
    server.sql("ALTER SYSTEM SET validator.algorithms = 'HS256'");
    server.reload();
    let found = assert_findings(
        &server,
        &["notice not_preloaded", "error setting_invalid", "ok ok"],
    );
    assert!(
        found[1].detail.contains("/postgresql.auto.conf"),
        "{found:?}"
    );
    assert!(found[1].detail.contains("HS256"), "{found:?}");
}

#[test]
fn a_bad_value_that_a_later_one_replaces_does_no_harm() {
    let (_issuer, builder) = healthy();
    let server = started(builder.set("validator.algorithms", "HS256"));
    server.sql("ALTER SYSTEM SET validator.algorithms = 'RS256'");
    server.reload();
    assert_findings(&server, &["ok ok"]);
}
