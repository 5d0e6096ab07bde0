//! Keys that are not there: since when, and whether they were asked for.

use std::thread;
use std::time::Duration;

use rig::{Endpoint, Fault, Issuer, Key, KeyKind, now};

use crate::{explain, server_for, try_login};

#[test]
fn unknown_key_for_which_the_keys_were_fetched_is_said_to_be_unknown() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer).start();
    let key = Key::new(KeyKind::P256);
    let foreign = || issuer.token("alice").signed_by(&key, key.default_alg());
    let old = foreign().claim("iat", now() - 4000).encode();
    explain(&server, "alice", &old, "unknown_kid")
        .has_fact("keys_fetched=\"20")
        .says(&[
            "were fetched for this token, at 20",
            "from another issuer, or older than the provider's last key rotation",
        ])
        .does_not_say(&["flush_cache"])
        .loosens_nothing();
    // A provider that signs with a key before it publishes it, or behind a cache.
    server.sql("CREATE EXTENSION validator; SELECT validator.flush_cache()");
    let new = foreign().encode();
    explain(&server, "alice", &new, "unknown_kid")
        .says(&[
            "issued within 5 minutes of that (unverified)",
            "does not publish its new key yet",
        ])
        .loosens_nothing();
}

#[test]
fn key_that_is_newer_than_the_cached_ones_is_said_to_wait_for_the_cooldown() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer)
        .set("validator.jwks_refresh_cooldown", "1h")
        .start();
    server.admits("alice", &issuer.token("alice").encode());
    let made_up = Key::new(KeyKind::P256);
    let made_up = issuer
        .token("alice")
        .signed_by(&made_up, made_up.default_alg());
    explain(&server, "alice", &made_up.encode(), "unknown_kid").says(&["for this token"]);
    thread::sleep(Duration::from_millis(1100));
    issuer.rotate();
    let refresh = format!("validator.refresh_keys('{}')", issuer.url());
    let newer = issuer.token("alice").encode();
    let told = [
        "s ago, is the token's",
        "not fetched again for it (validator.jwks_refresh_cooldown)",
        "it was issued after that (unverified), so it may be newer than the keys",
        "for a token that comes in 3",
        &refresh,
    ];
    explain(&server, "alice", &newer, "unknown_kid")
        .says(&told)
        .does_not_say(&["flush_cache", "older than"])
        .loosens_nothing();
    for part in told {
        let said = try_login(&server, "alice", &newer);
        assert!(said.contains(part), "{part}: {said}");
    }
    let older = issuer.token("alice").claim("iat", now() - 4000).encode();
    explain(&server, "alice", &older, "unknown_kid")
        .says(&[
            "issued before that (unverified)",
            "from another issuer, or older",
        ])
        .loosens_nothing();
    // What it says helps, and keeps what is there.
    server.sql(&format!("SELECT {refresh}"));
    server.admits("alice", &newer);
}

#[test]
fn last_fetch_that_failed_is_told() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer)
        .set("validator.jwks_refresh_cooldown", "1h")
        .start();
    server.admits("alice", &issuer.token("alice").encode());
    issuer.fail(Endpoint::Jwks, Fault::Status(500));
    let key = Key::new(KeyKind::P256);
    let token = issuer
        .token("alice")
        .signed_by(&key, key.default_alg())
        .encode();
    server.refuses("alice", &token, "provider_unavailable");
    // The pause after one failure is a second and a quarter at most; the cooldown is longer.
    thread::sleep(Duration::from_millis(1500));
    explain(&server, "alice", &token, "unknown_kid")
        .says(&["The last fetch failed: ", "status 500", issuer.url()])
        .loosens_nothing();
}

#[test]
fn file_of_keys_is_said_to_be_old() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer).start();
    let keys = serde_json::json!({"keys": [issuer.signing_key().jwk()]});
    let file = server.private_file("jwks.json", &keys.to_string());
    let file = file.display().to_string();
    server.reload_with(&[("validator.jwks_file", &file)]);
    server.admits("alice", &issuer.token("alice").encode());
    issuer.rotate();
    explain(
        &server,
        "alice",
        &issuer.token("alice").encode(),
        "unknown_kid",
    )
    .says(&[
        "The file of validator.jwks_file, read at 20",
        "replace the file by its current key set",
    ])
    .does_not_say(&["refresh_keys"])
    .loosens_nothing();
}
