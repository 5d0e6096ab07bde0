//! Keys and signatures.

#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing
)]

mod certificates;
mod choice;
mod faults;
mod key_material;
mod key_set;
mod newer_keys;
mod published;
mod rfc_vectors;
mod rsa_vectors;
mod signature;
mod spelling;
mod vectors;
mod wycheproof;
