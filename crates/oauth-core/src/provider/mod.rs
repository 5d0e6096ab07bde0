//! The identity provider: who it is, what it says of itself and of tokens, and how it is asked.

pub(crate) mod cache_control;
pub(crate) mod client_auth;
pub(crate) mod fetch;
pub(crate) mod freshness;
pub(crate) mod introspection;
pub(crate) mod issuer;
pub(crate) mod key_cache;
pub(crate) mod metadata;
pub(crate) mod proxy;
