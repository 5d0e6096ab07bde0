//! Why a token does not open a session, and whose fault that is.

pub(crate) mod reject;
