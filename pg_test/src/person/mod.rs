//! What a person uses: psql, and a browser.

#[cfg(feature = "providers")]
pub(crate) mod browser;
pub(crate) mod psql;
