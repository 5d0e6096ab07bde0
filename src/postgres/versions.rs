//! What PostgreSQL's major versions name or do differently, where the module needs the same of all of them. What only some
//! offer stands where it is used: the method `oauth` and named segments of memory, and from 19 on options of lines.

use std::ffi::{CStr, c_char, c_int};

use pgrx::pg_sys;

use crate::postgres::abi;

/// Whether a line has delegate_ident_mapping.
#[cfg(oauth)]
pub fn is_delegated(line: &abi::HbaLine) -> bool {
    line.oauth_skip_usermap
}

/// Before 18 none has.
#[cfg(not(oauth))]
pub fn is_delegated(_line: &abi::HbaLine) -> bool {
    false
}

/// A wait event of the module's own, for the view pg_stat_activity.
#[cfg(not(any(feature = "pg15", feature = "pg16")))]
pub fn new_wait_event(name: &CStr) -> u32 {
    // SAFETY: called in the main thread; the same name gives the same number in every process.
    unsafe { pg_sys::WaitEventExtensionNew(name.as_ptr()) }
}

/// Before 17 all modules share one.
#[cfg(any(feature = "pg15", feature = "pg16"))]
pub fn new_wait_event(_name: &CStr) -> u32 {
    pg_sys::PG_WAIT_EXTENSION
}

/// The record of a setting, or null.
#[cfg(not(feature = "pg15"))]
pub fn find_setting(name: &CStr) -> *const pg_sys::config_generic {
    // SAFETY: find_option only reads the table of settings, and returns null or one of its records.
    unsafe { pg_sys::find_option(name.as_ptr(), false, true, pg_sys::DEBUG5 as c_int) }
}

/// 15 keeps its search to itself, not its table.
#[cfg(feature = "pg15")]
pub fn find_setting(name: &CStr) -> *const pg_sys::config_generic {
    // SAFETY: the table has as many records as PostgreSQL says, each with a NUL-terminated name.
    let table = unsafe {
        let count = usize::try_from(pg_sys::GetNumConfigOptions()).unwrap_or(0);
        std::slice::from_raw_parts(pg_sys::get_guc_variables(), count)
    };
    let is_it = |record: &&*mut pg_sys::config_generic| {
        // SAFETY: as above.
        let own = unsafe { CStr::from_ptr((***record).name) };
        own.to_bytes().eq_ignore_ascii_case(name.to_bytes())
    };
    table.iter().find(is_it).copied().unwrap_or_default()
}

/// Lets a background worker connect as a role with NOLOGIN.
#[cfg(not(any(feature = "pg15", feature = "pg16")))]
pub const BYPASS_ROLELOGINCHECK: u32 = pg_sys::BGWORKER_BYPASS_ROLELOGINCHECK;

/// Up to 16 nothing does.
#[cfg(any(feature = "pg15", feature = "pg16"))]
pub const BYPASS_ROLELOGINCHECK: u32 = 0;

/// The number of this process among the server's, from 0; negative if it has none.
pub fn own_number() -> c_int {
    // SAFETY: a plain variable of this process, set when it has become one of the server's.
    #[cfg(not(any(feature = "pg15", feature = "pg16")))]
    let number = unsafe { pg_sys::MyProcNumber };
    // SAFETY: as above. These count from 1.
    #[cfg(any(feature = "pg15", feature = "pg16"))]
    let number = unsafe { pg_sys::MyBackendId }.saturating_sub(1);
    number
}

/// The process with this number: null, or in shared memory, which is never freed.
pub fn process_with_number(number: c_int) -> *const pg_sys::PGPROC {
    // SAFETY: takes any number.
    #[cfg(not(any(feature = "pg15", feature = "pg16")))]
    let process = unsafe { pg_sys::ProcNumberGetProc(number) };
    // SAFETY: takes any number.
    #[cfg(any(feature = "pg15", feature = "pg16"))]
    let process = unsafe { pg_sys::BackendIdGetProc(number.saturating_add(1)) };
    process
}

/// Has SIGTERM and SIGHUP set flags and the latch, as in PostgreSQL's own workers.
///
/// # Safety
/// Called in a background worker, before it unblocks signals.
pub unsafe fn install_workers_handlers() {
    #[cfg(not(oauth))]
    use pg_sys::pqsignal;
    #[cfg(oauth)]
    use pg_sys::pqsignal_be as pqsignal;

    #[cfg(not(feature = "pg19"))]
    unsafe extern "C-unwind" {
        fn SignalHandlerForShutdownRequest(signal: i32);
        fn SignalHandlerForConfigReload(signal: i32);
    }
    #[cfg(feature = "pg19")]
    unsafe extern "C-unwind" {
        fn SignalHandlerForShutdownRequest(signal: i32, info: *const pg_sys::pg_signal_info);
        fn SignalHandlerForConfigReload(signal: i32, info: *const pg_sys::pg_signal_info);
    }
    // SAFETY: by this function's contract; the server's own handlers, with the signatures of its headers
    // (postmaster/interrupt.h).
    unsafe {
        pqsignal(libc::SIGTERM, Some(SignalHandlerForShutdownRequest));
        pqsignal(libc::SIGHUP, Some(SignalHandlerForConfigReload));
    }
}

/// Has SIGTERM end the process as it ends a session, and SIGHUP as above.
///
/// # Safety
/// Called in a background worker, before it unblocks signals.
pub unsafe fn install_connected_workers_handlers() {
    #[cfg(not(oauth))]
    use pg_sys::pqsignal;
    #[cfg(oauth)]
    use pg_sys::pqsignal_be as pqsignal;

    #[cfg(not(feature = "pg19"))]
    unsafe extern "C-unwind" {
        fn die(signal: i32);
    }
    #[cfg(feature = "pg19")]
    unsafe extern "C-unwind" {
        fn die(signal: i32, info: *const pg_sys::pg_signal_info);
    }
    // SAFETY: by this function's contract; `die` is that of tcop/tcopprot.h.
    unsafe {
        install_workers_handlers();
        pqsignal(libc::SIGTERM, Some(die));
    }
}

/// The lines of pg_hba.conf or pg_ident.conf, split into words, with what frees them; `None` if there is no such file.
///
/// # Safety
/// `path` is that file's. The lines are not used after [`free_lines`].
#[cfg(not(feature = "pg15"))]
pub unsafe fn tokenized_lines(
    path: *const c_char,
    level: c_int,
) -> Option<(*mut abi::List, Tokens)> {
    let (mut lines, mut error) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: the server's own functions for its own file, used as its views use them.
    unsafe {
        let file = abi::guarded(|| abi::open_auth_file(path, level, 0, &mut error));
        if file.is_null() {
            return None;
        }
        abi::guarded(|| abi::tokenize_auth_file(path, file, &mut lines, level, 0));
        Some((lines, Tokens(file)))
    }
}

/// What the words of a file live in.
#[cfg(not(feature = "pg15"))]
pub struct Tokens(*mut abi::FILE);

#[cfg(feature = "pg15")]
pub struct Tokens(abi::MemoryContext);

#[cfg(not(feature = "pg15"))]
pub fn free_lines(tokens: Tokens) {
    // SAFETY: a file that tokenized_lines has opened; the words go with it.
    unsafe { abi::guarded(|| abi::free_auth_file(tokens.0, 0)) };
}

#[cfg(feature = "pg15")]
pub unsafe fn tokenized_lines(
    path: *const c_char,
    level: c_int,
) -> Option<(*mut abi::List, Tokens)> {
    let mut lines = std::ptr::null_mut();
    // SAFETY: as in later versions.
    unsafe {
        let file = pg_sys::AllocateFile(path, c"r".as_ptr());
        if file.is_null() {
            return None;
        }
        let context =
            abi::guarded(|| abi::tokenize_auth_file(path, file.cast(), &mut lines, level));
        pg_sys::FreeFile(file);
        Some((lines, Tokens(context)))
    }
}

#[cfg(feature = "pg15")]
pub fn free_lines(tokens: Tokens) {
    // SAFETY: the context that tokenized_lines has made.
    unsafe { pg_sys::MemoryContextDelete(tokens.0.cast()) };
}

/// The file that a line is in, which may be one that `_whole` includes.
#[cfg(not(feature = "pg15"))]
pub fn file_of(line: &abi::TokenizedAuthLine, _whole: *const c_char) -> *const c_char {
    line.file_name
}

/// 15 has no files that include others.
#[cfg(feature = "pg15")]
pub fn file_of(_line: &abi::TokenizedAuthLine, whole: *const c_char) -> *const c_char {
    whole
}

/// The regular expression of a word; null if it is none.
#[cfg(not(feature = "pg15"))]
pub fn regex_of(token: &abi::AuthToken) -> *mut abi::pg_regex_t {
    token.regex
}

/// In 15 only names of pg_ident.conf can be one.
#[cfg(feature = "pg15")]
pub fn regex_of(_token: &abi::AuthToken) -> *mut abi::pg_regex_t {
    std::ptr::null_mut()
}

/// A query of PostgreSQL's view of pg_hba.conf or pg_ident.conf, whose path the setting `file` has. 15 has neither files
/// that include others nor numbers but those of lines.
pub fn query_of_lines(sql: &str, file: &str) -> String {
    if !cfg!(feature = "pg15") {
        return sql.to_owned();
    }
    sql.replace("file_name", &format!("current_setting('{file}')"))
        .replace("rule_number", "line_number")
        .replace("map_number", "line_number")
}
