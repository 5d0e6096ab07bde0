//! Issuer and audience: RFC 7519 §4.1.1 and §4.1.3, RFC 9068 §4; and the order of all checks on claims.

use court::*;
use oauth_core::{Failure, Issuer, Policy, Reject};
use serde_json::{Value, json};

fn verdict_on_audience(accepted: &str, aud: Value) -> &'static str {
    Court::new()
        .policy(|policy| policy.audience(accepted.parse().unwrap()))
        .verdict(&good_token().claim("aud", aud))
}

#[test]
fn refuses_an_issuer_that_is_missing_or_no_string() {
    assert_eq!(verdict(&good_token().without_claim("iss")), "iss_missing");
    for value in all_but_strings() {
        assert_eq!(
            verdict(&good_token().claim("iss", value.clone())),
            "iss_malformed",
            "{value}"
        );
    }
    let array = good_token().claim("iss", json!([ISSUER]));
    assert_eq!(verdict(&array), "iss_malformed");
    // A claim of another name is no issuer.
    assert_eq!(
        verdict(&good_token().without_claim("iss").claim("issuer", ISSUER)),
        "iss_missing"
    );
    assert_eq!(
        verdict(&good_token().without_claim("iss").header("iss", ISSUER)),
        "iss_missing"
    );
}

#[test]
fn the_issuer_is_compared_byte_for_byte() {
    assert_eq!(verdict(&good_token().claim("iss", ISSUER)), GRANTED);
    for iss in [
        "",
        "https://issuer.example",
        "https://issuer.example/",
        "https://issuer.example/real",
        "https://issuer.example/realm/",
        "https://issuer.example/realm/x",
        "https://issuer.example/realms",
        "https://issuer.example/Realm",
        "https://ISSUER.example/realm",
        "HTTPS://issuer.example/realm",
        "http://issuer.example/realm",
        "https://issuer.example:443/realm",
        "https://issuer.example./realm",
        "https://issuer.example//realm",
        "https://issuer.example/./realm",
        "https://issuer.example/x/../realm",
        "https://issuer.example/%72ealm",
        "https://issuer.example/realm%20",
        "https://issuer.example/realm?",
        "https://issuer.example/realm#",
        "https://issuer.example/realm ",
        " https://issuer.example/realm",
        "https://issuer.example/realm\n",
        "https://issuer.example/realm\0",
        "https://issuer.example\\realm",
        "https://user@issuer.example/realm",
        "https://issuer.example.attacker.example/realm",
        "https://attacker.example/https://issuer.example/realm",
        "https://issuer.ехample/realm",
        "https://issuer.example/re\u{200b}alm",
        "https://issuer.example／realm",
        "issuer.example/realm",
        "https://issuer.example/realm/.well-known/openid-configuration",
    ] {
        assert_eq!(
            verdict(&good_token().claim("iss", iss)),
            "iss_mismatch",
            "{iss:?}"
        );
    }
}

#[test]
fn the_issuer_of_a_well_known_uri_is_the_one_that_it_describes() {
    for (line, iss) in [
        (
            "https://a.example/x/.well-known/openid-configuration",
            "https://a.example/x",
        ),
        (
            "https://a.example/.well-known/oauth-authorization-server/x",
            "https://a.example/x",
        ),
        (
            "https://a.example/.well-known/oauth-authorization-server/x/",
            "https://a.example/x/",
        ),
        ("https://a.example/x/", "https://a.example/x/"),
    ] {
        let policy = Policy::builder(Issuer::parse(line).unwrap());
        let policy = policy.audience(AUDIENCE.parse().unwrap()).build().unwrap();
        let court = Court::new().policy_of(policy);
        assert_eq!(
            court.verdict(&good_token().claim("iss", iss)),
            GRANTED,
            "{line}"
        );
        let others = [
            format!("{iss}/"),
            iss[..iss.len() - 1].to_owned(),
            format!("{line}/."),
        ];
        for other in others {
            assert_eq!(
                court.verdict(&good_token().claim("iss", other)),
                "iss_mismatch",
                "{line}"
            );
        }
    }
}

#[test]
fn a_refused_issuer_or_audience_is_told_in_printable_form() {
    let reason = |token: &Token| {
        Court::new()
            .judge(&token.encode())
            .outcome()
            .unwrap_err()
            .clone()
    };
    let Failure::Reject(Reject::IssMismatch { iss }) =
        reason(&good_token().claim("iss", "a\nLOG:  \u{202e}x"))
    else {
        panic!("not iss_mismatch");
    };
    assert_eq!(iss.as_str(), r"a\u{a}LOG:  \u{202e}x");
    let Failure::Reject(Reject::AudMismatch { named }) =
        reason(&good_token().claim("aud", json!(["a\r\n", "b\""])))
    else {
        panic!("not aud_mismatch");
    };
    assert_eq!(named.as_str(), r#"a\u{d}\u{a}, b\""#);
}

#[test]
fn accepts_an_audience_that_is_named_alone_or_among_others() {
    for aud in [
        json!(AUDIENCE),
        json!([AUDIENCE]),
        json!(["other", AUDIENCE]),
        json!([AUDIENCE, "other"]),
        json!(["", AUDIENCE]),
        json!([AUDIENCE, AUDIENCE]),
    ] {
        assert_eq!(
            verdict(&good_token().claim("aud", aud.clone())),
            GRANTED,
            "{aud}"
        );
    }
    for aud in [
        json!("a"),
        json!("b c"),
        json!("d, e"),
        json!(["x", "d, e"]),
    ] {
        assert_eq!(
            verdict_on_audience(r#"a, b c, "d, e""#, aud.clone()),
            GRANTED,
            "{aud}"
        );
    }
}

#[test]
fn refuses_an_audience_that_is_missing_or_of_the_wrong_type() {
    assert_eq!(verdict(&good_token().without_claim("aud")), "aud_missing");
    for aud in [
        json!(null),
        json!(true),
        json!(0),
        json!({}),
        json!({AUDIENCE: true}),
        json!([AUDIENCE, 1]),
        json!([1, AUDIENCE]),
        json!([AUDIENCE, null]),
        json!([[AUDIENCE]]),
        json!([AUDIENCE, [AUDIENCE]]),
        json!([{"aud": AUDIENCE}]),
    ] {
        assert_eq!(
            verdict(&good_token().claim("aud", aud.clone())),
            "aud_malformed",
            "{aud}"
        );
    }
}

#[test]
fn the_audience_is_compared_byte_for_byte() {
    for aud in [
        json!(""),
        json!([]),
        json!([""]),
        json!(["", "", ""]),
        json!("https://pg.example"),
        json!("https://pg.example//"),
        json!("https://pg.example/x"),
        json!("https://PG.example/"),
        json!("HTTPS://pg.example/"),
        json!("https://pg.example/ "),
        json!(" https://pg.example/"),
        json!("https://pg.example/,x"),
        json!("https://pg.example/ x"),
        json!("https://pg.example/\0"),
        json!("https%3A%2F%2Fpg.example%2F"),
        json!("https://pg.ехample/"),
        json!("pg.example"),
        json!("*"),
        json!("[\"https://pg.example/\"]"),
        json!(["https://pg", ".example/"]),
        json!(["account", "x"]),
    ] {
        assert_eq!(
            verdict(&good_token().claim("aud", aud.clone())),
            "aud_mismatch",
            "{aud}"
        );
    }
    for aud in ["a,b", "a, b", "a b", "", "A"] {
        assert_eq!(
            verdict_on_audience("a, b", json!(aud)),
            "aud_mismatch",
            "{aud}"
        );
    }
}

#[test]
fn tells_the_first_failing_check_in_the_order_of_the_design() {
    let court = Court::new().policy(|policy| {
        policy
            .max_token_age(Some(seconds(60)))
            .client_ids("psql".parse().unwrap())
            .required_claims("acr=phr".parse().unwrap())
    });
    // From the last check to the first, each fault hides the ones before it.
    let steps: [(&str, Value, &str); 13] = [
        ("sub", json!(7), "identity_malformed"),
        ("cnf", json!({"jkt": "x"}), "cnf_unsupported"),
        ("acr", json!("low"), "required_claim_mismatch"),
        ("scope", json!("openid"), "insufficient_scope"),
        ("client_id", json!("other"), "client_not_allowed"),
        ("token_use", json!("id"), "not_an_access_token"),
        ("iat", json!(NOW - 3600), "too_old"),
        ("iat", json!(NOW + 3600), "issued_in_future"),
        ("nbf", json!(NOW + 3600), "not_yet_valid"),
        ("exp", json!(NOW - 3600), "expired"),
        ("aud", json!("other"), "aud_mismatch"),
        ("iss", json!("other"), "iss_mismatch"),
        ("kid", json!("other"), "unknown_kid"),
    ];
    let mut token = good_token().claim("acr", "phr");
    assert_eq!(court.verdict(&token), GRANTED);
    for (name, value, expected) in steps {
        token = if name == "kid" {
            token.header(name, value)
        } else {
            token.claim(name, value)
        };
        assert_eq!(court.verdict(&token), expected, "{name}");
    }
}
