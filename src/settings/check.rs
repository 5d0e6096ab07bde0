//! How the value of a text setting is checked: by the type that it is read into.

use std::ffi::{c_char, c_void};
use std::str::FromStr;

use pgrx::guc::GucCheckError;
use pgrx::pg_guard;

use crate::postgres::text::borrowed;

/// What PostgreSQL calls before a text setting takes a value.
pub type CheckHook = unsafe extern "C-unwind" fn(*mut *mut c_char, *mut *mut c_void, u32) -> bool;

/// Whether the text can be read into a `T`.
///
/// Errors: why not.
pub fn check<T: FromStr<Err: ToString>>(text: &str) -> Result<(), String> {
    text.parse::<T>()
        .map(drop)
        .map_err(|error| error.to_string())
}

/// Called by PostgreSQL before a text setting takes a value: refuses one that does not parse.
#[pg_guard]
pub unsafe extern "C-unwind" fn check_text<T: FromStr<Err: ToString>>(
    new_value: *mut *mut c_char,
    _extra: *mut *mut c_void,
    _source: u32,
) -> bool {
    // SAFETY: a check hook is given a pointer to the new value, a NUL-terminated string or null.
    let text = unsafe { new_value.as_ref().and_then(|value| borrowed(*value)) };
    let checked = match text {
        Some(text) => check::<T>(text),
        None => Err("it is not UTF-8".to_owned()),
    };
    match checked {
        Ok(()) => true,
        Err(why) => {
            let detail = format!("{}.", capitalized(&why));
            // SAFETY: called from within a check hook.
            unsafe { GucCheckError::default().with_detail(detail).apply() };
            false
        }
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        format!("{}{}", first.to_uppercase(), chars.as_str())
    })
}
