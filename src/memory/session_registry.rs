//! The sessions that tokens have opened, in shared memory: so that an administrator sees who is in, and can end them.
//!
//! Each backend has a place of its own, by its number among the server's processes: a login searches nothing, waits
//! for no other process, and touches one page. The place is cleared before the process gives its number back; after a
//! process was killed, PostgreSQL creates all shared memory again.

use std::ffi::c_void;

use oauth_core::{LayoutDigest, Timestamp, cache_key, layout_of};
use once_cell::sync::OnceCell;
use pgrx::{pg_guard, pg_sys};

use crate::memory::locked::Locked;
use crate::memory::plain::FixedText;
use crate::postgres::before_exit::before_exit;
use crate::postgres::versions;

/// From one place to the next: none lies on two pages.
const SLOT_BYTES: usize = 1024;

/// The places of all processes that can be logged in to.
#[derive(Clone, Copy)]
pub struct SessionRegistry(&'static [Slot]);

#[repr(C, align(1024))]
struct Slot(Locked<Entry>);

const _: () = assert!(size_of::<Slot>() == SLOT_BYTES);

/// All bytes zero: the place is free.
#[repr(C)]
#[derive(Clone, Copy)]
struct Entry {
    /// Zero: the place is free.
    pid: i32,
    /// As shown in pg_stat_activity.
    backend_start: pg_sys::TimestampTz,
    /// Microseconds since 1970.
    expires_at: i64,
    /// The digest of the token's `sub`, by which a provider names a bearer; all zero if the token has none.
    sub: [u8; 32],
    issuer: Named<222>,
    identity: Named<240>,
    client_id: Named<100>,
    jti: Named<102>,
    sid: Named<102>,
}

/// A text, cut to the available space, and the digest of the whole text, by which it is compared: a cut text never
/// equals another one.
#[repr(C)]
#[derive(Clone, Copy)]
struct Named<const BYTES: usize> {
    /// All zero if there is no text.
    digest: [u8; 32],
    text: FixedText<BYTES>,
}

/// What all this looks like in memory.
pub const fn layout(digest: LayoutDigest) -> LayoutDigest {
    type OfIssuer = Named<222>;
    digest
        .numbers(&[SLOT_BYTES])
        .numbers(layout_of!(Entry {
            pid,
            backend_start,
            expires_at,
            sub,
            issuer,
            identity,
            client_id,
            jti,
            sid
        }))
        .numbers(layout_of!(OfIssuer { digest, text }))
}

/// What is known of a session when it begins.
pub struct NewSession {
    pub issuer: String,
    pub identity: String,
    pub sub: Option<String>,
    pub client_id: Option<String>,
    pub jti: Option<String>,
    pub sid: Option<String>,
    pub expires_at: Timestamp,
}

/// A session that is open.
pub struct LiveSession {
    pub pid: i32,
    pub backend_start: pg_sys::TimestampTz,
    /// A text that was cut ends with "…".
    pub issuer: Option<String>,
    pub identity: Option<String>,
    pub client_id: Option<String>,
    pub jti: Option<String>,
    pub sid: Option<String>,
    pub expires_at: Timestamp,
}

/// Which sessions are meant: those of which all that is given here is true. A digest whose bytes are all zero, which no
/// text has, stands for what is not given.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Wanted {
    issuer: [u8; 32],
    identity: [u8; 32],
    jti: [u8; 32],
    sid: [u8; 32],
    sub: [u8; 32],
}

impl Wanted {
    /// Size and offsets, for a digest of what lies in shared memory.
    pub const LAYOUT: &[usize] = layout_of!(Wanted {
        issuer,
        identity,
        jti,
        sid,
        sub
    });

    pub fn new(
        issuer: &str,
        identity: Option<&str>,
        jti: Option<&str>,
        sid: Option<&str>,
        sub: Option<&str>,
    ) -> Wanted {
        Wanted {
            issuer: digest(issuer),
            identity: digest_of(identity),
            jti: digest_of(jti),
            sid: digest_of(sid),
            sub: digest_of(sub),
        }
    }

    /// Whether this session is meant.
    pub fn means(&self, session: &NewSession) -> bool {
        self.is(&Entry::of(session))
    }

    fn is(&self, entry: &Entry) -> bool {
        let is = |wanted: &[u8; 32], found: &[u8; 32]| *wanted == [0; 32] || wanted == found;
        self.issuer == entry.issuer.digest
            && is(&self.identity, &entry.identity.digest)
            && is(&self.jti, &entry.jti.digest)
            && is(&self.sid, &entry.sid.digest)
            && is(&self.sub, &entry.sub)
    }
}

impl SessionRegistry {
    /// Bytes that it needs wherever it begins.
    pub fn bytes() -> usize {
        // Space to begin at a multiple of SLOT_BYTES.
        (slots() + 1) * SLOT_BYTES
    }

    /// # Safety
    /// `memory` has `bytes()` bytes, and no other code uses it yet.
    pub unsafe fn initialize(memory: *mut c_void, tranche: i32) {
        let first = first_slot(memory);
        for n in 0..slots() {
            // SAFETY: by this function's contract; all bytes zero is a valid Entry.
            unsafe {
                let slot = &raw mut (*first.add(n)).0;
                Locked::initialize(slot, size_of::<Locked<Entry>>(), tranche);
            }
        }
    }

    /// # Safety
    /// `memory` was initialized, and stays until the process ends.
    pub unsafe fn at(memory: *mut c_void) -> Self {
        // SAFETY: by this function's contract.
        SessionRegistry(unsafe { std::slice::from_raw_parts(first_slot(memory), slots()) })
    }

    /// Notes this process's session, until the process ends.
    pub fn enter(self, session: &NewSession) {
        let Some(slot) = self.own_slot() else {
            return;
        };
        // The slot stays known if the session is entered twice, and is left once.
        if OWN_SLOT.set(slot).is_ok() {
            before_exit(leave_at_exit);
        }
        let entry = Entry::of(session);
        *slot.0.exclusive() = entry;
    }

    /// All sessions that are open.
    pub fn list(self) -> Vec<LiveSession> {
        let entries = self.0.iter().enumerate().filter_map(|(n, slot)| {
            let entry = slot.0.shared();
            // Most places are free: only what is in use is copied, and read once the lock is released.
            is_alive(n, entry.pid).then(|| *entry)
        });
        entries.map(|entry| entry.describe()).collect()
    }

    /// Tells the wanted sessions to end, in the way of pg_terminate_backend; how many were told.
    pub fn end(self, wanted: &Wanted) -> usize {
        let mut ended = 0;
        for (n, slot) in self.0.iter().enumerate() {
            // The process cannot leave its place until the lock is released, so its id stays its own.
            let entry = slot.0.shared();
            if is_alive(n, entry.pid) && wanted.is(&entry) {
                // SAFETY: a process id of one of this server's backends, which leads a group of its own.
                let told = unsafe { libc::kill(-entry.pid, libc::SIGTERM) };
                ended += usize::from(told == 0);
            }
        }
        ended
    }

    fn own_slot(self) -> Option<&'static Slot> {
        self.0.get(usize::try_from(versions::own_number()).ok()?)
    }
}

/// Where this process has entered its session.
static OWN_SLOT: OnceCell<&Slot> = OnceCell::new();

#[pg_guard]
unsafe extern "C-unwind" fn leave_at_exit(_code: i32, _arg: pg_sys::Datum) {
    if let Some(slot) = OWN_SLOT.get() {
        slot.0.exclusive().pid = 0;
    }
}

/// How many processes of the server can be backends: fixed when it starts.
fn slots() -> usize {
    // SAFETY: a plain variable of the server, set before shared memory is asked for.
    usize::try_from(unsafe { pg_sys::MaxBackends }).unwrap_or(0)
}

fn first_slot(memory: *mut c_void) -> *mut Slot {
    memory.wrapping_add(memory.align_offset(SLOT_BYTES)).cast()
}

/// Whether the process with this number is still the one with this id.
fn is_alive(number: usize, pid: i32) -> bool {
    let Ok(number) = i32::try_from(number) else {
        return false;
    };
    // SAFETY: gives null, or a PGPROC in shared memory, which is never freed.
    let process = unsafe { versions::process_with_number(number).as_ref() };
    pid != 0 && process.is_some_and(|process| process.pid == pid)
}

impl Entry {
    fn of(session: &NewSession) -> Entry {
        // SAFETY: plain variables of this process.
        let (pid, backend_start) = unsafe { (pg_sys::MyProcPid, pg_sys::MyStartTimestamp) };
        Entry {
            pid,
            backend_start,
            expires_at: session.expires_at.unix_micros(),
            sub: digest_of(session.sub.as_deref()),
            issuer: Named::of(Some(&session.issuer)),
            identity: Named::of(Some(&session.identity)),
            client_id: Named::of(session.client_id.as_deref()),
            jti: Named::of(session.jti.as_deref()),
            sid: Named::of(session.sid.as_deref()),
        }
    }

    fn describe(&self) -> LiveSession {
        LiveSession {
            pid: self.pid,
            backend_start: self.backend_start,
            issuer: self.issuer.get(),
            identity: self.identity.get(),
            client_id: self.client_id.get(),
            jti: self.jti.get(),
            sid: self.sid.get(),
            expires_at: Timestamp::from_unix_micros(self.expires_at),
        }
    }
}

impl<const BYTES: usize> Named<BYTES> {
    fn of(text: Option<&str>) -> Self {
        let mut named = Named {
            digest: [0; 32],
            text: FixedText::EMPTY,
        };
        if let Some(text) = text {
            named.digest = digest(text);
            named.text.set(text);
        }
        named
    }

    fn get(&self) -> Option<String> {
        if self.digest == [0; 32] {
            return None;
        }
        let mut text = self.text.get().to_owned();
        // A text that was cut fills the space, but for the rest of a character.
        if text.len() + 4 > BYTES && digest(&text) != self.digest {
            text.push('…');
        }
        Some(text)
    }
}

fn digest(text: &str) -> [u8; 32] {
    cache_key(&[text])
}

/// All zero if there is no text.
fn digest_of(text: Option<&str>) -> [u8; 32] {
    text.map(digest).unwrap_or_default()
}
