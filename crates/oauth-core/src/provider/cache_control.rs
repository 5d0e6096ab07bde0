//! How long an answer is fresh: RFC 9111.

use std::time::Duration;

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL};

use crate::provider::freshness::CacheLimits;

/// What an answer without `Cache-Control` counts as: long enough to be a cache, short enough that a key
/// that was withdrawn is gone soon.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);

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
                // RFC 9111 §4.2.1: an invalid max-age counts as stale.
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
pub(crate) fn parse_seconds(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}
