//! What the token was granted: RFC 6749 §3.3, RFC 8693 §4.2.

use serde_json::Value;

use crate::basics::json::Object;
use crate::basics::printable::Printable;
use crate::checks::entra;
use crate::failure::reject::Reject;
use crate::policy::Policy;
use crate::policy::provider_rules::ScopeNames;

/// The claims that carry scopes: RFC 8693 §4.2, and the form that some providers use.
pub(crate) const SCOPE_CLAIMS: [&str; 2] = ["scope", "scp"];

/// Whether the token carries scopes at all, as an access token does and an ID token does not.
pub(crate) fn has_scope(claims: &Object) -> bool {
    let is_empty = |scopes: &Value| match scopes {
        Value::String(scopes) => scopes.trim().is_empty(),
        Value::Array(scopes) => scopes.is_empty(),
        _ => true,
    };
    SCOPE_CLAIMS
        .iter()
        .filter_map(|name| claims.get(*name))
        .any(|scopes| !is_empty(scopes))
}

/// RFC 6750 §3.1: every required scope must be granted; further scopes do not matter.
pub(crate) fn validate_scope(claims: &Object, policy: &Policy) -> Result<(), Reject> {
    let rule = &policy.preset().rules().scope;
    let mut names = rule.claims;
    if !names.iter().any(|name| claims.contains_key(*name)) {
        if rule.may_lack {
            return Ok(());
        }
        names = rule.instead;
    }
    let mut granted = Vec::new();
    for name in names {
        match claims.get(*name) {
            None => {}
            Some(Value::String(scopes)) => granted.extend(scopes.split(' ')),
            Some(Value::Array(scopes)) => {
                for scope in scopes {
                    granted.push(scope.as_str().ok_or(Reject::ScopeMalformed)?);
                }
            }
            Some(_) => return Err(Reject::ScopeMalformed),
        }
    }
    let missing: Vec<&str> = policy
        .demanded_scopes()
        .filter(|scope| !is_granted(scope, &granted, &rule.names))
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Reject::InsufficientScope {
            missing: Printable::list(missing),
        })
    }
}

fn is_granted(scope: &str, granted: &[&str], names: &ScopeNames) -> bool {
    granted.contains(&scope)
        || match names {
            ScopeNames::Same => false,
            ScopeNames::WithoutResource => {
                entra::scope_without_resource(scope).is_some_and(|name| granted.contains(&name))
            }
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scopes_are_there_if_any_is_named_in_either_form() {
        for (claims, expected) in [
            (json!({}), false),
            (json!({"scope": ""}), false),
            (json!({"scope": " "}), false),
            (json!({"scope": "openid"}), true),
            (json!({"scp": []}), false),
            (json!({"scp": ["openid"]}), true),
            (json!({"scope": "", "scp": ["openid"]}), true),
            (json!({"scope": 1, "scp": null}), false),
            (json!({"scopes": ["openid"]}), false),
        ] {
            let claims = claims.as_object().unwrap();
            assert_eq!(has_scope(claims), expected, "{claims:?}");
        }
    }
}
