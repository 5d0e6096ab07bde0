//! Keycloak, set up as docs/providers/keycloak.md says: a realm for each test.

mod article;
mod keys;
mod logins;
mod revocation;
mod roles;

use rig::{Issuer, Realm, ServerBuilder};

/// A server with the preset and a line for this realm; `options` end the line.
fn server_for(realm: &Realm, options: &str) -> ServerBuilder {
    super::server()
        .set("validator.provider", "keycloak")
        .set("validator.audience", Issuer::AUDIENCE)
        .hba(&super::line(&realm.issuer(), Issuer::SCOPE, options))
}
