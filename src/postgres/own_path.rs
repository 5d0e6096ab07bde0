//! The file that this module was loaded from.

use std::ffi::{CStr, c_char, c_void};
use std::mem::MaybeUninit;

use pgrx::pg_sys;

/// The file of a function of this module. By its name alone a worker could load another copy from another folder, which would
/// define all settings a second time and fail. `None`: the file is unknown, or its path cannot be a worker's library.
pub fn own_path(function: *const ()) -> Option<String> {
    let mut found = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: the address is not looked at, only looked up, and `found` can be written.
    let is_known = unsafe { libc::dladdr(function.cast::<c_void>(), found.as_mut_ptr()) } != 0;
    if !is_known {
        return None;
    }
    // SAFETY: written by the call above; the name is null, or NUL-terminated and lives as long as the module is loaded.
    let path = unsafe {
        let name = found.assume_init().dli_fname;
        (!name.is_null()).then(|| CStr::from_ptr(name))?
    };
    let path = path.to_str().ok()?;
    (path.contains('/') && path.len() < LIBRARY_ROOM).then(|| path.to_owned())
}

/// What a worker's library has room for, with its end: 1024 bytes, and 96 before version 17, which would cut the path.
const LIBRARY_ROOM: usize = length_of(|worker| &worker.bgw_library_name);

const fn length_of<const N: usize>(_: fn(&pg_sys::BackgroundWorker) -> &[c_char; N]) -> usize {
    N
}
