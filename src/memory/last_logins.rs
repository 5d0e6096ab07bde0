//! When managed roles have last logged in, in shared memory: for administrators who switch off those that nobody uses.
//!
//! A fixed number of places. A role that finds none free takes the place of the one that has been away for longest, and it
//! is noted when that one had logged in: whose login is not known may have been there until then. The server forgets all at
//! a restart, and a standby does not know who logs in to the primary.

use std::ffi::c_void;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering::SeqCst};

use oauth_core::{Clock, LayoutDigest, SystemClock, Timestamp, layout_of};

const PLACES: usize = 16384;
/// How many places a role may have.
const WINDOW: usize = 16;

/// All bytes zero: nothing is known yet.
#[repr(C)]
pub struct LastLogins {
    /// Since when all logins to the primary are noted, in microseconds since 1970. Zero: they are not.
    since: AtomicI64,
    /// The latest login that was forgotten.
    forgotten: AtomicI64,
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
        .numbers(layout_of!(LastLogins {
            since,
            forgotten,
            places
        }))
        .numbers(layout_of!(Place { at, role }))
}

impl LastLogins {
    /// # Safety
    /// `memory` is aligned, large enough, and no other code uses it yet.
    pub unsafe fn initialize(memory: *mut c_void) {
        // SAFETY: by this function's contract; all bytes zero is valid.
        unsafe { memory.cast::<LastLogins>().write_bytes(0, 1) };
    }

    /// The server is the primary, perhaps only since now.
    pub fn begin(&self) {
        let _ = self.since.compare_exchange(0, now(), SeqCst, SeqCst);
    }

    /// This role has logged in.
    pub fn note(&self, role: u32) {
        // As often as another role may take the same place at the same time.
        while !self.try_to_note(role) {}
    }

    /// False: another process has changed the place.
    fn try_to_note(&self, role: u32) -> bool {
        let now = now();
        let window = || self.window(role);
        if let Some(own) = window().find(|place| place.role.load(SeqCst) == role) {
            own.at.store(now, SeqCst);
            // Who takes the place from here on sees this time.
            return own.role.load(SeqCst) == role;
        }
        let Some(place) = window().min_by_key(|place| place.at.load(SeqCst)) else {
            return true;
        };
        let former = place.role.load(SeqCst);
        if former != 0 {
            // Before and after it, so that no login of the former owner is missed.
            self.forgotten.fetch_max(place.at.load(SeqCst), SeqCst);
            if place
                .role
                .compare_exchange(former, 0, SeqCst, SeqCst)
                .is_err()
            {
                return false;
            }
            self.forgotten.fetch_max(place.at.load(SeqCst), SeqCst);
        }
        // The time first: nobody must see the role with the time of another.
        place.at.store(now, SeqCst);
        if place
            .role
            .compare_exchange(0, role, SeqCst, SeqCst)
            .is_err()
        {
            return false;
        }
        // Two logins of this role at the same time may have found two places, of which one would not be kept up to date.
        let count = window()
            .filter(|place| place.role.load(SeqCst) == role)
            .count();
        if count > 1 {
            self.forgotten.fetch_max(now, SeqCst);
            let _ = place.role.compare_exchange(role, 0, SeqCst, SeqCst);
            return false;
        }
        true
    }

    /// When this role last logged in, if that is known.
    pub fn of(&self, role: u32) -> Option<Timestamp> {
        let own = self
            .window(role)
            .find(|place| place.role.load(SeqCst) == role)?;
        Some(Timestamp::from_unix_micros(own.at.load(SeqCst)))
    }

    /// A role that has no known login may have logged in until then. `None`: or at any time.
    pub fn known_since(&self) -> Option<Timestamp> {
        let since = self.since.load(SeqCst);
        let known = since.max(self.forgotten.load(SeqCst));
        (since != 0).then(|| Timestamp::from_unix_micros(known))
    }

    fn window(&self, role: u32) -> impl Iterator<Item = &Place> {
        let first = (role.wrapping_mul(2_654_435_761) >> 18) as usize;
        (0..WINDOW).filter_map(move |step| self.places.get((first + step) % PLACES))
    }
}

fn now() -> i64 {
    SystemClock.now().unix_micros()
}
