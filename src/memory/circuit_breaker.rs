//! Introspection endpoints that do not answer, in shared memory: while one is known to be down, no login waits for it.
//!
//! The first request that fails closes the way for all tokens, as the back-off of `oauth_core::Freshness` has it; when
//! that ends, one login tries, and the others are refused until its request has ended. An answer opens the way.

use oauth_core::{
    Freshness, LayoutDigest, PackedUnavailable, Plan, Timestamp, Unavailable, layout_of,
};

use crate::answer_cache::{AnswerKey, LIMITS};
use crate::cache_layout::Failure;
use crate::guarded::Guarded;

/// Endpoints that can be down at the same time and be known as such.
const PLACES: usize = 16;

/// What all this looks like in memory.
pub const fn layout(digest: LayoutDigest) -> LayoutDigest {
    digest.numbers(&[PLACES]).numbers(layout_of!(Place {
        key,
        freshness,
        failure
    }))
}

/// All bytes zero is valid: no endpoint is down.
#[repr(C)]
pub struct CircuitBreakers(Guarded<[Place; PLACES]>);

#[repr(C)]
struct Place {
    /// Names the endpoint and how it is asked; all zero: the place is free.
    key: AnswerKey,
    freshness: Freshness,
    /// What the last request failed with.
    failure: Failure,
}

/// How a login that has to ask may go on.
pub enum Entry {
    /// It may ask.
    Free,
    /// It may ask, and must say how that ended, since others are refused meanwhile.
    Trial,
    /// It may not: the endpoint has failed a moment ago.
    Refused(Option<Unavailable>),
}

impl CircuitBreakers {
    /// # Safety
    /// `memory` is aligned, and nobody else uses it yet.
    pub unsafe fn initialize(memory: *mut Self, tranche: i32) {
        // SAFETY: by this function's contract; all bytes zero is a valid Place.
        unsafe { Guarded::initialize(&raw mut (*memory).0, size_of::<Self>(), tranche) };
    }

    /// What a login does now. A trial is given up at `until`.
    pub fn enter(&self, key: &AnswerKey, now: Timestamp, until: Timestamp) -> Entry {
        match self.look(key, now) {
            Some(Entry::Trial) => {}
            entry => return entry.unwrap_or(Entry::Free),
        }
        // Of all that may try, one does.
        let mut places = self.0.exclusive();
        let Some(place) = places.iter_mut().find(|place| place.key == *key) else {
            return Entry::Free;
        };
        match place.plan(now) {
            Plan::Fetch => {
                place.freshness.begin(until);
                Entry::Trial
            }
            // Another login was faster.
            _ => Entry::Refused(place.failure.report()),
        }
    }

    /// The same, without beginning a trial. `None`: the endpoint is not known to be down.
    pub fn look(&self, key: &AnswerKey, now: Timestamp) -> Option<Entry> {
        let failure = {
            let places = self.0.shared();
            let place = places.iter().find(|place| place.key == *key)?;
            if place.plan(now) == Plan::Fetch {
                return Some(Entry::Trial);
            }
            place.failure
        };
        Some(Entry::Refused(failure.report()))
    }

    /// The endpoint has answered.
    pub fn open(&self, key: &AnswerKey) {
        if self.0.shared().iter().any(|place| place.key == *key) {
            let mut places = self.0.exclusive();
            for place in places.iter_mut().filter(|place| place.key == *key) {
                place.key = AnswerKey::default();
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
        let mut places = self.0.exclusive();
        if let Some(place) = places.iter_mut().find(|place| place.key == *key) {
            if trial.is_some_and(|until| place.freshness.is_under_way(until)) {
                place.freshness.fail(jitter, now);
                place.failure.note(failure);
            }
            return;
        }
        // One that nobody asks any more makes room.
        let is_free = |place: &Place| place.key == AnswerKey::default();
        let can_be_tried = |place: &Place| place.plan(now) == Plan::Fetch;
        let free = places.iter().position(is_free);
        let index = free.or_else(|| places.iter().position(can_be_tried));
        if let Some(place) = index.and_then(|index| places.get_mut(index)) {
            place.key = *key;
            place.freshness = Freshness::COLD;
            place.freshness.fail(jitter, now);
            place.failure.note(failure);
        }
    }

    /// A trial has ended without a word on the endpoint.
    pub fn abandon(&self, key: &AnswerKey, until: Timestamp) {
        let mut places = self.0.exclusive();
        let place = places.iter_mut().find(|place| place.key == *key);
        if let Some(place) = place.filter(|place| place.freshness.is_under_way(until)) {
            place.freshness.abandon();
        }
    }

    /// Forgets that any endpoint is down.
    pub fn flush(&self) {
        for place in self.0.exclusive().iter_mut() {
            place.key = AnswerKey::default();
        }
    }
}

impl Place {
    fn plan(&self, now: Timestamp) -> Plan {
        self.freshness.plan(false, &LIMITS, now)
    }
}
