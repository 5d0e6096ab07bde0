//! Lines in the server's log that never reach a client, regardless of its client_min_messages.

use oauth_core::Printable;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode};

/// Logs at level LOG: what happened, the facts, and what to do about it.
pub fn log(message: String, detail: Option<String>, hint: Option<String>) {
    let code = PgSqlErrorCode::ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
    let mut report = ErrorReport::new(code, message, "validator");
    if let Some(detail) = detail {
        report = report.set_detail(detail);
    }
    if let Some(hint) = hint {
        report = report.set_hint(hint);
    }
    report.report(PgLogLevel::LOG_SERVER_ONLY);
}

/// Facts as lines of the log have them: `name=value`, without those that are not known. A value that is not plain
/// stands in double quotes, so that none can pass for another fact.
pub fn facts(facts: &[(&str, Option<&str>)]) -> String {
    let known = facts.iter().filter_map(|(name, value)| {
        Some(format!("{name}={}", Printable::new((*value)?).to_fact()))
    });
    known.collect::<Vec<_>>().join(" ")
}
