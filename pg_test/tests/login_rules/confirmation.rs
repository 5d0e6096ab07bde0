//! Tokens that are bound to a key: who presents them must prove to have it.

use std::fs;

use pg_test::{Authority, DeviceLogin, Identity, Issuer, Login, Server, Token, base64url, scratch};
use serde_json::{Value, json};

/// A server that asks clients for certificates and logs everything, and the issuer that it trusts.
fn start() -> (Issuer, Server) {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .client_certificates()
        .log_everything()
        .start();
    (issuer, server)
}

/// RFC 8705 §3.1.
fn bound_to(issuer: &Issuer, identity: &Identity) -> Token {
    issuer
        .token("alice")
        .claim("cnf", json!({"x5t#S256": identity.thumbprint()}))
}

fn login(server: &Server, identity: Option<&Identity>, token: &str) -> Login {
    Login::by_tls(server, "alice", identity).token(token)
}

#[test]
fn bound_token_gets_in_with_its_certificate_only() {
    let (issuer, server) = start();
    let own = Authority::shared().client("alice");
    let token = bound_to(&issuer, &own).encode();
    let mut session = server.admits_login(login(&server, Some(&own), &token));
    assert_eq!(session.value("SELECT system_user"), "oauth:alice");

    let stolen = [
        (login(&server, None, &token), "certificate_missing"),
        (
            Login::new(&server, "alice").token(&token),
            "certificate_missing",
        ),
        (
            login(&server, Some(&Authority::shared().client("alice")), &token),
            "certificate_mismatch",
        ),
        (
            login(
                &server,
                Some(&Authority::shared().client("mallory")),
                &token,
            ),
            "certificate_mismatch",
        ),
    ];
    for (login, reason) in stolen {
        let verdict = server.refuses_login(login, &token, reason);
        assert!(
            verdict.log.contains("HINT:  The client must connect"),
            "{}",
            verdict.log
        );
    }
}

#[test]
fn token_that_is_not_bound_gets_in_with_and_without_a_certificate() {
    let (issuer, server) = start();
    let token = issuer.token("alice").encode();
    server.admits("alice", &token);
    server.admits_login(login(&server, None, &token));
    server.admits_login(login(
        &server,
        Some(&Authority::shared().client("anyone")),
        &token,
    ));
}

#[test]
fn certificate_that_the_server_does_not_ask_for_proves_nothing() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).tls().log_everything().start();
    let own = Authority::shared().client("alice");
    let token = bound_to(&issuer, &own).encode();
    let verdict = server.refuses_login(
        login(&server, Some(&own), &token),
        &token,
        "certificate_missing",
    );
    assert!(
        verdict.log.contains("ssl_ca_file must be set"),
        "{}",
        verdict.log
    );
}

#[test]
fn binding_that_can_not_be_proven_here_is_refused() {
    let (issuer, server) = start();
    let own = Authority::shared().client("alice");
    let thumbprint = own.thumbprint();
    for (cnf, method) in [
        (json!({"jkt": base64url([1; 32])}), "jkt"),
        (
            json!({"jkt": base64url([1; 32]), "x5t#S256": thumbprint}),
            "jkt",
        ),
        (json!({"jwk": {"kty": "EC"}}), "jwk"),
        (json!({"kid": "k"}), "kid"),
        (json!({"x5t": thumbprint}), "x5t"),
        (json!({"x5t#s256": thumbprint}), "x5t#s256"),
    ] {
        let token = issuer.token("alice").claim("cnf", cnf).encode();
        let verdict = server.refuses_login(
            login(&server, Some(&own), &token),
            &token,
            "cnf_unsupported",
        );
        let hint = format!("HINT:  The token is bound by \"{method}\"; only \"x5t#S256\"");
        assert!(verdict.log.contains(&hint), "{}", verdict.log);
    }
}

#[test]
fn malformed_binding_is_not_taken_for_none() {
    let (issuer, server) = start();
    let own = Authority::shared().client("alice");
    for cnf in [
        Value::Null,
        json!({}),
        json!([]),
        json!(""),
        json!(false),
        json!([{"x5t#S256": own.thumbprint()}]),
        json!({"x5t#S256": null}),
        json!({"x5t#S256": 1}),
        json!({"x5t#S256": [own.thumbprint()]}),
        json!({"x5t#S256": ""}),
        json!({"x5t#S256": "AAAA"}),
        json!({"x5t#S256": format!("{}=", own.thumbprint())}),
        json!({"x5t#S256": base64url([0; 33])}),
    ] {
        let token = issuer.token("alice").claim("cnf", cnf).encode();
        server.refuses_login(login(&server, Some(&own), &token), &token, "cnf_malformed");
    }
}

#[test]
fn psql_gets_in_with_a_bound_token_and_its_certificate() {
    let (issuer, server) = start();
    let own = Authority::shared().client("alice");
    let thumbprint = own.thumbprint();
    issuer.alter_tokens(move |token| token.claim("cnf", json!({"x5t#S256": thumbprint})));
    let folder = scratch::new_folder("psql");
    let (certificate, key) = (folder.join("client.crt"), folder.join("client.key"));
    fs::write(&certificate, own.certificate_pem()).expect("the certificate can be written");
    fs::write(&key, own.key_pem()).expect("the key can be written");
    close_to_others(&key);

    let parameters = format!(
        "sslmode=verify-ca sslrootcert={} sslcert={} sslkey={}",
        Authority::shared().file().display(),
        certificate.display(),
        key.display()
    );
    let psql = |parameters: &str| {
        DeviceLogin::new(&server, "alice", issuer.url())
            .parameters(parameters)
            .run(|prompt| issuer.approve(&prompt.user_code, "alice"))
    };
    assert_eq!(psql(&parameters).success(), "oauth:alice");
    let mark = server.log().mark();
    let without = psql("sslmode=require sslcertmode=disable");
    assert!(!without.psql.status.success(), "{without:?}");
    let log = server.log().since(mark);
    assert_eq!(
        pg_test::reasons(&log).collect::<Vec<_>>(),
        ["certificate_missing"],
        "{log}"
    );
}

/// libpq takes no private key that others can read.
fn close_to_others(file: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("its mode can be set");
}
