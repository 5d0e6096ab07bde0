//! A fault of the claims is refused wherever the claims come from: a JWT, the answer about an opaque token, or the answer
//! that confirms a JWT.

use court::*;
use oauth_core::{IntrospectionMode, Policy, PolicyBuilder};
use serde_json::{Value, json};

use crate::introspection::{OPAQUE, Says, answer, rules};

/// What the policy asks of claims, all of which the good ones have.
fn strict(policy: PolicyBuilder) -> PolicyBuilder {
    policy
        .client_ids(CLIENT.parse().unwrap())
        .required_claims("acr=phr".parse().unwrap())
        .role_claim(Some("groups".parse().unwrap()))
        .max_token_age(Some(seconds(600)))
}

/// Claims that pass, with these changes.
fn claims(changes: &Value) -> Value {
    let mut claims = json!({"acr": "phr", "groups": [SUBJECT]});
    let changes = changes.as_object().unwrap().clone();
    claims.as_object_mut().unwrap().extend(changes);
    claims
}

fn court(mode: IntrospectionMode, says: Value) -> Court {
    let policy: Policy = strict(policy()).introspection(rules(mode)).build().unwrap();
    Court::new().policy_of(policy).introspector(Says(says))
}

/// The verdicts where a JWT, the answer about an opaque token, and the answer that confirms a good JWT have these claims.
fn verdicts(changes: &Value) -> [&'static str; 3] {
    let jwt = |changes: &Value| with_claims(good_token(), claims(changes));
    let says = answer(claims(changes));
    [
        court(IntrospectionMode::Off, json!({})).verdict(&jwt(changes)),
        court(IntrospectionMode::Opaque, says.clone()).verdict_on_text(OPAQUE),
        court(IntrospectionMode::Always, says).verdict(&jwt(&json!({}))),
    ]
}

#[test]
fn fault_of_claims_is_refused_wherever_they_come_from() {
    for (changes, code) in [
        (json!({}), GRANTED),
        (json!({"iss": "https://evil.example"}), "iss_mismatch"),
        (json!({"iss": 1}), "iss_malformed"),
        (json!({"aud": "other"}), "aud_mismatch"),
        (json!({"aud": [1]}), "aud_malformed"),
        (json!({"exp": NOW - 1000}), "expired"),
        (json!({"exp": "x"}), "exp_malformed"),
        (json!({"nbf": NOW + 1000}), "not_yet_valid"),
        (json!({"nbf": "x"}), "nbf_malformed"),
        (json!({"iat": NOW + 1000}), "issued_in_future"),
        (json!({"iat": NOW - 1000}), "too_old"),
        (json!({"iat": "x"}), "iat_malformed"),
        (json!({"events": {}}), "not_an_access_token"),
        (json!({"client_id": "other"}), "client_not_allowed"),
        (json!({"client_id": 1}), "client_malformed"),
        (json!({"scope": "openid"}), "insufficient_scope"),
        (json!({"scope": 1}), "scope_malformed"),
        (json!({"acr": "low"}), "required_claim_mismatch"),
        (json!({"cnf": {}}), "cnf_malformed"),
        (json!({"cnf": {"jkt": "x"}}), "cnf_unsupported"),
        (json!({"groups": ["bob"]}), "role_not_granted"),
        (json!({"groups": 1}), "role_claim_malformed"),
    ] {
        assert_eq!(verdicts(&changes), [code; 3], "{changes}");
    }
}
