//! What everything else is made of. Nothing in here knows what a token is worth.

pub(crate) mod bearer;
pub(crate) mod claim_path;
pub(crate) mod clock;
pub(crate) mod digest;
pub(crate) mod json;
pub(crate) mod layout;
pub(crate) mod printable;
pub(crate) mod setting;
