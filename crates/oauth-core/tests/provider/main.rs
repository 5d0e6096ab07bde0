//! Asking the provider: metadata, keys, and about tokens.

#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects)]

mod cache_control;
mod client_auth;
mod discovery;
mod freshness;
mod freshness_histories;
mod introspection;
mod introspection_of_jwt;
mod introspection_response;
mod key_cache;
mod metadata;
mod names_in_answers;
mod network;
mod one_list_of_checks;
mod other_statuses;
mod proxy;
