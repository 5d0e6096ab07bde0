//! The signature itself.

use rig::{Alg, Issuer, Key, KeyKind, Server, SignatureFault, base64url};
use serde_json::{Value, json};

/// An issuer that publishes a key of each kind, and a server that trusts it.
fn start() -> (Issuer, Server, [Key; 4]) {
    let issuer = Issuer::builder().start();
    let keys = [KeyKind::Rsa, KeyKind::P256, KeyKind::P384, KeyKind::Ed25519].map(Key::new);
    issuer.publish_only(&keys.each_ref().map(Key::jwk));
    issuer.sign_with(&keys[0]);
    let server = Server::trusting(&issuer).log_everything().start();
    (issuer, server, keys)
}

#[test]
fn spoiled_signature_is_refused_with_every_kind_of_key() {
    let (issuer, server, keys) = start();
    for key in &keys {
        let good = issuer.token("alice").signed_by(key, key.default_alg());
        server.admits("alice", &good.encode());
        for fault in [
            SignatureFault::FlippedBit,
            SignatureFault::Truncated,
            SignatureFault::Empty,
            SignatureFault::Bytes(vec![0; 64]),
            SignatureFault::Bytes(vec![0; 96]),
            SignatureFault::Bytes(vec![0; 256]),
            SignatureFault::Bytes(vec![0xff; 64]),
            SignatureFault::Bytes(vec![1]),
        ] {
            let token = good.clone().signature_fault(fault).encode();
            server.refuses("alice", &token, "bad_signature");
        }
    }
}

#[test]
fn ecdsa_signature_as_der_is_refused() {
    let (issuer, server, [_, p256, p384, _]) = start();
    for key in [p256, p384] {
        let token = issuer.token("alice").signed_by(&key, key.default_alg());
        let token = token.signature_fault(SignatureFault::Der).encode();
        server.refuses("alice", &token, "bad_signature");
    }
}

#[test]
fn signature_with_more_bytes_behind_it_is_refused() {
    let (issuer, server, keys) = start();
    for key in &keys {
        let token = issuer
            .token("alice")
            .signed_by(key, key.default_alg())
            .encode();
        // Four characters are three bytes: the text stays base64url.
        let (message, signature) = token.rsplit_once('.').expect("three parts");
        let bytes = [
            rig::from_base64url(signature).expect("base64url"),
            vec![0; 3],
        ]
        .concat();
        let longer = format!("{message}.{}", base64url(bytes));
        server.refuses("alice", &longer, "bad_signature");
    }
}

#[test]
fn signature_of_another_key_of_the_same_kind_is_refused() {
    let (issuer, server, [_, p256, p384, ed25519]) = start();
    let rsa = issuer.signing_key();
    for (named, kind) in [
        (&rsa, KeyKind::OtherRsa),
        (&p256, KeyKind::P256),
        (&p384, KeyKind::P384),
        (&ed25519, KeyKind::Ed25519),
    ] {
        let forger = Key::new(kind).with_kid(named.kid().expect("a kid"));
        issuer.publish_only(&[named.jwk()]);
        server.forget_keys();
        let token = issuer
            .token("alice")
            .signed_by(&forger, forger.default_alg());
        server.refuses("alice", &token.encode(), "bad_signature");
    }
}

#[test]
fn signature_is_over_exactly_this_header_and_payload() {
    let (issuer, server, _) = start();
    let alice = issuer.token("alice");
    let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let good = parts(&alice.encode());
    let bob = parts(&alice.clone().claim("sub", "bob").encode());
    let retyped = parts(&alice.clone().header("typ", "application/at+jwt").encode());
    let spaced = {
        let text = String::from_utf8(alice.claims_json()).expect("JSON is UTF-8");
        base64url(format!("{text} "))
    };
    for token in [
        format!("{}.{}.{}", good[0], bob[1], good[2]),
        format!("{}.{}.{}", good[0], good[1], bob[2]),
        format!("{}.{}.{}", retyped[0], good[1], good[2]),
        format!("{}.{}.{}", good[0], spaced, good[2]),
        format!("{}..{}", good[0], good[2]),
    ] {
        server.refuses("alice", &token, "bad_signature");
    }
    server.admits("alice", &good.join("."));
}

#[test]
fn signature_by_another_algorithm_than_the_header_names_is_refused() {
    let (issuer, server, [rsa, ..]) = start();
    for (named, signed) in [
        (Alg::RS256, Alg::PS256),
        (Alg::PS256, Alg::RS256),
        (Alg::RS256, Alg::RS512),
        (Alg::PS512, Alg::PS256),
    ] {
        let token = issuer
            .token("alice")
            .signed_by(&rsa, named)
            .signature_by(&rsa, signed);
        server.refuses("alice", &token.encode(), "bad_signature");
    }
}

#[test]
fn nothing_of_the_claims_is_believed_before_the_signature_is_verified() {
    let (issuer, server, _) = start();
    let forged = issuer
        .token("mallory")
        .claim("client_id", "evil-client")
        .claim("jti", "evil-jti")
        .claim("exp", Value::Null)
        .claim("iss", json!(1))
        .signature_fault(SignatureFault::FlippedBit);
    let verdict = server.refuses("alice", &forged.encode(), "bad_signature");
    for text in [
        "mallory",
        "evil-client",
        "evil-jti",
        "connection authenticated",
    ] {
        assert!(!verdict.log.contains(text), "{text}: {}", verdict.log);
    }
}
