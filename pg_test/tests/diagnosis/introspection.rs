//! Tokens that the provider does not confirm: where it was asked, and as whom.

use rig::{Issuer, Server, now};
use serde_json::json;

use crate::{explain, server_for, try_login};

fn server_that_asks(issuer: &Issuer) -> Server {
    server_for(issuer)
        .set("validator.introspection", "always")
        .set("validator.client_id", "pg")
        .set("validator.client_auth_method", "none")
        .set("validator.introspection_cache_ttl", "0")
        .start()
}

#[test]
fn client_that_the_token_is_not_for_is_named() {
    let issuer = Issuer::builder().start();
    let server = server_that_asks(&issuer);
    let token = issuer.token("alice").encode();
    issuer.say(&token, json!({"active": false}));
    let url = format!("{}/introspect", issuer.url());
    explain(&server, "alice", &token, "token_inactive")
        .has_fact(&format!("url={url}"))
        .has_fact("status=200")
        .says(&[
            &format!("was asked at {url}, and answered with status 200"),
            "although it has passed all other checks",
            "does not show it to \"pg\" (validator.client_id), which is not in its \"aud\"",
        ])
        .loosens_nothing();
    let said = try_login(&server, "alice", &token);
    assert!(said.contains("does not show it to \"pg\""), "{said}");
}

#[test]
fn new_token_that_is_for_the_client_is_said_to_be_unknown_there() {
    let issuer = Issuer::builder().start();
    let server = server_that_asks(&issuer);
    let token = |issued_at: i64| {
        let token = issuer.token("alice").claim("iat", issued_at);
        let token = token.claim("aud", json!([Issuer::AUDIENCE, "pg"])).encode();
        issuer.say(&token, json!({"active": false}));
        token
    };
    explain(&server, "alice", &token(now()), "token_inactive")
        .says(&[
            "It is new, so the provider does not know it, or does not show it to \"pg\"",
            "is the endpoint this issuer's",
        ])
        .loosens_nothing();
    explain(&server, "alice", &token(now() - 3000), "token_inactive")
        .says(&["It was probably revoked"])
        .loosens_nothing();
}

#[test]
fn endpoint_of_another_provider_is_pointed_out() {
    let (issuer, other) = (Issuer::builder().start(), Issuer::builder().start());
    let server = server_that_asks(&issuer);
    let endpoint = format!("{}/introspect", other.url());
    server.reload_with(&[("validator.introspection_endpoint", &endpoint)]);
    let token = issuer.token("alice").encode();
    other.say(&token, json!({"active": false}));
    explain(&server, "alice", &token, "token_inactive")
        .has_fact(&format!("url={endpoint}"))
        .says(&[
            &format!("validator.introspection_endpoint, {endpoint}, is at another server than the issuer's metadata"),
            "is it this issuer's?",
        ])
        .does_not_say(&["revoked"])
        .loosens_nothing();
}

#[test]
fn opaque_token_that_is_not_active_says_where_the_provider_was_asked() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer).asks_about_opaque_tokens().start();
    explain(&server, "alice", "never-issued-by-anyone", "token_inactive")
        .has_fact("status=200")
        .says(&[
            "/introspect, and answered with status 200",
            "from another provider",
        ])
        .loosens_nothing();
}
