//! Dex, in the shape that its tokens were seen to have: an access token of v2.45.1 in the two set-ups of its page, of a
//! later version, and ID tokens.

use crate::provider::Provider;
use court::*;
use oauth_core::{Preset, StringList};
use serde_json::{Value, json};

const DEX: &str = "https://dex.example.com/dex";

/// The cross-client audience: the client `psql` asked for a token for the client `postgres`.
fn cross_client() -> Provider {
    Provider {
        preset: "dex",
        issuer: DEX,
        scope: "openid email groups audience:server:client_id:postgres",
        audience: "postgres",
        required_claims: "",
        metadata: json!({
            "issuer": DEX, "jwks_uri": "https://dex.example.com/dex/keys",
            "device_authorization_endpoint": "https://dex.example.com/dex/device/code",
            "introspection_endpoint": "https://dex.example.com/dex/token/introspect",
        }),
        header: json!({}),
        claims: json!({
            "iss": DEX, "sub": "CiRkNjI3YjZhNC05MDM4LTRmZTQtYjRkOS1jYTY0ZTU2YmUxNTISBWxvY2Fs",
            "aud": ["postgres", "psql"], "azp": "psql", "at_hash": "BEQ7Fc4d0ryGUmKXSx2dYQ",
            "email": "joe@example.com", "email_verified": true, "name": "joe", "preferred_username": "joe",
        }),
    }
}

/// A client that was made for PostgreSQL alone.
fn own_client() -> Provider {
    let mut dex = cross_client();
    dex.scope = "openid email groups";
    dex.audience = "psql";
    let claims = dex.claims.as_object_mut().unwrap();
    claims.insert("aud".to_owned(), json!("psql"));
    claims.remove("azp");
    dex
}

/// The verdict on a token in which this claim is there and `null`.
fn verdict_with_null(dex: &Provider, claim: &str) -> &'static str {
    let mut claims = dex.claims.clone();
    let members = claims.as_object_mut().unwrap();
    members.insert(claim.to_owned(), Value::Null);
    dex.verdict_on(claims)
}

#[test]
fn access_tokens_of_both_set_ups_are_accepted() {
    for dex in [cross_client(), own_client()] {
        dex.check();
        assert_eq!(
            dex.identity().as_deref(),
            Some("CiRkNjI3YjZhNC05MDM4LTRmZTQtYjRkOS1jYTY0ZTU2YmUxNTISBWxvY2Fs")
        );
        dex.check_changes([
            // As later versions have it.
            (json!({"jti": "eea004fa", "auth_time": NOW}), GRANTED),
            (json!({"groups": ["dba"]}), GRANTED),
            (json!({"email": null, "email_verified": null}), GRANTED),
        ]);
    }
    let only_by_scope = json!({"scope": "openid"});
    assert_eq!(cross_client().verdict(only_by_scope), "insufficient_scope");
}

#[test]
fn id_tokens_of_the_interactive_flows_are_refused() {
    for dex in [cross_client(), own_client()] {
        for claim in ["nonce", "c_hash", "s_hash"] {
            for value in [json!("x"), json!(""), json!(1), json!([]), json!({})] {
                let verdict = dex.verdict(json!({ claim: value.clone() }));
                assert_eq!(verdict, "not_an_access_token", "{claim} {value}");
            }
            let verdict = verdict_with_null(&dex, claim);
            assert_eq!(verdict, "not_an_access_token", "{claim}");
        }
        // Scopes, which tell an access token from an ID token elsewhere, do not outweigh them.
        let scoped = json!({"nonce": "n", "scope": dex.scope});
        assert_eq!(dex.verdict(scoped), "not_an_access_token");
        dex.check_changes([
            (json!({"at_hash": null}), "access_token_unproven"),
            (json!({"events": {}}), "not_an_access_token"),
            (json!({"token_use": "id"}), "not_an_access_token"),
            (json!({"typ": "ID"}), "not_an_access_token"),
        ]);
        assert_eq!(verdict_with_null(&dex, "at_hash"), "access_token_unproven");
    }
}

#[test]
fn a_token_must_be_for_this_server() {
    let dex = cross_client();
    dex.check_changes([
        (json!({"aud": null}), "aud_missing"),
        (json!({"aud": "psql", "azp": null}), "aud_mismatch"),
        (json!({"aud": ["etl", "psql"]}), "aud_mismatch"),
        (json!({"aud": ["Postgres", "psql"]}), "aud_mismatch"),
        (json!({"aud": ["postgres ", "psql"]}), "aud_mismatch"),
        (json!({"aud": [["postgres"]]}), "aud_malformed"),
        (json!({"aud": {"postgres": 1}}), "aud_malformed"),
        (json!({"aud": []}), "aud_mismatch"),
    ]);
}

#[test]
fn a_list_of_clients_demands_the_cross_client_form() {
    let dex = cross_client();
    let court = dex.court_of(
        dex.policy()
            .client_ids("psql".parse::<StringList>().unwrap()),
    );
    for (changes, expected) in [
        (json!({}), GRANTED),
        (json!({"azp": "web"}), "client_not_allowed"),
        (json!({"azp": 1}), "client_malformed"),
        // Somebody who has logged in to the client "postgres" itself.
        (json!({"aud": "postgres", "azp": null}), "client_missing"),
    ] {
        assert_eq!(
            court.verdict(&dex.token(changes.clone())),
            expected,
            "{changes}"
        );
    }
}

#[test]
fn only_a_header_without_a_type_is_of_dex() {
    let dex = cross_client();
    for typ in ["JWT", "at+jwt", "", "logout+jwt"] {
        let token = dex.token(json!({})).header("typ", typ);
        assert_eq!(dex.court().verdict(&token), "typ_not_allowed", "{typ}");
    }
}

#[test]
fn no_other_preset_accepts_such_a_token() {
    let dex = cross_client();
    for preset in Preset::ALL
        .into_iter()
        .filter(|preset| preset.name() != "dex")
    {
        let policy = dex
            .policy()
            .preset(preset)
            .token_types("-, JWT, at+jwt".parse().unwrap())
            .required_scopes("openid")
            .required_claims("sub=x, repository_owner=x".parse().unwrap());
        let court = dex.court_of(policy);
        let verdict = court.verdict(&dex.token(json!({"sub": "x", "repository_owner": "x"})));
        // The preset of AD FS has refused the issuer before.
        let refused = [
            "not_an_access_token",
            "access_token_unproven",
            "iss_mismatch",
        ];
        assert!(refused.contains(&verdict), "{preset}: {verdict}");
    }
}

#[test]
fn groups_are_roles_where_claims_decide_them() {
    let dex = cross_client();
    let court = dex.court_of(dex.policy().delegated(true)).role("reporting");
    let groups = |groups: Value| court.verdict(&dex.token(json!({ "groups": groups })));
    assert_eq!(groups(json!(["staff", "reporting"])), GRANTED);
    assert_eq!(groups(json!(["staff"])), "role_not_granted");
    assert_eq!(groups(Value::Null), "role_claim_missing");
}
