//! Introspection endpoints that do not answer, in shared memory: while one is known to be down, no login waits for it.
//!
//! A failure that is not due to a token (`provider/introspection_outage.rs`) closes the way for all of them, as the back-off
//! of `oauth_core::Freshness` has it; when that ends, one login tries, and the others are refused until its request has
//! ended. An answer opens the way.

use oauth_core::{
    Freshness, LayoutDigest, PackedUnavailable, Plan, Timestamp, Unavailable, layout_of,
};

use crate::memory::answer_cache::{AnswerKey, LIMITS};
use crate::memory::locked::Locked;
use crate::memory::plain::StoredFailure;

/// Endpoints that can be down at the same time and be known as such.
const BREAKERS: usize = 16;

/// What all this looks like in memory.
pub const fn layout(digest: LayoutDigest) -> LayoutDigest {
    digest.numbers(&[BREAKERS]).numbers(layout_of!(Breaker {
        key,
        freshness,
        failure
    }))
}

/// All bytes zero is valid: no endpoint is down.
#[repr(C)]
pub struct CircuitBreakers(Locked<[Breaker; BREAKERS]>);

#[repr(C)]
struct Breaker {
    /// Names the endpoint and how it is asked; all zero if unused.
    key: AnswerKey,
    freshness: Freshness,
    /// What the last request failed with.
    failure: StoredFailure,
}

/// How a login that has to ask may go on.
pub enum Entry {
    /// It may ask.
    Free,
    /// It may ask, and must report the outcome, since other logins are refused in the meantime.
    Trial,
    /// It may not: the endpoint has failed a moment ago.
    Refused(Option<Unavailable>),
}

impl CircuitBreakers {
    /// # Safety
    /// `memory` is aligned, and no other code uses it yet.
    pub unsafe fn initialize(memory: *mut Self, tranche: i32) {
        // SAFETY: by this function's contract; all bytes zero is a valid Breaker.
        unsafe { Locked::initialize(&raw mut (*memory).0, size_of::<Self>(), tranche) };
    }

    /// What a login does now. A trial is given up at `until`.
    pub fn enter(&self, key: &AnswerKey, now: Timestamp, until: Timestamp) -> Entry {
        match self.look(key, now) {
            Some(Entry::Trial) => {}
            entry => return entry.unwrap_or(Entry::Free),
        }
        // Of all that may try, one does.
        let mut breakers = self.0.exclusive();
        let Some(breaker) = breakers.iter_mut().find(|breaker| breaker.key == *key) else {
            return Entry::Free;
        };
        match breaker.plan(now) {
            Plan::Fetch => {
                breaker.freshness.begin(until);
                Entry::Trial
            }
            // Another login was faster.
            _ => Entry::Refused(breaker.failure.report()),
        }
    }

    /// The same, without beginning a trial. `None`: the endpoint is not known to be down.
    pub fn look(&self, key: &AnswerKey, now: Timestamp) -> Option<Entry> {
        let failure = {
            let breakers = self.0.shared();
            let breaker = breakers.iter().find(|breaker| breaker.key == *key)?;
            if breaker.plan(now) == Plan::Fetch {
                return Some(Entry::Trial);
            }
            breaker.failure
        };
        Some(Entry::Refused(failure.report()))
    }

    /// The endpoint has answered.
    pub fn open(&self, key: &AnswerKey) {
        if self.0.shared().iter().any(|breaker| breaker.key == *key) {
            let mut breakers = self.0.exclusive();
            for breaker in breakers.iter_mut().filter(|breaker| breaker.key == *key) {
                breaker.key = AnswerKey::default();
            }
        }
    }

    /// A request has failed. Of many at the same time the first counts, and then trials do: those that had begun before
    /// say nothing new. `trial`: when it would have been given up.
    pub fn fail(
        &self,
        key: &AnswerKey,
        trial: Option<Timestamp>,
        failure: &PackedUnavailable,
        jitter: u32,
        now: Timestamp,
    ) {
        let retry_after = failure.retry_after;
        let mut breakers = self.0.exclusive();
        if let Some(breaker) = breakers.iter_mut().find(|breaker| breaker.key == *key) {
            if trial.is_some_and(|until| breaker.freshness.is_under_way(until)) {
                breaker.freshness.fail_asking_for(retry_after, jitter, now);
                breaker.failure.note(failure);
            }
            return;
        }
        // An endpoint that is no longer asked makes room.
        let is_free = |breaker: &Breaker| breaker.key == AnswerKey::default();
        let can_be_tried = |breaker: &Breaker| breaker.plan(now) == Plan::Fetch;
        let free = breakers.iter().position(is_free);
        let index = free.or_else(|| breakers.iter().position(can_be_tried));
        if let Some(breaker) = index.and_then(|index| breakers.get_mut(index)) {
            breaker.key = *key;
            breaker.freshness = Freshness::COLD;
            breaker.freshness.fail_asking_for(retry_after, jitter, now);
            breaker.failure.note(failure);
        }
    }

    /// A trial has ended without a result for the endpoint.
    pub fn abandon(&self, key: &AnswerKey, until: Timestamp) {
        let mut breakers = self.0.exclusive();
        let breaker = breakers.iter_mut().find(|breaker| breaker.key == *key);
        if let Some(breaker) = breaker.filter(|breaker| breaker.freshness.is_under_way(until)) {
            breaker.freshness.abandon();
        }
    }

    /// Forgets that any endpoint is down.
    pub fn flush(&self) {
        for breaker in self.0.exclusive().iter_mut() {
            breaker.key = AnswerKey::default();
        }
    }
}

impl Breaker {
    fn plan(&self, now: Timestamp) -> Plan {
        self.freshness.plan(false, &LIMITS, now)
    }
}
