//! What SQL sees, tried by real logins: claims, statistics, the cache, and who may see or do what.

mod cached;
mod check_token;
mod claims;
mod rights;
mod statistics;
mod try_login;

use rig::{Issuer, Rows, Server, ServerBuilder};

/// Where the module, and its memory, comes from.
const BOTH: [bool; 2] = [false, true];

/// A server that trusts this issuer.
fn server_of(issuer: &Issuer, preload: bool) -> ServerBuilder {
    let builder = Server::trusting(issuer).log_everything();
    if preload { builder.preload() } else { builder }
}

/// One that asks the issuer about opaque tokens.
fn server_that_asks(issuer: &Issuer) -> ServerBuilder {
    server_of(issuer, false).asks_about_opaque_tokens()
}

/// Starts the server, and creates the extension in it.
fn with_extension(builder: ServerBuilder) -> Server {
    let server = builder.start();
    server.sql("CREATE EXTENSION validator");
    server
}

/// The steps that a function shows: name, whether it was passed, detail, number. They are numbered, and none has a part of
/// the token in it.
fn steps_of(server: &Server, call: &str, token: &str) -> Rows {
    let rows = server.sql(&format!(
        "SELECT name, passed, detail, step FROM validator.{call}"
    ));
    for (number, row) in (1..).zip(&rows) {
        assert_eq!(row[3], Some(number.to_string()));
        let told = row[2].as_deref().expect("a detail");
        for part in token.split('.').filter(|part| part.len() > 8) {
            assert!(!told.contains(part), "{told}");
        }
    }
    rows
}
