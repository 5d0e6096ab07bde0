//! Revocation: by introspection at the login, and by the back-channel receiver of docs/sessions.md for open sessions.

use std::thread;
use std::time::Duration;

use rig::{Issuer, Keycloak, LogoutReceiver, Realm, Server};
use serde_json::json;

use super::server_for;
use crate::{admits, refuses, start};

/// With characters that each of the encodings writes in its own way.
const SECRET: &str = "s3cret+/% &=:";
const TTL: Duration = Duration::from_secs(2);

/// A server that asks the realm about each token, as this confidential client.
fn asking_server(realm: &Realm, client_id: &str) -> Server {
    realm.add_client(
        client_id,
        &json!({"secret": SECRET, "standardFlowEnabled": false}),
    );
    let builder = server_for(realm, "")
        .set("validator.introspection", "always")
        .set("validator.introspection_cache_ttl", "2s")
        .set("validator.client_id", client_id);
    let server = start(builder);
    let file = server.private_file("secret", &format!("{SECRET}\n"));
    server.reload_with(&[("validator.client_secret_file", &file.display().to_string())]);
    server
}

#[test]
fn token_is_good_until_it_is_revoked_or_its_person_logged_out() {
    let realm = Keycloak::shared().realm("introspection");
    // Keycloak answers a client only about tokens whose audience it is.
    let server = asking_server(&realm, Issuer::AUDIENCE);
    let token = realm.access_token("alice");
    let mut session = admits(&server, "alice", &token);
    realm.revoke(&token);
    admits(&server, "alice", &token); // by the cached answer
    thread::sleep(TTL + Duration::from_millis(500));
    refuses(&server, "alice", &token, "token_inactive");

    let token = realm.access_token("bob");
    admits(&server, "bob", &token);
    realm.log_out("bob");
    server.sql("CREATE EXTENSION validator; SELECT validator.flush_cache()");
    refuses(&server, "bob", &token, "token_inactive");
    assert_eq!(session.value(crate::WHO), "oauth:alice is alice");
    assert!(!server.log().text().contains(SECRET));
}

#[test]
fn client_that_is_not_an_audience_is_told_that_no_token_is_active() {
    let realm = Keycloak::shared().realm("asking");
    let server = asking_server(&realm, "postgresql");
    refuses(
        &server,
        "alice",
        &realm.access_token("alice"),
        "token_inactive",
    );
}

#[test]
fn logout_at_keycloak_ends_sessions_by_the_manuals_receiver() {
    let realm = Keycloak::shared().realm("logout");
    let revoker = "local postgres revoker trust";
    let server = start(server_for(&realm, "").hba(revoker));
    server.sql(
        "CREATE EXTENSION validator; CREATE ROLE revoker LOGIN;
         GRANT EXECUTE ON FUNCTION validator.end_sessions(text, text, text, text, text), validator.flush_cache() TO revoker",
    );
    let keys = format!("{}/protocol/openid-connect/certs", realm.issuer());
    let receiver = LogoutReceiver::start(&server, "revoker", &realm.issuer(), "psql", &keys);
    realm.change_client("psql", |client| {
        let attributes = &mut client["attributes"];
        attributes["backchannel.logout.url"] = receiver.url().into();
        attributes["backchannel.logout.session.required"] = "true".into();
    });
    let mut alice = admits(&server, "alice", &realm.access_token("alice"));
    let mut bob = admits(&server, "bob", &realm.access_token("bob"));
    let mark = server.log().mark();
    realm.log_out("alice");
    let ended = "validator.end_sessions ended 1 OAuth sessions";
    let limit = Duration::from_secs(30);
    server.log().wait_for(mark, ended, limit);
    let (_, words) = alice.wait_for_end(limit);
    let words = words.expect("last words");
    assert_eq!(words.code(), "57P01", "{words}");
    assert_eq!(bob.value(crate::WHO), "oauth:bob is bob");
}
