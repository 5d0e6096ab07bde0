//! Revocations, for logins that are under way at that time: such a login may have been judged by older data.
//!
//! A login notes how many there were before it reads a key or an answer, and compares once its session is in the
//! registry. A revocation counts itself before it reads the registry. So either the login sees the revocation, or the
//! revocation sees the session.

use std::sync::atomic::{AtomicU64, Ordering};

use oauth_core::{LayoutDigest, layout_of};

use crate::memory::locked::Locked;
use crate::memory::session_registry::{NewSession, Wanted};

/// Number of calls of `end_sessions` that are remembered with their targets. If more have overtaken a login, each
/// forgotten one may have targeted it.
const REMEMBERED: usize = 256;

/// What all this looks like in memory.
pub const fn layout(digest: LayoutDigest) -> LayoutDigest {
    digest
        .numbers(&[REMEMBERED])
        .numbers(layout_of!(Counts { flushes, ends }))
        .numbers(Wanted::LAYOUT)
}

/// What each login reads. All bytes zero is valid: there was no revocation.
#[repr(C)]
pub struct Counts {
    /// Calls of `flush_cache`.
    flushes: AtomicU64,
    /// Calls of `end_sessions`. Read without the lock of `Wanteds`, and written with it.
    ends: AtomicU64,
}

/// The targets of the last calls of `end_sessions`; only a login that one has overtaken reads them.
#[repr(C)]
pub struct Wanteds(Locked<[Wanted; REMEMBERED]>);

/// The revocations of this server.
#[derive(Clone, Copy)]
pub struct Revocations {
    pub counts: &'static Counts,
    pub wanteds: &'static Wanteds,
}

/// When a login began, as revocations count time.
#[derive(Clone, Copy)]
pub struct Begun {
    flushes: u64,
    ends: u64,
}

impl Wanteds {
    /// # Safety
    /// `memory` is aligned, and no other code uses it yet.
    pub unsafe fn initialize(memory: *mut Self, tranche: i32) {
        // SAFETY: by this function's contract; all bytes zero is a valid Wanted.
        unsafe { Locked::initialize(&raw mut (*memory).0, size_of::<Self>(), tranche) };
    }
}

impl Revocations {
    /// Now. A login calls this before it reads anything that a revocation changes.
    pub fn now(self) -> Begun {
        Begun {
            flushes: self.counts.flushes.load(Ordering::SeqCst),
            ends: self.counts.ends.load(Ordering::SeqCst),
        }
    }

    /// Called after the caches have been flushed, so that a login that begins later finds no older entry.
    pub fn note_flush(self) {
        self.counts.flushes.fetch_add(1, Ordering::SeqCst);
    }

    /// These sessions will be ended: called before they are looked for.
    pub fn note_end(self, wanted: &Wanted) {
        let mut wanteds = self.wanteds.0.exclusive();
        let ends = self.counts.ends.load(Ordering::SeqCst).wrapping_add(1);
        wanteds[place_of(ends)] = *wanted;
        self.counts.ends.store(ends, Ordering::SeqCst);
    }

    /// The same login, to be judged again, if a flush has overtaken it.
    pub fn after_flush(self, begun: Begun) -> Option<Begun> {
        let flushes = self.counts.flushes.load(Ordering::SeqCst);
        (flushes != begun.flushes).then_some(Begun { flushes, ..begun })
    }

    /// Whether a revocation since then means this session, or may mean it. Asked once the session is in the registry.
    pub fn overtook(self, begun: Begun, session: &NewSession) -> bool {
        self.after_flush(begun).is_some() || self.ended(begun, session)
    }

    fn ended(self, begun: Begun, session: &NewSession) -> bool {
        // All that most logins look at.
        if self.counts.ends.load(Ordering::SeqCst) == begun.ends {
            return false;
        }
        let wanteds = self.wanteds.0.shared();
        let ends = self.counts.ends.load(Ordering::SeqCst);
        let missed = ends.wrapping_sub(begun.ends);
        missed > REMEMBERED as u64
            || (0..missed).any(|n| wanteds[place_of(ends.wrapping_sub(n))].means(session))
    }
}

fn place_of(ends: u64) -> usize {
    (ends % REMEMBERED as u64) as usize
}
