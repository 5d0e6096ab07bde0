//! Documents that are key sets, and documents that are not: RFC 7517 §5.

use court::*;
use oauth_core::{
    Algorithm, Failure, FoundKeys, JwkSet, KeyReference, KeySource, PublicKey, Unavailable,
    UnavailableCause,
};
use oauth_core::{Printable, Reject};
use serde_json::{Value, json};

/// What keeps a document from being a key set: `malformed` or `no_usable_key`.
fn fault(document: impl AsRef<[u8]>) -> &'static str {
    match JwkSet::parse(document.as_ref()) {
        Ok(_) => "none",
        Err(cause) => cause.code(),
    }
}

#[test]
fn refuses_documents_that_are_no_key_set() {
    let jwk = signing_key().jwk();
    let text = json!({"keys": [jwk]}).to_string();
    assert_eq!(fault(&text), "none");
    let malformed: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"{}".to_vec(),
        b"<!doctype html><title>Login</title>".to_vec(),
        jwk.to_string().into(),
        json!([jwk]).to_string().into(),
        json!({"Keys": [jwk]}).to_string().into(),
        json!({"keys": jwk}).to_string().into(),
        json!({"keys": null}).to_string().into(),
        json!({"keys": text}).to_string().into(),
        json!({"keys": {"0": jwk}}).to_string().into(),
        text[..text.len() - 1].into(),
        format!("{text}{text}").into(),
        format!("{text}x").into(),
        format!("\u{feff}\u{feff}{text}").into(),
        format!("{{\"keys\":[],{}", &text[1..]).into(),
        text.replace("\"kid\"", "\"kid\":\"other\",\"kid\"").into(),
        format!(
            "{{\"x\":{}1{},{}",
            "[".repeat(100),
            "]".repeat(100),
            &text[1..]
        )
        .into(),
        [&text.as_bytes()[..text.len() - 1], b",\"x\":\"\xff\"}"].concat(),
        "[".repeat(200_000).into(),
        "{\"keys\":".repeat(50_000).into(),
    ];
    for document in malformed {
        let shown = String::from_utf8_lossy(&document)
            .chars()
            .take(80)
            .collect::<String>();
        assert_eq!(fault(&document), "malformed", "{shown}");
    }
}

#[test]
fn a_set_without_a_key_that_can_verify_is_no_use() {
    let unusable = [
        json!([]),
        json!([signing_key().jwk_with(json!({"use": "enc"}))]),
        json!([Key::new(KeyKind::Secret).jwk()]),
        json!([null, true, 1, "key", [], {}]),
        json!([[signing_key().jwk()]]),
        json!([{"kty": "EC"}, {"kty": 1}, {"kty": null}, {"kid": "key-1"}]),
        json!([signing_key().jwk().to_string()]),
    ];
    for keys in unusable {
        assert_eq!(
            fault(json!({ "keys": keys }).to_string()),
            "no_usable_key",
            "{keys}"
        );
    }
}

#[test]
fn other_members_of_the_set_are_of_no_interest() {
    let document = json!({"keys": [signing_key().jwk()], "x": {"keys": []}, "issuer": 1, "": null});
    let court = Court::new().key_source(JwkSet::parse(document.to_string().as_bytes()).unwrap());
    assert_eq!(court.verdict(&good_token()), GRANTED);
}

#[test]
fn bad_keys_beside_a_good_one_do_no_harm() {
    let bad = [
        json!(null),
        json!(7),
        json!("key-1"),
        json!([]),
        json!({}),
        json!({"kty": "RSA"}),
        json!({"kty": "RSA", "n": 1, "e": 1}),
        json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "weak"}),
        json!({"kty": "EC", "crv": "P-521", "x": "", "y": ""}),
        json!({"kty": "OKP", "crv": "X25519", "x": base64url([9; 32])}),
        json!({"kty": "oct", "k": "c2VjcmV0"}),
        json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}),
        json!({"kty": ["OKP"], "crv": "Ed25519"}),
        signing_key().jwk_with(json!({"kid": 1})),
        signing_key().jwk_with(json!({"kid": {"key-1": null}})),
        signing_key().jwk_with(json!({"kid": "key-1", "x": "!"})),
        signing_key().jwk_with(json!({"use": "enc"})),
    ];
    for position in 0..=bad.len() {
        let mut jwks = bad.to_vec();
        jwks.insert(position, signing_key().jwk());
        let court = Court::new().keys(&jwks);
        assert_eq!(court.verdict(&good_token()), GRANTED, "{position}");
        let anonymous = good_token().without_header("kid");
        assert_eq!(
            court.verdict(&anonymous),
            GRANTED,
            "{position}, without kid"
        );
    }
}

#[test]
fn a_key_that_is_no_point_of_its_curve_does_no_harm_beside_a_good_one() {
    let good = Key::new(KeyKind::P256);
    let zeros = base64url([0; 32]);
    let jwks = [
        good.jwk_with(json!({"kid": "broken", "x": zeros, "y": zeros})),
        good.jwk(),
    ];
    let court = Court::new().keys(&jwks);
    assert_eq!(court.verdict(&token_by(&good)), GRANTED);
    assert_eq!(court.verdict(&token_by(&good.without_kid())), GRANTED);
}

#[test]
fn keys_without_kid_use_or_alg_are_usable_where_they_fit() {
    for kind in [
        KeyKind::Rsa,
        KeyKind::P256,
        KeyKind::P384,
        KeyKind::P521,
        KeyKind::Ed25519,
    ] {
        let key = Key::new(kind).without_kid();
        let jwk = key.jwk_with(json!({"use": null, "kid": null, "alg": null}));
        assert!(jwk.get("use").is_none());
        assert_eq!(
            Court::new().keys(&[jwk]).verdict(&token_by(&key)),
            GRANTED,
            "{kind:?}"
        );
    }
}

#[test]
fn members_that_may_be_anything_do_not_spoil_a_key() {
    let jwk = signing_key().jwk_with(json!({
        "x5t": "AA", "x5c": ["AA=="], "x5u": "ftp://x", "exp": 0, "nbf": "x", "": {"a": [null]}
    }));
    assert_eq!(Court::new().keys(&[jwk]).verdict(&good_token()), GRANTED);
}

#[test]
fn refuses_a_key_whose_private_part_is_published() {
    for d in [json!("AA"), json!(""), json!(7)] {
        let published = signing_key().jwk_with(json!({ "d": d }));
        let other = Key::new(KeyKind::P256).with_kid("other").jwk();
        let court = Court::new().keys(&[published, other]);
        assert_eq!(court.verdict(&good_token()), "key_unsuitable");
    }
}

#[test]
fn takes_the_name_of_rfc_9864_for_eddsa_with_ed25519() {
    let jwk = signing_key().jwk_with(json!({ "alg": "Ed25519" }));
    let court = Court::new().keys(&[jwk]);
    assert_eq!(court.verdict(&good_token()), GRANTED);
    let renamed = good_token().header("alg", "Ed25519");
    assert_eq!(court.verdict(&renamed), GRANTED);
    assert_eq!(
        court.verdict(&good_token().header("alg", "ed25519")),
        "alg_not_allowed"
    );
}

#[test]
fn a_kid_of_the_wrong_type_is_not_the_kid_that_it_looks_like() {
    for kid in [json!(1), json!(null), json!(true), json!(["1"])] {
        let jwks = [
            signing_key().jwk_with(json!({"kid": "x"})),
            json!({"kid": kid, "kty": "OKP"}),
        ];
        let token = good_token().header("kid", "1");
        assert_eq!(
            Court::new().keys(&jwks).verdict(&token),
            "unknown_kid",
            "{kid}"
        );
    }
}

#[test]
fn of_a_large_set_the_first_128_keys_that_can_verify_are_kept() {
    let filler = Key::new(KeyKind::P256);
    let unusable = json!({"kty": "RSA", "kid": "weak", "n": "AQAB", "e": "AQAB"});
    let set_of = |usable: usize, position: usize| {
        let mut jwks: Vec<Value> = (0..usable)
            .flat_map(|number| {
                let usable = filler.with_kid(&format!("filler-{number}")).jwk();
                [unusable.clone(), usable]
            })
            .collect();
        jwks[position * 2 + 1] = signing_key().jwk();
        jwks
    };
    let other = Key::new(KeyKind::P384);
    for (usable, position, expected) in [
        (127, 126, GRANTED),
        (128, 0, GRANTED),
        (128, 127, GRANTED),
        (129, 127, GRANTED),
        (129, 128, "key_set_too_large"),
        (300, 299, "key_set_too_large"),
    ] {
        let jwks = set_of(usable, position);
        let set = key_set(&jwks);
        assert!(document(&jwks).len() < oauth_core::MAX_RESPONSE_BYTES);
        assert_eq!(set.left_out(), usable.saturating_sub(oauth_core::MAX_KEYS));
        assert!(set.keys().len() <= 2 * oauth_core::MAX_KEYS);
        // What is left out may be the key of any token that names none of the others.
        let unknown = match set.left_out() {
            0 => ["unknown_kid", "no_fitting_key"],
            _ => ["key_set_too_large"; 2],
        };
        let court = Court::new().key_source(set);
        assert_eq!(court.verdict(&good_token()), expected, "{usable}");
        assert_eq!(court.verdict(&token_by(&other)), unknown[0], "{usable}");
        let anonymous = token_by(&other.without_kid());
        assert_eq!(court.verdict(&anonymous), unknown[1], "{usable}");
        let weak = good_token().header("kid", "weak");
        assert_eq!(court.verdict(&weak), "key_unsuitable", "{usable}");
        let forged = good_token().signature_by(&Key::new(KeyKind::Ed25519), Alg::EdDSA);
        assert_ne!(court.verdict(&forged), GRANTED);
    }
    let many = vec![unusable; 1000];
    assert_eq!(fault(document(&many)), "no_usable_key");
}

#[test]
fn an_empty_set_selects_nothing() {
    let set = JwkSet::default();
    assert_eq!(
        set.select(&KeyReference::new(None, Algorithm::EdDSA)),
        Err(Reject::NoFittingKey { again_in: None })
    );
    assert_eq!(
        set.select(&KeyReference::new(Some(""), Algorithm::EdDSA)),
        Err(Reject::UnknownKid { again_in: None })
    );
}

/// A source that answers with one key or failure, whatever it is asked for.
struct Answering(Result<PublicKey, Failure>);

impl KeySource for Answering {
    fn find_keys(&self, _: &KeyReference<'_>) -> Result<FoundKeys, Failure> {
        self.0.clone().map(FoundKeys::one)
    }
}

#[test]
fn a_source_that_answers_with_a_key_of_another_kind_lets_nothing_through() {
    let keys = [
        KeyKind::Rsa,
        KeyKind::P256,
        KeyKind::P384,
        KeyKind::P521,
        KeyKind::Ed25519,
    ]
    .map(Key::new);
    for signer in &keys {
        for other in &keys {
            let set = key_set(&[other.jwk()]);
            let key = set.keys()[0].public_key().unwrap().clone();
            let verdict = Court::new()
                .key_source(Answering(Ok(key)))
                .verdict(&token_by(signer));
            let expected = if signer.kid() == other.kid() {
                GRANTED
            } else {
                "bad_signature"
            };
            assert_eq!(verdict, expected, "{:?} {:?}", signer.kid(), other.kid());
        }
    }
    for key in [
        PublicKey::P256(vec![]),
        PublicKey::P384(vec![4; 97]),
        PublicKey::P521(vec![4; 133]),
        PublicKey::Ed25519(vec![0; 31]),
        PublicKey::Rsa {
            n: vec![],
            e: vec![],
        },
        PublicKey::Rsa {
            n: vec![0; 256],
            e: vec![0; 256],
        },
    ] {
        for signer in &keys {
            let court = Court::new().key_source(Answering(Ok(key.clone())));
            assert_eq!(court.verdict(&token_by(signer)), "bad_signature");
        }
    }
}

#[test]
fn a_source_that_fails_is_not_the_fault_of_the_token() {
    let unavailable = Unavailable {
        url: Printable::new("https://issuer.example/jwks"),
        cause: UnavailableCause::Timeout,
    };
    let failure = Failure::Unavailable(unavailable);
    let decision = Court::new()
        .key_source(Answering(Err(failure.clone())))
        .judge(&good_token().encode());
    assert_eq!(decision.outcome().unwrap_err(), &failure);
    assert_eq!(
        (verdict_of(&decision), decision.authn_id()),
        ("provider_unavailable", None)
    );
}
