//! What SQL sees; `sql/` declares it in schema `validator`.

use pgrx::prelude::*;

/// The version of the module that is loaded, which is not always the extension's.
#[pg_extern(immutable, parallel_safe)]
fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
