//! What holds of freshness whatever happens.

use std::time::Duration;

use oauth_core::{FetchId, Freshness, Plan, Timestamp};
use proptest::prelude::*;

use crate::freshness::{LIMITS, SECOND, at};

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
        let mut flights: Vec<(FetchId, Timestamp, usize)> = Vec::new();
        let mut flushes = 0;
        let mut last_good: Option<(Timestamp, Duration)> = None;
        for event in events {
            let under_way = |state: &Freshness| flights.iter().filter(|(f, ..)| state.is_current(*f)).count();
            prop_assert!(under_way(&state) <= 1);
            match event {
                Event::Pass(seconds) => now = now.plus(Duration::from_secs(seconds)),
                Event::Login(found) => match state.plan(found, &LIMITS, now) {
                    plan @ (Plan::Fetch | Plan::UseAndRefresh) => {
                        prop_assert!(plan == Plan::Fetch || found);
                        // One that counts has had its time.
                        let is_free = |(f, until, _): &(FetchId, Timestamp, usize)| !state.is_current(*f) || now >= *until;
                        prop_assert!(flights.iter().all(is_free));
                        let until = now.plus(SECOND * 5);
                        flights.push((state.begin_for(found, &LIMITS, now, until), until, flushes));
                    }
                    Plan::Use => {
                        let (good, lifetime) = last_good.expect("something was fetched");
                        prop_assert!(found && now < good.plus(lifetime.max(LIMITS.stale_ttl)));
                    }
                    Plan::Wait => prop_assert_eq!(under_way(&state), 1),
                    Plan::UnknownKey => prop_assert!(!found && state.is_usable(&LIMITS, now)),
                    Plan::Unavailable => prop_assert!(state.failures() > 0),
                },
                Event::Succeed(which, seconds) if !flights.is_empty() => {
                    let (flight, _, begun) = flights.swap_remove(which % flights.len());
                    if state.is_current(flight) {
                        prop_assert_eq!(begun, flushes);
                        let lifetime = Duration::from_secs(seconds);
                        state.succeed(lifetime, now);
                        last_good = Some((now, lifetime));
                    }
                }
                Event::Fail(which, jitter) if !flights.is_empty() => {
                    let (flight, _, begun) = flights.swap_remove(which % flights.len());
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

/// A fetch that has ended: when, whether an unknown key caused it, and whether it was answered.
struct Ended {
    at: Timestamp,
    is_demanded: bool,
    is_good: bool,
}

proptest! {
    /// Whoever sends tokens with unknown keys, however often: in any window of time the provider is asked because of them
    /// at most once and once more for each cooldown in it, and for other reasons at most once and once more for each
    /// lifetime in it, as long as it answers.
    #[test]
    fn unknown_keys_cause_a_bounded_number_of_fetches_in_any_window(
        steps in proptest::collection::vec((0u64..30_000, 0u64..3_000, any::<bool>(), 0u8..10, any::<bool>()), 1..200),
        windows in proptest::collection::vec((0usize..200, 0u64..600), 20),
    ) {
        let (mut state, mut now) = (Freshness::COLD, at(0));
        let mut ended: Vec<Ended> = Vec::new();
        for (pause, takes, found, failing, noted) in steps {
            now = now.plus(Duration::from_millis(pause));
            let plan = state.plan(found, &LIMITS, now);
            let held_back = state.seconds_held_back(&LIMITS, now);
            prop_assert!(plan != Plan::UnknownKey || (1..=10).contains(&held_back));
            if !matches!(plan, Plan::Fetch | Plan::UseAndRefresh) {
                continue;
            }
            prop_assert!(plan != Plan::Fetch || !state.is_usable(&LIMITS, now) || held_back == 0);
            let is_demanded = plan == Plan::Fetch && state.is_usable(&LIMITS, now);
            state.begin_for(found, &LIMITS, now, now.plus(SECOND * 5));
            now = now.plus(Duration::from_millis(takes));
            let is_good = failing != 0;
            match is_good {
                true => state.succeed(LIMITS.min_ttl, now),
                false => state.fail(0, now),
            }
            if noted {
                state.note_unknown_key();
            }
            ended.push(Ended { at: now, is_demanded, is_good });
        }
        for (first, seconds) in windows {
            let Some(first) = ended.get(first) else { continue };
            let end = first.at.plus(SECOND * seconds as u32);
            let inside = || ended.iter().filter(|fetch| first.at <= fetch.at && fetch.at <= end);
            let demanded = inside().filter(|fetch| fetch.is_demanded).count() as u64;
            prop_assert!(demanded <= 1 + seconds / 10, "{demanded} in {seconds} s");
            let other = inside().filter(|fetch| !fetch.is_demanded).count() as u64;
            let failures = inside().filter(|fetch| !fetch.is_good).count() as u64;
            prop_assert!(other <= 2 + seconds / 60 + failures, "{other} in {seconds} s");
        }
    }
}
