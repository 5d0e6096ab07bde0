//! How providers write their keys, and what stays no key beside it.

use rig::{Alg, Endpoint, Issuer, Key, KeyKind, Server, SignatureFault, base64url, from_base64url};
use serde_json::{Value, json};

use crate::{admits, refuses};

/// An issuer that signs with this key, and a server that trusts it.
fn start(key: &Key) -> (Issuer, Server) {
    let issuer = Issuer::builder().key(key.clone()).start();
    let server = Server::trusting(&issuer).start();
    (issuer, server)
}

/// Publishes the key with these members as they are, `null` included. Another key keeps the set one that has a usable key.
fn publish(issuer: &Issuer, members: Value) {
    let mut jwk = issuer.signing_key().jwk();
    let all = jwk.as_object_mut().expect("a JWK is an object");
    all.extend(members.as_object().expect("members").clone());
    issuer.publish_only(&[jwk, Key::new(KeyKind::P384).jwk()]);
}

#[track_caller]
fn assert_verdicts(key: &Key, good: &[Value], bad: &[Value]) {
    let (issuer, server) = start(key);
    let token = issuer.token("alice").encode();
    for members in good {
        publish(&issuer, members.clone());
        admits(&server, &token);
    }
    for members in bad {
        publish(&issuer, members.clone());
        refuses(&server, &token, "key_unsuitable");
    }
    publish(&issuer, json!({}));
    admits(&server, &token);
}

#[test]
fn null_and_empty_lists_are_as_absent() {
    assert_verdicts(
        &Key::new(KeyKind::Rsa),
        &[
            json!({"d": null, "p": null, "q": null, "dp": null, "dq": null, "qi": null, "oth": null}),
            json!({"alg": null, "use": null, "key_ops": null, "x5c": null, "x5t": null}),
            json!({"use": "sig", "key_ops": [], "x5c": [], "oth": []}),
        ],
        &[
            json!({"d": "AQAB"}),
            json!({"d": ""}),
            json!({"p": "AQAB", "d": null}),
            json!({"use": "enc", "key_ops": []}),
            json!({"key_ops": ["sign"]}),
            json!({"key_ops": ["sign"], "use": null}),
            json!({"n": null}),
            json!({"n": base64url([0xa5; 128])}),
        ],
    );
}

#[test]
fn material_may_be_padded_cut_or_in_the_other_alphabet() {
    let key = Key::new(KeyKind::Rsa);
    let jwk = key.jwk();
    let n = jwk["n"].as_str().expect("a modulus");
    let standard = n.replace('-', "+").replace('_', "/");
    assert_verdicts(
        &key,
        &[
            json!({"n": format!("{n}==")}),
            json!({"n": standard}),
            json!({"n": format!("{standard}=="), "e": "AQAB"}),
        ],
        &[
            json!({"n": format!("{n}===")}),
            json!({"n": format!("{n}\n")}),
            json!({"n": format!("{}==", base64url([0xa5; 127]))}),
        ],
    );
}

#[test]
fn coordinate_may_lack_its_zeros_or_have_one_for_the_sign() {
    let bytes = |key: &Key, name: &str| {
        from_base64url(key.jwk()[name].as_str().expect("a coordinate")).expect("base64url")
    };
    let key = std::iter::repeat_with(|| Key::new(KeyKind::P256))
        .find(|key| bytes(key, "x")[0] == 0)
        .expect("one key in 256");
    let (x, y) = (bytes(&key, "x"), bytes(&key, "y"));
    assert_verdicts(
        &key,
        &[
            json!({"x": base64url(&x[1..])}),
            json!({"y": base64url([&[0], &y[..]].concat())}),
        ],
        &[
            json!({"y": base64url(&y[1..])}),
            json!({"y": base64url([&[0, 0], &y[..]].concat())}),
            json!({"y": base64url([&[1], &y[..]].concat())}),
            json!({"x": base64url(&y), "y": base64url(&x)}),
            json!({"x": ""}),
        ],
    );
}

#[test]
fn federation_may_have_128_keys_and_what_is_left_out_of_more_is_told() {
    let keys: Vec<Key> = (0..130).map(|_| Key::new(KeyKind::P256)).collect();
    let (issuer, server) = start(&keys[0]);
    let publish = |count: usize| {
        let jwks: Vec<Value> = keys.iter().take(count).map(Key::jwk).collect();
        issuer.publish_only(&jwks);
    };
    let token = |key: &Key| {
        let token = issuer.token("alice").signed_by(key, key.default_alg());
        token.encode()
    };
    publish(128);
    for number in [0, 57, 127] {
        admits(&server, &token(&keys[number]));
    }
    let log = refuses(&server, &token(&keys[128]), "unknown_kid");
    assert!(!log.contains("more than the 128"), "{log}");

    publish(130);
    let mark = server.log().mark();
    admits(&server, &token(&keys[127]));
    let told = format!("2 keys of OAuth issuer \"{}\" are not kept", issuer.url());
    assert!(server.log().since(mark).contains(&told), "not told: {told}");
    for number in [128, 129] {
        let log = refuses(&server, &token(&keys[number]), "key_set_too_large");
        let hint =
            "HINT:  The provider's key set has 2 signature keys more than the 128 that are kept";
        assert!(log.contains(hint), "{log}");
    }
    let forged = issuer.token("alice").signature_by(&keys[128], Alg::ES256);
    refuses(&server, &forged.encode(), "bad_signature");
    // The provider is asked about it no more often than about any unknown key.
    let before = issuer.hits(Endpoint::Jwks);
    for _ in 0..5 {
        server.refuses("alice", &token(&keys[129]), "key_set_too_large");
    }
    assert_eq!(issuer.hits(Endpoint::Jwks), before);
    publish(128);
    admits(&server, &token(&keys[127]));
}

#[test]
fn es512_is_accepted_with_a_p521_key_and_with_no_other() {
    let bytes = |key: &Key, name: &str| {
        from_base64url(key.jwk()[name].as_str().expect("a coordinate")).expect("base64url")
    };
    // Of 521 bits the first byte has one: it is zero in every second coordinate.
    let key = std::iter::repeat_with(|| Key::new(KeyKind::P521))
        .find(|key| bytes(key, "x")[0] == 0)
        .expect("one key in two");
    let (x, y) = (bytes(&key, "x"), bytes(&key, "y"));
    assert_eq!((x.len(), y.len()), (66, 66));
    assert_verdicts(
        &key,
        &[
            json!({"alg": "ES512"}),
            json!({"x": base64url(&x[1..])}),
            json!({"y": base64url([&[0], &y[..]].concat())}),
            json!({"y": base64url(&y).replace('-', "+").replace('_', "/")}),
        ],
        &[
            json!({"alg": "ES256"}),
            json!({"alg": "ES521"}),
            json!({"crv": "P-256"}),
            json!({"crv": "P-384"}),
            json!({"x": base64url(&x[2..])}),
            json!({"y": base64url([&[0, 0], &y[..]].concat())}),
            json!({"x": base64url(&y), "y": base64url(&x)}),
            json!({"d": base64url(&x)}),
        ],
    );
    let (issuer, server) = start(&key);
    let p256 = Key::new(KeyKind::P256);
    issuer.publish(&p256);
    let good = issuer.token("alice");
    for (token, reason) in [
        // The other curve's key by the kid, and the other way round.
        (
            good.clone()
                .signed_by(&p256, Alg::ES256)
                .header("alg", "ES512"),
            "key_unsuitable",
        ),
        (good.clone().header("alg", "ES256"), "key_unsuitable"),
        (good.clone().header("alg", "ES384"), "key_unsuitable"),
        (
            good.clone().signature_fault(SignatureFault::Der),
            "bad_signature",
        ),
        (
            good.clone().signature_fault(SignatureFault::Truncated),
            "bad_signature",
        ),
        (
            good.clone()
                .signature_fault(SignatureFault::Bytes(vec![0; 132])),
            "bad_signature",
        ),
        (
            good.clone()
                .signature_fault(SignatureFault::Bytes(vec![1; 64])),
            "bad_signature",
        ),
        (
            good.clone()
                .signature_by(&Key::new(KeyKind::P521), Alg::ES512),
            "bad_signature",
        ),
        (
            good.clone()
                .without_header("kid")
                .signature_fault(SignatureFault::FlippedBit),
            "bad_signature",
        ),
    ] {
        server.refuses("alice", &token.encode(), reason);
    }
    admits(&server, &good.encode());
    server.reload_with(&[("validator.algorithms", "RS256, ES256, ES384, EdDSA")]);
    server.refuses("alice", &good.encode(), "alg_not_allowed");
    server.reload_with(&[("validator.algorithms", "ES512")]);
    server.admits("alice", &good.encode());
}
