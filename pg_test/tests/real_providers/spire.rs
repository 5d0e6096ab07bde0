//! SPIRE, set up as docs/providers/spiffe.md says: workloads only.

use std::thread;
use std::time::Duration;

use rig::{ServerBuilder, Spire};

use crate::{admits, part, refuses, refuses_role, start};

const AUDIENCE: &str = "spiffe://corp.example/postgres";
const WORKLOADS: &str = r#"spiffe "/^spiffe://corp\.example/etl/([a-z]+)$" \1"#;

fn server_for(spire: &Spire, options: &str) -> ServerBuilder {
    crate::server()
        .set("validator.provider", "spiffe")
        .set("validator.audience", AUDIENCE)
        .ident("spiffe spiffe://corp.example/shop/web bob")
        .ident(WORKLOADS)
        .hba(&crate::line(spire.issuer(), "openid", options))
}

#[test]
fn workload_gets_in_as_the_role_of_its_map() {
    let spire = Spire::start(true);
    let server = start(server_for(&spire, "map=spiffe"));
    let token = spire.token("/etl/carol", AUDIENCE);
    let mut session = admits(&server, "carol", &token);
    let who = "oauth:spiffe://corp.example/etl/carol is carol";
    assert_eq!(session.value(crate::WHO), who);
    refuses_role(&server, "alice", &token);
    admits(&server, "bob", &spire.token("/shop/web", AUDIENCE));
    refuses_role(&server, "bob", &spire.token("/shop/web/x", AUDIENCE));
    let other = spire.token("/etl/carol", "spiffe://corp.example/kafka");
    refuses(&server, "carol", &other, "aud_mismatch");
    // Another server of the same trust domain has other keys.
    let stranger = Spire::start(true).token("/etl/carol", AUDIENCE);
    refuses(&server, "carol", &stranger, "unknown_kid");
}

#[test]
fn name_of_a_workload_can_decide_about_roles_as_a_claim() {
    let spire = Spire::start(true);
    let builder = server_for(&spire, "delegate_ident_mapping=1")
        .set("validator.role_claim", "sub")
        .set("validator.role_map", "spiffe");
    let server = start(builder);
    let token = spire.token("/etl/carol", AUDIENCE);
    admits(&server, "carol", &token);
    refuses(&server, "alice", &token, "role_not_granted");
}

#[test]
fn tokens_without_an_issuer_are_refused() {
    let spire = Spire::start(false);
    let server = start(server_for(&spire, "map=spiffe"));
    let token = spire.token("/etl/carol", AUDIENCE);
    assert!(part(&token, 1, "iss").is_null());
    refuses(&server, "carol", &token, "iss_missing");
}

#[test]
fn bundle_of_the_trust_domain_is_no_key_set_here() {
    let spire = Spire::start(true);
    let server = start(server_for(&spire, "map=spiffe"));
    let token = spire.token("/etl/carol", AUDIENCE);
    let bundle = server.private_file("bundle.json", &spire.bundle());
    server.reload_with(&[("validator.jwks_file", &bundle.display().to_string())]);
    refuses(&server, "carol", &token, "setting_invalid");
    server.unset("validator.jwks_file");
    server.reload();
    admits(&server, "carol", &token);
}

#[test]
fn keys_rotate_without_anyone_being_locked_out() {
    let spire = Spire::start(true);
    let server = start(server_for(&spire, "map=spiffe"));
    let token = || spire.token("/etl/carol", AUDIENCE);
    let old = token();
    let mut session = admits(&server, "carol", &old);
    let first = spire.rotate();
    let new = token();
    assert_ne!(part(&old, 0, "kid"), part(&new, 0, "kid"));
    thread::sleep(Duration::from_millis(1100)); // the cooldown between two fetches
    admits(&server, "carol", &new);
    admits(&server, "carol", &old);
    spire.retire(&first);
    server.forget_keys();
    refuses(&server, "carol", &old, "unknown_kid");
    admits(&server, "carol", &new);
    assert_eq!(session.value("SELECT current_user"), "carol");
}
