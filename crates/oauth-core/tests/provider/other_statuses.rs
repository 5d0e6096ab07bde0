//! Answers of another status than 200: where or when to ask instead.

use std::time::Duration;

use http::Response;
use oauth_core::{
    CacheLimits, Document, Endpoint, Freshness, Plan, Timestamp, UnavailableCause, validate_answer,
};

fn cause(status: u16, headers: &[(&str, &[u8])]) -> Option<UnavailableCause> {
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    let url = Endpoint::parse("https://idp.example/keys").unwrap();
    validate_answer(&answer.body(()).unwrap(), &url, Document::Keys).err()
}

#[test]
fn redirect_says_where_it_leads() {
    assert_eq!(cause(200, &[("location", b"/x")]), None);
    for status in [300, 301, 302, 303, 307, 308] {
        for (location, shown) in [
            (
                &b"https://new.example/keys"[..],
                " to https://new.example/keys",
            ),
            (b"/new/keys", " to https://idp.example/new/keys"),
            (b"keys2", " to keys2"),
            (b"http://idp.example/keys", " to http://idp.example/keys"),
            // Bytes that could forge a line.
            (
                b"/\xff\x80\"",
                " to https://idp.example/\\u{fffd}\\u{fffd}\\\"",
            ),
        ] {
            let found = cause(status, &[("location", location)]).unwrap();
            let text = format!("answered with redirect {status}{shown}, which is not followed");
            assert_eq!((found.code(), found.to_string()), ("redirect", text));
        }
        let found = cause(status, &[]).unwrap();
        let text = format!("answered with redirect {status}, which is not followed");
        assert_eq!(found.to_string(), text);
    }
}

#[test]
fn retry_after_counts_with_the_statuses_that_it_is_for() {
    let retry_after = |status, value: &[u8]| cause(status, &[("retry-after", value)]).unwrap();
    for status in [429, 503] {
        for (value, seconds) in [
            (&b"1"[..], 1),
            (b" 120 ", 120),
            (b"99999999999999999999", u64::MAX),
        ] {
            assert_eq!(
                retry_after(status, value),
                UnavailableCause::Busy { status, seconds }
            );
        }
        // A date is the client's business, which has a clock.
        for value in [
            &b""[..],
            b"0",
            b"-1",
            b"1.5",
            b"soon",
            b"1 s",
            b"Fri, 31 Dec 1999 23:59:59 GMT",
            b"\xff",
        ] {
            assert_eq!(retry_after(status, value), UnavailableCause::Status(status));
        }
        assert_eq!(cause(status, &[]), Some(UnavailableCause::Status(status)));
    }
    for status in [400, 401, 403, 404, 500, 502, 504] {
        assert_eq!(retry_after(status, b"60"), UnavailableCause::Status(status));
    }
    assert!(matches!(
        retry_after(301, b"60"),
        UnavailableCause::Redirect { .. }
    ));
}

#[test]
fn pause_is_at_least_what_the_provider_wishes_and_never_longer_than_the_longest() {
    let limits = CacheLimits {
        min_ttl: Duration::from_secs(60),
        max_ttl: Duration::from_secs(3600),
        stale_ttl: Duration::from_secs(3600),
        refresh_cooldown: Duration::from_secs(10),
    };
    let at = |seconds: i64| Timestamp::from_unix_seconds(1_000_000 + seconds);
    for (failures, retry_after, pause) in [
        (1, 0, 1),
        (1, 1, 1),
        (1, 30, 30),
        (1, 60, 60),
        (1, 61, 60),
        (1, u64::MAX, 60),
        (4, 5, 8),
        (4, 20, 20),
        (20, 0, 60),
        (20, 5, 60),
    ] {
        for jitter in [0, u32::MAX] {
            let mut state = Freshness::COLD;
            for _ in 1..failures {
                state.fail(0, at(0));
            }
            state.fail_asking_for(Duration::from_secs(retry_after), jitter, at(0));
            assert_eq!(state.failures(), failures);
            assert_eq!(state.plan(false, &limits, at(pause - 1)), Plan::Unavailable);
            let end = if jitter == 0 {
                pause
            } else {
                pause + pause / 4 + 1
            };
            assert_eq!(
                state.plan(false, &limits, at(end)),
                Plan::Fetch,
                "{retry_after}"
            );
        }
    }
}

#[test]
fn wish_goes_with_a_failure_to_where_the_pause_is_kept() {
    let retry_after = |cause| {
        let url = oauth_core::Printable::new("https://idp.example/keys");
        let failure = oauth_core::Unavailable { url, cause };
        assert_eq!(failure.pack().retry_after, failure.retry_after());
        failure.retry_after()
    };
    let busy = UnavailableCause::Busy {
        status: 503,
        seconds: 7,
    };
    assert!(busy.is_outage());
    assert_eq!(retry_after(busy), Duration::from_secs(7));
    assert_eq!(retry_after(UnavailableCause::Status(503)), Duration::ZERO);
}
