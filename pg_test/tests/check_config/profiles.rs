//! Findings about issuers side by side.

use rig::{Issuer, Server};

use crate::{assert_findings, clinic, examine, good_line, only_detail, second_line, started};

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
            .hba(&second_line(shop.url())),
    );
    // Without a map, an identity must be a role.
    let roles = ["corp:alice", "shop:alice", "corp:service:etl"];
    for role in roles {
        server.sql(&format!("CREATE ROLE \"{role}\" LOGIN"));
    }
    (corp, shop, server)
}

/// Severity and code of each finding.
fn examine_codes(server: &Server) -> Vec<String> {
    let found = examine(server).into_iter();
    found
        .map(|row| format!("{} {}", row.severity, row.code))
        .collect()
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
    server.set_hba(&[&good_line(corp.url()), &second_line(corp.url())]);
    server.reload();
    assert_findings(&server, &["notice profile_unused", "ok ok", "ok ok"]);
}

#[test]
fn secret_of_one_issuer_goes_to_another() {
    let (corp, shop, server) = two_issuers();
    let [common, own] = ["common", "own"].map(|name| {
        let file = server.private_file(name, "secret");
        file.display().to_string()
    });
    let both = ["warning secret_shared", "warning secret_shared"];
    server.reload_with(&[("validator.http_bearer_file", &common)]);
    let found = assert_findings(&server, &both);
    for told in [
        &common,
        "validator.http_bearer_file",
        corp.url(),
        shop.url(),
    ] {
        assert!(found[0].detail.contains(told), "{told} in {found:?}");
    }
    server.reload_with(&[("validator_shop.http_bearer_file", &own)]);
    assert_findings(&server, &["ok ok", "ok ok"]);
    server.unset("validator.http_bearer_file");
    server.unset("validator_shop.http_bearer_file");

    server.reload_with(&[
        ("validator.introspection", "opaque"),
        ("validator.client_id", "pg"),
        ("validator.client_secret_file", &common),
    ]);
    let found = assert_findings(&server, &both);
    assert!(
        found[0].detail.contains("validator.client_secret_file"),
        "{found:?}"
    );
    // One endpoint gets it, whoever the issuer is; or an issuer has its own, or none.
    let endpoint = format!("{}/introspect", corp.url());
    server.reload_with(&[("validator.introspection_endpoint", &endpoint)]);
    let codes = examine_codes(&server);
    assert!(
        !codes.iter().any(|code| code.contains("secret_shared")),
        "{codes:?}"
    );
    server.unset("validator.introspection_endpoint");
    server.reload_with(&[("validator_shop.client_secret_file", &own)]);
    assert_findings(&server, &["ok ok", "ok ok"]);
    server.unset("validator_shop.client_secret_file");
    server.reload_with(&[("validator_shop.introspection", "off")]);
    assert_findings(&server, &["ok ok", "ok ok"]);
}

#[test]
fn two_claims_of_one_issuer_can_give_one_identity() {
    let (_corp, _shop, server) = two_issuers();
    let claims = "preferred_username, client_id=corp:service:";
    server.reload_with(&[("validator_corp.identity_claim", claims)]);
    let found = assert_findings(&server, &["warning identity_ambiguous", "ok ok"]);
    assert!(found[0].advice.contains("claim=prefix"), "{found:?}");
    let claims = "preferred_username, client_id=service:";
    server.reload_with(&[("validator_corp.identity_claim", claims)]);
    assert_findings(&server, &["ok ok", "ok ok"]);
    // A claim's own prefix can meet another issuer's.
    let claims = "preferred_username, client_id=shop:";
    server.reload_with(&[("validator_corp.identity_claim", claims)]);
    assert_findings(
        &server,
        &["warning identity_shared", "warning identity_shared"],
    );
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
    // It may have been meant for a line, which is left to the server's settings.
    let found = assert_findings(&server, &["warning profile_unused", "ok ok"]);
    assert!(
        found[0].detail.contains("validator_shop.issuer"),
        "{found:?}"
    );
}

#[test]
fn a_profile_misses_the_issuer_of_a_line_by_a_slash() {
    let (corp, shop, server) = two_issuers();
    let url = corp.url();
    let [upper, host] = [
        url.to_uppercase(),
        url.replacen("localhost", "LOCALHOST", 1),
    ];
    assert_ne!(host, url);
    for near in [format!("{url}/"), upper.replacen("HTTPS", "https", 1), host] {
        // The server has an audience, so tokens are judged by its settings.
        server.set("validator.audience", Issuer::AUDIENCE);
        server.reload_with(&[("validator_corp.issuer", &near)]);
        let found = examine_codes(&server);
        assert_eq!(
            found[..2],
            ["notice profile_unused", "error profile_near_miss"],
            "{near} {found:?}"
        );
        // It has none, and the profiles theirs.
        server.set("validator_shop.audience", Issuer::AUDIENCE);
        server.set("validator_corp.audience", Issuer::AUDIENCE);
        server.reload_with(&[("validator.audience", "")]);
        let found = examine_codes(&server);
        assert_eq!(
            found[1..3],
            ["error audience_unset", "warning profile_near_miss"],
            "{near} {found:?}"
        );
    }
    // Another path, or another profile for just this line.
    server.reload_with(&[
        ("validator.audience", Issuer::AUDIENCE),
        ("validator_corp.issuer", &format!("{url}/more")),
    ]);
    assert!(
        !examine_codes(&server)
            .iter()
            .any(|code| code.contains("near_miss"))
    );
    server.set_hba(&[&good_line(url), &second_line(shop.url())]);
    server.reload_with(&[
        ("validator_corp.issuer", url),
        ("validator.profiles", "corp, shop, third"),
        ("validator_third.issuer", &format!("{url}/")),
    ]);
    assert!(
        !examine_codes(&server)
            .iter()
            .any(|code| code.contains("profile_near_miss"))
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
