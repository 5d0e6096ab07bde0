//! The cache that all backends of a server share, and what one login does with it: each step makes the calls of the core
//! that the module makes at that step. The module keeps the same state in shared memory (`src/memory/key_cache.rs`), and
//! its logins take these steps (`src/provider/keys.rs`, `src/provider/single_flight.rs`).

use std::collections::BTreeMap;

use oauth_core::{
    Algorithm, CacheLimits, Candidates, FetchId, FetchedKeys, Freshness, KeyHead, KeyReference,
    Plan, PublicKey, Timestamp, Unavailable, freshness_lifetime, select_keys,
};

use crate::figures::{Named, Token};
use crate::provider::Provider;
use crate::scenario::Micros;

pub struct Cache {
    pub freshness: Freshness,
    heads: Vec<KeyHead>,
    publics: Vec<PublicKey>,
    /// What was selected of them, by the number of the key that tokens name.
    selected: BTreeMap<usize, Option<Candidates>>,
    /// Fetches that have ended with an answer, good or bad.
    pub fetches: u64,
    /// The last fetch has failed.
    has_failed: bool,
}

/// One search of a login for the keys that its token may be signed with.
pub struct Search {
    pub limits: CacheLimits,
    /// When the login no longer waits.
    pub deadline: Micros,
    /// The answer whose keys have not verified the token.
    pub tried: Option<u64>,
    waited_since: Option<u64>,
    pub has_fetched: bool,
    pub has_asked: bool,
}

/// What a search comes to.
#[derive(Clone, Copy, PartialEq)]
pub enum Look {
    /// The cached keys, or that none of them is the token's; where they were cached before, the number of their answer.
    Keys {
        cached: Option<u64>,
    },
    /// It is too early to ask for the token's key.
    HeldBack,
    /// The provider has failed.
    Unavailable,
    Wait,
    Ask,
}

impl Cache {
    pub fn new() -> Cache {
        Cache {
            freshness: Freshness::COLD,
            heads: Vec::new(),
            publics: Vec::new(),
            selected: BTreeMap::new(),
            fetches: 0,
            has_failed: false,
        }
    }

    /// The places of the cached keys that the token may be signed with.
    pub fn select(&mut self, token: &Token, provider: &Provider) -> Option<Candidates> {
        match token.named {
            // Once for all tokens that name this key, until other keys are cached.
            Named::Key(n) => {
                let heads = &self.heads;
                let select = || select_by(heads, &provider.keys[n].kid);
                *self.selected.entry(n).or_insert_with(select)
            }
            Named::Nothing(n) => select_by(&self.heads, &format!("made-up-{n}")),
        }
    }

    /// Whether this key is one of them.
    pub fn has(&self, candidates: &Candidates, key: &PublicKey) -> bool {
        let places = candidates.places().iter();
        places.copied().any(|place| self.publics[place] == *key)
    }

    /// `FoundKey::settles`.
    fn settles(&self, is_known: bool, search: &Search) -> bool {
        is_known && search.tried != Some(self.fetches)
    }

    /// `FindKey::look`.
    pub fn look(&mut self, search: &mut Search, is_known: bool, now: Timestamp) -> Look {
        let settles = self.settles(is_known, search);
        let has_ended = search.waited_since.is_some_and(|n| n != self.fetches);
        if has_ended && self.freshness.was_attempted() {
            let is_settled = settles && self.freshness.is_usable(&search.limits, now);
            return match self.has_failed && !is_settled {
                true => Look::Unavailable,
                false => Look::Keys { cached: None },
            };
        }
        if search.has_fetched && self.freshness.is_usable(&search.limits, now) {
            if !settles {
                self.freshness.note_unknown_key();
            }
            return Look::Keys { cached: None };
        }
        match self.freshness.plan(settles, &search.limits, now) {
            Plan::Use => Look::Keys {
                cached: Some(self.fetches),
            },
            Plan::UnknownKey => Look::HeldBack,
            Plan::Unavailable if search.tried.is_some() => Look::HeldBack,
            Plan::Unavailable => Look::Unavailable,
            Plan::Wait => {
                search.waited_since = Some(self.fetches);
                Look::Wait
            }
            Plan::Fetch | Plan::UseAndRefresh => Look::Ask,
        }
    }

    /// `KeyCache::claim`, after a look that said to ask; whether the cached keys are good enough to go on with if it fails.
    pub fn claim(
        &mut self,
        search: &Search,
        is_known: bool,
        now: Timestamp,
        until: Timestamp,
    ) -> (FetchId, bool) {
        let settles = self.settles(is_known, search);
        let plan = self.freshness.plan(settles, &search.limits, now);
        let is_refresh = plan == Plan::UseAndRefresh;
        assert!(is_refresh || plan == Plan::Fetch, "{plan:?}");
        let is_used = search.tried.is_some() && self.freshness.is_usable(&search.limits, now);
        let fetch = self
            .freshness
            .begin_for(settles, &search.limits, now, until);
        (fetch, is_refresh || is_used)
    }

    /// `KeyCache::end_fetch`; whether the fetch counts.
    pub fn end_fetch(
        &mut self,
        fetch: FetchId,
        outcome: &Result<FetchedKeys, Unavailable>,
        limits: &CacheLimits,
        jitter: u32,
        now: Timestamp,
    ) -> bool {
        if !self.freshness.is_current(fetch) {
            return false;
        }
        self.fetches += 1;
        match outcome {
            Ok(fetched) => {
                let lifetime = freshness_lifetime(&fetched.headers, limits);
                self.freshness.succeed(lifetime, now);
                let keys = || fetched.keys.keys().iter();
                self.heads = keys().map(|key| key.describe().0).collect();
                self.publics = keys().filter_map(|key| key.public_key().cloned()).collect();
                self.selected.clear();
                assert_eq!(self.heads.len(), self.publics.len());
                self.has_failed = false;
            }
            Err(failure) => {
                let retry_after = failure.retry_after();
                self.freshness.fail_asking_for(retry_after, jitter, now);
                self.has_failed = true;
            }
        }
        true
    }

    /// `KeyCache::flush`.
    pub fn flush(&mut self) {
        self.freshness.forget();
        self.heads.clear();
        self.publics.clear();
        self.selected.clear();
        self.has_failed = false;
    }
}

fn select_by(heads: &[KeyHead], kid: &str) -> Option<Candidates> {
    let wanted = KeyReference::new(Some(kid), Algorithm::EdDSA);
    select_keys(heads, &wanted).ok()
}

impl Search {
    /// `tried`: the answer whose keys have not verified the token, if there is one.
    pub fn new(limits: CacheLimits, deadline: Micros, tried: Option<u64>) -> Search {
        Search {
            limits,
            deadline,
            tried,
            waited_since: None,
            has_fetched: false,
            has_asked: false,
        }
    }
}
