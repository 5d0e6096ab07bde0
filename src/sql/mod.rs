//! What SQL sees; `sql/` declares it in schema `validator`.

use pgrx::prelude::*;

use crate::shared_memory;

/// The version of the module that is loaded, which is not always the extension's.
#[pg_extern(sql = false, immutable, parallel_safe)]
fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Forgets what is cached of all providers. Logins that are under way are judged again, by nothing of before.
#[pg_extern(sql = false, volatile, parallel_restricted)]
fn flush_cache() {
    shared_memory::cache().flush();
    shared_memory::answers().flush();
    shared_memory::circuit_breakers().flush();
    shared_memory::revocations().note_flush();
}
