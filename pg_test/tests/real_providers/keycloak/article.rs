//! The line that a widely read article about Keycloak and PostgreSQL 18 shows: a map, and the scopes "openid profile email",
//! of which none is about this server. With an audience and the client named, it lets in whom it should.

use rig::{Keycloak, Realm};
use serde_json::json;

use super::server_for;
use crate::{admits, assert_mismatch, device_login, login, refuses, start};

const SCOPE: &str = "openid profile email";
const SECRET: &str = "s3cret";

/// A realm with the article's confidential client, whose tokens always have this server's audience.
fn realm(name: &str) -> Realm {
    let realm = Keycloak::shared().realm(name);
    realm.add_client(
        "seed",
        &json!({
            "secret": SECRET, "standardFlowEnabled": false,
            "attributes": {"oauth2.device.authorization.grant.enabled": "true"},
            "defaultClientScopes": ["basic", "profile", "email", "roles", "postgres"],
        }),
    );
    realm
}

#[test]
fn the_articles_line_is_refused_until_it_names_an_audience() {
    let realm = realm("article-as-written");
    let builder = crate::server()
        .set("validator.provider", "keycloak")
        .ident("oauth_map /^(.+)$ alice")
        .hba(&crate::line(&realm.issuer(), SCOPE, "map=oauth_map"));
    let server = start(builder);
    let token = realm.access_token("mallory");
    refuses(&server, "alice", &token, "audience_unset");
}

#[test]
fn the_articles_line_made_safe_lets_in_the_clients_people_as_themselves() {
    let realm = realm("article");
    let issuer = realm.issuer();
    let builder = server_for(&realm, "map=oauth_map")
        .set("validator.client_ids", "seed")
        .ident(r"oauth_map /^([a-z][a-z0-9_]*)$ \1");
    let server = start(builder);
    server.set_hba(&[&crate::line(&issuer, SCOPE, "map=oauth_map")]);
    server.reload();
    let secret = format!("oauth_client_id=seed oauth_client_secret={SECRET}");
    let log_in = |user| {
        device_login(&server, "alice", &issuer, &secret, |prompt| {
            realm.approve(prompt, user)
        })
    };
    let alice = log_in("alice");
    assert_eq!(alice.success(), "oauth:alice is alice");
    let mark = server.log().mark();
    assert!(!log_in("mallory").psql.status.success());
    assert_mismatch(&server.log().since(mark));
    // The same person by another client; without the audience, too.
    let mine = realm.access_token("alice");
    refuses(&server, "alice", &mine, "client_not_allowed");
    let without = realm.log_in("alice", "psql", SCOPE);
    let without = crate::text(&without, "access_token");
    refuses(&server, "alice", without, "aud_mismatch");
    // A superuser is not in the line's group.
    let superuser = login(&server, "postgres", alice.access_token());
    assert!(!superuser.run().is_session());
    admits(&server, "alice", alice.access_token());
}
