//! Tests that take too long for every run: `make test-long`.

mod cache;
mod clients;
mod first_logins;
mod many_roles;
mod measure;
mod seen;
mod sessions;
mod soak;
mod storm;
#[allow(dead_code)]
#[path = "../key_cache/support.rs"]
mod support;
