//! The checks that a token has to pass, one concern a file. `judge` calls them in their order.

pub(crate) mod access_token;
pub(crate) mod claims;
pub(crate) mod confirmation;
pub(crate) mod entra;
pub(crate) mod identity;
pub(crate) mod introspected;
pub(crate) mod password;
pub(crate) mod provisioning;
pub(crate) mod required_claims;
pub(crate) mod roles;
pub(crate) mod scope;
pub(crate) mod shape;
pub(crate) mod signature;
pub(crate) mod structure;
