//! A token of another kind.

use rig::{Issuer, SignatureFault};
use serde_json::json;

use crate::{explain, server_for};

#[test]
fn id_token_is_recognized_before_its_audience_type_and_client_are_talked_about() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer).start();
    let id = || {
        issuer
            .token("alice")
            .header("typ", "JWT")
            .without_claim("scope")
            .claim("aud", "psql")
    };
    for (token, shown) in [
        (id().claim("nonce", "n"), "its claim \"nonce\" shows"),
        (id().claim("azp", "psql"), "its claim \"aud\" shows"),
        (id().claim("typ", "ID"), "its claim \"typ\" shows"),
    ] {
        explain(&server, "alice", &token.encode(), "typ_not_allowed")
            .says(&["This is an ID token", shown, "send the access token"])
            .loosens_nothing();
    }
}

#[test]
fn refresh_and_logout_tokens_are_recognized() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer).start();
    let plain = || issuer.token("alice").header("typ", "JWT");
    for (token, kind) in [
        (plain().claim("typ", "Refresh"), "This is a refresh token"),
        (plain().claim("typ", "Offline"), "This is a refresh token"),
        (plain().claim("events", json!({})), "This is a logout token"),
    ] {
        explain(&server, "alice", &token.encode(), "typ_not_allowed")
            .says(&[kind, "(unverified)", "send the access token"])
            .loosens_nothing();
    }
}

#[test]
fn token_for_microsoft_graph_is_recognized_whatever_the_preset() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer).start();
    let altered = issuer
        .token("alice")
        .claim("aud", "00000003-0000-0000-c000-000000000000")
        .signature_fault(SignatureFault::FlippedBit);
    explain(&server, "alice", &altered.encode(), "bad_signature")
        .says(&["Microsoft Graph", "a scope of your own application"])
        .loosens_nothing();
    let for_graph = issuer
        .token("alice")
        .claim("aud", "https://graph.microsoft.com");
    explain(&server, "alice", &for_graph.encode(), "aud_mismatch")
        .says(&["Microsoft Graph"])
        .loosens_nothing();
}
