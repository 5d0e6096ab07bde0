//! What SQL sees; `sql/` declares it in schema `validator`.

mod check_token;
mod claims;
mod keys;
mod leavers;
mod roles;
mod sessions;
mod statistics;
mod steps;
mod try_login;

use pgrx::ereport;
use pgrx::prelude::*;

use crate::memory;
use crate::memory::answer_cache::Subject;
use crate::postgres::text::argument;

/// The version of the module that is loaded, which is not always the extension's.
#[pg_extern(sql = false, immutable, parallel_safe)]
fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Flushes the caches for all providers. Logins that are under way are judged again, without older entries.
#[pg_extern(sql = false, volatile, parallel_restricted)]
fn flush_cache() {
    memory::cache().flush();
    memory::answers().flush();
    memory::circuit_breakers().flush();
    memory::revocations().note_flush();
}

/// Flushes what one provider has answered about tokens; returns how many answers that were. Logins that are under way are
/// not judged again: `end_sessions`, called afterwards, ends those that it means.
#[pg_extern(sql = false, volatile, parallel_restricted)]
fn flush_answers(issuer: Option<&[u8]>) -> i32 {
    let flushed = memory::answers().flush_about(Subject::token_of(&named(issuer)));
    i32::try_from(flushed).unwrap_or(i32::MAX)
}

/// The issuer that a caller names: a NULL must not pass for "nothing was to be done".
fn named(issuer: Option<&[u8]>) -> String {
    let Some(issuer) = issuer else {
        ereport!(
            ERROR,
            PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            "issuer must not be null"
        );
    };
    argument(issuer)
}
