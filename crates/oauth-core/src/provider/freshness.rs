//! How long fetched keys are used, and when they are fetched again: a state machine without clock,
//! lock or network, so that every step of it can be tested.
//!
//! Keys are *fresh* (used), then *stale* (used, while one login refreshes), then *expired* (not used).
//! A failure never shortens the life of keys that are at hand; it only delays the next attempt.

use std::time::Duration;

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL};

use crate::basics::clock::Timestamp;
use crate::layout_of;

/// What an answer without `Cache-Control` counts as: long enough to be a cache, short enough that a key
/// that was withdrawn is gone soon.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);
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
    /// An answer is fresh for at least this long, whatever it says.
    pub min_ttl: Duration,
    /// An answer is fresh for at most this long, whatever it says.
    pub max_ttl: Duration,
    /// Keys are used for this long after the last good answer, while the provider does not answer.
    pub stale_ttl: Duration,
    /// After a fetch, an unknown `kid` causes no other one for this long.
    pub refresh_cooldown: Duration,
}

/// RFC 9111 §4.2.1: how long an answer with these headers is fresh, within the limits.
///
/// `max-age` less `Age`; `no-store` and `no-cache` count as the minimum.
pub fn freshness_lifetime(headers: &HeaderMap, limits: &CacheLimits) -> Duration {
    let mut lifetime = DEFAULT_LIFETIME;
    for value in headers.get_all(CACHE_CONTROL) {
        for directive in value.to_str().unwrap_or("no-store").split(',') {
            let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" | "no-cache" => return limits.min_ttl,
                // RFC 9111 §4.2.1: what can not be read counts as stale.
                "max-age" => {
                    let seconds = parse_seconds(argument.trim().trim_matches('"'));
                    lifetime = Duration::from_secs(seconds.unwrap_or(0));
                }
                _ => {}
            }
        }
    }
    let age = headers
        .get(AGE)
        .and_then(|age| parse_seconds(age.to_str().ok()?.trim()))
        .unwrap_or(0);
    // Not clamp(), which panics where an administrator sets min above max.
    lifetime
        .saturating_sub(Duration::from_secs(age))
        .min(limits.max_ttl)
        .max(limits.min_ttl)
}

/// RFC 9111 §1.2.2: digits alone; a number that is too large counts as the largest.
fn parse_seconds(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// What is known of one issuer's keys over time. Plain data: it may live in shared memory.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// The last good answer, or never.
    fetched_at: Timestamp,
    fresh_until: Timestamp,
    usable_until: Timestamp,
    /// The end of the last fetch, good or bad, or never.
    attempted_at: Timestamp,
    /// When the next attempt may start.
    retry_at: Timestamp,
    /// A fetch is under way, and is given up at this time; never, if there is none.
    flight_until: Timestamp,
    /// The number of the last fetch that was begun; forgetting does not set it back.
    flight: u64,
    /// Failures since the last good answer.
    failures: u32,
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
    /// Use the key at hand.
    Use,
    /// Use the key at hand, but refresh first, since nobody else does; a failure changes nothing.
    UseAndRefresh,
    /// Fetch: nothing at hand can be used.
    Fetch,
    /// Another login fetches: wait for it, then look again.
    Wait,
    /// No key of this issuer has that `kid`, and it is too early to ask again.
    UnknownKey,
    /// The provider has failed, and it is too early to ask again.
    Unavailable,
}

impl Freshness {
    /// The size, and where the fields are.
    pub(crate) const LAYOUT: &[usize] = layout_of!(Freshness {
        fetched_at,
        fresh_until,
        usable_until,
        attempted_at,
        retry_at,
        flight_until,
        flight,
        failures
    });

    /// Nothing is known yet.
    pub const COLD: Freshness = Freshness {
        fetched_at: Timestamp::NEVER,
        fresh_until: Timestamp::NEVER,
        usable_until: Timestamp::NEVER,
        attempted_at: Timestamp::NEVER,
        retry_at: Timestamp::NEVER,
        flight_until: Timestamp::NEVER,
        flight: 0,
        failures: 0,
    };

    /// What a login does that finds its key among the cached ones (`found`), or does not.
    pub fn plan(&self, found: bool, limits: &CacheLimits, now: Timestamp) -> Plan {
        let usable = self.is_usable(now);
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
        if usable && self.cools_down(limits, now) {
            return Plan::UnknownKey;
        }
        Plan::Fetch
    }

    /// A fetch starts, and is given up at `until`.
    pub fn begin(&mut self, until: Timestamp) -> FetchId {
        self.flight = self.flight.wrapping_add(1);
        self.flight_until = until;
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
    pub fn succeed(&mut self, lifetime: Duration, limits: &CacheLimits, now: Timestamp) {
        let fresh_until = now.plus(lifetime);
        *self = Freshness {
            fetched_at: now,
            fresh_until,
            usable_until: fresh_until.max(now.plus(limits.stale_ttl)),
            attempted_at: now,
            ..self.cold()
        };
    }

    /// A fetch has failed. `jitter`, any number, spreads the next attempts of many servers.
    pub fn fail(&mut self, jitter: u32, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        self.attempted_at = now;
        self.flight_until = Timestamp::NEVER;
        let doublings = self.failures.saturating_sub(1).min(16);
        let pause = BACKOFF.0.saturating_mul(1 << doublings).min(BACKOFF.1);
        // Up to a quarter more.
        let extra = pause.mul_f64(f64::from(jitter) / f64::from(u32::MAX) / 4.0);
        self.retry_at = now.plus(pause).plus(extra);
    }

    /// A fetch has ended without a word on the provider: the login was cancelled, or its process is gone.
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

    /// Whether all this may be forgotten to make room: not while it keeps the next fetch from coming too early, since whoever
    /// needs it next would fetch at once.
    pub fn may_be_dropped(&self, limits: &CacheLimits, now: Timestamp) -> bool {
        !self.in_flight(now) && self.may_attempt(now) && !self.cools_down(limits, now)
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
    pub fn usable_until(&self) -> Timestamp {
        self.usable_until
    }

    /// The state in a word: `empty` (nobody has asked), `unavailable` (there never was a good answer), `fresh`, `stale`
    /// or `expired`.
    pub fn state(&self, now: Timestamp) -> &'static str {
        match self.fetched_at {
            Timestamp::NEVER if self.failures > 0 => "unavailable",
            Timestamp::NEVER => "empty",
            _ if self.is_fresh(now) => "fresh",
            _ if self.is_usable(now) => "stale",
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

    /// Whether keys are at hand that may be used.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.fetched_at != Timestamp::NEVER && now < self.usable_until
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        // After a step back of the clock, "fresh" could last for ever.
        self.is_usable(now) && now < self.fresh_until && self.fetched_at <= now.plus(CLOCK_STEP)
    }

    fn in_flight(&self, now: Timestamp) -> bool {
        now < self.flight_until && self.flight_until <= now.plus(LONGEST_PAUSE)
    }

    fn may_attempt(&self, now: Timestamp) -> bool {
        now >= self.retry_at || self.retry_at > now.plus(LONGEST_PAUSE)
    }

    fn cools_down(&self, limits: &CacheLimits, now: Timestamp) -> bool {
        now < self.attempted_at.plus(limits.refresh_cooldown)
            && self.attempted_at <= now.plus(CLOCK_STEP)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LIMITS: CacheLimits = CacheLimits {
        min_ttl: Duration::from_secs(60),
        max_ttl: Duration::from_secs(86_400),
        stale_ttl: Duration::from_secs(86_400),
        refresh_cooldown: Duration::from_secs(10),
    };
    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(1_800_000_000).plus(Duration::from_secs(seconds))
    }

    fn fetched(lifetime: Duration) -> Freshness {
        let mut state = Freshness::COLD;
        state.succeed(lifetime, &LIMITS, at(0));
        state
    }

    #[test]
    fn fetch_is_under_way_until_it_ends_or_another_takes_its_place() {
        let mut state = Freshness::COLD;
        let first = state.begin(at(5));
        assert!(state.is_current(first) && state.is_under_way(at(5)));
        assert!(!state.is_under_way(at(6)));
        // Even one that would be given up at the same moment.
        let second = state.begin(at(5));
        assert!(!state.is_current(first) && state.is_current(second));
        state.abandon();
        assert!(!state.is_current(second) && !state.is_under_way(Timestamp::NEVER));
    }

    #[test]
    fn fetch_that_was_under_way_when_all_was_forgotten_is_no_longer() {
        let end = |how: fn(&mut Freshness)| {
            let mut state = fetched(HOUR);
            let old = state.begin(at(5));
            how(&mut state);
            assert!(!state.is_current(old));
            let new = state.begin(at(5));
            assert!(!state.is_current(old) && state.is_current(new));
        };
        end(Freshness::forget);
        end(Freshness::abandon);
        end(|state| state.succeed(HOUR, &LIMITS, at(1)));
        end(|state| state.fail(0, at(1)));
    }

    #[test]
    fn an_attempt_is_known_until_all_is_forgotten() {
        let mut state = Freshness::COLD;
        state.begin(at(5));
        assert!(!state.was_attempted());
        state.fail(0, at(1));
        assert!(state.was_attempted());
        state.forget();
        assert!(!state.was_attempted());
        assert!(fetched(HOUR).was_attempted());
    }

    fn plans(state: &Freshness, now: Timestamp) -> (Plan, Plan) {
        (
            state.plan(true, &LIMITS, now),
            state.plan(false, &LIMITS, now),
        )
    }

    #[test]
    fn cold_fetches_once_and_the_others_wait() {
        let mut state = Freshness::COLD;
        assert_eq!(plans(&state, at(0)), (Plan::Fetch, Plan::Fetch));
        state.begin(at(5));
        assert_eq!(plans(&state, at(1)), (Plan::Wait, Plan::Wait));
        state.succeed(HOUR, &LIMITS, at(2));
        assert_eq!(plans(&state, at(2)), (Plan::Use, Plan::UnknownKey));
    }

    #[test]
    fn a_fetcher_that_died_is_replaced_at_its_deadline() {
        let mut state = Freshness::COLD;
        state.begin(at(5));
        assert_eq!(
            state.plan(false, &LIMITS, at(5).minus(Duration::from_micros(1))),
            Plan::Wait
        );
        assert_eq!(state.plan(false, &LIMITS, at(5)), Plan::Fetch);
        state.begin(at(9));
        state.abandon();
        assert_eq!(state.plan(false, &LIMITS, at(6)), Plan::Fetch);
    }

    #[test]
    fn fresh_then_stale_then_expired() {
        let state = fetched(HOUR);
        assert_eq!(state.plan(true, &LIMITS, at(3599)), Plan::Use);
        assert_eq!(state.plan(true, &LIMITS, at(3600)), Plan::UseAndRefresh);
        assert_eq!(state.plan(true, &LIMITS, at(86_399)), Plan::UseAndRefresh);
        assert_eq!(state.plan(true, &LIMITS, at(86_400)), Plan::Fetch);
    }

    #[test]
    fn state_is_told_in_a_word() {
        assert_eq!(Freshness::COLD.state(at(0)), "empty");
        let mut failed = Freshness::COLD;
        failed.begin(at(5));
        assert_eq!(failed.state(at(0)), "empty");
        failed.fail(0, at(1));
        assert_eq!(failed.state(at(1)), "unavailable");
        let mut state = fetched(HOUR);
        assert_eq!(state.state(at(3599)), "fresh");
        assert_eq!(state.state(at(3600)), "stale");
        state.fail(0, at(3600));
        assert_eq!(state.state(at(86_399)), "stale");
        assert_eq!(state.state(at(86_400)), "expired");
        state.forget();
        assert_eq!(state.state(at(0)), "empty");
    }

    #[test]
    fn stale_keys_are_refreshed_by_one_login_while_the_others_go_on() {
        let mut state = fetched(HOUR);
        state.begin(at(3605));
        assert_eq!(state.plan(true, &LIMITS, at(3601)), Plan::Use);
        state.fail(0, at(3602));
        assert_eq!(state.plan(true, &LIMITS, at(3602)), Plan::Use);
        assert_eq!(state.plan(true, &LIMITS, at(3603)), Plan::UseAndRefresh);
    }

    #[test]
    fn an_answer_that_is_fresh_for_longer_than_the_outage_limit_is_used_while_fresh() {
        let limits = CacheLimits {
            stale_ttl: Duration::ZERO,
            ..LIMITS
        };
        let mut state = Freshness::COLD;
        state.succeed(HOUR, &limits, at(0));
        assert_eq!(state.plan(true, &limits, at(3599)), Plan::Use);
        assert_eq!(state.plan(true, &limits, at(3600)), Plan::Fetch);
    }

    #[test]
    fn unknown_kid_causes_one_fetch_per_cooldown() {
        let mut state = fetched(HOUR);
        assert_eq!(state.plan(false, &LIMITS, at(9)), Plan::UnknownKey);
        assert_eq!(state.plan(false, &LIMITS, at(10)), Plan::Fetch);
        state.begin(at(15));
        assert_eq!(state.plan(false, &LIMITS, at(11)), Plan::Wait);
        assert_eq!(state.plan(true, &LIMITS, at(11)), Plan::Use);
        state.succeed(HOUR, &LIMITS, at(12));
        assert_eq!(state.plan(false, &LIMITS, at(21)), Plan::UnknownKey);
        assert_eq!(state.plan(false, &LIMITS, at(22)), Plan::Fetch);
    }

    #[test]
    fn failures_back_off_up_to_a_minute_and_keep_the_keys() {
        let mut state = fetched(HOUR);
        let mut now = at(3600);
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            state.fail(0, now);
            let end = now.plus(SECOND * pause);
            assert_eq!(
                state.plan(true, &LIMITS, end.minus(Duration::from_micros(1))),
                Plan::Use
            );
            assert_eq!(
                state.plan(false, &LIMITS, end.minus(Duration::from_micros(1))),
                Plan::Unavailable
            );
            assert_eq!(state.plan(true, &LIMITS, end), Plan::UseAndRefresh);
            now = end;
        }
        assert_eq!(state.failures(), 8);
        state.succeed(HOUR, &LIMITS, now);
        assert_eq!(
            (state.failures(), state.plan(true, &LIMITS, now)),
            (0, Plan::Use)
        );
    }

    #[test]
    fn jitter_adds_at_most_a_quarter() {
        let mut state = Freshness::COLD;
        state.fail(u32::MAX, at(0));
        assert_eq!(
            state.plan(false, &LIMITS, at(0).plus(Duration::from_millis(1249))),
            Plan::Unavailable
        );
        assert_eq!(
            state.plan(false, &LIMITS, at(0).plus(Duration::from_millis(1250))),
            Plan::Fetch
        );
    }

    #[test]
    fn cold_after_a_failure_refuses_until_the_pause_is_over() {
        let mut state = Freshness::COLD;
        state.begin(at(5));
        state.fail(0, at(1));
        assert_eq!(plans(&state, at(1)), (Plan::Unavailable, Plan::Unavailable));
        assert_eq!(plans(&state, at(2)), (Plan::Fetch, Plan::Fetch));
    }

    #[test]
    fn forgetting_allows_a_fetch_at_once_even_beside_one_under_way() {
        let mut state = fetched(HOUR);
        state.forget();
        assert_eq!(state.plan(true, &LIMITS, at(1)), Plan::Fetch);
        state.begin(at(5));
        state.forget();
        // What is under way may bring what was to be forgotten.
        assert_eq!(state.plan(true, &LIMITS, at(1)), Plan::Fetch);
        state.begin(at(6));
        assert_eq!(state.plan(true, &LIMITS, at(1)), Plan::Wait);
    }

    #[test]
    fn a_clock_that_was_set_back_neither_prolongs_freshness_nor_blocks_fetches() {
        let day = 86_400;
        let mut state = Freshness::COLD;
        state.succeed(HOUR, &LIMITS, at(day));
        assert_eq!(state.plan(true, &LIMITS, at(0)), Plan::UseAndRefresh);
        assert_eq!(state.plan(false, &LIMITS, at(0)), Plan::Fetch);
        state.fail(0, at(day));
        assert_eq!(state.plan(false, &LIMITS, at(0)), Plan::Fetch);
        state.begin(at(day + 5));
        assert_eq!(state.plan(false, &LIMITS, at(0)), Plan::Fetch);
    }

    #[test]
    fn what_delays_the_next_fetch_may_not_be_dropped() {
        assert!(Freshness::COLD.may_be_dropped(&LIMITS, at(0)));
        let mut state = Freshness::COLD;
        state.begin(at(5));
        assert!(!state.may_be_dropped(&LIMITS, at(4)));
        assert!(state.may_be_dropped(&LIMITS, at(5)));
        state.succeed(HOUR, &LIMITS, at(5));
        assert!(!state.may_be_dropped(&LIMITS, at(14)));
        assert!(state.may_be_dropped(&LIMITS, at(15)));
        for _ in 0..6 {
            state.fail(0, at(20));
        }
        // The cooldown is over, and the pause is not.
        assert!(!state.may_be_dropped(&LIMITS, at(51)));
        assert!(state.may_be_dropped(&LIMITS, at(52)));
        state.forget();
        assert!(state.may_be_dropped(&LIMITS, at(20)));
    }

    #[test]
    fn background_refresh_is_due_ahead_of_the_end() {
        assert!(!Freshness::COLD.is_due(SECOND, at(0)));
        let mut state = fetched(HOUR);
        assert!(!state.is_due(SECOND * 60, at(3539)));
        assert!(state.is_due(SECOND * 60, at(3540)));
        state.begin(at(3545));
        assert!(!state.is_due(SECOND * 60, at(3541)));
        state.fail(0, at(3541));
        assert!(!state.is_due(SECOND * 60, at(3541)));
        assert!(state.is_due(SECOND * 60, at(3542)));
    }

    fn lifetime(headers: &[(&'static str, &'static str)]) -> u64 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        freshness_lifetime(&map, &LIMITS).as_secs()
    }

    #[test]
    fn lifetime_follows_cache_control_within_the_limits() {
        assert_eq!(lifetime(&[]), 300);
        assert_eq!(lifetime(&[("cache-control", "public")]), 300);
        assert_eq!(lifetime(&[("cache-control", "max-age=3600")]), 3600);
        assert_eq!(
            lifetime(&[("cache-control", "public, Max-Age=3600, must-revalidate")]),
            3600
        );
        assert_eq!(lifetime(&[("cache-control", "max-age=\"3600\"")]), 3600);
        assert_eq!(
            lifetime(&[("cache-control", "max-age=3600"), ("age", "600")]),
            3000
        );
        assert_eq!(
            lifetime(&[("cache-control", "max-age=3600"), ("age", "nonsense")]),
            3600
        );
        assert_eq!(
            lifetime(&[("cache-control", "max-age=3600"), ("age", "999999")]),
            60
        );
        assert_eq!(lifetime(&[("cache-control", "max-age=5")]), 60);
        assert_eq!(lifetime(&[("cache-control", "max-age=99999999")]), 86_400);
        assert_eq!(lifetime(&[("cache-control", "max-age=-1")]), 60);
        assert_eq!(lifetime(&[("cache-control", "max-age=")]), 60);
        assert_eq!(lifetime(&[("cache-control", "no-store")]), 60);
        assert_eq!(lifetime(&[("cache-control", "max-age=3600, no-cache")]), 60);
        assert_eq!(
            lifetime(&[
                ("cache-control", "max-age=3600"),
                ("cache-control", "NO-STORE")
            ]),
            60
        );
    }

    #[test]
    fn seconds_that_are_too_many_to_count_are_as_many_as_can_be() {
        let more_than_u64 = "99999999999999999999";
        let max_age = "max-age=99999999999999999999";
        assert_eq!(lifetime(&[("cache-control", max_age)]), 86_400);
        for age in [more_than_u64, "18446744073709551615"] {
            let headers = [("cache-control", "max-age=3600"), ("age", age)];
            assert_eq!(lifetime(&headers), 60, "{age}");
            assert_eq!(lifetime(&[("cache-control", max_age), ("age", age)]), 60);
        }
    }

    #[test]
    fn limits_that_contradict_each_other_do_not_panic() {
        let limits = CacheLimits {
            min_ttl: HOUR,
            max_ttl: SECOND,
            ..LIMITS
        };
        assert_eq!(freshness_lifetime(&HeaderMap::new(), &limits), HOUR);
    }

    #[derive(Debug, Clone)]
    enum Event {
        Pass(u64),
        Login(bool),
        Succeed(usize, u64),
        Fail(usize, u32),
        Die,
        Forget,
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            (0u64..100_000).prop_map(Event::Pass),
            (0u64..10).prop_map(Event::Pass),
            any::<bool>().prop_map(Event::Login),
            (0usize..4, 0u64..100_000).prop_map(|(which, seconds)| Event::Succeed(which, seconds)),
            (0usize..4, any::<u32>()).prop_map(|(which, jitter)| Event::Fail(which, jitter)),
            Just(Event::Die),
            Just(Event::Forget),
        ];
        proptest::collection::vec(event, 0..200)
    }

    proptest! {
        /// Whatever happens: never two fetches that count at once; never a use past the last usable moment, nor of what was
        /// asked for before all was forgotten; a cold start is never stuck for longer than a flight and a pause.
        #[test]
        fn invariants_hold_over_all_histories(events in events()) {
            let (mut state, mut now) = (Freshness::COLD, at(0));
            // All that were begun and have not ended, with what there was of flushes then.
            let mut flights: Vec<(FetchId, usize)> = Vec::new();
            let mut flushes = 0;
            let mut last_good: Option<(Timestamp, Duration)> = None;
            for event in events {
                let under_way = |state: &Freshness| flights.iter().filter(|(f, _)| state.is_current(*f)).count();
                prop_assert!(under_way(&state) <= 1);
                match event {
                    Event::Pass(seconds) => now = now.plus(Duration::from_secs(seconds)),
                    Event::Login(found) => match state.plan(found, &LIMITS, now) {
                        plan @ (Plan::Fetch | Plan::UseAndRefresh) => {
                            prop_assert!(plan == Plan::Fetch || found);
                            // One that counts has had its time.
                            let is_free = |(f, _): &(FetchId, usize)| !state.is_current(*f) || now >= f.until;
                            prop_assert!(flights.iter().all(is_free));
                            flights.push((state.begin(now.plus(SECOND * 5)), flushes));
                        }
                        Plan::Use => {
                            let (good, lifetime) = last_good.expect("something was fetched");
                            prop_assert!(found && now < good.plus(lifetime.max(LIMITS.stale_ttl)));
                        }
                        Plan::Wait => prop_assert_eq!(under_way(&state), 1),
                        Plan::UnknownKey => prop_assert!(!found && state.is_usable(now)),
                        Plan::Unavailable => prop_assert!(state.failures() > 0),
                    },
                    Event::Succeed(which, seconds) if !flights.is_empty() => {
                        let (flight, begun) = flights.swap_remove(which % flights.len());
                        if state.is_current(flight) {
                            prop_assert_eq!(begun, flushes);
                            let lifetime = Duration::from_secs(seconds);
                            state.succeed(lifetime, &LIMITS, now);
                            last_good = Some((now, lifetime));
                        }
                    }
                    Event::Fail(which, jitter) if !flights.is_empty() => {
                        let (flight, begun) = flights.swap_remove(which % flights.len());
                        if state.is_current(flight) {
                            prop_assert_eq!(begun, flushes);
                            state.fail(jitter, now);
                        }
                    }
                    Event::Forget => {
                        state.forget();
                        flushes += 1;
                        last_good = None;
                    }
                    Event::Succeed(..) | Event::Fail(..) | Event::Die => {}
                }
                let later = now.plus(SECOND * 80);
                prop_assert_ne!(state.plan(false, &LIMITS, later), Plan::Wait);
                prop_assert_ne!(state.plan(false, &LIMITS, later), Plan::Unavailable);
            }
        }
    }
}
