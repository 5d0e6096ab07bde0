//! Revocation: by introspection at the login, and by `validator-hook` for open sessions.

use std::thread;
use std::time::Duration;

use rig::{Issuer, Keycloak, Realm, Server};

use super::{HOOK_LINE, SECRET, ask_about_all, give_secret, server_for, start_hook};
use crate::{admits, refuses, start};

const TTL: Duration = Duration::from_secs(2);

/// A server that asks the realm about each token, as this confidential client.
fn asking_server(realm: &Realm, client_id: &str) -> Server {
    let builder = ask_about_all(realm, server_for(realm, ""), client_id);
    let server = start(builder.set("validator.introspection_cache_ttl", "2s"));
    give_secret(&server);
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
        let server = start(server_for(&realm, "").hba(HOOK_LINE));
        server.sql("CREATE EXTENSION validator");
        let hook = start_hook(&realm, &server, names_session);
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
