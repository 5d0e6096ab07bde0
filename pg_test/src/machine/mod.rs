//! This machine: its folders, programs and environment.

pub mod child;
pub mod environment;
pub(crate) mod pam_litter;
pub mod scratch;
pub mod shim;
