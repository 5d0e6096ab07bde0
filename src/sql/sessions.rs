//! What SQL sees of the sessions that tokens have opened; `sql/` declares it in schema `validator`.

use pgrx::ereport;
use pgrx::prelude::*;

use crate::log::server_log;
use crate::memory;
use crate::memory::session_registry::Wanted;
use crate::postgres::text::{argument, storable};
use crate::postgres::time;
use crate::sql::named;

/// The rows of the view `validator.sessions`.
#[allow(clippy::type_complexity)] // One column per line, as pgrx requires.
#[pg_extern(sql = false, volatile, parallel_restricted)]
fn list_sessions() -> TableIterator<
    'static,
    (
        name!(pid, i32),
        name!(backend_start, Option<TimestampWithTimeZone>),
        name!(identity, Option<String>),
        name!(issuer, Option<String>),
        name!(client_id, Option<String>),
        name!(jti, Option<String>),
        name!(sid, Option<String>),
        name!(expires_at, Option<TimestampWithTimeZone>),
    ),
> {
    let sessions = memory::sessions().list().into_iter();
    TableIterator::new(sessions.map(|session| {
        (
            session.pid,
            session.backend_start.try_into().ok(),
            session.identity.map(storable),
            session.issuer.map(storable),
            session.client_id.map(storable),
            session.jti.map(storable),
            session.sid.map(storable),
            time::timestamptz(session.expires_at),
        )
    }))
}

/// Ends the sessions of the issuer's tokens for which everything holds that is not null; returns how many.
#[pg_extern(sql = false, volatile, parallel_restricted)]
fn end_sessions(
    issuer: Option<&[u8]>,
    identity: Option<&[u8]>,
    jti: Option<&[u8]>,
    sid: Option<&[u8]>,
    sub: Option<&[u8]>,
) -> i32 {
    let issuer = named(issuer);
    let issuer = issuer.as_str();
    let criteria = [identity, jti, sid, sub].map(|given| given.map(argument));
    let [identity, jti, sid, sub] = criteria.each_ref().map(Option::as_deref);
    if identity.or(jti).or(sid).or(sub).is_none() {
        ereport!(
            ERROR,
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            "one of identity, jti, sid and sub must be given"
        );
    }
    let wanted = Wanted::new(issuer, identity, jti, sid, sub);
    // First: a login that is under way either sees this, or is found among the sessions.
    memory::revocations().note_end(&wanted);
    let ended = memory::sessions().end(&wanted);
    log_end(
        ended,
        &[
            ("issuer", Some(issuer)),
            ("identity", identity),
            ("jti", jti),
            ("sid", sid),
            ("sub", sub),
        ],
    );
    i32::try_from(ended).unwrap_or(i32::MAX)
}

/// For each session the server's log says only "due to administrator command"; this entry names the command.
fn log_end(ended: usize, criteria: &[(&str, Option<&str>)]) {
    server_log::log(
        format!("validator.end_sessions ended {ended} OAuth sessions"),
        Some(server_log::facts(criteria)),
        None,
    );
}
