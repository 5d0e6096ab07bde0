//! What SQL sees of the statistics; `sql/` declares it in schema `validator`.

use std::time::Duration;

use pgrx::prelude::*;

use crate::memory;
use crate::postgres::text::storable;
use crate::postgres::time;

/// The rows of the view `validator.stats`.
#[allow(clippy::type_complexity)] // One column per line, as pgrx requires.
#[pg_extern(sql = false, volatile, parallel_restricted)]
fn list_stats() -> TableIterator<
    'static,
    (
        name!(issuer, String),
        name!(accepted, i64),
        name!(refused, i64),
        name!(fetches, i64),
        name!(fetch_failures, i64),
        name!(fetch_total_ms, f64),
        name!(fetch_max_ms, f64),
        name!(introspections, i64),
        name!(introspection_failures, i64),
        name!(introspection_total_ms, f64),
        name!(introspection_max_ms, f64),
        name!(introspection_cache_hits, i64),
        name!(waits, i64),
        name!(roles_created, i64),
        name!(memberships_granted, i64),
        name!(memberships_revoked, i64),
        name!(provision_failures, i64),
        name!(stats_reset, Option<TimestampWithTimeZone>),
    ),
> {
    let statistics = memory::statistics();
    let reset_at = statistics.reset_at();
    TableIterator::new(statistics.summaries().into_iter().map(move |one| {
        let refused = one.refusals.iter().map(|(_, count, _)| count).sum();
        (
            storable(one.issuer),
            bigint(one.accepted),
            bigint(refused),
            bigint(one.fetches.count),
            bigint(one.fetches.failures),
            millis(one.fetches.total),
            millis(one.fetches.max),
            bigint(one.introspections.count),
            bigint(one.introspections.failures),
            millis(one.introspections.total),
            millis(one.introspections.max),
            bigint(one.introspection_cache_hits),
            bigint(one.waits),
            bigint(one.roles.created),
            bigint(one.roles.granted),
            bigint(one.roles.revoked),
            bigint(one.roles.failures),
            time::timestamptz(reset_at),
        )
    }))
}

/// The rows of the view `validator.refusals`.
#[pg_extern(sql = false, volatile, parallel_restricted)]
fn list_refusals() -> TableIterator<
    'static,
    (
        name!(issuer, String),
        name!(reason, &'static str),
        name!(count, i64),
        name!(last_at, Option<TimestampWithTimeZone>),
    ),
> {
    let mut rows = Vec::new();
    for one in memory::statistics().summaries() {
        for (reason, count, last_at) in one.refusals {
            let issuer = storable(one.issuer.clone());
            let last_at = time::timestamptz(last_at);
            rows.push((issuer, reason, bigint(count), last_at));
        }
    }
    TableIterator::new(rows)
}

/// Sets all counters to zero.
#[pg_extern(sql = false, volatile, parallel_restricted)]
fn reset_stats() {
    memory::statistics().reset();
}

fn bigint(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
