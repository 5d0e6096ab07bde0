//! The issuers' keys in shared memory: fixed-size plain data under one lock.
//!
//! Every decision about freshness is `oauth_core::Freshness`, every choice of a key `oauth_core::select_key`;
//! this file copies. Under the lock nothing is allocated, logged or asked.

use std::sync::atomic::Ordering;
use std::time::Duration;

use oauth_core::{
    Algorithm, CacheLimits, Freshness, PackedUnavailable, Plan, PublicKey, Reject, Timestamp,
    Unavailable,
};

use crate::cache_layout::{
    FileVersion, ISSUERS, Issuer, IssuerKey, MATERIAL_BYTES, PackedKeys, State,
};
use crate::guarded::Guarded;
use crate::server_log;

/// The cache.
#[repr(transparent)]
pub struct SharedCache(Guarded<State>);

/// What a login wants of an issuer's keys.
pub struct Want<'a> {
    pub issuer: IssuerKey,
    /// The issuer as pg_hba.conf has it.
    pub url: &'a str,
    pub kid: Option<&'a str>,
    pub alg: Algorithm,
    pub limits: CacheLimits,
}

/// What a login finds.
pub struct Lookup {
    /// The key, or why none of those at hand will do.
    pub selected: Result<PublicKey, Reject>,
    pub freshness: Freshness,
    /// Fetches that have ended with an answer, good or bad, so far.
    pub fetches: u64,
    pub file_version: FileVersion,
    /// Why the last fetch failed, if it did.
    pub failure: Option<Unavailable>,
}

/// An issuer in the cache.
pub struct CachedIssuer {
    pub key: IssuerKey,
    /// The issuer as pg_hba.conf has it.
    pub url: String,
    /// The last fetch failed.
    pub is_failing: bool,
}

/// How a fetch ended.
pub enum Fetched {
    /// Keys that are fresh for that long.
    Keys(PackedKeys, Duration),
    /// A failure of the provider's, and a random number to spread the next attempts with.
    Failure(PackedUnavailable, u32),
    /// A failure on this side, such as a file that can not be read: others may try at once, unless there are
    /// keys to go on with.
    OurFault(PackedUnavailable, u32),
    /// Neither: whoever asked was called away.
    Nothing,
}

impl Lookup {
    /// Whether the cached keys settle the matter: a fetch could only bring a key that none of them is.
    pub fn settles(&self) -> bool {
        settles(self.selected.as_ref().err())
    }
}

fn settles(refusal: Option<&Reject>) -> bool {
    !matches!(refusal, Some(Reject::UnknownKid | Reject::NoFittingKey))
}

impl SharedCache {
    /// # Safety
    /// `memory` is aligned, of this type's size, and nobody else uses it yet.
    pub unsafe fn initialize(memory: *mut SharedCache, tranche: i32) {
        let bytes = size_of::<SharedCache>();
        // SAFETY: by this function's contract; all bytes zero is a valid State.
        unsafe { Guarded::initialize(memory.cast::<Guarded<State>>(), bytes, tranche) };
    }

    /// The tranche of the lock.
    pub fn tranche(&self) -> i32 {
        self.0.tranche()
    }

    /// What is cached of an issuer, for a token. `None`: nothing.
    pub fn look_up(&self, want: &Want<'_>, now: Timestamp) -> Option<Lookup> {
        let mut material = [0; MATERIAL_BYTES];
        let (selected, freshness, fetches, file_version, failure) = {
            let state = self.0.shared();
            let place = state.find(&want.issuer)?;
            state.names[place]
                .used_at
                .store(now.unix_micros(), Ordering::Relaxed);
            let cached = &state.issuers[place];
            let selected = cached.select(want).map(|index| {
                material = cached.materials[index];
                cached.heads[index]
            });
            let failure = (cached.failure.code != 0).then_some(cached.failure);
            (
                selected,
                cached.freshness,
                cached.fetches,
                cached.file_version,
                failure,
            )
        };
        Some(Lookup {
            selected: selected.and_then(|head| head.key(&material).ok_or(Reject::KeyUnsuitable)),
            freshness,
            fetches,
            file_version,
            failure: failure.and_then(|failure| failure.report()),
        })
    }

    /// Plans again under the exclusive lock, and begins the fetch if that is the plan: of all processes that
    /// want to fetch, one does. `until` is when the fetch is given up.
    pub fn claim(&self, want: &Want<'_>, now: Timestamp, until: Timestamp) -> Plan {
        let (plan, log_eviction) = {
            let mut state = self.0.exclusive();
            let (place, log_eviction) = state.find_or_make_room(want, now);
            let cached = &mut state.issuers[place];
            let found = settles(cached.select(want).err().as_ref());
            let plan = cached.freshness.plan(found, &want.limits, now);
            if matches!(plan, Plan::Fetch | Plan::UseAndRefresh) {
                cached.freshness.begin(until);
            }
            (plan, log_eviction)
        };
        if log_eviction {
            let message = format!(
                "the keys of more than {ISSUERS} OAuth issuers are in use: those of the least recently used one were dropped"
            );
            server_log::log(message, None, None);
        }
        plan
    }

    /// Begins a refresh of an issuer that is due, unless another process has. `until` is when it is given up.
    pub fn claim_refresh(&self, want: &Want<'_>, now: Timestamp, until: Timestamp) -> bool {
        let mut state = self.0.exclusive();
        let Some(place) = state.find(&want.issuer) else {
            return false;
        };
        let freshness = &mut state.issuers[place].freshness;
        // Ahead of the end by more than any login: the caller has found it to be due.
        let is_due = freshness.is_due(Duration::MAX, now);
        if is_due {
            freshness.begin(until);
        }
        is_due
    }

    /// Begins a fetch, fresh keys or not, unless one is under way. `until` is when it is given up.
    pub fn claim_now(&self, want: &Want<'_>, now: Timestamp, until: Timestamp) -> bool {
        let mut state = self.0.exclusive();
        let (place, _) = state.find_or_make_room(want, now);
        let freshness = &mut state.issuers[place].freshness;
        let is_free = !freshness.is_fetching(now);
        if is_free {
            freshness.begin(until);
        }
        is_free
    }

    /// Whether a fetch is under way.
    pub fn is_fetching(&self, issuer: &IssuerKey, now: Timestamp) -> bool {
        let state = self.0.shared();
        let place = state.find(issuer);
        place.is_some_and(|place| state.issuers[place].freshness.is_fetching(now))
    }

    /// All that is cached, and when it was last used; the least recently used issuer first.
    pub fn snapshot(&self) -> Vec<(Timestamp, Issuer)> {
        // Its space is there before the lock is taken.
        let mut copies = vec![None; ISSUERS];
        for (place, copy) in copies.iter_mut().enumerate() {
            let state = self.0.shared();
            let used_at = state.names[place].used_at.load(Ordering::Relaxed);
            if used_at != 0 {
                *copy = Some((Timestamp::from_unix_micros(used_at), state.issuers[place]));
            }
        }
        let mut issuers: Vec<_> = copies.into_iter().flatten().collect();
        issuers.sort_by_key(|(used_at, _)| *used_at);
        issuers
    }

    /// The issuers whose freshness ends within `ahead`, and that a login has used since `used_since`.
    pub fn due(&self, now: Timestamp, ahead: Duration, used_since: Timestamp) -> Vec<CachedIssuer> {
        let mut due = [None; ISSUERS];
        {
            let state = self.0.shared();
            for ((name, issuer), slot) in state.names.iter().zip(&state.issuers).zip(&mut due) {
                let used_at = name.used_at.load(Ordering::Relaxed);
                let is_used = used_at >= used_since.unix_micros();
                let is_file = issuer.file_version != FileVersion::default();
                if used_at != 0 && is_used && !is_file && issuer.freshness.is_due(ahead, now) {
                    *slot = Some((name.issuer, issuer.url, issuer.failure.code != 0));
                }
            }
        }
        let named = due
            .iter()
            .flatten()
            .filter(|(_, url, _)| !url.get().is_empty());
        named
            .map(|(key, url, is_failing)| CachedIssuer {
                key: *key,
                url: url.get().to_owned(),
                is_failing: *is_failing,
            })
            .collect()
    }

    /// Notes how a fetch ended, and wakes those who wait for it.
    pub fn end_fetch(&self, want: &Want<'_>, fetched: &Fetched, now: Timestamp) {
        {
            let mut state = self.0.exclusive();
            let (place, _) = state.find_or_make_room(want, now);
            let cached = &mut state.issuers[place];
            match fetched {
                Fetched::Keys(keys, lifetime) => {
                    cached.fetches = cached.fetches.wrapping_add(1);
                    cached.freshness.succeed(*lifetime, &want.limits, now);
                    cached.replace_keys(keys);
                    cached.failure.code = 0;
                }
                Fetched::Failure(failure, jitter) => {
                    cached.fetches = cached.fetches.wrapping_add(1);
                    cached.freshness.fail(*jitter, now);
                    cached.note_failure(failure, now);
                }
                Fetched::OurFault(failure, jitter) if cached.freshness.is_usable(now) => {
                    cached.freshness.fail(*jitter, now);
                    cached.note_failure(failure, now);
                }
                Fetched::OurFault(..) | Fetched::Nothing => cached.freshness.abandon(),
            }
        }
        self.0.wake();
    }

    /// Gives up a fetch, as a process does that ends while it fetches.
    pub fn abandon_fetch(&self, issuer: &IssuerKey) {
        {
            let mut state = self.0.exclusive();
            let Some(place) = state.find(issuer) else {
                return;
            };
            state.issuers[place].freshness.abandon();
        }
        self.0.wake();
    }

    /// Forgets all keys and failures; the next logins fetch.
    pub fn flush(&self) {
        {
            let mut state = self.0.exclusive();
            for issuer in &mut state.issuers {
                issuer.freshness.forget();
                issuer.key_count = 0;
                issuer.skipped_keys = 0;
                issuer.file_version = FileVersion::default();
                issuer.failure.code = 0;
                issuer.failed_at = 0;
            }
        }
        self.0.wake();
    }

    /// Sleeps until a fetch ends, at most for `limit`, if `must_wait` still holds once no end can be missed.
    pub fn sleep_while(&self, limit: Duration, must_wait: impl FnOnce() -> bool) {
        self.0.sleep_while(limit, must_wait);
    }
}
