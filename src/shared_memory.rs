//! Where the memory lives that all processes share, and how a process comes to it.
//!
//! Preloaded: in the server's main shared memory, requested at start. Else: in a named DSM segment that the
//! first login makes, which needs no restart but costs each login an attachment.

use std::ffi::{CStr, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};

use pgrx::{pg_guard, pg_sys};

use crate::shared_cache::SharedCache;

/// Carries the version of the layout: a module with another layout uses other memory.
const NAME: &CStr = c"validator 1";
/// What pg_stat_activity shows while a process waits for one of our locks.
const LOCK_NAME: &CStr = c"Validator";

/// All that processes share, in one piece: attaching to it is what costs a login.
#[repr(C)]
pub struct SharedState {
    pub cache: SharedCache,
}

impl SharedState {
    /// # Safety
    /// `memory` is new, aligned, of this type's size, and nobody else uses it yet.
    unsafe fn initialize(memory: *mut SharedState, tranche: i32) {
        // SAFETY: by this function's contract.
        unsafe { SharedCache::initialize(&raw mut (*memory).cache, tranche) };
    }
}

/// Where this process has it; null: it has not looked yet.
static ATTACHED: AtomicPtr<SharedState> = AtomicPtr::new(std::ptr::null_mut());

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
        pg_sys::RequestAddinShmemSpace(size_of::<SharedState>());
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn startup() {
    // SAFETY: called by the postmaster at start, and again after a crash, when the memory is new.
    unsafe {
        if let Some(previous) = PREVIOUS_STARTUP_HOOK {
            previous();
        }
        let mut found = false;
        let memory = pg_sys::ShmemInitStruct(NAME.as_ptr(), size_of::<SharedState>(), &mut found);
        if !found {
            initialize(memory);
        }
        // Set anew after a crash, too: the new memory may be elsewhere.
        ATTACHED.store(memory.cast(), Ordering::Relaxed);
    }
}

/// The cache of keys.
pub fn cache() -> &'static SharedCache {
    &state().cache
}

/// What is shared; attaches to it, and makes it if this is the first process.
fn state() -> &'static SharedState {
    let mut state: *mut SharedState = ATTACHED.load(Ordering::Relaxed);
    if state.is_null() {
        state = attach_segment().cast();
        // SAFETY: the segment is initialized, and the tranche of its locks never changes.
        unsafe { register_tranche((*state).cache.tranche()) };
        ATTACHED.store(state, Ordering::Relaxed);
    }
    // SAFETY: the memory is initialized, large enough, and mapped until the process ends.
    unsafe { &*state }
}

#[cfg(feature = "pg18")]
fn attach_segment() -> *mut c_void {
    #[pg_guard]
    unsafe extern "C-unwind" fn initialize_segment(memory: *mut c_void) {
        // SAFETY: PostgreSQL calls this once, with the new segment.
        unsafe { initialize(memory) }
    }
    let mut found = false;
    // SAFETY: called in a backend's main thread; the segment stays mapped until the process ends.
    unsafe {
        pg_sys::GetNamedDSMSegment(
            NAME.as_ptr(),
            size_of::<SharedState>(),
            Some(initialize_segment),
            &mut found,
        )
    }
}

#[cfg(feature = "pg19")]
fn attach_segment() -> *mut c_void {
    #[pg_guard]
    unsafe extern "C-unwind" fn initialize_segment(memory: *mut c_void, _arg: *mut c_void) {
        // SAFETY: PostgreSQL calls this once, with the new segment.
        unsafe { initialize(memory) }
    }
    let mut found = false;
    // SAFETY: called in a backend's main thread; the segment stays mapped until the process ends.
    unsafe {
        pg_sys::GetNamedDSMSegment(
            NAME.as_ptr(),
            size_of::<SharedState>(),
            Some(initialize_segment),
            &mut found,
            std::ptr::null_mut(),
        )
    }
}

/// # Safety
/// `memory` is new, aligned, of SharedState's size, and nobody else uses it yet.
unsafe fn initialize(memory: *mut c_void) {
    // SAFETY: by this function's contract.
    unsafe { SharedState::initialize(memory.cast(), new_tranche()) }
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
