//! What providers write into the header of a token, which stays strict otherwise.

use rig::{Alg, Endpoint, Key, KeyKind};
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
