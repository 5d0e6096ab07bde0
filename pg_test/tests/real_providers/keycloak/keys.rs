//! Keycloak's keys: rotation, and algorithms other than its default.

use std::thread;
use std::time::Duration;

use rig::{Keycloak, Realm};

use super::server_for;
use crate::{admits, part, refuses, start};

#[test]
fn keys_rotate_without_anyone_being_locked_out() {
    let realm = Keycloak::shared().realm("rotation");
    let server = start(server_for(&realm, ""));
    let first = realm.add_signing_key("rsa-generated", &[]);
    let old = realm.access_token("alice");
    let mut session = admits(&server, "alice", &old);

    realm.add_signing_key("rsa-generated", &[("priority", "2000")]);
    let new = realm.access_token("alice");
    assert_ne!(part(&old, 0, "kid"), part(&new, 0, "kid"));
    thread::sleep(Duration::from_millis(1100)); // the cooldown between two fetches
    admits(&server, "alice", &new);
    admits(&server, "alice", &old);

    realm.admin("DELETE", &format!("components/{first}"), None);
    admits(&server, "alice", &old); // for as long as the cached keys live
    let refresh = format!("SELECT validator.refresh_keys('{}')", realm.issuer());
    server.sql(&format!("CREATE EXTENSION validator; {refresh}"));
    refuses(&server, "alice", &old, "unknown_kid");
    admits(&server, "alice", &new);
    assert_eq!(session.value(crate::WHO), "oauth:alice is alice");
}

/// A token of a realm that signs with this algorithm, by a new key of this kind.
fn token(realm: &Realm, provider: &str, config: &[(&str, &str)], alg: &str) -> String {
    realm.add_signing_key(provider, config);
    realm.change_client("psql", |client| {
        client["attributes"]["access.token.signed.response.alg"] = alg.into();
    });
    let token = realm.access_token("alice");
    assert_eq!(part(&token, 0, "alg"), alg);
    token
}

#[test]
fn every_signature_of_keycloaks_is_accepted() {
    let realm = Keycloak::shared().realm("algorithms");
    let server = start(server_for(&realm, ""));
    let ecdsa = "ecdsa-generated";
    let curve = "ecdsaEllipticCurveKey";
    for (provider, config, alg) in [
        ("rsa-generated", [("algorithm", "PS256")], "PS256"),
        (ecdsa, [(curve, "P-256")], "ES256"),
        (ecdsa, [(curve, "P-384")], "ES384"),
        (ecdsa, [(curve, "P-521")], "ES512"),
        (
            "eddsa-generated",
            [("eddsaEllipticCurveKey", "Ed25519")],
            "EdDSA",
        ),
    ] {
        let token = token(&realm, provider, &config, alg);
        server.forget_keys();
        admits(&server, "alice", &token);
    }
}
