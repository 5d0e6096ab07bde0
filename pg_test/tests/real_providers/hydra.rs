//! Ory Hydra 2.3, which has no device flow: workloads, and people whose program has a token. JWTs without a type of their
//! own, and opaque tokens.

use std::thread;
use std::time::Duration;

use rig::{Hydra, Issuer, ServerBuilder};

use crate::{admits, part, refuses, refuses_role, start, text};

const TTL: Duration = Duration::from_secs(2);

fn server_for(hydra: &Hydra, options: &str) -> ServerBuilder {
    crate::server()
        .set("validator.audience", Issuer::AUDIENCE)
        .hba(&crate::line(hydra.issuer(), "postgres", options))
}

/// What lets its JWTs in: their header does not tell them from ID tokens, whose audience is a client.
fn server_for_jwts(hydra: &Hydra, options: &str) -> ServerBuilder {
    server_for(hydra, options).set("validator.token_types", "at+jwt, JWT")
}

/// Asks about opaque tokens (`opaque`) or all (`always`), at the admin port, which asks for no secret.
fn asking(hydra: &Hydra, builder: ServerBuilder, mode: &str) -> ServerBuilder {
    builder
        .set("validator.introspection", mode)
        .set(
            "validator.introspection_endpoint",
            &hydra.introspection_endpoint(),
        )
        .set("validator.introspection_cache_ttl", "2s")
        .set("validator.client_auth_method", "none")
        .set("validator.client_id", "postgresql")
}

#[test]
fn workload_gets_in_with_a_jwt_once_its_header_is_accepted() {
    let hydra = Hydra::start();
    hydra.add_client("etl", "jwt");
    hydra.add_client("other", "jwt");
    let builder = server_for(&hydra, "map=workloads").ident("workloads etl carol");
    let server = start(builder);
    let token = hydra.workload_token("etl", Some(Issuer::AUDIENCE));
    refuses(&server, "carol", &token, "typ_not_allowed");
    server.reload_with(&[("validator.token_types", "at+jwt, JWT")]);
    let mut session = admits(&server, "carol", &token);
    assert_eq!(session.value(crate::WHO), "oauth:etl is carol");
    refuses_role(&server, "alice", &token);
    let other = hydra.workload_token("other", Some(Issuer::AUDIENCE));
    refuses_role(&server, "carol", &other);
    server.reload_with(&[("validator.client_ids", "etl")]);
    refuses(&server, "carol", &other, "client_not_allowed");
    // A token that was not asked for this server.
    let without = hydra.workload_token("etl", None);
    refuses(&server, "carol", &without, "aud_mismatch");
}

#[test]
fn person_gets_in_with_the_access_token_only() {
    let hydra = Hydra::start();
    hydra.add_client("app", "jwt");
    let server = start(server_for_jwts(&hydra, ""));
    let tokens = hydra.by_browser("app", "alice", &[]);
    let mut session = admits(&server, "alice", text(&tokens, "access_token"));
    assert_eq!(session.value(crate::WHO), "oauth:alice is alice");
    refuses(&server, "alice", text(&tokens, "id_token"), "aud_mismatch");
    refuses(
        &server,
        "alice",
        text(&tokens, "refresh_token"),
        "not_a_jwt",
    );
    refuses_role(&server, "bob", text(&tokens, "access_token"));
    // Even where its audience is accepted, an ID token is none that opens a session.
    server.reload_with(&[("validator.audience", "app")]);
    refuses(
        &server,
        "alice",
        text(&tokens, "id_token"),
        "not_an_access_token",
    );
}

#[test]
fn claim_of_the_consent_decides_about_roles() {
    let hydra = Hydra::start();
    hydra.add_client("app", "jwt");
    let builder = server_for_jwts(&hydra, "delegate_ident_mapping=1")
        .set("validator.role_claim", "groups")
        .set("validator.role_map", "groups")
        .ident("groups db-carol carol");
    let server = start(builder);
    let alice = hydra.by_browser("app", "alice", &["db-carol"]);
    admits(&server, "carol", text(&alice, "access_token"));
    refuses(
        &server,
        "alice",
        text(&alice, "access_token"),
        "role_not_granted",
    );
    let bob = hydra.by_browser("app", "bob", &["others"]);
    refuses(
        &server,
        "carol",
        text(&bob, "access_token"),
        "role_not_granted",
    );
    let workload = hydra.workload_token("app", Some(Issuer::AUDIENCE));
    refuses(&server, "carol", &workload, "role_claim_missing");
}

#[test]
fn opaque_tokens_are_good_until_they_are_revoked() {
    let hydra = Hydra::start();
    hydra.add_client("app", "opaque");
    let builder = server_for(&hydra, "map=all")
        .ident(r"all /^([a-z]+)$ \1")
        .ident("all app carol");
    let server = start(asking(&hydra, builder, "opaque"));
    let workload = hydra.workload_token("app", Some(Issuer::AUDIENCE));
    admits(&server, "carol", &workload);
    let tokens = hydra.by_browser("app", "alice", &[]);
    let token = text(&tokens, "access_token");
    let mut session = admits(&server, "alice", token);
    refuses(
        &server,
        "alice",
        text(&tokens, "refresh_token"),
        "not_an_access_token",
    );
    hydra.revoke("app", token);
    thread::sleep(TTL + Duration::from_millis(500));
    refuses(&server, "alice", token, "token_inactive");
    admits(&server, "carol", &workload);
    let without = hydra.workload_token("app", None);
    refuses(&server, "carol", &without, "aud_mismatch");
    assert_eq!(session.value(crate::WHO), "oauth:alice is alice");
}

#[test]
fn jwts_that_are_asked_about_are_good_until_they_are_revoked() {
    let hydra = Hydra::start();
    hydra.add_client("app", "jwt");
    let server = start(asking(&hydra, server_for_jwts(&hydra, ""), "always"));
    let tokens = hydra.by_browser("app", "alice", &[]);
    let token = text(&tokens, "access_token");
    admits(&server, "alice", token);
    hydra.revoke("app", token);
    thread::sleep(TTL + Duration::from_millis(500));
    refuses(&server, "alice", token, "token_inactive");
}

#[test]
fn keys_rotate_without_anyone_being_locked_out() {
    let hydra = Hydra::start();
    hydra.add_client("app", "jwt");
    let server = start(server_for_jwts(&hydra, ""));
    let token = |user| text(&hydra.by_browser("app", user, &[]), "access_token").to_owned();
    let old = token("alice");
    let mut session = admits(&server, "alice", &old);
    let kid = hydra.rotate();
    let new = token("bob");
    assert_eq!(part(&new, 0, "kid"), kid);
    thread::sleep(Duration::from_millis(1100)); // the cooldown between two fetches
    admits(&server, "bob", &new);
    admits(&server, "alice", &old);
    hydra.retire(part(&old, 0, "kid").as_str().expect("a kid"));
    server.forget_keys();
    refuses(&server, "alice", &old, "unknown_kid");
    admits(&server, "bob", &new);
    assert_eq!(session.value(crate::WHO), "oauth:alice is alice");
}
