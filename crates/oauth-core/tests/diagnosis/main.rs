//! What helps to explain a refusal.

#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects)]

mod near_miss;
mod sketch;
