//! A key whose private part is published is not used, even if the set has it once more without that part.

use court::*;
use oauth_core::{Algorithm, JwkSet, KeyReference};
use serde_json::{Value, json};

use crate::KINDS;

/// The verdict on a token of this key, where another key keeps the set one that can be used, and what is told of the set.
fn judge_set(key: &Key, jwks: &[Value]) -> (&'static str, String) {
    let other = Key::new(KeyKind::OtherRsa).with_kid("other");
    let jwks = [jwks, &[other.jwk()]].concat();
    assert_eq!(
        verdict_with_set(&other, &jwks),
        GRANTED,
        "no other key is affected"
    );
    let set = JwkSet::parse(&document(&jwks)).unwrap();
    (verdict_with_set(key, &jwks), set.unusable_in_words())
}

#[test]
fn key_is_not_used_wherever_and_however_the_set_publishes_its_private_part() {
    for kind in KINDS {
        let key = Key::new(kind).with_kid("1");
        let public = key.jwk();
        let private = key.jwk_with(json!({"d": "AQ"}));
        let padded = |name: &str| {
            let text = public.get(name)?.as_str()?.to_owned();
            let missing = text.len().next_multiple_of(4) - text.len();
            Some(text + &"=".repeat(missing))
        };
        let mut spelt = private.clone();
        for name in ["n", "x"] {
            if let Some(text) = padded(name) {
                spelt[name] = json!(text);
            }
        }
        let mut zeros = private.clone();
        if let Some(n) = public.get("n") {
            let n = from_base64url(n.as_str().unwrap()).unwrap();
            zeros["n"] = json!(base64url([&[0, 0], &n[..]].concat()));
            // Whoever has the factors can sign with any exponent.
            zeros["e"] = json!("Aw");
        }
        for (published, what) in [
            (private.clone(), "the same"),
            (
                key.with_kid("2").jwk_with(json!({"d": "AQ"})),
                "another kid",
            ),
            (key.without_kid().jwk_with(json!({"d": "AQ"})), "no kid"),
            (
                key.jwk_with(json!({"d": "AQ", "kid": 7})),
                "a kid that is none",
            ),
            (
                key.jwk_with(json!({"p": [1]})),
                "a factor that cannot be read",
            ),
            (
                key.jwk_with(json!({"d": "AQ", "use": "enc"})),
                "another use",
            ),
            (
                key.jwk_with(json!({"d": "AQ", "use": 1})),
                "a use that is none",
            ),
            (
                key.jwk_with(json!({"d": "AQ", "alg": "none"})),
                "another algorithm",
            ),
            (
                key.jwk_with(json!({"d": "AQ", "key_ops": "sign"})),
                "other operations",
            ),
            (spelt, "another spelling"),
            (zeros, "zeros in front"),
        ] {
            for jwks in [
                [public.clone(), published.clone()],
                [published.clone(), public.clone()],
            ] {
                let (verdict, told) = judge_set(&key, &jwks);
                assert_eq!(verdict, "key_unsuitable", "{kind:?} {what}");
                let faults = told.matches("publishes its private part").count();
                assert_eq!(faults, 2, "{kind:?} {what}: {told}");
            }
        }
        // Nothing is left that the token may be signed with, named or not.
        let jwks = [public.clone(), private];
        let nameless = verdict_with_set(&key.without_kid(), &[&jwks[..], &[beside(kind)]].concat());
        assert_eq!(nameless, "no_fitting_key", "{kind:?}");
        assert!(!usable(&jwks[1]));
        assert_eq!(
            JwkSet::parse(&document(&jwks)).unwrap_err().code(),
            "no_usable_key"
        );
    }
}

/// A usable key of another kind.
fn beside(kind: KeyKind) -> Value {
    let other = match kind {
        KeyKind::Ed25519 => KeyKind::P256,
        _ => KeyKind::Ed25519,
    };
    Key::new(other).with_kid("beside").jwk()
}

#[test]
fn private_part_of_another_key_concerns_that_one_alone() {
    for kind in KINDS {
        let key = Key::new(kind).with_kid("1");
        let others = KINDS.map(|other| Key::new(other).with_kid("2"));
        for other in others.iter().filter(|other| {
            other.jwk()["x"] != key.jwk()["x"] || other.jwk()["n"] != key.jwk()["n"]
        }) {
            let (verdict, told) = judge_set(&key, &[other.jwk_with(json!({"d": "AQ"})), key.jwk()]);
            assert_eq!(verdict, GRANTED, "{kind:?}");
            assert_eq!(told, r#"key "2": "d" publishes its private part"#);
        }
        for harmless in [
            // RFC 7518 §6.4: a symmetric key is another kind of key.
            json!({"kty": "oct", "kid": "1", "k": key.jwk()["x"]}),
            json!({"kty": "RSA", "kid": "1", "d": "AQ"}),
            json!({"kid": "1", "d": "AQ"}),
            json!(null),
        ] {
            let (verdict, _) = judge_set(&key, &[harmless.clone(), key.jwk()]);
            assert_eq!(verdict, GRANTED, "{kind:?} {harmless}");
        }
    }
}

#[test]
fn algorithm_of_a_withdrawn_key_is_forgotten() {
    let key = Key::new(KeyKind::P256).with_kid("1");
    let jwks = [
        key.jwk_with(json!({"alg": "ES256"})),
        key.jwk_with(json!({"d": "AQ"})),
        beside(KeyKind::P256),
    ];
    let set = JwkSet::parse(&document(&jwks)).unwrap();
    let withdrawn = &set.keys()[0];
    assert_eq!((withdrawn.alg(), withdrawn.public_key()), (None, None));
    assert_eq!(withdrawn.describe().0.unusable_member(), Some("d"));
    let wanted = KeyReference::new(Some("1"), Algorithm::ES256);
    assert_eq!(set.select(&wanted).unwrap_err().code(), "key_unsuitable");
}
