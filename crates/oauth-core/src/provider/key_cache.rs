//! An issuer's keys in the memory of one process, for all of its threads: fetched when they are needed, by one of those who
//! need them, and kept fresh. [`Freshness`] decides what each of them does; this only acts on it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::basics::clock::Clock;
use crate::basics::printable::Printable;
use crate::failure::reject::Reject;
use crate::failure::unavailable::Unavailable;
use crate::failure::{Failure, Internal};
use crate::keys::jwk::JwkSet;
use crate::keys::source::{FoundKeys, KeyReference, KeySource};
use crate::provider::cache_control::freshness_lifetime;
use crate::provider::fetch::{HttpClient, fetch_jwk_set};
use crate::provider::freshness::{CacheLimits, Freshness, Plan};
use crate::provider::issuer::{Endpoint, Issuer};

/// When a fetch is given up, so that another thread may try. The HTTP client's own limits must be below.
const FETCH_TIME: Duration = Duration::from_secs(10);
/// How often a waiter checks whether the fetcher has died.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The keys of one issuer, as a [`KeySource`] that a whole process shares.
pub struct KeyCache<H, C> {
    issuer: Issuer,
    jwks_uri: Option<Endpoint>,
    http: H,
    clock: C,
    limits: CacheLimits,
    jitter: fn() -> u32,
    state: Mutex<State>,
    fetch_ended: Condvar,
}

struct State {
    freshness: Freshness,
    keys: JwkSet,
    /// How many good answers there were.
    answer: u64,
    /// The error of the last failed fetch.
    failure: Option<Unavailable>,
}

impl<H: HttpClient, C: Clock> KeyCache<H, C> {
    /// Nothing is fetched yet. `jwks_uri`: where the keys are, if the metadata need not be asked. `jitter`, any number,
    /// spreads the requests of many servers after a failure. Each request must end within ten seconds.
    pub fn new(
        issuer: Issuer,
        jwks_uri: Option<Endpoint>,
        http: H,
        clock: C,
        limits: CacheLimits,
        jitter: fn() -> u32,
    ) -> Self {
        KeyCache {
            issuer,
            jwks_uri,
            http,
            clock,
            limits,
            jitter,
            state: Mutex::new(State {
                freshness: Freshness::COLD,
                keys: JwkSet::default(),
                answer: 0,
                failure: None,
            }),
            fetch_ended: Condvar::new(),
        }
    }

    /// Nothing panics while it holds the lock, and what is behind it is valid at any time.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `tried`: the answer whose keys have not verified the token.
    fn find(&self, wanted: &KeyReference<'_>, tried: Option<u64>) -> Result<FoundKeys, Failure> {
        let mut has_asked = false;
        loop {
            let mut state = self.lock();
            let found = state.keys.select(wanted);
            let is_new = tried != Some(state.answer);
            let is_found = found.is_ok() && is_new;
            if has_asked && !is_found {
                state.freshness.note_unknown_key();
            }
            let now = self.clock.now();
            match state.freshness.plan(is_found, &self.limits, now) {
                Plan::Use | Plan::UnknownKey => {
                    let seconds = || state.freshness.seconds_held_back(&self.limits, now);
                    let refused = |refusal: Reject| {
                        let refusal = match has_asked {
                            true => refusal,
                            false => refusal.held_back(seconds()),
                        };
                        Err(refusal.into())
                    };
                    return match found {
                        Ok(_) if !is_new => refused(Reject::BadSignature { again_in: None }),
                        Ok(keys) if has_asked => Ok(keys),
                        Ok(keys) => Ok(keys.cached_as(state.answer)),
                        Err(refusal) => refused(refusal),
                    };
                }
                // A failure of this one leaves the known key in use, and delays the next attempt.
                Plan::UseAndRefresh | Plan::Fetch => {
                    has_asked = true;
                    self.refresh(state, is_found);
                }
                Plan::Wait => {
                    // Once the time of one that died has ended, the plan is another one.
                    let waited = self.fetch_ended.wait_timeout(state, LOOK_AGAIN);
                    drop(waited.unwrap_or_else(PoisonError::into_inner));
                }
                Plan::Unavailable => {
                    return Err(match state.failure.clone() {
                        Some(failure) => failure.into(),
                        None => Internal(Printable::new("a failure was not noted")).into(),
                    });
                }
            }
        }
    }

    /// Fetches the keys. The lock is free in the meantime: whoever's key is known continues, the others wait.
    fn refresh(&self, mut state: MutexGuard<'_, State>, found: bool) {
        let now = self.clock.now();
        let fetch = state
            .freshness
            .begin_for(found, &self.limits, now, now.plus(FETCH_TIME));
        drop(state);
        let fetched = fetch_jwk_set(&self.http, &self.issuer, self.jwks_uri.as_ref());

        let mut state = self.lock();
        // One that took too long changes nothing: another thread has begun a fetch of its own since.
        if state.freshness.is_current(fetch) {
            let now = self.clock.now();
            match fetched {
                Ok(fetched) => {
                    let lifetime = freshness_lifetime(&fetched.headers, &self.limits);
                    state.freshness.succeed(lifetime, now);
                    state.keys = fetched.keys;
                    state.answer = state.answer.saturating_add(1);
                }
                Err(failure) => {
                    let retry_after = failure.retry_after();
                    state
                        .freshness
                        .fail_asking_for(retry_after, (self.jitter)(), now);
                    state.failure = Some(failure);
                }
            }
        }
        drop(state);
        self.fetch_ended.notify_all();
    }
}

impl<H: HttpClient, C: Clock> KeySource for KeyCache<H, C> {
    fn find_keys(&self, wanted: &KeyReference<'_>) -> Result<FoundKeys, Failure> {
        self.find(wanted, None)
    }

    fn find_newer_keys(
        &self,
        wanted: &KeyReference<'_>,
        tried: &FoundKeys,
    ) -> Result<FoundKeys, Failure> {
        match tried.cached() {
            Some(answer) => self.find(wanted, Some(answer)),
            // They were fetched for this token.
            None => {
                self.lock().freshness.note_unknown_key();
                Err(Reject::BadSignature { again_in: None }.into())
            }
        }
    }
}
