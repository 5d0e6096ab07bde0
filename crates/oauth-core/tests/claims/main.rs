//! Claims of a token whose signature holds.

#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing
)]

mod access_token;
mod confirmation;
mod grant;
mod identity;
mod identity_claims;
mod issuer_and_audience;
mod password;
mod provisioning;
mod required_claims;
mod roles;
mod scope;
mod times;
