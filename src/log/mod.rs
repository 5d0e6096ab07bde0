//! What an administrator reads in the server's log.

pub mod hints;
pub mod refusal_log;
pub mod server_log;
