//! RFC 9111: how long an answer is fresh, by its header.

use http::HeaderMap;
use oauth_core::{CacheLimits, freshness_lifetime};

use crate::freshness::{HOUR, LIMITS, SECOND};

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
