//! One login, from token to session.

pub mod after_acceptance;
#[cfg(oauth)]
pub mod callbacks;
pub mod findings;
mod judge_login;
mod password;
pub mod second_copy;
pub mod session_claims;
pub mod session_expiry;
pub mod session_start;
