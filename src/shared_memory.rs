//! Where the shared cache lives, and how a process comes to it.
//!
//! Preloaded: in the server's main shared memory, requested at start. Else: in a named DSM segment that the
//! first login makes, which needs no restart but costs each login an attachment.

use std::ffi::{CStr, c_void};

use once_cell::sync::OnceCell;
use pgrx::{pg_guard, pg_sys};

use crate::shared_cache::SharedCache;

/// Carries the version of the layout: a module with another layout uses other memory.
const NAME: &CStr = c"validator cache 1";
/// What pg_stat_activity shows while a process waits for the cache's lock.
const LOCK_NAME: &CStr = c"ValidatorCache";

/// Shared memory at a fixed address of this process.
struct Attached(*mut SharedCache);

// SAFETY: the memory is shared by processes, and SharedCache is made for that.
unsafe impl Send for Attached {}
// SAFETY: as above.
unsafe impl Sync for Attached {}

static ATTACHED: OnceCell<Attached> = OnceCell::new();

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
        pg_sys::RequestAddinShmemSpace(size_of::<SharedCache>());
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
        let memory = pg_sys::ShmemInitStruct(NAME.as_ptr(), size_of::<SharedCache>(), &mut found);
        if !found {
            initialize(memory);
        }
        // After a crash the address is the same: the postmaster maps the memory where it was, or not at all.
        let _ = ATTACHED.set(Attached(memory.cast()));
    }
}

/// The cache; attaches to it, and makes it if this is the first process.
pub fn cache() -> &'static SharedCache {
    let attached = ATTACHED.get_or_init(|| {
        let memory = attach_segment();
        // SAFETY: the lock is initialized, and its tranche never changes.
        unsafe { register_tranche((*memory.cast::<SharedCache>()).tranche()) };
        Attached(memory.cast())
    });
    // SAFETY: the memory is initialized, large enough, and mapped until the process ends.
    unsafe { &*attached.0 }
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
            size_of::<SharedCache>(),
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
            size_of::<SharedCache>(),
            Some(initialize_segment),
            &mut found,
            std::ptr::null_mut(),
        )
    }
}

/// # Safety
/// `memory` is new, aligned, of SharedCache's size, and nobody else uses it yet.
unsafe fn initialize(memory: *mut c_void) {
    // SAFETY: by this function's contract.
    unsafe { SharedCache::initialize(memory.cast(), new_tranche()) }
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
