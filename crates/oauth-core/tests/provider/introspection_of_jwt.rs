//! RFC 7662: the provider's answer over the claims of a JWT.

use court::*;
use oauth_core::{IntrospectionMode, Timestamp};
use serde_json::{Value, json};

use crate::introspection::{Says, answer, rules, verdict_on_jwt};

#[test]
fn nobody_is_authenticated_before_the_provider_has_confirmed_the_token() {
    let judged = |token: &Token, says: Value| {
        let decision = Court::new()
            .policy(|policy| {
                policy
                    .introspection(rules(IntrospectionMode::Always))
                    .role_claim(Some("groups".parse().unwrap()))
            })
            .introspector(Says(says))
            .judge(&token.encode());
        (
            verdict_of(&decision),
            decision.authn_id().map(str::to_owned),
        )
    };
    let alice = Some(SUBJECT.to_owned());
    let token = good_token().claim("groups", json!(["alice"]));
    let active = |groups: Value| json!({"active": true, "groups": groups});
    assert_eq!(
        judged(&token, active(json!(["alice"]))),
        (GRANTED, alice.clone())
    );
    // Confirmed, and only the role is refused.
    assert_eq!(
        judged(&token, active(json!(["bob"]))),
        ("role_not_granted", alice)
    );
    // Not confirmed, and not asked about.
    assert_eq!(
        judged(&token, json!({"active": false})),
        ("token_inactive", None)
    );
    assert_eq!(
        judged(&token, json!({"active": true, "scope": "other"})),
        ("insufficient_scope", None)
    );
    let other = good_token().claim("groups", json!(["bob"]));
    assert_eq!(
        judged(&other, active(json!(["alice"]))),
        ("role_not_granted", None)
    );
}

/// What the provider says now goes before what it wrote into the token then: a group that was lost is not given.
#[test]
fn groups_are_those_of_the_answer() {
    let groups = |says: Value| {
        let decision = Court::new()
            .policy(|policy| {
                policy
                    .introspection(rules(IntrospectionMode::Always))
                    .role_claim(Some("groups".parse().unwrap()))
                    .provisioned(true)
            })
            .introspector(Says(says))
            .judge(
                &good_token()
                    .claim("groups", json!(["analysts", "auditors"]))
                    .encode(),
            );
        decision.outcome().unwrap().groups().to_vec()
    };
    assert_eq!(groups(json!({"active": true})), ["analysts", "auditors"]);
    assert_eq!(
        groups(json!({"active": true, "groups": ["analysts"]})),
        ["analysts"]
    );
}

/// What decided the login is what the session has.
#[test]
fn grant_has_the_claims_that_were_judged() {
    let token = good_token()
        .claim("groups", json!(["analysts", "auditors"]))
        .claim("scp", json!(["postgres"]))
        .claim("tenant", json!("acme"));
    let grant_of = |says: Value| {
        Court::new()
            .policy(|policy| policy.introspection(rules(IntrospectionMode::Always)))
            .introspector(Says(says))
            .judge(&token.encode())
    };
    let decision = grant_of(json!({
        "active": true, "groups": ["analysts"], "sid": "session-1", "scope": "postgres", "client_id": CLIENT,
        "exp": NOW + 100, "token": token.encode(), "deep": {"of": [token.encode()]}, "tenant": null,
    }));
    let grant = decision.outcome().unwrap();
    let claims = grant.claims();
    assert_eq!(claims["groups"], json!(["analysts"]));
    assert_eq!(claims["exp"], json!(NOW + 100));
    assert_eq!(
        claims["tenant"],
        json!("acme"),
        "the answer says nothing of it"
    );
    assert_eq!(
        (&claims["scope"], &claims["scp"]),
        (&json!("postgres"), &json!(["postgres"]))
    );
    assert_eq!(grant.sid(), Some("session-1"));
    assert_eq!(grant.jti(), Some("token-1"));
    assert_eq!(grant.sub(), Some(SUBJECT));
    for absent in ["active", "token", "deep"] {
        assert_eq!(claims.get(absent), None, "{absent}");
    }
    let shown = decision.into_claims().unwrap().to_json();
    assert!(!shown.contains("auditors") && !shown.contains(&token.encode()));
    // Without claims of its own, the answer leaves the JWT's.
    let decision = grant_of(json!({"active": true}));
    let claims = decision.outcome().unwrap().claims().clone();
    assert_eq!(claims["groups"], json!(["analysts", "auditors"]));
    assert_eq!(claims["scope"], json!(SCOPES));
}

#[test]
fn jwt_must_be_confirmed_as_far_as_the_answer_goes() {
    assert_eq!(verdict_on_jwt(json!({"active": true})), GRANTED);
    for (changes, code) in [
        (json!({}), GRANTED),
        (json!({"iss": "https://evil.example"}), "iss_mismatch"),
        (json!({"aud": "other"}), "aud_mismatch"),
        (json!({"exp": NOW - 1000}), "expired"),
        (json!({"exp": "x"}), "exp_malformed"),
        (json!({"nbf": NOW + 1000}), "not_yet_valid"),
        (json!({"scope": "openid"}), "insufficient_scope"),
        (json!({"sub": "mallory"}), "introspection_mismatch"),
        (json!({"jti": "another"}), "introspection_mismatch"),
        (json!({"jti": "token-1"}), GRANTED),
        (json!({"cnf": {"jkt": "x"}}), "cnf_unsupported"),
        (
            json!({"token_type": "refresh_token"}),
            "not_an_access_token",
        ),
        // Names by which an answer says what the JWT has shown already.
        (json!({"token_use": "access_token"}), GRANTED),
    ] {
        assert_eq!(verdict_on_jwt(answer(changes.clone())), code, "{changes}");
    }
}

#[test]
fn jwt_ends_at_the_earlier_of_both_ends() {
    for (exp, end) in [(NOW + 60, NOW + 60), (NOW + 900, NOW + 300)] {
        let decision = Court::new()
            .policy(|policy| policy.introspection(rules(IntrospectionMode::Always)))
            .introspector(Says(answer(json!({"exp": exp}))))
            .judge(&good_token().encode());
        let grant = decision.outcome().unwrap();
        assert_eq!(grant.expires_at(), Timestamp::from_unix_seconds(end));
    }
}

#[test]
fn the_answer_brings_no_claim_that_goes_before_the_one_that_gave_the_identity() {
    let verdict = |jwt: Value, says: Value| {
        let mut says = says;
        says["active"] = json!(true);
        Court::new()
            .policy(|policy| {
                policy
                    .introspection(rules(IntrospectionMode::Always))
                    .identity_claim("/user/name, client_id=service:".parse().unwrap())
            })
            .introspector(Says(says))
            .verdict(&with_claims(good_token(), jwt))
    };
    let (person, service) = (
        json!({"user": {"name": "ada"}, "client_id": "etl"}),
        json!({"client_id": "etl"}),
    );
    for (jwt, says, expected) in [
        (&person, json!({}), GRANTED),
        (&person, person.clone(), GRANTED),
        (&person, json!({"client_id": "psql"}), GRANTED),
        (&service, json!({}), GRANTED),
        (&service, service.clone(), GRANTED),
        (
            &person,
            json!({"user": {"name": "bob"}}),
            "introspection_mismatch",
        ),
        (&person, json!({"user": {}}), "introspection_mismatch"),
        (
            &service,
            json!({"user": {"name": "ada"}}),
            "introspection_mismatch",
        ),
        (
            &service,
            json!({"user": {"name": 7}}),
            "introspection_mismatch",
        ),
        (
            &service,
            json!({"client_id": "psql"}),
            "introspection_mismatch",
        ),
    ] {
        assert_eq!(verdict(jwt.clone(), says.clone()), expected, "{jwt} {says}");
    }
}
