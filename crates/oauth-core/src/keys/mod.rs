//! The provider's keys: what they are, which one verifies a token, and where they come from.

pub(crate) mod algorithm;
pub(crate) mod certificate_tags;
pub(crate) mod ed25519;
pub(crate) mod fault;
pub(crate) mod jwk;
pub(crate) mod numbers;
pub(crate) mod public_key;
pub(crate) mod record;
pub(crate) mod source;
pub(crate) mod thumbprint;
pub(crate) mod warm_up;
