//! Hints about when a token is good: whose clock is wrong, if one is.

use oauth_core::Reject;

use crate::log::circumstances::Circumstances;

/// Seconds by which clocks may differ that agree: what a slow answer takes.
const LITTLE: u64 = 5;

/// A hint about a token that is no longer, or not yet, good. Its signature has been verified by then.
pub fn time_hint(reject: &Reject, known: &Circumstances<'_>) -> Option<String> {
    match reject {
        Reject::Expired { seconds_ago } => Some(expired_hint(*seconds_ago, known)),
        Reject::NotYetValid { seconds_ahead } | Reject::IssuedInFuture { seconds_ahead } => {
            Some(early_hint(*seconds_ahead, known))
        }
        _ => None,
    }
}

/// For how long was it good?
fn expired_hint(seconds_ago: u64, known: &Circumstances<'_>) -> String {
    let lifetime = known
        .sketch
        .and_then(|sketch| sketch.expires_at?.checked_sub(sketch.issued_at?))
        .filter(|seconds| *seconds >= 0);
    let lifetime = lifetime.map_or_else(String::new, |seconds| {
        format!("; it was good for {seconds} s (\"iat\" to \"exp\")")
    });
    format!(
        "The token expired {seconds_ago} s ago{lifetime}. The client must get a new one. If it just did, {}",
        clocks(known)
    )
}

fn early_hint(seconds_ahead: u64, known: &Circumstances<'_>) -> String {
    format!(
        "The token becomes valid in {seconds_ahead} s. If the provider issued it just now, {} validator.clock_skew, of \
            300 s at most, covers small differences only, and lets expired tokens in for as long.",
        clocks(known)
    )
}

/// What is known of the provider's clock, and what to do, as the end of a sentence.
fn clocks(known: &Circumstances<'_>) -> String {
    let keys = known.findings.and_then(|findings| findings.keys.as_ref());
    let told = keys.and_then(|keys| Some((keys, keys.clock_ahead?)));
    match told {
        None => "compare the clocks of provider and server: check_config() does.".to_owned(),
        Some((keys, ahead)) if ahead.unsigned_abs() <= LITTLE => format!(
            "the token is not a new one, or a clock was set since: provider and server agreed on the time when the keys \
                were fetched, at {}.",
            keys.fetched
        ),
        Some((keys, ahead)) => format!(
            "a clock is wrong: that of the provider was {} s {} this server's when the keys were fetched, at {}. Synchronize \
                both by NTP.",
            ahead.unsigned_abs(),
            if ahead > 0 { "ahead of" } else { "behind" },
            keys.fetched
        ),
    }
}
