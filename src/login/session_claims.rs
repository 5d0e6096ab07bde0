//! The verified claims of this session's login.
//!
//! They stay in this process as the judgement parsed them: no setting, no statement and no other session can change
//! them, and a login pays for no copy. Their text is written when it is asked for.

use oauth_core::{Decision, Grant, Timestamp, VerifiedClaims};
use parking_lot::Mutex;

/// What is known of the token that opened this session.
pub struct Login {
    pub claims: VerifiedClaims,
    pub expires_at: Timestamp,
}

static LOGIN: Mutex<Option<Login>> = Mutex::new(None);

/// Keeps the claims of a token that was accepted. If PostgreSQL does not admit the user, the process ends.
pub fn keep(decision: Decision) {
    let expires_at = decision.outcome().ok().map(Grant::expires_at);
    if let (Some(expires_at), Some(claims)) = (expires_at, decision.into_claims()) {
        *LOGIN.lock() = Some(Login { claims, expires_at });
    }
}

/// Looks at what is kept. `None` if no token opened this session.
pub fn look<T>(at: impl FnOnce(&Login) -> T) -> Option<T> {
    LOGIN.lock().as_ref().map(at)
}
