//! What an answer tells of the provider's clock.

use std::time::{Duration, SystemTime};

use ureq::http::HeaderMap;
use ureq::http::header::{AGE, DATE};

/// The provider's time when it answered lies within a second; ours between request and answer.
#[derive(Clone, Copy)]
pub struct ProviderClock {
    theirs: SystemTime,
    sent: SystemTime,
    received: SystemTime,
}

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

    fn ahead(&self) -> Duration {
        let ahead = self.theirs.duration_since(self.received);
        ahead.unwrap_or_default()
    }

    fn behind(&self) -> Duration {
        let behind = self.sent.duration_since(self.theirs).unwrap_or_default();
        behind.saturating_sub(Duration::from_secs(1))
    }

    /// A sentence about the difference.
    pub fn describe(&self) -> String {
        let seconds = self.differs_by().as_secs();
        let side = if self.ahead().is_zero() {
            "behind"
        } else {
            "ahead of"
        };
        format!("The provider's clock is {seconds} s {side} this server's.")
    }
}
