//! Are the scopes that the HBA line demands granted? RFC 6749 §3.3, RFC 6750 §3.1, RFC 8693 §4.2.

use court::*;
use oauth_core::{Failure, Reject};
use serde_json::{Value, json};

/// The verdict where the HBA line demands these scopes.
fn verdict_on_scope(demanded: &str, claims: Value) -> &'static str {
    Court::new()
        .policy(|policy| policy.required_scopes(demanded))
        .verdict(&with_claims(good_token().without_claim("scope"), claims))
}

#[test]
fn every_demanded_scope_must_be_granted_by_scope_or_scp() {
    for claims in [
        json!({"scope": "a b"}),
        json!({"scope": "b a"}),
        json!({"scope": "x a y b z"}),
        json!({"scope": " a  b "}),
        json!({"scope": "a a b"}),
        json!({"scp": "a b"}),
        json!({"scp": ["a", "b"]}),
        json!({"scope": ["b", "x", "a"]}),
        json!({"scope": "a", "scp": ["b"]}),
        json!({"scope": ["a"], "scp": "b"}),
        json!({"scope": "", "scp": ["a", "b"]}),
        json!({"scope": [], "scp": ["a", "b"]}),
    ] {
        assert_eq!(verdict_on_scope("a b", claims.clone()), GRANTED, "{claims}");
    }
}

#[test]
fn refuses_a_token_without_the_demanded_scopes() {
    for claims in [
        json!({}),
        json!({"scope": ""}),
        json!({"scope": " "}),
        json!({"scope": []}),
        json!({"scp": []}),
        json!({"scope": "other"}),
        json!({"scopes": "postgres"}),
        json!({"Scope": "postgres"}),
        json!({"permissions": ["postgres"]}),
        // Not the whole scope, or not exactly it.
        json!({"scope": "postgresx"}),
        json!({"scope": "xpostgres"}),
        json!({"scope": "postgre"}),
        json!({"scope": "postgres:read"}),
        json!({"scope": "postgres/"}),
        json!({"scope": "Postgres"}),
        json!({"scope": "POSTGRES"}),
        json!({"scope": "pοstgres"}),
        json!({"scope": "postgres\u{0}"}),
        json!({"scope": "post gres"}),
        json!({"scope": "*"}),
        json!({"scope": ".*"}),
        // RFC 6749 §3.3: scopes are separated by spaces, and by nothing else.
        json!({"scope": "openid\tpostgres"}),
        json!({"scope": "openid\npostgres"}),
        json!({"scope": "openid\u{a0}postgres"}),
        json!({"scope": "openid\u{2003}postgres"}),
        json!({"scope": "openid,postgres"}),
        json!({"scope": "openid+postgres"}),
        json!({"scope": "openid%20postgres"}),
        json!({"scope": "\tpostgres"}),
        // An element of an array is one scope.
        json!({"scope": ["openid postgres"]}),
        json!({"scp": [" postgres"]}),
        json!({"scp": ["postgres "]}),
    ] {
        assert_eq!(
            verdict_on_scope("postgres", claims.clone()),
            "insufficient_scope",
            "{claims}"
        );
    }
    assert_eq!(
        verdict_on_scope("a b", json!({"scope": "a"})),
        "insufficient_scope"
    );
}

#[test]
fn refuses_scopes_of_the_wrong_type_even_where_the_other_claim_suffices() {
    for name in ["scope", "scp"] {
        for value in [
            json!(null),
            json!(true),
            json!(1),
            json!({}),
            json!({"postgres": true}),
            json!(["postgres", 1]),
            json!([null, "postgres"]),
            json!([["postgres"]]),
        ] {
            let alone = json!({ name: value });
            assert_eq!(
                verdict_on_scope("postgres", alone),
                "scope_malformed",
                "{name}: {value}"
            );
            let other = if name == "scope" { "scp" } else { "scope" };
            let both = json!({name: value, other: "postgres"});
            assert_eq!(
                verdict_on_scope("postgres", both),
                "scope_malformed",
                "{name}: {value}"
            );
        }
    }
}

#[test]
fn scopes_that_are_optional_need_not_be_granted() {
    let verdict = |optional: &str, claims: Value| {
        Court::new()
            .policy(|policy| {
                policy
                    .required_scopes("openid offline_access postgres")
                    .optional_scopes(optional.parse().unwrap())
            })
            .verdict(&with_claims(good_token().without_claim("scope"), claims))
    };
    let defaults = "openid, offline_access";
    assert_eq!(verdict(defaults, json!({"scope": "postgres"})), GRANTED);
    assert_eq!(
        verdict(defaults, json!({"scope": "openid postgres"})),
        GRANTED
    );
    assert_eq!(
        verdict(defaults, json!({"scope": "openid offline_access"})),
        "insufficient_scope"
    );
    assert_eq!(
        verdict("openid", json!({"scope": "postgres"})),
        "insufficient_scope"
    );
    assert_eq!(
        verdict("OpenID, offline_access", json!({"scope": "postgres"})),
        "insufficient_scope"
    );
    assert_eq!(
        verdict("openid offline_access", json!({"scope": "postgres"})),
        "insufficient_scope"
    );
    assert_eq!(
        verdict("openid, offline_access, postgres", json!({})),
        GRANTED
    );
    assert_eq!(
        verdict("openid, offline_access, postgres", json!({"scope": 1})),
        "scope_malformed"
    );
}

#[test]
fn a_line_that_demands_no_scope_takes_any() {
    for demanded in ["", " ", "\t\n"] {
        for claims in [
            json!({}),
            json!({"scope": ""}),
            json!({"scope": "x"}),
            json!({"scp": []}),
        ] {
            assert_eq!(
                verdict_on_scope(demanded, claims.clone()),
                GRANTED,
                "{claims}"
            );
        }
    }
}

#[test]
fn a_refusal_names_the_missing_scopes_only() {
    let court = Court::new().policy(|policy| {
        policy
            .required_scopes("a b c")
            .optional_scopes("c".parse().unwrap())
    });
    let decision = court.judge(&good_token().claim("scope", "b secret").encode());
    let Failure::Reject(Reject::InsufficientScope { missing }) = decision.outcome().unwrap_err()
    else {
        panic!("not insufficient_scope");
    };
    assert_eq!(missing.as_str(), "a");
}
