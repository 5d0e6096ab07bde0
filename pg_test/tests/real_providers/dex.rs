//! Dex, set up as docs/providers/dex.md recommends: tokens with an audience of their own.

use std::thread;
use std::time::{Duration, Instant};

use rig::{Dex, ServerBuilder};

use crate::{admits, assert_mismatch, device_login, part, refuses, start, text};

const SCOPE: &str = "openid email audience:server:client_id:postgres";

fn server_for(dex: &Dex, scope: &str, options: &str) -> ServerBuilder {
    crate::server()
        .set("validator.provider", "dex")
        .set("validator.audience", "postgres")
        .set("validator.identity_claim", "email")
        .set("validator.required_claims", "email_verified=true")
        .ident(r"dex /^([a-z]+)@corp\.example\.com$ \1")
        .hba(&crate::line(dex.issuer(), scope, options))
}

#[test]
fn psql_gets_in_by_the_device_flow_as_its_person_only() {
    let dex = Dex::start("6h");
    let builder = server_for(&dex, SCOPE, "map=dex").set("validator.client_ids", "psql");
    let server = start(builder);
    let log_in = |role, user| {
        device_login(&server, role, dex.issuer(), "", |prompt| {
            dex.approve(prompt, user)
        })
    };
    let alice = log_in("alice", "alice");
    assert_eq!(alice.success(), "oauth:alice@corp.example.com is alice");
    let token = alice.access_token();
    assert_eq!(part(token, 1, "azp"), "psql");
    admits(&server, "alice", token);
    let mark = server.log().mark();
    assert!(!log_in("alice", "bob").psql.status.success());
    assert_mismatch(&server.log().since(mark));
    // The address that nobody has verified could be anyone's.
    let mark = server.log().mark();
    assert!(!log_in("alice", "mallory").psql.status.success());
    let log = server.log().since(mark);
    assert_eq!(
        rig::reasons(&log).collect::<Vec<_>>(),
        ["required_claim_mismatch"],
        "{log}"
    );
    // The ID token of the device flow has c_hash.
    let id_token = alice.psql.stderr.split("\"id_token\"").nth(1);
    let id_token = id_token
        .and_then(|rest| rest.split('"').nth(1))
        .expect("an ID token");
    refuses(&server, "alice", id_token, "not_an_access_token");
}

#[test]
fn id_tokens_of_a_browser_and_tokens_of_other_clients_are_refused() {
    let dex = Dex::start("6h");
    let server = start(server_for(&dex, SCOPE, "map=dex"));
    let with_nonce = dex.by_browser("alice", SCOPE, Some("n-0S6_WzA2Mj"));
    refuses(
        &server,
        "alice",
        text(&with_nonce, "id_token"),
        "not_an_access_token",
    );
    // Dex puts the nonce into the access token, too.
    refuses(
        &server,
        "alice",
        text(&with_nonce, "access_token"),
        "not_an_access_token",
    );
    let without = dex.by_browser("alice", SCOPE, None);
    refuses(
        &server,
        "alice",
        text(&without, "id_token"),
        "not_an_access_token",
    );
    admits(&server, "alice", text(&without, "access_token"));
    // A token that was not asked for this server is for the client alone.
    let own = dex.by_browser("alice", "openid email", None);
    refuses(&server, "alice", text(&own, "access_token"), "aud_mismatch");
    server.reload_with(&[("validator.client_ids", "psql")]);
    refuses(
        &server,
        "alice",
        text(&without, "access_token"),
        "client_not_allowed",
    );
}

#[test]
fn program_with_a_password_gets_in_and_its_id_token_cannot_be_told_apart() {
    let dex = Dex::start("6h");
    let server = start(server_for(&dex, SCOPE, "map=dex"));
    let tokens = dex.by_password("alice", SCOPE);
    let mut session = admits(&server, "alice", text(&tokens, "access_token"));
    assert_eq!(
        session.value(crate::WHO),
        "oauth:alice@corp.example.com is alice"
    );
    // As docs/providers/dex.md warns.
    admits(&server, "alice", text(&tokens, "id_token"));
    let own = dex.by_password("alice", "openid email");
    for kind in ["access_token", "id_token"] {
        refuses(&server, "alice", text(&own, kind), "aud_mismatch");
    }
}

#[test]
fn groups_decide_about_roles() {
    let dex = Dex::start("6h");
    let scope = format!("{SCOPE} groups");
    let builder = server_for(&dex, &scope, "delegate_ident_mapping=1")
        .set("validator.role_claim", "groups")
        .set("validator.role_map", "dex_groups")
        .ident("dex_groups \"db:carol\" carol");
    let server = start(builder);
    let alice = dex.by_password("alice", &scope);
    admits(&server, "carol", text(&alice, "access_token"));
    refuses(
        &server,
        "alice",
        text(&alice, "access_token"),
        "role_not_granted",
    );
    let bob = dex.by_password("bob", &scope);
    refuses(
        &server,
        "carol",
        text(&bob, "access_token"),
        "role_claim_missing",
    );
}

#[test]
fn keys_rotate_without_anyone_being_locked_out() {
    let dex = Dex::start("20s");
    let server = start(server_for(&dex, SCOPE, "map=dex"));
    let token = |user| text(&dex.by_password(user, SCOPE), "access_token").to_owned();
    let old = token("alice");
    let mut session = admits(&server, "alice", &old);
    let first = dex.kids();
    let start = Instant::now();
    while dex.kids() == first {
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "no rotation: {first:?}"
        );
        thread::sleep(Duration::from_secs(1));
    }
    let new = token("bob");
    assert_ne!(part(&old, 0, "kid"), part(&new, 0, "kid"));
    admits(&server, "bob", &new);
    admits(&server, "alice", &old);
    assert_eq!(session.value("SELECT current_user"), "alice");
}
