//! What the provider may say of a token, and what becomes of the login.

use std::time::Duration;

use rig::{ConnectionFault, Endpoint, Fault, Issuer, Response, Server, oauth_line};
use serde_json::{Value, json};

use crate::{BOTH, asked, server_of};

/// `validator.http_timeout` where a test waits for it, and how much longer a busy machine may take.
const TIMEOUT: Duration = Duration::from_millis(700);
const MARGIN: Duration = Duration::from_secs(5);

fn answer(status: u16, text: &str) -> Fault {
    Fault::Answer(Response::new(status, "application/json", text))
}

/// The login is refused because asking about the token fails in this way.
#[track_caller]
fn assert_unavailable(server: &Server, token: &str, cause: &str) {
    server.forget_keys();
    let verdict = server.refuses("alice", token, "provider_unavailable");
    let found = verdict.log.contains(&format!("cause={cause} "));
    assert!(found, "not {cause}: {}", verdict.log);
    assert!(verdict.log.contains("HINT:  "), "{}", verdict.log);
    assert!(verdict.refusal.elapsed < TIMEOUT * 20 + MARGIN);
}

#[test]
fn opaque_token_opens_a_session_by_the_providers_word() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = server_of(&issuer, "opaque", preload).start();
        let token = issuer.opaque_token("alice");
        let mut session = server.admits("alice", &token);
        assert_eq!(
            session.value("SELECT system_user"),
            "oauth:alice",
            "preload: {preload}"
        );
        let requests = issuer.requests();
        let asked = requests.iter().find(|(e, _)| *e == Endpoint::Introspection);
        let (_, request) = asked.expect("the provider was asked");
        assert_eq!(request.method, "POST");
        assert_eq!(
            request.header("content-type"),
            Some("application/x-www-form-urlencoded")
        );
        assert_eq!(request.form("token").as_deref(), Some(token.as_str()));
        assert_eq!(
            request.form("token_type_hint").as_deref(),
            Some("access_token")
        );
        assert_eq!(request.form("client_id").as_deref(), Some("pg"));
        assert!(request.query.is_empty(), "a token must not be in a URL");
    }
}

#[test]
fn modes_say_which_tokens_are_asked_about() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer, "off", false).start();
    let (opaque, jwt) = (issuer.opaque_token("alice"), issuer.token("alice").encode());
    server.refuses("alice", &opaque, "not_a_jwt");
    server.admits("alice", &jwt);
    assert_eq!(asked(&issuer).1, 0);

    server.reload_with(&[("validator.introspection", "opaque")]);
    server.admits("alice", &jwt);
    assert_eq!(asked(&issuer).1, 0);
    server.admits("alice", &opaque);
    assert_eq!(asked(&issuer).1, 1);

    server.reload_with(&[("validator.introspection", "always")]);
    server.admits("alice", &opaque);
    assert_eq!(asked(&issuer).1, 1, "its answer is cached");
    // It has passed all other checks, so the provider may only not show it to this client.
    let verdict = server.refuses("alice", &jwt, "token_inactive");
    let hint = "(validator.client_id), which is not in its \"aud\": Keycloak 26.6.2 and later";
    assert!(verdict.log.contains(hint), "{}", verdict.log);
    let unknown = server.refuses("alice", "an-opaque-token", "token_inactive");
    assert!(!unknown.log.contains("Keycloak"), "{}", unknown.log);
    issuer.say(&jwt, json!({"active": true}));
    server.forget_keys();
    server.admits("alice", &jwt);
    // One that fails here is not asked about.
    let before = asked(&issuer).1;
    let expired = issuer.token("alice").claim("exp", 1_000_000).encode();
    server.refuses("alice", &expired, "expired");
    assert_eq!(asked(&issuer).1, before);
}

#[test]
fn providers_word_must_pass_the_rules_of_a_jwt() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer, "opaque", false)
        .set("validator.introspection_cache_ttl", "0")
        .start();
    let token = issuer.opaque_token("alice");
    for (name, value, reason) in [
        ("active", json!(false), "token_inactive"),
        ("iss", json!("https://evil.test"), "iss_mismatch"),
        ("aud", Value::Null, "aud_missing"),
        ("aud", json!("other"), "aud_mismatch"),
        ("exp", Value::Null, "exp_missing"),
        ("exp", json!(1_000_000), "expired"),
        ("nbf", json!(99_999_999_999_i64), "not_yet_valid"),
        ("scope", json!("openid"), "insufficient_scope"),
        ("sub", Value::Null, "identity_missing"),
        ("cnf", json!({"jkt": "x"}), "cnf_unsupported"),
        (
            "cnf",
            json!({"x5t#S256": "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"}),
            "certificate_missing",
        ),
        ("token_type", json!("refresh_token"), "not_an_access_token"),
        ("token_use", json!("refresh_token"), "not_an_access_token"),
        ("typ", json!("Refresh"), "not_an_access_token"),
        ("kind", json!("RefreshToken"), "not_an_access_token"),
    ] {
        let mut word = issuer.word_on("alice");
        word[name] = value;
        issuer.say(&token, word);
        server.refuses("alice", &token, reason);
    }
    let mut word = issuer.word_on("alice");
    word["exp"] = json!(rig::now() as f64 + 600.5);
    word["iss"] = Value::Null;
    issuer.say(&token, word.clone());
    server.admits("alice", &token);

    word["aud"] = Value::Null;
    word["exp"] = Value::Null;
    word["username"] = json!("bob");
    issuer.say(&token, word);
    server.reload_with(&[
        ("validator.introspection_audience_required", "off"),
        ("validator.introspection_exp_required", "off"),
        ("validator.identity_claim", "username"),
    ]);
    server.admits("bob", &token);
}

#[test]
fn refresh_token_of_a_provider_that_names_no_type_opens_no_session() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer, "opaque", false)
        .set("validator.introspection_audience_required", "off")
        .set("validator.introspection_exp_required", "off")
        .set("validator.introspection_cache_ttl", "0")
        .start();
    let token = issuer.opaque_token("alice");
    let mut word = issuer.word_on("alice");
    word["aud"] = Value::Null;
    word["token_type"] = Value::Null;
    // With the scope of the line, and an end.
    issuer.say(&token, word.clone());
    server.admits("alice", &token);
    for (name, value) in [("exp", Value::Null), ("scope", Value::Null)] {
        let mut word = word.clone();
        word[name] = value;
        issuer.say(&token, word.clone());
        let verdict = server.refuses("alice", &token, "access_token_unproven");
        let hint = "HINT:  The introspection response names neither type nor audience of the token";
        assert!(verdict.log.contains(hint), "{}", verdict.log);
        if name == "exp" {
            word["token_type"] = json!("Bearer");
            issuer.say(&token, word);
            server.admits("alice", &token);
        }
    }
    issuer.say(&token, word);
    server.set_hba(&[&oauth_line(issuer.url(), "").replace("openid postgres", "openid")]);
    server.reload();
    server.refuses("alice", &token, "access_token_unproven");
}

#[test]
fn answer_that_is_none_is_told_by_its_cause() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer, "opaque", false)
        .set("validator.http_timeout", "10s")
        .start();
    let token = issuer.opaque_token("alice");
    for (fault, cause) in [
        (Fault::Status(500), "http_status"),
        (Fault::Status(404), "http_status"),
        (Fault::Status(403), "introspection_forbidden"),
        (
            answer(401, "{\"error\":\"invalid_client\"}"),
            "introspection_unauthorized",
        ),
        (answer(401, "no"), "introspection_unauthorized"),
        (Fault::Html, "malformed"),
        (Fault::Truncated, "malformed"),
        (answer(200, ""), "malformed"),
        (answer(200, "[true]"), "malformed"),
        (answer(200, "{}"), "active_malformed"),
        (answer(200, "{\"active\":\"true\"}"), "active_malformed"),
        (answer(200, "{\"active\":1}"), "active_malformed"),
        (Fault::Redirect(302), "redirect"),
        (Fault::Redirect(307), "redirect"),
        (Fault::Oversize(10_000_000), "too_large"),
        (Fault::Endless, "too_large"),
        (Fault::Closed, "connection"),
    ] {
        issuer.fail(Endpoint::Introspection, fault.clone());
        assert_unavailable(&server, &token, cause);
    }
    assert_eq!(
        issuer.hits(Endpoint::Redirected),
        0,
        "a redirect was followed"
    );
    issuer.fail(
        Endpoint::Introspection,
        answer(401, "{\"message\":\"revoked\"}"),
    );
    server.forget_keys();
    server.refuses("alice", &token, "introspection_refused");
    issuer.heal();
    server.forget_keys();
    server.admits("alice", &token);
}

#[test]
fn provider_that_hangs_is_given_up_in_time() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer, "opaque", false).start();
    let token = issuer.opaque_token("alice");
    server.admits("alice", &token);
    server.reload_with(&[("validator.http_timeout", "700ms")]);
    issuer.fail_connections(ConnectionFault::Hang);
    assert_unavailable(&server, &token, "timeout");
    issuer.heal();
    for endpoint in [Endpoint::Discovery, Endpoint::Introspection] {
        for fault in [
            Fault::Hang,
            Fault::HangInHeaders,
            Fault::HangInBody,
            Fault::Drip(Duration::from_millis(50)),
        ] {
            issuer.fail(endpoint, fault);
            assert_unavailable(&server, &token, "timeout");
        }
        issuer.heal();
    }
    issuer.go_down();
    assert_unavailable(&server, &token, "connection");
    issuer.come_up();
    server.forget_keys();
    server.admits("alice", &token);
}

#[test]
fn metadata_without_the_endpoint_says_what_to_set() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer, "opaque", false).start();
    let token = issuer.opaque_token("alice");
    issuer.fail(
        Endpoint::Discovery,
        Fault::altered(|document| document["introspection_endpoint"] = Value::Null),
    );
    assert_unavailable(&server, &token, "malformed");
    let plain = Fault::altered(|document| {
        document["introspection_endpoint"] = json!("http://idp.test/introspect");
    });
    issuer.fail(Endpoint::Discovery, plain);
    assert_unavailable(&server, &token, "bad_url");
    let endpoint = format!("{}/introspect", issuer.url());
    server.reload_with(&[("validator.introspection_endpoint", &endpoint)]);
    server.forget_keys();
    server.admits("alice", &token);
}

#[test]
fn settings_that_can_not_authenticate_refuse_everybody() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer, "opaque", false).start();
    let token = issuer.opaque_token("alice");
    for method in [
        "client_secret_basic",
        "client_secret_basic_raw",
        "client_secret_post",
        "private_key_jwt",
        "tls_client_auth",
    ] {
        server.reload_with(&[("validator.client_auth_method", method)]);
        server.refuses("alice", &token, "setting_invalid");
    }
    server.reload_with(&[("validator.client_id", "")]);
    server.refuses("alice", &token, "setting_invalid");
    assert_eq!(asked(&issuer).1, 0);
}

#[test]
fn session_has_the_claims_of_the_answer_over_those_of_the_jwt() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer, "always", false).start();
    server.sql("CREATE EXTENSION validator");
    let token = issuer
        .token("alice")
        .claim("groups", json!(["analysts", "auditors"]))
        .claim("tenant", "acme")
        .encode();
    issuer.say(
        &token,
        json!({"active": true, "groups": ["analysts"], "sid": "session-1", "token": token}),
    );
    // What has just come, and what is cached.
    for _ in 0..2 {
        let mut session = server.admits("alice", &token);
        let claims: Value = serde_json::from_str(&session.value("SELECT validator.claims()"))
            .expect("claims are JSON");
        assert_eq!(claims["groups"], json!(["analysts"]));
        assert_eq!(claims["tenant"], "acme");
        assert_eq!(claims["sid"], "session-1");
        assert!(claims.get("token").is_none() && claims.get("active").is_none());
        let ended = format!(
            "SELECT validator.end_sessions('{}', sid => 'session-1')",
            issuer.url()
        );
        assert_eq!(
            server.value(&ended),
            "1",
            "a logout by the answer's sid finds the session"
        );
    }
    assert_eq!(asked(&issuer).1, 1);
}

#[test]
fn roles_clients_and_claims_are_taken_from_the_providers_word() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer, "opaque", false)
        .set("validator.client_ids", "psql, pgadmin")
        .set("validator.required_claims", "acr=phr, email_verified=true")
        .set("validator.role_claim", "/realm_access/roles")
        .start();
    server.set_hba(&[&oauth_line(issuer.url(), "delegate_ident_mapping=1")]);
    server.reload();
    let good = |issuer: &Issuer| {
        let mut word = issuer.word_on("somebody");
        word["acr"] = json!("phr");
        word["email_verified"] = json!(true);
        word["realm_access"] = json!({"roles": ["bob", "carol"]});
        word
    };
    let token = issuer.opaque_token("somebody");
    issuer.say(&token, good(&issuer));
    for role in ["bob", "carol"] {
        let mut session = server.admits(role, &token);
        assert_eq!(session.value("SELECT system_user"), "oauth:somebody");
    }
    server.refuses("alice", &token, "role_not_granted");
    // One request for all roles: what is cached is the answer, not the judgement.
    assert_eq!(asked(&issuer).1, 1);
    for (name, value, reason) in [
        ("client_id", json!("other"), "client_not_allowed"),
        ("client_id", Value::Null, "client_missing"),
        ("acr", json!("pwd"), "required_claim_mismatch"),
        ("acr", Value::Null, "required_claim_missing"),
        ("email_verified", json!(false), "required_claim_mismatch"),
        ("realm_access", Value::Null, "role_claim_missing"),
        ("realm_access", json!({"roles": 1}), "role_claim_malformed"),
        ("iss", json!(1), "iss_malformed"),
        ("aud", json!(1), "aud_malformed"),
        ("exp", json!("soon"), "exp_malformed"),
        ("scope", json!(1), "scope_malformed"),
        ("sub", json!(1), "identity_malformed"),
        ("cnf", json!(1), "cnf_malformed"),
    ] {
        let mut word = good(&issuer);
        word[name] = value;
        let token = issuer.opaque_token("somebody");
        issuer.say(&token, word);
        server.refuses("bob", &token, reason);
    }
}

#[test]
fn providers_word_must_be_about_the_jwt_that_it_was_asked_about() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer, "always", false)
        .set("validator.introspection_cache_ttl", "0")
        .start();
    let token = issuer.token("alice").claim("jti", "one").encode();
    for (name, value, reason) in [
        ("sub", json!("bob"), "introspection_mismatch"),
        ("jti", json!("another"), "introspection_mismatch"),
        ("aud", json!("other"), "aud_mismatch"),
        ("exp", json!(1_000_000), "expired"),
        ("scope", json!("openid"), "insufficient_scope"),
        ("cnf", json!({"jkt": "x"}), "cnf_unsupported"),
    ] {
        let mut word = issuer.word_on("alice");
        word[name] = value;
        issuer.say(&token, word);
        server.refuses("alice", &token, reason);
    }
    for word in [json!({"active": true}), issuer.word_on("alice")] {
        issuer.say(&token, word);
        server.admits("alice", &token);
    }
    // A provider that does not know its own JWTs refuses them all.
    issuer.revoke(&token);
    server.refuses("alice", &token, "token_inactive");
}
