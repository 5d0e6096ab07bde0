//! Plain data in shared memory, under one lock, with a condition variable for processes that wait for a change.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use oauth_core::{LayoutDigest, layout_of};
use once_cell::sync::OnceCell;
use pgrx::pg_sys;

use crate::postgres::wait_event;

/// A waiter checks again after this time even if it was not woken: a killed process does not wake its waiters.
const LONGEST_SLEEP: Duration = Duration::from_millis(500);

/// `state` under a lock. Under the lock nothing is allocated, logged or asked.
#[repr(C)]
pub struct Locked<T: ?Sized> {
    lock: UnsafeCell<pg_sys::LWLock>,
    changed: UnsafeCell<pg_sys::ConditionVariable>,
    state: UnsafeCell<T>,
}

// SAFETY: `state` is reached only through Shared and Exclusive, which hold the lock; the lock and the condition
// variable are PostgreSQL's own, and made for sharing.
unsafe impl<T: ?Sized> Sync for Locked<T> {}

/// What a guard looks like in memory; its parts are PostgreSQL's.
pub const fn layout(digest: LayoutDigest) -> LayoutDigest {
    type OfByte = Locked<u8>;
    digest.numbers(layout_of!(OfByte {
        lock,
        changed,
        state
    }))
}

impl<T: ?Sized> Locked<T> {
    /// # Safety
    /// `memory` is aligned, has `bytes` bytes, which are all of this value, and no other code uses it yet. All bytes
    /// zero is a valid `T`.
    pub unsafe fn initialize(memory: *mut Self, bytes: usize, tranche: i32) {
        // SAFETY: by this function's contract.
        unsafe {
            std::ptr::write_bytes(memory.cast::<u8>(), 0, bytes);
            pg_sys::LWLockInitialize((*memory).lock.get(), tranche);
            pg_sys::ConditionVariableInit((*memory).changed.get());
        }
    }

    /// The tranche of the lock.
    pub fn tranche(&self) -> i32 {
        // SAFETY: written once, before the memory is shared.
        unsafe { (*self.lock.get()).tranche.into() }
    }

    pub fn shared(&self) -> Shared<'_, T> {
        // SAFETY: the lock is initialized; it is released when the guard is dropped, and by PostgreSQL
        // when an error ends the transaction or the process.
        unsafe { pg_sys::LWLockAcquire(self.lock.get(), pg_sys::LWLockMode::LW_SHARED) };
        Shared(self)
    }

    pub fn exclusive(&self) -> Exclusive<'_, T> {
        // SAFETY: as above.
        unsafe { pg_sys::LWLockAcquire(self.lock.get(), pg_sys::LWLockMode::LW_EXCLUSIVE) };
        Exclusive(self)
    }

    /// Wakes those who wait.
    pub fn wake(&self) {
        // SAFETY: called in the main thread of a process with a PGPROC.
        unsafe { pg_sys::ConditionVariableBroadcast(self.changed.get()) };
    }

    /// Sleeps until the waiters are woken, at most for `limit`, if `must_wait` still holds once no wake can be
    /// missed. Serves interrupts.
    pub fn sleep_while(&self, limit: Duration, must_wait: impl FnOnce() -> bool) {
        let limit = limit.min(LONGEST_SLEEP).as_millis().saturating_add(1);
        // SAFETY: called in the main thread of a process with a PGPROC.
        unsafe { pg_sys::ConditionVariablePrepareToSleep(self.changed.get()) };
        if must_wait() {
            let millis = limit.try_into().unwrap_or(1);
            // SAFETY: as above.
            unsafe {
                pg_sys::ConditionVariableTimedSleep(self.changed.get(), millis, lock_event());
            }
        }
        // SAFETY: as above; harmless if the process does not wait.
        unsafe { pg_sys::ConditionVariableCancelSleep() };
    }

    fn release(&self) {
        // SAFETY: called by the guards only, which hold the lock.
        unsafe { pg_sys::LWLockRelease(self.lock.get()) };
    }
}

/// What pg_stat_activity shows while a login waits for another's request.
fn lock_event() -> u32 {
    static EVENT: OnceCell<u32> = OnceCell::new();
    wait_event::named(&EVENT, c"ValidatorWait")
}

/// The state, for reading.
pub struct Shared<'a, T: ?Sized>(&'a Locked<T>);

impl<T: ?Sized> Deref for Shared<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the lock is held, so no process writes, except to atomics.
        unsafe { &*self.0.state.get() }
    }
}

impl<T: ?Sized> Drop for Shared<'_, T> {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// The state, for writing.
pub struct Exclusive<'a, T: ?Sized>(&'a Locked<T>);

impl<T: ?Sized> Deref for Exclusive<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the lock is held exclusively.
        unsafe { &*self.0.state.get() }
    }
}

impl<T: ?Sized> DerefMut for Exclusive<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held exclusively, and this guard is borrowed exclusively.
        unsafe { &mut *self.0.state.get() }
    }
}

impl<T: ?Sized> Drop for Exclusive<'_, T> {
    fn drop(&mut self) {
        self.0.release();
    }
}
