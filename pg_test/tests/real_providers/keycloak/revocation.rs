//! Revocation: by introspection at the login, and by `validator-hook` for open sessions.

use std::thread;
use std::time::Duration;

use rig::{Hook, Issuer, Keycloak, Realm, Server};
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

/// Whether Keycloak's logout tokens name the session, or the user alone, whose `sub` is not the identity of the preset.
const NAMES_SESSION: [bool; 2] = [true, false];

#[test]
fn logout_at_keycloak_ends_sessions_by_validator_hook() {
    for names_session in NAMES_SESSION {
        let realm = Keycloak::shared().realm(match names_session {
            true => "logout-by-sid",
            false => "logout-by-sub",
        });
        let hooked = "local postgres validator_hook trust";
        let server = start(server_for(&realm, "").hba(hooked));
        server.sql(
            "CREATE EXTENSION validator; CREATE ROLE validator_hook LOGIN;
             GRANT USAGE ON SCHEMA validator TO validator_hook;
             GRANT EXECUTE ON FUNCTION validator.end_sessions(text, text, text, text, text), validator.flush_answers(text)
             TO validator_hook",
        );
        let issuer = realm.issuer();
        let hook = Hook::start(&format!(
            "[[issuer]]\nurl = \"{issuer}\"\nclient_ids = [\"psql\"]\nallow_http = true\n{}",
            Hook::server_table("primary", &server, "validator_hook")
        ));
        realm.change_client("psql", |client| {
            client["frontchannelLogout"] = false.into();
            let attributes = &mut client["attributes"];
            attributes["backchannel.logout.url"] = hook.url("/logout").into();
            attributes["backchannel.logout.session.required"] = names_session.to_string().into();
        });
        let mut alice = admits(&server, "alice", &realm.access_token("alice"));
        let mut bob = admits(&server, "bob", &realm.access_token("bob"));
        realm.log_out("alice");
        let limit = Duration::from_secs(30);
        let log = hook.wait_for(": primary: 1 ended\n", limit);
        let (_, words) = alice.wait_for_end(limit);
        let words = words.expect("last words");
        assert_eq!(words.code(), "57P01", "{words}");
        assert_eq!(bob.value(crate::WHO), "oauth:bob is bob");
        assert_eq!(log.contains(" sid="), names_session, "{log}");
        assert!(log.contains(" sub="), "{log}");
    }
}
