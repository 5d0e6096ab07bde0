//! Time, passed in: the judgement never asks the system itself.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// A point in time, in microseconds since the Unix epoch. Arithmetic saturates.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest time: it marks something that has not happened.
    pub const NEVER: Timestamp = Timestamp(i64::MIN);

    /// After everything: the end of what has none.
    pub const FOREVER: Timestamp = Timestamp(i64::MAX);

    /// From whole seconds since the Unix epoch.
    pub fn from_unix_seconds(seconds: i64) -> Self {
        Timestamp(seconds.saturating_mul(1_000_000))
    }

    /// From microseconds since the Unix epoch.
    pub fn from_unix_micros(micros: i64) -> Self {
        Timestamp(micros)
    }

    /// Microseconds since the Unix epoch.
    pub fn unix_micros(self) -> i64 {
        self.0
    }

    /// RFC 7519 §2 NumericDate: a JSON number of seconds since the Unix epoch, with or without a fraction.
    pub(crate) fn from_numeric_date(value: &Value) -> Option<Self> {
        // "as" saturates, so a date beyond the range is the end of the range.
        value
            .as_f64()
            .map(|seconds| Timestamp((seconds * 1e6) as i64))
    }

    /// This time and `duration` more.
    pub fn plus(self, duration: Duration) -> Self {
        Timestamp(self.0.saturating_add(micros(duration)))
    }

    /// This time and `duration` less.
    pub fn minus(self, duration: Duration) -> Self {
        Timestamp(self.0.saturating_sub(micros(duration)))
    }

    /// The time from `earlier` to this time; zero if it is not earlier.
    pub(crate) fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Whole seconds from `earlier` to this time, rounded up; zero if it is not earlier.
    pub(crate) fn seconds_since(self, earlier: Timestamp) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0))
            .unwrap_or(0)
            .div_ceil(1_000_000)
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Tells the time. Tests set it.
pub trait Clock {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock before 1970 reads as 1970: every token is then "issued in the future", and refused.
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(micros(since_epoch))
    }
}

/// A fixed point in time is a clock that stands still.
impl Clock for Timestamp {
    fn now(&self) -> Timestamp {
        *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_numeric_dates() {
        let read = |value: Value| Timestamp::from_numeric_date(&value).map(Timestamp::unix_micros);
        assert_eq!(read(json!(1_300_819_380)), Some(1_300_819_380_000_000));
        assert_eq!(read(json!(1_300_819_380.5)), Some(1_300_819_380_500_000));
        assert_eq!(read(json!(0)), Some(0));
        assert_eq!(read(json!(-1)), Some(-1_000_000));
        assert_eq!(read(json!(u64::MAX)), Some(i64::MAX));
        assert_eq!(read(json!(1e300)), Some(i64::MAX));
        assert_eq!(read(json!(-1e300)), Some(i64::MIN));
        for wrong in [
            json!("1300819380"),
            json!(null),
            json!(true),
            json!([1]),
            json!({}),
        ] {
            assert_eq!(Timestamp::from_numeric_date(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        let end = Timestamp(i64::MAX);
        assert_eq!(end.plus(Duration::MAX), end);
        assert_eq!(
            Timestamp(i64::MIN).minus(Duration::MAX),
            Timestamp(i64::MIN)
        );
        assert_eq!(
            end.seconds_since(Timestamp(i64::MIN)),
            (i64::MAX as u64).div_ceil(1_000_000)
        );
        assert_eq!(Timestamp(0).seconds_since(end), 0);
        assert_eq!(Timestamp(1).seconds_since(Timestamp(0)), 1);
    }

    #[test]
    fn system_clock_is_of_this_century() {
        assert!(SystemClock.now() > Timestamp::from_unix_seconds(1_700_000_000));
    }
}
