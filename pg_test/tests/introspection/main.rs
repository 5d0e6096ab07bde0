//! Logins for which the provider is asked about the token (RFC 7662), judged by what it is asked.

mod answers;
mod cache;
mod clients;
mod interrupts;
mod outage;
mod secret_files;
mod shape;

use rig::{Endpoint, Issuer, Server, ServerBuilder};

/// Where the module, and its memory, comes from.
const BOTH: [bool; 2] = [false, true];

/// A server that asks this issuer about tokens, as the client `pg`.
fn server_of(issuer: &Issuer, mode: &str, preload: bool) -> ServerBuilder {
    let builder = Server::trusting(issuer)
        .log_everything()
        .set("validator.introspection", mode)
        .set("validator.client_id", "pg")
        .set("validator.client_auth_method", "none");
    if preload { builder.preload() } else { builder }
}

/// How often the metadata was asked for, and how often the issuer was asked about a token.
fn asked(issuer: &Issuer) -> (usize, usize) {
    (
        issuer.hits(Endpoint::Discovery),
        issuer.hits(Endpoint::Introspection),
    )
}
