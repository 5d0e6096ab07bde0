//! What a key is made of: RFC 7518 §6, RFC 8037 §2.

use crate::rsa_vectors;
use aws_lc_rs::digest;
use aws_lc_rs::signature::{self, RsaParameters, RsaPublicKeyComponents};
use court::*;
use serde_json::{Value, json};

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn rsa_jwk(n: &[u8], e: &[u8]) -> Value {
    json!({"kty": "RSA", "kid": "rsa", "n": base64url(n), "e": base64url(e)})
}

/// An odd number of this many bits.
fn odd_number(bits: usize) -> Vec<u8> {
    let mut number = vec![0xa5; bits.div_ceil(8)];
    number[0] = 1 << ((bits - 1) % 8);
    *number.last_mut().unwrap() |= 1;
    number
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn bytes_of(jwk: &Value, name: &str) -> Vec<u8> {
    from_base64url(jwk[name].as_str().unwrap()).unwrap()
}

#[test]
fn refuses_rsa_keys_below_2048_bits_however_right_the_signature() {
    let legacy = &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY;
    for (jwk, text) in [
        (rsa_vectors::WEAK_JWK, rsa_vectors::WEAK_TOKEN),
        (rsa_vectors::SHORT_JWK, rsa_vectors::SHORT_TOKEN),
    ] {
        let jwk = parsed(jwk);
        assert!(rsa_verifies(&jwk, legacy, text));
        let court = Court::new().keys(&[jwk, signing_key().jwk()]);
        assert_eq!(court.verdict_on_text(text), "key_unsuitable");
    }
}

fn rsa_verifies(jwk: &Value, parameters: &'static RsaParameters, text: &str) -> bool {
    let (message, signature) = text.rsplit_once('.').unwrap();
    let key = RsaPublicKeyComponents {
        n: bytes_of(jwk, "n"),
        e: bytes_of(jwk, "e"),
    };
    let signature = from_base64url(signature).unwrap();
    key.verify(parameters, message.as_bytes(), &signature)
        .is_ok()
}

#[test]
fn accepts_an_rsa_key_with_exponent_3() {
    let court = Court::new().keys(&[parsed(rsa_vectors::EXPONENT_3_JWK)]);
    assert_eq!(
        court.verdict_on_text(rsa_vectors::EXPONENT_3_TOKEN),
        GRANTED
    );
}

#[test]
fn bounds_the_size_of_rsa_keys() {
    for (bits, expected) in [
        (2, false),
        (512, false),
        (2047, false),
        (2048, true),
        (4096, true),
        (8192, true),
        (8193, false),
        (65_536, false),
    ] {
        assert_eq!(
            usable(&rsa_jwk(&odd_number(bits), &[1, 0, 1])),
            expected,
            "{bits}"
        );
    }
    // Leading zeros add no bits, and take none away.
    let zeros = |bits| [vec![0; 128], odd_number(bits)].concat();
    assert!(!usable(&rsa_jwk(&zeros(1024), &[1, 0, 1])));
    let key = Key::new(KeyKind::Rsa);
    let n = [vec![0; 3], bytes_of(&key.jwk(), "n")].concat();
    let jwk = key.jwk_with(json!({"n": base64url(n), "e": base64url([0, 1, 0, 1])}));
    assert_eq!(verdict_with_jwk(&key, jwk), GRANTED);
}

#[test]
fn refuses_rsa_keys_that_everyone_can_sign_for() {
    // With the exponent 1 the padded digest is its own signature.
    let n = odd_number(2048);
    let jwk = rsa_jwk(&n, &[1]);
    let key = Key::new(KeyKind::Rsa).with_kid("rsa");
    let text = token_by(&key).encode();
    let message = text.rsplit_once('.').unwrap().0;
    let hash = digest::digest(&digest::SHA256, message.as_bytes());
    let info = [
        &b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"[..],
        hash.as_ref(),
    ]
    .concat();
    let padded = [&[0, 1][..], &vec![0xff; 256 - 3 - info.len()], &[0], &info].concat();
    let forged = format!("{message}.{}", base64url(padded));
    let court = Court::new().keys(&[jwk, signing_key().jwk()]);
    assert_eq!(court.verdict_on_text(&forged), "key_unsuitable");

    let even = |mut number: Vec<u8>| {
        *number.last_mut().unwrap() &= 0xfe;
        number
    };
    for (n, e) in [
        (n.clone(), vec![]),
        (n.clone(), vec![0]),
        (n.clone(), vec![0, 0, 1]),
        (n.clone(), vec![2]),
        (n.clone(), vec![1, 0, 0]),
        (n.clone(), vec![1, 0, 0, 0, 1]),
        (n.clone(), n.clone()),
        (even(n.clone()), vec![1, 0, 1]),
        (vec![], vec![1, 0, 1]),
        (vec![0; 256], vec![1, 0, 1]),
    ] {
        assert!(!usable(&rsa_jwk(&n, &e)), "{e:?}");
    }
}

#[test]
fn refuses_curves_that_no_accepted_algorithm_uses() {
    // RFC 7520 §3.1 (P-521 under other names), SEC 2 §2.4.1 (the generator of secp256k1), RFC 8037 appendix A.6 (X25519).
    let g = [
        "eb5mfvncu6xVoGKVzocLBwKb_NstzijZWfKBWxb4F5g",
        "SDradyajxGVdpPv8DhEIqP0XtEimhVQZnEfQj_sQ1Lg",
    ];
    let x25519 = "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08";
    let p521 = [
        "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt",
        "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1",
    ];
    for jwk in [
        json!({"kty": "EC", "crv": "P-384", "x": p521[0], "y": p521[1]}),
        json!({"kty": "EC", "crv": "p-521", "x": p521[0], "y": p521[1]}),
        json!({"kty": "EC", "crv": "P-521", "x": p521[1], "y": p521[0]}),
        json!({"kty": "EC", "crv": "P-256", "x": p521[0], "y": p521[1]}),
        json!({"kty": "EC", "crv": "secp256k1", "x": g[0], "y": g[1]}),
        json!({"kty": "OKP", "crv": "X25519", "x": x25519}),
        json!({"kty": "OKP", "crv": "Ed448", "x": base64url([9; 57])}),
        json!({"kty": "OKP", "crv": "P-256", "x": x25519}),
        json!({"kty": "EC", "crv": "Ed25519", "x": x25519, "y": x25519}),
        json!({"kty": "EC", "crv": "p-256", "x": g[0], "y": g[1]}),
        json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": g[0]}),
        json!({"kty": "", "crv": "P-256", "x": g[0], "y": g[1]}),
        json!({"crv": "P-256", "x": g[0], "y": g[1]}),
    ] {
        assert!(!usable(&jwk), "{jwk}");
    }
}

#[test]
fn refuses_coordinates_of_the_wrong_length_or_form() {
    let ec = Key::new(KeyKind::P256);
    let (x, y) = (bytes_of(&ec.jwk(), "x"), bytes_of(&ec.jwk(), "y"));
    let wrong: [Value; 8] = [
        json!({"x": base64url(&x[1..])}),
        json!({"y": base64url([&[0, 0], &y[..]].concat())}),
        json!({"x": ""}),
        json!({"y": null}),
        json!({"y": 7}),
        json!({"x": base64url([&x[..], &y].concat()), "y": ""}),
        json!({"crv": "P-384"}),
        json!({"crv": null}),
    ];
    for change in wrong {
        assert_eq!(
            verdict_with_jwk(&ec, ec.jwk_with(change.clone())),
            "key_unsuitable",
            "{change}"
        );
    }
    let ed = Key::new(KeyKind::Ed25519);
    let x = bytes_of(&ed.jwk(), "x");
    for x in [
        vec![],
        x[1..].to_vec(),
        [&x[..], &[0]].concat(),
        [&[4], &x[..]].concat(),
        vec![0; 64],
    ] {
        let jwk = ed.jwk_with(json!({"x": base64url(&x)}));
        assert_eq!(
            verdict_with_jwk(&ed, jwk),
            "key_unsuitable",
            "{} bytes",
            x.len()
        );
    }
}

#[test]
fn a_key_that_is_no_point_of_its_curve_verifies_nothing() {
    let key = Key::new(KeyKind::P256);
    let mut y = bytes_of(&key.jwk(), "y");
    y[31] ^= 1;
    let all = |byte: u8| base64url([byte; 32]);
    for change in [
        json!({"y": base64url(y)}),
        json!({"x": all(0), "y": all(0)}),
        json!({"x": all(0xff), "y": all(0xff)}),
        json!({"x": key.jwk()["y"], "y": key.jwk()["x"]}),
    ] {
        let court = Court::new().keys(&[key.jwk_with(change.clone()), signing_key().jwk()]);
        for token in [
            token_by(&key),
            token_by(&key).signature_fault(SignatureFault::Bytes(vec![0; 64])),
            token_by(&key).signature_fault(SignatureFault::Bytes(
                [vec![0; 31], vec![1]].concat().repeat(2),
            )),
        ] {
            let verdict = court.verdict(&token);
            assert!(
                ["bad_signature", "key_unsuitable"].contains(&verdict),
                "{change}: {verdict}"
            );
        }
    }
}

#[test]
fn refuses_ed25519_keys_that_everyone_can_sign_for() {
    // RFC 8032 §5.1.7: with a key of small order A, `[S]B = R + [k]A` holds for R = O and S = 0 whenever
    // the order of A divides k: for the neutral element always, for the others one time in 2, 4 or 8.
    let small_order = [
        // Orders 1, 2, 4, 4, 8, 8, 8, 8; then three other spellings of the first and the third.
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    let forged = SignatureFault::Bytes([vec![1], vec![0; 63]].concat());
    let is_granted = |x: &&str| {
        let jwk = signing_key().jwk_with(json!({"x": base64url(from_hex(x))}));
        let court = Court::new().keys(&[jwk, Key::new(KeyKind::P256).jwk()]);
        (0..64).any(|attempt| {
            let token = good_token()
                .claim("jti", attempt)
                .signature_fault(forged.clone());
            court.verdict(&token) == GRANTED
        })
    };
    let granted: Vec<&str> = small_order.into_iter().filter(is_granted).collect();
    assert_eq!(granted, [""; 0]);
}
