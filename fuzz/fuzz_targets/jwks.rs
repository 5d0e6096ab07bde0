//! A key set: a key that may verify signatures is of a kind and a strength that may, survives the way through the
//! cache, and finds no signature good that anybody could make without its private part.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_mutator, fuzz_target};
use oauth_core::{
    Algorithm, Bearer, Jwk, JwkSet, KeyHead, KeyReference, LoginAttempt, MAX_CANDIDATES, NoCatalog,
    NoCertificate, NoIntrospection, Policy, PublicKey, Timestamp, judge, select_keys,
};
use oauth_core_fuzz::case::{NOW, Settings};
use oauth_core_fuzz::documents::assert_key_set_read_once;
use oauth_core_fuzz::mutator;
use oauth_core_fuzz::text::{Object, assert_printable, object, without_mark};
use serde_json::{Value, json};
use std::sync::OnceLock;
use token_minter::base64url;

/// Keys of a set that forged signatures are tried on: RSA takes its time.
const TRIED: usize = 3;

fuzz_target!(|document: &[u8]| -> Corpus {
    let set = match JwkSet::parse(document) {
        Ok(set) => set,
        Err(cause) => {
            assert_printable(&cause.to_string());
            return Corpus::Keep;
        }
    };
    assert_key_set_read_once(document);
    let members = object(without_mark(document)).expect("a key set is a JSON object");
    let members = members
        .get("keys")
        .and_then(Value::as_array)
        .expect("with an array of keys");
    let usable = set.keys().iter().filter(|jwk| jwk.public_key().is_some());
    assert!(usable.count() <= 128);
    assert!(set.keys().len() + set.left_out() <= members.len());
    assert!(set.keys().iter().any(|jwk| jwk.public_key().is_some()));
    // Of a larger set the members and the keys do not go together one by one.
    let is_whole = set.keys().len() == members.len();
    for (jwk, member) in set.keys().iter().zip(members).filter(|_| is_whole) {
        check_key(jwk, member.as_object());
    }
    check_selection(&set);
    let usable = set.keys().iter().filter(|jwk| jwk.public_key().is_some());
    usable
        .take(TRIED)
        .for_each(|jwk| check_forgeries(&set, jwk));
    Corpus::Keep
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutator::mutate(data, size, max_size, seed)
});

fn check_key(jwk: &Jwk, member: Option<&Object>) {
    let (head, material) = jwk.describe();
    assert_eq!(head.key(&material).as_ref(), jwk.public_key());
    assert_eq!(head.alg(), jwk.alg());
    let Some(key) = jwk.public_key() else {
        assert_eq!((head.kind(), jwk.alg()), (None, None));
        return;
    };
    assert!(key.thumbprint().is_some());
    let odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
    match key {
        PublicKey::Rsa { n, e } => {
            let bits = n.len() * 8 - n[0].leading_zeros() as usize;
            assert!((2048..=8192).contains(&bits) && odd(n) && odd(e) && e.len() <= 4 && e != &[1]);
        }
        PublicKey::P256(point) => assert!(point.len() == 65 && point[0] == 4),
        PublicKey::P384(point) => assert!(point.len() == 97 && point[0] == 4),
        PublicKey::P521(point) => assert!(point.len() == 133 && point[0] == 4),
        PublicKey::Ed25519(point) => assert!(point.len() == 32 && point != &[0; 32]),
        _ => panic!("a kind of key that this target does not know"),
    }
    // RFC 7517 §4, RFC 7518 §6, RFC 8037 §2.
    // A member that is null is absent.
    let mut member = member.expect("a key is a JSON object").clone();
    member.retain(|_, value| !value.is_null());
    assert_eq!(member.get("kty").and_then(Value::as_str), Some(key.kty()));
    for name in ["d", "p", "q", "dp", "dq", "qi"] {
        assert!(!member.contains_key(name));
    }
    assert!(member.get("oth").is_none_or(|others| others == &json!([])));
    assert!(member.get("use").is_none_or(|purpose| purpose == "sig"));
    if let Some(operations) = member.get("key_ops") {
        let operations = operations.as_array().expect("a list");
        assert!(operations.is_empty() || operations.contains(&json!("verify")));
    }
    assert_eq!(member.get("kid").and_then(Value::as_str), jwk.kid());
    if let Some(alg) = jwk.alg() {
        assert_eq!(
            member
                .get("alg")
                .and_then(Value::as_str)
                .and_then(Algorithm::from_name),
            Some(alg)
        );
        assert_eq!(alg.key_kind(), key.kind());
    } else {
        assert!(!member.contains_key("alg"));
    }
}

/// Every key that has the name and the kind that were asked for is selected, and no other one, unless they are too many.
fn check_selection(set: &JwkSet) {
    let heads: Vec<KeyHead> = set.keys().iter().map(|jwk| jwk.describe().0).collect();
    for kid in set
        .keys()
        .iter()
        .take(8)
        .map(Jwk::kid)
        .chain([None, Some(""), Some("unknown")])
    {
        for alg in [
            Algorithm::RS256,
            Algorithm::ES256,
            Algorithm::ES384,
            Algorithm::ES512,
            Algorithm::EdDSA,
        ] {
            let wanted = KeyReference::new(kid, alg);
            let fitting = set.keys().iter().filter(|jwk| {
                let key = jwk.public_key();
                (kid.is_none() || jwk.kid() == kid)
                    && jwk.alg().is_none_or(|own| own == alg)
                    && key.is_some_and(|key| key.kind() == alg.key_kind())
            });
            let mut distinct: Vec<&PublicKey> = Vec::new();
            for key in fitting.filter_map(Jwk::public_key) {
                if !distinct.contains(&key) {
                    distinct.push(key);
                }
            }
            let Ok(found) = set.select(&wanted) else {
                assert!(distinct.is_empty() || distinct.len() > MAX_CANDIDATES);
                continue;
            };
            assert!(found.iter().eq(distinct));
            let candidates = select_keys(&heads, &wanted).expect("selected before");
            assert_eq!(candidates.places().len(), found.iter().count());
        }
    }
}

/// Signatures that need no private key.
fn check_forgeries(set: &JwkSet, jwk: &Jwk) {
    let key = jwk.public_key().expect("asked for usable keys");
    let (algs, bytes): (&[Algorithm], usize) = match key {
        PublicKey::Rsa { n, .. } => (&[Algorithm::RS256, Algorithm::PS256], n.len()),
        PublicKey::P256(_) => (&[Algorithm::ES256], 64),
        PublicKey::P384(_) => (&[Algorithm::ES384], 96),
        PublicKey::P521(_) => (&[Algorithm::ES512], 132),
        _ => (&[Algorithm::EdDSA], 64),
    };
    let mut one = vec![0; bytes];
    one[bytes - 1] = 1;
    // Ed25519: the neutral element and zero, which a key of small order would accept for every message.
    let mut neutral = vec![0; bytes];
    neutral[0] = 1;
    // ECDSA: r and s are both one.
    let mut ones = one.clone();
    ones[bytes / 2 - 1] = 1;
    let forged = [
        Vec::new(),
        vec![0; bytes],
        vec![0xff; bytes],
        one,
        ones,
        neutral,
        vec![0; bytes + 1],
    ];
    for alg in algs {
        let mut header = json!({"alg": alg.name(), "typ": "at+jwt"});
        if let Some(kid) = jwk.kid() {
            header["kid"] = json!(kid);
        }
        let header = base64url(header.to_string());
        for signature in &forged {
            let token = format!("{header}.{}.{}", claims(), base64url(signature));
            let attempt = LoginAttempt {
                token: Bearer::new(&token),
                role: "alice",
                peer: &NoCertificate,
                catalog: &NoCatalog,
                introspector: &NoIntrospection,
            };
            let decision = judge(&attempt, policy(), set, &Timestamp::from_unix_seconds(NOW));
            assert!(!decision.is_authorized(), "{alg:?} accepts {signature:?}");
        }
    }
}

fn policy() -> &'static Policy {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    POLICY.get_or_init(|| {
        Settings(Object::new())
            .policy()
            .expect("the defaults are good")
    })
}

fn claims() -> &'static str {
    static CLAIMS: OnceLock<String> = OnceLock::new();
    CLAIMS.get_or_init(|| {
        let claims = json!({"iss": "https://issuer.example/realm", "aud": "https://pg.example/", "sub": "alice",
            "exp": NOW + 300});
        base64url(claims.to_string())
    })
}
