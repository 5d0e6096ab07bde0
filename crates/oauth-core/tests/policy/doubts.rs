//! What a policy can be set to and is probably not meant to be: what a doctor says of it, and that nothing else changes.

use oauth_core::{Doubt, Issuer, JwkSet, Misconfigured, Policy, PolicyBuilder, Preset};

fn policy(preset: &str) -> PolicyBuilder {
    let issuer = Issuer::parse("https://idp.example/").expect("an issuer");
    Policy::builder(issuer)
        .preset(Preset::by_name(preset).expect("a preset"))
        .audience("https://pg.example/".parse().expect("an audience"))
        .required_scopes("openid postgres")
}

fn doubts(builder: &PolicyBuilder) -> Vec<Doubt> {
    builder.doubts()
}

#[test]
fn has_no_doubt_about_any_preset_as_it_is() {
    for preset in Preset::ALL {
        assert_eq!(doubts(&policy(preset.name())), [], "{preset}");
    }
}

#[test]
fn doubts_types_that_the_provider_does_not_use() {
    let keycloak = policy("keycloak").token_types("at+jwt, x".parse().expect("types"));
    assert_eq!(doubts(&keycloak), []);
    let okta = policy("okta").token_types("-".parse().expect("types"));
    assert_eq!(doubts(&okta), []);
    for (preset, types) in [("keycloak", "-"), ("cognito", "JWT"), ("entra", "at+jwt")] {
        let builder = policy(preset).token_types(types.parse().expect("types"));
        assert_eq!(
            doubts(&builder),
            [Doubt::NoTokenTypeOfProvider],
            "{preset} {types}"
        );
    }
}

#[test]
fn doubts_algorithms_that_the_provider_does_not_use() {
    let builder = policy("spiffe").algorithms("EdDSA".parse().expect("algorithms"));
    assert_eq!(doubts(&builder), [Doubt::NoAlgorithmOfProvider]);
    let builder = policy("spiffe").algorithms("EdDSA, ES256".parse().expect("algorithms"));
    assert_eq!(doubts(&builder), []);
    let builder = policy("generic").algorithms("EdDSA".parse().expect("algorithms"));
    assert_eq!(doubts(&builder), []);
}

#[test]
fn doubts_clients_where_tokens_name_none() {
    let builder = policy("kubernetes").client_ids("psql".parse().expect("clients"));
    assert_eq!(doubts(&builder), [Doubt::ProviderNamesNoClient]);
    let builder = policy("keycloak").client_ids("psql".parse().expect("clients"));
    assert_eq!(doubts(&builder), []);
}

#[test]
fn doubts_the_type_of_id_tokens_where_nothing_else_tells_them() {
    for types in ["at+jwt, JWT", "jwt", "at+jwt, -"] {
        let builder = policy("generic").token_types(types.parse().expect("types"));
        assert_eq!(doubts(&builder), [Doubt::IdTokenMayPass], "{types}");
    }
    let builder = policy("auth0").token_types("JWT".parse().expect("types"));
    assert_eq!(doubts(&builder), []);
}

#[test]
fn doubts_that_no_scope_is_demanded() {
    for none in ["", "  "] {
        let builder = policy("generic").required_scopes(none);
        assert_eq!(doubts(&builder), [Doubt::NoScopeNamed]);
    }
    let builder = policy("generic").required_scopes("openid offline_access");
    assert_eq!(doubts(&builder), [Doubt::AllScopesOptional]);
    // A provider whose tokens carry no scopes cannot be asked for one.
    assert_eq!(doubts(&policy("kubernetes").required_scopes("openid")), []);
}

#[test]
fn tells_several_doubts_and_all_faults_at_once() {
    let builder = policy("github-actions")
        .token_types("at+jwt".parse().expect("types"))
        .client_ids("psql".parse().expect("clients"))
        .audience("".parse().expect("no audience"))
        .delegated(true);
    assert_eq!(
        doubts(&builder),
        [Doubt::NoTokenTypeOfProvider, Doubt::ProviderNamesNoClient]
    );
    let codes: Vec<&str> = builder.faults().iter().map(Misconfigured::code).collect();
    assert_eq!(
        codes,
        [
            "audience_unset",
            "role_claim_unset",
            "required_claims_unset"
        ]
    );
    assert_eq!(
        builder.build().err(),
        Some(Misconfigured::AudienceUnset),
        "the first of them"
    );
    assert_eq!(policy("generic").faults(), []);
}

#[test]
fn accepts_keys_that_can_verify_an_accepted_algorithm() {
    let set = |alg: &str| {
        let json = format!(
            r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"a",{alg}
                "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}},{{"kty":"oct","k":"AAAA"}}]}}"#
        );
        JwkSet::parse(json.as_bytes()).expect("a key set")
    };
    let list = |text: &str| policy("generic").algorithms(text.parse().expect("algorithms"));
    for set in [set(""), set(r#""alg":"EdDSA","#)] {
        assert!(list("RS256, EdDSA").accepts_a_key_of(&set));
        assert!(!list("RS256, ES256").accepts_a_key_of(&set));
    }
}

#[test]
fn audiences_that_any_client_can_get_are_told() {
    let told = |audience: &str| {
        let builder = policy("keycloak").audience(audience.parse().expect("audiences"));
        Vec::from_iter(builder.catch_all_audiences().map(str::to_owned))
    };
    assert_eq!(told("account"), ["account"]);
    assert_eq!(
        told("https://pg.example/, api://default, account"),
        ["api://default", "account"]
    );
    assert_eq!(
        told("https://corp.auth0.example/userinfo"),
        ["https://corp.auth0.example/userinfo"]
    );
    for audience in [
        "https://pg.example/",
        "Account",
        "accounts",
        "/userinfo",
        "api://defaults",
        "https://pg.example/userinfo/",
    ] {
        assert!(told(audience).is_empty(), "{audience}");
    }
}

#[test]
fn audiences_that_are_clients_too_are_told_but_of_providers_that_name_the_client_always() {
    let told = |preset: &str, audience: &str, clients: &str| {
        let builder = policy(preset)
            .audience(audience.parse().expect("audiences"))
            .client_ids(clients.parse().expect("clients"));
        Vec::from_iter(builder.audiences_of_clients().map(str::to_owned))
    };
    assert_eq!(told("generic", "psql", "psql"), ["psql"]);
    assert_eq!(
        told("keycloak", "a, psql, web", "web, psql"),
        ["psql", "web"]
    );
    assert!(told("keycloak", "https://pg.example/", "psql").is_empty());
    assert!(told("keycloak", "psql", "").is_empty());
    assert!(told("keycloak", "psql", "PSQL").is_empty());
    assert!(told("cognito", "psql", "psql").is_empty());
    assert!(told("authentik", "psql", "psql").is_empty());
}
