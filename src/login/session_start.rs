//! From an accepted token to a session: what happens once PostgreSQL, too, has admitted the user.

use std::ffi::c_int;

use oauth_core::{Grant, Internal, Policy, Printable, Timestamp};
use parking_lot::Mutex;
use pgrx::{PgSqlErrorCode, ereport, pg_guard};

use crate::log::server_log;
use crate::login::after_acceptance;
use crate::login::judge_login::contained;
use crate::login::session_expiry;
use crate::memory;
use crate::memory::revocations::Begun;
use crate::memory::session_registry::NewSession;
use crate::postgres::abi;
use crate::postgres::connection;
use crate::postgres::hba;
use crate::postgres::text::c_string;
use crate::postgres::time;
use crate::roles;
use crate::settings::LoginSettings;

/// The session that begins if PostgreSQL accepts the user.
static EXPECTED: Mutex<Option<Expected>> = Mutex::new(None);

struct Expected {
    session: NewSession,
    begun: Begun,
    log_accepted: bool,
    /// The token came as a password, so that PostgreSQL does not know whose it is.
    is_password: bool,
}

/// The hook of another module, which runs before ours.
static mut PREVIOUS_HOOK: abi::ClientAuthentication_hook_type = None;

/// PostgreSQL's own words for success (`libpq/libpq.h`, c.h).
const STATUS_OK: c_int = 0;

/// Prepares for the session of a token that was accepted; PostgreSQL still looks at pg_ident.conf.
///
/// Errors: the session must not begin.
pub fn prepare(
    grant: &Grant,
    settings: &LoginSettings,
    identity: &str,
    begun: Begun,
    is_password: bool,
) -> Result<(), Internal> {
    let policy = &settings.policy;
    if settings.session_expiry && grant.expires_at() != Timestamp::FOREVER {
        schedule_end(grant, policy, identity)?;
    }
    *EXPECTED.lock() = Some(Expected {
        session: NewSession {
            issuer: policy.issuer().identifier().to_owned(),
            identity: identity.to_owned(),
            sub: grant.sub().map(str::to_owned),
            client_id: grant.client_id().map(str::to_owned),
            jti: grant.jti().map(str::to_owned),
            sid: grant.sid().map(str::to_owned),
            expires_at: grant.expires_at(),
        },
        begun,
        log_accepted: settings.log_accepted,
        is_password,
    });
    Ok(())
}

/// The session may last as long as its token would be accepted.
fn schedule_end(grant: &Grant, policy: &Policy, identity: &str) -> Result<(), Internal> {
    let exp = grant.expires_at();
    let message = format!(
        "OAuth session of \"{}\" ended: its token expired at {} (exp={})",
        Printable::new(identity),
        time::describe(exp),
        exp.unix_seconds(),
    );
    let detail = server_log::facts(&[
        ("reason", Some("session_expired")),
        ("issuer", Some(policy.issuer().identifier())),
        ("client_id", grant.client_id()),
        ("jti", grant.jti()),
    ]);
    let lifetime = grant.issued_at().map_or_else(String::new, |issued_at| {
        let seconds = exp.unix_seconds().saturating_sub(issued_at.unix_seconds());
        format!(" was good for {seconds} s (\"iat\" to \"exp\"), and")
    });
    let hint = format!(
        "Its token{lifetime} validator.session_expiry ends sessions with their token. The client must connect again with a \
            new one; for longer sessions, configure the provider to issue tokens that are good for longer."
    );
    session_expiry::schedule(exp.plus(policy.clock_skew()), message, detail, hint)
}

/// Has PostgreSQL tell us how an authentication ended. Called by `_PG_init`; on demand that is during one.
pub fn hook_authentication() {
    // SAFETY: libraries are loaded one after the other, in the main thread.
    unsafe {
        PREVIOUS_HOOK = abi::ClientAuthentication_hook;
        abi::ClientAuthentication_hook = Some(authenticated);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn authenticated(port: *mut abi::Port, status: c_int) {
    // An error of another module ends the backend: nothing catches one during an authentication, so PostgreSQL makes it
    // FATAL. No session is entered by then, no lock is held, and the timer of the session's end goes with the process.
    // SAFETY: the variable is written by `hook_authentication` only; the arguments are passed on. No frame that is left
    // by an error has anything to drop.
    unsafe {
        if let Some(previous) = PREVIOUS_HOOK {
            previous(port, status);
        }
    }
    let Some(expected) = EXPECTED.lock().take() else {
        return;
    };
    let role = hba::requested_role().unwrap_or_default();
    // The client still reads what an error says, and would read where a panic was.
    contained(role, || {
        let shown_role = role.to_string_lossy();
        if status == STATUS_OK {
            begin(&expected, &shown_role);
        } else if !expected.is_password {
            after_acceptance::log_refused(&expected.session, &shown_role);
        }
    });
}

/// The session begins: PostgreSQL has accepted the user.
fn begin(expected: &Expected, role: &str) {
    let session = &expected.session;
    if expected.is_password {
        connection::set_authenticated_identity(&c_string(&session.identity));
    }
    memory::sessions().enter(session);
    // After registration: a later revocation finds the session.
    if memory::revocations().overtook(expected.begun, session) {
        end_revoked(session);
    }
    memory::statistics().count_accepted(&session.issuer);
    roles::login::note_session();
    if expected.log_accepted {
        log_session(session, role);
    }
    after_acceptance::log_missing_role(session, role);
}

/// Ends a login that a revocation has overtaken. The client receives the same error as when a session is ended.
fn end_revoked(session: &NewSession) {
    let message = format!(
        "OAuth session of \"{}\" ended: it was revoked while its login was under way",
        Printable::new(&session.identity)
    );
    let detail = server_log::facts(&[
        ("reason", Some("session_revoked")),
        ("issuer", Some(&session.issuer)),
        ("client_id", session.client_id.as_deref()),
        ("jti", session.jti.as_deref()),
    ]);
    server_log::log(message, Some(detail), None);
    ereport!(
        FATAL,
        PgSqlErrorCode::ERRCODE_ADMIN_SHUTDOWN,
        "terminating connection due to administrator command"
    );
}

/// One line, with the facts as a refusal has them.
fn log_session(session: &NewSession, role: &str) {
    let facts = server_log::facts(&[
        ("issuer", Some(&session.issuer)),
        ("client_id", session.client_id.as_deref()),
        ("jti", session.jti.as_deref()),
        ("identity", Some(&session.identity)),
    ]);
    let role = Printable::new(role);
    let message = format!("OAuth token accepted for user \"{role}\": {facts}");
    server_log::log(message, None, None);
}
