//! Tokens that are bound to a key: who presents them must prove to have it.

use rig::{
    Authority, DeviceLogin, DeviceOutcome, Identity, Issuer, Login, Server, Token, base64url,
    oauth_line,
};
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
        verdict.log.contains("ssl_ca_file is not set"),
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

/// What psql must be told to present a certificate.
fn presenting(identity: &Identity) -> String {
    let (certificate, key) = identity.files();
    format!(
        "sslmode=verify-ca sslrootcert={} sslcert={} sslkey={}",
        Authority::shared().file().display(),
        certificate.display(),
        key.display()
    )
}

/// How psql logs in with a token of the device flow, and what the server's log then has.
fn psql(server: &Server, issuer: &Issuer, parameters: &str) -> (DeviceOutcome, String) {
    let mark = server.log().mark();
    let outcome = DeviceLogin::new(server, "alice", issuer.url())
        .parameters(parameters)
        .run(|prompt| issuer.approve(&prompt.user_code, "alice"));
    (outcome, server.log().since(mark))
}

#[test]
fn psql_gets_in_with_the_certificate_that_its_token_is_bound_to_and_no_other() {
    let own = Authority::shared().client("alice");
    let mallorys = Authority::shared().client("mallory");
    // RFC 8705 §3.1: the thumbprint is the certificate's, not the key's.
    let renewed = Authority::shared().renew(&own);
    for (kind, clientcert) in [("host", ""), ("hostssl", "clientcert=verify-ca")] {
        let issuer = Issuer::builder().start();
        let server = Server::builder()
            .set("validator.audience", Issuer::AUDIENCE)
            .set("validator.allow_http", "on")
            .client_certificates()
            .log_everything()
            .hba(&oauth_line(issuer.url(), clientcert).replacen("host", kind, 1))
            .start();
        let thumbprint = own.thumbprint();
        issuer.alter_tokens(move |token| token.claim("cnf", json!({"x5t#S256": thumbprint})));

        let (outcome, log) = psql(&server, &issuer, &presenting(&own));
        assert_eq!(outcome.success(), "oauth:alice", "{log}");

        let others = [
            (presenting(&mallorys), "certificate_mismatch"),
            (presenting(&renewed), "certificate_mismatch"),
            (
                "sslmode=require sslcertmode=disable".to_owned(),
                "certificate_missing",
            ),
            ("sslmode=disable".to_owned(), "certificate_missing"),
        ];
        for (parameters, reason) in others {
            let (outcome, log) = psql(&server, &issuer, &parameters);
            assert!(!outcome.psql.status.success(), "{parameters}: {outcome:?}");
            let reasons: Vec<_> = rig::reasons(&log).collect();
            if kind == "hostssl" && reason == "certificate_missing" {
                // PostgreSQL itself refuses, before it asks for a token.
                assert_eq!(outcome.prompt, None);
                assert!(reasons.is_empty(), "{log}");
                assert!(
                    log.contains("requires a valid client certificate")
                        || log.contains("no pg_hba.conf entry"),
                    "{log}"
                );
            } else {
                assert_eq!(reasons, [reason], "{parameters}: {log}");
            }
        }
    }
}

#[test]
fn binding_is_demanded_where_it_is_set() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .client_certificates()
        .set("validator.require_bound_token", "on")
        .log_everything()
        .start();
    let own = Authority::shared().client("alice");
    let bound = bound_to(&issuer, &own).encode();
    server.admits_login(login(&server, Some(&own), &bound));
    let free = issuer.token("alice").encode();
    for login in [
        login(&server, Some(&own), &free),
        login(&server, None, &free),
        Login::new(&server, "alice").token(&free),
    ] {
        let verdict = server.refuses_login(login, &free, "token_not_bound");
        assert!(
            verdict
                .log
                .contains("HINT:  validator.require_bound_token is on"),
            "{}",
            verdict.log
        );
    }
    server.refuses_login(login(&server, None, &bound), &bound, "certificate_missing");
    server.reload_with(&[("validator.require_bound_token", "off")]);
    server.admits("alice", &free);
}

#[test]
fn opaque_token_is_bound_by_what_the_provider_says() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .client_certificates()
        .set("validator.introspection", "opaque")
        .set("validator.client_auth_method", "none")
        .set("validator.require_bound_token", "on")
        .log_everything()
        .start();
    let own = Authority::shared().client("alice");
    let token = issuer.opaque_token("alice");
    let mut word = issuer.word_on("alice");
    word["cnf"] = json!({"x5t#S256": own.thumbprint()});
    issuer.say(&token, word);
    server.admits_login(login(&server, Some(&own), &token));
    // The cache has the provider's word, not the verdict.
    server.refuses_login(login(&server, None, &token), &token, "certificate_missing");
    let other = Authority::shared().client("mallory");
    server.refuses_login(
        login(&server, Some(&other), &token),
        &token,
        "certificate_mismatch",
    );
    let free = issuer.opaque_token("alice");
    server.refuses_login(login(&server, Some(&own), &free), &free, "token_not_bound");
}

/// Run with a PG_CONFIG of a server that is built without OpenSSL, this is about such a server.
#[test]
fn server_that_can_have_no_certificates_is_told_from_a_client_that_has_none() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).log_everything().start();
    let reason = match server.value("SHOW ssl_library").as_str() {
        "" => "certificates_unsupported",
        _ => "certificate_missing",
    };
    let own = Authority::shared().client("alice");
    let (bound, free) = (
        bound_to(&issuer, &own).encode(),
        issuer.token("alice").encode(),
    );
    server.refuses("alice", &bound, reason);
    server.admits("alice", &free);
    server.reload_with(&[("validator.require_bound_token", "on")]);
    server.refuses("alice", &bound, reason);
    server.refuses("alice", &free, "token_not_bound");
}
