//! The bearer's identity.

use serde_json::Value;

use crate::basics::json::Object;
use crate::basics::printable::is_invisible;
use crate::failure::reject::Reject;
use crate::policy::Policy;
use crate::policy::values::IdentityCase;

/// Bytes of the longest identity, with its prefix. RFC 9068 sets no limit; OpenID Connect Core 1.0 §2
/// limits `sub` to 255 characters.
const MAX_IDENTITY_BYTES: usize = 255;

/// The identity that the first of the policy's claims gives that is there, with its prefix.
pub(crate) fn parse_identity(claims: &Object, policy: &Policy) -> Result<String, Reject> {
    let (item, text) = match policy.identity_claim().find(claims) {
        None => return Err(Reject::IdentityMissing),
        Some((item, Value::String(text))) if !text.is_empty() => (item, text),
        Some(_) => return Err(Reject::IdentityMalformed),
    };
    let prefix = item.prefix.as_ref().unwrap_or(policy.identity_prefix());
    let mut text = text.clone();
    if policy.identity_case() == IdentityCase::Lower {
        text.make_ascii_lowercase();
    }
    let identity = format!("{}{text}", prefix.as_str());
    if identity.len() > MAX_IDENTITY_BYTES {
        return Err(Reject::IdentityTooLong);
    }
    if identity.chars().any(|c| c.is_control() || is_invisible(c)) {
        return Err(Reject::IdentityUnprintable);
    }
    Ok(identity)
}
