//! This machine: its folders, programs and environment.

pub mod child;
pub mod environment;
pub mod scratch;
pub mod shim;
