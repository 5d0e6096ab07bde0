//! One login, from token to session.

pub mod callbacks;
pub mod session_claims;
pub mod session_expiry;
pub mod session_start;
