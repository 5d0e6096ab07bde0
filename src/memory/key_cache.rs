//! The issuers' keys in shared memory: fixed-size plain data under one lock.
//!
//! Every decision about freshness is `oauth_core::Freshness`, every choice of a key `oauth_core::select_key`;
//! this file copies. Under the lock nothing is allocated, logged or asked.

use std::sync::atomic::Ordering;
use std::time::Duration;

use oauth_core::{
    FetchId, FoundKeys, Freshness, KeyHead, MAX_CANDIDATES, PackedUnavailable, Plan, Reject,
    Timestamp, Unavailable,
};

use crate::log::hints::RAISE_CACHED_ISSUERS;
use crate::log::server_log;
use crate::memory::key_cache_layout::{
    BLOCK_ISSUERS, Block, CachedIssuer, IssuerKey, MATERIAL_BYTES, NO_CLOCK, NoRoom, PackedKeys,
    State, Want,
};
use crate::memory::locked::Locked;
use crate::memory::plain::FileVersion;

/// The cache.
#[repr(transparent)]
pub struct KeyCache<Blocks: ?Sized = [Block]>(Locked<State<Blocks>>);

/// What a login finds.
pub struct FoundKey {
    /// The keys that the token may be signed with, or why no cached key can be used.
    pub selected: Result<FoundKeys, Reject>,
    pub freshness: Freshness,
    /// Fetches that have ended with an answer, good or bad, so far.
    pub fetches: u64,
    pub file_version: FileVersion,
    /// Why the last fetch failed, if it did.
    pub failure: Option<Unavailable>,
}

/// An issuer in the cache.
pub struct DueIssuer {
    pub key: IssuerKey,
    /// The issuer as written in pg_hba.conf.
    pub url: String,
    /// The last fetch failed.
    pub is_failing: bool,
}

/// How an issuer's cached keys stand, for the explanation of a refusal.
pub struct Standing {
    /// When they were fetched, or read from their file.
    pub fetched_at: Timestamp,
    /// Why the last fetch failed, if it did.
    pub failure: Option<Unavailable>,
    /// Seconds by which the provider's clock was ahead of this server's then, if it told the time.
    pub clock_ahead: Option<i64>,
}

/// A fetch that this process has begun.
pub struct Claim {
    pub fetch: FetchId,
    /// The cached keys are good enough to go on with, if the fetch fails.
    pub is_refresh: bool,
}

/// How a fetch ended.
pub enum Fetched {
    /// Keys that are fresh for that long.
    Keys(PackedKeys, Duration),
    /// A failure of the provider's, and a random number to spread the next attempts with.
    Failure(PackedUnavailable, u32),
    /// A failure on this side, such as an unreadable file: others may try at once, unless there are cached keys to
    /// continue with.
    OurFault(PackedUnavailable, u32),
    /// Neither: the login that asked was interrupted.
    Nothing,
}

impl FoundKey {
    /// Whether the cached keys settle the matter: a fetch is not needed for this token.
    pub fn settles(&self, want: &Want<'_>) -> bool {
        settles(self.selected.as_ref().err(), self.fetches, want)
    }
}

/// Whatever is wrong with the cached keys for this token, the provider may have others by now: a key of another kind under
/// the same name, or fewer that fit.
fn settles(refusal: Option<&Reject>, fetches: u64, want: &Want<'_>) -> bool {
    refusal.is_none() && want.tried != Some(fetches)
}

impl KeyCache {
    /// How many blocks hold that many issuers.
    pub fn blocks(issuers: usize) -> usize {
        issuers.div_ceil(BLOCK_ISSUERS).max(1)
    }

    /// # Safety
    /// `memory` is aligned, has space for as many blocks as it is a pointer to, and no other code uses it yet.
    pub unsafe fn initialize(memory: *mut KeyCache, tranche: i32) {
        let blocks = (memory as *mut [Block]).len();
        let bytes = size_of::<KeyCache<[Block; 0]>>() + blocks * size_of::<Block>();
        // SAFETY: by this function's contract; all bytes zero is a valid State.
        unsafe { Locked::initialize(memory as *mut Locked<State>, bytes, tranche) };
    }

    /// How many issuers there is space for.
    fn capacity(&self) -> usize {
        self.0.shared().capacity()
    }

    /// The tranche of the lock.
    pub fn tranche(&self) -> i32 {
        self.0.tranche()
    }

    /// What is cached of an issuer, for a token. `None`: nothing.
    pub fn look_up(&self, want: &Want<'_>, now: Timestamp) -> Option<FoundKey> {
        let (found, is_whole) = self.copy(want, now, &mut [[0; MATERIAL_BYTES]])?;
        if is_whole {
            return Some(found);
        }
        // Of a token that names no key there may be more. Their space is there before the lock is taken.
        let mut space = vec![[0; MATERIAL_BYTES]; MAX_CANDIDATES];
        self.copy(want, now, &mut space).map(|(found, _)| found)
    }

    /// Copies as many of the keys that a token may be signed with as `space` holds; whether these are all.
    fn copy(
        &self,
        want: &Want<'_>,
        now: Timestamp,
        space: &mut [[u8; MATERIAL_BYTES]],
    ) -> Option<(FoundKey, bool)> {
        let mut heads = [KeyHead::EMPTY; MAX_CANDIDATES];
        let (selected, freshness, fetches, file_version, failure) = {
            let state = self.0.shared();
            let (name, cached) = state.place(state.find(&want.issuer)?);
            name.used_at.store(now.unix_micros(), Ordering::Relaxed);
            let selected = cached.select(want).map(|candidates| {
                let places = candidates.places();
                for ((place, head), material) in places.iter().zip(&mut heads).zip(&mut *space) {
                    let (of_key, bytes) = cached.key(*place);
                    (*head, *material) = (*of_key, *bytes);
                }
                places.len()
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
        let is_whole = selected
            .as_ref()
            .map_or(true, |count| *count <= space.len());
        let selected = selected.and_then(|count| {
            let copies = heads.iter().zip(&*space).take(count);
            FoundKeys::one_of(copies.filter_map(|(head, material)| head.key(material)))
                .ok_or(Reject::KeyUnsuitable { again_in: None })
        });
        let found = FoundKey {
            selected,
            freshness,
            fetches,
            file_version,
            failure: failure.and_then(|failure| failure.report()),
        };
        Some((found, is_whole))
    }

    /// Plans again under the exclusive lock, and begins the fetch if that is the plan: of all processes that
    /// want to fetch, one does. `until` is when the fetch is given up.
    pub fn claim(
        &self,
        want: &Want<'_>,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Claim>, NoRoom> {
        let (claim, log_eviction, issuers) = {
            let mut state = self.0.exclusive();
            let (number, log_eviction) = state.find_or_make_room(want, now)?;
            let issuers = state.capacity();
            let cached = state.issuer_mut(number);
            let found = settles(cached.select(want).err().as_ref(), cached.fetches, want);
            let plan = cached.freshness.plan(found, &want.limits, now);
            let is_refresh = plan == Plan::UseAndRefresh;
            let is_used = want.tried.is_some() && cached.freshness.is_usable(&want.limits, now);
            let claim = (is_refresh || plan == Plan::Fetch).then(|| Claim {
                fetch: cached.freshness.begin_for(found, &want.limits, now, until),
                is_refresh: is_refresh || is_used,
            });
            (claim, log_eviction, issuers)
        };
        if log_eviction {
            let message = format!(
                "keys of more than {issuers} OAuth issuers are in use; those of the least recently used one were dropped"
            );
            server_log::log(message, None, Some(RAISE_CACHED_ISSUERS.to_owned()));
        }
        Ok(claim)
    }

    /// Begins a refresh of an issuer that is due, unless another process has. `until` is when it is given up.
    pub fn claim_refresh(
        &self,
        want: &Want<'_>,
        now: Timestamp,
        until: Timestamp,
    ) -> Option<FetchId> {
        let mut state = self.0.exclusive();
        let number = state.find(&want.issuer)?;
        let freshness = &mut state.issuer_mut(number).freshness;
        // Ahead of the end by more than any login: the caller has found it to be due.
        let is_due = freshness.is_due(Duration::MAX, now);
        is_due.then(|| freshness.begin(until))
    }

    /// Begins a fetch, fresh keys or not, unless one is under way. `until` is when it is given up.
    pub fn claim_now(
        &self,
        want: &Want<'_>,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<FetchId>, NoRoom> {
        let mut state = self.0.exclusive();
        let (number, _) = state.find_or_make_room(want, now)?;
        let freshness = &mut state.issuer_mut(number).freshness;
        Ok((!freshness.is_fetching(now)).then(|| freshness.begin(until)))
    }

    /// Notes that the last fetch did not bring the key of a login that waited for it.
    pub fn note_unknown_key(&self, want: &Want<'_>) {
        let mut state = self.0.exclusive();
        if let Some(number) = state.find(&want.issuer) {
            state.issuer_mut(number).freshness.note_unknown_key();
        }
    }

    /// How an issuer's keys stand. `None`: none were ever fetched.
    pub fn standing(&self, issuer: &IssuerKey) -> Option<Standing> {
        let (fetched_at, failure, clock_ahead) = {
            let state = self.0.shared();
            let (_, cached) = state.place(state.find(issuer)?);
            let freshness = &cached.freshness;
            (freshness.fetched_at(), cached.failure, cached.clock_ahead)
        };
        (fetched_at != Timestamp::NEVER).then(|| Standing {
            fetched_at,
            failure: failure.report().filter(|_| failure.code != 0),
            clock_ahead: (clock_ahead != NO_CLOCK).then_some(clock_ahead),
        })
    }

    /// Whether a fetch is under way.
    pub fn is_fetching(&self, issuer: &IssuerKey, now: Timestamp) -> bool {
        let state = self.0.shared();
        let number = state.find(issuer);
        number.is_some_and(|number| state.place(number).1.freshness.is_fetching(now))
    }

    /// All that is cached, and when it was last used; the least recently used issuer first.
    pub fn snapshot(&self) -> Vec<(Timestamp, CachedIssuer)> {
        // Its space is there before the lock is taken.
        let mut copies = vec![None; self.capacity()];
        for (number, copy) in copies.iter_mut().enumerate() {
            let state = self.0.shared();
            let (name, issuer) = state.place(number);
            let used_at = name.used_at.load(Ordering::Relaxed);
            if used_at != 0 {
                *copy = Some((Timestamp::from_unix_micros(used_at), *issuer));
            }
        }
        let mut issuers: Vec<_> = copies.into_iter().flatten().collect();
        issuers.sort_by_key(|(used_at, _)| *used_at);
        issuers
    }

    /// The issuers whose freshness ends within `ahead`, and that a login has used since `used_since`.
    pub fn due(&self, now: Timestamp, ahead: Duration, used_since: Timestamp) -> Vec<DueIssuer> {
        // Its space is there before the lock is taken.
        let mut due = vec![None; self.capacity()];
        {
            let state = self.0.shared();
            for ((name, issuer), slot) in state.places().zip(&mut due) {
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
            .map(|(key, url, is_failing)| DueIssuer {
                key: *key,
                url: url.get().to_owned(),
                is_failing: *is_failing,
            })
            .collect()
    }

    /// Notes how this fetch ended, and wakes those who wait for it; whether it counts. One that was given up in the
    /// meantime, or forgotten by a flush, leaves nothing behind: its answer may be older than the reason for that.
    pub fn end_fetch(
        &self,
        want: &Want<'_>,
        fetch: FetchId,
        fetched: &Fetched,
        now: Timestamp,
    ) -> bool {
        {
            let mut state = self.0.exclusive();
            let Some(cached) = state.under_way(&want.issuer, fetch) else {
                return false;
            };
            match fetched {
                Fetched::Keys(keys, lifetime) => cached.store(keys, *lifetime, now),
                Fetched::Failure(failure, jitter) => {
                    cached.fetches = cached.fetches.wrapping_add(1);
                    let retry_after = failure.retry_after;
                    cached.freshness.fail_asking_for(retry_after, *jitter, now);
                    cached.note_failure(failure, now);
                }
                Fetched::OurFault(failure, jitter)
                    if cached.freshness.is_usable(&want.limits, now) =>
                {
                    cached.freshness.fail(*jitter, now);
                    cached.note_failure(failure, now);
                }
                Fetched::OurFault(..) | Fetched::Nothing => cached.freshness.abandon(),
            }
        }
        self.0.wake();
        true
    }

    /// Stores the keys of a file, of which the caller has just read this version. No fetch is under way for a file, and
    /// every login looks at its version.
    pub fn store_file(&self, want: &Want<'_>, keys: &PackedKeys, now: Timestamp) {
        let mut state = self.0.exclusive();
        // Without room, each login reads the file.
        if let Ok((number, _)) = state.find_or_make_room(want, now) {
            let issuer = state.issuer_mut(number);
            issuer.store(keys, Duration::MAX, now);
        }
    }

    /// Gives up a fetch, as a process does that ends while it fetches.
    pub fn abandon_fetch(&self, issuer: &IssuerKey, fetch: FetchId) {
        {
            let mut state = self.0.exclusive();
            let Some(cached) = state.under_way(issuer, fetch) else {
                return;
            };
            cached.freshness.abandon();
        }
        self.0.wake();
    }

    /// Forgets all keys and failures, and what is being fetched; the next logins fetch.
    pub fn flush(&self) {
        {
            let mut state = self.0.exclusive();
            for issuer in state.issuers_mut() {
                issuer.freshness.forget();
                issuer.key_count = 0;
                issuer.skipped_keys = 0;
                issuer.left_out = 0;
                issuer.file_version = FileVersion::default();
                issuer.failure.code = 0;
                issuer.failed_at = 0;
                issuer.clock_ahead = NO_CLOCK;
            }
        }
        self.0.wake();
    }

    /// Sleeps until a fetch ends, at most for `limit`, if `must_wait` still holds once no end can be missed.
    pub fn sleep_while(&self, limit: Duration, must_wait: impl FnOnce() -> bool) {
        self.0.sleep_while(limit, must_wait);
    }
}
