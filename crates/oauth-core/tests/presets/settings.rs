//! Presets as settings: their names, what they set, and that explicit settings win.

use crate::provider::Provider;
use court::*;
use oauth_core::{Algorithms, ClaimPath, Misconfigured, Preset, StringList, TokenTypes};
use serde_json::json;

fn preset(name: &str) -> Preset {
    Preset::by_name(name).unwrap()
}

/// An issuer whose tokens differ from RFC 9068 in every way that a preset can set.
fn keycloak() -> Provider {
    Provider {
        preset: "keycloak",
        issuer: ISSUER,
        scope: "postgres",
        audience: AUDIENCE,
        required_claims: "",
        metadata: json!({"issuer": ISSUER, "jwks_uri": "https://issuer.example/certs"}),
        header: json!({"typ": "JWT"}),
        claims: json!({
            "iss": ISSUER, "sub": "f:1", "aud": AUDIENCE, "typ": "Bearer", "azp": CLIENT, "scope": "postgres",
            "preferred_username": "alice", "realm_access": {"roles": ["dba"]},
        }),
    }
}

#[test]
fn every_preset_is_known_by_its_name_alone() {
    for (index, preset) in Preset::ALL.into_iter().enumerate() {
        let name = preset.name();
        assert_eq!(name.parse::<Preset>().unwrap(), preset);
        assert_eq!(preset.to_string(), name);
        assert!(
            Preset::ALL[..index]
                .iter()
                .all(|other| other.name() != name),
            "two are called {name}"
        );
    }
    assert_eq!(Preset::default(), Preset::GENERIC);
}

#[test]
fn no_preset_is_guessed() {
    for text in [
        "",
        "Keycloak",
        " keycloak",
        "azure",
        "https://accounts.google.com",
        "accounts.google.com",
        "https://login.microsoftonline.com/common/v2.0",
        "entra,okta",
    ] {
        assert!(text.parse::<Preset>().is_err(), "{text:?}");
    }
    // A token of Keycloak's shape, from wherever: the generic preset refuses it.
    let keycloak = keycloak();
    let generic = keycloak.policy().preset(Preset::GENERIC);
    assert_eq!(
        keycloak
            .court_of(generic)
            .verdict(&keycloak.token(json!({}))),
        "typ_not_allowed"
    );
}

#[test]
fn what_a_preset_sets_reads_as_the_settings_do() {
    for preset in Preset::ALL {
        let text = |setting| preset.default_of(setting);
        assert!(text("token_types").unwrap().parse::<TokenTypes>().is_ok());
        assert!(
            text("optional_scopes")
                .unwrap()
                .parse::<StringList>()
                .is_ok()
        );
        assert!(text("identity_claim").unwrap().parse::<ClaimPath>().is_ok());
        assert!(text("role_claim").is_none_or(|claim| claim.parse::<ClaimPath>().is_ok()));
        assert!(text("algorithms").is_none_or(|names| names.parse::<Algorithms>().is_ok()));
        assert_eq!(text("audience"), None);

        let policy = policy()
            .preset(preset)
            .required_claims("sub=x".parse().unwrap())
            .build()
            .unwrap();
        assert_eq!(
            *policy.token_types(),
            text("token_types").unwrap().parse().unwrap()
        );
        assert_eq!(
            policy.identity_claim().as_str(),
            text("identity_claim").unwrap()
        );
        assert_eq!(policy.preset(), preset);
        if let Some(names) = text("algorithms") {
            assert_eq!(*policy.algorithms(), names.parse().unwrap());
        }
    }
}

#[test]
fn the_generic_preset_is_what_a_policy_starts_with() {
    let generic = Preset::GENERIC;
    assert_eq!(generic.default_of("token_types").as_deref(), Some("at+jwt"));
    assert_eq!(generic.default_of("identity_claim").as_deref(), Some("sub"));
    assert_eq!(
        generic.default_of("optional_scopes").as_deref(),
        Some("openid, offline_access")
    );
    assert_eq!(generic.default_of("role_claim"), None);
    assert_eq!(generic.default_of("algorithms"), None);
    assert_eq!(policy().build().unwrap().preset(), generic);
    assert_eq!(
        Court::new()
            .policy(|policy| policy.preset(generic))
            .verdict(&good_token()),
        GRANTED
    );
}

#[test]
fn explicit_settings_win_over_a_preset() {
    let keycloak = keycloak();
    let verdict = |policy| {
        keycloak
            .court_of(policy)
            .verdict(&keycloak.token(json!({})))
    };
    assert_eq!(verdict(keycloak.policy()), GRANTED);
    let strict = keycloak.policy().token_types("at+jwt".parse().unwrap());
    assert_eq!(verdict(strict), "typ_not_allowed");
    let by_email = keycloak.policy().identity_claim("email".parse().unwrap());
    assert_eq!(verdict(by_email), "identity_missing");
    let elliptic = keycloak.policy().algorithms("ES256".parse().unwrap());
    assert_eq!(verdict(elliptic), "alg_not_allowed");
    let more = keycloak.policy().required_scopes("openid postgres");
    assert_eq!(verdict(more.clone()), GRANTED);
    assert_eq!(
        verdict(more.optional_scopes(StringList::default())),
        "insufficient_scope"
    );
}

#[test]
fn what_tells_an_access_token_can_not_be_set_aside() {
    let keycloak = keycloak();
    let lenient = keycloak
        .policy()
        .token_types("JWT, at+jwt, -".parse().unwrap());
    let id_token = keycloak.token(json!({"typ": "ID"}));
    assert_eq!(
        keycloak.court_of(lenient).verdict(&id_token),
        "not_an_access_token"
    );
}

#[test]
fn a_preset_names_roles_only_where_claims_are_asked_for_roles() {
    let keycloak = keycloak();
    let role_claim = |policy: oauth_core::PolicyBuilder| {
        let policy = policy.build().unwrap();
        policy.role_claim().map(|claim| claim.as_str().to_owned())
    };
    assert_eq!(role_claim(keycloak.policy()), None);
    let delegated = keycloak.policy().delegated(true);
    assert_eq!(
        role_claim(delegated.clone()).as_deref(),
        Some("/realm_access/roles")
    );
    let mapped = keycloak.policy().role_map(Some("groups".to_owned()));
    assert_eq!(role_claim(mapped).as_deref(), Some("/realm_access/roles"));
    let explicit = delegated
        .clone()
        .role_claim(Some("groups".parse().unwrap()));
    assert_eq!(role_claim(explicit).as_deref(), Some("groups"));

    let court = keycloak.court_of(delegated);
    let token = keycloak.token(json!({}));
    assert_eq!(court.verdict(&token), "role_not_granted");
    assert_eq!(court.role("dba").verdict(&token), GRANTED);
}

#[test]
fn delegation_needs_a_role_claim_where_the_preset_has_none() {
    for name in [
        "generic",
        "google",
        "kubernetes",
        "zitadel",
        "ping",
        "spiffe",
    ] {
        let policy = policy().preset(preset(name)).delegated(true);
        assert_eq!(
            policy.build().unwrap_err(),
            Misconfigured::RoleClaimUnset,
            "{name}"
        );
    }
}

#[test]
fn an_issuer_that_serves_strangers_needs_a_claim_that_names_us() {
    for (name, claims, expected) in [
        ("github-actions", "", Some("required_claims_unset")),
        (
            "github-actions",
            "ref=refs/heads/main",
            Some("required_claims_unset"),
        ),
        (
            "github-actions",
            "environment=production",
            Some("required_claims_unset"),
        ),
        (
            "github-actions",
            "/a/repository=x",
            Some("required_claims_unset"),
        ),
        (
            "github-actions",
            "iss=https://token.actions.githubusercontent.com",
            Some("required_claims_unset"),
        ),
        ("github-actions", "repository=octo-org/octo-repo", None),
        ("github-actions", "/repository_owner=octo-org", None),
        (
            "github-actions",
            "ref=refs/heads/main, repository_id=74",
            None,
        ),
        ("gitlab", "", Some("required_claims_unset")),
        (
            "gitlab",
            "ref_protected=true",
            Some("required_claims_unset"),
        ),
        ("gitlab", "project_path=my-group/my-project", None),
        ("gitlab", "iss=https://gitlab.example.com", None),
        (
            "github-actions",
            "repository present",
            Some("required_claims_unset"),
        ),
        (
            "github-actions",
            "repository absent",
            Some("required_claims_unset"),
        ),
        (
            "github-actions",
            "repository like *",
            Some("required_claims_unset"),
        ),
        (
            "github-actions",
            "repository like */app",
            Some("required_claims_unset"),
        ),
        (
            "github-actions",
            "repository like octo*",
            Some("required_claims_unset"),
        ),
        (
            "github-actions",
            "sub like repo:*",
            Some("required_claims_unset"),
        ),
        (
            "github-actions",
            "sub like (repo:octo-org/*, *)",
            Some("required_claims_unset"),
        ),
        ("github-actions", "repository like octo-org/*", None),
        (
            "github-actions",
            "sub like (repo:octo-org/*, repo:octo-org@1/*)",
            None,
        ),
        ("github-actions", "repository_id in (74, 75)", None),
        ("gitlab", "project_path like my-group/*", None),
        (
            "gitlab",
            "job_project_path=my-group/x, sub present",
            Some("required_claims_unset"),
        ),
        ("kubernetes", "", None),
        ("generic", "", None),
    ] {
        let policy = policy()
            .preset(preset(name))
            .required_claims(claims.parse().unwrap());
        let code = policy.build().err().map(|error| error.code());
        assert_eq!(code, expected, "{name} {claims}");
    }
}

/// The manual's table says of each preset what it sets, and a change to either that is not made in both is noticed.
#[test]
fn manual_has_what_each_preset_sets() {
    const PAGE: &str = include_str!("../../../../docs/providers/README.md");
    let (_, table) = PAGE.split_once("## What a preset sets").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let told: Vec<Vec<String>> = rows
        .map(|row| {
            let cells = row.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().replace('`', "")).collect()
        })
        .collect();
    let names: Vec<&str> = told.iter().map(|row| row[0].as_str()).collect();
    for preset in Preset::ALL {
        let index = names.iter().position(|name| *name == preset.name());
        let row = &told[index.unwrap_or_else(|| panic!("{preset} is not in the table"))];
        let default_of = |setting| preset.default_of(setting).unwrap_or_default();
        assert_eq!(row[1], default_of("token_types"), "{preset}");
        assert_eq!(row[2], default_of("identity_claim"), "{preset}");
        assert_eq!(row[3], default_of("role_claim"), "{preset}");
        assert_eq!(row[4], preset.client_claims().join(", "), "{preset}");
        let (scopes, _) = row[5].split_once(';').unwrap_or((&row[5], ""));
        let expected = match preset.scope_claims() {
            [] => "none".to_owned(),
            claims => claims.join(", "),
        };
        assert_eq!(scopes, expected, "{preset}");
    }
    assert_eq!(names.len(), Preset::ALL.len());
    // Below the table.
    let algorithms = preset("spiffe").default_of("algorithms").unwrap();
    assert!(algorithms.contains("ES512") && !algorithms.contains("EdDSA"));
    assert!(PAGE.contains("`spiffe` omits EdDSA from\n`algorithms`"));
    assert_eq!(preset("generic").default_of("algorithms"), None);
}
