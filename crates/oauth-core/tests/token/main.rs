//! Tokens as texts: their size, parts, encoding, header and payload; and that none is ever shown.

#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing
)]

mod header;
mod payload;
mod properties;
mod secrets;
mod shape;
mod structure;
