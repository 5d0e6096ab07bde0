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

/// A token that is being acted on. When this goes, however the work ended, the token may come again, unless it is done.
#[must_use]
pub struct Taken<'a> {
    seen: &'a Seen,
    key: [u8; 32],
}

/// Why a token cannot be taken on.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
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

    /// Takes a token on, to be acted on by the caller alone.
    pub fn take(
        &self,
        issuer: &str,
        jti: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Taken<'_>, Refused> {
        let mut entries = self.lock();
        let key = cache_key(&[issuer, jti]);
        match entries.get(&key) {
            Some(entry) if !entry.is_done => return Err(Refused::UnderWay),
            Some(entry) if now < entry.until => return Err(Refused::Done),
            _ => {}
        }
        if entries.len() >= self.capacity {
            entries.retain(|_, entry| !entry.is_done || now < entry.until);
        }
        if entries.len() >= self.capacity {
            return Err(Refused::NoRoom);
        }
        let is_done = false;
        entries.insert(key, Entry { until, is_done });
        Ok(Taken { seen: self, key })
    }

    /// Nothing panics while it holds the lock, and what is behind it is valid at any time.
    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Entry>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken<'_> {
    /// It was acted on, and is not to be acted on again.
    pub fn done(self) {
        if let Some(entry) = self.seen.lock().get_mut(&self.key) {
            entry.is_done = true;
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut entries = self.seen.lock();
        if entries.get(&self.key).is_some_and(|entry| !entry.is_done) {
            entries.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    /// Why it is not taken on. A token that is taken on is let go at once.
    fn refused(taken: Result<Taken<'_>, Refused>) -> Option<Refused> {
        taken.err()
    }

    #[test]
    fn a_token_is_acted_on_once_within_its_life() {
        let seen = Seen::new(10);
        let take = |jti: &str, now: i64| seen.take("https://a", jti, at(100), at(now));
        let first = take("1", 0).ok();
        assert!(first.is_some());
        assert_eq!(refused(take("1", 0)), Some(Refused::UnderWay));
        // It could not be acted on.
        drop(first);
        take("1", 0).expect("it may come again").done();
        assert_eq!(refused(take("1", 0)), Some(Refused::Done));
        assert_eq!(refused(take("1", 99)), Some(Refused::Done));
        assert_eq!(refused(take("2", 99)), None);
        assert_eq!(refused(seen.take("https://b", "1", at(100), at(0))), None);
        assert_eq!(refused(take("1", 100)), None);
    }

    #[test]
    fn a_token_may_come_again_if_the_work_on_it_panicked() {
        let seen = Seen::new(1);
        let work = || {
            let _taken = seen.take("i", "1", at(100), at(0)).expect("it is new");
            panic!("while it is acted on");
        };
        assert!(std::thread::scope(|scope| scope
            .spawn(work)
            .join()
            .is_err()));
        assert_eq!(refused(seen.take("i", "1", at(100), at(0))), None);
        // And its place is free.
        assert_eq!(refused(seen.take("i", "2", at(100), at(0))), None);
    }

    #[test]
    fn memory_is_bounded_and_nothing_is_forgotten_too_early() {
        let seen = Seen::new(2);
        let take = |jti: &str, until: i64, now: i64| seen.take("i", jti, at(until), at(now));
        take("1", 50, 0).expect("it is new").done();
        let second = take("2", 100, 0).ok();
        assert!(second.is_some());
        assert_eq!(refused(take("3", 100, 49)), Some(Refused::NoRoom));
        assert_eq!(refused(take("1", 50, 49)), Some(Refused::Done));
        // The first one's life is over; the second is under way, however long that takes.
        let third = take("3", 200, 150).ok();
        assert!(third.is_some());
        assert_eq!(refused(take("2", 200, 150)), Some(Refused::UnderWay));
        assert_eq!(refused(take("4", 200, 150)), Some(Refused::NoRoom));
    }
}
