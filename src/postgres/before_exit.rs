//! What this process does before it ends.

use pgrx::pg_sys;

/// Has PostgreSQL call this before the process gives up its number, its locks and its segments of shared memory: at every
/// end but a crash.
pub fn before_exit(callback: unsafe extern "C-unwind" fn(i32, pg_sys::Datum)) {
    // SAFETY: called in the main thread; the function stays loaded until the process ends.
    unsafe { pg_sys::before_shmem_exit(Some(callback), pg_sys::Datum::from(0)) };
}
