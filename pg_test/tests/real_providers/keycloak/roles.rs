//! Roles from realm roles and groups.

use rig::Keycloak;

use super::server_for;
use crate::{admits, refuses, start};

const DELEGATED: &str = "delegate_ident_mapping=1";

#[test]
fn realm_roles_decide_through_a_map() {
    let realm = Keycloak::shared().realm("realm-roles");
    realm.grant_role("alice", "db-readers");
    realm.grant_role("bob", "db-admins");
    let builder = server_for(&realm, DELEGATED)
        .set("validator.role_map", "corp_roles")
        .ident("corp_roles db-readers carol")
        .ident("corp_roles db-admins dba");
    let server = start(builder);
    server.sql("CREATE ROLE dba LOGIN SUPERUSER; GRANT oauth_users TO dba");
    let mut session = admits(&server, "carol", &realm.access_token("alice"));
    assert_eq!(session.value(crate::WHO), "oauth:alice is carol");
    refuses(
        &server,
        "bob",
        &realm.access_token("alice"),
        "role_not_granted",
    );
    refuses(
        &server,
        "carol",
        &realm.access_token("mallory"),
        "role_not_granted",
    );
    // A claim alone makes nobody a superuser.
    refuses(
        &server,
        "dba",
        &realm.access_token("bob"),
        "role_too_powerful",
    );
    server.reload_with(&[("validator.allow_superuser", "on")]);
    admits(&server, "dba", &realm.access_token("bob"));
}

#[test]
fn groups_decide_by_a_mapper_with_patterns_and_groups_of_roles() {
    let realm = Keycloak::shared().realm("groups");
    realm.add_groups_mapper();
    realm.add_to_group("alice", "db-carol");
    realm.add_to_group("bob", "analysts");
    let builder = server_for(&realm, DELEGATED)
        .set("validator.role_claim", "groups")
        .set("validator.role_map", "corp_groups")
        .ident(r"corp_groups /^db-([a-z]+)$ \1")
        .ident("corp_groups analysts +reporting");
    let server = start(builder);
    server.sql("CREATE ROLE reporting; GRANT reporting TO alice");
    let (alice, bob) = (realm.access_token("alice"), realm.access_token("bob"));
    admits(&server, "carol", &alice);
    refuses(&server, "alice", &alice, "role_not_granted");
    let mut session = admits(&server, "alice", &bob);
    assert_eq!(session.value(crate::WHO), "oauth:bob is alice");
    refuses(&server, "carol", &bob, "role_not_granted");
    // Whoever is in no group gets a token without the claim.
    let nobody = realm.access_token("mallory");
    refuses(&server, "carol", &nobody, "role_claim_missing");
}
