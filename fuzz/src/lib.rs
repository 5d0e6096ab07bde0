//! What the fuzz targets share.
//!
//! An input is lines of JSON, so that a person can read and write it: first the settings, as an administrator
//! writes them, then what an attacker or a provider sends. [`mutator`] changes such lines so that they stay JSON,
//! [`case`] builds a judgement from them, and [`oracle`] says a second time, in other words than the core, what
//! must hold of a token that was accepted. [`documents`] does so of what a provider publishes.

pub mod case;
pub mod claims;
pub mod conditions;
pub mod documents;
pub mod mutator;
pub mod oracle;
pub mod roles;
pub mod text;
