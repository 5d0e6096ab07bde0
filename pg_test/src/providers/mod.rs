//! Providers that nobody here wrote.

pub(crate) mod django_oauth_toolkit;
pub(crate) mod glewlwyd;
pub(crate) mod oidc_provider;
mod process;
