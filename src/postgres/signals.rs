//! What PostgreSQL's own signal handlers have noted for this process.

use pgrx::pg_sys;

/// Whether a background worker is told to end. (Backends serve that as an interrupt.)
pub fn is_shutdown_requested() -> bool {
    // SAFETY: a plain variable of this process, which a signal handler sets.
    unsafe { pg_sys::ShutdownRequestPending != 0 }
}

/// Whether the settings may have changed.
pub fn is_reload_requested() -> bool {
    // SAFETY: as above.
    unsafe { pg_sys::ConfigReloadPending != 0 }
}
