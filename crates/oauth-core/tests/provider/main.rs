//! Asking the provider: metadata, keys, and about tokens.

#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects)]

mod client_auth;
mod discovery;
mod introspection;
mod metadata;
mod network;
