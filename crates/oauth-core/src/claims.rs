//! The claims of a verified token against the policy: RFC 7519 §4.1, RFC 9068 §4, RFC 8725 §3.

use serde_json::Value;

use crate::clock::Timestamp;
use crate::json::Object;
use crate::policy::Policy;
use crate::printable::Printable;
use crate::reject::Reject;
use crate::scope::has_scope;

/// RFC 9068 §4: `iss` must exactly be the issuer's identifier.
pub(crate) fn validate_issuer(claims: &Object, policy: &Policy) -> Result<(), Reject> {
    match claims.get("iss").ok_or(Reject::IssMissing)? {
        Value::String(iss) if iss == policy.issuer().identifier() => Ok(()),
        Value::String(iss) => Err(Reject::IssMismatch {
            iss: Printable::new(iss),
        }),
        _ => Err(Reject::IssMalformed),
    }
}

/// RFC 7519 §4.1.3: a principal that is not named by `aud` must refuse the token.
pub(crate) fn validate_audience(claims: &Object, policy: &Policy) -> Result<(), Reject> {
    let named: Vec<&str> = match claims.get("aud").ok_or(Reject::AudMissing)? {
        Value::String(one) => vec![one],
        Value::Array(many) => many
            .iter()
            .map(Value::as_str)
            .collect::<Option<_>>()
            .ok_or(Reject::AudMalformed)?,
        _ => return Err(Reject::AudMalformed),
    };
    if named.iter().any(|aud| policy.audience().contains(aud)) {
        Ok(())
    } else {
        Err(Reject::AudMismatch {
            named: Printable::list(named),
        })
    }
}

/// RFC 7519 §4.1.4: the token is accepted before `exp`, and not at it. Returns `exp`.
pub(crate) fn validate_expiry(
    claims: &Object,
    policy: &Policy,
    now: Timestamp,
) -> Result<Timestamp, Reject> {
    let exp = claims.get("exp").ok_or(Reject::ExpMissing)?;
    let exp = Timestamp::from_numeric_date(exp).ok_or(Reject::ExpMalformed)?;
    if now < exp.plus(policy.clock_skew()) {
        Ok(exp)
    } else {
        Err(Reject::Expired {
            seconds_ago: now.seconds_since(exp),
        })
    }
}

/// RFC 7519 §4.1.5: the token is not accepted before `nbf`.
pub(crate) fn validate_not_before(
    claims: &Object,
    policy: &Policy,
    now: Timestamp,
) -> Result<(), Reject> {
    let Some(nbf) = claims.get("nbf") else {
        return Ok(());
    };
    let nbf = Timestamp::from_numeric_date(nbf).ok_or(Reject::NbfMalformed)?;
    if nbf <= now.plus(policy.clock_skew()) {
        Ok(())
    } else {
        Err(Reject::NotYetValid {
            seconds_ahead: nbf.seconds_since(now),
        })
    }
}

/// RFC 7519 §4.1.6: `iat` tells the token's age, which the policy may limit. It can not be in the future.
pub(crate) fn validate_issued_at(
    claims: &Object,
    policy: &Policy,
    now: Timestamp,
) -> Result<(), Reject> {
    let iat = match (claims.get("iat"), policy.max_token_age()) {
        (Some(iat), _) => Timestamp::from_numeric_date(iat).ok_or(Reject::IatMalformed)?,
        (None, Some(_)) => return Err(Reject::IatMissing),
        (None, None) => return Ok(()),
    };
    if iat > now.plus(policy.clock_skew()) {
        return Err(Reject::IssuedInFuture {
            seconds_ahead: iat.seconds_since(now),
        });
    }
    match policy.max_token_age() {
        Some(limit) if now > iat.plus(limit).plus(policy.clock_skew()) => Err(Reject::TooOld {
            seconds_old: now.seconds_since(iat),
        }),
        _ => Ok(()),
    }
}

/// RFC 8725 §3.12: kinds of JWT that one issuer signs with one key must be told apart. The header's
/// `typ` does so where providers set it; these claims do where they do not.
pub(crate) fn validate_is_access_token(claims: &Object) -> Result<(), Reject> {
    let refuse = |claim| Err(Reject::NotAnAccessToken { claim });
    // Keycloak, Rauthy: a payload "typ" of "ID", "Refresh", "Offline", "Logout".
    const OTHER_KINDS: [&str; 4] = ["id", "refresh", "offline", "logout"];
    let is_other_kind = |typ: &str| {
        OTHER_KINDS
            .iter()
            .any(|kind| kind.eq_ignore_ascii_case(typ))
    };
    if claims
        .get("typ")
        .and_then(Value::as_str)
        .is_some_and(is_other_kind)
    {
        return refuse("typ");
    }
    // Amazon Cognito: "access" or "id".
    if claims
        .get("token_use")
        .is_some_and(|token_use| token_use != "access")
    {
        return refuse("token_use");
    }
    // RFC 8417 §2.2: a security event token, such as a logout token.
    if claims.contains_key("events") {
        return refuse("events");
    }
    // OpenID Connect Core 1.0 §2 and §3.3.2.11: claims of an ID token, which carries no scope.
    if !has_scope(claims) {
        for claim in ["nonce", "at_hash", "c_hash", "s_hash"] {
            if claims.contains_key(claim) {
                return refuse(claim);
            }
        }
    }
    Ok(())
}

/// The claims that name the client: RFC 9068 §2.2, OpenID Connect Core 1.0 §2.
const CLIENT_CLAIMS: [&str; 2] = ["client_id", "azp"];

/// The client that the token was issued to, for the log.
pub(crate) fn client_id(claims: &Object) -> Option<&str> {
    CLIENT_CLAIMS
        .iter()
        .find_map(|name| claims.get(*name)?.as_str())
}

/// Where the policy lists clients, every claim that names one must name one of them.
pub(crate) fn validate_client(claims: &Object, policy: &Policy) -> Result<(), Reject> {
    if policy.client_ids().is_empty() {
        return Ok(());
    }
    let mut named = CLIENT_CLAIMS
        .iter()
        .filter_map(|name| claims.get(*name))
        .peekable();
    named.peek().ok_or(Reject::ClientMissing)?;
    for client in named {
        let client = client.as_str().ok_or(Reject::ClientMalformed)?;
        if !policy.client_ids().contains(client) {
            return Err(Reject::ClientNotAllowed {
                client: Printable::new(client),
            });
        }
    }
    Ok(())
}

/// Every claim that the policy requires must be there, with its value.
pub(crate) fn validate_required_claims(claims: &Object, policy: &Policy) -> Result<(), Reject> {
    for (path, value) in policy.required_claims().iter() {
        let claim = Printable::new(path.as_str());
        match path.find(claims) {
            None => return Err(Reject::RequiredClaimMissing { claim }),
            Some(found) if holds(found, value) => {}
            Some(_) => return Err(Reject::RequiredClaimMismatch { claim }),
        }
    }
    Ok(())
}

/// Whether a claim equals, or as an array holds, the value that a setting demands.
fn holds(claim: &Value, value: &str) -> bool {
    let equals = |claim: &Value| match claim {
        Value::String(text) => text == value,
        Value::Bool(truth) => value == if *truth { "true" } else { "false" },
        Value::Number(number) => number.to_string().as_str() == value,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    };
    match claim {
        Value::Array(elements) => elements.iter().any(equals),
        one => equals(one),
    }
}
