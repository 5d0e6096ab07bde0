//! What kind of token it is, whose client it was given to, and what it was granted.

use rig::{Issuer, Server, Token, now, oauth_line};
use serde_json::{Value, json};

use crate::start;

/// What OpenID Connect Core 1.0 §2 makes of it, but with the audience of an API.
fn id_token(issuer: &Issuer) -> Token {
    issuer
        .token("alice")
        .header("typ", "JWT")
        .without_claim("scope")
        .without_claim("client_id")
        .claim("azp", "psql")
        .claim("auth_time", now())
        .claim("at_hash", "MTIzNDU2Nzg5MDEyMzQ1Ng")
        .claim("nonce", "n-0S6_WzA2Mj")
}

#[test]
fn id_token_with_the_audience_of_the_server_is_refused() {
    let (issuer, server) = start();
    let verdict = server.refuses("alice", &id_token(&issuer).encode(), "typ_not_allowed");
    let hint = "This is an ID token, as its claim \"nonce\" shows (unverified). Configure the client to send the access token.";
    assert!(verdict.log.contains(hint), "{}", verdict.log);
    // Where providers mark no type and the line demands no scope, its claims give it away.
    server.set_hba(&[&oauth_line(issuer.url(), "").replace(Issuer::SCOPE, "openid")]);
    server.reload_with(&[("validator.token_types", "JWT, -")]);
    server.refuses("alice", &id_token(&issuer).encode(), "not_an_access_token");
    for claim in ["nonce", "at_hash", "c_hash", "s_hash"] {
        let token = issuer
            .token("alice")
            .without_header("typ")
            .without_claim("scope");
        server.admits("alice", &token.encode());
        server.refuses(
            "alice",
            &token.claim(claim, "x").encode(),
            "not_an_access_token",
        );
        // An access token may carry a nonce, but then it carries scopes.
        server.admits(
            "alice",
            &issuer
                .token("alice")
                .header("typ", "JWT")
                .claim(claim, "x")
                .encode(),
        );
    }
}

#[test]
fn kinds_of_token_that_providers_mark_in_the_payload_are_told_apart() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .log_everything()
        .set("validator.token_types", "at+jwt, JWT")
        .start();
    let marked = |claim: &str, value: Value| {
        issuer
            .token("alice")
            .header("typ", "JWT")
            .claim(claim, value)
    };
    for (claim, value) in [
        ("typ", json!("Bearer")),
        ("typ", json!("at+jwt")),
        ("token_use", json!("access")),
    ] {
        server.admits("alice", &marked(claim, value).encode());
    }
    for (claim, value) in [
        // Keycloak and Rauthy
        ("typ", json!("ID")),
        ("typ", json!("id")),
        ("typ", json!("Refresh")),
        ("typ", json!("Offline")),
        ("typ", json!("Logout")),
        // Amazon Cognito
        ("token_use", json!("id")),
        ("token_use", json!("")),
        ("token_use", json!(1)),
        // RFC 8417: security events
        ("events", json!({})),
    ] {
        let verdict = server.refuses(
            "alice",
            &marked(claim, value).encode(),
            "not_an_access_token",
        );
        let hint =
            format!("HINT:  The claim \"{claim}\" shows that this is an ID token or another kind");
        assert!(verdict.log.contains(&hint), "{}", verdict.log);
    }
}

#[test]
fn logout_token_is_refused() {
    let (issuer, server) = start();
    // OpenID Connect Back-Channel Logout 1.0 §2.4
    let logout = |typ: &str| {
        let events = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
        issuer
            .token("alice")
            .header("typ", typ)
            .claim("events", events)
            .claim("sid", "s1")
    };
    server.refuses("alice", &logout("logout+jwt").encode(), "typ_not_allowed");
    server.reload_with(&[("validator.token_types", "at+jwt, JWT, logout+jwt")]);
    server.refuses(
        "alice",
        &logout("logout+jwt").encode(),
        "not_an_access_token",
    );
    server.refuses("alice", &logout("JWT").encode(), "not_an_access_token");
    server.refuses("alice", &logout("at+jwt").encode(), "not_an_access_token");
}

#[test]
fn every_client_is_accepted_unless_clients_are_listed() {
    let (issuer, server) = start();
    let good = issuer.token("alice");
    for client in [
        json!("psql"),
        json!("any"),
        json!(""),
        json!(1),
        Value::Null,
    ] {
        server.admits(
            "alice",
            &good.clone().claim("client_id", client.clone()).encode(),
        );
        server.admits("alice", &good.clone().claim("azp", client).encode());
    }
    server.admits("alice", &good.without_claim("client_id").encode());
}

#[test]
fn only_listed_clients_are_accepted() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .log_everything()
        .set("validator.client_ids", "psql, pgadmin")
        .start();
    let nobody = issuer.token("alice").without_claim("client_id");
    let by = |name: &str, client: Value| nobody.clone().claim(name, client);
    for name in ["client_id", "azp"] {
        server.admits("alice", &by(name, json!("psql")).encode());
        server.admits("alice", &by(name, json!("pgadmin")).encode());
        for client in ["", "other", "PSQL", "psql ", "psql, pgadmin"] {
            server.refuses(
                "alice",
                &by(name, json!(client)).encode(),
                "client_not_allowed",
            );
        }
        for client in [
            json!(1),
            Value::Null,
            json!(["psql"]),
            json!({"id": "psql"}),
        ] {
            server.refuses("alice", &by(name, client).encode(), "client_malformed");
        }
    }
    server.refuses("alice", &nobody.encode(), "client_missing");
    // Where both are there, both are bound.
    server.admits(
        "alice",
        &by("client_id", json!("psql"))
            .claim("azp", "pgadmin")
            .encode(),
    );
    server.refuses(
        "alice",
        &by("client_id", json!("psql"))
            .claim("azp", "other")
            .encode(),
        "client_not_allowed",
    );
    let token = by("client_id", json!("other"))
        .claim("azp", "psql")
        .encode();
    let verdict = server.refuses("alice", &token, "client_not_allowed");
    let hint =
        "HINT:  The token was issued to \"other\", which validator.client_ids does not list.";
    assert!(verdict.log.contains(hint), "{}", verdict.log);
}

#[test]
fn scopes_of_the_hba_line_must_be_granted() {
    let (issuer, server) = start();
    server.set_hba(&[
        &oauth_line(issuer.url(), "").replace(Issuer::SCOPE, "openid postgres db:read")
    ]);
    server.reload();
    let none = issuer.token("alice").without_claim("scope");
    let granted = |name: &str, scopes: Value| none.clone().claim(name, scopes).encode();
    for (name, scopes) in [
        ("scope", json!("openid postgres db:read")),
        // "openid" steers the provider and need not come back.
        ("scope", json!("db:read postgres")),
        ("scope", json!("email db:read more postgres profile")),
        ("scope", json!(["postgres", "db:read"])),
        ("scp", json!("postgres db:read")),
        ("scp", json!(["postgres", "db:read", "openid"])),
    ] {
        server.admits("alice", &granted(name, scopes));
    }
    // Some providers have both.
    server.admits(
        "alice",
        &none
            .clone()
            .claim("scope", "postgres")
            .claim("scp", json!(["db:read"]))
            .encode(),
    );
    server.refuses("alice", &none.encode(), "insufficient_scope");
    for (name, scopes) in [
        ("scope", json!("")),
        ("scope", json!("openid")),
        ("scope", json!("postgres")),
        ("scope", json!("Postgres db:read")),
        ("scope", json!("postgres db:read2")),
        ("scope", json!("postgres,db:read")),
        ("scope", json!("postgres\tdb:read")),
        ("scp", json!([])),
        ("scp", json!(["postgres db:read"])),
    ] {
        server.refuses("alice", &granted(name, scopes), "insufficient_scope");
    }
    for (name, scopes) in [
        ("scope", json!(1)),
        ("scope", Value::Null),
        ("scope", json!({"postgres": true})),
        ("scope", json!(["postgres", "db:read", 1])),
        ("scp", json!(true)),
        ("scp", json!([["postgres", "db:read"]])),
    ] {
        server.refuses("alice", &granted(name, scopes), "scope_malformed");
    }
    let verdict = server.refuses(
        "alice",
        &granted("scope", json!("openid")),
        "insufficient_scope",
    );
    let hint =
        "HINT:  The token has \"openid\", and lacks \"postgres, db:read\" of the HBA line's scope.";
    assert!(verdict.log.contains(hint), "{}", verdict.log);
}

#[test]
fn scopes_that_a_token_need_not_carry_can_be_set() {
    let (issuer, server) = start();
    server.set_hba(&[
        &oauth_line(issuer.url(), "").replace(Issuer::SCOPE, "openid offline_access postgres")
    ]);
    server.reload();
    let granted = |scope: &str| issuer.token("alice").claim("scope", scope).encode();
    server.admits("alice", &granted("postgres"));
    server.reload_with(&[("validator.optional_scopes", "offline_access")]);
    server.refuses("alice", &granted("postgres"), "insufficient_scope");
    server.admits("alice", &granted("openid postgres"));
    server.reload_with(&[("validator.optional_scopes", "")]);
    server.refuses("alice", &granted("openid postgres"), "insufficient_scope");
    server.admits("alice", &granted("offline_access openid postgres"));
    server.reload_with(&[(
        "validator.optional_scopes",
        "openid, offline_access, postgres",
    )]);
    server.admits("alice", &granted(""));
    server.admits(
        "alice",
        &issuer.token("alice").without_claim("scope").encode(),
    );
}

#[test]
fn required_claims_must_hold() {
    let issuer = Issuer::builder().start();
    let settings = r#"acr=phr, email_verified=true, level=3, /org/unit=dba, groups="#;
    let server = Server::trusting(&issuer)
        .log_everything()
        .set("validator.required_claims", &format!("{settings}staff"))
        .start();
    let good = issuer
        .token("alice")
        .claim("acr", "phr")
        .claim("email_verified", true)
        .claim("level", 3)
        .claim("org", json!({"unit": "dba"}))
        .claim("groups", json!(["users", "staff"]));
    server.admits("alice", &good.encode());
    // One string instead of an array, and texts instead of a boolean and a number.
    server.admits("alice", &good.clone().claim("groups", "staff").encode());
    server.admits(
        "alice",
        &good
            .clone()
            .claim("email_verified", "true")
            .claim("level", "3")
            .encode(),
    );
    for claim in ["acr", "email_verified", "level", "org", "groups"] {
        server.refuses(
            "alice",
            &good.clone().without_claim(claim).encode(),
            "required_claim_missing",
        );
    }
    let unit = good.clone().claim("org", json!({"/unit": "dba"}));
    server.refuses("alice", &unit.encode(), "required_claim_missing");
    for (claim, value) in [
        ("acr", json!("PHR")),
        ("acr", json!("phr ")),
        ("acr", Value::Null),
        ("acr", json!({"phr": 1})),
        ("email_verified", json!(false)),
        ("email_verified", json!(1)),
        ("email_verified", json!("True")),
        ("level", json!(3.5)),
        ("level", json!(33)),
        ("org", json!({"unit": "dbas"})),
        ("org", json!({"unit": {"dba": 1}})),
        ("groups", json!([])),
        ("groups", json!(["staffs", ["staff"]])),
        ("groups", json!("users staff")),
    ] {
        let token = good.clone().claim(claim, value).encode();
        let verdict = server.refuses("alice", &token, "required_claim_mismatch");
        assert!(
            verdict.log.contains("\" in validator.required_claims."),
            "{}",
            verdict.log
        );
    }
}
