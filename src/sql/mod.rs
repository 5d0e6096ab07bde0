//! What SQL sees; `sql/` declares it in schema `validator`.

mod check_token;
mod claims;
mod keys;
mod leavers;
mod roles;
mod sessions;
mod statistics;
mod steps;
mod try_login;

use pgrx::prelude::*;

use crate::memory;

/// The version of the module that is loaded, which is not always the extension's.
#[pg_extern(sql = false, immutable, parallel_safe)]
fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Flushes the caches for all providers. Logins that are under way are judged again, without older entries.
#[pg_extern(sql = false, volatile, parallel_restricted)]
fn flush_cache() {
    memory::cache().flush();
    memory::answers().flush();
    memory::circuit_breakers().flush();
    memory::revocations().note_flush();
}
