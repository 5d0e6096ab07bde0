//! What an administrator reads in the server's log.

mod answer_hints;
pub mod circumstances;
pub mod hints;
mod key_hints;
mod password_hints;
mod provider_hints;
mod provisioning_hints;
pub mod refusal_log;
pub mod server_log;
mod settings_hints;
mod time_hints;
mod token_hints;
mod unavailable_hints;
