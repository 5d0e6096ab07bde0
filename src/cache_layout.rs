//! What the shared cache consists of: plain data of fixed size. Nothing here locks.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use oauth_core::{
    CacheLimits, FetchId, Freshness, JwkSet, KeyHead, PackedUnavailable, Reject, Timestamp,
    Unavailable, select_key,
};

use crate::shared_cache::Want;

/// Issuers that are cached; the least recently used one makes room.
pub const ISSUERS: usize = 16;
/// Keys that are cached of an issuer.
const KEYS: usize = 32;
/// Bytes of the largest key: an RSA modulus of 8192 bits and its exponent.
pub const MATERIAL_BYTES: usize = 1024 + 4;
/// Bytes that are kept of a key's identifier, to be shown.
const KID_BYTES: usize = 126;
/// Bytes that are kept of a URL, and of what is said about a failure.
const TEXT_BYTES: usize = 512;

/// Names what is cached: a digest of the issuer and of where its keys are read from.
pub type IssuerKey = [u8; 32];

/// All bytes zero is a valid state: no issuer. What every login reads stands before what few do, since each page that a
/// login touches costs it some microseconds.
#[repr(C)]
pub struct State {
    pub eviction_logged: bool,
    pub names: [Name; ISSUERS],
    pub issuers: [Issuer; ISSUERS],
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
pub struct Issuer {
    pub freshness: Freshness,
    /// Fetches that have ended with an answer, good or bad: tells a waiter that one has.
    pub fetches: u64,
    pub file_version: FileVersion,
    pub key_count: u32,
    /// Keys of the last answer for which there was no space, or that may not verify signatures.
    pub skipped_keys: u32,
    pub heads: [KeyHead; KEYS],
    pub failure: Failure,
    /// The issuer as pg_hba.conf has it, for a refresh in the background; empty if it is too long.
    pub url: Text,
    pub materials: [[u8; MATERIAL_BYTES]; KEYS],
    /// As far as there is space for them; to be shown, and not to select by. Empty: none.
    pub kids: [Text<KID_BYTES>; KEYS],
    /// When `failure` was noted, in microseconds since 1970, also after a later success. Zero: never.
    pub failed_at: i64,
}

/// Which version of a key file was read: its size, times of change and inode. All zero: none.
pub type FileVersion = [i64; 4];

/// The last failure, in a form that other processes can report.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Failure {
    /// As `PackedUnavailable` has it; 0: none.
    pub code: u8,
    pub message: Text,
    pub url: Text,
}

/// A text that is cut at the end of its space.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Text<const BYTES: usize = TEXT_BYTES> {
    length: u16,
    bytes: [u8; BYTES],
}

/// A key set in the form of the cache, made before the lock is taken.
pub struct PackedKeys {
    keys: Vec<(KeyHead, Vec<u8>, String)>,
    skipped: u32,
    file_version: FileVersion,
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
        let stored = usable.len().min(KEYS);
        PackedKeys {
            skipped: (set.keys().len() - stored) as u32,
            // Keys that may not verify signatures are known by their kid, where there is space.
            keys: usable.into_iter().chain(other).take(KEYS).collect(),
            file_version,
        }
    }
}

impl State {
    pub fn find(&self, issuer: &IssuerKey) -> Option<usize> {
        self.names
            .iter()
            .position(|name| name.used_at.load(Ordering::Relaxed) != 0 && name.issuer == *issuer)
    }

    /// The issuer, if this fetch of its keys is still under way.
    pub fn under_way(&mut self, issuer: &IssuerKey, fetch: FetchId) -> Option<&mut Issuer> {
        let place = self.find(issuer)?;
        let issuer = &mut self.issuers[place];
        issuer.freshness.is_current(fetch).then_some(issuer)
    }

    /// The issuer's place, new if it has none. Also says whether to log that an issuer was dropped for it,
    /// which is logged once.
    pub fn find_or_make_room(&mut self, want: &Want<'_>, now: Timestamp) -> (usize, bool) {
        if let Some(place) = self.find(&want.issuer) {
            return (place, false);
        }
        let used_at = |name: &Name| name.used_at.load(Ordering::Relaxed);
        let oldest = self.names.iter().map(used_at).min().unwrap_or(0);
        let place = self
            .names
            .iter()
            .position(|name| used_at(name) == oldest)
            .unwrap_or(0);
        let log_eviction = oldest != 0 && !self.eviction_logged;
        self.eviction_logged |= log_eviction;

        self.names[place].issuer = want.issuer;
        self.names[place].used_at = AtomicI64::new(now.unix_micros());
        let issuer = &mut self.issuers[place];
        issuer.freshness.forget();
        issuer.fetches = 0;
        issuer.file_version = FileVersion::default();
        issuer.key_count = 0;
        issuer.skipped_keys = 0;
        issuer.failure.code = 0;
        issuer.failed_at = 0;
        issuer.url.set(if want.url.len() <= TEXT_BYTES {
            want.url
        } else {
            ""
        });
        (place, log_eviction)
    }
}

impl Issuer {
    pub fn select(&self, want: &Want<'_>) -> Result<usize, Reject> {
        let count = (self.key_count as usize).min(KEYS);
        select_key(&self.heads[..count], want.kid, want.alg)
    }

    /// Each key: what it is selected by, its material, and its identifier.
    pub fn known_keys(&self) -> impl Iterator<Item = (&KeyHead, &[u8], &str)> {
        let count = (self.key_count as usize).min(KEYS);
        let keys = self.heads.iter().zip(&self.materials).zip(&self.kids);
        keys.take(count)
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
    pub fn store(
        &mut self,
        keys: &PackedKeys,
        lifetime: Duration,
        limits: &CacheLimits,
        now: Timestamp,
    ) {
        self.fetches = self.fetches.wrapping_add(1);
        self.freshness.succeed(lifetime, limits, now);
        self.replace_keys(keys);
        self.failure.code = 0;
    }

    fn replace_keys(&mut self, packed: &PackedKeys) {
        let places = self.heads.iter_mut().zip(&mut self.materials);
        let places = places.zip(&mut self.kids);
        for (((head, space), kid), (new_head, material, new_kid)) in places.zip(&packed.keys) {
            *head = *new_head;
            space[..material.len()].copy_from_slice(material);
            kid.set(new_kid);
        }
        self.key_count = packed.keys.len() as u32;
        self.skipped_keys = packed.skipped;
        self.file_version = packed.file_version;
    }
}

impl Failure {
    pub fn note(&mut self, failure: &PackedUnavailable) {
        self.code = failure.code;
        self.message.set(&failure.message);
        self.url.set(&failure.url);
    }

    pub fn report(&self) -> Option<Unavailable> {
        Unavailable::unpack(self.code, self.url.get(), self.message.get())
    }
}

impl<const BYTES: usize> Text<BYTES> {
    pub const EMPTY: Self = Text {
        length: 0,
        bytes: [0; BYTES],
    };

    pub fn set(&mut self, text: &str) {
        let mut length = text.len().min(BYTES);
        while !text.is_char_boundary(length) {
            length -= 1;
        }
        self.bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        self.length = length as u16;
    }

    pub fn get(&self) -> &str {
        let bytes = self
            .bytes
            .get(..usize::from(self.length))
            .unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}
