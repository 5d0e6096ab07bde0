//! Keys that are named by the thumbprints of their certificates: RFC 7515 §4.1.7 and §4.1.8, RFC 7517 §4.8 and §4.9.

use court::*;
use serde_json::{Value, json};

/// A thumbprint of SHA-1, and one of SHA-256.
fn thumbprints(byte: u8) -> (String, String) {
    (base64url([byte; 20]), base64url([byte; 32]))
}

/// The JWK without a kid, with these members.
fn jwk(key: &Key, members: Value) -> Value {
    let mut jwk = key.without_kid().jwk();
    let all = jwk.as_object_mut().unwrap();
    all.extend(members.as_object().unwrap().clone());
    jwk
}

/// A token of this key without a kid, with these members in the header.
fn token(key: &Key, members: Value) -> Token {
    let members = members.as_object().unwrap().clone();
    members
        .into_iter()
        .fold(token_by(&key.without_kid()), |token, (name, value)| {
            token.header(&name, value)
        })
}

#[test]
fn a_thumbprint_names_the_key_as_a_kid_does() {
    let keys: Vec<Key> = (0..6).map(|_| Key::new(KeyKind::P256)).collect();
    let stranger = Key::new(KeyKind::P256);
    let sha1: fn(u8) -> String = |byte| thumbprints(byte).0;
    let sha256: fn(u8) -> String = |byte| thumbprints(byte).1;
    for (name, of, other, of_other) in [
        ("x5t", sha1, "x5t#S256", sha256),
        ("x5t#S256", sha256, "x5t", sha1),
    ] {
        // More than would be tried without a name.
        let jwks: Vec<Value> = (1..)
            .zip(&keys)
            .map(|(byte, key)| jwk(key, json!({ name: of(byte) })))
            .collect();
        let court = Court::new().keys(&jwks);
        for (byte, key) in (1..).zip(&keys) {
            let named = |key: &Key, byte| token(key, json!({ name: of(byte) }));
            assert_eq!(court.verdict(&named(key, byte)), GRANTED, "{name} {byte}");
            assert_eq!(court.verdict(&named(&stranger, byte)), "bad_signature");
            // Whoever names a key is bound to it.
            assert_eq!(court.verdict(&named(key, byte % 6 + 1)), "bad_signature");
            assert_eq!(court.verdict(&named(key, 9)), "unknown_kid");
        }
        assert_eq!(court.verdict(&token(&keys[0], json!({}))), "ambiguous_key");
        // The thumbprint of the other sort says nothing about these keys.
        let by_other = token(&keys[0], json!({ other: of_other(1) }));
        assert_eq!(court.verdict(&by_other), "ambiguous_key");
    }
}

#[test]
fn a_kid_goes_before_a_thumbprint() {
    let (first, second) = (Key::new(KeyKind::P256), Key::new(KeyKind::P256));
    let (one, two) = (thumbprints(1).0, thumbprints(2).0);
    let court = Court::new().keys(&[
        first.jwk_with(json!({ "x5t": one })),
        second.jwk_with(json!({ "x5t": two })),
    ]);
    let by_first = token_by(&first);
    for x5t in [
        json!(one),
        json!(two),
        json!("?"),
        json!(null),
        json!(7),
        json!({}),
    ] {
        let token = by_first.clone().header("x5t", x5t);
        assert_eq!(court.verdict(&token), GRANTED);
        assert_eq!(court.verdict(&token.header("kid", "other")), "unknown_kid");
    }
    // An empty one is none.
    let named = token(&first, json!({"kid": "", "x5t": one}));
    assert_eq!(court.verdict(&named), GRANTED);
    let named = token(&first, json!({"kid": null, "x5t": two}));
    assert_eq!(court.verdict(&named), "bad_signature");
    // AD FS: the kid of the key is the thumbprint, and the token names the thumbprint.
    let key = first.with_kid(&one);
    let court = Court::new().keys(&[key.jwk_with(json!({ "x5t": one })), second.jwk()]);
    let by_thumbprint = token(&key, json!({ "x5t": one }));
    assert_eq!(court.verdict(&by_thumbprint), GRANTED);
}

#[test]
fn a_thumbprint_that_no_key_has_leaves_the_keys_without_one() {
    let (with, without) = (Key::new(KeyKind::P256), Key::new(KeyKind::P256));
    let (one, two) = (thumbprints(1).0, thumbprints(2).0);
    let court = Court::new().keys(&[jwk(&with, json!({ "x5t": one })), without.jwk()]);
    let verdict = |key: &Key, x5t: &str| court.verdict(&token(key, json!({ "x5t": x5t })));
    assert_eq!(verdict(&without, &two), GRANTED);
    assert_eq!(verdict(&with, &two), "bad_signature");
    assert_eq!(verdict(&without, &one), "bad_signature");
    // A provider that publishes no thumbprints works as before.
    let court = Court::new().keys(&[with.jwk(), without.jwk()]);
    for key in [&with, &without] {
        let named = token(key, json!({ "x5t": two }));
        assert_eq!(court.verdict(&named), GRANTED);
    }
    let by_rsa = token(&Key::new(KeyKind::Rsa), json!({ "x5t": two }));
    assert_eq!(court.verdict(&by_rsa), "no_fitting_key");
    // The key that is named may not be used, and no other one is.
    let unsuitable = jwk(&with, json!({"x5t": one, "use": "enc"}));
    let court = Court::new().keys(&[unsuitable, without.jwk()]);
    for key in [&with, &without] {
        let named = token(key, json!({ "x5t": one }));
        assert_eq!(court.verdict(&named), "key_unsuitable");
    }
}

#[test]
fn both_thumbprints_must_agree_where_both_sides_have_them() {
    let key = Key::new(KeyKind::P256);
    let (one, two) = (thumbprints(1), thumbprints(2));
    let both = jwk(&key, json!({"x5t": one.0, "x5t#S256": one.1}));
    let court = Court::new().keys(&[both]);
    for (members, expected) in [
        (json!({"x5t": one.0}), GRANTED),
        (json!({"x5t#S256": one.1}), GRANTED),
        (json!({"x5t": one.0, "x5t#S256": one.1}), GRANTED),
        (json!({"x5t": two.0, "x5t#S256": one.1}), "unknown_kid"),
        (json!({"x5t": one.0, "x5t#S256": two.1}), "unknown_kid"),
        (json!({"x5t": two.0}), "unknown_kid"),
        // Swapped, neither is a thumbprint.
        (json!({"x5t": one.1, "x5t#S256": one.0}), GRANTED),
    ] {
        let verdict = court.verdict(&token(&key, members.clone()));
        assert_eq!(verdict, expected, "{members}");
    }
}

#[test]
fn what_is_no_thumbprint_names_nothing_and_another_type_is_refused() {
    let key = Key::new(KeyKind::P256);
    let (one, of_sha256) = thumbprints(1);
    let court = Court::new().keys(&[jwk(&key, json!({ "x5t": one }))]);
    for text in ["x", "AAAA", "?", &"A".repeat(6000), &of_sha256] {
        let named = token(&key, json!({ "x5t": text }));
        assert_eq!(court.verdict(&named), GRANTED, "{text}");
    }
    let others = all_but_strings();
    for value in others.into_iter().filter(|value| !value.is_null()) {
        for name in ["x5t", "x5t#S256"] {
            let named = token(&key, json!({ name: value }));
            assert_eq!(court.verdict(&named), "header_malformed", "{value}");
        }
    }
    let null = token(&key, json!({"x5t": null, "x5t#S256": ""}));
    assert_eq!(court.verdict(&null), GRANTED);
    // Padding and the other alphabet are for the provider's documents.
    let x5t = base64url([0xfb; 20]);
    let standard = x5t.replace('-', "+").replace('_', "/");
    let padded = jwk(&key, json!({ "x5t": format!("{standard}=") }));
    let court = Court::new().keys(&[padded]);
    assert_eq!(court.verdict(&token(&key, json!({ "x5t": x5t }))), GRANTED);
    let other = token(&key, json!({ "x5t": one }));
    assert_eq!(court.verdict(&other), "unknown_kid");
}

#[test]
fn a_thumbprint_that_can_not_be_read_makes_no_key_unusable() {
    let key = Key::new(KeyKind::Rsa);
    for value in all_but_strings().into_iter().chain([json!("?"), json!("")]) {
        for name in ["x5t", "x5t#S256"] {
            let odd = key.jwk_with(json!({ name: value }));
            assert_eq!(verdict_with_jwk(&key, odd), GRANTED, "{value}");
        }
    }
}
