//! What an answer tells of the provider's clock.

use std::time::{Duration, SystemTime};

use oauth_core::MAX_CLOCK_SKEW;
use ureq::http::HeaderMap;
use ureq::http::header::{AGE, DATE};

/// The provider's time when it answered lies within a second; ours between request and answer.
#[derive(Clone, Copy)]
pub struct ProviderClock {
    theirs: SystemTime,
    sent: SystemTime,
    received: SystemTime,
}

/// Clocks that differ by less are taken to agree about a third one.
const AGREEMENT: Duration = Duration::from_secs(10);

impl ProviderClock {
    /// RFC 9110 §6.6.1: `Date` is when the answer was made; RFC 9111 §5.1: `Age` is how long a cache has kept it.
    pub fn read(headers: &HeaderMap, sent: SystemTime) -> Option<Self> {
        let date = headers.get(DATE)?.to_str().ok()?;
        let age = headers
            .get(AGE)
            .and_then(|age| age.to_str().ok()?.parse().ok());
        let theirs = httpdate::parse_http_date(date).ok()?;
        Some(ProviderClock {
            theirs: theirs.checked_add(Duration::from_secs(age.unwrap_or(0)))?,
            sent,
            received: SystemTime::now(),
        })
    }

    /// How far it is from ours at least.
    pub fn differs_by(&self) -> Duration {
        self.ahead().max(self.behind())
    }

    /// Seconds by which it is ahead of ours at least, or behind, if negative.
    pub fn seconds_ahead(&self) -> i64 {
        let seconds = |by: Duration| i64::try_from(by.as_secs()).unwrap_or(i64::MAX);
        seconds(self.ahead()).saturating_sub(seconds(self.behind()))
    }

    fn ahead(&self) -> Duration {
        let ahead = self.theirs.duration_since(self.received);
        ahead.unwrap_or_default()
    }

    fn behind(&self) -> Duration {
        let behind = self.sent.duration_since(self.theirs).unwrap_or_default();
        behind.saturating_sub(Duration::from_secs(1))
    }

    /// Whether both differ from ours by the same.
    fn agrees_with(&self, other: &ProviderClock) -> bool {
        self.ahead().abs_diff(other.ahead()) <= AGREEMENT
            && self.behind().abs_diff(other.behind()) <= AGREEMENT
    }

    /// Sentences about the difference: what it does, whose clock is probably wrong, and what the setting can do about it.
    pub fn describe(&self, allowed: Duration, others: &[ProviderClock]) -> String {
        let seconds = self.differs_by().as_secs();
        let (side, effect) = if self.ahead().is_zero() {
            ("behind", "tokens expire here that much too early (expired)")
        } else {
            (
                "ahead of",
                "new tokens are refused for that long (issued_in_future, not_yet_valid)",
            )
        };
        format!(
            "The provider's clock is {seconds} s {side} this server's, by its answer's Date: {effect}. {}. {}.",
            self.whose(others),
            reach(self.differs_by(), allowed)
        )
    }

    fn whose(&self, others: &[ProviderClock]) -> String {
        let count = others.len();
        let (noun, has) = match count {
            1 => ("other provider", "has"),
            _ => ("other providers", "have"),
        };
        if count > 0 && others.iter().all(|other| self.agrees_with(other)) {
            format!(
                "{count} {noun} {has} the same time, so it is this server's clock that is wrong"
            )
        } else if count > 0 && others.iter().all(|other| other.differs_by() <= AGREEMENT) {
            format!(
                "{count} {noun} {has} this server's time, so it is the provider's clock that is wrong"
            )
        } else {
            "Which of the two is wrong cannot be told from here".to_owned()
        }
    }
}

/// What `validator.clock_skew` does about a difference that is larger than it.
fn reach(difference: Duration, allowed: Duration) -> String {
    let (allowed, most) = (allowed.as_secs(), MAX_CLOCK_SKEW.as_secs());
    let does = match difference < MAX_CLOCK_SKEW {
        true => "which would cover this, and let all tokens live longer",
        false => "which does not cover this",
    };
    format!("validator.clock_skew is {allowed} s, and {most} s at most, {does}")
}
