//! What PostgreSQL 19's view of pg_hba.conf does not show: the settings on its lines. Read by the server's own parser.

use std::ffi::{c_int, c_void};

use pgrx::pg_sys;

use crate::postgres::abi;
use crate::postgres::hba::FileLine;
use crate::postgres::text::copied_lossy;

/// As PostgreSQL's own view does: what is wrong with a line is not logged again.
const QUIETLY: c_int = pg_sys::DEBUG3 as c_int;

/// `validator.NAME=VALUE` for every setting on every line that can be read.
pub fn line_settings() -> Vec<(FileLine, String)> {
    let mut settings = Vec::new();
    let mut lines = std::ptr::null_mut();
    let mut error = std::ptr::null_mut();
    // SAFETY: the server's own functions for its own file, used as its view pg_hba_file_rules uses them; the
    // lines live until free_auth_file, and what is parsed of them in the current memory context, which outlives this
    // function. An error that they raise unwinds, and the file is then closed at the end of the transaction.
    unsafe {
        let path = pg_sys::HbaFileName;
        let file = abi::guarded(|| abi::open_auth_file(path, QUIETLY, 0, &mut error));
        if file.is_null() {
            return settings;
        }
        abi::guarded(|| abi::tokenize_auth_file(path, file, &mut lines, QUIETLY, 0));
        for line in elements(lines) {
            let line = line.cast::<abi::TokenizedAuthLine>();
            if !(*line).err_msg.is_null() {
                continue;
            }
            let Some(parsed) = abi::guarded(|| abi::parse_hba_line(line, QUIETLY)).as_ref() else {
                continue;
            };
            let names = elements(parsed.oauth_opt_keys);
            for (name, value) in names.zip(elements(parsed.oauth_opt_vals)) {
                let place = FileLine {
                    file: copied_lossy((*line).file_name),
                    line: (*line).line_num,
                };
                let (name, value) = (copied_lossy(name.cast()), copied_lossy(value.cast()));
                settings.push((place, format!("validator.{name}={value}")));
            }
        }
        // The lines go with it.
        abi::guarded(|| abi::free_auth_file(file, 0));
    }
    settings
}

/// The pointers in a list.
///
/// # Safety
/// `list` is null, the empty list, or a list of pointers that lives as long as the result.
unsafe fn elements(list: *mut abi::List) -> impl Iterator<Item = *mut c_void> {
    // SAFETY: by this function's contract; both crates' types are made from the same header (nodes/pg_list.h).
    let cells = unsafe {
        match list.cast::<pg_sys::List>().as_ref() {
            Some(list) => {
                let length = usize::try_from(list.length).unwrap_or(0);
                std::slice::from_raw_parts(list.elements, length)
            }
            None => &[],
        }
    };
    // SAFETY: the list holds pointers.
    cells.iter().map(|cell| unsafe { cell.ptr_value })
}
