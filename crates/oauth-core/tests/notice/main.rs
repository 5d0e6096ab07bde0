//! What a provider tells unasked: logout tokens and security event tokens.

#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing
)]

mod logout_token;
mod security_event;

use court::*;
use oauth_core::{Algorithms, Bearer, Issuer, NoticeError, StringList, Timestamp, claimed_issuer};

fn issuer() -> Issuer {
    Issuer::parse(ISSUER).expect("an issuer")
}

fn list(text: &str) -> StringList {
    text.parse().expect("a list")
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

/// A token of the issuer's without the claims that only access tokens have.
fn notice(typ: &str, audience: &str) -> Token {
    good_token()
        .header("typ", typ)
        .claim("aud", audience)
        .without_claim("client_id")
        .without_claim("scope")
}

/// The cause for which a notice is refused, or that it is not.
fn code<T>(verified: Result<T, NoticeError>) -> &'static str {
    verified.err().map_or("good", |error| error.code())
}

/// What both kinds of notice have to be like; `verify` gives the code for which a changed notice is refused, if it is.
fn assert_common_rules(good: impl Fn() -> Token, verify: impl Fn(&str) -> &'static str) {
    let refused = |token: Token| verify(&token.encode());
    assert_eq!(refused(good()), "good");
    // The signature, its algorithm and its key.
    let other = Key::new(KeyKind::Ed25519).with_kid("key-1");
    assert_eq!(
        refused(good().signature_by(&other, Alg::EdDSA)),
        "bad_signature"
    );
    assert_eq!(
        refused(good().signed_by(&Key::new(KeyKind::P256), Alg::ES256)),
        "unknown_kid"
    );
    for alg in ["none", "None", "HS256", "eddsa", ""] {
        assert_eq!(
            refused(good().header("alg", alg)),
            "alg_not_allowed",
            "{alg}"
        );
    }
    assert_eq!(refused(good().header("crit", "x")), "crit_unsupported");
    for fault in [SignatureFault::Empty, SignatureFault::FlippedBit] {
        assert_eq!(refused(good().signature_fault(fault)), "bad_signature");
    }
    for text in ["", ".", "..", "a.b.c", "x", "e30.e30."] {
        assert_ne!(verify(text), "good", "{text:?}");
    }
    assert_eq!(verify(&"x".repeat(20_000)), "token_too_large");
    // Issuer and audience.
    assert_eq!(refused(good().without_claim("iss")), "iss_missing");
    assert_eq!(
        refused(good().claim("iss", "https://issuer.example/")),
        "iss_mismatch"
    );
    assert_eq!(refused(good().without_claim("aud")), "aud_missing");
    assert_eq!(refused(good().claim("aud", "other")), "aud_mismatch");
    assert_eq!(refused(good().claim("aud", 1)), "aud_malformed");
    // Times.
    assert_eq!(refused(good().claim("exp", NOW - 30)), "expired");
    assert_eq!(refused(good().claim("exp", NOW - 29)), "good");
    assert_eq!(refused(good().claim("exp", "1")), "exp_malformed");
    assert_eq!(refused(good().without_claim("iat")), "iat_missing");
    assert_eq!(refused(good().claim("iat", "1")), "iat_malformed");
    assert_eq!(refused(good().claim("iat", NOW + 31)), "issued_in_future");
    assert_eq!(refused(good().claim("nbf", NOW + 31)), "not_yet_valid");
    // The identifier.
    assert_eq!(refused(good().without_claim("jti")), "jti_missing");
    assert_eq!(refused(good().claim("jti", "")), "jti_malformed");
    assert_eq!(refused(good().claim("jti", "x".repeat(255))), "good");
    assert_eq!(
        refused(good().claim("jti", "x".repeat(256))),
        "jti_malformed"
    );
    for value in all_but_strings() {
        assert_eq!(
            refused(good().claim("jti", value.clone())),
            "jti_malformed",
            "{value}"
        );
    }
    // The events.
    assert_eq!(refused(good().without_claim("events")), "events_missing");
    for value in [
        serde_json::json!({}),
        serde_json::json!({"a": 1}),
        serde_json::json!([{}]),
        serde_json::json!("a"),
        serde_json::json!(null),
    ] {
        assert_eq!(
            refused(good().claim("events", value.clone())),
            "events_malformed",
            "{value}"
        );
    }
    // Repeated members, and what is no object.
    let twice = String::from_utf8(good().claims_json()).unwrap();
    let twice = twice.replacen('{', r#"{"jti":"other","#, 1);
    assert_eq!(refused(good().raw_claims(twice)), "duplicate_claim");
    assert_eq!(refused(good().raw_claims("[]")), "claims_malformed");
}

/// Every token that is the good one but for one byte is refused.
fn assert_no_byte_may_change(good: &str, verify: impl Fn(&str) -> &'static str) {
    assert_eq!(verify(good), "good");
    for place in 0..good.len() {
        let mut bytes = good.as_bytes().to_vec();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert_ne!(verify(&changed), "good", "byte {place}");
    }
}

#[test]
fn the_issuer_that_a_token_claims_is_read_without_verifying_it() {
    let claimed = |text: &str| claimed_issuer(&Bearer::new(text));
    let token = good_token();
    assert_eq!(claimed(&token.encode()), Some(ISSUER.to_owned()));
    let unsigned = token.clone().signature_fault(SignatureFault::Empty);
    assert_eq!(claimed(&unsigned.encode()), Some(ISSUER.to_owned()));
    assert_eq!(claimed(&token.clone().without_claim("iss").encode()), None);
    for value in all_but_strings() {
        assert_eq!(claimed(&token.clone().claim("iss", value).encode()), None);
    }
    for text in ["", ".", "..", "a.b.c", "a.e30.c", "é.é.é"] {
        assert_eq!(claimed(text), None, "{text}");
    }
    let twice = r#"{"iss":"a","iss":"b"}"#;
    assert_eq!(claimed(&token.raw_claims(twice).encode()), None);
}

fn all_algorithms() -> Algorithms {
    Algorithms::default()
}
