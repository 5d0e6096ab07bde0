//! Whether a password is a token, where clients that cannot send tokens send them as passwords.

use crate::basics::bearer::Bearer;
use crate::checks::shape::Shape;
use crate::checks::structure::validate_size;
use crate::policy::Policy;
use crate::policy::introspection_rules::IntrospectionMode;

/// Whether a password is to be judged as a token. What has a JOSE header is one, signed or encrypted, whatever
/// else is wrong with it. All else
/// may be what a person has chosen, which must not reach the provider: only a policy for opaque tokens alone takes it for
/// one, if it has the form of one.
pub fn is_token(password: &Bearer<'_>, policy: &Policy) -> bool {
    // Larger ones are not looked at, here or by the judgement.
    if validate_size(password, policy).is_err() {
        return true;
    }
    // No token of RFC 6750 is JSON.
    let is_json = password.expose().contains(['{', '}']);
    if Shape::of(password) != Shape::Opaque && !is_json {
        return true;
    }
    let takes_opaque = policy.introspection().mode == IntrospectionMode::Opaque;
    takes_opaque && is_b64token(password.expose())
}

/// RFC 6750 §2.1: what a bearer token consists of.
fn is_b64token(text: &str) -> bool {
    let text = text.trim_end_matches('=');
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}
