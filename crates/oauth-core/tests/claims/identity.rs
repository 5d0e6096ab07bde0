//! Who the bearer is, and what is told of a token that is refused: RFC 9068 §2.2, RFC 6901, design §3.

use court::*;
use oauth_core::{Decision, Failure, Internal, Misconfigured, Printable};
use serde_json::{Value, json};

/// The decision on the good token with these claims, under this claim and prefix of an identity.
fn judged(claim: &str, prefix: &str, claims: Value) -> Decision {
    Court::new()
        .policy(|policy| {
            policy
                .identity_claim(claim.parse().unwrap())
                .identity_prefix(prefix.parse().unwrap())
        })
        .judge(&with_claims(good_token(), claims).encode())
}

/// The verdict, and the identity.
fn identified(claim: &str, prefix: &str, claims: Value) -> (&'static str, Option<String>) {
    let decision = judged(claim, prefix, claims);
    (
        verdict_of(&decision),
        decision.authn_id().map(str::to_owned),
    )
}

fn granted(identity: &str) -> (&'static str, Option<String>) {
    (GRANTED, Some(identity.to_owned()))
}

fn text(decision: Option<&Printable>) -> Option<&str> {
    decision.map(Printable::as_str)
}

#[test]
fn finds_the_identity_by_name_or_json_pointer() {
    let claims = json!({
        "email": "alice@example.com", "a/b": "slash", "m~n": "tilde", "": "empty", "/odd": "odd",
        "~1": "escape", "https://x.example/login": "url", "ex.ample": "dot",
        "user": {"name": "nested", "": "nameless", "0": "digit", "ids": ["zero", "one", ["deep"]]},
    });
    for (claim, identity) in [
        ("sub", "alice"),
        ("/sub", "alice"),
        ("email", "alice@example.com"),
        ("a/b", "slash"),
        ("/a~1b", "slash"),
        ("m~n", "tilde"),
        ("/m~0n", "tilde"),
        ("/", "empty"),
        ("/~1odd", "odd"),
        ("/~01", "escape"),
        ("https://x.example/login", "url"),
        ("ex.ample", "dot"),
        ("/user/name", "nested"),
        ("/user/", "nameless"),
        ("/user/0", "digit"),
        ("/user/ids/0", "zero"),
        ("/user/ids/1", "one"),
        ("/user/ids/2/0", "deep"),
    ] {
        assert_eq!(
            identified(claim, "", claims.clone()),
            granted(identity),
            "{claim}"
        );
    }
    for claim in [
        "Sub",
        "user.name",
        "user/name",
        "/user/Name",
        "/user/name/",
        "/user/ids/3",
        "/user/ids/-",
        "/user/ids/00",
        "/user/ids/+1",
        "/user/ids/-1",
        "\"/user/ids/1 \"",
        "/user/ids/18446744073709551616",
        "/a/b",
        "//",
        "/~0sub",
    ] {
        assert_eq!(
            identified(claim, "", claims.clone()),
            ("identity_missing", None),
            "{claim}"
        );
    }
}

#[test]
fn refuses_an_identity_that_is_missing_empty_or_no_string() {
    assert_eq!(
        verdict(&good_token().without_claim("sub")),
        "identity_missing"
    );
    let (verdict, identity) = identified("email", "corp:", json!({}));
    assert_eq!((verdict, identity), ("identity_missing", None));
    for value in all_but_strings() {
        let wrong = identified("sub", "corp:", json!({ "sub": value }));
        assert_eq!(wrong, ("identity_malformed", None), "{value}");
    }
    // A prefix alone names nobody.
    assert_eq!(
        identified("sub", "corp:", json!({"sub": ""})),
        ("identity_malformed", None)
    );
    assert_eq!(
        identified("/groups", "", json!({"groups": ["a"]})),
        ("identity_malformed", None)
    );
}

#[test]
fn puts_the_prefix_before_the_identity() {
    assert_eq!(identified("sub", "corp:", json!({})), granted("corp:alice"));
    assert_eq!(identified("sub", " é/ ", json!({})), granted(" é/ alice"));
    assert_eq!(
        identified("sub", "", json!({"sub": "corp:alice"})),
        granted("corp:alice")
    );
}

#[test]
fn an_identity_has_255_bytes_at_most_with_its_prefix() {
    for (prefix, sub, expected) in [
        ("", "x".repeat(255), GRANTED),
        ("", "x".repeat(256), "identity_too_long"),
        ("corp:", "x".repeat(250), GRANTED),
        ("corp:", "x".repeat(251), "identity_too_long"),
        ("", "é".repeat(127), GRANTED),
        ("", "é".repeat(127) + "x", GRANTED),
        ("", "é".repeat(128), "identity_too_long"),
        ("", "😀".repeat(63), GRANTED),
        ("", "😀".repeat(64), "identity_too_long"),
        ("", "x".repeat(10_000), "identity_too_long"),
    ] {
        let identity = (expected == GRANTED).then(|| format!("{prefix}{sub}"));
        let bytes = prefix.len() + sub.len();
        assert_eq!(
            identified("sub", prefix, json!({ "sub": sub })),
            (expected, identity),
            "{bytes}"
        );
    }
}

#[test]
fn refuses_characters_that_hide_or_reorder_text() {
    for invisible in [
        '\u{202e}',
        '\u{2028}',
        '\u{200b}',
        '\u{feff}',
        '\u{ad}',
        '\u{e0041}',
    ] {
        let unprintable = identified("sub", "", json!({ "sub": format!("al{invisible}ice") }));
        assert_eq!(unprintable, ("identity_unprintable", None), "{invisible:?}");
    }
}

#[test]
fn refuses_control_characters_anywhere_in_an_identity() {
    let controls = (0..0x20).chain(0x7f..0xa0).filter_map(char::from_u32);
    for control in controls {
        for sub in [
            format!("{control}alice"),
            format!("al{control}ice"),
            format!("alice{control}"),
            control.to_string(),
        ] {
            let unprintable = identified("sub", "", json!({ "sub": sub }));
            assert_eq!(unprintable, ("identity_unprintable", None), "{sub:?}");
        }
    }
    for sub in [
        "Zoë",
        "李 明",
        "a b",
        "a\"b",
        r"a\b",
        "O'Brien",
        "DOMAIN\\user",
        "auth0|5f7c",
        "a,b",
        "\u{a0}",
        "a%00",
        "$1",
        "+x",
    ] {
        assert_eq!(identified("sub", "", json!({ "sub": sub })), granted(sub));
    }
}

#[test]
fn a_refused_token_names_somebody_but_authenticates_nobody_until_only_the_role_is_open() {
    let court = Court::new().policy(|policy| {
        policy
            .max_token_age(Some(seconds(60)))
            .client_ids("psql".parse().unwrap())
            .required_claims("acr=phr".parse().unwrap())
            .role_claim(Some("groups".parse().unwrap()))
    });
    let token = || {
        good_token()
            .claim("acr", "phr")
            .claim("groups", json!([SUBJECT]))
    };
    for (token, expected) in [
        (token(), GRANTED),
        (token().claim("groups", json!(["bob"])), "role_not_granted"),
        (token().without_claim("groups"), "role_claim_missing"),
    ] {
        let decision = court.judge(&token.encode());
        assert_eq!(verdict_of(&decision), expected);
        assert_eq!(decision.authn_id(), Some(SUBJECT), "{expected}");
        assert_eq!(text(decision.evidence().identity.as_ref()), Some(SUBJECT));
    }
    for (token, expected) in [
        (token().claim("exp", NOW - 60), "expired"),
        (token().without_claim("exp"), "exp_missing"),
        (token().claim("exp", "x"), "exp_malformed"),
        (token().claim("nbf", NOW + 60), "not_yet_valid"),
        (token().claim("iat", NOW + 60), "issued_in_future"),
        (token().claim("iat", NOW - 600), "too_old"),
        (token().without_claim("iat"), "iat_missing"),
        (token().claim("token_use", "id"), "not_an_access_token"),
        (token().claim("client_id", "other"), "client_not_allowed"),
        (token().claim("scope", "other"), "insufficient_scope"),
        (token().claim("acr", "low"), "required_claim_mismatch"),
        (token().claim("cnf", json!({"jkt": "x"})), "cnf_unsupported"),
    ] {
        let decision = court.judge(&token.encode());
        assert_eq!(verdict_of(&decision), expected);
        assert_eq!(decision.authn_id(), None, "{expected}");
        assert_eq!(text(decision.evidence().identity.as_ref()), Some(SUBJECT));
    }
}

#[test]
fn a_stolen_token_without_its_certificate_authenticates_nobody() {
    let bound = || good_token().claim("cnf", json!({"x5t#S256": "A".repeat(43)}));
    let decision = Court::new()
        .peer(Certificate(vec![1]))
        .judge(&bound().encode());
    assert_eq!(verdict_of(&decision), "certificate_mismatch");
    assert_eq!(decision.authn_id(), None);
    assert_eq!(text(decision.evidence().identity.as_ref()), Some(SUBJECT));
    let unbound = Court::new().policy(|policy| policy.require_bound_token(true));
    let decision = unbound.judge(&good_token().encode());
    assert_eq!(verdict_of(&decision), "token_not_bound");
    assert_eq!(decision.authn_id(), None);
}

#[test]
fn a_token_names_nobody_before_signature_issuer_and_audience_hold() {
    for (token, expected) in [
        (good_token().header("alg", "none"), "alg_not_allowed"),
        (good_token().header("crit", json!([])), "crit_unsupported"),
        (good_token().header("typ", "JWT"), "typ_not_allowed"),
        (good_token().header("kid", "other"), "unknown_kid"),
        (
            good_token().signature_fault(SignatureFault::FlippedBit),
            "bad_signature",
        ),
        (good_token().raw_claims("[]"), "claims_malformed"),
        (
            good_token().raw_claims(r#"{"sub":"alice","sub":"bob"}"#),
            "duplicate_claim",
        ),
        (
            good_token().claim("iss", "https://other.example"),
            "iss_mismatch",
        ),
        (good_token().without_claim("iss"), "iss_missing"),
        (good_token().claim("iss", 1), "iss_malformed"),
        (good_token().claim("aud", "other"), "aud_mismatch"),
        (good_token().without_claim("aud"), "aud_missing"),
        (
            good_token().claim("aud", json!([AUDIENCE, 1])),
            "aud_malformed",
        ),
    ] {
        let decision = Court::new().judge(&token.encode());
        assert_eq!(verdict_of(&decision), expected);
        assert_eq!(decision.authn_id(), None, "{expected}");
        assert_eq!(decision.evidence().identity, None, "{expected}");
    }
}

#[test]
fn an_identity_that_is_not_accepted_is_never_told() {
    // Another check that fails before it does not bring it out either.
    for sub in [json!("a\nb"), json!(7), json!(""), json!("x".repeat(256))] {
        let decision = Court::new().judge(&good_token().claim("sub", sub).claim("exp", 1).encode());
        assert_eq!(verdict_of(&decision), "expired");
        assert_eq!(decision.authn_id(), None);
        assert_eq!(decision.evidence().identity, None);
    }
}

#[test]
fn the_kid_is_told_of_every_token_whose_header_is_acceptable() {
    for (token, expected) in [
        (good_token(), Some("key-1")),
        (good_token().header("kid", "other"), Some("other")),
        // An empty one is none.
        (good_token().header("kid", ""), None),
        (
            good_token().header("kid", "a\n\"b\"\u{202e}"),
            Some(r#"a\u{a}\"b\"\u{202e}"#),
        ),
        (
            good_token().signature_fault(SignatureFault::Empty),
            Some("key-1"),
        ),
        (good_token().claim("exp", 1), Some("key-1")),
        (good_token().without_header("kid"), None),
        (good_token().header("alg", "none"), None),
        (good_token().header("typ", "JWT"), None),
        (good_token().header("kid", 1), None),
    ] {
        let decision = Court::new().judge(&token.encode());
        assert_eq!(text(decision.evidence().kid.as_ref()), expected);
    }
    let decision = Court::new().judge(&good_token().header("kid", "k".repeat(3000)).encode());
    let kid = decision.evidence().kid.as_ref().unwrap();
    assert!(kid.as_str().chars().count() <= 101);
}

#[test]
fn client_and_jti_are_told_of_verified_tokens_only() {
    let evidence = |token: &Token| {
        let decision = Court::new().judge(&token.encode());
        let evidence = decision.evidence().clone();
        [evidence.client_id, evidence.jti].map(|text| text.map(|text| text.as_str().to_owned()))
    };
    let told = |client: &str, jti: &str| [Some(client.to_owned()), Some(jti.to_owned())];
    assert_eq!(evidence(&good_token()), told("psql", "token-1"));
    assert_eq!(
        evidence(&good_token().claim("exp", 1)),
        told("psql", "token-1")
    );
    assert_eq!(
        evidence(
            &good_token()
                .claim("jti", "a\u{1b}[31m")
                .claim("client_id", "\"")
        ),
        told(r#"\""#, r"a\u{1b}[31m")
    );
    assert_eq!(
        evidence(&good_token().without_claim("client_id").claim("azp", "app")),
        told("app", "token-1")
    );
    assert_eq!(
        evidence(&good_token().claim("azp", "app")),
        told("psql", "token-1")
    );
    assert_eq!(
        evidence(&good_token().claim("client_id", 7).claim("azp", "app")),
        told("app", "token-1")
    );
    assert_eq!(
        evidence(&good_token().without_claim("client_id").claim("jti", 7)),
        [None, None]
    );
    for unverified in [
        good_token().signature_fault(SignatureFault::FlippedBit),
        good_token().header("kid", "other"),
        good_token()
            .header("alg", "none")
            .signature_fault(SignatureFault::Empty),
        good_token().raw_claims(r#"{"client_id":"psql","jti":"x","jti":"x"}"#),
    ] {
        assert_eq!(evidence(&unverified), [None, None]);
    }
}

#[test]
fn a_refusal_without_a_look_at_the_token_tells_nothing() {
    for (failure, code) in [
        (
            Failure::from(Misconfigured::AudienceUnset),
            "audience_unset",
        ),
        (
            Failure::from(Internal(Printable::new("panic"))),
            "internal_error",
        ),
    ] {
        let decision = Decision::refused(failure);
        assert_eq!(verdict_of(&decision), code);
        assert_eq!(decision.authn_id(), None);
        let evidence = decision.evidence();
        assert!(evidence.kid.is_none() && evidence.client_id.is_none() && evidence.jti.is_none());
    }
}
