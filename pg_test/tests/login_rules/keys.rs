//! Which of the provider's keys may verify a token.

use rig::{Alg, Endpoint, Issuer, Key, KeyKind, Server, base64url};
use serde_json::{Value, json};

use crate::start;

fn kid(key: &Key) -> &str {
    key.kid().expect("a kid")
}

/// The issuer publishes nothing but these keys, and the server has not seen others.
fn publish_only(issuer: &Issuer, server: &Server, jwks: &[Value]) {
    issuer.publish_only(jwks);
    server.forget_keys();
}

#[test]
fn key_is_found_by_its_kid_among_others() {
    let (issuer, server) = start();
    for kind in [
        KeyKind::OtherRsa,
        KeyKind::P256,
        KeyKind::P256,
        KeyKind::Ed25519,
    ] {
        issuer.publish(&Key::new(kind));
    }
    server.admits("alice", &issuer.token("alice").encode());
    let last = issuer.rotate();
    server.forget_keys();
    assert_eq!(issuer.signing_key().kid(), last.kid());
    server.admits("alice", &issuer.token("alice").encode());
}

#[test]
fn token_of_a_key_that_the_provider_does_not_publish_is_refused() {
    let (issuer, server) = start();
    let good = issuer.token("alice");
    let stranger = Key::new(KeyKind::P256);
    let verdict = server.refuses(
        "alice",
        &good.clone().signed_by(&stranger, Alg::ES256).encode(),
        "unknown_kid",
    );
    let detail = format!(
        "DETAIL:  reason=unknown_kid hba_line=3 line_issuer={} kid={}",
        issuer.url(),
        kid(&stranger)
    );
    assert!(verdict.log.contains(&detail), "{}", verdict.log);
    let own = kid(&issuer.signing_key()).to_owned();
    for other in [
        own.to_uppercase(),
        format!("{own} "),
        format!("{own}\0"),
        "../../etc/passwd".into(),
    ] {
        server.refuses(
            "alice",
            &good.clone().header("kid", other).encode(),
            "unknown_kid",
        );
    }
}

#[test]
fn token_without_kid_needs_a_fitting_key() {
    let issuer = Issuer::builder().start();
    let (rsa, other) = (Key::new(KeyKind::Rsa), Key::new(KeyKind::OtherRsa));
    let ec = Key::new(KeyKind::P256);
    let server = Server::trusting(&issuer).log_everything().start();
    let token = |key: &Key, alg| {
        issuer
            .token("alice")
            .signed_by(&key.without_kid(), alg)
            .encode()
    };
    let by_rsa = token(&rsa, Alg::RS256);

    publish_only(&issuer, &server, &[ec.jwk(), rsa.jwk()]);
    server.admits("alice", &by_rsa);
    server.admits("alice", &token(&ec, Alg::ES256));
    publish_only(&issuer, &server, &[ec.jwk(), rsa.without_kid().jwk()]);
    server.admits("alice", &by_rsa);
    // A second key that may not verify, or not this algorithm, leaves one that fits.
    let encryption = other.jwk_with(json!({"use": "enc"}));
    let rs512 = other.jwk_with(json!({"alg": "RS512"}));
    publish_only(&issuer, &server, &[encryption, rs512, rsa.jwk()]);
    server.admits("alice", &by_rsa);

    publish_only(&issuer, &server, &[ec.jwk()]);
    server.refuses("alice", &by_rsa, "no_fitting_key");
    publish_only(
        &issuer,
        &server,
        &[ec.jwk(), rsa.jwk_with(json!({"alg": "PS256"}))],
    );
    server.refuses("alice", &by_rsa, "no_fitting_key");
    publish_only(&issuer, &server, &[rsa.jwk(), other.jwk()]);
    server.admits("alice", &by_rsa);
    server.admits("alice", &token(&other, Alg::PS256));
}

#[test]
fn of_two_keys_of_one_kid_each_is_tried() {
    let issuer = Issuer::builder().start();
    let (rsa, other) = (Key::new(KeyKind::Rsa), Key::new(KeyKind::OtherRsa));
    let ec = Key::new(KeyKind::P256).with_kid(kid(&rsa));
    let server = Server::trusting(&issuer).log_everything().start();
    let token = issuer.token("alice").signed_by(&rsa, Alg::RS256).encode();
    let twin = other.with_kid(kid(&rsa));

    publish_only(&issuer, &server, &[rsa.jwk(), twin.jwk()]);
    server.admits("alice", &token);
    publish_only(&issuer, &server, &[twin.jwk(), rsa.jwk()]);
    server.admits("alice", &token);
    publish_only(&issuer, &server, &[ec.jwk(), rsa.jwk()]);
    server.admits("alice", &token);
    publish_only(
        &issuer,
        &server,
        &[twin.jwk_with(json!({"use": "enc"})), rsa.jwk()],
    );
    server.admits("alice", &token);
    publish_only(&issuer, &server, &[rsa.jwk(), rsa.jwk()]);
    server.admits("alice", &token);
}

#[test]
fn key_that_is_not_for_this_signature_is_not_used() {
    let issuer = Issuer::builder().start();
    // A good key, so that the key set as a whole is usable.
    let bystander = Key::new(KeyKind::Ed25519).jwk();
    let server = Server::trusting(&issuer).log_everything().start();
    let rsa = Key::new(KeyKind::Rsa);
    let token = issuer.token("alice").signed_by(&rsa, Alg::RS256).encode();
    let publish = |jwk: Value| publish_only(&issuer, &server, &[bystander.clone(), jwk]);
    for changes in [
        json!({}),
        json!({"use": null}),
        json!({"alg": "RS256"}),
        json!({"use": null, "key_ops": ["verify"]}),
        json!({"key_ops": ["verify", "encrypt"]}),
        json!({"key_ops": []}),
        json!({"x5c": ["AAAA"], "x5t": "AAAA", "unknown": {"member": 1}}),
    ] {
        publish(rsa.jwk_with(changes));
        server.admits("alice", &token);
    }
    for changes in [
        json!({"use": "enc"}),
        json!({"use": "tls"}),
        json!({"key_ops": ["encrypt"]}),
        json!({"key_ops": ["sign"]}),
        json!({"alg": "PS256"}),
        json!({"alg": "RS384"}),
        json!({"alg": "ES256"}),
        json!({"alg": "RSA-OAEP"}),
        json!({"alg": "HS256"}),
        json!({"kty": "EC"}),
        json!({"kty": "rsa"}),
        json!({"kty": null}),
        json!({"n": null}),
        json!({"n": "AQAB"}),
        json!({"e": "AQ"}),
        json!({"e": "Ag"}),
        json!({"e": ""}),
    ] {
        publish(rsa.jwk_with(changes));
        server.refuses("alice", &token, "key_unsuitable");
    }
}

#[test]
fn key_of_another_type_curve_or_strength_is_not_used() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).log_everything().start();
    let [rsa, weak, p256, p384, ed25519, secret] = [
        KeyKind::Rsa,
        KeyKind::WeakRsa,
        KeyKind::P256,
        KeyKind::P384,
        KeyKind::Ed25519,
        KeyKind::Secret,
    ]
    .map(Key::new);
    let keys = [&rsa, &weak, &p256, &p384, &ed25519, &secret];
    publish_only(&issuer, &server, &keys.map(Key::jwk));
    // What the header names, and what really signed.
    for (named, alg, signer) in [
        (&weak, Alg::RS256, &weak),
        (&p384, Alg::ES256, &p256),
        (&p256, Alg::ES384, &p384),
        (&ed25519, Alg::ES256, &p256),
        (&p256, Alg::EdDSA, &ed25519),
        (&rsa, Alg::ES256, &p256),
        (&p256, Alg::RS256, &rsa),
        (&secret, Alg::RS256, &rsa),
        (&secret, Alg::ES256, &p256),
    ] {
        let token = issuer
            .token("alice")
            .signed_by(signer, alg)
            .header("kid", kid(named));
        server.refuses("alice", &token.encode(), "key_unsuitable");
    }
    // Other curves, and members that do not fit the curve.
    for changes in [
        json!({"crv": "P-521"}),
        json!({"crv": "secp256k1"}),
        json!({"crv": "P-384"}),
        json!({"y": null}),
        json!({"x": "AAAA"}),
    ] {
        publish_only(&issuer, &server, &[rsa.jwk(), p256.jwk_with(changes)]);
        let token = issuer.token("alice").signed_by(&p256, Alg::ES256);
        server.refuses("alice", &token.encode(), "key_unsuitable");
    }
}

#[test]
fn point_that_is_not_on_its_curve_verifies_nothing() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).log_everything().start();
    let p256 = Key::new(KeyKind::P256);
    let token = issuer.token("alice").signed_by(&p256, Alg::ES256).encode();
    let off_curve = p256.jwk_with(json!({"x": base64url([1; 32])}));
    publish_only(&issuer, &server, &[issuer.signing_key().jwk(), off_curve]);
    server.refuses("alice", &token, "key_unsuitable");
    publish_only(&issuer, &server, &[p256.jwk()]);
    server.admits("alice", &token);
}

#[test]
fn keys_and_places_of_keys_that_the_token_brings_along_are_not_used() {
    let (issuer, server) = start();
    let attacker = Issuer::builder().start();
    let key = Key::new(KeyKind::OtherRsa);
    attacker.publish(&key);
    let jwks = format!("{}/jwks", attacker.url());
    let own = issuer.signing_key();
    for (name, value) in [
        ("jwk", key.jwk()),
        ("jku", json!(jwks)),
        ("x5u", json!(jwks)),
        ("x5c", json!([base64url(key.public_der())])),
        ("x5t#S256", json!(base64url([0; 32]))),
    ] {
        let forged = issuer
            .token("alice")
            .signed_by(&key, Alg::RS256)
            .header(name, value.clone());
        server.refuses("alice", &forged.clone().encode(), "unknown_kid");
        server.refuses(
            "alice",
            &forged.clone().header("kid", kid(&own)).encode(),
            "bad_signature",
        );
        server.refuses(
            "alice",
            &forged.without_header("kid").encode(),
            "bad_signature",
        );
        // Beside a good signature they are ignored.
        server.admits("alice", &issuer.token("alice").header(name, value).encode());
    }
    assert_eq!(
        attacker.requests().len(),
        0,
        "the attacker's server was asked"
    );
    assert!(issuer.hits(Endpoint::Jwks) > 0);
}
