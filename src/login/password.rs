//! What pam_validator.so calls for a `pam` line: tokens that come as passwords, from clients that cannot send tokens.
//!
//! The numbers here are those of crates/pam-validator/src/lib.rs. PostgreSQL has no handler for errors while it authenticates,
//! and libpam's frames must not be unwound: so nothing leaves these functions but by their return, or by the end of the
//! process.

use std::ffi::{CStr, c_char, c_int};

use oauth_core::{Bearer, is_token};
use pgrx::pg_guard;

use crate::login::judge_login::{Form, Source, contained, judge_login, may_be_asked};
use crate::postgres::hba;
use crate::settings;

/// What both sides must agree on: the functions' names, arguments and results. A change of them changes it.
const INTERFACE: c_int = 1;

/// Yes: ask the client, or the token opens the session.
const YES: c_int = 0;
/// No, which has been logged.
const NO: c_int = 1;
/// Another interface is spoken here, or this is not a client's authentication by a line of the method `pam`.
const UNSUITABLE: c_int = 2;
/// What was given is not a token, and nothing was logged.
const NOT_A_TOKEN: c_int = 3;

/// What is not a token is left to other PAM modules.
const LEAVE_OTHERS: c_int = 1;

/// Whether the client may be asked for a token: nothing must be sent over a connection that others could read, or to a
/// server that does not accept tokens.
// SAFETY: nothing else in the server defines this name.
#[unsafe(no_mangle)]
#[pg_guard]
pub extern "C-unwind" fn validator_password_begin(interface: c_int) -> c_int {
    let Some(role) = role_to_authenticate(interface) else {
        return UNSUITABLE;
    };
    let may_be_asked = contained(role, || source().is_some_and(|it| may_be_asked(&it, role)));
    if may_be_asked { YES } else { NO }
}

/// Whether a password is a token that opens the session. The role is the one that PostgreSQL opens the session for,
/// whatever name other PAM modules have put in its place.
///
/// # Safety
/// `password` is null, or NUL-terminated and alive during the call.
// SAFETY: nothing else in the server defines this name.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn validator_password_judge(
    interface: c_int,
    password: *const c_char,
    flags: c_int,
) -> c_int {
    let Some(role) = role_to_authenticate(interface) else {
        return UNSUITABLE;
    };
    if password.is_null() {
        return NO;
    }
    // SAFETY: not null, and by this function's contract.
    let password = unsafe { CStr::from_ptr(password) };
    contained(role, || match source() {
        None => NO,
        Some(source) if flags & LEAVE_OTHERS != 0 && is_for_others(&source, password) => {
            NOT_A_TOKEN
        }
        Some(source) => {
            let judged = judge_login(source, password, role);
            if !judged.is_authorized() {
                return NO;
            }
            judged.keep_claims();
            // The one place that opens a session by a password: the token was granted the role, and its identity is known
            // to session_start.
            YES
        }
    })
}

/// The role that is being authenticated by a line of the method `pam`. `None`: none is, or another interface is meant.
fn role_to_authenticate(interface: c_int) -> Option<&'static CStr> {
    hba::matched_pam_line().filter(|_| interface == INTERFACE)?;
    hba::requested_role()
}

/// The matched line, with what the settings say about its PAM service.
fn source() -> Option<Source> {
    let pam = hba::matched_pam_line()?;
    let (line, options) = match settings::line_of_service(&pam) {
        Ok((line, options)) => (Ok(line), Ok(options)),
        Err(misconfigured) => (Err(misconfigured.clone()), Err(misconfigured)),
    };
    Some(Source {
        number: Some(pam.number),
        line,
        options,
        form: Form::Password,
    })
}

/// Whether the password is not a token. Where the settings cannot be read, the judgement says why.
fn is_for_others(source: &Source, password: &CStr) -> bool {
    let (Ok(line), Ok(options)) = (&source.line, &source.options) else {
        return false;
    };
    let Ok(settings) = settings::read(line, options) else {
        return false;
    };
    let Ok(password) = password.to_str() else {
        return true;
    };
    !is_token(&Bearer::new(password), &settings.policy)
}
