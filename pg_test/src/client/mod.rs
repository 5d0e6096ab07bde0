//! A client that shows everything that a server sends.

pub(crate) mod login;
pub(crate) mod session;
pub(crate) mod wire;
