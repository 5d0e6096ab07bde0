//! How a process comes to memory that all processes share.
//!
//! Preloaded: in the server's main shared memory, requested at start. Else: in named DSM segments that the
//! first login makes, which needs no restart but costs each login an attachment.

use std::ffi::{CStr, CString, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};

use oauth_core::LayoutDigest;
use pgrx::pg_sys;
#[cfg(any(feature = "pg15", feature = "pg16"))]
use pgrx::{PgSqlErrorCode, ereport};

use crate::postgres::containment::taking_memory;

/// What pg_stat_activity shows while a process waits for one of our locks.
const LOCK_NAME: &CStr = c"Validator";

/// A piece of memory that is attached to, and made, as a whole.
pub trait Area {
    /// What it is called, among the module's own.
    const NAME: &str;

    /// What all areas look like, and what their numbers mean.
    const LAYOUT: LayoutDigest;

    /// Its address in this process; null before the first use.
    fn attached() -> &'static AtomicPtr<c_void>;

    fn bytes() -> usize;

    /// # Safety
    /// `memory` is new, aligned, of `bytes()` bytes, and no other code uses it yet.
    unsafe fn initialize(memory: *mut c_void, tranche: i32);

    /// The tranche of its locks.
    ///
    /// # Safety
    /// `memory` is an initialized area of this kind.
    unsafe fn tranche(memory: *mut c_void) -> i32;
}

/// Names an area. A module with another layout or other counters uses other memory. The name is shorter than
/// what PostgreSQL cuts names to: 48 bytes in main memory (SHMEM_INDEX_KEYSIZE), 64 in its registry of segments.
fn name<A: Area>(bytes: usize) -> CString {
    let digest = A::LAYOUT.value();
    let name = format!("validator {} {digest:016x} {bytes}", A::NAME);
    CString::new(name).unwrap_or_default()
}

/// Whether the module is being loaded by shared_preload_libraries.
pub fn is_preloading() -> bool {
    // SAFETY: a plain read of a variable of the server.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress }
}

/// Makes the area in main shared memory, or finds it there.
///
/// # Safety
/// Called in the startup hook of shared memory only.
pub unsafe fn make_at_start<A: Area>() {
    let mut found = false;
    let bytes = A::bytes();
    // SAFETY: by this function's contract; the memory was requested.
    unsafe {
        let memory = pg_sys::ShmemInitStruct(name::<A>(bytes).as_ptr(), bytes, &mut found);
        if !found {
            A::initialize(memory, new_tranche());
        }
        // Set again after a crash, too: the new memory may be elsewhere.
        A::attached().store(memory, Ordering::Relaxed);
    }
}

/// The area; attaches to it, and makes it if this is the first process.
pub fn area<A: Area>() -> *mut c_void {
    let mut memory = A::attached().load(Ordering::Relaxed);
    if memory.is_null() {
        let bytes = A::bytes();
        memory = taking_memory(|| attach_segment::<A>(bytes));
        // SAFETY: the segment is initialized, and the tranche of its locks never changes.
        unsafe { register_tranche(A::tranche(memory)) };
        A::attached().store(memory, Ordering::Relaxed);
    }
    memory
}

/// Before PostgreSQL 17 there are no named segments.
#[cfg(any(feature = "pg15", feature = "pg16"))]
fn attach_segment<A: Area>(_bytes: usize) -> *mut c_void {
    ereport!(
        ERROR,
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        "validator must be loaded via \"shared_preload_libraries\"",
        "PostgreSQL 15 and 16 have no shared memory for modules that are loaded later."
    );
}

#[cfg(any(feature = "pg17", feature = "pg18"))]
fn attach_segment<A: Area>(bytes: usize) -> *mut c_void {
    #[pgrx::pg_guard]
    unsafe extern "C-unwind" fn initialize_segment<A: Area>(memory: *mut c_void) {
        // SAFETY: PostgreSQL calls this once, with the new segment.
        unsafe { A::initialize(memory, new_tranche()) }
    }
    let (name, mut found) = (name::<A>(bytes), false);
    // SAFETY: called in a backend's main thread; the segment stays mapped until the process ends.
    unsafe {
        pg_sys::GetNamedDSMSegment(
            name.as_ptr(),
            bytes,
            Some(initialize_segment::<A>),
            &mut found,
        )
    }
}

#[cfg(feature = "pg19")]
fn attach_segment<A: Area>(bytes: usize) -> *mut c_void {
    #[pgrx::pg_guard]
    unsafe extern "C-unwind" fn initialize_segment<A: Area>(
        memory: *mut c_void,
        _arg: *mut c_void,
    ) {
        // SAFETY: PostgreSQL calls this once, with the new segment.
        unsafe { A::initialize(memory, new_tranche()) }
    }
    let (name, mut found) = (name::<A>(bytes), false);
    // SAFETY: called in a backend's main thread; the segment stays mapped until the process ends.
    unsafe {
        pg_sys::GetNamedDSMSegment(
            name.as_ptr(),
            bytes,
            Some(initialize_segment::<A>),
            &mut found,
            std::ptr::null_mut(),
        )
    }
}

#[cfg(not(feature = "pg19"))]
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
#[cfg(not(feature = "pg19"))]
unsafe fn register_tranche(tranche: i32) {
    // SAFETY: the name is static.
    unsafe { pg_sys::LWLockRegisterTranche(tranche, LOCK_NAME.as_ptr()) };
}

#[cfg(feature = "pg19")]
unsafe fn register_tranche(_tranche: i32) {}
