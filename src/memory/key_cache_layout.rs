//! What the shared cache consists of: plain data of fixed size. Nothing here locks.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use oauth_core::{
    CacheLimits, Candidates, FetchId, Freshness, JwkSet, KeyHead, KeyReference, LayoutDigest,
    MAX_KEYS, PackedUnavailable, Reject, Timestamp, layout_of, select_keys,
};

use crate::memory::plain::{FileVersion, FixedText, StoredFailure, TEXT_BYTES};

/// Issuers of a block.
pub const BLOCK_ISSUERS: usize = 16;
/// Keys of a group.
const GROUP_KEYS: usize = 32;
/// Groups of an issuer: as many keys as are kept of a set.
const GROUPS: usize = MAX_KEYS / GROUP_KEYS;
/// Bytes of the largest key: an RSA modulus of 8192 bits and its exponent.
pub const MATERIAL_BYTES: usize = 1024 + 4;
/// Bytes that are kept of a key's identifier, to be shown.
const KID_BYTES: usize = 126;

/// For an answer that does not tell the time.
pub const NO_CLOCK: i64 = i64::MIN;

/// Names what is cached: a digest of the issuer and of where its keys are read from.
pub type IssuerKey = [u8; 32];

/// All bytes zero is a valid state: no issuer. As many issuers as there is space for; the least recently used one makes
/// room, if it may.
#[repr(C)]
pub struct State<Blocks: ?Sized = [Block]> {
    pub eviction_logged: bool,
    blocks: Blocks,
}

/// Some issuers. What every login reads stands before what few do, since each page that a login touches costs it some
/// microseconds: those of the first block pay for one page of names, regardless of the number of blocks.
#[repr(C)]
pub struct Block {
    names: [Name; BLOCK_ISSUERS],
    issuers: [CachedIssuer; BLOCK_ISSUERS],
}

/// Which issuer a place holds.
#[repr(C)]
pub struct Name {
    pub issuer: IssuerKey,
    /// Microseconds since 1970; zero: the place is free. Written under the shared lock, too.
    pub used_at: AtomicI64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct CachedIssuer {
    pub freshness: Freshness,
    /// Fetches that have ended with an answer, good or bad: tells a waiter that one has.
    pub fetches: u64,
    pub file_version: FileVersion,
    pub key_count: u32,
    /// Keys of the last answer for which there was no space, or that may not verify signatures.
    pub skipped_keys: u32,
    /// Those of them that could verify signatures.
    pub left_out: u32,
    pub failure: StoredFailure,
    /// The issuer as written in pg_hba.conf, for a refresh in the background; empty if it is too long.
    pub url: FixedText,
    /// When `failure` was noted, in microseconds since 1970, also after a later success. Zero: never.
    pub failed_at: i64,
    /// Seconds by which the provider's clock was ahead of this server's at the last good answer; `NO_CLOCK`: it did not
    /// tell the time.
    pub clock_ahead: i64,
    groups: [KeyGroup; GROUPS],
}

/// Some keys. What they are selected by stands together, before all material: of an issuer with few keys, as most are,
/// a login touches the same pages however many there is space for.
#[repr(C)]
#[derive(Clone, Copy)]
struct KeyGroup {
    heads: [KeyHead; GROUP_KEYS],
    materials: [[u8; MATERIAL_BYTES]; GROUP_KEYS],
    /// As far as there is space for them; to be shown, and not to select by. Empty: none.
    kids: [FixedText<KID_BYTES>; GROUP_KEYS],
}

/// What all this looks like in memory.
pub const fn layout(digest: LayoutDigest) -> LayoutDigest {
    type OfNoBlocks = State<[Block; 0]>;
    digest
        .numbers(&[GROUP_KEYS, GROUPS, MATERIAL_BYTES])
        .numbers(layout_of!(OfNoBlocks {
            eviction_logged,
            blocks
        }))
        .numbers(layout_of!(Block { names, issuers }))
        .numbers(layout_of!(Name { issuer, used_at }))
        .numbers(layout_of!(CachedIssuer {
            freshness,
            fetches,
            file_version,
            key_count,
            skipped_keys,
            left_out,
            failure,
            url,
            failed_at,
            clock_ahead,
            groups
        }))
        .numbers(layout_of!(KeyGroup {
            heads,
            materials,
            kids
        }))
}

/// A key set in the form of the cache, made before the lock is taken.
pub struct PackedKeys {
    keys: Vec<(KeyHead, Vec<u8>, String)>,
    skipped: u32,
    left_out: u32,
    file_version: FileVersion,
    clock_ahead: i64,
}

impl PackedKeys {
    /// Takes as many keys as there is space for. `file_version` is all zero for keys that did not come from a file.
    pub fn new(set: &JwkSet, file_version: FileVersion) -> Self {
        let (usable, other): (Vec<_>, Vec<_>) = set
            .keys()
            .iter()
            .map(|jwk| {
                let (head, material) = jwk.describe();
                (head, material, jwk.kid().unwrap_or_default().to_owned())
            })
            .filter(|(_, material, _)| material.len() <= MATERIAL_BYTES)
            .partition(|(head, ..)| head.kind().is_some());
        let stored = usable.len().min(MAX_KEYS);
        let left_out = set.left_out() + (usable.len() - stored);
        PackedKeys {
            skipped: (set.keys().len() + set.left_out() - stored) as u32,
            left_out: left_out as u32,
            // Keys that may not verify signatures are known by their kid, where there is space.
            keys: usable.into_iter().chain(other).take(MAX_KEYS).collect(),
            file_version,
            clock_ahead: NO_CLOCK,
        }
    }

    /// The same, with the seconds by which the provider's clock is ahead of ours, if it tells the time.
    pub fn with_clock(self, clock_ahead: Option<i64>) -> Self {
        PackedKeys {
            clock_ahead: clock_ahead.unwrap_or(NO_CLOCK),
            ..self
        }
    }
}

/// What a login needs from an issuer's keys.
pub struct Want<'a> {
    pub issuer: IssuerKey,
    /// The issuer as written in pg_hba.conf.
    pub url: &'a str,
    pub key: KeyReference<'a>,
    /// The number of the answer of the provider's whose keys have not verified the token.
    pub tried: Option<u64>,
    pub limits: CacheLimits,
}

/// The cache has no room for another issuer: all cached ones must stay for now.
pub struct NoRoom {
    /// How many are cached.
    pub issuers: usize,
}

impl State {
    /// How many issuers there is space for.
    pub fn capacity(&self) -> usize {
        self.blocks.len() * BLOCK_ISSUERS
    }

    /// All places and what they hold, used or not.
    pub fn places(&self) -> impl Iterator<Item = (&Name, &CachedIssuer)> {
        let blocks = self.blocks.iter();
        blocks.flat_map(|block| block.names.iter().zip(&block.issuers))
    }

    /// The place of that number.
    pub fn place(&self, number: usize) -> (&Name, &CachedIssuer) {
        let block = &self.blocks[number / BLOCK_ISSUERS];
        let within = number % BLOCK_ISSUERS;
        (&block.names[within], &block.issuers[within])
    }

    /// The issuer in the place of that number.
    pub fn issuer_mut(&mut self, number: usize) -> &mut CachedIssuer {
        &mut self.blocks[number / BLOCK_ISSUERS].issuers[number % BLOCK_ISSUERS]
    }

    /// All issuers, and the places for more.
    pub fn issuers_mut(&mut self) -> impl Iterator<Item = &mut CachedIssuer> {
        self.blocks.iter_mut().flat_map(|block| &mut block.issuers)
    }

    /// The number of the issuer's place.
    pub fn find(&self, issuer: &IssuerKey) -> Option<usize> {
        let names = self.blocks.iter().flat_map(|block| &block.names);
        let mut numbered = names.enumerate();
        let found = numbered.find(|(_, name)| name.is_used() && name.issuer == *issuer);
        found.map(|(number, _)| number)
    }

    /// The issuer, if this fetch of its keys is still under way.
    pub fn under_way(&mut self, issuer: &IssuerKey, fetch: FetchId) -> Option<&mut CachedIssuer> {
        let number = self.find(issuer)?;
        let issuer = self.issuer_mut(number);
        issuer.freshness.is_current(fetch).then_some(issuer)
    }

    /// The number of the issuer's place, new if it has none. Also says whether to log that an issuer was dropped for it,
    /// which is logged once.
    ///
    /// An issuer whose entry delays the next fetch stays, so that many issuers do not have their providers asked more often.
    pub fn find_or_make_room(
        &mut self,
        want: &Want<'_>,
        now: Timestamp,
    ) -> Result<(usize, bool), NoRoom> {
        if let Some(number) = self.find(&want.issuer) {
            return Ok((number, false));
        }
        let may_go = |name: &Name, issuer: &CachedIssuer| {
            !name.is_used() || issuer.freshness.may_be_dropped(&want.limits, now)
        };
        let places = self.places().enumerate();
        let oldest = places
            .filter(|(_, (name, issuer))| may_go(name, issuer))
            .map(|(number, (name, _))| (name.used_at.load(Ordering::Relaxed), number))
            .min();
        let Some((used_at, number)) = oldest else {
            let issuers = self.capacity();
            return Err(NoRoom { issuers });
        };
        let log_eviction = used_at != 0 && !self.eviction_logged;
        self.eviction_logged |= log_eviction;

        let name = &mut self.blocks[number / BLOCK_ISSUERS].names[number % BLOCK_ISSUERS];
        name.issuer = want.issuer;
        name.used_at = AtomicI64::new(now.unix_micros());
        let issuer = self.issuer_mut(number);
        issuer.freshness.forget();
        issuer.fetches = 0;
        issuer.file_version = FileVersion::default();
        issuer.key_count = 0;
        issuer.skipped_keys = 0;
        issuer.left_out = 0;
        issuer.failure.code = 0;
        issuer.failed_at = 0;
        issuer.clock_ahead = NO_CLOCK;
        issuer.url.set(if want.url.len() <= TEXT_BYTES {
            want.url
        } else {
            ""
        });
        Ok((number, log_eviction))
    }
}

impl Name {
    pub fn is_used(&self) -> bool {
        self.used_at.load(Ordering::Relaxed) != 0
    }
}

impl CachedIssuer {
    pub fn select(&self, want: &Want<'_>) -> Result<Candidates, Reject> {
        let heads = self.groups.iter().flat_map(|group| &group.heads);
        select_keys(heads.take(self.key_count as usize), &want.key)
            .map_err(|reject| reject.of_a_set_without(self.left_out as usize))
    }

    /// The key of that number, which is one of those selected from.
    pub fn key(&self, number: usize) -> (&KeyHead, &[u8; MATERIAL_BYTES]) {
        let group = &self.groups[number / GROUP_KEYS];
        let within = number % GROUP_KEYS;
        (&group.heads[within], &group.materials[within])
    }

    /// Each key: what it is selected by, its material, and its identifier.
    pub fn known_keys(&self) -> impl Iterator<Item = (&KeyHead, &[u8], &str)> {
        let keys = self.groups.iter().flat_map(|group| {
            let materials = group.heads.iter().zip(&group.materials);
            materials.zip(&group.kids)
        });
        keys.take(self.key_count as usize)
            .map(|((head, material), kid)| (head, material.as_slice(), kid.get()))
    }

    /// What the last fetch that failed failed with, and the URL.
    pub fn last_error(&self) -> Option<String> {
        let (message, url) = (self.failure.message.get(), self.failure.url.get());
        (self.failed_at != 0).then(|| format!("{message} ({url})"))
    }

    /// A fetch has failed.
    pub fn note_failure(&mut self, failure: &PackedUnavailable, now: Timestamp) {
        self.failure.note(failure);
        self.failed_at = now.unix_micros();
    }

    /// A good answer: these keys are fresh for that long.
    pub fn store(&mut self, keys: &PackedKeys, lifetime: Duration, now: Timestamp) {
        self.fetches = self.fetches.wrapping_add(1);
        self.freshness.succeed(lifetime, now);
        self.replace_keys(keys);
        self.failure.code = 0;
    }

    fn replace_keys(&mut self, packed: &PackedKeys) {
        let places = self.groups.iter_mut().flat_map(|group| {
            let materials = group.heads.iter_mut().zip(&mut group.materials);
            materials.zip(&mut group.kids)
        });
        for (((head, space), kid), (new_head, material, new_kid)) in places.zip(&packed.keys) {
            *head = *new_head;
            space[..material.len()].copy_from_slice(material);
            kid.set(new_kid);
        }
        self.key_count = packed.keys.len() as u32;
        self.skipped_keys = packed.skipped;
        self.left_out = packed.left_out;
        self.file_version = packed.file_version;
        self.clock_ahead = packed.clock_ahead;
    }
}
