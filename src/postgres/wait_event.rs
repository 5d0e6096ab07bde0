//! What pg_stat_activity shows while a process waits for this module.

use std::ffi::CStr;

use once_cell::sync::OnceCell;

use crate::postgres::versions;

/// A wait event by its name, asked for once in a process.
pub fn named(event: &OnceCell<u32>, name: &CStr) -> u32 {
    *event.get_or_init(|| versions::new_wait_event(name))
}
