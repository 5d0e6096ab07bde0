//! Who gets in with which of Keycloak's tokens.

use rig::{Issuer, Keycloak};
use serde_json::json;

use super::server_for;
use crate::{admits, assert_mismatch, device_login, part, refuses, start, text};

#[test]
fn psql_gets_in_by_the_device_flow_as_its_person_only() {
    let realm = Keycloak::shared().realm("device");
    let server = start(server_for(&realm, ""));
    let issuer = realm.issuer();
    let log_in = |user| {
        device_login(&server, "alice", &issuer, "", |prompt| {
            realm.approve(prompt, user)
        })
    };
    let alice = log_in("alice");
    assert_eq!(alice.success(), "oauth:alice is alice");
    admits(&server, "alice", alice.access_token());
    let mark = server.log().mark();
    let mallory = log_in("mallory");
    assert!(!mallory.psql.status.success(), "{mallory:?}");
    assert_mismatch(&server.log().since(mark));
}

#[test]
fn other_kinds_of_token_and_those_for_others_are_refused() {
    let realm = Keycloak::shared().realm("kinds");
    let server = start(server_for(&realm, ""));
    let login = realm.log_in("alice", "psql", Issuer::SCOPE);
    admits(&server, "alice", text(&login, "access_token"));
    refuses(&server, "alice", text(&login, "id_token"), "aud_mismatch");
    refuses(
        &server,
        "alice",
        text(&login, "refresh_token"),
        "alg_not_allowed",
    );
    // Without the scope that has the audience mapper, a token is for the client "account".
    let other = realm.log_in("alice", "psql", "openid");
    refuses(
        &server,
        "alice",
        text(&other, "access_token"),
        "aud_mismatch",
    );
    // Even where an ID token's audience is accepted, its kind is not.
    server.reload_with(&[("validator.audience", "psql")]);
    refuses(
        &server,
        "alice",
        text(&login, "id_token"),
        "not_an_access_token",
    );

    realm.add_client(
        "other",
        &json!({
            "publicClient": true, "directAccessGrantsEnabled": true,
            "defaultClientScopes": ["basic", "profile", "postgres"],
        }),
    );
    let other = realm.log_in("alice", "other", "openid");
    let token = text(&other, "access_token");
    server.reload_with(&[("validator.audience", Issuer::AUDIENCE)]);
    admits(&server, "alice", token);
    server.reload_with(&[("validator.client_ids", "psql")]);
    refuses(&server, "alice", token, "client_not_allowed");
    // Another realm of the same server is another issuer, with other keys.
    let stranger = Keycloak::shared().realm("strangers").access_token("alice");
    refuses(&server, "alice", &stranger, "unknown_kid");
}

#[test]
fn at_jwt_headers_suit_both_presets_and_others_only_keycloaks() {
    let realm = Keycloak::shared().realm("headers");
    let server = start(server_for(&realm, ""));
    let generic = [
        ("validator.provider", "generic"),
        ("validator.identity_claim", "preferred_username"),
    ];
    let token = realm.access_token("alice");
    assert_eq!(part(&token, 0, "typ"), "JWT");
    admits(&server, "alice", &token);
    server.reload_with(&generic);
    refuses(&server, "alice", &token, "typ_not_allowed");

    realm.change_client("psql", |client| {
        client["attributes"]["access.token.header.type.rfc9068"] = "true".into();
    });
    let token = realm.access_token("alice");
    assert_eq!(part(&token, 0, "typ"), "at+jwt");
    admits(&server, "alice", &token);
    server.reload_with(&[("validator.provider", "keycloak")]);
    let issuer = realm.issuer();
    let outcome = device_login(&server, "alice", &issuer, "", |prompt| {
        realm.approve(prompt, "alice")
    });
    assert_eq!(outcome.success(), "oauth:alice is alice");
    assert_eq!(part(outcome.access_token(), 0, "typ"), "at+jwt");
}

#[test]
fn lightweight_tokens_name_no_audience() {
    let realm = Keycloak::shared().realm("lightweight");
    let server = start(server_for(&realm, ""));
    realm.change_client("psql", |client| {
        client["attributes"]["client.use.lightweight.access.token.enabled"] = "true".into();
    });
    refuses(
        &server,
        "alice",
        &realm.access_token("alice"),
        "aud_missing",
    );
}

#[test]
fn workload_gets_in_by_client_credentials_as_the_role_of_its_map() {
    let realm = Keycloak::shared().realm("workload");
    let map = "workloads service-account-etl carol";
    let server = start(server_for(&realm, "map=workloads").ident(map));
    for client in ["etl", "other"] {
        realm.add_client(
            client,
            &json!({
                "secret": "s3cret", "serviceAccountsEnabled": true, "standardFlowEnabled": false,
                "defaultClientScopes": ["basic", "profile", "service_account", "postgres"],
            }),
        );
    }
    // No `openid`: it is not about a person.
    server.set_hba(&[&crate::line(&realm.issuer(), "postgres", "map=workloads")]);
    server.reload();
    let token = realm.workload_token("etl", "s3cret");
    let mut session = admits(&server, "carol", &token);
    assert_eq!(
        session.value(crate::WHO),
        "oauth:service-account-etl is carol"
    );
    crate::refuses_role(&server, "alice", &token);
    crate::refuses_role(&server, "carol", &realm.workload_token("other", "s3cret"));
}
