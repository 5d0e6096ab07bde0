//! postgresql.conf as it is now, with what it includes, and what ALTER SYSTEM has set: read by the server's own parser,
//! to explain why a setting cannot be used.

use std::ffi::{CStr, c_int};

use pgrx::pg_sys;

use crate::postgres::hba::FileLine;
use crate::postgres::text::copied_lossy;

/// What is wrong with a file is not logged again.
const QUIETLY: c_int = pg_sys::DEBUG3 as c_int;

/// Where ALTER SYSTEM writes, in the server's folder.
const OF_ALTER_SYSTEM: &CStr = c"postgresql.auto.conf";

/// The value that the files give a setting, and where it stands. `None`: it is not in them.
pub fn last_value(name: &str) -> Option<(String, FileLine)> {
    let mut last = None;
    let mut head = std::ptr::null_mut();
    let mut tail = std::ptr::null_mut();
    // SAFETY: the server's parser, for the files that it reads itself; both paths are NUL-terminated. It appends to a list
    // in the current memory context, which lives longer than this function.
    unsafe {
        for path in [
            pg_sys::ConfigFileName.cast_const(),
            OF_ALTER_SYSTEM.as_ptr(),
        ] {
            if path.is_null() {
                continue;
            }
            let (caller, line, depth) = (std::ptr::null(), 0, 0);
            pg_sys::ParseConfigFile(
                path, true, caller, line, depth, QUIETLY, &mut head, &mut tail,
            );
        }
        let mut next = head;
        while let Some(entry) = next.as_ref() {
            next = entry.next;
            // An entry that could not be read has only a message.
            let is_it = !entry.name.is_null()
                && !entry.value.is_null()
                && copied_lossy(entry.name).eq_ignore_ascii_case(name);
            if is_it {
                let file = copied_lossy(entry.filename);
                let line = entry.sourceline;
                last = Some((copied_lossy(entry.value), FileLine { file, line }));
            }
        }
    }
    last
}
