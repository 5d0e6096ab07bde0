//! Limits, then the header of an answer: keys are never fresh for longer than the header and the limits allow, and
//! the state machine keeps its promises over any history.
#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::{Corpus, fuzz_target};
use oauth_core::{CacheLimits, Freshness, Plan, Timestamp, freshness_lifetime};
use oauth_core_fuzz::case::NOW;
use std::time::Duration;

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((limits, rest)) = input.split_at_checked(8) else {
        return Corpus::Reject;
    };
    let seconds = |place: usize| {
        let bytes = [limits[place], limits[place + 1]];
        // From nothing to a week.
        Duration::from_secs(u64::from(u16::from_be_bytes(bytes)).pow(2) / 7000)
    };
    let limits = CacheLimits {
        min_ttl: seconds(0),
        max_ttl: seconds(2),
        stale_ttl: seconds(4),
        refresh_cooldown: seconds(6),
    };
    let (headers, history) = match rest.iter().position(|byte| *byte == 0) {
        Some(end) => rest.split_at(end),
        None => (rest, &[][..]),
    };
    let lifetime = check_lifetime(headers, &limits);
    check_history(history.get(1..).unwrap_or_default(), lifetime, &limits);
    Corpus::Keep
});

fn check_lifetime(lines: &[u8], limits: &CacheLimits) -> Duration {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts
            .next()
            .and_then(|name| HeaderName::from_bytes(name).ok());
        let value = parts
            .next()
            .and_then(|value| HeaderValue::from_bytes(value.trim_ascii()).ok());
        if let (Some(name), Some(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let lifetime = freshness_lifetime(&headers, limits);
    assert!(limits.min_ttl <= lifetime && lifetime <= limits.max_ttl.max(limits.min_ttl));
    let directives: Vec<String> = headers
        .get_all("cache-control")
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("no-store").split(','))
        .map(|directive| directive.trim().to_ascii_lowercase())
        .collect();
    // RFC 9111 §5.2.2: what must not be stored, or not be used without asking, is fresh for the least time.
    if directives
        .iter()
        .any(|directive| directive == "no-store" || directive == "no-cache")
    {
        assert_eq!(lifetime, limits.min_ttl);
    }
    // RFC 9111 §4.2.1: never longer than the longest max-age.
    let pairs = directives
        .iter()
        .map(|one| one.split_once('=').unwrap_or((one, "")));
    let ages: Vec<u64> = pairs
        .filter(|(name, _)| name.trim() == "max-age")
        .map(|(_, age)| {
            let digits = age.trim().trim_matches('"');
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            if is_number {
                digits.parse().unwrap_or(u64::MAX)
            } else {
                0
            }
        })
        .collect();
    if let Some(longest) = ages.iter().max() {
        assert!(
            lifetime <= Duration::from_secs(*longest).max(limits.min_ttl),
            "{lifetime:?} of {directives:?}"
        );
    }
    // An answer that has been on its way for ever is not fresh.
    headers.insert("age", HeaderValue::from(u64::MAX));
    assert_eq!(freshness_lifetime(&headers, limits), limits.min_ttl);
    lifetime
}

/// Two bytes are an event. Never two fetches at once, and no use of keys past their end.
fn check_history(events: &[u8], lifetime: Duration, limits: &CacheLimits) {
    let (mut state, mut now) = (Freshness::COLD, Timestamp::from_unix_seconds(NOW));
    let mut flight: Option<Timestamp> = None;
    let mut usable_until: Option<Timestamp> = None;
    for event in events.chunks_exact(2) {
        flight = flight.filter(|until| now < *until);
        let found = event[1] % 2 == 1;
        match event[0] % 6 {
            0 => now = now.plus(Duration::from_secs(u64::from(event[1]).pow(2))),
            1 => match state.plan(found, limits, now) {
                plan @ (Plan::Fetch | Plan::UseAndRefresh) => {
                    assert!(flight.is_none() && (found || plan == Plan::Fetch));
                    let until = now.plus(Duration::from_secs(5));
                    state.begin_for(found, limits, now, until);
                    assert!(state.is_fetching(now) && state.is_under_way(until));
                    flight = Some(until);
                }
                Plan::Use => assert!(found && usable_until.is_some_and(|until| now < until)),
                Plan::Wait => assert!(flight.is_some()),
                Plan::UnknownKey => assert!(!found && state.is_usable(limits, now)),
                Plan::Unavailable => assert!(state.failures() > 0),
            },
            2 if flight.is_some() => {
                state.succeed(lifetime, now);
                usable_until = Some(now.plus(lifetime.max(limits.stale_ttl)));
                flight = None;
            }
            3 if flight.is_some() => {
                state.fail(u32::from(event[1]) << 24, now);
                flight = None;
            }
            4 if flight.is_some() => {
                state.abandon();
                flight = None;
            }
            5 if event[1] == 5 => {
                state.forget();
                usable_until = None;
                // What was being fetched may be what had to be forgotten: it counts only if the state says so.
                flight = flight.filter(|_| state.is_fetching(now));
            }
            _ => {}
        }
        assert!(
            ["empty", "unavailable", "fresh", "stale", "expired"]
                .contains(&state.state(limits, now))
        );
        let later = now.plus(Duration::from_secs(80));
        assert!(!matches!(
            state.plan(false, limits, later),
            Plan::Wait | Plan::Unavailable
        ));
    }
}
