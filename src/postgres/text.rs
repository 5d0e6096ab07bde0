//! Text of the server's, which is NUL-terminated, and ours, and what a database can hold of it.

use std::ffi::{CStr, CString, c_char};

use pgrx::{PgSqlErrorCode, ereport, pg_sys};

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

/// Bytes of the server's; what is not UTF-8 is replaced.
pub fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// An argument of an SQL function, which is in the encoding of the database. Raises an error for one that is not valid in it,
/// or has a character that UTF-8 lacks. Functions take their arguments as bytes, since pgrx panics for a `&str` that is not
/// ASCII unless the database's encoding is UTF-8.
pub fn argument(bytes: &[u8]) -> String {
    // ASCII is the same in each.
    let converted = match bytes.is_ascii() {
        true => bytes,
        false => server_to_utf8(bytes),
    };
    let Ok(text) = std::str::from_utf8(converted) else {
        ereport!(
            ERROR,
            PgSqlErrorCode::ERRCODE_CHARACTER_NOT_IN_REPERTOIRE,
            "an argument is not valid in the encoding of the database"
        );
    };
    text.to_owned()
}

/// The same text in UTF-8, if it could be converted. Raises PostgreSQL's error if it could not.
fn server_to_utf8(bytes: &[u8]) -> &[u8] {
    // A text has at most 1 GB.
    let length = i32::try_from(bytes.len()).unwrap_or(0);
    let own = bytes.as_ptr().cast::<c_char>();
    // SAFETY: called in a transaction, in the main thread, with that many bytes; the result is the same pointer, or a
    // NUL-terminated string in the current memory context.
    unsafe {
        let converted = pg_sys::pg_server_to_any(own, length, pg_sys::pg_enc::PG_UTF8 as i32);
        match converted.cast_const() == own {
            true => bytes,
            false => CStr::from_ptr(converted).to_bytes(),
        }
    }
}

/// The name of a role as this database's own views show it: by its bytes, unless they are not valid here, which would be an
/// error when it is sent to the client.
pub fn shown_name(name: String) -> String {
    let length = i32::try_from(name.len()).unwrap_or(0);
    // SAFETY: called in a process with a database; that many bytes; it raises no error.
    let is_valid = unsafe {
        pg_sys::pg_verify_mbstr(
            pg_sys::GetDatabaseEncoding(),
            name.as_ptr().cast(),
            length,
            true,
        )
    };
    match is_valid {
        true => name,
        false => storable(name),
    }
}

/// Whether the database can hold every text.
pub fn is_utf8_database() -> bool {
    // SAFETY: a plain look at the connected database.
    unsafe { pg_sys::GetDatabaseEncoding() == pg_sys::pg_enc::PG_UTF8 as i32 }
}

/// For the server. Text with a NUL becomes empty: for names that are constants or were checked to have none.
pub fn c_string(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

/// Text from a token in a form that every database can hold: without NUL, and in its encoding.
pub fn storable(text: String) -> String {
    let is_utf8 = is_utf8_database();
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
