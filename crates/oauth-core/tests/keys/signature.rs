//! Signatures that must not verify: RFC 7515 §5.2, RFC 7518 §3.3 to §3.5, RFC 8037 §3.1.

use crate::{KINDS, rsa_vectors};
use court::*;

/// The verdict on a token of this key, where it is the issuer's only one.
fn verdict_by(key: &Key, token: &Token) -> &'static str {
    Court::new().keys(&[key.jwk()]).verdict(token)
}

fn with_signature(key: &Key, signature: impl Into<Vec<u8>>) -> Token {
    token_by(key).signature_fault(SignatureFault::Bytes(signature.into()))
}

/// Header, payload and signature as text.
fn parts(text: &str) -> [String; 3] {
    let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

/// The signature of the good token of this key.
fn right_signature(key: &Key) -> (Token, Vec<u8>) {
    let token = token_by(key);
    let [header, payload, _] = parts(&token.encode());
    let signature = key.sign(key.default_alg(), format!("{header}.{payload}").as_bytes());
    (token, signature)
}

#[test]
fn refuses_every_flipped_bit_of_the_signature() {
    for kind in KINDS {
        let key = Key::new(kind);
        let court = Court::new().keys(&[key.jwk()]);
        let (token, signature) = right_signature(&key);
        for byte in 0..signature.len() {
            let mut flipped = signature.clone();
            flipped[byte] ^= 1 << (byte % 8);
            let token = token
                .clone()
                .signature_fault(SignatureFault::Bytes(flipped));
            assert_eq!(court.verdict(&token), "bad_signature", "{kind:?} {byte}");
        }
    }
}

#[test]
fn refuses_every_flipped_bit_of_the_payload() {
    let [header, payload, signature] = parts(&good_token().encode());
    let bytes = from_base64url(&payload).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let text = format!("{header}.{}.{signature}", base64url(flipped));
        assert_eq!(verdict_on_text(&text), "bad_signature", "{bit}");
    }
}

#[test]
fn refuses_every_flipped_bit_of_the_header() {
    let [header, payload, signature] = parts(&good_token().encode());
    let bytes = from_base64url(&header).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let text = format!("{}.{payload}.{signature}", base64url(flipped));
        let verdict = verdict_on_text(&text);
        // The flip may show in the JSON, the algorithm, the type or the kid before the signature is reached.
        let expected = [
            "header_malformed",
            "alg_not_allowed",
            "typ_not_allowed",
            "unknown_kid",
            "bad_signature",
        ];
        assert!(expected.contains(&verdict), "{bit}: {verdict}");
    }
}

#[test]
fn refuses_the_signature_of_another_token() {
    for kind in KINDS {
        let key = Key::new(kind);
        let [header, payload, signature] = parts(&token_by(&key).encode());
        let other = token_by(&key).claim("sub", "postgres");
        let [_, other_payload, other_signature] = parts(&other.encode());
        let court = Court::new().keys(&[key.jwk()]);
        for text in [
            format!("{header}.{payload}.{other_signature}"),
            format!("{header}.{other_payload}.{signature}"),
            format!("{payload}.{header}.{signature}"),
        ] {
            assert_ne!(court.verdict_on_text(&text), GRANTED, "{kind:?}");
        }
        assert_eq!(
            court.verdict_on_text(&format!("{header}.{payload}.{other_signature}")),
            "bad_signature"
        );
        assert_eq!(court.verdict(&other), GRANTED);
    }
}

#[test]
fn refuses_a_signature_over_another_header() {
    for kind in KINDS {
        let key = Key::new(kind);
        let [header, payload, signature] = parts(&token_by(&key).header("typ", "JWT").encode());
        let [good_header, _, _] = parts(&token_by(&key).encode());
        assert_ne!(header, good_header);
        let court = Court::new().keys(&[key.jwk()]);
        assert_eq!(
            court.verdict_on_text(&format!("{good_header}.{payload}.{signature}")),
            "bad_signature"
        );
    }
    // The same JSON, written otherwise, is another signing input.
    let [header, payload, signature] = parts(&good_token().encode());
    let respelt = [&from_base64url(&header).unwrap()[..], b" "].concat();
    let text = format!("{}.{payload}.{signature}", base64url(respelt));
    assert_eq!(verdict_on_text(&text), "bad_signature");
}

#[test]
fn refuses_a_signature_over_the_decoded_bytes() {
    let token = good_token();
    let decoded = [token.header_json(), b".".to_vec(), token.claims_json()].concat();
    for message in [decoded, token.claims_json(), b"".to_vec()] {
        let signature = signing_key().sign(Alg::EdDSA, &message);
        let token = token
            .clone()
            .signature_fault(SignatureFault::Bytes(signature));
        assert_eq!(verdict(&token), "bad_signature");
    }
}

#[test]
fn refuses_another_key_of_the_same_kind() {
    for (kind, other) in [
        (KeyKind::Rsa, KeyKind::OtherRsa),
        (KeyKind::P256, KeyKind::P256),
        (KeyKind::P384, KeyKind::P384),
        (KeyKind::P521, KeyKind::P521),
        (KeyKind::Ed25519, KeyKind::Ed25519),
    ] {
        let (key, other) = (Key::new(kind), Key::new(other));
        let forged = token_by(&key).signature_by(&other, key.default_alg());
        assert_eq!(verdict_by(&key, &forged), "bad_signature", "{kind:?}");
        let renamed = token_by(&other.with_kid(key.kid().unwrap()));
        assert_eq!(verdict_by(&key, &renamed), "bad_signature", "{kind:?}");
    }
}

#[test]
fn refuses_empty_truncated_and_extended_signatures() {
    for kind in KINDS {
        let key = Key::new(kind);
        let (_, right) = right_signature(&key);
        let length = right.len();
        let wrong: [Vec<u8>; 12] = [
            vec![],
            vec![0],
            right[..1].to_vec(),
            right[..length / 2].to_vec(),
            right[..length - 1].to_vec(),
            right[1..].to_vec(),
            [&right[..], &[0]].concat(),
            [&[0], &right[..]].concat(),
            [&right[..], &right[..]].concat(),
            right.iter().rev().copied().collect(),
            vec![0; length],
            vec![0xff; length],
        ];
        for signature in wrong {
            let bytes = signature.len();
            let token = with_signature(&key, signature);
            assert_eq!(
                verdict_by(&key, &token),
                "bad_signature",
                "{kind:?} {bytes}"
            );
        }
        let token = with_signature(&key, vec![0x41; 11_000]);
        assert_eq!(verdict_by(&key, &token), "bad_signature", "{kind:?}");
    }
}

#[test]
fn refuses_ecdsa_in_der_form() {
    // RFC 7518 §3.4: two integers of fixed size, not the DER of X.509.
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::P521] {
        let key = Key::new(kind);
        let token = token_by(&key).signature_fault(SignatureFault::Der);
        assert_eq!(verdict_by(&key, &token), "bad_signature", "{kind:?}");
    }
}

#[test]
fn refuses_ecdsa_numbers_out_of_range() {
    // CVE-2022-21449 and its kin. SEC 2 §2.4.2: the order of P-256.
    let order: Vec<u8> = from_base64url("_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE").unwrap();
    assert_eq!(order.len(), 32);
    let key = Key::new(KeyKind::P256);
    let (_, right) = right_signature(&key);
    let (r, s) = right.split_at(32);
    let zero = [0; 32];
    let one = [&[0; 31][..], &[1]].concat();
    for (first, second) in [
        (&zero[..], &zero[..]),
        (&zero, s),
        (r, &zero),
        (&order, &order),
        (&order, s),
        (r, &order),
        (&one, &one),
        (&one, &zero),
        (&[0xff; 32], s),
        (s, r),
    ] {
        let token = with_signature(&key, [first, second].concat());
        assert_eq!(
            verdict_by(&key, &token),
            "bad_signature",
            "{first:?} {second:?}"
        );
    }
}

#[test]
fn refuses_an_ed25519_signature_with_s_out_of_range() {
    // RFC 8032 §5.1.7: S is less than the group's order L; else S + L would be a second signature.
    let order = from_base64url("7dP1XBpjEljWnPei3vneFAAAAAAAAAAAAAAAAAAAABA").unwrap();
    let (token, right) = right_signature(&signing_key());
    let mut signature = right.clone();
    let mut carry = 0;
    for (byte, more) in signature[32..].iter_mut().zip(&order) {
        let sum = u16::from(*byte) + u16::from(*more) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert_eq!(
        verdict(&token.clone().signature_fault(SignatureFault::Bytes(right))),
        GRANTED
    );
    let token = token.signature_fault(SignatureFault::Bytes(signature));
    assert_eq!(verdict(&token), "bad_signature");
}

#[test]
fn refuses_an_rsa_signature_that_is_not_below_the_modulus() {
    // RFC 8017 §5.2.2: else s + n would be a second signature.
    let key = Key::new(KeyKind::Rsa);
    let modulus = from_base64url(key.jwk()["n"].as_str().unwrap()).unwrap();
    let sums = (0..64).filter_map(|number| {
        let token = token_by(&key).claim("jti", number);
        let [header, payload, signature] = parts(&token.encode());
        let mut carry = 0;
        let mut sum = from_base64url(&signature).unwrap();
        for (byte, more) in sum.iter_mut().zip(&modulus).rev() {
            let added = u16::from(*byte) + u16::from(*more) + carry;
            *byte = added.to_le_bytes()[0];
            carry = added >> 8;
        }
        (carry == 0).then(|| format!("{header}.{payload}.{}", base64url(sum)))
    });
    for text in sums {
        let verdict = Court::new().keys(&[key.jwk()]).verdict_on_text(&text);
        assert_eq!(verdict, "bad_signature");
    }
}

#[test]
fn refuses_rsa_signatures_of_another_padding_or_digest() {
    let key = Key::new(KeyKind::Rsa);
    let algs = [
        Alg::RS256,
        Alg::RS384,
        Alg::RS512,
        Alg::PS256,
        Alg::PS384,
        Alg::PS512,
    ];
    for signed in algs {
        for named in algs {
            let token = token_by(&key)
                .signed_by(&key, named)
                .signature_by(&key, signed);
            let expected = if signed == named {
                GRANTED
            } else {
                "bad_signature"
            };
            assert_eq!(
                verdict_by(&key, &token),
                expected,
                "{} as {}",
                signed.name(),
                named.name()
            );
        }
    }
}

#[test]
fn refuses_pss_salts_of_another_length() {
    let jwk = serde_json::from_str(rsa_vectors::EXPONENT_3_JWK).unwrap();
    let court = Court::new().keys(&[jwk]);
    assert_eq!(court.verdict_on_text(rsa_vectors::PSS_SALT_32), GRANTED);
    for text in [
        rsa_vectors::PSS_SALT_20,
        rsa_vectors::PSS_SALT_0,
        rsa_vectors::PSS_SALT_MAX,
    ] {
        assert_eq!(court.verdict_on_text(text), "bad_signature");
    }
}

#[test]
fn refuses_pkcs1_paddings_that_lenient_verifiers_take() {
    let jwk = serde_json::from_str(rsa_vectors::EXPONENT_3_JWK).unwrap();
    let court = Court::new().keys(&[jwk]);
    assert_eq!(
        court.verdict_on_text(rsa_vectors::EXPONENT_3_TOKEN),
        GRANTED
    );
    for text in [
        rsa_vectors::PKCS1_NO_NULL,
        rsa_vectors::PKCS1_SHA1,
        rsa_vectors::PKCS1_SHORT_PADDING,
        rsa_vectors::PKCS1_TYPE_2,
    ] {
        assert_eq!(court.verdict_on_text(text), "bad_signature");
    }
}

#[test]
fn claims_of_a_token_that_does_not_verify_are_not_looked_at() {
    for claims in ["", "not JSON", r#"{"iss":1}"#, r#"{"iss":"a","iss":"b"}"#] {
        let token = good_token()
            .raw_claims(claims)
            .signature_fault(SignatureFault::FlippedBit);
        assert_eq!(verdict(&token), "bad_signature", "{claims:?}");
    }
}
