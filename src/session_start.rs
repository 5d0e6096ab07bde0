//! From a token that was accepted to a session: what becomes of it once PostgreSQL, too, has let the user in.

use std::ffi::c_int;

use oauth_core::{Grant, Policy};
use parking_lot::Mutex;
use pgrx::pg_guard;

use crate::abi;
use crate::session_registry::NewSession;
use crate::shared_memory;

/// The session that begins if PostgreSQL accepts the user.
static EXPECTED: Mutex<Option<NewSession>> = Mutex::new(None);

/// The hook of another module, which runs before ours.
static mut PREVIOUS_HOOK: abi::ClientAuthentication_hook_type = None;

/// PostgreSQL's own words for success (`libpq/libpq.h`, c.h).
const STATUS_OK: c_int = 0;

/// Notes a token that was accepted. PostgreSQL still looks at pg_ident.conf.
pub fn expect(grant: &Grant, policy: &Policy, identity: &str) {
    *EXPECTED.lock() = Some(NewSession {
        issuer: policy.issuer().identifier().to_owned(),
        identity: identity.to_owned(),
        client_id: grant.client_id(policy).map(str::to_owned),
        jti: grant.jti().map(str::to_owned),
        sid: grant.sid().map(str::to_owned),
        expires_at: grant.expires_at(),
    });
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
    // SAFETY: the variable is written by `hook_authentication` only; the arguments are passed on.
    unsafe {
        if let Some(previous) = PREVIOUS_HOOK {
            previous(port, status);
        }
    }
    let expected = EXPECTED.lock().take();
    if let Some(session) = expected.filter(|_| status == STATUS_OK) {
        shared_memory::sessions().enter(&session);
    }
}
