//! Real logins for every rule that a token is judged by: who gets in, and who does not and why.
//!
//! Each module is one part of the judgement, in the order of its checks. Every refusal goes through
//! `Server::refuses`, which also looks at what the client was told and what the log must not have.

mod access;
mod claims;
mod confirmation;
mod escalation;
mod identity;
mod identity_claims;
mod keys;
mod presets;
mod proxies;
mod required_claims;
mod roles;
mod signature;
mod structure;

use std::collections::BTreeSet;

use rig::{Issuer, Server};

/// A server that logs everything, and the issuer that it trusts.
fn start() -> (Issuer, Server) {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).log_everything().start();
    (issuer, server)
}

/// The sources of the modules above, and of what the provider says of tokens: what they refuse tokens for can be read
/// off.
const SOURCES: [&str; 15] = [
    include_str!("../field/keys.rs"),
    include_str!("../field/net_encryption.rs"),
    include_str!("../field/tokens.rs"),
    include_str!("../introspection/answers.rs"),
    include_str!("access.rs"),
    include_str!("claims.rs"),
    include_str!("confirmation.rs"),
    include_str!("escalation.rs"),
    include_str!("identity.rs"),
    include_str!("keys.rs"),
    include_str!("presets.rs"),
    include_str!("required_claims.rs"),
    include_str!("roles.rs"),
    include_str!("signature.rs"),
    include_str!("structure.rs"),
];

#[test]
fn every_reason_to_reject_a_token_has_a_login_that_is_refused_for_it() {
    let provoked: BTreeSet<&str> = SOURCES.iter().flat_map(|source| strings(source)).collect();
    let missing: Vec<&&str> = oauth_core::Reject::CODES
        .iter()
        .filter(|code| !provoked.contains(*code))
        .collect();
    assert!(missing.is_empty(), "no login is refused for {missing:?}");
}

/// The string literals of a source, outside of comments.
fn strings(source: &str) -> impl Iterator<Item = &str> {
    source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split('"').skip(1).step_by(2))
}
