//! What is cached of a key set: all of it that fits and can be used, and it is chosen from as from the set itself.

use rig::{Alg, Endpoint, Fault, Issuer, Key, KeyKind, Server};
use serde_json::{Value, json};

use crate::{Mode, asked, assert_settled, log_in};

/// As many keys as are cached of an issuer.
const CACHED: usize = 128;

fn token(issuer: &Issuer, key: &Key) -> String {
    let token = issuer.token("alice").signed_by(key, key.default_alg());
    token.encode()
}

/// Both the login that fetches and one that finds the keys in the cache.
#[track_caller]
fn refuses_cold_and_warm(server: &Server, token: &str, reason: &str) {
    server.forget_keys();
    server.refuses("alice", token, reason);
    server.refuses("alice", token, reason);
}

#[test]
fn every_type_of_key_is_found_in_the_cache() {
    let issuer = Issuer::builder().start();
    let kinds = [
        KeyKind::Rsa,
        KeyKind::OtherRsa,
        KeyKind::P256,
        KeyKind::P384,
        KeyKind::P521,
        KeyKind::Ed25519,
    ];
    let keys = kinds.map(Key::new);
    issuer.publish_only(&keys.each_ref().map(Key::jwk));
    for mode in Mode::BOTH {
        let server = mode.server_of(&issuer).start();
        let before = issuer.requests().len();
        for _ in 0..2 {
            for key in &keys {
                server.admits("alice", &token(&issuer, key));
            }
        }
        let ps = issuer.token("alice").signed_by(&keys[0], Alg::PS384);
        server.admits("alice", &ps.encode());
        assert_eq!(issuer.requests().len() - before, 2, "{mode:?}");
    }
}

#[test]
fn keys_of_one_kid_are_chosen_from_the_cache_as_from_the_answer() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).start();
    let rsa = Key::new(KeyKind::Rsa);
    let kid = rsa.kid().expect("a kid");
    let twin = Key::new(KeyKind::OtherRsa).with_kid(kid);
    let ec = Key::new(KeyKind::P256).with_kid(kid);
    let ecs: Vec<Value> = (0..5)
        .map(|_| Key::new(KeyKind::P256).with_kid(kid).jwk())
        .collect();
    issuer.publish_only(&ecs);
    refuses_cold_and_warm(&server, &token(&issuer, &ec), "ambiguous_key");
    assert_eq!(
        asked(&issuer),
        (1, 1),
        "what is ambiguous is not asked for again within the cooldown"
    );
    issuer.publish_only(&[rsa.jwk(), twin.jwk()]);
    server.forget_keys();
    for _ in 0..2 {
        server.admits("alice", &token(&issuer, &rsa));
        server.admits("alice", &token(&issuer, &twin));
    }
    // The algorithm tells them apart; the same key twice is one key.
    issuer.publish_only(&[rsa.jwk(), ec.jwk(), rsa.jwk()]);
    server.forget_keys();
    for _ in 0..2 {
        server.admits("alice", &token(&issuer, &rsa));
        server.admits("alice", &token(&issuer, &ec));
    }
    issuer.publish_only(&[rsa.jwk_with(json!({"use": "enc"})), ec.jwk()]);
    refuses_cold_and_warm(&server, &token(&issuer, &rsa), "key_unsuitable");
    assert_eq!(asked(&issuer), (4, 4));
}

#[test]
fn of_a_hundred_and_forty_keys_the_first_128_work_for_every_login() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        let keys: Vec<Key> = (0..140).map(|_| Key::new(KeyKind::P256)).collect();
        let jwks: Vec<Value> = keys.iter().map(Key::jwk).collect();
        issuer.publish_only(&jwks);
        let server = mode.server_of(&issuer).start();
        // Both ends of each group of keys in memory, and some between.
        for number in [0, 1, 31, 32, 57, 63, 64, 95, 96, 120, CACHED - 1] {
            server.admits("alice", &token(&issuer, &keys[number]));
        }
        assert_eq!(asked(&issuer), (1, 1), "{mode:?}");
        // The login that fetches sees no more than the others do.
        for key in [&keys[CACHED], &keys[139]] {
            server.forget_keys();
            server.refuses("alice", &token(&issuer, key), "key_set_too_large");
        }
        server.admits("alice", &token(&issuer, &keys[0]));
    }
}

#[test]
fn keys_that_can_not_be_used_take_no_place_of_those_that_can() {
    let issuer = Issuer::builder().start();
    let good = Key::new(KeyKind::P256);
    let secret = Key::new(KeyKind::Secret);
    let mut jwks: Vec<Value> = (0..200)
        .map(|n| match n % 4 {
            0 => secret.jwk_with(json!({"kid": format!("secret-{n}")})),
            1 => json!({"kty": "new", "kid": format!("new-{n}")}),
            2 => json!({"kty": "RSA", "kid": format!("huge-{n}"), "e": "AQAB",
                        "n": rig::base64url([0xa5; 200])}),
            _ => json!(n),
        })
        .collect();
    // Too large for its place in the cache.
    jwks.push(json!({"kty": "RSA", "kid": "huge", "e": "AQAB", "n": rig::base64url([0xa5; 2048])}));
    jwks.push(good.jwk());
    issuer.publish_only(&jwks);
    for mode in Mode::BOTH {
        let server = mode.server_of(&issuer).start();
        server.admits("alice", &token(&issuer, &good));
        server.admits("alice", &token(&issuer, &good));
    }
    assert_eq!(asked(&issuer), (2, 2));
}

#[test]
fn answer_of_sixty_four_kilobytes_is_cached_like_any_other() {
    let issuer = Issuer::builder().start();
    let certificate = "A".repeat(64 * 1024);
    issuer.publish_jwk(Key::new(KeyKind::P256).jwk_with(json!({"x5c": [certificate]})));
    for mode in Mode::BOTH {
        let server = mode.server_of(&issuer).start();
        let before = issuer.requests().len();
        issuer.fail(Endpoint::Discovery, Fault::Oversize(64 * 1024));
        for _ in 0..3 {
            log_in(&server, &issuer);
        }
        assert_eq!(issuer.requests().len() - before, 2, "{mode:?}");
        assert_settled(&server, &issuer);
    }
}
