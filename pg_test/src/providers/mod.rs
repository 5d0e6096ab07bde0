//! Providers that nobody here wrote, and `validator-hook`, which they notify.

mod daemon;
pub(crate) mod dex;
pub(crate) mod django_oauth_toolkit;
pub(crate) mod glewlwyd;
pub(crate) mod hydra;
pub(crate) mod keycloak;
pub(crate) mod oidc_provider;
mod process;
pub(crate) mod spire;
pub(crate) mod validator_hook;
