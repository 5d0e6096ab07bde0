//! `validator.provider`: a provider's ways are the defaults, and what is set wins.

use rig::{Issuer, Server, Token};
use serde_json::json;

/// A server that logs everything and knows the provider by this name, with these settings.
fn start(provider: &str, settings: &[(&str, &str)]) -> (Issuer, Server) {
    let issuer = Issuer::builder().start();
    let mut builder = Server::trusting(&issuer)
        .log_everything()
        .set("validator.provider", provider)
        .ident("people /^.*$ alice");
    for (name, value) in settings {
        builder = builder.set(name, value);
    }
    let server = builder.start();
    server.set_hba(&[&rig::oauth_line(issuer.url(), "map=people")]);
    server.reload();
    (issuer, server)
}

/// What Keycloak issues (its documented claims): `typ` in header and payload, `azp`, a readable name.
fn keycloak(issuer: &Issuer) -> Token {
    issuer
        .token("5b4d3c2e-8a97-4a0f-9d3e-0c1f2b3a4d5e")
        .header("typ", "JWT")
        .without_claim("client_id")
        .claim("azp", "psql")
        .claim("typ", "Bearer")
        .claim("preferred_username", "alice")
        .claim("realm_access", json!({"roles": ["alice"]}))
}

#[test]
fn a_provider_is_known_by_its_name_and_its_id_token_told_apart() {
    let (issuer, server) = start("keycloak", &[]);
    server.admits("alice", &keycloak(&issuer).encode());
    let id_token = keycloak(&issuer).claim("typ", "ID").encode();
    server.refuses("alice", &id_token, "not_an_access_token");
    let unproven = keycloak(&issuer).without_claim("typ").encode();
    server.refuses("alice", &unproven, "access_token_unproven");
    // Without the name, the header's type alone is refused.
    server.unset("validator.provider");
    server.reload();
    server.refuses("alice", &keycloak(&issuer).encode(), "typ_not_allowed");
}

#[test]
fn what_is_set_wins_over_the_providers_ways_and_show_tells_what_is_in_force() {
    let (issuer, server) = start("keycloak", &[("shared_preload_libraries", "validator")]);
    assert_ne!(server.value("SHOW validator.token_types"), "at+jwt");
    server.reload_with(&[("validator.token_types", "at+jwt")]);
    assert_eq!(server.value("SHOW validator.token_types"), "at+jwt");
    server.refuses("alice", &keycloak(&issuer).encode(), "typ_not_allowed");
    server.unset("validator.token_types");
    server.reload();
    server.admits("alice", &keycloak(&issuer).encode());
    server.reload_with(&[("validator.identity_claim", "email")]);
    server.refuses("alice", &keycloak(&issuer).encode(), "identity_missing");
}

#[test]
fn tokens_of_entra_are_of_the_issuers_tenant_in_either_version() {
    let tenant = "11111111-2222-3333-4444-555555555555";
    let entra = format!("https://login.microsoftonline.com/{tenant}/v2.0");
    // Its keys come from elsewhere: no test asks Microsoft.
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .log_everything()
        .set("validator.provider", "entra")
        .set("validator.jwks_uri", &format!("{}/jwks", issuer.url()))
        .ident("people /^.*$ alice")
        .start();
    let line = rig::oauth_line(&entra, "map=people");
    server.set_hba(&[&line.replace("openid postgres", "openid api://pg/postgres")]);
    server.reload();
    let token = |iss: &str, version: &str, tid: &str| {
        issuer
            .token("alice")
            .header("typ", "JWT")
            .without_claim("client_id")
            .without_claim("scope")
            .claim("iss", iss)
            .claim("azp", "psql")
            .claim("ver", version)
            .claim("tid", tid)
            .claim("oid", "00000000-0000-0000-66f3-3332eca7ea81")
            .claim("scp", "postgres")
            .encode()
    };
    let mut session = server.admits("alice", &token(&entra, "2.0", tenant));
    assert_eq!(
        session.value("SELECT system_user"),
        "oauth:00000000-0000-0000-66f3-3332eca7ea81"
    );
    let v1 = format!("https://sts.windows.net/{tenant}/");
    server.admits("alice", &token(&v1, "1.0", tenant));
    let other = "99999999-2222-3333-4444-555555555555";
    server.refuses("alice", &token(&entra, "2.0", other), "tenant_mismatch");
    server.refuses("alice", &token(&v1, "1.0", other), "iss_mismatch");
    let other_v1 = format!("https://sts.windows.net/{other}/");
    server.refuses("alice", &token(&other_v1, "1.0", tenant), "iss_mismatch");
}

#[test]
fn where_strangers_get_tokens_too_a_required_claim_must_say_whose_are_accepted() {
    let (issuer, server) = start("github-actions", &[]);
    let token = issuer
        .token("repo:corp/db:ref:refs/heads/main")
        .header("typ", "JWT")
        .claim("repository", "corp/db")
        .claim("ref", "refs/heads/main")
        .claim("repository_owner", "corp")
        .claim("run_id", "42")
        .encode();
    let verdict = server.refuses("alice", &token, "required_claims_unset");
    assert!(
        verdict.log.contains("validator.required_claims"),
        "{}",
        verdict.log
    );
    let required = "repository=corp/db, ref=refs/heads/main";
    server.reload_with(&[("validator.required_claims", required)]);
    server.admits("alice", &token);
    for nobody in ["repository present", "repository like *", "sub like repo:*"] {
        server.reload_with(&[("validator.required_claims", nobody)]);
        server.refuses("alice", &token, "required_claims_unset");
    }
    server.reload_with(&[("validator.required_claims", "repository=corp/other")]);
    server.refuses("alice", &token, "required_claim_mismatch");
}

#[test]
fn an_unknown_provider_fails_closed() {
    let (issuer, server) = start("okta.com", &[]);
    let verdict = server.refuses("alice", &issuer.token("alice").encode(), "setting_invalid");
    assert!(
        verdict.log.contains("validator.provider"),
        "{}",
        verdict.log
    );
}
