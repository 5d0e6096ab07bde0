//! What the configuration lacks, or demands too much of: the provider, the line, or the settings.

use rig::{Endpoint, Fault, Issuer, oauth_line};
use serde_json::json;

use crate::{check_config, explain, server_for, try_login};

#[test]
fn provider_whose_tokens_need_a_preset_is_recognized_by_its_issuer() {
    let issuer = Issuer::builder().path("/realms/corp").start();
    let server = server_for(&issuer).start();
    let token = issuer
        .token("alice")
        .header("typ", "JWT")
        .claim("typ", "Bearer")
        .claim("azp", "psql")
        .claim("preferred_username", "alice");
    explain(&server, "alice", &token.encode(), "typ_not_allowed")
        .says(&[
            "The token's header has \"typ\" \"JWT\"",
            "validator.provider = 'keycloak' knows",
        ])
        .loosens_nothing();
    server.reload_with(&[("validator.provider", "keycloak")]);
    server.admits("alice", &token.encode());
}

#[test]
fn type_of_a_provider_without_preset_is_added_last_and_said_to_open_something() {
    let issuer = Issuer::builder().path("/oidc").start();
    let server = server_for(&issuer).start();
    let token = issuer.token("alice").header("typ", "JWT").encode();
    let hint = explain(&server, "alice", &token, "typ_not_allowed").hint;
    let place = |part: &str| hint.find(part).unwrap_or_else(|| panic!("{part}: {hint}"));
    assert!(place("send the access token") < place("validator.provider"));
    assert!(place("validator.provider") < place("validator.token_types"));
    assert!(place("validator.token_types") < place("may tell its ID tokens apart"));
}

#[test]
fn scope_that_was_not_granted_is_not_made_optional() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer).start();
    let others = issuer
        .token("alice")
        .claim("scope", "openid profile")
        .encode();
    explain(&server, "alice", &others, "insufficient_scope")
        .says(&[
            "The token has \"openid, profile\", and lacks \"postgres\"",
            "grant it to the client and the user",
        ])
        .loosens_nothing();
    let none = issuer.token("alice").without_claim("scope").encode();
    explain(&server, "alice", &none, "insufficient_scope")
        .says(&["The token has no scope at all, and lacks \"postgres\""])
        .loosens_nothing();
    let said = try_login(&server, "alice", &none);
    assert!(said.contains("no scope at all"), "{said}");
}

#[test]
fn scope_that_only_steers_the_provider_may_be_optional() {
    let issuer = Issuer::builder().start();
    let line = oauth_line(issuer.url(), "").replace(Issuer::SCOPE, "openid profile postgres");
    let server = server_for(&issuer).start();
    server.set_hba(&[&line]);
    server.reload();
    let token = issuer
        .token("alice")
        .claim("scope", "openid postgres")
        .encode();
    explain(&server, "alice", &token, "insufficient_scope").says(&[
        "lacks \"profile\"",
        "If this provider never puts it into tokens, add it to validator.optional_scopes: it is then not demanded",
    ]);
}

#[test]
fn algorithm_says_whether_it_can_be_accepted() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer)
        .set("validator.algorithms", "ES256")
        .start();
    let token = issuer.token("alice").encode();
    explain(&server, "alice", &token, "alg_not_allowed")
        .says(&[
            "The token names \"RS256\"",
            "accepts ES256",
            "add it, or configure",
        ])
        .loosens_nothing();
    let shared = issuer.token("alice").header("alg", "HS256").encode();
    explain(&server, "alice", &shared, "alg_not_allowed")
        .says(&[
            "cannot be accepted",
            "sign its access tokens with RS256 or ES256",
        ])
        .loosens_nothing();
}

#[test]
fn audience_that_every_token_has_is_not_to_be_accepted() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer).start();
    let token = issuer.token("alice").claim("aud", "account").encode();
    explain(&server, "alice", &token, "aud_mismatch")
        .says(&["add the audience", "Do not accept \"account\" instead"])
        .loosens_nothing();
    let other = issuer.token("alice").claim("aud", "billing").encode();
    explain(&server, "alice", &other, "aud_mismatch").says(&[
        "Configure the provider to add the audience. Only if tokens with the other value",
        "whoever has one can then log in",
    ]);
}

#[test]
fn settings_that_are_missing_are_named() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer).start();
    let token = issuer.token("alice").encode();
    for (setting, value, reason, told) in [
        ("audience", "", "audience_unset", "Set validator.audience"),
        ("enabled", "off", "disabled", "on purpose"),
        (
            "identity_claim",
            "upn",
            "identity_missing",
            "It is currently \"upn\"",
        ),
        (
            "required_claims",
            "acr=gold",
            "required_claim_missing",
            "\"acr=gold\"",
        ),
        ("max_token_age", "1min", "too_old", "must get a new one"),
        (
            "client_ids",
            "pgadmin",
            "client_not_allowed",
            "with a client that it lists",
        ),
    ] {
        let name = format!("validator.{setting}");
        let before = server.value(&format!(
            "SELECT setting FROM pg_file_settings WHERE name = '{name}' UNION ALL SELECT '' LIMIT 1"
        ));
        server.reload_with(&[(&name, value)]);
        let token = match setting {
            "max_token_age" => issuer
                .token("alice")
                .claim("iat", rig::now() - 200)
                .encode(),
            _ => token.clone(),
        };
        explain(&server, "alice", &token, reason)
            .says(&[told])
            .loosens_nothing();
        match before.is_empty() {
            true => server.unset(&name),
            false => server.set(&name, &before),
        }
        server.reload();
    }
}

#[test]
fn issuer_of_the_document_that_differs_by_its_spelling_is_the_finding() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer).start();
    let slashed = format!("{}/", issuer.url());
    let named = slashed.clone();
    issuer.fail(
        Endpoint::Discovery,
        Fault::altered(move |document| document["issuer"] = json!(named)),
    );
    explain(
        &server,
        "alice",
        &issuer.token("alice").encode(),
        "provider_unavailable",
    )
    .has_fact("cause=issuer_mismatch")
    .says(&[
        "They differ only by a slash at the end",
        &format!("use \"{slashed}\""),
    ])
    .loosens_nothing();
    let found = check_config(&server);
    assert!(found.contains("issuer_mismatch: "), "{found}");
}

#[test]
fn provider_that_cannot_be_asked_is_told_by_its_cause() {
    for (fault, cause, told) in [
        (
            Fault::Status(403),
            "http_status",
            "does not serve this URL to this server",
        ),
        (Fault::Html, "malformed", "it should be a JSON document"),
        (Fault::Redirect(302), "redirect", "validator.discovery_url"),
    ] {
        let issuer = Issuer::builder().start();
        let server = server_for(&issuer).start();
        issuer.fail(Endpoint::Discovery, fault);
        explain(
            &server,
            "alice",
            &issuer.token("alice").encode(),
            "provider_unavailable",
        )
        .has_fact(&format!("cause={cause} url={}", issuer.url()))
        .says(&[told])
        .loosens_nothing();
    }
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer).start();
    issuer.go_down();
    explain(
        &server,
        "alice",
        &issuer.token("alice").encode(),
        "provider_unavailable",
    )
    .has_fact("cause=connection")
    .says(&["The database server itself must be able to reach this URL"])
    .loosens_nothing();
    let private = Issuer::builder().https().start();
    let server = server_for(&private).set("validator.ca_file", "").start();
    explain(
        &server,
        "alice",
        &private.token("alice").encode(),
        "provider_unavailable",
    )
    .says(&["validator.ca_file"])
    .loosens_nothing();
}

#[test]
fn opaque_token_without_introspection_is_said_to_be_one() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer).start();
    explain(&server, "alice", "2YotnFZFEjr1zCsicMWpAA", "not_a_jwt")
        .says(&["opaque tokens", "issue JWT access tokens for this audience"])
        .loosens_nothing();
}

#[test]
fn groups_in_one_string_are_said_to_be_one_value() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer)
        .set("validator.role_claim", "groups")
        .start();
    let token = |groups| issuer.token("alice").claim("groups", groups).encode();
    explain(
        &server,
        "alice",
        &token(json!("bob alice")),
        "role_not_granted",
    )
    .says(&[
        "is one string, and so one value",
        "validator.role_separator",
    ])
    .loosens_nothing();
    explain(&server, "alice", &token(json!(["bob"])), "role_not_granted")
        .says(&["lists \"bob\"", "must be the role's name"])
        .loosens_nothing();
}

#[test]
fn powerful_role_is_to_be_given_by_a_map_and_not_by_a_switch() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer).start();
    let token = issuer.token("postgres").encode();
    let hint = explain(&server, "postgres", &token, "role_too_powerful").hint;
    let map = hint.find("Use map= with a line of pg_ident.conf");
    let switch = hint.find("validator.allow_superuser = on would let whoever manages users");
    assert!(map.is_some() && map < switch, "{hint}");
}
