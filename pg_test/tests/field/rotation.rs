//! How providers replace their keys: without names for them, or under one name.

use rig::{Endpoint, Issuer, Key, KeyKind, Server, SignatureFault};
use serde_json::{Value, json};

use crate::{admits, refuses};

/// A token that does not name its key, in the three ways in which providers write that.
fn nameless(issuer: &Issuer, key: &Key) -> [String; 3] {
    let token = issuer
        .token("alice")
        .signed_by(&key.without_kid(), key.default_alg());
    let empty = token.clone().header("kid", "");
    let null = token.clone().header("kid", json!(null));
    [token, empty, null].map(|token| token.encode())
}

#[test]
fn provider_without_kids_can_rotate_its_keys() {
    for kind in [KeyKind::P256, KeyKind::Ed25519] {
        let keys: Vec<Key> = (0..5).map(|_| Key::new(kind).without_kid()).collect();
        let issuer = Issuer::builder().key(keys[0].clone()).start();
        let server = Server::trusting(&issuer).start();
        let jwks: Vec<Value> = keys.iter().map(Key::jwk).collect();
        let other = Key::new(KeyKind::Rsa);
        let stranger = Key::new(kind);
        for count in 1..=4 {
            let mut set = jwks[..count].to_vec();
            set.insert(count / 2, other.without_kid().jwk());
            issuer.publish_only(&set);
            for key in &keys[..count] {
                for token in nameless(&issuer, key) {
                    admits(&server, &token);
                }
            }
            for token in nameless(&issuer, &stranger) {
                refuses(&server, &token, "bad_signature");
            }
            let altered = issuer
                .token("alice")
                .signed_by(&keys[0], keys[0].default_alg())
                .signature_fault(SignatureFault::FlippedBit);
            refuses(&server, &altered.encode(), "bad_signature");
            // A key without a name is not meant by any name.
            let named = issuer
                .token("alice")
                .signed_by(&keys[0].with_kid("1"), keys[0].default_alg());
            refuses(&server, &named.encode(), "unknown_kid");
        }
        issuer.publish_only(&jwks);
        let log = refuses(&server, &nameless(&issuer, &keys[0])[0], "ambiguous_key");
        assert!(log.contains("at most 4 of them are tried"), "{log}");
    }
}

#[test]
fn keys_may_be_nameless_in_several_spellings_at_once() {
    let keys: Vec<Key> = (0..4).map(|_| Key::new(KeyKind::P256)).collect();
    let issuer = Issuer::builder().key(keys[0].clone()).start();
    let server = Server::trusting(&issuer).start();
    let with_kid = |key: &Key, kid: Value| {
        let mut jwk = key.jwk();
        jwk["kid"] = kid;
        jwk
    };
    issuer.publish_only(&[
        keys[0].without_kid().jwk(),
        with_kid(&keys[1], json!("")),
        with_kid(&keys[2], json!(null)),
        keys[3].jwk(),
    ]);
    for key in &keys {
        for token in nameless(&issuer, key) {
            admits(&server, &token);
        }
    }
    for token in nameless(&issuer, &Key::new(KeyKind::P256)) {
        refuses(&server, &token, "bad_signature");
    }
}

#[test]
fn of_keys_that_share_a_kid_each_is_tried() {
    let keys: Vec<Key> = (0..5)
        .map(|_| Key::new(KeyKind::P256).with_kid("1"))
        .collect();
    let issuer = Issuer::builder().key(keys[0].clone()).start();
    let server = Server::trusting(&issuer).start();
    let jwks: Vec<Value> = keys.iter().map(Key::jwk).collect();
    let token = |key: &Key| {
        let token = issuer.token("alice").signed_by(key, key.default_alg());
        token.encode()
    };
    issuer.publish_only(&[&jwks[..4], &[Key::new(KeyKind::P256).jwk()]].concat());
    for key in &keys[..4] {
        admits(&server, &token(key));
    }
    refuses(&server, &token(&keys[4]), "bad_signature");
    issuer.publish_only(&jwks);
    refuses(&server, &token(&keys[0]), "ambiguous_key");
    let before = issuer.hits(Endpoint::Jwks);
    server.refuses("alice", &token(&keys[0]), "ambiguous_key");
    assert_eq!(
        issuer.hits(Endpoint::Jwks),
        before,
        "nothing was to be learned"
    );
}
