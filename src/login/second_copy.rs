//! A second copy of the module, under another file name, in one process: it has no settings and no shared memory.

use std::sync::atomic::{AtomicBool, Ordering};

use pgrx::{PgSqlErrorCode, ereport, pg_sys};

/// This is not the first copy of the module that is loaded into this process.
static IS_SECOND_COPY: AtomicBool = AtomicBool::new(false);

/// Has a second copy of the module do nothing. Where a login loads it, that login is refused later, with a reason: an error
/// here would be shown to the client.
pub fn refuse_second_copy() {
    // SAFETY: a plain variable of this process.
    if !unsafe { pg_sys::ClientAuthInProgress } {
        ereport!(
            ERROR,
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "another copy of the module \"validator\" is loaded",
            "A server, or a session, can use one file of it only."
        );
    }
    IS_SECOND_COPY.store(true, Ordering::Relaxed);
}

/// Whether this is one.
pub fn is_second_copy() -> bool {
    IS_SECOND_COPY.load(Ordering::Relaxed)
}
