//! What helps to explain a refusal, and decides nothing: how a token that was refused looks, and how two values differ.

pub(crate) mod likely_preset;
pub(crate) mod near_miss;
pub(crate) mod sketch;
