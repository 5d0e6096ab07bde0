//! What pg_stat_activity shows while a process waits for this module.

use std::ffi::CStr;

use once_cell::sync::OnceCell;
use pgrx::pg_sys;

/// A wait event by its name, asked for once in a process.
pub fn named(event: &OnceCell<u32>, name: &CStr) -> u32 {
    // SAFETY: called in the main thread; the same name gives the same number in every process.
    *event.get_or_init(|| unsafe { pg_sys::WaitEventExtensionNew(name.as_ptr()) })
}
