//! What a person uses: psql, and a browser.

pub(crate) mod browser;
pub(crate) mod psql;
