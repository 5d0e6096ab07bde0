//! Which key verifies a token: RFC 7515 §6, RFC 7517 §4.

use court::*;
use serde_json::{Value, json};

#[test]
fn finds_the_key_by_its_exact_kid() {
    let keys: Vec<Key> = (0..5).map(|_| Key::new(KeyKind::P256)).collect();
    let jwks: Vec<Value> = keys.iter().map(Key::jwk).collect();
    for key in &keys {
        assert_eq!(verdict_with_set(key, &jwks), GRANTED);
        let named_otherwise = token_by(key).header("kid", keys[0].kid().unwrap());
        let expected = if key.kid() == keys[0].kid() {
            GRANTED
        } else {
            "bad_signature"
        };
        assert_eq!(Court::new().keys(&jwks).verdict(&named_otherwise), expected);
    }
    for kid in [
        "key",
        "key-",
        "key-11",
        "Key-1",
        " key-1",
        "key-1 ",
        "key–1",
        "\u{6b}ey-1\u{0}",
        "null",
    ] {
        assert_eq!(
            verdict(&good_token().header("kid", kid)),
            "unknown_kid",
            "{kid:?}"
        );
    }
    let huge = "k".repeat(8000);
    assert_eq!(
        verdict(&good_token().header("kid", huge.as_str())),
        "unknown_kid"
    );
    let key = signing_key().with_kid(&huge);
    assert_eq!(verdict_with_set(&key, &[key.jwk()]), GRANTED);
}

#[test]
fn an_empty_kid_is_none() {
    let key = signing_key().with_kid("");
    assert_eq!(verdict_with_set(&key, &[key.jwk()]), GRANTED);
    let anonymous = signing_key().without_kid();
    assert_eq!(verdict_with_set(&key, &[anonymous.jwk()]), GRANTED);
    assert_eq!(verdict_with_set(&anonymous, &[key.jwk()]), GRANTED);
    assert_eq!(
        verdict_with_set(&signing_key(), &[key.jwk()]),
        "unknown_kid"
    );
}

#[test]
fn a_kid_that_no_key_has_is_refused_even_where_one_key_fits() {
    let token_key = signing_key().with_kid("other");
    assert_eq!(
        verdict_with_set(&token_key, &[signing_key().jwk()]),
        "unknown_kid"
    );
    assert_eq!(
        verdict_with_set(&token_key, &[signing_key().without_kid().jwk()]),
        "unknown_kid"
    );
}

#[test]
fn without_a_kid_every_key_that_fits_the_algorithm_is_tried() {
    let [first, second] = [Key::new(KeyKind::P256), Key::new(KeyKind::P256)];
    let [rsa, p384] = [Key::new(KeyKind::Rsa), Key::new(KeyKind::P384)];
    let anonymous = first.without_kid();
    let cases: [(Vec<Value>, &str); 9] = [
        (vec![first.jwk()], GRANTED),
        (vec![anonymous.jwk()], GRANTED),
        (
            vec![rsa.jwk(), p384.jwk(), first.jwk(), signing_key().jwk()],
            GRANTED,
        ),
        (
            vec![first.jwk(), second.jwk_with(json!({"use": "enc"}))],
            GRANTED,
        ),
        (vec![first.jwk(), anonymous.jwk()], GRANTED),
        (vec![first.jwk(), second.jwk()], GRANTED),
        (vec![second.jwk(), first.jwk(), first.jwk()], GRANTED),
        (vec![second.jwk()], "bad_signature"),
        (vec![rsa.jwk(), p384.jwk()], "no_fitting_key"),
    ];
    for (jwks, expected) in cases {
        assert_eq!(verdict_with_set(&anonymous, &jwks), expected, "{jwks:?}");
    }
    let rs256 = [
        rsa.jwk_with(json!({"alg": "RS256"})),
        Key::new(KeyKind::OtherRsa).jwk_with(json!({"alg": "PS256"})),
    ];
    assert_eq!(verdict_with_set(&rsa.without_kid(), &rs256), GRANTED);
}

#[test]
fn up_to_four_keys_that_fit_alike_are_tried_and_no_stranger_gets_in_by_any() {
    let nameless: fn(&Key) -> Value = |key| key.without_kid().jwk();
    let empty: fn(&Key) -> Value = |key| key.with_kid("").jwk();
    let null: fn(&Key) -> Value = |key| {
        let mut jwk = key.jwk();
        jwk["kid"] = json!(null);
        jwk
    };
    let named: fn(&Key) -> Value = Key::jwk;
    for kind in [KeyKind::P256, KeyKind::Ed25519, KeyKind::P521] {
        let keys: Vec<Key> = (0..5).map(|_| Key::new(kind)).collect();
        let token = |key: &Key| token_by(&key.without_kid());
        let tokens = |key: &Key| {
            let empty = token(key).header("kid", "");
            [token(key), empty, token(key).header("kid", json!(null))]
        };
        for spell in [nameless, empty, null, named] {
            for count in 1..=4 {
                // The other one is spelled otherwise, and what fits no such token stands between.
                let mut jwks = vec![Key::new(KeyKind::Rsa).jwk(), nameless(&keys[0])];
                jwks.extend(keys[1..count].iter().map(spell));
                jwks.insert(1, Key::new(KeyKind::Rsa).without_kid().jwk());
                jwks.insert(3, keys[4].jwk_with(json!({"use": "enc"})));
                let court = Court::new().keys(&jwks);
                for key in &keys[..count] {
                    for token in tokens(key) {
                        assert_eq!(court.verdict(&token), GRANTED, "{kind:?} {count}");
                        let altered = token.signature_fault(SignatureFault::FlippedBit);
                        assert_eq!(court.verdict(&altered), "bad_signature");
                    }
                }
                for token in tokens(&keys[4]) {
                    assert_eq!(court.verdict(&token), "bad_signature");
                }
                // Whoever names a key is bound to it.
                let elsewhere = token(&keys[0]).header("kid", "elsewhere");
                assert_eq!(court.verdict(&elsewhere), "unknown_kid");
            }
            let jwks: Vec<Value> = keys.iter().map(spell).collect();
            for token in tokens(&keys[0]) {
                assert_eq!(Court::new().keys(&jwks).verdict(&token), "ambiguous_key");
            }
        }
    }
}

#[test]
fn keys_of_one_kid_are_tried_as_keys_without_one_are() {
    let [first, second] = [
        Key::new(KeyKind::P256).with_kid("same"),
        Key::new(KeyKind::P256).with_kid("same"),
    ];
    let p384 = Key::new(KeyKind::P384).with_kid("same");
    let stranger = Key::new(KeyKind::P256).with_kid("same");
    let cases: [(Vec<Value>, &str); 6] = [
        (vec![first.jwk(), first.jwk()], GRANTED),
        (
            vec![
                first.jwk(),
                first.jwk_with(json!({"alg": "ES256", "x5t": "x"})),
            ],
            GRANTED,
        ),
        (vec![first.jwk(), p384.jwk()], GRANTED),
        (
            vec![second.jwk_with(json!({"use": "enc"})), first.jwk()],
            GRANTED,
        ),
        (vec![first.jwk(), second.jwk()], GRANTED),
        (vec![second.jwk(), first.jwk()], GRANTED),
    ];
    for (jwks, expected) in cases {
        assert_eq!(verdict_with_set(&first, &jwks), expected, "{jwks:?}");
        assert_eq!(verdict_with_set(&stranger, &jwks), "bad_signature");
    }
    // A key of another name is not tried, though it fits.
    let other = second.with_kid("other");
    assert_eq!(
        verdict_with_set(&first, &[other.jwk(), second.jwk()]),
        "bad_signature"
    );
    let many: Vec<Value> = (0..5)
        .map(|_| Key::new(KeyKind::P256).with_kid("same").jwk())
        .collect();
    assert_eq!(verdict_with_set(&first, &many), "ambiguous_key");
}

#[test]
fn only_keys_for_signatures_verify_them() {
    let key = signing_key();
    let cases = [
        (json!({"use": "sig"}), GRANTED),
        (json!({"use": null}), GRANTED),
        (json!({"use": "enc"}), "key_unsuitable"),
        (json!({"use": "SIG"}), "key_unsuitable"),
        (json!({"use": "sig "}), "key_unsuitable"),
        (json!({"use": ""}), "key_unsuitable"),
        (json!({"use": "tls"}), "key_unsuitable"),
        (json!({"use": ["sig"]}), "key_unsuitable"),
        (json!({"use": 1}), "key_unsuitable"),
        (json!({"key_ops": ["verify"]}), GRANTED),
        (json!({"use": null, "key_ops": ["sign", "verify"]}), GRANTED),
        (json!({"key_ops": []}), GRANTED),
        (json!({"key_ops": ["sign"]}), "key_unsuitable"),
        (json!({"key_ops": ["Verify"]}), "key_unsuitable"),
        (json!({"key_ops": ["encrypt", "wrapKey"]}), "key_unsuitable"),
        (json!({"key_ops": "verify"}), "key_unsuitable"),
        (json!({"key_ops": {"verify": true}}), "key_unsuitable"),
        (json!({"key_ops": ["verify", 1]}), "key_unsuitable"),
        (
            json!({"use": "enc", "key_ops": ["verify"]}),
            "key_unsuitable",
        ),
    ];
    for (change, expected) in cases {
        assert_eq!(
            verdict_with_jwk(&key, key.jwk_with(change.clone())),
            expected,
            "{change}"
        );
    }
}

#[test]
fn a_key_that_names_an_algorithm_is_for_that_one() {
    let key = Key::new(KeyKind::Rsa).with_kid("rsa");
    for (alg, expected) in [
        (json!("RS256"), GRANTED),
        (json!(null), GRANTED),
        (json!("PS256"), "key_unsuitable"),
        (json!("RS512"), "key_unsuitable"),
        (json!("rs256"), "key_unsuitable"),
        (json!("ES256"), "key_unsuitable"),
        (json!("HS256"), "key_unsuitable"),
        (json!("RSA-OAEP"), "key_unsuitable"),
        (json!("RSA-OAEP-512"), "key_unsuitable"),
        (json!("none"), "key_unsuitable"),
        (json!(""), "key_unsuitable"),
        (json!(["RS256"]), "key_unsuitable"),
        (json!(256), "key_unsuitable"),
    ] {
        let jwk = key.jwk_with(json!({ "alg": alg }));
        assert_eq!(verdict_with_jwk(&key, jwk), expected, "{alg}");
    }
}

#[test]
fn a_named_key_of_another_kind_is_unsuitable() {
    for (kind, alg) in [
        (KeyKind::P256, Alg::ES384),
        (KeyKind::P384, Alg::ES256),
        (KeyKind::P256, Alg::ES512),
        (KeyKind::P384, Alg::ES512),
        (KeyKind::P521, Alg::ES256),
        (KeyKind::P521, Alg::ES384),
        (KeyKind::P521, Alg::EdDSA),
        (KeyKind::P521, Alg::RS512),
        (KeyKind::Rsa, Alg::ES512),
        (KeyKind::Ed25519, Alg::ES512),
        (KeyKind::P256, Alg::EdDSA),
        (KeyKind::Ed25519, Alg::ES256),
        (KeyKind::Ed25519, Alg::RS256),
        (KeyKind::P256, Alg::PS256),
        (KeyKind::Rsa, Alg::ES256),
        (KeyKind::Rsa, Alg::EdDSA),
    ] {
        let key = Key::new(kind);
        let court = Court::new().keys(&[key.jwk()]);
        let token = token_by(&key).header("alg", alg.name());
        assert_eq!(
            court.verdict(&token),
            "key_unsuitable",
            "{kind:?} {}",
            alg.name()
        );
        assert_eq!(
            court.verdict(&token.without_header("kid")),
            "no_fitting_key"
        );
    }
}

#[test]
fn symmetric_keys_are_never_used() {
    let secret = Key::new(KeyKind::Secret).with_kid("oct");
    for jwk in [
        secret.jwk(),
        secret.jwk_with(json!({"alg": "EdDSA", "crv": "Ed25519", "x": "AA"})),
    ] {
        assert!(!usable(&jwk), "{jwk}");
        assert_eq!(
            verdict_with_jwk(&signing_key().with_kid("oct"), jwk),
            "key_unsuitable"
        );
    }
}
