//! What PostgreSQL calls: the OAuth validator module interface of `libpq/oauth.h`.

use std::ffi::{CStr, CString, c_char};
use std::sync::atomic::{AtomicBool, Ordering};

use oauth_core::{
    Bearer, Decision, LoginAttempt, Misconfigured, Policy, Printable, Reject, Sketch, SystemClock,
    judge,
};
use pgrx::{PgSqlErrorCode, ereport, pg_guard, pg_sys};

use crate::log::circumstances::Circumstances;
use crate::log::refusal_log::log_refusal;
use crate::login::session_claims;
use crate::login::session_start;
use crate::memory;
use crate::postgres::abi::{
    OAuthValidatorCallbacks, PG_OAUTH_VALIDATOR_MAGIC, ValidatorModuleResult, ValidatorModuleState,
    ValidatorStartupCB,
};
use crate::postgres::auth_file::issuers_of_lines;
use crate::postgres::client_certificate::TlsPeer;
use crate::postgres::connection;
use crate::postgres::containment::{contain, end_backend};
use crate::postgres::hba;
use crate::postgres::role_catalog::ServerCatalog;
use crate::provider::introspection::introspector;
use crate::settings;
use crate::settings::{LoginSettings, line_options};

/// How often a login is judged again if the caches are flushed during it.
const MAX_REPEATS: usize = 3;

/// This is not the first copy of the module that is loaded into this process: it has no settings and no shared memory.
static IS_SECOND_COPY: AtomicBool = AtomicBool::new(false);

/// Has a second copy of the module, under another file name, do nothing. Where a login loads it, that login is refused later,
/// with a reason: an error here would be shown to the client.
pub fn refuse_second_copy() {
    // SAFETY: a plain variable of this process.
    if !unsafe { pg_sys::ClientAuthInProgress } {
        ereport!(
            ERROR,
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "another copy of the module \"validator\" is loaded",
            "A server, or a session, can use one file of it only."
        );
    }
    IS_SECOND_COPY.store(true, Ordering::Relaxed);
}

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

    match contain(|| fill(result, state, token, role)) {
        Ok(is_done) => is_done,
        Err(failure) => {
            // Also where the error came after the decision.
            result.authorized = false;
            let _ = contain(|| {
                log_refusal(&role.to_string_lossy(), &failure, &Circumstances::default());
            });
            end_backend()
        }
    }
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
    let (decision, settings) = decide(state, token, role);
    let refusal = decision.outcome().err();
    if let Some(failure) = refusal {
        count_refusal(failure);
        let policy = settings.as_ref().map(|settings| &settings.policy);
        let sketch = sketch_of(token, failure, policy);
        let known = Circumstances {
            policy,
            evidence: Some(decision.evidence()),
            sketch: sketch.as_ref(),
            hba_line: hba::matched_line().map(|line| line.number),
            other_line: sketch.as_ref().and_then(line_for_another),
            profile: settings.as_ref().and_then(|settings| settings.profile),
        };
        log_refusal(&role.to_string_lossy(), failure, &known);
        set_error_detail(result, failure, &known, callers_context);
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

/// What a refused token says of itself. If the fault is not the token's, that does not matter.
fn sketch_of(
    token: &CStr,
    failure: &oauth_core::Failure,
    policy: Option<&Policy>,
) -> Option<Sketch> {
    let is_rejected = matches!(failure, oauth_core::Failure::Reject(_));
    let policy = policy.filter(|_| is_rejected)?;
    Sketch::of(&Bearer::new(token.to_str().ok()?), policy)
}

/// The line of pg_hba.conf for the issuer that a refused token names, if it is not the one that matched.
fn line_for_another(sketch: &Sketch) -> Option<i32> {
    let named = sketch.other_issuer()?;
    issuers_of_lines()
        .into_iter()
        .find_map(|(number, url)| (settings::issuer_name(&url) == named).then_some(number))
}

/// PostgreSQL 19 puts our reason into its own log line, too.
#[cfg(feature = "pg19")]
fn set_error_detail(
    result: &mut ValidatorModuleResult,
    failure: &oauth_core::Failure,
    known: &Circumstances<'_>,
    context: pg_sys::MemoryContext,
) {
    let facts = crate::log::refusal_log::facts(failure, known);
    result.error_detail = copy(&facts, context);
}

#[cfg(not(feature = "pg19"))]
fn set_error_detail(
    _result: &mut ValidatorModuleResult,
    _failure: &oauth_core::Failure,
    _known: &Circumstances<'_>,
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

/// Counts a refusal, if there is memory to count in: to attach to it might be what has failed.
fn count_refusal(failure: &oauth_core::Failure) {
    if let (Some(line), Some(statistics)) = (hba::matched_line(), memory::attached_statistics()) {
        statistics.count_refused(&settings::issuer_name(&line.issuer), failure);
    }
}

/// Settings and HBA line, then the judgement.
fn decide(
    state: *const ValidatorModuleState,
    token: &CStr,
    role: &CStr,
) -> (Decision, Option<LoginSettings>) {
    if IS_SECOND_COPY.load(Ordering::Relaxed) {
        return (Decision::refused(Misconfigured::LoadedTwice), None);
    }
    let Some(line) = hba::matched_line() else {
        let why = "pg_hba.conf names none";
        return (
            Decision::refused(Misconfigured::IssuerInvalid { why }),
            None,
        );
    };
    // First of all: without shared memory nothing is counted, and no login succeeds.
    memory::attach();
    let revocations = memory::revocations();
    // Before anything is read that the token is judged by.
    let mut begun = revocations.now();
    // SAFETY: the state that PostgreSQL gave to validate_cb, in which we are.
    let options = unsafe { line_options::read(state) };
    let settings = match options.and_then(|options| settings::read(&line, &options)) {
        Ok(settings) => settings,
        Err(misconfigured) => return (Decision::refused(misconfigured), None),
    };
    // Before the token is looked at, so that nothing is fetched for it.
    if settings.require_tls && !connection::is_private() {
        return (Decision::refused(Reject::TlsRequired), Some(settings));
    }
    // RFC 6750 §2.1: a bearer token is ASCII, which PostgreSQL has checked.
    let Ok(token) = token.to_str() else {
        return (Decision::refused(Reject::BadEncoding), Some(settings));
    };
    // Claims are UTF-8, so none can name such a role, and nothing that only looks like it may.
    let Ok(role) = role.to_str() else {
        let values = Printable::new("");
        return (
            Decision::refused(Reject::RoleNotGranted { values }),
            Some(settings),
        );
    };
    let attempt = LoginAttempt {
        token: Bearer::new(token),
        role,
        peer: &TlsPeer,
        catalog: &ServerCatalog,
        introspector: introspector(&settings.introspection),
    };
    let judge = || judge(&attempt, &settings.policy, &settings.keys, &SystemClock);
    let mut decision = judge();
    // The same as if the client were refused and tried again; session_start ends a login that is still overtaken.
    for _ in 0..MAX_REPEATS {
        match revocations
            .after_flush(begun)
            .filter(|_| decision.is_authorized())
        {
            Some(later) => (begun, decision) = (later, judge()),
            None => break,
        }
    }
    if let (Ok(grant), Some(identity)) = (decision.outcome(), decision.authn_id()) {
        // Here, where what fails refuses the login.
        if let Err(fault) = session_start::prepare(grant, &settings, identity, begun) {
            return (Decision::refused(fault), Some(settings));
        }
    }
    (decision, Some(settings))
}
