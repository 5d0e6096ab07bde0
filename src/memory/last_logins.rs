//! When managed roles have last logged in, in shared memory: for administrators who switch off those that nobody uses.
//!
//! A fixed number of places. A role that finds none free takes the place of the one that has been away for longest. The
//! server forgets all at a restart.

use std::ffi::c_void;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use oauth_core::{Clock, LayoutDigest, SystemClock, Timestamp, layout_of};

const PLACES: usize = 16384;
/// How many places a role may have.
const WINDOW: usize = 16;

/// All bytes zero: nothing is known yet.
#[repr(C)]
pub struct LastLogins {
    /// Since when logins are noted, in microseconds since 1970.
    since: AtomicI64,
    places: [Place; PLACES],
}

#[repr(C)]
struct Place {
    /// Microseconds since 1970.
    at: AtomicI64,
    /// The role's number; zero: the place is free.
    role: AtomicU32,
}

/// What all this looks like in memory.
pub const fn layout(digest: LayoutDigest) -> LayoutDigest {
    digest
        .numbers(layout_of!(LastLogins { since, places }))
        .numbers(layout_of!(Place { at, role }))
}

impl LastLogins {
    /// # Safety
    /// `memory` is aligned, large enough, and no other code uses it yet.
    pub unsafe fn initialize(memory: *mut c_void) {
        let logins = memory.cast::<LastLogins>();
        // SAFETY: by this function's contract; all bytes zero is valid.
        unsafe {
            logins.write_bytes(0, 1);
            (*logins).since.store(now(), Ordering::Relaxed);
        }
    }

    /// This role has logged in.
    pub fn note(&self, role: u32) {
        let now = now();
        let window = || self.window(role);
        if let Some(own) = window().find(|place| place.role.load(Ordering::Relaxed) == role) {
            own.at.store(now, Ordering::Relaxed);
            return;
        }
        // The time first: nobody must see the role with the time of another.
        if let Some(oldest) = window().min_by_key(|place| place.at.load(Ordering::Relaxed)) {
            oldest.at.store(now, Ordering::Relaxed);
            oldest.role.store(role, Ordering::Relaxed);
        }
    }

    /// When this role last logged in, if that is known.
    pub fn of(&self, role: u32) -> Option<Timestamp> {
        let own = self
            .window(role)
            .find(|place| place.role.load(Ordering::Relaxed) == role)?;
        Some(Timestamp::from_unix_micros(own.at.load(Ordering::Relaxed)))
    }

    /// Since when logins are noted.
    pub fn since(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.since.load(Ordering::Relaxed))
    }

    fn window(&self, role: u32) -> impl Iterator<Item = &Place> {
        let first = (role.wrapping_mul(2_654_435_761) >> 18) as usize;
        (0..WINDOW).filter_map(move |step| self.places.get((first + step) % PLACES))
    }
}

fn now() -> i64 {
    SystemClock.now().unix_micros()
}
