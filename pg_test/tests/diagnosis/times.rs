//! Tokens and clocks: whose clock is wrong, and sessions that end.

use std::time::Duration;

use rig::{Endpoint, Issuer, now};

use crate::{explain, server_for};

#[test]
fn providers_clock_that_is_ahead_is_said_to_be() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer).start();
    issuer.add_header(Endpoint::Jwks, "Date", &server.http_date(600));
    let early = issuer.token("alice").claim("iat", now() + 600).encode();
    explain(&server, "alice", &early, "issued_in_future").says(&[
        "a clock is wrong: that of the provider was ",
        " s ahead of this server's when the keys were fetched, at 20",
        "Synchronize both by NTP",
    ]);
}

#[test]
fn providers_clock_that_is_behind_explains_tokens_that_expire_at_once() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer).start();
    issuer.add_header(Endpoint::Jwks, "Date", &server.http_date(-3650));
    let token = issuer
        .token("alice")
        .claim("iat", now() - 3600)
        .claim("exp", now() - 3300)
        .encode();
    explain(&server, "alice", &token, "expired")
        .says(&[
            "it was good for 300 s",
            "that of the provider was 36",
            "s behind this server's",
        ])
        .loosens_nothing();
}

#[test]
fn clocks_that_agree_are_not_blamed() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer).start();
    issuer.add_header(Endpoint::Jwks, "Date", &server.http_date(0));
    let token = issuer
        .token("alice")
        .claim("iat", now() - 400)
        .claim("exp", now() - 100)
        .encode();
    explain(&server, "alice", &token, "expired")
        .says(&[
            "it was good for 300 s",
            "the token is not a new one",
            "agreed on the time when the keys were fetched",
        ])
        .loosens_nothing();
}

#[test]
fn end_of_a_session_names_the_setting_and_the_tokens_lifetime() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer)
        .set("validator.session_expiry", "on")
        .set("validator.clock_skew", "0")
        .start();
    let mark = server.log().mark();
    let token = issuer
        .token("alice")
        .claim("iat", now() - 57)
        .claim("exp", now() + 3)
        .encode();
    let _session = server.admits("alice", &token);
    let told = "HINT:  Its token was good for 60 s (\"iat\" to \"exp\"), and validator.session_expiry ends sessions";
    server.log().wait_for(mark, told, Duration::from_secs(30));
}
