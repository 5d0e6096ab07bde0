//! Sessions after their login: who is in, and how an administrator or the token's end gets them out.

mod end_sessions;
mod expiry;
mod registry;
mod under_way;

use std::time::Duration;

use rig::{Ending, Issuer, Server, ServerBuilder, ServerMessage, Session};

/// Where the module, and its memory, comes from.
const BOTH: [bool; 2] = [false, true];

/// How long a session that was told to end may take to do so.
const SOON: Duration = Duration::from_secs(30);

/// A server that trusts this issuer.
fn server_of(issuer: &Issuer, preload: bool) -> ServerBuilder {
    let builder = Server::trusting(issuer).log_everything();
    if preload { builder.preload() } else { builder }
}

/// Starts the server, and creates the extension in it, so that it outlives a crash.
fn with_extension(builder: ServerBuilder) -> Server {
    let server = builder.start();
    server.sql("SET synchronous_commit = on; CREATE EXTENSION validator");
    server
}

/// The session must end now, with what PostgreSQL says of a pg_terminate_backend.
#[track_caller]
fn assert_ended(session: &mut Session) {
    let (ending, words) = session.wait_for_end(SOON);
    assert_eq!(ending, Ending::Closed, "{words:?}");
    assert_admin_shutdown(&words.expect("the server says why"));
}

/// What a client is told whose session is ended: nothing about why.
#[track_caller]
fn assert_admin_shutdown(words: &ServerMessage) {
    assert_eq!((words.severity(), words.code()), ("FATAL", "57P01"));
    assert_eq!(
        words.message(),
        "terminating connection due to administrator command"
    );
    assert_eq!(words.field('D'), None);
}
