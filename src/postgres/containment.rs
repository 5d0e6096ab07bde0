//! Errors of PostgreSQL and panics during a login: none of their text may reach the client, and nothing that they held
//! may stay held.

use std::ffi::{CStr, c_char, c_int};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};

use oauth_core::{Failure, Internal, Misconfigured, Printable};
use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgSqlErrorCode, PgTryBuilder, pg_sys};

use crate::postgres::hba;

/// Runs `work`. Only errors by which PostgreSQL ends a query or a backend are passed on.
///
/// Errors: what was caught. PostgreSQL cleans up after an error by ending the transaction, which a login cannot do:
/// a caller that gets an error must not touch shared memory again, and must call [`end_backend`].
pub fn contain<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    begin_containment();
    let work = AssertUnwindSafe(work);
    PgTryBuilder::new(AssertUnwindSafe(|| Ok(work.0())))
        .catch_others(|error| {
            if let CaughtError::PostgresError(report) = &error
                && is_order_to_stop(report.sql_error_code())
            {
                error.rethrow();
            }
            release_all();
            Err(failure_of(&error))
        })
        .execute()
}

/// Nothing that failed before, and was not caught here, has to do with what fails now.
pub fn begin_containment() {
    IS_TAKING.store(false, Ordering::Relaxed);
}

/// Set while this process takes memory, until an error in it is caught; the error then means that memory is lacking,
/// regardless of its code.
static IS_TAKING: AtomicBool = AtomicBool::new(false);

/// Runs `take`, which takes shared memory: an error in it is a lack of memory.
pub fn taking_memory<T>(take: impl FnOnce() -> T) -> T {
    IS_TAKING.store(true, Ordering::Relaxed);
    let taken = take();
    IS_TAKING.store(false, Ordering::Relaxed);
    taken
}

/// Errors by which PostgreSQL ends a query or a backend.
fn is_order_to_stop(code: PgSqlErrorCode) -> bool {
    matches!(
        code,
        PgSqlErrorCode::ERRCODE_QUERY_CANCELED
            | PgSqlErrorCode::ERRCODE_ADMIN_SHUTDOWN
            | PgSqlErrorCode::ERRCODE_CRASH_SHUTDOWN
            | PgSqlErrorCode::ERRCODE_CANNOT_CONNECT_NOW
            | PgSqlErrorCode::ERRCODE_DATABASE_DROPPED
    )
}

/// What PostgreSQL does first when it ends a transaction after an error: an error raised under PostgreSQL's own locks,
/// such as those of its registry of shared memory, leaves them held.
pub fn release_all() {
    // SAFETY: both may be called at any time in the main thread, and do nothing if nothing is held or waited for. No
    // lock is held across a call of validate_cb, and interrupts are not held off there.
    unsafe {
        pg_sys::LWLockReleaseAll();
        pg_sys::ConditionVariableCancelSleep();
        pg_sys::InterruptHoldoffCount = 0;
    }
}

/// Whose fault an error is that has just been caught.
pub fn failure_of(error: &CaughtError) -> Failure {
    let was_taking = IS_TAKING.swap(false, Ordering::Relaxed);
    let report = match error {
        CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => report,
        // The text of a panic may quote what it worked on; its place is enough to find it.
        CaughtError::RustPanic { ereport, .. } => {
            let place = format!("panic at {}:{}", ereport.file(), ereport.line_number());
            return Internal(Printable::new(&place)).into();
        }
    };
    let what = Printable::new(report.message());
    let code = report.sql_error_code();
    match code {
        PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE
        | PgSqlErrorCode::ERRCODE_T_R_DEADLOCK_DETECTED => {
            Misconfigured::RecoveryConflict { what }.into()
        }
        _ if is_lack(code) || was_taking => Misconfigured::ServerResources { what }.into(),
        _ => Internal(what).into(),
    }
}

/// Class 53 of PostgreSQL's codes: space, memory, files or the like have run out.
fn is_lack(code: PgSqlErrorCode) -> bool {
    matches!(
        code,
        PgSqlErrorCode::ERRCODE_INSUFFICIENT_RESOURCES
            | PgSqlErrorCode::ERRCODE_DISK_FULL
            | PgSqlErrorCode::ERRCODE_OUT_OF_MEMORY
            | PgSqlErrorCode::ERRCODE_TOO_MANY_CONNECTIONS
            | PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED
    )
}

/// Ends this backend with PostgreSQL's message of every login that fails by the method of the matched line, in the
/// client's language, and without waiting for the client.
pub fn end_backend() -> ! {
    // The functions behind ereport(), as utils/elog.h declares them; pgrx does not bind them.
    unsafe extern "C-unwind" {
        fn errstart(elevel: c_int, domain: *const c_char) -> bool;
        fn errcode(sqlerrcode: c_int) -> c_int;
        fn errmsg(format: *const c_char, ...) -> c_int;
        fn errfinish(filename: *const c_char, lineno: c_int, funcname: *const c_char);
    }
    const OAUTH: &CStr = c"OAuth bearer authentication failed for user \"%s\"";
    const PAM: &CStr = c"PAM authentication failed for user \"%s\"";
    let generic = match hba::matched_pam_line() {
        Some(_) => PAM,
        None => OAUTH,
    };
    let role = hba::requested_role().unwrap_or(c"").as_ptr();
    let code = PgSqlErrorCode::ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
    // SAFETY: called in this order, as ereport() does, in the main thread. The format takes one string, and the role's
    // name is NUL-terminated and lives as long as the process. No place is named: the client would be told. At this
    // level errfinish ends the process, by exit(), which runs no destructor and needs none.
    unsafe {
        if errstart(pg_sys::FATAL as c_int, std::ptr::null()) {
            errcode(code as c_int);
            errmsg(generic.as_ptr(), role);
            errfinish(std::ptr::null(), 0, std::ptr::null());
        }
        pg_sys::proc_exit(1);
    }
    #[allow(unreachable_code)]
    // the headers of only some versions tell Rust that proc_exit does not return
    std::process::abort()
}
