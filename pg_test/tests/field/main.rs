//! What real providers send that a test of ours would not: logins with each, and with what must stay refused beside it.

mod documents;
mod keys;
mod net_encryption;
mod net_other_statuses;
mod net_proxy;
mod net_proxy_faults;
mod net_tinyproxy;
mod net_tls;
mod rotation;
mod tokens;

use rig::{Issuer, Server};

/// An issuer, and a server that trusts it.
fn start() -> (Issuer, Server) {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).start();
    (issuer, server)
}

/// Whether a new login gets in, once the keys have been fetched again and once with the cached ones.
#[track_caller]
fn admits(server: &Server, token: &str) {
    server.forget_keys();
    server.admits("alice", token);
    server.admits("alice", token);
}

/// Nor does it by what is cached.
#[track_caller]
fn refuses(server: &Server, token: &str, reason: &str) -> String {
    server.forget_keys();
    server.refuses("alice", token, reason);
    server.refuses("alice", token, reason).log
}
