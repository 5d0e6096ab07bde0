//! What PostgreSQL's own signal handlers have noted for this process, and which of them a background worker has.

use std::time::Duration;

use pgrx::pg_sys;

use crate::postgres::versions;

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

/// Reads the settings again.
pub fn reload() {
    // SAFETY: a plain variable of this process, which a signal handler sets; called in the main thread, between two
    // pieces of work.
    unsafe {
        pg_sys::ConfigReloadPending = 0;
        pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
    }
}

/// For a worker without a database: SIGTERM and SIGHUP set flags and the latch, as in PostgreSQL's own workers.
pub fn of_worker() {
    // SAFETY: a worker starts with signals blocked.
    unsafe {
        versions::install_workers_handlers();
        pg_sys::BackgroundWorkerUnblockSignals();
    }
}

/// For a worker that runs statements: SIGTERM ends it at the next point where it can be interrupted, as it ends a session.
/// SIGINT cancels a statement, which is so for every worker with a database.
pub fn of_connected_worker() {
    // SAFETY: as above.
    unsafe {
        versions::install_connected_workers_handlers();
        pg_sys::BackgroundWorkerUnblockSignals();
    }
}

/// A cancel that came too late, or to a worker that does nothing, is no reason to end.
pub fn forget_cancel() {
    // SAFETY: a plain variable of this process, which a signal handler sets.
    unsafe { pg_sys::QueryCancelPending = 0 };
}

/// Until the time is over, a signal comes, or this process's latch is set; ends the process if the postmaster has ended.
pub fn wait_for_latch(limit: Duration) {
    let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    // SAFETY: MyLatch is this process's own latch.
    unsafe {
        let millis = limit.as_millis() as std::ffi::c_long;
        pg_sys::WaitLatch(
            pg_sys::MyLatch,
            events as i32,
            millis,
            pg_sys::PG_WAIT_EXTENSION,
        );
        pg_sys::ResetLatch(pg_sys::MyLatch);
    }
}
