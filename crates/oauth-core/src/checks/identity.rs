//! The bearer's identity.

use serde_json::Value;

use crate::basics::json::Object;
use crate::basics::printable::is_invisible;
use crate::failure::reject::Reject;
use crate::policy::Policy;

/// Bytes of the longest identity, with its prefix. RFC 9068 sets no limit; OpenID Connect Core 1.0 §2
/// limits `sub` to 255 characters.
const MAX_IDENTITY_BYTES: usize = 255;

/// The identity that the policy's claim gives, with its prefix.
pub(crate) fn parse_identity(claims: &Object, policy: &Policy) -> Result<String, Reject> {
    let text = match policy.identity_claim().find(claims) {
        None => return Err(Reject::IdentityMissing),
        Some(Value::String(text)) if !text.is_empty() => text,
        Some(_) => return Err(Reject::IdentityMalformed),
    };
    let identity = format!("{}{text}", policy.identity_prefix().as_str());
    if identity.len() > MAX_IDENTITY_BYTES {
        return Err(Reject::IdentityTooLong);
    }
    if identity.chars().any(|c| c.is_control() || is_invisible(c)) {
        return Err(Reject::IdentityUnprintable);
    }
    Ok(identity)
}
