//! What PostgreSQL calls: the OAuth validator module interface of `libpq/oauth.h`.

use std::ffi::{CStr, CString, c_char};
use std::panic::AssertUnwindSafe;

use oauth_core::{
    Bearer, Decision, Internal, LoginAttempt, Misconfigured, Policy, Printable, Reject,
    SystemClock, judge,
};
use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgSqlErrorCode, PgTryBuilder, pg_guard, pg_sys};

use crate::abi::{
    OAuthValidatorCallbacks, PG_OAUTH_VALIDATOR_MAGIC, ValidatorModuleResult, ValidatorModuleState,
    ValidatorStartupCB,
};
use crate::peer::TlsPeer;
use crate::refusal_log::log_refusal;
use crate::role_catalog::ServerCatalog;
use crate::{hba, hba_options, session_claims, session_start, settings, shared_memory};

/// There is nothing to shut down.
static CALLBACKS: OAuthValidatorCallbacks = OAuthValidatorCallbacks {
    magic: PG_OAUTH_VALIDATOR_MAGIC,
    startup_cb: STARTUP,
    shutdown_cb: None,
    validate_cb: Some(validate),
};

/// What there is to start: settings are defined when the module is loaded, and those on lines of pg_hba.conf here.
#[cfg(feature = "pg19")]
const STARTUP: ValidatorStartupCB = Some(hba_options::register);
#[cfg(not(feature = "pg19"))]
const STARTUP: ValidatorStartupCB = None;

/// The symbol by which PostgreSQL knows a validator module.
// SAFETY: the server looks for this name in every validator module, and nothing else defines it.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn _PG_oauth_validator_module_init() -> *const OAuthValidatorCallbacks {
    &CALLBACKS
}

/// Decides about one token. Returns false only for a fault of ours; a refusal returns true with
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

    // SAFETY: a plain read of a pointer that is always valid; what catches errors may change it.
    let callers_context = unsafe { pg_sys::CurrentMemoryContext };
    let (decision, policy) = decide_and_contain(state, token, role);
    let refusal = decision.outcome().err();
    if let Some(failure) = refusal {
        count_refusal(failure);
        log_refusal(&role.to_string_lossy(), &decision, failure, policy.as_ref());
        explain(result, &decision, failure, policy.as_ref(), callers_context);
    }
    result.authn_id = decision
        .authn_id()
        .map_or(std::ptr::null_mut(), |id| copy(id, callers_context));
    // The one place that opens a session: a grant whose identity has reached the result.
    result.authorized = decision.is_authorized() && !result.authn_id.is_null();
    let is_our_fault = matches!(refusal, Some(oauth_core::Failure::Internal(_)));
    if result.authorized {
        session_claims::keep(decision);
    }
    !is_our_fault
}

/// PostgreSQL 19 puts our reason into its own log line, too.
#[cfg(feature = "pg19")]
fn explain(
    result: &mut ValidatorModuleResult,
    decision: &Decision,
    failure: &oauth_core::Failure,
    policy: Option<&Policy>,
    context: pg_sys::MemoryContext,
) {
    let reason = crate::refusal_log::reason(decision, failure, policy);
    result.error_detail = copy(&reason, context);
}

#[cfg(not(feature = "pg19"))]
fn explain(
    _result: &mut ValidatorModuleResult,
    _decision: &Decision,
    _failure: &oauth_core::Failure,
    _policy: Option<&Policy>,
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

/// Decides, and turns every panic and every error of PostgreSQL's into a fault of ours, since their text
/// would reach the unauthenticated client. Only errors that tell this backend to stop are passed on.
fn decide_and_contain(
    state: *const ValidatorModuleState,
    token: &CStr,
    role: &CStr,
) -> (Decision, Option<Policy>) {
    PgTryBuilder::new(AssertUnwindSafe(|| decide(state, token, role)))
        .catch_others(|error| match error {
            CaughtError::PostgresError(report) if is_order_to_stop(report.sql_error_code()) => {
                CaughtError::PostgresError(report).rethrow()
            }
            CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => {
                (fault(report.message()), None)
            }
            // A panic's text may quote what it worked on; its place is enough to find it.
            CaughtError::RustPanic { ereport, .. } => {
                let place = format!("panic at {}:{}", ereport.file(), ereport.line_number());
                (fault(&place), None)
            }
        })
        .execute()
}

/// Counts a refusal. What fails here must neither reach the client nor change the outcome.
fn count_refusal(failure: &oauth_core::Failure) {
    PgTryBuilder::new(AssertUnwindSafe(|| {
        if let Some(line) = hba::matched_line() {
            let issuer = settings::issuer_name(&line.issuer);
            shared_memory::statistics().count_refused(&issuer, failure);
        }
    }))
    .catch_others(|error| match error {
        CaughtError::PostgresError(report) if is_order_to_stop(report.sql_error_code()) => {
            CaughtError::PostgresError(report).rethrow()
        }
        _ => {}
    })
    .execute();
}

fn fault(what: &str) -> Decision {
    Decision::refused(Internal(Printable::new(what)))
}

/// Errors by which PostgreSQL ends a query or a backend.
fn is_order_to_stop(code: PgSqlErrorCode) -> bool {
    matches!(
        code,
        PgSqlErrorCode::ERRCODE_QUERY_CANCELED
            | PgSqlErrorCode::ERRCODE_ADMIN_SHUTDOWN
            | PgSqlErrorCode::ERRCODE_CRASH_SHUTDOWN
            | PgSqlErrorCode::ERRCODE_CANNOT_CONNECT_NOW
            | PgSqlErrorCode::ERRCODE_DATABASE_DROPPED
    )
}

/// Settings and HBA line, then the judgement.
fn decide(
    state: *const ValidatorModuleState,
    token: &CStr,
    role: &CStr,
) -> (Decision, Option<Policy>) {
    let Some(line) = hba::matched_line() else {
        let why = "pg_hba.conf names none";
        return (
            Decision::refused(Misconfigured::IssuerInvalid { why }),
            None,
        );
    };
    // SAFETY: the state that PostgreSQL gave to validate_cb, in which we are.
    let options = unsafe { hba_options::read(state) };
    let settings = match options.and_then(|options| settings::read(&line, &options)) {
        Ok(settings) => settings,
        Err(misconfigured) => return (Decision::refused(misconfigured), None),
    };
    // RFC 6750 §2.1: a bearer token is ASCII, which PostgreSQL has checked.
    let Ok(token) = token.to_str() else {
        return (
            Decision::refused(Reject::BadEncoding),
            Some(settings.policy),
        );
    };
    // Claims are UTF-8, so none can name such a role, and nothing that only looks like it may.
    let Ok(role) = role.to_str() else {
        let values = Printable::new("");
        return (
            Decision::refused(Reject::RoleNotGranted { values }),
            Some(settings.policy),
        );
    };
    let attempt = LoginAttempt {
        token: Bearer::new(token),
        role,
        peer: &TlsPeer,
        catalog: &ServerCatalog,
        introspector: settings.introspector(),
    };
    let decision = judge(&attempt, &settings.policy, &settings.keys, &SystemClock);
    if let (Ok(grant), Some(identity)) = (decision.outcome(), decision.authn_id()) {
        // Here, where what fails refuses the login.
        if let Err(fault) = session_start::prepare(grant, &settings, identity) {
            return (Decision::refused(fault), Some(settings.policy));
        }
    }
    (decision, Some(settings.policy))
}
