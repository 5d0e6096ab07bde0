//! The memory that all processes share: what lies where. What only some logins need is an area of its own, so that the
//! others do not pay for it.

pub mod answer_cache;
mod attach;
pub mod circuit_breaker;
pub mod key_cache;
pub mod key_cache_layout;
pub mod last_logins;
mod locked;
pub mod plain;
pub mod revocations;
pub mod role_requests;
pub mod session_registry;
pub mod statistics;

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use oauth_core::{LayoutDigest, layout_of};
use pgrx::{pg_guard, pg_sys};

use crate::settings::Settings;
use crate::settings::provisioning;
use crate::settings::tables::Number;
use answer_cache::AnswerCache;
pub use attach::is_preloading;
use attach::{Area, area};
use circuit_breaker::CircuitBreakers;
use key_cache::KeyCache;
use key_cache_layout::{BLOCK_ISSUERS, Block};
use last_logins::LastLogins;
use revocations::{Counts, Revocations, Wanteds};
use role_requests::RoleRequests;
use session_registry::SessionRegistry;
use statistics::{Accepted, Row, Since, Statistics};

/// How large the parts are that settings size: in blocks of keys, and in sets of answers. The settings count when the
/// memory is made, and for a server's whole life: preloaded at its start, on demand at the first login. So changed
/// settings leave no memory behind.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    key_blocks: u32,
    answer_sets: u32,
}

impl Sizes {
    /// The sizes that the settings ask for.
    pub fn wanted() -> Sizes {
        let settings = Settings::of_server();
        let wanted = |which| usize::try_from(settings.number(which)).unwrap_or(0);
        let narrow = |count| u32::try_from(count).unwrap_or(1);
        Sizes {
            key_blocks: narrow(KeyCache::blocks(wanted(Number::JwksCacheIssuers))),
            answer_sets: narrow(AnswerCache::sets(wanted(Number::IntrospectionCacheEntries))),
        }
    }

    fn key_blocks(self) -> usize {
        self.key_blocks as usize
    }

    fn answer_sets(self) -> usize {
        self.answer_sets as usize
    }

    /// How many issuers' keys are cached, and how many issuers are counted.
    pub fn issuers(self) -> usize {
        self.key_blocks() * BLOCK_ISSUERS
    }

    /// How many answers are cached.
    pub fn answers(self) -> usize {
        self.answer_sets() * answer_cache::PLACES
    }

    fn pack(self) -> u64 {
        u64::from(self.key_blocks) << 32 | u64::from(self.answer_sets)
    }

    fn unpack(packed: u64) -> Sizes {
        Sizes {
            key_blocks: (packed >> 32) as u32,
            answer_sets: packed as u32,
        }
    }
}

/// The sizes in use; zero until this process knows them.
static SIZES: AtomicU64 = AtomicU64::new(0);

/// The sizes in use, if this process knows them.
fn known_sizes() -> Option<Sizes> {
    match SIZES.load(Ordering::Relaxed) {
        0 => None,
        packed => Some(Sizes::unpack(packed)),
    }
}

/// The sizes in use. What sizes other parts is in the memory that has a size of its own.
pub fn sizes() -> Sizes {
    known_sizes().unwrap_or_else(|| {
        let state = area::<SharedState>().cast::<SharedState>();
        // SAFETY: the memory is initialized, large enough, and mapped until the process ends; this is never written again.
        let sizes = unsafe { (*state).sizes };
        SIZES.store(sizes.pack(), Ordering::Relaxed);
        sizes
    })
}

/// What all that lies in shared memory looks like, and what its numbers mean.
const LAYOUT: LayoutDigest = {
    type OfNoBlocks = KeyMemory<[Block; 0]>;
    let digest = LayoutDigest::OF_CORE
        .text(env!("CARGO_PKG_VERSION"))
        .numbers(layout_of!(Sizes {
            key_blocks,
            answer_sets
        }))
        .numbers(layout_of!(SharedState {
            sizes,
            tranche,
            counted_since,
            wanteds,
            circuit_breakers
        }))
        .numbers(layout_of!(OfNoBlocks { revocations, cache }));
    let digest = statistics::layout(locked::layout(digest));
    let digest = circuit_breaker::layout(revocations::layout(digest));
    let digest = answer_cache::layout(key_cache_layout::layout(plain::layout(digest)));
    let digest = role_requests::layout(session_registry::layout(digest));
    last_logins::layout(digest)
};

/// What is of one size in all servers with as many connections: behind it the registry of sessions.
#[repr(C)]
pub struct SharedState {
    sizes: Sizes,
    tranche: i32,
    counted_since: Since,
    wanteds: Wanteds,
    circuit_breakers: CircuitBreakers,
}

impl Area for SharedState {
    const NAME: &str = "state";
    const LAYOUT: LayoutDigest = LAYOUT;

    fn attached() -> &'static AtomicPtr<c_void> {
        static ATTACHED: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
        &ATTACHED
    }

    fn bytes() -> usize {
        size_of::<SharedState>() + SessionRegistry::bytes()
    }

    unsafe fn initialize(memory: *mut c_void, tranche: i32) {
        let state = memory.cast::<SharedState>();
        // Preloaded, what was asked for at the start; else what the settings say, since this process is the first.
        let sizes = known_sizes().unwrap_or_else(Sizes::wanted);
        // SAFETY: by this function's contract.
        unsafe {
            (&raw mut (*state).sizes).write(sizes);
            (&raw mut (*state).tranche).write(tranche);
            (&raw mut (*state).counted_since).write_bytes(0, 1);
            (*state).counted_since.begin();
            Wanteds::initialize(&raw mut (*state).wanteds, tranche);
            CircuitBreakers::initialize(&raw mut (*state).circuit_breakers, tranche);
            SessionRegistry::initialize(state.add(1).cast(), tranche);
        }
    }

    unsafe fn tranche(memory: *mut c_void) -> i32 {
        // SAFETY: by this function's contract.
        unsafe { (*memory.cast::<SharedState>()).tranche }
    }
}

/// What every login reads, in the order in which it does.
#[repr(C)]
struct KeyMemory<Blocks: ?Sized = [Block]> {
    // Before the cache, whose beginning is what each login touches.
    revocations: Counts,
    cache: KeyCache<Blocks>,
}

/// The cache of keys. The counters of accepted logins lie before it, since such a login reads its beginning anyway; the
/// other counters lie after it.
struct Keys;

impl Keys {
    fn at(memory: *mut c_void, sizes: Sizes) -> *mut KeyMemory {
        let begin = memory.wrapping_byte_add(sizes.issuers() * size_of::<Accepted>());
        std::ptr::slice_from_raw_parts_mut(begin.cast::<Block>(), sizes.key_blocks())
            as *mut KeyMemory
    }

    fn rows(memory: *mut c_void, sizes: Sizes) -> *mut Row {
        let rows = sizes.issuers() * size_of::<Row>();
        memory.wrapping_byte_add(Self::bytes() - rows).cast::<Row>()
    }
}

// Each part of the area is a whole number of words, which is all that the next one needs.
const _: () = {
    assert!(size_of::<Accepted>().is_multiple_of(align_of::<KeyMemory<[Block; 0]>>()));
    assert!(align_of::<KeyMemory<[Block; 0]>>() == align_of::<Block>());
    assert!(size_of::<Block>().is_multiple_of(align_of::<Row>()));
};

impl Area for Keys {
    const NAME: &str = "keys";
    const LAYOUT: LayoutDigest = LAYOUT;

    fn attached() -> &'static AtomicPtr<c_void> {
        static ATTACHED: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
        &ATTACHED
    }

    fn bytes() -> usize {
        let sizes = sizes();
        let counters = sizes.issuers() * (size_of::<Accepted>() + size_of::<Row>());
        size_of::<KeyMemory<[Block; 0]>>() + sizes.key_blocks() * size_of::<Block>() + counters
    }

    unsafe fn initialize(memory: *mut c_void, tranche: i32) {
        let sizes = sizes();
        let keys = Self::at(memory, sizes);
        // SAFETY: by this function's contract.
        unsafe {
            memory.cast::<Accepted>().write_bytes(0, sizes.issuers());
            Self::rows(memory, sizes).write_bytes(0, sizes.issuers());
            (&raw mut (*keys).revocations).write_bytes(0, 1);
            KeyCache::initialize(&raw mut (*keys).cache, tranche);
        }
    }

    unsafe fn tranche(memory: *mut c_void) -> i32 {
        // SAFETY: by this function's contract.
        unsafe { (*Self::at(memory, sizes())).cache.tranche() }
    }
}

/// The answers to introspection requests: attached to by logins that ask for one.
struct Answers;

impl Area for Answers {
    const NAME: &str = "answers";
    const LAYOUT: LayoutDigest = LAYOUT;

    fn attached() -> &'static AtomicPtr<c_void> {
        static ATTACHED: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
        &ATTACHED
    }

    fn bytes() -> usize {
        AnswerCache::bytes(sizes().answer_sets())
    }

    unsafe fn initialize(memory: *mut c_void, tranche: i32) {
        // SAFETY: by this function's contract.
        unsafe { AnswerCache::initialize(memory, sizes().answer_sets(), tranche) };
    }

    unsafe fn tranche(memory: *mut c_void) -> i32 {
        // SAFETY: by this function's contract.
        unsafe { AnswerCache::at(memory, sizes().answer_sets()) }.tranche()
    }
}

/// What provisioning needs: made at the server's start only, and only if `validator.provision_role` is set then, so that
/// nobody else pays for it.
struct Roles;

/// Whether this server has that area.
static HAS_ROLES: AtomicBool = AtomicBool::new(false);

// The registry of requests begins at a multiple of what it needs.
const _: () = assert!(size_of::<LastLogins>().is_multiple_of(8));

impl Area for Roles {
    const NAME: &str = "roles";
    const LAYOUT: LayoutDigest = LAYOUT;

    fn attached() -> &'static AtomicPtr<c_void> {
        static ATTACHED: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
        &ATTACHED
    }

    fn bytes() -> usize {
        size_of::<LastLogins>() + RoleRequests::bytes()
    }

    unsafe fn initialize(memory: *mut c_void, tranche: i32) {
        // SAFETY: by this function's contract.
        unsafe {
            LastLogins::initialize(memory);
            RoleRequests::initialize(behind_last_logins(memory), tranche);
        }
    }

    unsafe fn tranche(memory: *mut c_void) -> i32 {
        // SAFETY: by this function's contract.
        unsafe { RoleRequests::tranche(behind_last_logins(memory)) }
    }
}

fn behind_last_logins(memory: *mut c_void) -> *mut c_void {
    memory.wrapping_byte_add(size_of::<LastLogins>())
}

/// The requests to the worker that provisions roles. `None`: this server was started without one.
pub fn role_requests() -> Option<RoleRequests> {
    let has_roles = HAS_ROLES.load(Ordering::Relaxed);
    // SAFETY: the memory is initialized, of this size, and mapped until the process ends.
    has_roles.then(|| unsafe { RoleRequests::at(behind_last_logins(area::<Roles>())) })
}

/// When managed roles have last logged in. `None`: this server was started without provisioning.
pub fn last_logins() -> Option<&'static LastLogins> {
    let has_roles = HAS_ROLES.load(Ordering::Relaxed);
    // SAFETY: as above.
    has_roles.then(|| unsafe { &*area::<Roles>().cast::<LastLogins>() })
}

/// Attaches to what every login needs.
pub fn attach() {
    area::<SharedState>();
    area::<Keys>();
}

/// The statistics, if this process has attached to them: counting must not be what fails.
pub fn attached_statistics() -> Option<Statistics> {
    let has = |memory: &AtomicPtr<c_void>| !memory.load(Ordering::Relaxed).is_null();
    (has(SharedState::attached()) && has(Keys::attached())).then(statistics)
}

/// The cache of keys.
pub fn cache() -> &'static KeyCache {
    // SAFETY: the memory is initialized, of this size, and mapped until the process ends.
    unsafe { &(*Keys::at(area::<Keys>(), sizes())).cache }
}

/// The revocations.
pub fn revocations() -> Revocations {
    let state = area::<SharedState>().cast::<SharedState>();
    let keys = Keys::at(area::<Keys>(), sizes());
    // SAFETY: as above.
    unsafe {
        Revocations {
            counts: &(*keys).revocations,
            wanteds: &(*state).wanteds,
        }
    }
}

/// The statistics.
pub fn statistics() -> Statistics {
    let state = area::<SharedState>().cast::<SharedState>();
    let (keys, sizes) = (area::<Keys>(), sizes());
    // SAFETY: as above; both slices lie within the area, and consist of atomics and what is Sync.
    unsafe {
        Statistics {
            accepted: std::slice::from_raw_parts(keys.cast::<Accepted>(), sizes.issuers()),
            rows: std::slice::from_raw_parts(Keys::rows(keys, sizes), sizes.issuers()),
            since: &(*state).counted_since,
        }
    }
}

/// Which introspection endpoints are down.
pub fn circuit_breakers() -> &'static CircuitBreakers {
    let state = area::<SharedState>().cast::<SharedState>();
    // SAFETY: as above.
    unsafe { &(*state).circuit_breakers }
}

/// The registry of sessions.
pub fn sessions() -> SessionRegistry {
    let state = area::<SharedState>().cast::<SharedState>();
    // SAFETY: as above; the registry lies after the state.
    unsafe { SessionRegistry::at(state.add(1).cast()) }
}

/// The cache of answers to introspection requests.
pub fn answers() -> AnswerCache {
    // SAFETY: as above.
    unsafe { AnswerCache::at(area::<Answers>(), sizes().answer_sets()) }
}

/// Hooks of other modules, which run before ours. An error of theirs ends the postmaster, which has nothing to catch one: at
/// the start and, with memory that is new, after a crash. Nothing of ours is locked or half made by then.
static mut PREVIOUS_REQUEST_HOOK: pg_sys::shmem_request_hook_type = None;
static mut PREVIOUS_STARTUP_HOOK: pg_sys::shmem_startup_hook_type = None;

/// Asks for main shared memory. Called by `_PG_init` while libraries are preloaded.
pub fn request_at_start() {
    // SAFETY: the postmaster loads libraries one after the other, in one thread.
    unsafe {
        PREVIOUS_REQUEST_HOOK = pg_sys::shmem_request_hook;
        pg_sys::shmem_request_hook = Some(request);
        PREVIOUS_STARTUP_HOOK = pg_sys::shmem_startup_hook;
        pg_sys::shmem_startup_hook = Some(startup);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn request() {
    // SAFETY: called once by the postmaster, which is when these functions may be called.
    unsafe {
        if let Some(previous) = PREVIOUS_REQUEST_HOOK {
            previous();
        }
        // Once for the server's life: settings that change later must not ask for more after a crash.
        SIZES.store(Sizes::wanted().pack(), Ordering::Relaxed);
        pg_sys::RequestAddinShmemSpace(SharedState::bytes());
        pg_sys::RequestAddinShmemSpace(Keys::bytes());
        pg_sys::RequestAddinShmemSpace(Answers::bytes());
        if provisioning::worker_connection().is_some() {
            HAS_ROLES.store(true, Ordering::Relaxed);
            pg_sys::RequestAddinShmemSpace(Roles::bytes());
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn startup() {
    // SAFETY: called by the postmaster at start, and again after a crash, when the memory is new.
    unsafe {
        if let Some(previous) = PREVIOUS_STARTUP_HOOK {
            previous();
        }
        attach::make_at_start::<SharedState>();
        attach::make_at_start::<Keys>();
        attach::make_at_start::<Answers>();
        if HAS_ROLES.load(Ordering::Relaxed) {
            attach::make_at_start::<Roles>();
        }
    }
}
