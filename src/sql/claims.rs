//! The claims of this session's token, for policies of row-level security; `sql/` declares it in schema `validator`.

use oauth_core::{ClaimPath, SettingError};
use pgrx::ereport;
use pgrx::prelude::*;

use crate::login::session_claims;
use crate::postgres::text::argument;
use crate::postgres::time;

/// The claim there, or without a path all claims, as JSON in ASCII: `claim()` and `claims()` have PostgreSQL read it,
/// which knows the database's encoding. NULL if no token opened this session, or it has no such claim.
#[pg_extern(sql = false, stable, parallel_restricted)]
fn own_claims(path: Option<&[u8]>) -> Option<String> {
    let path: Option<ClaimPath> = path.map(|text| {
        argument(text)
            .parse()
            .unwrap_or_else(|error: SettingError| {
                ereport!(
                    ERROR,
                    PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
                    error.to_string()
                );
            })
    });
    session_claims::look(|login| match path {
        Some(path) => login.claims.find_json(&path),
        None => Some(login.claims.to_json()),
    })?
}

/// When the token of this session expires. NULL if no token opened it, or the token has no end.
#[pg_extern(sql = false, stable, parallel_restricted)]
fn token_expires_at() -> Option<TimestampWithTimeZone> {
    time::timestamptz(session_claims::look(|login| login.expires_at)?)
}
