//! Where the memory lives that all processes share, and how a process comes to it.
//!
//! Preloaded: in the server's main shared memory, requested at start. Else: in named DSM segments that the
//! first login makes, which needs no restart but costs each login an attachment. What only some logins need is an area
//! of its own, so that the others do not pay for it.

use std::ffi::{CStr, CString, c_void};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

use pgrx::{pg_guard, pg_sys};

use crate::answer_cache::AnswerCache;
use crate::circuit_breaker::CircuitBreakers;
use crate::revocations::{Counts, Revocations, Wanteds};
use crate::session_registry::SessionRegistry;
use crate::settings;
use crate::shared_cache::SharedCache;
use crate::statistics::{Accepted, Counters, Statistics};

/// What pg_stat_activity shows while a process waits for one of our locks.
const LOCK_NAME: &CStr = c"Validator";

/// A piece of memory that is attached to, and made, as a whole.
trait Area {
    /// Where this process has it; null: it has not looked yet.
    fn attached() -> &'static AtomicPtr<c_void>;

    /// Carries the version of the layout: a module with another layout uses other memory.
    fn name() -> CString;

    fn bytes() -> usize;

    /// # Safety
    /// `memory` is new, aligned, of `bytes()` bytes, and nobody else uses it yet.
    unsafe fn initialize(memory: *mut c_void, tranche: i32);

    /// The tranche of its locks.
    ///
    /// # Safety
    /// `memory` is an initialized area of this kind.
    unsafe fn tranche(memory: *mut c_void) -> i32;
}

/// All that every login needs; behind it the registry of sessions, whose size is the server's.
#[repr(C)]
pub struct SharedState {
    // Before the cache, whose beginning is what each login touches.
    accepted: Accepted,
    revocations: Counts,
    cache: SharedCache,
    counters: Counters,
    wanteds: Wanteds,
    circuit_breakers: CircuitBreakers,
}

impl Area for SharedState {
    fn attached() -> &'static AtomicPtr<c_void> {
        static ATTACHED: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
        &ATTACHED
    }

    fn name() -> CString {
        // The size stands for what it depends on, such as how many reasons are counted.
        CString::new(format!("validator 3 {}", Self::bytes())).unwrap_or_default()
    }

    fn bytes() -> usize {
        size_of::<SharedState>() + SessionRegistry::bytes()
    }

    unsafe fn initialize(memory: *mut c_void, tranche: i32) {
        let state = memory.cast::<SharedState>();
        // SAFETY: by this function's contract.
        unsafe {
            (&raw mut (*state).accepted).write_bytes(0, 1);
            (&raw mut (*state).counters).write_bytes(0, 1);
            (*state).counters.begin();
            (&raw mut (*state).revocations).write_bytes(0, 1);
            SharedCache::initialize(&raw mut (*state).cache, tranche);
            Wanteds::initialize(&raw mut (*state).wanteds, tranche);
            CircuitBreakers::initialize(&raw mut (*state).circuit_breakers, tranche);
            SessionRegistry::initialize(state.add(1).cast(), tranche);
        }
    }

    unsafe fn tranche(memory: *mut c_void) -> i32 {
        // SAFETY: by this function's contract.
        unsafe { (*memory.cast::<SharedState>()).cache.tranche() }
    }
}

/// The answers to introspection requests: attached to by logins that ask for one.
struct Answers;

/// Sets of entries that this server's cache of answers has; the setting counts when the memory is made, and for an
/// on-demand module each size is memory of its own.
fn answer_sets() -> usize {
    static SETS: AtomicUsize = AtomicUsize::new(0);
    if SETS.load(Ordering::Relaxed) == 0 {
        let sets = AnswerCache::sets(settings::introspection_cache_entries());
        SETS.store(sets, Ordering::Relaxed);
    }
    SETS.load(Ordering::Relaxed)
}

impl Area for Answers {
    fn attached() -> &'static AtomicPtr<c_void> {
        static ATTACHED: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
        &ATTACHED
    }

    fn name() -> CString {
        CString::new(format!("validator answers 1 {}", answer_sets())).unwrap_or_default()
    }

    fn bytes() -> usize {
        AnswerCache::bytes(answer_sets())
    }

    unsafe fn initialize(memory: *mut c_void, tranche: i32) {
        // SAFETY: by this function's contract.
        unsafe { AnswerCache::initialize(memory, answer_sets(), tranche) };
    }

    unsafe fn tranche(memory: *mut c_void) -> i32 {
        // SAFETY: by this function's contract.
        unsafe { AnswerCache::at(memory, answer_sets()) }.tranche()
    }
}

/// Attaches to what every login needs.
pub fn attach() {
    area::<SharedState>();
}

/// The statistics, if this process has attached to them: counting must not be what fails.
pub fn attached_statistics() -> Option<Statistics> {
    let attached = !SharedState::attached().load(Ordering::Relaxed).is_null();
    attached.then(statistics)
}

/// Whether this process has begun to attach to an area, and not come to the end of it.
pub fn is_attaching() -> bool {
    ATTACHING.load(Ordering::Relaxed)
}

/// Set while this process attaches to an area; what fails then is the memory, whatever the error's code.
static ATTACHING: AtomicBool = AtomicBool::new(false);

/// The cache of keys.
pub fn cache() -> &'static SharedCache {
    let state = area::<SharedState>().cast::<SharedState>();
    // SAFETY: the memory is initialized, large enough, and mapped until the process ends.
    unsafe { &(*state).cache }
}

/// The revocations.
pub fn revocations() -> Revocations {
    let state = area::<SharedState>().cast::<SharedState>();
    // SAFETY: as above.
    unsafe {
        Revocations {
            counts: &(*state).revocations,
            wanteds: &(*state).wanteds,
        }
    }
}

/// The statistics.
pub fn statistics() -> Statistics {
    let state = area::<SharedState>().cast::<SharedState>();
    // SAFETY: as above.
    unsafe {
        Statistics {
            accepted: &(*state).accepted,
            counters: &(*state).counters,
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
    // SAFETY: as above; the registry lies behind the state.
    unsafe { SessionRegistry::at(state.add(1).cast()) }
}

/// The cache of answers to introspection requests.
pub fn answers() -> AnswerCache {
    // SAFETY: as above; the number of sets is the one that it was made for.
    unsafe { AnswerCache::at(area::<Answers>(), answer_sets()) }
}

/// Hooks of other modules, which run before ours.
static mut PREVIOUS_REQUEST_HOOK: pg_sys::shmem_request_hook_type = None;
static mut PREVIOUS_STARTUP_HOOK: pg_sys::shmem_startup_hook_type = None;

/// Whether the module is being loaded by shared_preload_libraries.
pub fn is_preloading() -> bool {
    // SAFETY: a plain read of a variable of the server.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress }
}

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
        pg_sys::RequestAddinShmemSpace(SharedState::bytes());
        pg_sys::RequestAddinShmemSpace(Answers::bytes());
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn startup() {
    // SAFETY: called by the postmaster at start, and again after a crash, when the memory is new.
    unsafe {
        if let Some(previous) = PREVIOUS_STARTUP_HOOK {
            previous();
        }
        make_at_start::<SharedState>();
        make_at_start::<Answers>();
    }
}

/// # Safety
/// Called in the startup hook of shared memory only.
unsafe fn make_at_start<A: Area>() {
    let mut found = false;
    // SAFETY: by this function's contract; the memory was requested.
    unsafe {
        let memory = pg_sys::ShmemInitStruct(A::name().as_ptr(), A::bytes(), &mut found);
        if !found {
            A::initialize(memory, new_tranche());
        }
        // Set anew after a crash, too: the new memory may be elsewhere.
        A::attached().store(memory, Ordering::Relaxed);
    }
}

/// The area; attaches to it, and makes it if this is the first process.
fn area<A: Area>() -> *mut c_void {
    let mut memory = A::attached().load(Ordering::Relaxed);
    if memory.is_null() {
        ATTACHING.store(true, Ordering::Relaxed);
        memory = attach_segment::<A>();
        ATTACHING.store(false, Ordering::Relaxed);
        // SAFETY: the segment is initialized, and the tranche of its locks never changes.
        unsafe { register_tranche(A::tranche(memory)) };
        A::attached().store(memory, Ordering::Relaxed);
    }
    memory
}

#[cfg(feature = "pg18")]
fn attach_segment<A: Area>() -> *mut c_void {
    #[pg_guard]
    unsafe extern "C-unwind" fn initialize_segment<A: Area>(memory: *mut c_void) {
        // SAFETY: PostgreSQL calls this once, with the new segment.
        unsafe { A::initialize(memory, new_tranche()) }
    }
    let (name, mut found) = (A::name(), false);
    // SAFETY: called in a backend's main thread; the segment stays mapped until the process ends.
    unsafe {
        pg_sys::GetNamedDSMSegment(
            name.as_ptr(),
            A::bytes(),
            Some(initialize_segment::<A>),
            &mut found,
        )
    }
}

#[cfg(feature = "pg19")]
fn attach_segment<A: Area>() -> *mut c_void {
    #[pg_guard]
    unsafe extern "C-unwind" fn initialize_segment<A: Area>(
        memory: *mut c_void,
        _arg: *mut c_void,
    ) {
        // SAFETY: PostgreSQL calls this once, with the new segment.
        unsafe { A::initialize(memory, new_tranche()) }
    }
    let (name, mut found) = (A::name(), false);
    // SAFETY: called in a backend's main thread; the segment stays mapped until the process ends.
    unsafe {
        pg_sys::GetNamedDSMSegment(
            name.as_ptr(),
            A::bytes(),
            Some(initialize_segment::<A>),
            &mut found,
            std::ptr::null_mut(),
        )
    }
}

#[cfg(feature = "pg18")]
fn new_tranche() -> i32 {
    // SAFETY: may be called wherever shared memory is set up.
    unsafe {
        let tranche = pg_sys::LWLockNewTrancheId();
        register_tranche(tranche);
        tranche
    }
}

#[cfg(feature = "pg19")]
fn new_tranche() -> i32 {
    // SAFETY: may be called wherever shared memory is set up; the name is static.
    unsafe { pg_sys::LWLockNewTrancheId(LOCK_NAME.as_ptr()) }
}

/// Before PostgreSQL 19 each process names the tranche for itself.
#[cfg(feature = "pg18")]
unsafe fn register_tranche(tranche: i32) {
    // SAFETY: the name is static.
    unsafe { pg_sys::LWLockRegisterTranche(tranche, LOCK_NAME.as_ptr()) };
}

#[cfg(feature = "pg19")]
unsafe fn register_tranche(_tranche: i32) {}
