//! One login, from token to session.

pub mod callbacks;
mod judge_login;
mod password;
pub mod second_copy;
pub mod session_claims;
pub mod session_expiry;
pub mod session_start;
