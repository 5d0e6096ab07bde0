//! Tokens that have been seen before: OpenID Connect Back-Channel Logout 1.0 §2.6, step 7.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use oauth_core::{Timestamp, cache_key};

/// The identifiers of tokens that were acted on, and of those that are being acted on, by their digests, until the tokens
/// are not accepted any more.
pub struct Seen {
    until: Mutex<HashMap<[u8; 32], Entry>>,
    capacity: usize,
}

#[derive(Clone, Copy)]
struct Entry {
    until: Timestamp,
    is_done: bool,
}

/// What is known of a token.
#[derive(Debug, PartialEq, Eq)]
pub enum Sight {
    /// It was not seen before, and is now being acted on.
    New,
    /// It is being acted on at this moment.
    UnderWay,
    /// It was acted on.
    Done,
    /// There is no room to remember it.
    NoRoom,
}

impl Seen {
    pub fn new(capacity: usize) -> Seen {
        Seen {
            until: Mutex::new(HashMap::new()),
            capacity,
        }
    }

    /// Takes a token on, to be acted on by the caller alone, who then calls [`done`](Seen::done) or [`failed`](Seen::failed).
    pub fn take(&self, issuer: &str, jti: &str, until: Timestamp, now: Timestamp) -> Sight {
        let mut entries = self.lock();
        let key = cache_key(&[issuer, jti]);
        match entries.get(&key) {
            Some(entry) if !entry.is_done => return Sight::UnderWay,
            Some(entry) if now < entry.until => return Sight::Done,
            _ => {}
        }
        if entries.len() >= self.capacity {
            entries.retain(|_, entry| !entry.is_done || now < entry.until);
        }
        if entries.len() >= self.capacity {
            return Sight::NoRoom;
        }
        let is_done = false;
        entries.insert(key, Entry { until, is_done });
        Sight::New
    }

    /// It was acted on, and is not to be acted on again.
    pub fn done(&self, issuer: &str, jti: &str) {
        if let Some(entry) = self.lock().get_mut(&cache_key(&[issuer, jti])) {
            entry.is_done = true;
        }
    }

    /// It could not be acted on, and may come again.
    pub fn failed(&self, issuer: &str, jti: &str) {
        let key = cache_key(&[issuer, jti]);
        let mut entries = self.lock();
        if entries.get(&key).is_some_and(|entry| !entry.is_done) {
            entries.remove(&key);
        }
    }

    /// Nothing panics while it holds the lock, and what is behind it is valid at any time.
    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Entry>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    #[test]
    fn a_token_is_acted_on_once_within_its_life() {
        let seen = Seen::new(10);
        let take = |jti: &str, now: i64| seen.take("https://a", jti, at(100), at(now));
        assert_eq!(take("1", 0), Sight::New);
        assert_eq!(take("1", 0), Sight::UnderWay);
        seen.failed("https://a", "1");
        assert_eq!(take("1", 0), Sight::New);
        seen.done("https://a", "1");
        // Only what is under way can fail.
        seen.failed("https://a", "1");
        assert_eq!((take("1", 0), take("1", 99)), (Sight::Done, Sight::Done));
        assert_eq!(take("2", 99), Sight::New);
        assert_eq!(seen.take("https://b", "1", at(100), at(0)), Sight::New);
        assert_eq!(take("1", 100), Sight::New);
    }

    #[test]
    fn memory_is_bounded_and_nothing_is_forgotten_too_early() {
        let seen = Seen::new(2);
        let take = |jti: &str, until: i64, now: i64| seen.take("i", jti, at(until), at(now));
        assert_eq!(take("1", 50, 0), Sight::New);
        seen.done("i", "1");
        assert_eq!(take("2", 100, 0), Sight::New);
        assert_eq!(take("3", 100, 49), Sight::NoRoom);
        assert_eq!(take("1", 50, 49), Sight::Done);
        // The first one's life is over; the second is under way, however long that takes.
        assert_eq!(take("3", 200, 150), Sight::New);
        assert_eq!(take("2", 200, 150), Sight::UnderWay);
        assert_eq!(take("4", 200, 150), Sight::NoRoom);
    }
}
