//! What an administrator reads in the server's log.

pub mod circumstances;
pub mod hints;
mod password_hints;
mod provider_hints;
pub mod refusal_log;
pub mod server_log;
mod token_hints;
