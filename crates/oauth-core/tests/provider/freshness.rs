//! When keys are used, refreshed and given up: one step after the other.

use std::time::Duration;

use oauth_core::{CacheLimits, FetchId, Freshness, Plan, Timestamp};

pub const SECOND: Duration = Duration::from_secs(1);
pub const LIMITS: CacheLimits = CacheLimits {
    min_ttl: Duration::from_secs(60),
    max_ttl: Duration::from_secs(86_400),
    stale_ttl: Duration::from_secs(86_400),
    refresh_cooldown: Duration::from_secs(10),
};
pub const HOUR: Duration = Duration::from_secs(3600);

pub fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000).plus(Duration::from_secs(seconds))
}

fn fetched(lifetime: Duration) -> Freshness {
    let mut state = Freshness::COLD;
    state.succeed(lifetime, at(0));
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
    end(|state| state.succeed(HOUR, at(1)));
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
    state.succeed(HOUR, at(2));
    assert_eq!(plans(&state, at(2)), (Plan::Use, Plan::Fetch));
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
    assert_eq!(Freshness::COLD.state(&LIMITS, at(0)), "empty");
    let mut failed = Freshness::COLD;
    failed.begin(at(5));
    assert_eq!(failed.state(&LIMITS, at(0)), "empty");
    failed.fail(0, at(1));
    assert_eq!(failed.state(&LIMITS, at(1)), "unavailable");
    let mut state = fetched(HOUR);
    assert_eq!(state.state(&LIMITS, at(3599)), "fresh");
    assert_eq!(state.state(&LIMITS, at(3600)), "stale");
    state.fail(0, at(3600));
    assert_eq!(state.state(&LIMITS, at(86_399)), "stale");
    assert_eq!(state.state(&LIMITS, at(86_400)), "expired");
    state.forget();
    assert_eq!(state.state(&LIMITS, at(0)), "empty");
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
    state.succeed(HOUR, at(0));
    assert_eq!(state.plan(true, &limits, at(3599)), Plan::Use);
    assert_eq!(state.plan(true, &limits, at(3600)), Plan::Fetch);
}

#[test]
fn new_limits_apply_to_keys_that_were_fetched_before() {
    let mut state = fetched(HOUR);
    state.fail(0, at(86_399));
    let stale_for = |days| CacheLimits {
        stale_ttl: HOUR * 24 * days,
        ..LIMITS
    };
    let last = |limits: &CacheLimits, seconds| {
        let states = [seconds - 1, seconds].map(|now| state.state(limits, at(now)));
        assert_eq!(states, ["stale", "expired"]);
        assert_eq!(state.usable_until(limits), at(seconds));
        assert_ne!(state.plan(true, limits, at(seconds)), Plan::Use);
    };
    last(&stale_for(1), 86_400);
    last(&stale_for(3), 3 * 86_400);
    // Also in the past.
    last(&stale_for(1), 86_400);
    assert_eq!(state.state(&stale_for(0), at(3599)), "fresh");
    assert_eq!(state.state(&stale_for(0), at(3600)), "expired");
}

#[test]
fn unknown_kid_causes_one_fetch_per_cooldown() {
    let mut state = fetched(HOUR);
    let mut now = at(0);
    for _ in 0..3 {
        assert_eq!(plans(&state, now), (Plan::Use, Plan::Fetch));
        assert_eq!(state.seconds_held_back(&LIMITS, now), 0);
        state.begin_for(false, &LIMITS, now, now.plus(SECOND * 5));
        let under_way = now.plus(SECOND);
        assert_eq!(plans(&state, under_way), (Plan::Use, Plan::Wait));
        let end = now.plus(SECOND * 2);
        state.succeed(HOUR, end);
        assert_eq!(plans(&state, end), (Plan::Use, Plan::UnknownKey));
        assert_eq!(state.seconds_held_back(&LIMITS, end), 10);
        now = end.plus(SECOND * 10);
        let before = now.minus(Duration::from_micros(1));
        assert_eq!(state.plan(false, &LIMITS, before), Plan::UnknownKey);
        assert_eq!(state.seconds_held_back(&LIMITS, before), 1);
    }
}

#[test]
fn fetch_for_another_reason_does_not_hold_back_the_first_unknown_kid() {
    type Begin = fn(&mut Freshness) -> FetchId;
    let begun: [(&str, Begin); 3] = [
        ("ahead of the end", |state| state.begin(at(3605))),
        ("stale", |state| {
            state.begin_for(true, &LIMITS, at(3600), at(3605))
        }),
        ("expired", |state| {
            state.begin_for(false, &LIMITS, at(90_000), at(90_005))
        }),
    ];
    for (why, begin) in begun {
        let mut state = fetched(HOUR);
        begin(&mut state);
        state.succeed(HOUR, at(90_001));
        assert_eq!(state.plan(false, &LIMITS, at(90_001)), Plan::Fetch, "{why}");
        // Unless a login with an unknown key made it, or waited for it: the answer was for that key, too.
        state.note_unknown_key();
        assert_eq!(state.plan(false, &LIMITS, at(90_010)), Plan::UnknownKey);
        assert_eq!(state.plan(false, &LIMITS, at(90_011)), Plan::Fetch);
        // Nor does it end the cooldown of one that was.
        state.begin_for(false, &LIMITS, at(90_011), at(90_016));
        state.succeed(SECOND, at(90_012));
        state.begin(at(90_019));
        state.succeed(HOUR, at(90_014));
        assert_eq!(state.plan(false, &LIMITS, at(90_021)), Plan::UnknownKey);
        assert_eq!(state.plan(false, &LIMITS, at(90_022)), Plan::Fetch);
    }
}

#[test]
fn fetch_that_an_unknown_kid_caused_and_that_failed_holds_back_as_one_that_did_not() {
    let mut state = fetched(HOUR);
    state.begin_for(false, &LIMITS, at(100), at(105));
    state.fail(0, at(101));
    assert_eq!(state.plan(false, &LIMITS, at(101)), Plan::Unavailable);
    assert_eq!(state.plan(false, &LIMITS, at(110)), Plan::UnknownKey);
    assert_eq!(state.plan(false, &LIMITS, at(111)), Plan::Fetch);
    assert_eq!(state.plan(true, &LIMITS, at(102)), Plan::Use);
    for _ in 0..7 {
        state.fail(0, at(120));
    }
    assert_eq!(state.seconds_held_back(&LIMITS, at(120)), 60);
    // One that nobody ended, and what was forgotten, hold back nothing.
    let mut state = fetched(HOUR);
    state.begin_for(false, &LIMITS, at(100), at(105));
    state.abandon();
    assert_eq!(state.plan(false, &LIMITS, at(101)), Plan::Fetch);
    state.begin_for(false, &LIMITS, at(101), at(105));
    state.succeed(HOUR, at(102));
    state.forget();
    state.note_unknown_key();
    assert_eq!(state.seconds_held_back(&LIMITS, at(102)), 0);
    state.succeed(HOUR, at(102));
    assert_eq!(state.plan(false, &LIMITS, at(102)), Plan::Fetch);
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
    state.succeed(HOUR, now);
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
    state.begin_for(false, &LIMITS, at(day), at(day + 5));
    state.succeed(HOUR, at(day));
    state.note_unknown_key();
    assert_eq!(state.seconds_held_back(&LIMITS, at(day)), 10);
    assert_eq!(state.seconds_held_back(&LIMITS, at(0)), 0);
    assert_eq!(state.plan(true, &LIMITS, at(0)), Plan::UseAndRefresh);
    assert_eq!(state.plan(false, &LIMITS, at(0)), Plan::Fetch);
    state.fail(0, at(day));
    assert_eq!(state.plan(false, &LIMITS, at(0)), Plan::Fetch);
    state.begin(at(day + 5));
    assert_eq!(state.plan(false, &LIMITS, at(0)), Plan::Fetch);

    // No pause is longer than two minutes, so one that seems to be is the clock's fault.
    let mut paused = Freshness::COLD;
    paused.fail(0, at(119));
    assert_eq!(paused.plan(false, &LIMITS, at(0)), Plan::Unavailable);
    paused.fail(0, at(120));
    assert_eq!(paused.plan(false, &LIMITS, at(0)), Plan::Fetch);
}

#[test]
fn what_delays_the_next_fetch_may_not_be_dropped() {
    assert!(Freshness::COLD.may_be_dropped(&LIMITS, at(0)));
    let mut state = Freshness::COLD;
    state.begin(at(5));
    assert!(!state.may_be_dropped(&LIMITS, at(4)));
    assert!(state.may_be_dropped(&LIMITS, at(5)));
    state.succeed(HOUR, at(5));
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

#[test]
fn fetch_is_under_way_until_it_ends_or_is_given_up() {
    let mut state = Freshness::COLD;
    assert!(!state.is_fetching(at(0)));
    state.begin(at(5));
    assert!(state.is_fetching(at(4)) && !state.is_fetching(at(6)));
    state.begin(at(5));
    state.succeed(HOUR, at(1));
    assert!(!state.is_fetching(at(1)));
}
