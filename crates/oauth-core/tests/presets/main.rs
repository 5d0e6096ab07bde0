//! Presets: tokens of the documented shape of each provider.

#![allow(clippy::unwrap_used)]

mod adfs;
mod dex;
mod entra;
mod page;
mod pages;
mod people;
mod provider;
mod settings;
mod workloads;
