//! RFC 7662 §2.2: an answer calls scopes and client `scope` and `client_id`, whatever the provider's JWTs call them, and
//! what it says of them counts.

use court::*;
use oauth_core::{IntrospectionMode, Preset};
use serde_json::{Value, json};

use crate::introspection::{OPAQUE, Says, answer, rules};

/// Who asks about JWTs, too, of this preset.
fn court(preset: &str, says: Value) -> Court {
    let preset: Preset = preset.parse().unwrap();
    Court::new()
        .policy(move |policy| {
            policy
                .preset(preset)
                .introspection(rules(IntrospectionMode::Always))
        })
        .introspector(Says(says))
}

/// The verdict on the good token with these claims, of which the provider says this.
fn verdict(preset: &str, jwt: Value, mut says: Value) -> &'static str {
    let members = says.as_object_mut().unwrap();
    members.insert("active".to_owned(), json!(true));
    court(preset, says).verdict(&with_claims(unscoped(), jwt))
}

/// The good token without scopes and client.
fn unscoped() -> Token {
    good_token()
        .without_claim("scope")
        .without_claim("client_id")
}

/// A token as Okta's are, but for what its scopes are.
fn of_okta(scp: Value) -> Value {
    json!({"cid": CLIENT, "scp": scp})
}

#[test]
fn scopes_of_the_answer_take_the_place_of_those_of_the_jwt() {
    let named = |scope: Value, scp: Value| json!({"scope": scope, "scp": scp});
    let (granted, narrow) = (json!("openid postgres"), json!("openid"));
    let list = json!(["openid", "postgres"]);
    for jwt in [
        json!({"scp": list}),
        named(granted.clone(), list.clone()),
        named(narrow.clone(), list.clone()),
        json!({"scope": granted}),
    ] {
        for (says, expected) in [
            (json!({}), GRANTED),
            (json!({"scope": narrow}), "insufficient_scope"),
            (json!({"scope": ""}), "insufficient_scope"),
            (json!({"scope": ["openid"]}), "insufficient_scope"),
            (json!({"scp": ["openid"]}), "insufficient_scope"),
            (json!({"scp": narrow}), "insufficient_scope"),
            (json!({"scope": 7}), "scope_malformed"),
            (json!({"scp": {}}), "scope_malformed"),
            (json!({"scope": null}), GRANTED),
            (json!({"scope": granted}), GRANTED),
            (json!({"scp": list}), GRANTED),
            // As in a JWT that has both.
            (json!({"scope": narrow, "scp": list}), GRANTED),
        ] {
            assert_eq!(
                verdict("generic", jwt.clone(), says.clone()),
                expected,
                "{jwt} {says}"
            );
        }
    }
}

#[test]
fn scope_of_the_answer_counts_where_jwts_have_scp_alone() {
    for (scp, says, expected) in [
        (json!(["postgres"]), json!({}), GRANTED),
        (
            json!(["postgres"]),
            json!({"scope": "openid"}),
            "insufficient_scope",
        ),
        (json!(["postgres"]), json!({"scope": 7}), "scope_malformed"),
        (
            json!(["postgres"]),
            json!({"scope": "openid postgres"}),
            GRANTED,
        ),
        (
            json!(["postgres"]),
            json!({"scp": ["openid"]}),
            "insufficient_scope",
        ),
        // The JWT must pass by itself.
        (
            json!(["openid"]),
            json!({"scope": "postgres"}),
            "insufficient_scope",
        ),
    ] {
        assert_eq!(
            verdict("okta", of_okta(scp.clone()), says.clone()),
            expected,
            "{scp} {says}"
        );
    }
    // A JWT's "scope" is not what its preset reads, and the answer does not say it again.
    let mut jwt = of_okta(json!(["openid"]));
    jwt["scope"] = json!("postgres");
    assert_eq!(verdict("okta", jwt, json!({})), "insufficient_scope");
}

#[test]
fn opaque_token_has_the_scopes_and_the_client_of_its_answer_under_every_preset() {
    for preset in ["generic", "okta", "entra", "adfs", "authentik"] {
        let on = |changes: Value, clients: &str| {
            let mut says = answer(changes);
            // Entra and AD FS name their issuer in ways of their own.
            says.as_object_mut().unwrap().remove("iss");
            let (preset, clients) = (preset.parse().unwrap(), clients.to_owned());
            Court::new()
                .policy(move |policy| {
                    policy
                        .preset(preset)
                        .identity_claim("sub".parse().unwrap())
                        .client_ids(clients.parse().unwrap())
                        .introspection(rules(IntrospectionMode::Opaque))
                })
                .introspector(Says(says))
                .judge(OPAQUE)
        };
        let decision = on(json!({}), CLIENT);
        assert_eq!(verdict_of(&decision), GRANTED, "{preset}");
        let grant = decision.outcome().unwrap();
        assert_eq!(grant.client_id(), Some(CLIENT), "{preset}");
        // What is shown is what the provider has said.
        assert_eq!(grant.claims().get("scp"), None);
        for (changes, expected) in [
            (json!({"scope": "openid"}), "insufficient_scope"),
            (
                json!({"scope": "openid", "roles": ["postgres"]}),
                "insufficient_scope",
            ),
            (json!({"client_id": "other"}), "client_not_allowed"),
            (json!({"client_id": 7}), "client_malformed"),
            (json!({"client_id": null}), "client_missing"),
        ] {
            assert_eq!(
                verdict_of(&on(changes.clone(), CLIENT)),
                expected,
                "{preset} {changes}"
            );
        }
    }
}

#[test]
fn client_of_the_answer_must_be_listed_besides_that_of_the_jwt() {
    let verdict = |jwt_client: &str, says: Value| {
        let mut jwt = of_okta(json!(["postgres"]));
        jwt["cid"] = json!(jwt_client);
        let mut says = says;
        says["active"] = json!(true);
        Court::new()
            .policy(|policy| {
                policy
                    .preset("okta".parse().unwrap())
                    .client_ids("psql, etl".parse().unwrap())
                    .introspection(rules(IntrospectionMode::Always))
            })
            .introspector(Says(says))
            .verdict(&with_claims(unscoped(), jwt))
    };
    assert_eq!(verdict("psql", json!({})), GRANTED);
    assert_eq!(verdict("psql", json!({"client_id": "psql"})), GRANTED);
    assert_eq!(verdict("psql", json!({"client_id": "etl"})), GRANTED);
    for (says, code) in [
        (json!({"client_id": "evil"}), "client_not_allowed"),
        (json!({"client_id": ["psql"]}), "client_malformed"),
        (json!({"cid": "evil"}), "client_not_allowed"),
        (
            json!({"cid": "psql", "client_id": "evil"}),
            "client_not_allowed",
        ),
    ] {
        assert_eq!(verdict("psql", says.clone()), code, "{says}");
    }
    assert_eq!(
        verdict("evil", json!({"client_id": "psql"})),
        "client_not_allowed"
    );
    // A JWT's "client_id" is not what its preset reads.
    let jwt = json!({"cid": CLIENT, "scp": ["postgres"], "client_id": "other"});
    assert_eq!(self::verdict("okta", jwt, json!({})), GRANTED);
}

#[test]
fn roles_by_scopes_are_those_of_the_answer() {
    for (claim, jwt) in [
        ("scp", json!({"scp": ["alice", "postgres"]})),
        ("/scp", json!({"scp": ["alice", "postgres"]})),
        ("scp", json!({"scp": "alice postgres"})),
        ("scope", json!({"scope": "alice postgres"})),
        ("scope", json!({"scope": ["alice", "postgres"]})),
    ] {
        let verdict = |says: Value| {
            Court::new()
                .policy(|policy| {
                    policy
                        .role_claim(Some(claim.parse().unwrap()))
                        .introspection(rules(IntrospectionMode::Always))
                })
                .introspector(Says(says))
                .verdict(&with_claims(unscoped(), jwt.clone()))
        };
        for (says, expected) in [
            (json!({"active": true}), GRANTED),
            (json!({"active": true, "scope": "postgres alice"}), GRANTED),
            (
                json!({"active": true, "scope": "postgres"}),
                "role_not_granted",
            ),
            (
                json!({"active": true, "scp": ["postgres", "bob"]}),
                "role_not_granted",
            ),
        ] {
            assert_eq!(verdict(says.clone()), expected, "{claim} {jwt} {says}");
        }
    }
}
