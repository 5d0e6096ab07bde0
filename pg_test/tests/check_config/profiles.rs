//! Findings about issuers side by side.

use pg_test::{Issuer, Server};

use crate::{assert_findings, clinic, good_line, only_detail, started};

/// Two issuers with a line and a profile each.
fn two_issuers() -> (Issuer, Issuer, Server) {
    let corp = Issuer::builder().https().start();
    let shop = Issuer::builder().https().path("/shop").start();
    let server = started(
        clinic()
            .set("validator.profiles", "corp, shop")
            .set("validator_corp.issuer", corp.url())
            .set("validator_corp.identity_prefix", "corp:")
            .set("validator_shop.issuer", shop.url())
            .set("validator_shop.identity_prefix", "shop:")
            .hba(&good_line(corp.url()))
            .hba(&good_line(shop.url())),
    );
    (corp, shop, server)
}

#[test]
fn two_issuers_can_produce_one_identity() {
    let (corp, shop, server) = two_issuers();
    assert_findings(&server, &["ok ok", "ok ok"]);
    server.reload_with(&[("validator_shop.identity_prefix", "corp:")]);
    let found = assert_findings(
        &server,
        &["warning identity_shared", "warning identity_shared"],
    );
    assert!(
        found[0].detail.contains(corp.url()) && found[0].detail.contains(shop.url()),
        "{found:?}"
    );
    assert_eq!((&*found[0].line, &*found[1].line), ("3", "4"));
    // "corp:x" by one prefix, or by what follows the other.
    server.reload_with(&[("validator_shop.identity_prefix", "")]);
    assert_findings(
        &server,
        &["warning identity_shared", "warning identity_shared"],
    );
    // Two lines of one issuer mean the same people.
    server.set_hba(&[&good_line(corp.url()), &good_line(corp.url())]);
    server.reload();
    assert_findings(&server, &["notice profile_unused", "ok ok", "ok ok"]);
}

#[test]
fn a_profile_is_used_by_no_line() {
    let (corp, _shop, server) = two_issuers();
    server.set_hba(&[&good_line(corp.url())]);
    server.reload();
    let found = assert_findings(&server, &["notice profile_unused", "ok ok"]);
    assert!(found[0].detail.contains("\"shop\""), "{found:?}");
    server.unset("validator_shop.issuer");
    server.reload();
    let found = assert_findings(&server, &["notice profile_unused", "ok ok"]);
    assert!(
        found[0].detail.contains("validator_shop.issuer"),
        "{found:?}"
    );
}

#[test]
fn settings_are_of_a_profile_that_is_not_named() {
    let (_corp, _shop, server) = two_issuers();
    server.reload_with(&[
        ("validator_crop.audience", "x"),
        ("validator_crop.issuer", "y"),
    ]);
    let found = assert_findings(&server, &["error profile_unknown", "ok ok", "ok ok"]);
    assert!(found[0].detail.contains("\"crop\""), "{found:?}");
}

#[test]
fn a_name_is_misspelt_below_a_profile() {
    let (_corp, _shop, server) = two_issuers();
    server.reload_with(&[("validator_corp.audiense", "x")]);
    let found = assert_findings(&server, &["error setting_unknown", "ok ok", "ok ok"]);
    assert!(
        found[0].detail.contains("validator_corp.audiense"),
        "{found:?}"
    );
}

#[test]
fn two_profiles_have_one_issuer() {
    let (corp, _shop, server) = two_issuers();
    server.set_hba(&[&good_line(corp.url())]);
    server.reload_with(&[("validator_shop.issuer", corp.url())]);
    let detail = only_detail(&server, "error setting_invalid");
    assert!(
        detail.contains("another profile has the same issuer"),
        "{detail}"
    );
}

#[test]
fn each_line_is_judged_by_its_own_profile() {
    let (_corp, _shop, server) = two_issuers();
    server.reload_with(&[
        ("validator_shop.audience", ""),
        ("validator_corp.token_types", "JWT"),
    ]);
    assert_findings(
        &server,
        &["warning id_token_may_pass", "error audience_unset"],
    );
}

#[test]
fn a_profile_is_added_by_a_reload() {
    let corp = Issuer::builder().https().start();
    let server = started(clinic().hba(&good_line(corp.url())));
    server.reload_with(&[
        ("validator.profiles", "corp"),
        ("validator_corp.issuer", corp.url()),
        ("validator_corp.clock_skew", "20s"),
    ]);
    assert_findings(&server, &["ok ok"]);
}
