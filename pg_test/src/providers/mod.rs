//! Providers that nobody here wrote.

mod daemon;
pub(crate) mod dex;
pub(crate) mod django_oauth_toolkit;
pub(crate) mod glewlwyd;
pub(crate) mod hydra;
pub(crate) mod keycloak;
pub(crate) mod logout_receiver;
pub(crate) mod oidc_provider;
mod process;
pub(crate) mod spire;
