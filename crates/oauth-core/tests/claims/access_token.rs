//! Is it an access token, of an accepted client, with the claims that the policy requires? RFC 8725 §3.12,
//! RFC 9068 §2.2, RFC 8693 §4.3.

use court::*;
use serde_json::{Value, json};

fn verdict_on_client(listed: &str, claims: Value) -> &'static str {
    Court::new()
        .policy(|policy| policy.client_ids(listed.parse().unwrap()))
        .verdict(&with_claims(
            good_token().without_claim("client_id"),
            claims,
        ))
}

fn verdict_on_claims(required: &str, claims: Value) -> &'static str {
    Court::new()
        .policy(|policy| policy.required_claims(required.parse().unwrap()))
        .verdict(&with_claims(good_token(), claims))
}

#[test]
fn any_client_is_accepted_where_none_is_listed() {
    for claims in [
        json!({}),
        json!({"client_id": "x"}),
        json!({"azp": null}),
        json!({"client_id": 7, "azp": []}),
    ] {
        assert_eq!(verdict_on_client("", claims.clone()), GRANTED, "{claims}");
    }
}

#[test]
fn where_clients_are_listed_every_claim_that_names_one_must_name_one_of_them() {
    for (claims, expected) in [
        (json!({"client_id": "psql"}), GRANTED),
        (json!({"azp": "psql"}), GRANTED),
        (json!({"azp": "dbeaver", "client_id": "psql"}), GRANTED),
        (json!({}), "client_missing"),
        (
            json!({"cid": "psql", "appid": "psql", "sub": "psql"}),
            "client_missing",
        ),
        (json!({"client_id": "other"}), "client_not_allowed"),
        (
            json!({"azp": "psql", "client_id": "other"}),
            "client_not_allowed",
        ),
        (
            json!({"azp": "other", "client_id": "psql"}),
            "client_not_allowed",
        ),
        (json!({"client_id": ""}), "client_not_allowed"),
        (json!({"client_id": "PSQL"}), "client_not_allowed"),
        (json!({"client_id": "psql "}), "client_not_allowed"),
        (json!({"client_id": "psql,dbeaver"}), "client_not_allowed"),
        (json!({"client_id": "psq"}), "client_not_allowed"),
        (json!({"client_id": "psql\u{0}"}), "client_not_allowed"),
    ] {
        assert_eq!(
            verdict_on_client("psql, dbeaver", claims.clone()),
            expected,
            "{claims}"
        );
    }
    for value in all_but_strings() {
        let alone = json!({ "client_id": value });
        assert_eq!(
            verdict_on_client("psql", alone),
            "client_malformed",
            "{value}"
        );
        let beside = json!({"client_id": "psql", "azp": value});
        assert_eq!(
            verdict_on_client("psql", beside),
            "client_malformed",
            "{value}"
        );
    }
}

#[test]
fn required_claims_equal_their_value() {
    for (required, claims, expected) in [
        ("acr=phr", json!({"acr": "phr"}), GRANTED),
        ("acr=phr", json!({}), "required_claim_missing"),
        ("acr=phr", json!({"acr": "phrh"}), "required_claim_mismatch"),
        ("acr=phr", json!({"acr": "PHR"}), "required_claim_mismatch"),
        ("acr=phr", json!({"acr": ""}), "required_claim_mismatch"),
        (
            "acr=phr",
            json!({"acr": "phr x"}),
            "required_claim_mismatch",
        ),
        ("acr=phr", json!({"acr": null}), "required_claim_mismatch"),
        (
            "acr=phr",
            json!({"acr": {"phr": true}}),
            "required_claim_mismatch",
        ),
        ("acr=phr", json!({"ACR": "phr"}), "required_claim_missing"),
        (
            "email_verified=true",
            json!({"email_verified": true}),
            GRANTED,
        ),
        (
            "email_verified=true",
            json!({"email_verified": "true"}),
            GRANTED,
        ),
        (
            "email_verified=true",
            json!({"email_verified": false}),
            "required_claim_mismatch",
        ),
        (
            "email_verified=true",
            json!({"email_verified": 1}),
            "required_claim_mismatch",
        ),
        (
            "email_verified=true",
            json!({"email_verified": "True"}),
            "required_claim_mismatch",
        ),
        (
            "email_verified=false",
            json!({"email_verified": false}),
            GRANTED,
        ),
        (
            "email_verified=false",
            json!({"email_verified": null}),
            "required_claim_mismatch",
        ),
        ("level=3", json!({"level": 3}), GRANTED),
        ("level=3", json!({"level": "3"}), GRANTED),
        ("level=3", json!({"level": 4}), "required_claim_mismatch"),
        ("level=3", json!({"level": 30}), "required_claim_mismatch"),
        ("level=-3", json!({"level": -3}), GRANTED),
        ("level=1.5", json!({"level": 1.5}), GRANTED),
        ("id=18446744073709551615", json!({"id": u64::MAX}), GRANTED),
        (
            "id=9007199254740993",
            json!({"id": 9_007_199_254_740_992_u64}),
            "required_claim_mismatch",
        ),
        ("amr=mfa", json!({"amr": ["pwd", "mfa"]}), GRANTED),
        (
            "amr=mfa",
            json!({"amr": ["pwd", "mfax"]}),
            "required_claim_mismatch",
        ),
        ("amr=mfa", json!({"amr": []}), "required_claim_mismatch"),
        (
            "amr=mfa",
            json!({"amr": [["mfa"]]}),
            "required_claim_mismatch",
        ),
        (
            "amr=mfa",
            json!({"amr": "pwd mfa"}),
            "required_claim_mismatch",
        ),
        (
            "amr=mfa",
            json!({"amr": {"0": "mfa"}}),
            "required_claim_mismatch",
        ),
        ("n=null", json!({"n": null}), "required_claim_mismatch"),
        ("/a/b=c", json!({"a": {"b": "c"}}), GRANTED),
        ("/a/b=c", json!({"a": {"b": ["x", "c"]}}), GRANTED),
        ("/a/1=c", json!({"a": ["b", "c"]}), GRANTED),
        (
            "/a/b=c",
            json!({"a": {"b": {"c": 1}}}),
            "required_claim_mismatch",
        ),
        ("/a/b=c", json!({"a": "b"}), "required_claim_missing"),
        ("/a/b=c", json!({"a/b": "c"}), "required_claim_missing"),
        ("/a~1b=c", json!({"a/b": "c"}), GRANTED),
        ("a/b=c", json!({"a/b": "c"}), GRANTED),
        ("a.b=c", json!({"a": {"b": "c"}}), "required_claim_missing"),
        ("a=b, c=d", json!({"a": "b", "c": "d"}), GRANTED),
        ("a=b, c=d", json!({"a": "b"}), "required_claim_missing"),
        (
            "a=b, c=d",
            json!({"a": "b", "c": "b"}),
            "required_claim_mismatch",
        ),
        ("a=b, a=c", json!({"a": "b"}), "required_claim_mismatch"),
        ("a=b, a=c", json!({"a": ["c", "b"]}), GRANTED),
        ("a=b=c", json!({"a": "b=c"}), GRANTED),
        (r#""a=b, c""#, json!({"a": "b, c"}), GRANTED),
        ("sub=alice", json!({}), GRANTED),
        ("sub=bob", json!({}), "required_claim_mismatch"),
    ] {
        assert_eq!(
            verdict_on_claims(required, claims.clone()),
            expected,
            "{required}: {claims}"
        );
    }
}

#[test]
fn refuses_an_id_token_with_the_audience_of_the_api() {
    // OpenID Connect Core 1.0 §2 and §3.1.3.6: claims of an ID token, which carries no scope.
    let court = Court::new().policy(|policy| {
        policy
            .required_scopes("")
            .token_types("JWT".parse().unwrap())
    });
    let id_token = || good_token().without_claim("scope").header("typ", "JWT");
    assert_eq!(court.verdict(&id_token()), GRANTED);
    for claim in ["nonce", "at_hash", "c_hash", "s_hash"] {
        for value in [json!("x"), json!(""), json!(null), json!(7)] {
            let token = id_token().claim(claim, value.clone());
            assert_eq!(
                court.verdict(&token),
                "not_an_access_token",
                "{claim}: {value}"
            );
            // Some providers put the nonce into access tokens too; those carry scopes.
            for scopes in ["scope", "scp"] {
                let access_token = token.clone().claim(scopes, "profile");
                assert_eq!(court.verdict(&access_token), GRANTED, "{claim}, {scopes}");
                for none in [json!(""), json!(" "), json!([])] {
                    let token = token.clone().claim(scopes, none);
                    assert_eq!(court.verdict(&token), "not_an_access_token", "{claim}");
                }
            }
        }
    }
}

#[test]
fn refuses_tokens_that_say_that_they_are_of_another_kind() {
    for (name, value, expected) in [
        // Keycloak and others: the kind as a claim.
        ("typ", json!("ID"), "not_an_access_token"),
        ("typ", json!("id"), "not_an_access_token"),
        ("typ", json!("Refresh"), "not_an_access_token"),
        ("typ", json!("Offline"), "not_an_access_token"),
        ("typ", json!("Logout"), "not_an_access_token"),
        ("typ", json!("LOGOUT"), "not_an_access_token"),
        ("typ", json!("Bearer"), GRANTED),
        ("typ", json!("DPoP"), GRANTED),
        // Amazon Cognito.
        ("token_use", json!("access"), GRANTED),
        ("token_use", json!("id"), "not_an_access_token"),
        ("token_use", json!("Access"), "not_an_access_token"),
        ("token_use", json!(""), "not_an_access_token"),
        ("token_use", json!(null), "not_an_access_token"),
        ("token_use", json!(["access"]), "not_an_access_token"),
        // RFC 8417 §2.2, OpenID Connect Back-Channel Logout 1.0 §2.4.
        (
            "events",
            json!({"http://schemas.openid.net/event/backchannel-logout": {}}),
            "not_an_access_token",
        ),
        ("events", json!({}), "not_an_access_token"),
        ("events", json!(null), "not_an_access_token"),
    ] {
        let token = good_token().claim(name, value.clone());
        assert_eq!(verdict(&token), expected, "{name}: {value}");
    }
}

#[test]
fn refuses_a_refusal_to_be_an_access_token_by_type() {
    // RFC 9068 §4, OpenID Connect Back-Channel Logout 1.0 §2.4, RFC 9701 §5, RFC 9449 §4.2.
    for typ in [
        "JWT",
        "logout+jwt",
        "token-introspection+jwt",
        "dpop+jwt",
        "oauth-id-jag+jwt",
    ] {
        assert_eq!(
            verdict(&good_token().header("typ", typ)),
            "typ_not_allowed",
            "{typ}"
        );
    }
}
