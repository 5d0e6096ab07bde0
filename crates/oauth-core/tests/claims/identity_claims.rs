//! Several claims that can become the identity, each with a prefix of its own.

use court::*;
use oauth_core::Doubt;
use serde_json::{Value, json};

const PEOPLE_AND_SERVICES: &str = "preferred_username, client_id2=service:, /act/sub=\"a, b:\"";

fn court(claims: &str, prefix: &str) -> Court {
    Court::new().policy(|policy| {
        policy
            .identity_claim(claims.parse().unwrap())
            .identity_prefix(prefix.parse().unwrap())
    })
}

fn identified(court: &Court, claims: Value) -> Result<String, &'static str> {
    let decision = court.judge(&with_claims(good_token(), claims).encode());
    let identity = decision.authn_id().map(str::to_owned);
    identity.ok_or(verdict_of(&decision))
}

#[test]
fn the_first_claim_that_is_there_is_the_identity_with_its_own_prefix() {
    let court = court(PEOPLE_AND_SERVICES, "person:");
    for (claims, identity) in [
        (json!({"preferred_username": "ada"}), Ok("person:ada")),
        (
            json!({"preferred_username": "ada", "client_id2": "etl"}),
            Ok("person:ada"),
        ),
        (json!({"client_id2": "etl"}), Ok("service:etl")),
        (
            json!({"client_id2": "etl", "act": {"sub": "x"}}),
            Ok("service:etl"),
        ),
        (json!({"act": {"sub": "x"}}), Ok("a, b:x")),
        (json!({}), Err("identity_missing")),
        (
            json!({"Preferred_Username": "ada", "act": {}}),
            Err("identity_missing"),
        ),
    ] {
        let expected = identity.map(str::to_owned);
        assert_eq!(identified(&court, claims.clone()), expected, "{claims}");
    }
}

#[test]
fn nobody_becomes_somebody_else_by_spoiling_the_first_claim() {
    let court = court("/user/name, client_id2=service:", "");
    let both = |name: Value| json!({"user": {"name": name}, "client_id2": "etl"});
    assert_eq!(identified(&court, both(json!("ada"))), Ok("ada".to_owned()));
    for value in all_but_strings().into_iter().chain([json!("")]) {
        let spoilt = identified(&court, both(value.clone()));
        assert_eq!(spoilt, Err("identity_malformed"), "{value}");
    }
    let long = identified(&court, both(json!("x".repeat(256))));
    assert_eq!(long, Err("identity_too_long"));
    let hidden = identified(&court, both(json!("ada\u{200b}")));
    assert_eq!(hidden, Err("identity_unprintable"));
    // The way to the claim is spoilt, too.
    for user in [json!(null), json!("name"), json!(7), json!(false)] {
        let spoilt = json!({"user": user, "client_id2": "etl"});
        assert_eq!(
            identified(&court, spoilt),
            Err("identity_missing"),
            "{user}"
        );
    }
    for user in [json!({}), json!([]), json!({"Name": "ada"})] {
        let absent = json!({"user": user, "client_id2": "etl"});
        assert_eq!(
            identified(&court, absent),
            Ok("service:etl".to_owned()),
            "{user}"
        );
    }
}

#[test]
fn a_prefix_of_its_own_replaces_the_one_for_all() {
    for (setting, identity) in [
        ("sub", "corp:alice"),
        ("sub=s:", "s:alice"),
        ("sub = s:", "s:alice"),
        ("sub=", "alice"),
        ("sub=\"\"", "alice"),
        ("sub=\" s \"", " s alice"),
        ("\"sub\"=s=", "s=alice"),
        ("sub=s:,x", "s:alice"),
        (" sub ", "corp:alice"),
        ("x,sub", "corp:alice"),
        ("\"a,b\", \"c=d\"=\"e,\"\"f\", sub", "corp:alice"),
    ] {
        let court = court(setting, "corp:");
        assert_eq!(
            identified(&court, json!({})),
            Ok(identity.to_owned()),
            "{setting}"
        );
    }
    let quoted = court("\"a,b\", \"c=d\"=\"e,\"\"f\"", "corp:");
    assert_eq!(
        identified(&quoted, json!({"a,b": "x"})),
        Ok("corp:x".to_owned())
    );
    assert_eq!(
        identified(&quoted, json!({"c=d": "x"})),
        Ok("e,\"fx".to_owned())
    );
}

#[test]
fn two_claims_that_can_give_one_identity_are_doubted() {
    for (setting, prefix, meet) in [
        ("sub", "", false),
        ("preferred_username, client_id", "", true),
        ("preferred_username, client_id", "x:", true),
        ("preferred_username, client_id=service:", "", true),
        ("preferred_username, client_id=service:", "person:", false),
        ("preferred_username=p:, client_id=s:", "", false),
        ("preferred_username=p:, client_id=p:x", "", true),
        ("preferred_username=a:, client_id=b:, azp=a:", "", true),
        ("preferred_username=a:, client_id=b:, azp=c:", "", false),
    ] {
        let issuer = oauth_core::Issuer::parse(ISSUER).unwrap();
        let policy = oauth_core::Policy::builder(issuer)
            .identity_claim(setting.parse().unwrap())
            .identity_prefix(prefix.parse().unwrap());
        let doubted = policy.doubts().contains(&Doubt::IdentitiesMeet);
        assert_eq!(doubted, meet, "{setting} {prefix}");
    }
}

#[test]
fn letters_of_ascii_are_lower_cased_only_where_that_is_set() {
    for (case, prefix, sub, identity) in [
        (
            "as_is",
            "Corp:",
            "Ada.Lovelace@Corp.example",
            "Corp:Ada.Lovelace@Corp.example",
        ),
        (
            "lower",
            "Corp:",
            "Ada.Lovelace@Corp.example",
            "Corp:ada.lovelace@corp.example",
        ),
        ("lower", "", "AZ[az{09", "az[az{09"),
        // Letters beyond ASCII stay as they are: the Kelvin sign becomes no k, and a dotted capital I no i.
        (
            "lower",
            "",
            "\u{c9}\u{212a}\u{130}\u{3a3}X",
            "\u{c9}\u{212a}\u{130}\u{3a3}x",
        ),
    ] {
        let court = court("sub", prefix).policy(|policy| {
            policy
                .identity_prefix(prefix.parse().unwrap())
                .identity_case(case.parse().unwrap())
        });
        let claims = json!({ "sub": sub });
        assert_eq!(
            identified(&court, claims),
            Ok(identity.to_owned()),
            "{case} {sub}"
        );
        for value in all_but_strings() {
            let wrong = identified(&court, json!({ "sub": value }));
            assert_eq!(wrong, Err("identity_malformed"));
        }
    }
    for bad in ["", "LOWER", "upper", "as_is ", "lower,"] {
        assert!(bad.parse::<oauth_core::IdentityCase>().is_err(), "{bad:?}");
    }
}
