//! Asking the provider, for keys and about tokens: through the caches, over the network, with the secrets of this server.

pub mod client_credentials;
pub mod fetch_thread;
mod file_version;
pub mod http_client;
pub mod http_proxy;
pub mod http_transport;
pub mod introspection;
mod introspection_outage;
mod introspection_probe;
mod introspection_question;
pub mod key_file;
pub mod keys;
pub mod provider_clock;
pub mod refresh_worker;
pub mod secret_file;
pub mod single_flight;
pub mod trust_roots;
