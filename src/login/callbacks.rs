//! What PostgreSQL calls for an `oauth` line: the OAuth validator module interface of `libpq/oauth.h`.

use std::ffi::{CStr, CString, c_char};

use oauth_core::Misconfigured;
use pgrx::{pg_guard, pg_sys};

use crate::login::judge_login::{Form, Judged, Source, contained, judge_login};
use crate::postgres::abi::{
    OAuthValidatorCallbacks, PG_OAUTH_VALIDATOR_MAGIC, ValidatorModuleResult, ValidatorModuleState,
    ValidatorStartupCB,
};
use crate::postgres::hba;
use crate::settings::line_options;

/// There is nothing to shut down.
static CALLBACKS: OAuthValidatorCallbacks = OAuthValidatorCallbacks {
    magic: PG_OAUTH_VALIDATOR_MAGIC,
    startup_cb: STARTUP,
    shutdown_cb: None,
    validate_cb: Some(validate),
};

/// What there is to start: settings are defined when the module is loaded, and those on lines of pg_hba.conf here.
#[cfg(feature = "pg19")]
const STARTUP: ValidatorStartupCB = Some(line_options::register);
#[cfg(not(feature = "pg19"))]
const STARTUP: ValidatorStartupCB = None;

/// The symbol by which PostgreSQL knows a validator module.
// SAFETY: the server looks for this name in every validator module, and nothing else defines it.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn _PG_oauth_validator_module_init() -> *const OAuthValidatorCallbacks {
    &CALLBACKS
}

/// Decides about one token. Returns false only for an internal fault; a refusal returns true with
/// `authorized` false. The client sees the same generic failure in both cases.
///
/// # Safety
/// Called by PostgreSQL while a backend authenticates, with NUL-terminated strings and a result to fill.
#[pg_guard]
unsafe extern "C-unwind" fn validate(
    state: *const ValidatorModuleState,
    token: *const c_char,
    role: *const c_char,
    result: *mut ValidatorModuleResult,
) -> bool {
    // SAFETY: PostgreSQL gives a result that is ours to fill (src/backend/libpq/auth-oauth.c, validate).
    let Some(result) = (unsafe { result.as_mut() }) else {
        return false;
    };
    result.authorized = false;
    result.authn_id = std::ptr::null_mut();
    if token.is_null() || role.is_null() {
        return false;
    }
    // SAFETY: not null, NUL-terminated, and alive during this call.
    let (token, role) = unsafe { (CStr::from_ptr(token), CStr::from_ptr(role)) };
    contained(role, || fill(result, state, token, role))
}

/// Decides, and fills the result; false for an internal fault.
fn fill(
    result: &mut ValidatorModuleResult,
    state: *const ValidatorModuleState,
    token: &CStr,
    role: &CStr,
) -> bool {
    // SAFETY: a plain read of a pointer that is always valid.
    let callers_context = unsafe { pg_sys::CurrentMemoryContext };
    let judged = judge_login(source(state), token, role);
    let is_our_fault = judged.is_our_fault();
    set_error_detail(result, &judged, callers_context);
    result.authn_id = judged
        .authn_id()
        .map_or(std::ptr::null_mut(), |id| copy(id, callers_context));
    // The one place that opens a session: a grant whose identity has reached the result.
    result.authorized = judged.is_authorized() && !result.authn_id.is_null();
    if result.authorized {
        judged.keep_claims();
    }
    !is_our_fault
}

/// The matched line, which gives the issuer and what the token is for.
fn source(state: *const ValidatorModuleState) -> Source {
    let why = "pg_hba.conf names none";
    let line = hba::matched_line();
    Source {
        number: line.as_ref().map(|line| line.number),
        line: line.ok_or(Misconfigured::IssuerInvalid { why }),
        // SAFETY: the state that PostgreSQL gave to validate_cb, in which we are.
        options: unsafe { line_options::read(state) },
        form: Form::Bearer,
    }
}

/// PostgreSQL 19 puts our reason into its own log line, too.
#[cfg(feature = "pg19")]
fn set_error_detail(
    result: &mut ValidatorModuleResult,
    judged: &Judged,
    context: pg_sys::MemoryContext,
) {
    if let Some(facts) = &judged.refusal {
        result.error_detail = copy(facts, context);
    }
}

#[cfg(not(feature = "pg19"))]
fn set_error_detail(
    _result: &mut ValidatorModuleResult,
    _judged: &Judged,
    _context: pg_sys::MemoryContext,
) {
}

/// Copies text into the caller's memory context. Null if it has a NUL, which no identity has.
fn copy(text: &str, context: pg_sys::MemoryContext) -> *mut c_char {
    match CString::new(text) {
        // SAFETY: the context is the caller's, and the string is NUL-terminated.
        Ok(text) => unsafe { pg_sys::MemoryContextStrdup(context, text.as_ptr()) },
        Err(_) => std::ptr::null_mut(),
    }
}
