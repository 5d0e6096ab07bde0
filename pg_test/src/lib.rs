//! The test rig of `validator`: throw-away PostgreSQL servers, clients that speak OAUTHBEARER to
//! the letter or against it, an issuer that fails on demand, and tokens of every shape.
//!
//! It is only for tests, the demo and the benchmark: what goes wrong in it panics with a message.

pub mod browser;
pub mod child;
pub mod client;
mod client_check;
pub mod deaf_port;
pub mod device;
mod device_grant;
pub mod django_oauth_toolkit;
mod encoding;
pub mod environment;
pub mod fault;
pub mod glewlwyd;
pub mod http;
pub mod issuer;
mod issuer_http;
mod issuer_state;
pub mod oidc_provider;
mod provider_process;
pub mod scratch;
pub mod server;
mod server_builder;
mod server_command;
mod server_files;
pub mod server_log;
mod session;
pub mod shim;
pub mod tls;
pub mod verdict;
mod wire;

pub use browser::{Browser, Form, Page};
pub use child::Finished;
pub use client::{FirstResponse, Login, OnError, Outcome, Reachable, Refusal};
pub use client_check::ClientCheck;
pub use deaf_port::DeafPort;
pub use device::{DeviceLogin, DeviceOutcome, Prompt};
pub use django_oauth_toolkit::DjangoOauthToolkit;
pub use environment::skip;
pub use fault::Fault;
pub use glewlwyd::Glewlwyd;
pub use http::{Request, Response};
pub use issuer::{Issuer, IssuerBuilder};
pub use issuer_state::{ConnectionFault, Endpoint};
pub use oidc_provider::OidcProvider;
pub use server::{Server, StopMode};
pub use server_builder::ServerBuilder;
pub use server_command::can_mount;
pub use server_files::oauth_line;
pub use server_log::{Log, LogMark};
pub use session::{Rows, Session};
pub use tls::{Authority, ClientCertificates, Identity};
pub use token_minter::{Alg, Key, KeyKind, SignatureFault, Token, base64url, from_base64url, now};
pub use verdict::{
    Verdict, assert_silent_log, assert_silent_refusal, explanations, facts, reasons,
};
pub use wire::{Ending, ServerMessage};
