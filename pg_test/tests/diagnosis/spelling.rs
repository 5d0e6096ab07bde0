//! Values that are right but for their spelling, or were right once.

use rig::{Issuer, now, oauth_line};

use crate::{explain, server_for};

#[test]
fn audience_and_client_that_differ_by_spelling_are_said_to() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer)
        .set("validator.audience", "https://pg.example.com/, db-two")
        .set("validator.client_ids", "psql-client")
        .start();
    let token = || issuer.token("alice").claim("client_id", "psql-client");
    for (named, wanted, near) in [
        (
            "https://pg.example.com",
            "https://pg.example.com/",
            "a slash at the end",
        ),
        (
            "https://PG.example.com/",
            "https://pg.example.com/",
            "capital letters",
        ),
        (
            "http://pg.example.com/",
            "https://pg.example.com/",
            "http for https",
        ),
        (
            "https://pg.example.com:443/",
            "https://pg.example.com/",
            "the usual port",
        ),
        ("db_two", "db-two", "an underscore or dash for a hyphen"),
    ] {
        let token = token().claim("aud", named).encode();
        explain(&server, "alice", &token, "aud_mismatch")
            .says(&[named, wanted, &format!("They differ only by {near}")])
            .loosens_nothing();
    }
    let token = token()
        .claim("aud", "db-two")
        .claim("client_id", "PSQL-client")
        .encode();
    explain(&server, "alice", &token, "client_not_allowed")
        .says(&["PSQL-client", "validator.client_ids has", "capital letters"])
        .loosens_nothing();
}

#[test]
fn expired_token_is_said_to_have_been_good_for_how_long() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer).start();
    let token = issuer
        .token("alice")
        .claim("iat", now() - 400)
        .claim("exp", now() - 100);
    explain(&server, "alice", &token.clone().encode(), "expired")
        .says(&["it was good for 300 s", "get a new one"])
        .loosens_nothing();
    explain(
        &server,
        "alice",
        &token.without_claim("iat").encode(),
        "expired",
    )
    .says(&["The client must get a new one"])
    .loosens_nothing();
}

#[test]
fn comma_in_the_scope_of_a_line_is_pointed_out() {
    let issuer = Issuer::builder().start();
    let line = oauth_line(issuer.url(), "").replace("openid postgres", "openid,postgres");
    let server = server_for(&issuer).start();
    server.set_hba(&[&line]);
    server.reload();
    let token = issuer.token("alice").encode();
    explain(&server, "alice", &token, "insufficient_scope")
        .says(&[
            "\"openid,postgres\" in scope= of the HBA line is one scope",
            "scope=\"openid postgres\"",
        ])
        .loosens_nothing();
}
