//! `validator-hook`: from what a provider sends to the sessions that end.

mod disabled;
mod disabled_standbys;
mod events;
mod hostile;
mod logouts;
mod servers;

use std::time::Duration;

use rig::{Ending, Endpoint, Hook, HookAnswer, Issuer, Server, ServerBuilder, Session, Token};
use serde_json::json;

const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";
const CLIENT: &str = "psql";
const ROLE: &str = "validator_hook";
const SOON: Duration = Duration::from_secs(30);

/// A server that trusts this issuer, and lets the program in.
fn server(issuer: &Issuer) -> Server {
    start(Server::trusting(issuer))
}

fn start(builder: ServerBuilder) -> Server {
    let line = format!("local postgres {ROLE} trust");
    let server = builder.hba(&line).start();
    server.sql(&format!(
        "SET synchronous_commit = on; CREATE EXTENSION validator; CREATE ROLE {ROLE} LOGIN;
         GRANT USAGE ON SCHEMA validator TO {ROLE};
         GRANT EXECUTE ON FUNCTION validator.flush_answers(text), validator.end_sessions(text, text, text, text, text) TO {ROLE}"
    ));
    server
}

/// The table of an issuer; `more` ends it.
fn issuer_table(issuer: &Issuer, more: &str) -> String {
    let url = issuer.url();
    format!("[[issuer]]\nurl = \"{url}\"\nallow_http = true\nclient_ids = [\"{CLIENT}\"]\n{more}\n")
}

/// The program for this issuer and this server.
fn hook(issuer: &Issuer, server: &Server) -> Hook {
    Hook::start(&configuration(issuer, server))
}

fn configuration(issuer: &Issuer, server: &Server) -> String {
    let server = Hook::server_table("primary", server, ROLE);
    format!("{}{server}", issuer_table(issuer, ""))
}

/// A logout token of the issuer that names nobody yet.
fn logout_token(issuer: &Issuer) -> Token {
    issuer
        .token("alice")
        .header("typ", "logout+jwt")
        .without_claim("client_id")
        .without_claim("scope")
        .without_claim("sub")
        .claim("aud", CLIENT)
        .claim("events", json!({LOGOUT: {}}))
}

/// A session of this user, whose token has this session at the provider.
#[track_caller]
fn log_in(server: &Server, issuer: &Issuer, user: &str, sid: &str) -> Session {
    let token = issuer.token(user).claim("sid", sid).encode();
    server.admits(user, &token)
}

#[track_caller]
fn assert_ended(session: &mut Session) {
    let (ending, words) = session.wait_for_end(SOON);
    assert_eq!(ending, Ending::Closed, "{words:?}");
    assert_eq!(words.expect("the server says why").code(), "57P01");
}

#[track_caller]
fn assert_open(session: &mut Session) {
    assert_eq!(session.value("SELECT 1"), "1");
}

#[track_caller]
fn assert_status(answer: &HookAnswer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(
        answer.head.contains("cache-control: no-store"),
        "{answer:?}"
    );
}

/// How often the provider was asked for its keys.
fn fetches(issuer: &Issuer) -> usize {
    issuer.hits(Endpoint::Jwks)
}
