//! What providers write into the header of a token, which stays strict otherwise.

use rig::{Alg, Endpoint, Issuer, Key, KeyKind, Server, base64url};
use serde_json::json;

use crate::{admits, refuses, start};

#[test]
fn kid_that_is_null_or_empty_is_as_none() {
    let (issuer, server) = start();
    let anonymous = issuer.signing_key().without_kid();
    for jwk in [issuer.signing_key().jwk(), anonymous.jwk()] {
        issuer.publish_only(&[jwk, Key::new(KeyKind::P256).jwk()]);
        for kid in [json!(null), json!("")] {
            let token = issuer.token("alice").header("kid", kid.clone());
            admits(&server, &token.encode());
            let forged = token.signature_by(&Key::new(KeyKind::OtherRsa), Alg::RS256);
            refuses(&server, &forged.encode(), "bad_signature");
            let other = issuer
                .token("alice")
                .header("alg", "ES384")
                .header("kid", kid);
            refuses(&server, &other.encode(), "no_fitting_key");
        }
        let other = issuer.token("alice").header("kid", " ");
        refuses(&server, &other.encode(), "unknown_kid");
    }
    let twice = r#"{"alg":"RS256","typ":"at+jwt","kid":null,"kid":""}"#;
    let twice = issuer.token("alice").raw_header(twice).encode();
    refuses(&server, &twice, "header_malformed");
}

#[test]
fn header_may_bring_a_certificate_chain_that_is_never_used() {
    let (issuer, server) = start();
    let chain = |certificates: usize| {
        let chain = vec!["MIIF".repeat(500); certificates];
        issuer.token("alice").header("x5c", json!(chain))
    };
    admits(&server, &chain(3).encode());
    let forged = chain(3).signature_by(&Key::new(KeyKind::OtherRsa), Alg::RS256);
    refuses(&server, &forged.encode(), "bad_signature");
    let before = issuer.hits(Endpoint::Jwks);
    server.forget_keys();
    let verdict = server.refuses("alice", &chain(5).encode(), "header_too_large");
    let hint = "bytes; at most 8192 are read.";
    assert!(verdict.log.contains(hint), "{}", verdict.log);
    assert_eq!(
        issuer.hits(Endpoint::Jwks),
        before,
        "the provider was asked"
    );
}

#[test]
fn key_may_be_named_by_the_thumbprint_of_its_certificate() {
    for (name, bytes) in [("x5t", 20), ("x5t#S256", 32)] {
        // More than would be tried without a name.
        let keys: Vec<Key> = (0..6).map(|_| Key::new(KeyKind::P256)).collect();
        let issuer = Issuer::builder().key(keys[0].clone()).start();
        let server = Server::trusting(&issuer)
            .set("validator.jwks_refresh_cooldown", "1h")
            .start();
        let thumbprint = |number: usize| base64url(vec![number as u8 + 1; bytes]);
        // AD FS has the thumbprint as kid, too, and its tokens have no kid.
        let jwk = |number: usize| {
            let kid = thumbprint(number);
            keys[number].with_kid(&kid).jwk_with(json!({ name: kid }))
        };
        let token = |key: &Key, number: usize| {
            let token = issuer
                .token("alice")
                .signed_by(&key.without_kid(), Alg::ES256);
            token.header(name, thumbprint(number)).encode()
        };
        let jwks: Vec<_> = (0..5).map(jwk).collect();
        issuer.publish_only(&jwks);
        for (number, key) in keys.iter().enumerate().take(5) {
            admits(&server, &token(key, number));
        }
        refuses(
            &server,
            &token(&Key::new(KeyKind::P256), 0),
            "bad_signature",
        );
        refuses(&server, &token(&keys[0], 1), "bad_signature");
        let nameless = issuer
            .token("alice")
            .signed_by(&keys[0].without_kid(), Alg::ES256);
        refuses(&server, &nameless.encode(), "ambiguous_key");
        let odd = nameless.header(name, json!([thumbprint(0)]));
        refuses(&server, &odd.encode(), "header_malformed");
        // A kid goes before it.
        let named = issuer
            .token("alice")
            .signed_by(&keys[0].with_kid(&thumbprint(0)), Alg::ES256)
            .header(name, thumbprint(1));
        admits(&server, &named.encode());
        // One that nobody has published is asked for, as an unknown kid is.
        refuses(&server, &token(&keys[5], 5), "unknown_kid");
        server.forget_keys();
        server.admits("alice", &token(&keys[0], 0));
        issuer.publish_only(&[jwk(5)]);
        let before = issuer.hits(Endpoint::Jwks);
        server.admits("alice", &token(&keys[5], 5));
        server.refuses("alice", &token(&keys[0], 0), "unknown_kid");
        assert_eq!(issuer.hits(Endpoint::Jwks) - before, 1);
        // Where the keys have no thumbprints, a token's says nothing.
        issuer.publish_only(&[keys[0].jwk(), keys[1].jwk()]);
        admits(&server, &token(&keys[1], 3));
    }
}
