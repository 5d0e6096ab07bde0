//! The verified claims of this session's login, for policies of row-level security; `sql/` declares what is here in
//! schema `validator`.
//!
//! They stay in this process as the judgement parsed them: no setting, no statement and no other session can change
//! them, and a login pays for no copy. Their text is written when it is asked for.

use oauth_core::{ClaimPath, Decision, Grant, SettingError, Timestamp, VerifiedClaims};
use parking_lot::Mutex;
use pgrx::ereport;
use pgrx::prelude::*;

use crate::sql_time;

struct Login {
    claims: VerifiedClaims,
    expires_at: Timestamp,
}

static LOGIN: Mutex<Option<Login>> = Mutex::new(None);

/// Keeps the claims of a token that was accepted. If PostgreSQL does not let the user in, the process ends.
pub fn keep(decision: Decision) {
    let expires_at = decision.outcome().ok().map(Grant::expires_at);
    if let (Some(expires_at), Some(claims)) = (expires_at, decision.into_claims()) {
        *LOGIN.lock() = Some(Login { claims, expires_at });
    }
}

/// The claim there, or without a path all claims, as JSON in ASCII: `claim()` and `claims()` have PostgreSQL read it,
/// which knows the database's encoding. NULL if no token opened this session, or it has no such claim.
#[pg_extern(sql = false, stable, parallel_restricted)]
fn own_claims(path: Option<&str>) -> Option<String> {
    let path: Option<ClaimPath> = path.map(|text| {
        text.parse().unwrap_or_else(|error: SettingError| {
            ereport!(
                ERROR,
                PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
                error.to_string()
            );
        })
    });
    let login = LOGIN.lock();
    let claims = &login.as_ref()?.claims;
    match path {
        Some(path) => claims.find_json(&path),
        None => Some(claims.to_json()),
    }
}

/// When the token of this session expires. NULL if no token opened it, or the token has no end.
#[pg_extern(sql = false, stable, parallel_restricted)]
fn token_expires_at() -> Option<TimestampWithTimeZone> {
    sql_time::timestamptz(LOGIN.lock().as_ref()?.expires_at)
}
