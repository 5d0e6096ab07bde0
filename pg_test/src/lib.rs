//! The test rig of `validator`: throw-away PostgreSQL servers, clients that speak OAUTHBEARER to
//! the letter or against it, an issuer that fails on demand, and tokens of every shape.
//!
//! It is only for tests, the demo and the benchmark: what goes wrong in it panics with a message.

mod client;
mod issuer;
mod machine;
mod net;
mod person;
#[cfg(feature = "providers")]
mod providers;
mod server;

pub use client::login::{FirstResponse, Login, OnError, Outcome, Reachable, Refusal};
pub use client::session::{Rows, Session};
pub use client::wire::{Ending, ServerMessage};
pub use issuer::client_check::ClientCheck;
pub use issuer::fault::Fault;
pub use issuer::state::Endpoint;
pub use issuer::{Issuer, IssuerBuilder};
pub use machine::child::Finished;
pub use machine::environment::skip;
pub use machine::{child, environment, scratch, shim};
pub use net::deaf_port::DeafPort;
pub use net::http::{Request, Response};
pub use net::http_server::ConnectionFault;
pub use net::proxy::{Proxy, ProxyFault};
pub use net::tls::{Authority, ClientCertificates, Identity};
#[cfg(feature = "providers")]
pub use person::browser::{Browser, Form, Page};
pub use person::psql::{DeviceLogin, DeviceOutcome, Prompt};
#[cfg(feature = "providers")]
pub use providers::dex::Dex;
#[cfg(feature = "providers")]
pub use providers::django_oauth_toolkit::DjangoOauthToolkit;
#[cfg(feature = "providers")]
pub use providers::glewlwyd::Glewlwyd;
#[cfg(feature = "providers")]
pub use providers::hydra::Hydra;
#[cfg(feature = "providers")]
pub use providers::keycloak::{Keycloak, Realm};
#[cfg(feature = "providers")]
pub use providers::oidc_provider::OidcProvider;
#[cfg(feature = "providers")]
pub use providers::spire::Spire;
#[cfg(feature = "providers")]
pub use providers::validator_hook::{Hook, HookAnswer};
pub use server::builder::ServerBuilder;
pub use server::command::can_mount;
pub use server::files::oauth_line;
pub use server::log::{Log, LogMark};
pub use server::pam::{PAM_SERVICE, can_use_pam, pam_file, pam_line, pam_module};
pub use server::pam_files::pam_library;
pub use server::upgrade::can_upgrade;
pub use server::verdict::{
    Verdict, assert_silent_log, assert_silent_refusal, explanations, facts, reasons,
};
pub use server::{Server, StopMode};
pub use token_minter::{Alg, Key, KeyKind, SignatureFault, Token, base64url, from_base64url, now};
