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

use court::KeyKind;

/// One of each kind that can verify signatures.
const KINDS: [KeyKind; 5] = [
    KeyKind::Rsa,
    KeyKind::P256,
    KeyKind::P384,
    KeyKind::P521,
    KeyKind::Ed25519,
];
