//! Building blocks for everything else. Nothing in here judges a token.

pub(crate) mod bearer;
pub(crate) mod claim_path;
pub(crate) mod clock;
pub(crate) mod digest;
pub(crate) mod json;
pub(crate) mod layout;
pub(crate) mod placed;
pub(crate) mod printable;
pub(crate) mod secret_text;
pub(crate) mod setting;
