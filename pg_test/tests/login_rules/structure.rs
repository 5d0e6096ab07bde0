//! Size, parts, encoding and header: what is refused before anyone asks the provider.

use rig::{Alg, Issuer, Key, KeyKind, Server, SignatureFault, Token, base64url};
use serde_json::json;

use crate::start;

#[test]
fn token_of_the_allowed_size_gets_in_and_one_byte_more_does_not() {
    let (issuer, server) = start();
    let token = issuer.token("alice").encode();
    server.reload_with(&[("validator.max_token_size", &token.len().to_string())]);
    server.admits("alice", &token);
    server.reload_with(&[("validator.max_token_size", &(token.len() - 1).to_string())]);
    let verdict = server.refuses("alice", &token, "token_too_large");
    let hint = format!(
        "HINT:  The token has {} bytes; validator.max_token_size allows {}.",
        token.len(),
        token.len() - 1
    );
    assert!(verdict.log.contains(&hint), "{}", verdict.log);
}

#[test]
fn sixteen_kilobytes_are_allowed_unless_set_otherwise() {
    let (issuer, server) = start();
    let padded = |bytes: usize| {
        issuer
            .token("alice")
            .claim("pad", "x".repeat(bytes))
            .encode()
    };
    server.admits("alice", &padded(11_500));
    server.refuses("alice", &padded(12_000), "token_too_large");
    server.refuses("alice", &padded(40_000), "token_too_large");
}

#[test]
fn text_that_is_no_signed_jwt_is_refused_before_anyone_asks_the_provider() {
    let (issuer, server) = start();
    let good = issuer.token("alice").encode();
    let parts: Vec<&str> = good.split('.').collect();
    let (header, claims, signature) = (parts[0], parts[1], parts[2]);
    let header_of = |alg: &str| base64url(json!({"alg": alg, "typ": "at+jwt"}).to_string());
    let nothing = base64url("");
    for (token, reason) in [
        ("opaque".to_owned(), "not_a_jwt"),
        (
            "ya29.a0AfH6SMBexample-of-an-opaque-token".to_owned(),
            "not_a_jwt",
        ),
        ("....".to_owned(), "not_a_jwt"),
        (format!("{header}.{claims}"), "malformed_jwt"),
        (format!("{header}.{claims}.{signature}."), "malformed_jwt"),
        (
            format!("{header}.{claims}.{signature}.a.b.c"),
            "malformed_jwt",
        ),
        (
            format!("{header}.{claims}.{signature}.{signature}.{signature}"),
            "malformed_jwt",
        ),
        (
            format!(
                "{}.{header}.a.{claims}.{signature}",
                header_of("RSA-OAEP-256")
            ),
            "malformed_jwt",
        ),
        (
            format!(
                "{}.AAAA.AAAA.{signature}.AAAA",
                base64url(json!({"alg": "RSA-OAEP-256", "enc": "A256GCM"}).to_string())
            ),
            "encrypted_jwt",
        ),
        // Characters that PostgreSQL lets pass (RFC 6750 §2.1), but that are not base64url.
        (format!("{header}.{claims}.{signature}=="), "bad_encoding"),
        (format!("{header}.{claims}+.{signature}"), "bad_encoding"),
        (format!("{header}/.{claims}.{signature}"), "bad_encoding"),
        (format!("{header}.{claims}.~{signature}"), "bad_encoding"),
        // Length 1 modulo 4, and bits behind the last byte: another spelling of the same bytes.
        (format!("{header}.{claims}.A"), "bad_encoding"),
        (format!("{header}.{claims}.AB"), "bad_encoding"),
        (
            format!("{nothing}.{claims}.{signature}"),
            "header_malformed",
        ),
        ("..".to_owned(), "header_malformed"),
    ] {
        server.refuses("alice", &token, reason);
    }
    assert_eq!(issuer.requests().len(), 0, "the provider was asked");
    server.admits("alice", &good);
}

#[test]
fn header_is_one_small_json_object_without_repeated_members() {
    let (issuer, server) = start();
    let good = issuer.token("alice");
    let kid = issuer.signing_key().kid().expect("a kid").to_owned();
    let deep = format!(
        r#"{{"alg":"RS256","x":{}{}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    let large = format!(
        r#"{{"alg":"RS256","typ":"at+jwt","x":"{}"}}"#,
        "x".repeat(8192)
    );
    let twice = format!(r#"{{"alg":"RS256","typ":"at+jwt","kid":"{kid}","kid":"{kid}"}}"#);
    for header in [
        "",
        "null",
        "[]",
        r#""RS256""#,
        r#"{"alg":"RS256""#,
        r#"{"alg":"RS256"}{}"#,
        r#"{"alg":"RS256","alg":"none"}"#,
        r#"{"alg":"RS256","\u0061lg":"none"}"#,
        r#"{"alg":"RS256","typ":"at+jwt","x":{"a":1,"a":2}}"#,
        r#"{"alg":["RS256"],"typ":"at+jwt"}"#,
        r#"{"alg":null,"typ":"at+jwt"}"#,
        r#"{"alg":"RS256","typ":1}"#,
        r#"{"alg":"RS256","typ":"at+jwt","kid":1}"#,
        r#"{"alg":"RS256","typ":"at+jwt","kid":false}"#,
        &twice,
        &deep,
    ] {
        let token = good.clone().raw_header(header).encode();
        server.refuses("alice", &token, "header_malformed");
    }
    let not_utf8 = good.clone().raw_header(b"{\"alg\":\"RS256\xff\"}".to_vec());
    server.refuses("alice", &not_utf8.encode(), "header_malformed");
    let token = good.clone().raw_header(large.clone()).encode();
    let verdict = server.refuses("alice", &token, "header_too_large");
    let hint = format!(
        "HINT:  The token's header has {} bytes; at most 8192 are read.",
        large.len()
    );
    assert!(verdict.log.contains(&hint), "{}", verdict.log);
    assert_eq!(issuer.requests().len(), 0, "the provider was asked");
    // What is not known and demands nothing is ignored.
    server.admits(
        "alice",
        &good.header("x", json!({"a": [1, {"b": null}]})).encode(),
    );
}

#[test]
fn all_ten_algorithms_are_accepted() {
    let issuer = Issuer::builder().start();
    let keys = [
        KeyKind::Rsa,
        KeyKind::P256,
        KeyKind::P384,
        KeyKind::Ed25519,
        KeyKind::P521,
    ]
    .map(Key::new);
    issuer.publish_only(&keys.each_ref().map(Key::jwk));
    let server = Server::trusting(&issuer).start();
    for alg in Alg::ASYMMETRIC {
        let key = match alg {
            Alg::ES256 => &keys[1],
            Alg::ES384 => &keys[2],
            Alg::ES512 => &keys[4],
            Alg::EdDSA => &keys[3],
            _ => &keys[0],
        };
        server.admits("alice", &issuer.token("alice").signed_by(key, alg).encode());
    }
}

#[test]
fn unsigned_tokens_and_shared_secrets_are_never_accepted() {
    let (issuer, server) = start();
    let rsa = issuer.signing_key();
    let good = issuer.token("alice");
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let token = good
            .clone()
            .header("alg", alg)
            .signature_fault(SignatureFault::Empty);
        server.refuses("alice", &token.encode(), "alg_not_allowed");
        let token = good.clone().header("alg", alg).without_header("kid");
        server.refuses("alice", &token.encode(), "alg_not_allowed");
    }
    // The public key as an HMAC secret: as DER, as the modulus, and as the text of the JWK.
    let modulus = rsa.jwk()["n"].as_str().expect("a modulus").to_owned();
    for secret in [
        rsa.public_der(),
        modulus.into_bytes(),
        rsa.jwk().to_string().into_bytes(),
    ] {
        let forged = good.clone().signature_by(&Key::secret(&secret), Alg::HS256);
        server.refuses(
            "alice",
            &forged.header("alg", "HS256").encode(),
            "alg_not_allowed",
        );
    }
    for alg in [
        "HS384", "HS512", "ES521", "ES256K", "Ed448", "RS1", "rs256", "RS256 ", "dir", "A128KW",
    ] {
        server.refuses(
            "alice",
            &good.clone().header("alg", alg).encode(),
            "alg_not_allowed",
        );
    }
    server.refuses(
        "alice",
        &good.clone().without_header("alg").encode(),
        "alg_not_allowed",
    );
    assert_eq!(issuer.requests().len(), 0, "the provider was asked");
    server.admits("alice", &good.encode());
}

#[test]
fn shared_secret_in_the_key_set_does_not_verify_a_token() {
    let (issuer, server) = start();
    let secret = Key::new(KeyKind::Secret);
    issuer.publish_jwk(secret.jwk_with(json!({"alg": "HS256"})));
    let token = issuer
        .token("alice")
        .signed_by(&secret, Alg::HS256)
        .encode();
    server.refuses("alice", &token, "alg_not_allowed");
}

#[test]
fn only_configured_algorithms_are_accepted() {
    let issuer = Issuer::builder().start();
    let (rsa, ec) = (issuer.signing_key(), Key::new(KeyKind::P256));
    issuer.publish_only(&[rsa.jwk(), ec.jwk()]);
    let server = Server::trusting(&issuer)
        .log_everything()
        .set("validator.algorithms", "ES256, PS256")
        .start();
    let token = |key: &Key, alg| issuer.token("alice").signed_by(key, alg).encode();
    server.admits("alice", &token(&ec, Alg::ES256));
    server.admits("alice", &token(&rsa, Alg::PS256));
    let verdict = server.refuses("alice", &token(&rsa, Alg::RS256), "alg_not_allowed");
    let hint = "HINT:  The token names \"RS256\"; validator.algorithms accepts ES256, PS256.";
    assert!(verdict.log.contains(hint), "{}", verdict.log);
}

#[test]
fn extension_that_must_be_understood_is_refused() {
    let (issuer, server) = start();
    let good = issuer.token("alice");
    for crit in [
        json!(["exp"]),
        json!(["b64"]),
        json!(["alg"]),
        json!([]),
        json!("exp"),
        json!(null),
        json!({}),
    ] {
        let token = good
            .clone()
            .header("crit", crit)
            .header("b64", false)
            .header("exp", 1);
        server.refuses("alice", &token.encode(), "crit_unsupported");
    }
    // RFC 7797 §6: "b64" without "crit" means nothing; nor does "zip", which is JWE's.
    let ignored = good.header("b64", false).header("zip", "DEF");
    server.admits("alice", &ignored.encode());
}

#[test]
fn unencoded_payload_is_not_a_payload() {
    let (issuer, server) = start();
    // RFC 7797: the payload stands in the token as it is. Its signature is right over that form.
    let header = issuer
        .token("alice")
        .header("b64", false)
        .header("crit", json!(["b64"]));
    let header = base64url(header.header_json());
    for (payload, reason) in [
        ("~payload~", "bad_encoding"),
        ("unencoded-payload", "bad_encoding"),
        ("base64url-alike-", "crit_unsupported"),
    ] {
        let signed = issuer
            .signing_key()
            .sign(Alg::RS256, format!("{header}.{payload}").as_bytes());
        let token = format!("{header}.{payload}.{}", base64url(signed));
        server.refuses("alice", &token, reason);
    }
}

#[test]
fn type_of_the_token_must_be_at_jwt_unless_set_otherwise() {
    let (issuer, server) = start();
    let typed = |typ: &str| issuer.token("alice").header("typ", typ);
    for typ in [
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "Application/At+Jwt",
    ] {
        server.admits("alice", &typed(typ).encode());
    }
    for typ in [
        "JWT",
        "",
        "at+jwt ",
        "jwt",
        "logout+jwt",
        "dpop+jwt",
        "x/at+jwt",
        "text/at+jwt",
    ] {
        server.refuses("alice", &typed(typ).encode(), "typ_not_allowed");
    }
    let untyped = issuer.token("alice").without_header("typ").encode();
    let verdict = server.refuses("alice", &untyped, "typ_not_allowed");
    for hint in [
        "The token's header has no \"typ\"",
        "If this is an ID token",
    ] {
        assert!(verdict.log.contains(hint), "{}", verdict.log);
    }

    server.reload_with(&[("validator.token_types", "JWT")]);
    server.admits("alice", &typed("JWT").encode());
    server.admits("alice", &typed("application/jwt").encode());
    server.refuses("alice", &typed("at+jwt").encode(), "typ_not_allowed");
    server.refuses("alice", &untyped, "typ_not_allowed");

    server.reload_with(&[("validator.token_types", "at+jwt, -")]);
    server.admits("alice", &untyped);
    server.admits("alice", &typed("at+jwt").encode());
    server.refuses("alice", &typed("-").encode(), "typ_not_allowed");
}

#[test]
fn header_can_not_forge_a_log_line() {
    let (issuer, server) = start();
    let forged =
        "x\n2026-01-01 00:00:00.000 UTC [1] LOG:  connection authorized: user=postgres\r\u{202e}";
    let spoiled: [fn(Token, &str) -> Token; 3] = [
        |token, text| token.header("alg", text),
        |token, text| token.header("typ", text),
        |token, text| token.header("kid", text),
    ];
    for (spoil, reason) in
        spoiled
            .into_iter()
            .zip(["alg_not_allowed", "typ_not_allowed", "unknown_kid"])
    {
        let verdict = server.refuses(
            "alice",
            &spoil(issuer.token("alice"), forged).encode(),
            reason,
        );
        let forgery = |line: &str| {
            line.contains("user=postgres") && !line.contains("reason=") && !line.contains("HINT:")
        };
        assert!(!verdict.log.lines().any(forgery), "{}", verdict.log);
        assert!(verdict.log.contains(r"x\u{a}2026-01-01"), "{}", verdict.log);
    }
}
