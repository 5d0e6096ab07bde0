//! PostgreSQL's random numbers.

use pgrx::pg_sys;

/// Spreads the next attempts of many servers. It must not be used for anything else: its output is predictable.
pub fn random() -> u32 {
    // SAFETY: PostgreSQL seeds this state at the start of each process; used in the main thread only.
    unsafe { pg_sys::pg_prng_uint32(&raw mut pg_sys::pg_global_prng_state) }
}

/// Unguessable bytes. `None`: the system could not provide them.
pub fn strong<const BYTES: usize>() -> Option<[u8; BYTES]> {
    let mut bytes = [0_u8; BYTES];
    // SAFETY: PostgreSQL's own strong source of random bytes fills the buffer that it is given.
    let is_filled = unsafe { pg_sys::pg_strong_random(bytes.as_mut_ptr().cast(), bytes.len()) };
    is_filled.then_some(bytes)
}
