//! What helps to explain a refusal.

#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects)]

mod likely_preset;
mod near_miss;
mod sketch;
