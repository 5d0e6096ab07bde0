//! How long fetched keys are used, and when they are fetched again: a state machine without clock,
//! lock or network, so that every step of it can be tested.
//!
//! Keys are *fresh* (used), then *stale* (used, while one login refreshes), then *expired* (not used). How long they are stale
//! depends on the limits of whoever looks, so that new limits apply to keys that were fetched before.
//! A failure never shortens the life of cached keys; it only delays the next attempt.
//!
//! A token with an unknown key may cause a fetch, too, since the provider may have a new one. Whoever makes up such tokens
//! has it asked no more often than this: between the ends of two fetches that unknown keys caused lies at least
//! `refresh_cooldown`, so that there are at most `1 + t / refresh_cooldown` of them within any time `t`. All others wait
//! until the keys are no longer fresh, for at least `min_ttl` after a good answer and for the pause after a bad one; they
//! do not delay the next one that an unknown key causes, since they say nothing about who sends tokens.

use std::time::Duration;

use crate::basics::clock::Timestamp;
use crate::basics::layout::layout_of;

/// The first and the longest pause after failures.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How far the clock may step back before what is cached counts as stale.
const CLOCK_STEP: Duration = Duration::from_secs(60);
/// Every fetch, and every pause after a failure, ends within this time; a later end means that the clock
/// was set back.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// The limits that an administrator sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheLimits {
    /// An answer is fresh for at least this long, regardless of its Cache-Control.
    pub min_ttl: Duration,
    /// An answer is fresh for at most this long, regardless of its Cache-Control.
    pub max_ttl: Duration,
    /// Keys are used for this long after the last good answer, while the provider does not answer.
    pub stale_ttl: Duration,
    /// After a fetch that an unknown key caused, another such key causes none for this long.
    pub refresh_cooldown: Duration,
}

/// What is known of one issuer's keys over time. Plain data: it may live in shared memory.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// The last good answer, or never.
    fetched_at: Timestamp,
    fresh_until: Timestamp,
    /// The end of the last fetch, good or bad, or never.
    attempted_at: Timestamp,
    /// The end of the last one that an unknown key caused, or never.
    demanded_at: Timestamp,
    /// When the next attempt may start.
    retry_at: Timestamp,
    /// The time at which the fetch under way is given up; `NEVER` if none is under way.
    flight_until: Timestamp,
    /// The number of the last fetch that was begun; forgetting does not set it back.
    flight: u64,
    /// Failures since the last good answer.
    failures: u32,
    /// Whether an unknown key caused the fetch under way.
    is_demanded: bool,
}

/// Names one fetch: what ends it can tell whether it is still the one under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchId {
    number: u64,
    until: Timestamp,
}

/// What a login does about keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Use the cached key.
    Use,
    /// Use the cached key, but refresh first, since no other login does; a failure changes nothing.
    UseAndRefresh,
    /// Fetch: nothing cached can be used.
    Fetch,
    /// Another login fetches: wait for it, then look again.
    Wait,
    /// No cached key of this issuer is the token's, and it is too early to ask again.
    UnknownKey,
    /// The provider has failed, and it is too early to ask again.
    Unavailable,
}

impl Freshness {
    /// The size, and where the fields are.
    pub(crate) const LAYOUT: &[usize] = layout_of!(Freshness {
        fetched_at,
        fresh_until,
        attempted_at,
        demanded_at,
        retry_at,
        flight_until,
        flight,
        failures,
        is_demanded
    });

    /// Nothing is known yet.
    pub const COLD: Freshness = Freshness {
        fetched_at: Timestamp::NEVER,
        fresh_until: Timestamp::NEVER,
        attempted_at: Timestamp::NEVER,
        demanded_at: Timestamp::NEVER,
        retry_at: Timestamp::NEVER,
        flight_until: Timestamp::NEVER,
        flight: 0,
        failures: 0,
        is_demanded: false,
    };

    /// What a login does that finds its key among the cached ones (`found`), or does not. A fetch for it is begun by
    /// [`begin_for`](Freshness::begin_for).
    pub fn plan(&self, found: bool, limits: &CacheLimits, now: Timestamp) -> Plan {
        let usable = self.is_usable(limits, now);
        if usable && found {
            let leave = self.is_fresh(now) || self.in_flight(now) || !self.may_attempt(now);
            return if leave {
                Plan::Use
            } else {
                Plan::UseAndRefresh
            };
        }
        if self.in_flight(now) {
            return Plan::Wait;
        }
        if !self.may_attempt(now) {
            return Plan::Unavailable;
        }
        if usable && is_recent(self.demanded_at, limits, now) {
            return Plan::UnknownKey;
        }
        Plan::Fetch
    }

    /// The same for a login that plans it, since it has found its key or has not.
    pub fn begin_for(
        &mut self,
        found: bool,
        limits: &CacheLimits,
        now: Timestamp,
        until: Timestamp,
    ) -> FetchId {
        let fetch = self.begin(until);
        self.is_demanded = !found && self.is_usable(limits, now);
        fetch
    }

    /// The last fetch did not bring the key of a login that waited for it. It counts as caused by that key, whatever was
    /// its reason: the provider has just said what it has.
    pub fn note_unknown_key(&mut self) {
        self.demanded_at = self.attempted_at;
    }

    /// Seconds, rounded up, until keys may be fetched for a login with an unknown key.
    pub fn seconds_held_back(&self, limits: &CacheLimits, now: Timestamp) -> u64 {
        let cooldown = match is_recent(self.demanded_at, limits, now) {
            true => self.demanded_at.plus(limits.refresh_cooldown),
            false => now,
        };
        let pause = match self.may_attempt(now) {
            true => now,
            false => self.retry_at,
        };
        cooldown.max(pause).seconds_since(now)
    }

    /// A fetch starts, and is given up at `until`.
    pub fn begin(&mut self, until: Timestamp) -> FetchId {
        self.flight = self.flight.wrapping_add(1);
        self.flight_until = until;
        self.is_demanded = false;
        FetchId {
            number: self.flight,
            until,
        }
    }

    /// Whether a fetch is under way that was begun to be given up at `until`.
    pub fn is_under_way(&self, until: Timestamp) -> bool {
        until != Timestamp::NEVER && self.flight_until == until
    }

    /// Whether this fetch is still the one under way. If not, what it brings may be older than what ended it, such as a
    /// flush, and must change nothing.
    pub fn is_current(&self, fetch: FetchId) -> bool {
        self.is_under_way(fetch.until) && self.flight == fetch.number
    }

    /// A fetch has brought keys that are fresh for `lifetime`.
    pub fn succeed(&mut self, lifetime: Duration, now: Timestamp) {
        *self = Freshness {
            fetched_at: now,
            fresh_until: now.plus(lifetime),
            attempted_at: now,
            demanded_at: self.demanded_at_end(now),
            ..self.cold()
        };
    }

    /// A fetch has failed. `jitter`, any number, spreads the next attempts of many servers.
    pub fn fail(&mut self, jitter: u32, now: Timestamp) {
        self.fail_asking_for(Duration::ZERO, jitter, now);
    }

    /// The same, where the provider asks for a pause. The longest pause after failures is also the longest that it gets.
    pub fn fail_asking_for(&mut self, retry_after: Duration, jitter: u32, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        self.attempted_at = now;
        self.demanded_at = self.demanded_at_end(now);
        self.flight_until = Timestamp::NEVER;
        let doublings = self.failures.saturating_sub(1).min(16);
        let pause = BACKOFF.0.saturating_mul(1 << doublings).max(retry_after);
        let pause = pause.min(BACKOFF.1);
        // Up to a quarter more.
        let extra = pause.mul_f64(f64::from(jitter) / f64::from(u32::MAX) / 4.0);
        self.retry_at = now.plus(pause).plus(extra);
    }

    /// A fetch has ended without a result: the login was cancelled, or its process is gone.
    pub fn abandon(&mut self) {
        self.flight_until = Timestamp::NEVER;
    }

    /// Everything that was fetched is forgotten, and what is being fetched will be: the next login may fetch at once.
    pub fn forget(&mut self) {
        *self = self.cold();
    }

    /// Nothing is known, but which fetches there were.
    fn cold(&self) -> Freshness {
        Freshness {
            flight: self.flight,
            ..Freshness::COLD
        }
    }

    /// Whether a fetch has ended, well or badly, since the beginning or since all was forgotten.
    pub fn was_attempted(&self) -> bool {
        self.attempted_at != Timestamp::NEVER
    }

    /// Whether this state may be forgotten to make room: not while it delays the next fetch, since the next login would
    /// fetch at once.
    pub fn may_be_dropped(&self, limits: &CacheLimits, now: Timestamp) -> bool {
        !self.in_flight(now) && self.may_attempt(now) && !is_recent(self.attempted_at, limits, now)
    }

    /// Whether a background worker should refresh, `ahead` of the end of freshness.
    pub fn is_due(&self, ahead: Duration, now: Timestamp) -> bool {
        self.fetched_at != Timestamp::NEVER
            && !self.in_flight(now)
            && self.may_attempt(now)
            && !self.is_fresh(now.plus(ahead))
    }

    /// The time of the last good answer, or never.
    pub fn fetched_at(&self) -> Timestamp {
        self.fetched_at
    }

    /// Until when the keys are used without asking again.
    pub fn fresh_until(&self) -> Timestamp {
        self.fresh_until
    }

    /// Until when the keys are used while the provider does not answer.
    pub fn usable_until(&self, limits: &CacheLimits) -> Timestamp {
        let stale_until = self.fetched_at.plus(limits.stale_ttl);
        self.fresh_until.max(stale_until)
    }

    /// The state's name: `empty` (never requested), `unavailable` (there never was a good answer), `fresh`, `stale`
    /// or `expired`.
    pub fn state(&self, limits: &CacheLimits, now: Timestamp) -> &'static str {
        match self.fetched_at {
            Timestamp::NEVER if self.failures > 0 => "unavailable",
            Timestamp::NEVER => "empty",
            _ if self.is_fresh(now) => "fresh",
            _ if self.is_usable(limits, now) => "stale",
            _ => "expired",
        }
    }

    /// Whether a fetch is under way.
    pub fn is_fetching(&self, now: Timestamp) -> bool {
        self.in_flight(now)
    }

    /// Failures since the last good answer.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether cached keys exist that may be used.
    pub fn is_usable(&self, limits: &CacheLimits, now: Timestamp) -> bool {
        self.fetched_at != Timestamp::NEVER && now < self.usable_until(limits)
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        // After a step back of the clock, "fresh" could last for ever.
        now < self.fresh_until && self.fetched_at <= now.plus(CLOCK_STEP)
    }

    fn in_flight(&self, now: Timestamp) -> bool {
        now < self.flight_until && self.flight_until <= now.plus(LONGEST_PAUSE)
    }

    fn may_attempt(&self, now: Timestamp) -> bool {
        now >= self.retry_at || self.retry_at > now.plus(LONGEST_PAUSE)
    }

    /// When the last fetch that an unknown key caused has ended, if the one under way ends now.
    fn demanded_at_end(&self, now: Timestamp) -> Timestamp {
        match self.is_demanded {
            true => now,
            false => self.demanded_at,
        }
    }
}

/// Whether the cooldown after a fetch that ended then is not over.
fn is_recent(ended_at: Timestamp, limits: &CacheLimits, now: Timestamp) -> bool {
    now < ended_at.plus(limits.refresh_cooldown) && ended_at <= now.plus(CLOCK_STEP)
}
