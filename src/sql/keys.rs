//! What SQL sees of the cached keys; `sql/` declares it in schema `validator`.

use oauth_core::{Clock, Failure, Printable, SystemClock, Timestamp};
use pgrx::ereport;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::log::circumstances::Circumstances;
use crate::log::refusal_log;
use crate::memory;
use crate::memory::key_cache_layout::{CachedIssuer, IssuerKey};
use crate::postgres::hba::HbaLine;
use crate::postgres::text::{argument, storable};
use crate::postgres::time;
use crate::settings::hba_rules::{HbaRule, read_hba};
use crate::settings::{self, Settings};

/// The rows of the view `validator.issuers`.
#[allow(clippy::type_complexity)]
#[pg_extern(sql = false, volatile, parallel_restricted)]
fn list_issuers() -> TableIterator<
    'static,
    (
        name!(issuer, String),
        name!(state, &'static str),
        name!(keys, i32),
        name!(unusable_keys, i32),
        name!(fetched_at, Option<TimestampWithTimeZone>),
        name!(fresh_until, Option<TimestampWithTimeZone>),
        name!(usable_until, Option<TimestampWithTimeZone>),
        name!(last_used_at, Option<TimestampWithTimeZone>),
        name!(last_error, Option<String>),
        name!(last_error_at, Option<TimestampWithTimeZone>),
    ),
> {
    let (now, limits) = (
        SystemClock.now(),
        settings::cache_limits(&Settings::of_server()),
    );
    TableIterator::new(cached_issuers().into_iter().map(move |cached| {
        let freshness = &cached.issuer.freshness;
        let is_known = freshness.fetched_at() != Timestamp::NEVER;
        let time = |time| time::timestamptz(time).filter(|_| is_known);
        let usable = cached
            .issuer
            .known_keys()
            .filter(|(head, ..)| head.kind().is_some());
        (
            storable(cached.name),
            freshness.state(&limits, now),
            i32::try_from(usable.count()).unwrap_or(0),
            i32::try_from(cached.issuer.skipped_keys).unwrap_or(0),
            time(freshness.fetched_at()),
            time(freshness.fresh_until()),
            time(freshness.usable_until(&limits)),
            time::timestamptz(cached.used_at),
            cached.issuer.last_error().map(storable),
            (cached.issuer.failed_at != 0)
                .then(|| time::timestamptz(Timestamp::from_unix_micros(cached.issuer.failed_at)))
                .flatten(),
        )
    }))
}

/// The rows of the view `validator.keys`.
#[allow(clippy::type_complexity)]
#[pg_extern(sql = false, volatile, parallel_restricted)]
fn list_keys() -> TableIterator<
    'static,
    (
        name!(issuer, String),
        name!(kid, Option<String>),
        name!(alg, Option<&'static str>),
        name!(kty, Option<&'static str>),
        name!(thumbprint, Option<String>),
        name!(usable, bool),
        name!(unusable_member, Option<&'static str>),
    ),
> {
    let mut rows = Vec::new();
    for cached in cached_issuers() {
        for (head, material, kid) in cached.issuer.known_keys() {
            let key = head.key(material);
            rows.push((
                storable(cached.name.clone()),
                Some(storable(kid.to_owned())).filter(|kid| !kid.is_empty()),
                head.alg().map(|alg| alg.name()),
                key.as_ref().map(|key| key.kty()),
                key.as_ref().and_then(|key| key.thumbprint()),
                key.is_some(),
                head.unusable_member(),
            ));
        }
    }
    TableIterator::new(rows)
}

/// Fetches an issuer's keys now, if pg_hba.conf names the issuer: a caller must not make the server ask any other URL.
#[pg_extern(sql = false, volatile, parallel_unsafe)]
fn refresh_keys(issuer: &[u8]) {
    let issuer = argument(issuer);
    let mut fetched = Vec::new();
    for rule in read_hba() {
        let Some(line) = rule.token_line() else {
            continue;
        };
        if line.issuer == issuer || settings::issuer_name(&line.issuer) == issuer {
            let refreshed = fetch_for(&rule, &line, &mut fetched);
            refreshed.unwrap_or_else(|failure| raise(&line.issuer, &failure));
        }
    }
    if fetched.is_empty() {
        ereport!(
            ERROR,
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            "no line of pg_hba.conf that uses this module has this issuer"
        );
    }
}

/// Fetches the keys for a line, unless they are the ones of another line.
fn fetch_for(rule: &HbaRule, line: &HbaLine, fetched: &mut Vec<IssuerKey>) -> Result<(), Failure> {
    let options = rule.line_options()?;
    let settings = settings::for_line(line, &options)?;
    let keys = settings::read_keys(&settings, &line.issuer)?;
    if !fetched.contains(&keys.cache_key()) {
        keys.fetch_now()?;
        fetched.push(keys.cache_key());
    }
    Ok(())
}

fn raise(url: &str, failure: &Failure) {
    let message = format!(
        "could not fetch the keys of OAuth issuer \"{}\": {failure}",
        Printable::new(url)
    );
    let (facts, hint) = refusal_log::describe(failure, &Circumstances::default());
    let code = PgSqlErrorCode::ERRCODE_CONNECTION_FAILURE;
    let mut report = ErrorReport::new(code, message, "validator").set_detail(facts);
    if let Some(hint) = hint {
        report = report.set_hint(hint);
    }
    report.report(PgLogLevel::ERROR);
}

struct ShownIssuer {
    name: String,
    used_at: Timestamp,
    issuer: CachedIssuer,
}

/// What is cached of each issuer. After a change of settings there may be more of one than is in use: the last used
/// counts.
fn cached_issuers() -> Vec<ShownIssuer> {
    let mut issuers: Vec<ShownIssuer> = Vec::new();
    for (used_at, issuer) in memory::cache().snapshot() {
        let name = settings::issuer_name(issuer.url.get());
        issuers.retain(|other| other.name != name);
        issuers.push(ShownIssuer {
            name,
            used_at,
            issuer,
        });
    }
    issuers
}
