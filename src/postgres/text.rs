//! Text of the server's, which is NUL-terminated, and ours, and what a database can hold of it.

use std::ffi::{CStr, CString, c_char};

use pgrx::pg_sys;

/// A string of the server's; null is empty. `None`: it is not UTF-8.
///
/// # Safety
/// `text` is null or a NUL-terminated string that lives as long as the result is used.
pub unsafe fn borrowed<'a>(text: *const c_char) -> Option<&'a str> {
    if text.is_null() {
        return Some("");
    }
    // SAFETY: by this function's contract.
    unsafe { CStr::from_ptr(text) }.to_str().ok()
}

/// A copy of a string of the server's. `None`: it is null or not UTF-8.
///
/// # Safety
/// `text` is null or NUL-terminated.
pub unsafe fn copied(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: by this function's contract.
    unsafe { borrowed(text) }.map(str::to_owned)
}

/// The same; null is empty, and what is not UTF-8 is replaced.
///
/// # Safety
/// `text` is null or NUL-terminated.
pub unsafe fn copied_lossy(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: by this function's contract.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_string_lossy().into_owned()
}

/// For the server. Text with a NUL becomes empty: for names that are constants or were checked to have none.
pub fn c_string(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

/// Text from a token in a form that every database can hold: without NUL, and in its encoding.
pub fn storable(text: String) -> String {
    // SAFETY: a plain look at the connected database.
    let is_utf8 = unsafe { pg_sys::GetDatabaseEncoding() } == pg_sys::pg_enc::PG_UTF8 as i32;
    let fits = |c: char| c != '\0' && (is_utf8 || c.is_ascii());
    if text.chars().all(fits) {
        return text;
    }
    text.chars()
        .flat_map(|c| match fits(c) {
            true => vec![c],
            false => c.escape_unicode().collect(),
        })
        .collect()
}

/// An identifier for a statement, in quotes where it needs some.
pub fn quoted(name: &str) -> String {
    let name = c_string(name);
    // SAFETY: a NUL-terminated string; the result is one, too, in the current memory context.
    unsafe { copied_lossy(pg_sys::quote_identifier(name.as_ptr())) }
}

/// A string constant for a statement.
pub fn literal(text: &str) -> String {
    let text = c_string(text);
    // SAFETY: as above.
    unsafe { copied_lossy(pg_sys::quote_literal_cstr(text.as_ptr())) }
}
