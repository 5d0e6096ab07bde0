//! Fills the holes in the postmaster's heap, so that what a backend allocates lies side by side.
//!
//! Preloading leaves small free pieces all over the heap. A backend's allocator hands them out first, and each page that is
//! written then is one that the kernel has to copy. So the postmaster takes them and keeps them: some 40 kB, once for the
//! whole server, which save a login nine page faults. A hole larger than the mark would leave the holes behind it as they
//! are, without harm.

use std::hint::black_box;
use std::mem;
use std::ops::RangeInclusive;

/// More than a hole has room for: what lies behind such a piece is no hole.
const MARK_BYTES: usize = 64 * 1024;
/// The sizes of pieces that glibc's allocator keeps in lists of their own, and of which a login uses most.
const SIZES: RangeInclusive<usize> = 24..=1032;
const STEP: usize = 16;
/// The loop has an end whatever the allocator does.
const MAX_BYTES: usize = 1024 * 1024;

/// Where each backend loads the module again, and with other allocators, there is nothing to fill.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn fill() -> usize {
    0
}

/// To be called in the postmaster, at the end of preloading. Returns how many bytes it filled.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn fill() -> usize {
    let mark: Vec<u8> = Vec::with_capacity(MARK_BYTES);
    let mut left = MAX_BYTES;
    for bytes in SIZES.step_by(STEP) {
        loop {
            let piece: Vec<u8> = Vec::with_capacity(bytes);
            let is_behind = black_box(piece.as_ptr()) > black_box(mark.as_ptr());
            if is_behind || left < bytes {
                break;
            }
            left -= bytes;
            mem::forget(piece);
        }
    }
    MAX_BYTES - left
}
