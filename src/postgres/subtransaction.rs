//! Work whose failure undoes it alone, and not the transaction around it.

use std::panic::AssertUnwindSafe;

use oauth_core::Failure;
use pgrx::pg_sys::panic::{CaughtError, ErrorReport, ErrorReportWithLevel};
use pgrx::{PgLogLevel, PgSqlErrorCode, PgTryBuilder, pg_sys};

use crate::postgres::containment::{begin_containment, failure_of};

/// The error because of which something was undone. PostgreSQL itself does not know of it any more.
pub struct Undone {
    code: PgSqlErrorCode,
    pub message: String,
    detail: Option<String>,
    hint: Option<String>,
    /// Whose fault it is.
    pub failure: Box<Failure>,
}

impl Undone {
    fn by(error: &CaughtError) -> Undone {
        let report = report(error);
        Undone {
            failure: Box::new(failure_of(error)),
            code: report.sql_error_code(),
            message: report.message().to_owned(),
            detail: report.detail().map(str::to_owned),
            hint: report.hint().map(str::to_owned),
        }
    }

    /// Raises the error again.
    pub fn raise(self) {
        let mut report = ErrorReport::new(self.code, self.message, "validator");
        if let Some(detail) = self.detail {
            report = report.set_detail(detail);
        }
        if let Some(hint) = self.hint {
            report = report.set_hint(hint);
        }
        report.report(PgLogLevel::ERROR);
    }
}

/// Runs `work` in a subtransaction, in the main thread of a process with a transaction.
///
/// Errors: what it raised; what it did is undone. A cancel is of the whole transaction, and is passed on.
pub fn alone<T>(work: impl FnOnce() -> T) -> Result<T, Undone> {
    // SAFETY: in a transaction, in the main thread; both are set back below, as PL/pgSQL does it.
    let (context, owner) = unsafe { (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner) };
    let restore = || {
        // SAFETY: both belong to the transaction around, which goes on.
        unsafe {
            pg_sys::MemoryContextSwitchTo(context);
            pg_sys::CurrentResourceOwner = owner;
        }
    };
    begin_containment();
    // SAFETY: in a transaction.
    unsafe { pg_sys::BeginInternalSubTransaction(std::ptr::null()) };
    let work = AssertUnwindSafe(work);
    let outcome = PgTryBuilder::new(AssertUnwindSafe(|| {
        let done = work.0();
        // SAFETY: ends the subtransaction that was begun above.
        unsafe { pg_sys::ReleaseCurrentSubTransaction() };
        Ok(done)
    }))
    .catch_others(|error| {
        // SAFETY: as above.
        unsafe { pg_sys::RollbackAndReleaseCurrentSubTransaction() };
        if report(&error).sql_error_code() == PgSqlErrorCode::ERRCODE_QUERY_CANCELED {
            error.rethrow();
        }
        Err(Undone::by(&error))
    })
    .execute();
    restore();
    outcome
}

/// What an error says.
pub fn report(error: &CaughtError) -> &ErrorReportWithLevel {
    match error {
        CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => report,
        CaughtError::RustPanic { ereport, .. } => ereport,
    }
}
