//! Microsoft Entra ID: two versions of tokens, tenants, and scopes named without their resource.
//!
//! Microsoft identity platform: "Access token claims reference", "ID token claims reference", "Access tokens in the
//! Microsoft identity platform" (Token formats; Validate the issuer).

use crate::provider::Provider;
use court::*;
use serde_json::{Value, json};

const ISSUER: &str = "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0";
const TENANT: &str = "11111111-2222-3333-4444-555555555555";
const OTHER_TENANT: &str = "66666666-2222-3333-4444-555555555555";
const API: &str = "6e74172b-be56-4843-9ff4-e66a39bb12e3";

/// A token of version 2.0.
fn entra() -> Provider {
    Provider {
        preset: "entra",
        issuer: ISSUER,
        scope: "openid profile api://6e74172b-be56-4843-9ff4-e66a39bb12e3/postgres",
        audience: API,
        required_claims: "",
        metadata: json!({
            "issuer": ISSUER,
            "jwks_uri": format!("https://login.microsoftonline.com/{TENANT}/discovery/v2.0/keys"),
            "device_authorization_endpoint": format!("https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/devicecode"),
        }),
        header: json!({"typ": "JWT"}),
        claims: json!({
            "aud": API, "iss": ISSUER, "nbf": NOW, "azp": "75dbe77f-10a3-4e59-85fd-8c127544f17c", "azpacr": "0",
            "name": "Alice", "oid": "02223b6b-aa1d-42d4-9ec0-1b2bb9194438", "preferred_username": "alice@corp.example",
            "scp": "postgres", "sub": "l3_roISQU222bULS9yi2k0XpqpOiMz5H3ZACo1GeXA", "tid": TENANT, "uti": "u", "ver": "2.0",
        }),
    }
}

/// What makes of it a token of version 1.0.
fn version_1() -> Value {
    json!({
        "iss": format!("https://sts.windows.net/{TENANT}/"), "ver": "1.0", "azp": null, "azpacr": null,
        "appid": "75dbe77f-10a3-4e59-85fd-8c127544f17c", "appidacr": "0", "preferred_username": null,
        "unique_name": "alice@corp.example",
    })
}

fn version_1_with(changes: Value) -> Value {
    let mut claims = version_1();
    let changes = changes.as_object().unwrap().clone();
    claims.as_object_mut().unwrap().extend(changes);
    claims
}

#[test]
fn accepts_both_versions_of_the_tenant() {
    let entra = entra();
    entra.check();
    assert_eq!(
        entra.identity().as_deref(),
        Some("02223b6b-aa1d-42d4-9ec0-1b2bb9194438")
    );
    assert_eq!(entra.verdict(version_1()), GRANTED);
}

#[test]
fn refuses_other_tenants() {
    let v1 = |tenant: &str| format!("https://sts.windows.net/{tenant}/");
    let v2 = |tenant: &str| format!("https://login.microsoftonline.com/{tenant}/v2.0");
    entra().check_changes([
        (
            json!({"iss": v2(OTHER_TENANT), "tid": OTHER_TENANT}),
            "iss_mismatch",
        ),
        (json!({"iss": v2("common")}), "iss_mismatch"),
        (json!({"tid": OTHER_TENANT}), "tenant_mismatch"),
        (json!({"tid": [TENANT]}), "tenant_mismatch"),
        (
            version_1_with(json!({"iss": v1(OTHER_TENANT), "tid": OTHER_TENANT})),
            "iss_mismatch",
        ),
        (
            version_1_with(json!({"iss": v1(OTHER_TENANT)})),
            "iss_mismatch",
        ),
        (version_1_with(json!({"tid": OTHER_TENANT})), "iss_mismatch"),
        (version_1_with(json!({"tid": null})), "iss_mismatch"),
        (version_1_with(json!({"ver": "2.0"})), "iss_mismatch"),
        (version_1_with(json!({"ver": null})), "iss_mismatch"),
        (
            version_1_with(json!({"iss": v1(TENANT).trim_end_matches('/')})),
            "iss_mismatch",
        ),
        (
            version_1_with(
                json!({"iss": format!("https://sts.windows.net.evil.example/{TENANT}/")}),
            ),
            "iss_mismatch",
        ),
    ]);
}

#[test]
fn an_issuer_without_a_tenant_of_its_own_has_no_other_form() {
    for tenant in [
        "common",
        "organizations",
        "corp.example",
        "11111111-2222-3333-4444-55555555555g",
    ] {
        let issuer: &'static str =
            Box::leak(format!("https://login.microsoftonline.com/{tenant}/v2.0").into_boxed_str());
        let entra = Provider { issuer, ..entra() };
        let iss = format!("https://sts.windows.net/{tenant}/");
        let changes = version_1_with(json!({"iss": iss, "tid": tenant}));
        assert_eq!(entra.verdict(changes), "iss_mismatch", "{tenant}");
    }
}

#[test]
fn the_other_form_of_the_issuer_is_for_this_preset_alone() {
    let entra = entra();
    let keycloak = oauth_core::Preset::by_name("keycloak").unwrap();
    let court = entra.court_of(entra.policy().preset(keycloak));
    assert_eq!(court.verdict(&entra.token(version_1())), "iss_mismatch");
}

#[test]
fn refuses_id_tokens_even_with_the_audience_of_the_api() {
    let entra = entra();
    // One registration for client and API: the ID token has the same audience, and may have roles.
    let id_token = |more: Value| {
        let mut claims = json!({
            "aud": API, "iss": ISSUER, "nbf": NOW, "name": "Alice", "oid": "02223b6b-aa1d-42d4-9ec0-1b2bb9194438",
            "preferred_username": "alice@corp.example", "sub": "s", "tid": TENANT, "uti": "u", "ver": "2.0",
        });
        claims
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        entra.verdict_on(claims)
    };
    assert_eq!(id_token(json!({})), "access_token_unproven");
    assert_eq!(
        id_token(json!({"roles": ["postgres"]})),
        "access_token_unproven"
    );
    assert_eq!(
        id_token(json!({"roles": ["postgres"], "nonce": "n"})),
        "access_token_unproven"
    );
    entra.check_changes([
        (json!({"nonce": "n"}), "not_an_access_token"),
        (json!({"c_hash": "h"}), "not_an_access_token"),
        (json!({"azp": null}), "access_token_unproven"),
        (json!({"scp": null}), "access_token_unproven"),
        (
            json!({"aud": "00000003-0000-0000-c000-000000000000"}),
            "aud_mismatch",
        ),
    ]);
}

#[test]
fn a_scope_is_named_without_its_resource() {
    for (line, scp, expected) in [
        ("api://app/postgres", "postgres", GRANTED),
        ("https://pg.example/postgres", "profile postgres", GRANTED),
        ("https://pg.example/a/postgres", "postgres", GRANTED),
        ("postgres", "postgres", GRANTED),
        (
            "openid offline_access profile email api://app/postgres",
            "postgres",
            GRANTED,
        ),
        ("api://app/postgres", "api://app/postgres", GRANTED),
        ("api://app/postgres", "postgres.read", "insufficient_scope"),
        ("api://app/postgres", "app/postgres", "insufficient_scope"),
        (
            "api://app/postgres api://app/admin",
            "postgres",
            "insufficient_scope",
        ),
        ("api://app/.default", "postgres", "insufficient_scope"),
        ("api://postgres", "postgres", "insufficient_scope"),
        ("api:///postgres", "postgres", "insufficient_scope"),
        ("https://postgres", "postgres", "insufficient_scope"),
        ("app/postgres", "postgres", "insufficient_scope"),
        ("urn:x:/postgres", "postgres", "insufficient_scope"),
        ("postgres", "api://app/postgres", "insufficient_scope"),
        ("api://app/", "", "insufficient_scope"),
    ] {
        let entra = Provider {
            scope: line,
            ..entra()
        };
        assert_eq!(entra.verdict(json!({"scp": scp})), expected, "{line} {scp}");
    }
}

/// "Access token claims reference", `roles`: an application has these instead of scopes.
#[test]
fn an_application_needs_a_role_in_place_of_the_scope() {
    entra().check_changes([
        (
            json!({"scp": null, "roles": ["postgres"], "idtyp": "app"}),
            GRANTED,
        ),
        (
            json!({"scp": null, "roles": ["other"]}),
            "insufficient_scope",
        ),
        (json!({"scp": null, "roles": []}), "insufficient_scope"),
        (
            json!({"scp": null, "roles": {"postgres": 1}}),
            "scope_malformed",
        ),
        // Any application of the tenant gets such a token.
        (json!({"scp": null}), "access_token_unproven"),
        // A person's roles are no scopes.
        (
            json!({"scp": "other", "roles": ["postgres"]}),
            "insufficient_scope",
        ),
    ]);
}

#[test]
fn app_roles_can_name_database_roles() {
    let entra = entra();
    let court = entra.court_of(entra.policy().delegated(true)).role("dba");
    assert_eq!(
        court.verdict(&entra.token(json!({"roles": ["dba"]}))),
        GRANTED
    );
    assert_eq!(
        court.verdict(&entra.token(json!({"roles": ["staff"]}))),
        "role_not_granted"
    );
    assert_eq!(court.verdict(&entra.token(json!({}))), "role_claim_missing");
}

#[test]
fn clients_are_listed_by_azp_or_appid() {
    let entra = entra();
    let listed = |list: &str| entra.court_of(entra.policy().client_ids(list.parse().unwrap()));
    let ours = listed("75dbe77f-10a3-4e59-85fd-8c127544f17c");
    assert_eq!(ours.verdict(&entra.token(json!({}))), GRANTED);
    assert_eq!(ours.verdict(&entra.token(version_1())), GRANTED);
    let another = listed("00000000-10a3-4e59-85fd-8c127544f17c");
    assert_eq!(
        another.verdict(&entra.token(json!({}))),
        "client_not_allowed"
    );
    assert_eq!(
        another.verdict(&entra.token(version_1())),
        "client_not_allowed"
    );
}
