//! The provider's answers about tokens in shared memory: plain data of fixed size under one lock. What is stored is
//! named by a digest; no token is ever here.
//!
//! An entry belongs to one set, which its name chooses, as in a processor's cache: a login looks at few pages, and
//! the least recently used entry of the set makes room. When an answer is used, awaited or asked for again is decided by
//! `oauth_core::Freshness`, as for keys.

use std::ffi::c_void;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use oauth_core::{
    CacheLimits, Freshness, LayoutDigest, PackedUnavailable, Plan, Timestamp, Unavailable,
    cache_key, layout_of,
};

use crate::memory::locked::Locked;
use crate::memory::plain::StoredFailure;

/// Entries of a set.
pub const PLACES: usize = 16;
/// Bytes of the largest answer that is stored.
const ANSWER_BYTES: usize = 3072;

/// Names an answer: a digest of the token and of all that it was asked under.
pub type AnswerKey = [u8; 32];

/// What an answer is about.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Subject([u8; 32]);

impl Subject {
    /// No token, such as where the endpoint is.
    pub const NO_TOKEN: Subject = Subject([0; 32]);

    /// A token of this issuer.
    pub fn token_of(issuer: &str) -> Subject {
        Subject(cache_key(&[issuer]))
    }
}

/// An answer is used as long as it is fresh, and not a moment longer.
pub const LIMITS: CacheLimits = CacheLimits {
    min_ttl: Duration::ZERO,
    max_ttl: Duration::MAX,
    stale_ttl: Duration::ZERO,
    refresh_cooldown: Duration::ZERO,
};

/// How long it is known of an answer that it cannot be kept.
const UNKEPT_FOR: Duration = Duration::from_secs(60);

/// The cache. Its memory lives as long as the process.
#[derive(Clone, Copy)]
pub struct AnswerCache(&'static Locked<[Set]>);

/// What few logins read stands behind what all read. All bytes zero is a valid, empty set.
#[repr(C)]
struct Set {
    names: [Name; PLACES],
    subjects: [Subject; PLACES],
    answers: [StoredAnswer; PLACES],
}

#[repr(C)]
struct Name {
    key: AnswerKey,
    /// Microseconds since 1970; zero: the place is free. Written under the shared lock, too.
    used_at: AtomicI64,
}

#[repr(C)]
struct StoredAnswer {
    freshness: Freshness,
    /// One of the constants below; 0: nothing is stored.
    kind: u32,
    length: u32,
    text: [u8; ANSWER_BYTES],
    /// Why the last request failed, if it did.
    failure: StoredFailure,
}

const TEXT: u32 = 1;
const INACTIVE: u32 = 2;
const REFUSED: u32 = 3;
const UNKEPT: u32 = 4;

/// What all this looks like in memory.
pub const fn layout(digest: LayoutDigest) -> LayoutDigest {
    digest
        .numbers(layout_of!(Set {
            names,
            subjects,
            answers
        }))
        .numbers(layout_of!(Name { key, used_at }))
        .numbers(layout_of!(StoredAnswer {
            freshness,
            kind,
            length,
            text,
            failure
        }))
        .numbers(&[
            TEXT as usize,
            INACTIVE as usize,
            REFUSED as usize,
            UNKEPT as usize,
        ])
}

/// What the provider has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A text that is worth caching.
    Text(String),
    /// The token is not active.
    Inactive,
    /// It refuses to answer for the token.
    Refused,
    /// What cannot be kept, so that each login has to ask by itself, and need not wait until others have.
    Unkept,
}

/// What a login finds.
pub struct FoundAnswer {
    pub plan: Plan,
    pub said: Option<Said>,
    pub failure: Option<Unavailable>,
}

/// How a request ended.
pub enum Ended {
    /// With an introspection response that may be used for that long.
    Said(Said, Duration),
    /// With a failure of the provider's, and a random number to spread the next attempts with.
    Failure(PackedUnavailable, u32),
    /// With nothing that is worth caching.
    Nothing,
}

impl AnswerCache {
    /// How many sets hold that many entries.
    pub fn sets(entries: usize) -> usize {
        entries.div_ceil(PLACES).max(1)
    }

    /// Bytes of a cache of that many sets.
    pub fn bytes(sets: usize) -> usize {
        size_of::<Locked<[Set; 0]>>() + sets * size_of::<Set>()
    }

    /// # Safety
    /// `memory` is aligned, has `bytes(sets)` bytes, and no other code uses it yet.
    pub unsafe fn initialize(memory: *mut c_void, sets: usize, tranche: i32) {
        // SAFETY: by this function's contract; all bytes zero is a valid Set.
        unsafe { Locked::initialize(Self::cast(memory, sets), Self::bytes(sets), tranche) };
    }

    /// # Safety
    /// `memory` was initialized for that many sets, and stays until the process ends.
    pub unsafe fn at(memory: *mut c_void, sets: usize) -> Self {
        // SAFETY: by this function's contract.
        AnswerCache(unsafe { &*Self::cast(memory, sets) })
    }

    fn cast(memory: *mut c_void, sets: usize) -> *mut Locked<[Set]> {
        std::ptr::slice_from_raw_parts_mut(memory.cast::<Set>(), sets) as *mut Locked<[Set]>
    }

    /// The tranche of the lock.
    pub fn tranche(self) -> i32 {
        self.0.tranche()
    }

    /// What is known under this name, and what a login does. `None`: nothing is.
    pub fn look_up(self, key: &AnswerKey, now: Timestamp) -> Option<FoundAnswer> {
        let mut text = [0; ANSWER_BYTES];
        let (plan, kind, length, failure) = {
            let sets = self.0.shared();
            let set = &sets[place_of(key, sets.len())];
            let index = set.find(key)?;
            set.names[index]
                .used_at
                .store(now.unix_micros(), Ordering::Relaxed);
            let answer = &set.answers[index];
            let plan = answer.plan(now);
            if plan == Plan::Use {
                text = answer.text;
            }
            let failure = (plan == Plan::Unavailable).then_some(answer.failure);
            (plan, answer.kind, answer.length, failure)
        };
        let said = match (plan, kind) {
            (Plan::Use, TEXT) => text
                .get(..length as usize)
                .and_then(|bytes| Some(Said::Text(std::str::from_utf8(bytes).ok()?.to_owned()))),
            (Plan::Use, INACTIVE) => Some(Said::Inactive),
            (Plan::Use, REFUSED) => Some(Said::Refused),
            (Plan::Use, UNKEPT) => Some(Said::Unkept),
            _ => None,
        };
        let failure = failure.and_then(|failure| failure.report());
        Some(FoundAnswer {
            plan,
            said,
            failure,
        })
    }

    /// Plans again under the exclusive lock, and begins the request if that is the plan: of all processes that want to
    /// ask, one does. `until` is when it is given up.
    pub fn claim(
        self,
        key: &AnswerKey,
        subject: Subject,
        now: Timestamp,
        until: Timestamp,
    ) -> bool {
        let mut sets = self.0.exclusive();
        let place = place_of(key, sets.len());
        let answer = sets[place].find_or_make_room(key, subject, now);
        let claimed = answer.plan(now) == Plan::Fetch;
        if claimed {
            answer.freshness.begin(until);
        }
        claimed
    }

    /// Records how the request that was claimed until then ended, and wakes its waiters. A request that was given up in
    /// the meantime, or forgotten by a flush, leaves nothing behind: its answer may predate the reason for that.
    pub fn end(self, key: &AnswerKey, until: Timestamp, ended: &Ended, now: Timestamp) {
        {
            let mut sets = self.0.exclusive();
            let place = place_of(key, sets.len());
            let Some(answer) = sets[place].under_way(key, until) else {
                return;
            };
            match ended {
                Ended::Said(said, lifetime) => {
                    let is_kept = !lifetime.is_zero() && answer.store(said);
                    if !is_kept {
                        answer.store(&Said::Unkept);
                    }
                    let lifetime = if is_kept { *lifetime } else { UNKEPT_FOR };
                    answer.freshness.succeed(lifetime, now);
                }
                Ended::Failure(failure, jitter) => {
                    answer.kind = 0;
                    let retry_after = failure.retry_after;
                    answer.freshness.fail_asking_for(retry_after, *jitter, now);
                    answer.failure.note(failure);
                }
                Ended::Nothing => {
                    answer.kind = 0;
                    answer.freshness.forget();
                    answer.freshness.abandon();
                }
            }
        }
        self.0.wake();
    }

    /// Gives up a request, as a process does that ends while it asks.
    pub fn abandon(self, key: &AnswerKey, until: Timestamp) {
        {
            let mut sets = self.0.exclusive();
            let place = place_of(key, sets.len());
            let Some(answer) = sets[place].under_way(key, until) else {
                return;
            };
            answer.freshness.abandon();
        }
        self.0.wake();
    }

    /// Forgets all that was said, and all that is just being said.
    pub fn flush(self) {
        {
            let mut sets = self.0.exclusive();
            for set in sets.iter_mut() {
                for name in &mut set.names {
                    name.used_at = AtomicI64::new(0);
                }
            }
        }
        self.0.wake();
    }

    /// The same for the answers about one subject; returns how many were forgotten.
    pub fn flush_about(self, subject: Subject) -> usize {
        let mut forgotten = 0;
        {
            let mut sets = self.0.exclusive();
            for set in sets.iter_mut() {
                let entries = set.names.iter_mut().zip(&set.subjects);
                for (name, _) in entries.filter(|(_, about)| **about == subject) {
                    forgotten += usize::from(*name.used_at.get_mut() != 0);
                    *name.used_at.get_mut() = 0;
                }
            }
        }
        self.0.wake();
        forgotten
    }

    /// Forgets what was said before that time, unless it is being asked again.
    pub fn forget_older(self, key: &AnswerKey, time: Timestamp, now: Timestamp) {
        let mut sets = self.0.exclusive();
        let place = place_of(key, sets.len());
        let set = &mut sets[place];
        let Some(index) = set.find(key) else {
            return;
        };
        let answer = &set.answers[index];
        if answer.plan(now) == Plan::Use && answer.freshness.fetched_at() < time {
            set.names[index].used_at = AtomicI64::new(0);
        }
    }

    /// Sleeps until a request ends, at most for `limit`, if `must_wait` still holds once no end can be missed.
    pub fn sleep_while(self, limit: Duration, must_wait: impl FnOnce() -> bool) {
        self.0.sleep_while(limit, must_wait);
    }
}

/// The set that a name belongs to. A digest's bytes are evenly spread.
fn place_of(key: &AnswerKey, sets: usize) -> usize {
    let [a, b, c, d, ..] = *key;
    u32::from_le_bytes([a, b, c, d]) as usize % sets.max(1)
}

impl Set {
    fn find(&self, key: &AnswerKey) -> Option<usize> {
        self.names
            .iter()
            .position(|name| name.used_at.load(Ordering::Relaxed) != 0 && name.key == *key)
    }

    /// The entry of this name, if the request for it that was claimed until then is still under way.
    fn under_way(&mut self, key: &AnswerKey, until: Timestamp) -> Option<&mut StoredAnswer> {
        let index = self.find(key)?;
        let answer = &mut self.answers[index];
        answer.freshness.is_under_way(until).then_some(answer)
    }

    /// The entry of this name, created if missing. It takes a free place first, then one whose answer is useless, then
    /// the least recently used one: tokens that were never issued do not evict those in use.
    fn find_or_make_room(
        &mut self,
        key: &AnswerKey,
        subject: Subject,
        now: Timestamp,
    ) -> &mut StoredAnswer {
        let index = self.find(key).unwrap_or_else(|| {
            let rank = |index: &usize| {
                let used_at = self.names[*index].used_at.load(Ordering::Relaxed);
                let answer = &self.answers[*index];
                let worth = match answer.plan(now) {
                    _ if used_at == 0 => 0,
                    Plan::Wait => 3,
                    Plan::Use if answer.kind == TEXT => 2,
                    _ => 1,
                };
                (worth, used_at)
            };
            let index = (0..PLACES).min_by_key(rank).unwrap_or(0);
            self.names[index].key = *key;
            self.subjects[index] = subject;
            self.answers[index].freshness = Freshness::COLD;
            self.answers[index].forget_text();
            index
        });
        self.names[index].used_at = AtomicI64::new(now.unix_micros());
        &mut self.answers[index]
    }
}

impl StoredAnswer {
    fn plan(&self, now: Timestamp) -> Plan {
        match self.freshness.plan(self.kind != 0, &LIMITS, now) {
            // Once the clock was set back, an answer does not become good for longer.
            Plan::UseAndRefresh | Plan::UnknownKey => Plan::Fetch,
            plan => plan,
        }
    }

    /// Stores it; whether there was space.
    fn store(&mut self, said: &Said) -> bool {
        self.forget_text();
        self.kind = match said {
            Said::Inactive => INACTIVE,
            Said::Refused => REFUSED,
            Said::Unkept => UNKEPT,
            Said::Text(text) => {
                let Some(space) = self.text.get_mut(..text.len()) else {
                    return false;
                };
                space.copy_from_slice(text.as_bytes());
                self.length = text.len() as u32;
                TEXT
            }
        };
        true
    }

    fn forget_text(&mut self) {
        self.kind = 0;
        self.length = 0;
        self.failure.code = 0;
    }
}
