//! Counts what happens at logins, by issuer. The counters are atomics in shared memory, so counting never waits.
//!
//! An issuer gets its row when a login through its line of pg_hba.conf is first counted, and keeps it: what clients
//! send makes no row. There are as many rows as issuers whose keys are cached; once all are taken, further issuers are not
//! counted.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use oauth_core::{Clock, Failure, LayoutDigest, SystemClock, Timestamp, cache_key, layout_of};

use crate::memory::plain::FixedText;

/// What all this looks like in memory.
pub const fn layout(digest: LayoutDigest) -> LayoutDigest {
    digest
        .numbers(layout_of!(Accepted { issuer, count }))
        .numbers(layout_of!(Since { reset_at }))
        .numbers(layout_of!(Row {
            is_named,
            name,
            refusals,
            fetches,
            introspections,
            introspection_cache_hits,
            waits,
            roles
        }))
        .numbers(layout_of!(RoleChanges {
            created,
            granted,
            revoked,
            failures
        }))
        .numbers(layout_of!(Refusals { count, last_at }))
        .numbers(layout_of!(Requests {
            count,
            failures,
            total_micros,
            max_micros
        }))
}

/// What an accepted login touches of its issuer's row. It lies where such a login reads anyway. All bytes are zero in a
/// free row.
#[repr(C)]
pub struct Accepted {
    /// The beginning of a digest of the issuer's name; zero: the row is free.
    issuer: AtomicU64,
    count: AtomicU64,
}

/// Since when there is counting.
#[repr(C)]
pub struct Since {
    /// Microseconds since 1970.
    reset_at: AtomicI64,
}

/// The other counters of one issuer. All bytes zero is valid.
#[repr(C)]
pub struct Row {
    is_named: AtomicBool,
    /// Written once, by who took the row, before `is_named` is set.
    name: UnsafeCell<FixedText<512>>,
    refusals: [Refusals; Failure::CODE_COUNT],
    /// Requests for keys.
    pub fetches: Requests,
    /// Requests about tokens.
    pub introspections: Requests,
    pub introspection_cache_hits: AtomicU64,
    /// Logins that waited for the request of another.
    pub waits: AtomicU64,
    /// What was done about roles.
    pub roles: RoleChanges,
}

// SAFETY: everything but `name` is atomic; `name` is read only once it is never written again.
unsafe impl Sync for Row {}

#[repr(C)]
struct Refusals {
    count: AtomicU64,
    /// Microseconds since 1970.
    last_at: AtomicI64,
}

#[repr(C)]
pub struct Requests {
    count: AtomicU64,
    failures: AtomicU64,
    total_micros: AtomicU64,
    max_micros: AtomicU64,
}

#[repr(C)]
pub struct RoleChanges {
    created: AtomicU64,
    granted: AtomicU64,
    revoked: AtomicU64,
    failures: AtomicU64,
}

/// The statistics of the server.
#[derive(Clone, Copy)]
pub struct Statistics {
    /// The beginnings of all rows.
    pub accepted: &'static [Accepted],
    /// What else there is of them, in the same order.
    pub rows: &'static [Row],
    pub since: &'static Since,
}

/// What is counted of one issuer.
pub struct Summary {
    pub issuer: String,
    pub accepted: u64,
    /// By reason: the code, how many, and when last.
    pub refusals: Vec<(&'static str, u64, Timestamp)>,
    pub fetches: RequestSummary,
    pub introspections: RequestSummary,
    pub introspection_cache_hits: u64,
    pub waits: u64,
    pub roles: RoleSummary,
}

pub struct RoleSummary {
    pub created: u64,
    /// Memberships.
    pub granted: u64,
    pub revoked: u64,
    /// Requests.
    pub failures: u64,
}

pub struct RequestSummary {
    pub count: u64,
    pub failures: u64,
    pub total: Duration,
    pub max: Duration,
}

impl Statistics {
    /// A token of this issuer has opened a session.
    pub fn count_accepted(self, issuer: &str) {
        if let Some((accepted, _)) = self.find(issuer) {
            add(&accepted.count, 1);
        }
    }

    /// A token was refused on a line of pg_hba.conf with this issuer.
    pub fn count_refused(self, issuer: &str, failure: &Failure) {
        let code = Failure::codes().position(|code| code == failure.code());
        if let (Some(row), Some(code)) = (self.row(issuer), code) {
            let refusals = &row.refusals[code];
            add(&refusals.count, 1);
            let now = SystemClock.now().unix_micros();
            refusals.last_at.store(now, Ordering::Relaxed);
        }
    }

    /// The counters of this issuer.
    pub fn row(self, issuer: &str) -> Option<&'static Row> {
        self.find(issuer).map(|(_, row)| row)
    }

    /// The row of this issuer, new if it has none. Rows are taken in their order, and never given back.
    fn find(self, issuer: &str) -> Option<(&'static Accepted, &'static Row)> {
        let [a, b, c, d, e, f, g, h, ..] = cache_key(&[issuer]);
        let digest = u64::from_le_bytes([a, b, c, d, e, f, g, h]).max(1);
        for (accepted, row) in self.all() {
            let taken = accepted.issuer.load(Ordering::Relaxed);
            if taken == digest {
                return Some((accepted, row));
            }
            if taken != 0 {
                continue;
            }
            let (free, order) = (0, Ordering::Relaxed);
            match accepted.issuer.compare_exchange(free, digest, order, order) {
                Ok(_) => {
                    row.name(issuer);
                    return Some((accepted, row));
                }
                // Another process has just taken it, maybe for the same issuer.
                Err(taken) if taken == digest => return Some((accepted, row)),
                Err(_) => {}
            }
        }
        None
    }

    fn all(self) -> impl Iterator<Item = (&'static Accepted, &'static Row)> {
        self.accepted.iter().zip(self.rows)
    }

    /// All issuers that are counted.
    pub fn summaries(self) -> Vec<Summary> {
        let summary = |(accepted, row): (&Accepted, &Row)| {
            Some(Summary {
                issuer: row.get_name()?,
                accepted: accepted.count.load(Ordering::Relaxed),
                refusals: row.refusals(),
                fetches: row.fetches.summary(),
                introspections: row.introspections.summary(),
                introspection_cache_hits: row.introspection_cache_hits.load(Ordering::Relaxed),
                waits: row.waits.load(Ordering::Relaxed),
                roles: row.roles.summary(),
            })
        };
        self.all().filter_map(summary).collect()
    }

    /// Since when there is counting.
    pub fn reset_at(self) -> Timestamp {
        Timestamp::from_unix_micros(self.since.reset_at.load(Ordering::Relaxed))
    }

    /// Sets all counters to zero.
    pub fn reset(self) {
        for (accepted, row) in self.all() {
            accepted.count.store(0, Ordering::Relaxed);
            for refusals in &row.refusals {
                refusals.count.store(0, Ordering::Relaxed);
            }
            row.fetches.reset();
            row.introspections.reset();
            row.introspection_cache_hits.store(0, Ordering::Relaxed);
            row.waits.store(0, Ordering::Relaxed);
            row.roles.reset();
        }
        self.since.begin();
    }
}

impl Since {
    /// Counting begins now.
    pub fn begin(&self) {
        let now = SystemClock.now().unix_micros();
        self.reset_at.store(now, Ordering::Relaxed);
    }
}

impl Row {
    fn name(&self, issuer: &str) {
        // SAFETY: this process alone has taken the row, and no process reads the name before `is_named`.
        unsafe { (*self.name.get()).set(issuer) };
        self.is_named.store(true, Ordering::Release);
    }

    fn get_name(&self) -> Option<String> {
        if !self.is_named.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: it was written before `is_named` was set, and never is again.
        Some(unsafe { &*self.name.get() }.get().to_owned())
    }

    fn refusals(&self) -> Vec<(&'static str, u64, Timestamp)> {
        let all = Failure::codes().zip(&self.refusals);
        all.filter_map(|(code, refusals)| {
            let count = refusals.count.load(Ordering::Relaxed);
            let last_at = Timestamp::from_unix_micros(refusals.last_at.load(Ordering::Relaxed));
            (count > 0).then_some((code, count, last_at))
        })
        .collect()
    }
}

impl Requests {
    /// A request has ended after this time, with an answer or not.
    pub fn count(&self, took: Duration, is_failure: bool) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        add(&self.count, 1);
        add(&self.failures, u64::from(is_failure));
        add(&self.total_micros, micros);
        self.max_micros.fetch_max(micros, Ordering::Relaxed);
    }

    fn summary(&self) -> RequestSummary {
        let micros = |counter: &AtomicU64| Duration::from_micros(counter.load(Ordering::Relaxed));
        RequestSummary {
            count: self.count.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            total: micros(&self.total_micros),
            max: micros(&self.max_micros),
        }
    }

    fn reset(&self) {
        for counter in [
            &self.count,
            &self.failures,
            &self.total_micros,
            &self.max_micros,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

impl RoleChanges {
    /// A request was fulfilled, by so many grants and revocations.
    pub fn count(&self, is_created: bool, granted: usize, revoked: usize) {
        add(&self.created, u64::from(is_created));
        add(&self.granted, granted as u64);
        add(&self.revoked, revoked as u64);
    }

    /// A request failed.
    pub fn count_failure(&self) {
        add(&self.failures, 1);
    }

    fn summary(&self) -> RoleSummary {
        RoleSummary {
            created: self.created.load(Ordering::Relaxed),
            granted: self.granted.load(Ordering::Relaxed),
            revoked: self.revoked.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
        }
    }

    fn reset(&self) {
        for counter in [&self.created, &self.granted, &self.revoked, &self.failures] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

/// Adds to a counter.
pub fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}
