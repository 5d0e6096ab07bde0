//! Settings and the policy that they make; what the manual and an explanation say of a judgement.

#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects)]

mod builder;
mod doubts;
mod explain;
mod failures;
mod required_claims;
mod settings;
mod troubleshooting;
