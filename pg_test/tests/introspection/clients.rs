//! How this server shows the provider who it is: logins that open only if the issuer is convinced.

use std::path::Path;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, SignatureAlgorithm};
use rig::{
    Authority, ClientCertificates, ClientCheck, Endpoint, Fault, Identity, Issuer, Server,
    ServerBuilder,
};
use serde_json::json;

use crate::{BOTH, asked, server_of};

/// What has to survive a form, a header, a file and a setting.
const ID: &str = "my client:1";
const SECRET: &str = "p%s:ü&= +/\"'\\";

fn server_with(issuer: &Issuer, method: &str, preload: bool) -> ServerBuilder {
    server_of(issuer, "opaque", preload)
        .set("validator.client_auth_method", method)
        .set("validator.introspection_cache_ttl", "0")
}

/// Makes this file the value of a setting.
#[track_caller]
fn set_file(server: &Server, setting: &str, file: &Path) {
    let file = file.to_str().expect("the path is UTF-8");
    server.reload_with(&[(&format!("validator.{setting}"), file)]);
}

/// The login is refused because the provider does not know its client.
#[track_caller]
fn assert_unknown_client(server: &Server, token: &str) {
    server.forget_keys();
    let verdict = server.refuses("alice", token, "provider_unavailable");
    let found = verdict.log.contains("cause=introspection_unauthorized ");
    assert!(found, "{}", verdict.log);
}

/// Nothing that was ever logged has a part of the secret, as it is or as it is sent.
#[track_caller]
fn assert_never_logged(server: &Server, secret: &str) {
    let log = server.log().text();
    let lines = secret.lines().filter(|line| !line.starts_with("-----"));
    for part in lines.filter(|line| line.len() >= 8) {
        assert!(!log.contains(part), "the log has a secret");
        let encoded = STANDARD.encode(part);
        assert!(!log.contains(&encoded[..8]), "the log has a secret");
    }
}

#[test]
fn secret_is_sent_as_the_method_says() {
    type Check = fn(String, String) -> ClientCheck;
    let methods: [(&str, Check); 3] = [
        ("client_secret_basic", ClientCheck::SecretBasic),
        ("client_secret_basic_raw", ClientCheck::SecretBasicRaw),
        ("client_secret_post", ClientCheck::SecretPost),
    ];
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let token = issuer.opaque_token("alice");
        let server = server_with(&issuer, "client_secret_basic", preload)
            .set("validator.client_id", ID)
            .start();
        set_file(
            &server,
            "client_secret_file",
            &server.private_file("secret", &format!("{SECRET}\n")),
        );
        for (method, check) in methods {
            server.reload_with(&[("validator.client_auth_method", method)]);
            issuer.introspection_only_for(check(ID.into(), SECRET.into()));
            server.admits("alice", &token);
            issuer.introspection_only_for(check(ID.into(), "another".into()));
            assert_unknown_client(&server, &token);
            issuer.introspection_only_for(check("another".into(), SECRET.into()));
            assert_unknown_client(&server, &token);
        }
        // Raw and encoded differ.
        issuer.introspection_only_for(ClientCheck::SecretBasic(ID.into(), SECRET.into()));
        server.reload_with(&[("validator.client_auth_method", "client_secret_basic_raw")]);
        assert_unknown_client(&server, &token);
        assert_never_logged(&server, SECRET);
        assert_never_logged(&server, "p%25s%3A%C3%BC%26%3D+");
    }
}

#[test]
fn rotated_secret_is_used_from_the_next_request_on() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let token = issuer.opaque_token("alice");
        let server = server_with(&issuer, "client_secret_basic", preload).start();
        let file = server.private_file("secret", "the old secret");
        set_file(&server, "client_secret_file", &file);
        issuer.introspection_only_for(ClientCheck::SecretBasic(
            "pg".into(),
            "the old secret".into(),
        ));
        server.admits("alice", &token);
        issuer.introspection_only_for(ClientCheck::SecretBasic(
            "pg".into(),
            "the new secret".into(),
        ));
        assert_unknown_client(&server, &token);
        // No reload, and by a rename, as secrets are replaced.
        let new = server.private_file("secret.new", "the new secret");
        std::fs::rename(new, file).expect("the file can be renamed");
        server.forget_keys();
        server.admits("alice", &token);
    }
}

#[test]
fn assertion_is_signed_by_the_key_in_the_file() {
    let kinds: [(
        &SignatureAlgorithm,
        &str,
        &'static dyn VerificationAlgorithm,
    ); 3] = [
        (&PKCS_RSA_SHA256, "RS256", &RSA_PKCS1_2048_8192_SHA256),
        (&PKCS_ECDSA_P256_SHA256, "ES256", &ECDSA_P256_SHA256_FIXED),
        (&PKCS_ED25519, "EdDSA", &ED25519),
    ];
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let token = issuer.opaque_token("alice");
        let server = server_with(&issuer, "private_key_jwt", preload).start();
        for (kind, alg, algorithm) in kinds {
            let key = KeyPair::generate_for(kind).expect("a key can be made");
            let check = |audience: &str| ClientCheck::Assertion {
                id: "pg".to_owned(),
                audience: audience.to_owned(),
                alg,
                algorithm,
                key: key.public_key_raw().to_vec(),
            };
            let file = server.private_file("client.key", &key.serialize_pem());
            set_file(&server, "client_key_file", &file);
            issuer.introspection_only_for(check(issuer.url()));
            // The issuer takes none twice.
            for _ in 0..2 {
                server.admits("alice", &token);
            }
            issuer.introspection_only_for(check("https://another.test"));
            assert_unknown_client(&server, &token);
            issuer.introspection_only_for(check(issuer.url()));
            let other = KeyPair::generate_for(kind).expect("a key can be made");
            server.private_file("client.key", &other.serialize_pem());
            assert_unknown_client(&server, &token);
            assert_never_logged(&server, &key.serialize_pem());
        }
        for wrong in ["no PEM", Authority::shared().client("pg").certificate_pem()] {
            server.private_file("client.key", wrong);
            let verdict = server.refuses("alice", &token, "setting_invalid");
            assert!(verdict.log.contains("client_key_file"), "{}", verdict.log);
        }
    }
}

/// Both files of a client's certificate.
#[track_caller]
fn set_certificate(server: &Server, identity: &Identity) {
    let certificate = server.private_file("client.crt", identity.certificate_pem());
    let key = server.private_file("client.key", &identity.key_pem());
    set_file(server, "client_cert_file", &certificate);
    set_file(server, "client_key_file", &key);
}

#[test]
fn certificate_is_presented_to_an_issuer_that_demands_one() {
    for preload in BOTH {
        let issuer = Issuer::builder()
            .https()
            .client_certificates(ClientCertificates::Demanded)
            .start();
        let token = issuer.opaque_token("alice");
        let server = server_with(&issuer, "tls_client_auth", preload)
            .set(
                "validator.introspection_endpoint",
                &format!("{}/introspect", issuer.url()),
            )
            .start();
        let own = Authority::shared().client("pg");
        set_certificate(&server, &own);
        issuer.introspection_only_for(ClientCheck::Certificate("pg".into(), own.thumbprint()));
        server.admits("alice", &token);
        // Another client's, which the issuer trusts as much.
        set_certificate(&server, &Authority::shared().client("pg"));
        assert_unknown_client(&server, &token);
        // One that it does not trust, and none.
        set_certificate(&server, &Authority::new("strangers").client("pg"));
        server.forget_keys();
        server.refuses("alice", &token, "provider_unavailable");
        server.reload_with(&[("validator.client_auth_method", "none")]);
        server.forget_keys();
        // TLS 1.3 ends the handshake before the certificate is refused, so the cause is `tls` or a lost connection.
        server.refuses("alice", &token, "provider_unavailable");
        assert_never_logged(&server, &own.key_pem());
    }
}

#[test]
fn certificate_goes_to_the_alias_that_the_metadata_names() {
    let issuer = Issuer::builder()
        .https()
        .client_certificates(ClientCertificates::Requested)
        .start();
    let token = issuer.opaque_token("alice");
    let server = server_with(&issuer, "tls_client_auth", false).start();
    let own = Authority::shared().client("pg");
    set_certificate(&server, &own);
    issuer.introspection_only_for(ClientCheck::Certificate("pg".into(), own.thumbprint()));
    let alias = format!("{}/introspect", issuer.url());
    issuer.fail(
        Endpoint::Discovery,
        Fault::altered(move |document| {
            document["introspection_endpoint"] = json!("https://localhost:1/introspect");
            document["mtls_endpoint_aliases"] = json!({"introspection_endpoint": alias});
        }),
    );
    server.admits("alice", &token);
    assert_eq!(asked(&issuer), (1, 1));
}

#[test]
fn certificate_and_key_must_belong_together() {
    let issuer = Issuer::builder().https().start();
    let token = issuer.opaque_token("alice");
    let server = server_with(&issuer, "tls_client_auth", false).start();
    let (own, other) = (
        Authority::shared().client("pg"),
        Authority::shared().client("pg"),
    );
    set_certificate(&server, &own);
    server.private_file("client.key", &other.key_pem());
    let outcome = server.refuses("alice", &token, "setting_invalid");
    assert!(outcome.log.contains("client_cert_file"), "{}", outcome.log);
    for (file, text) in [
        ("client.crt", own.key_pem()),
        ("client.crt", "no PEM".to_owned()),
        ("client.key", "no PEM".to_owned()),
    ] {
        set_certificate(&server, &own);
        server.private_file(file, &text);
        server.refuses("alice", &token, "setting_invalid");
    }
    assert_eq!(asked(&issuer).1, 0);
}

#[test]
fn token_of_its_own_goes_to_servers_that_the_administrator_has_named() {
    let (issuer, elsewhere) = (Issuer::builder().start(), Issuer::builder().start());
    let token = issuer.opaque_token("alice");
    let server = server_with(&issuer, "none", false).start();
    let file = server.private_file("token", "own-token-1\n");
    set_file(&server, "http_bearer_file", &file);
    issuer.introspection_only_for(ClientCheck::Bearer("own-token-1".into()));
    server.admits("alice", &token);
    issuer.introspection_only_for(ClientCheck::Bearer("own-token-2".into()));
    assert_unknown_client(&server, &token);
    server.private_file("token", "own-token-2");
    server.forget_keys();
    server.admits("alice", &token);
    assert_never_logged(&server, "own-token-1");
    assert_never_logged(&server, "own-token-2");

    // The metadata do not decide who gets it.
    let other = format!("{}/introspect", elsewhere.url());
    let named = other.clone();
    issuer.fail(
        Endpoint::Discovery,
        Fault::altered(move |document| document["introspection_endpoint"] = json!(named)),
    );
    elsewhere.say(&token, issuer.word_on("alice"));
    elsewhere.introspection_only_for(ClientCheck::Bearer("own-token-2".into()));
    assert_unknown_client(&server, &token);
    assert_eq!(asked(&elsewhere).1, 1);
    server.reload_with(&[("validator.introspection_endpoint", &other)]);
    server.forget_keys();
    server.admits("alice", &token);

    server.private_file("token", "two tokens");
    let verdict = server.refuses("alice", &token, "setting_invalid");
    assert!(verdict.log.contains("http_bearer_file"), "{}", verdict.log);
}

#[test]
fn client_that_needs_no_secret_sends_its_name_only() {
    let issuer = Issuer::builder().start();
    let token = issuer.opaque_token("alice");
    let server = server_with(&issuer, "none", false).start();
    issuer.introspection_only_for(ClientCheck::Name("pg".into()));
    server.admits("alice", &token);
    issuer.introspection_only_for(ClientCheck::Name("other".into()));
    assert_unknown_client(&server, &token);
}
