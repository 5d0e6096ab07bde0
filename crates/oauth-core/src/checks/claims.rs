//! The claims of a verified token against the policy: RFC 7519 §4.1, RFC 9068 §4, RFC 8725 §3.

use serde_json::Value;

use crate::basics::clock::Timestamp;
use crate::basics::json::Object;
use crate::basics::printable::Printable;
use crate::checks::entra;
use crate::failure::reject::Reject;
use crate::policy::Policy;
use crate::policy::provider_rules::{AudienceRule, IssuerRule};

/// RFC 9068 §4: `iss` must exactly be the issuer's identifier.
pub(crate) fn validate_issuer(claims: &Object, policy: &Policy) -> Result<(), Reject> {
    let issuer = policy.issuer().identifier();
    let iss = match claims.get("iss").ok_or(Reject::IssMissing)? {
        Value::String(iss) => iss,
        _ => return Err(Reject::IssMalformed),
    };
    let rule = &policy.preset().rules().issuer;
    let is_issuers = match rule {
        IssuerRule::Exact => iss == issuer,
        IssuerRule::EntraTenant => iss == issuer || entra::is_version_1_of(claims, iss, issuer),
        IssuerRule::OfAccessTokens => policy
            .access_token_issuer()
            .is_some_and(|own| own.as_str() == Some(iss)),
    };
    if !is_issuers {
        return Err(Reject::IssMismatch {
            iss: Printable::new(iss),
        });
    }
    match rule {
        IssuerRule::EntraTenant => entra::validate_tenant(claims, issuer),
        IssuerRule::Exact | IssuerRule::OfAccessTokens => Ok(()),
    }
}

/// RFC 7519 §4.1.3: a principal that is not named by `aud` must refuse the token.
pub(crate) fn validate_audience(claims: &Object, policy: &Policy) -> Result<(), Reject> {
    let aud = match (claims.get("aud"), &policy.preset().rules().audience) {
        (Some(aud), _) => aud,
        (None, AudienceRule::AudOrClientId)
            if claims.get("token_use") == Some(&"access".into()) =>
        {
            match claims.get("client_id").ok_or(Reject::AudMissing)? {
                client @ Value::String(_) => client,
                _ => return Err(Reject::AudMalformed),
            }
        }
        (None, _) => return Err(Reject::AudMissing),
    };
    let named: Vec<&str> = match aud {
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

/// RFC 7519 §4.1.6: `iat` gives the token's age, which the policy may limit. It must not be in the future.
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

/// The client that the token was issued to, for the log: RFC 9068 §2.2, OpenID Connect Core 1.0 §2.
pub(crate) fn client_id<'a>(
    claims: &'a Object,
    answer: Option<&'a Object>,
    policy: &Policy,
) -> Option<&'a str> {
    named_clients(claims, answer, policy).find_map(Value::as_str)
}

/// What names the client: the provider's claims, and in its answer also the name that RFC 7662 §2.2 has for it.
fn named_clients<'a>(
    claims: &'a Object,
    answer: Option<&'a Object>,
    policy: &Policy,
) -> impl Iterator<Item = &'a Value> {
    let names = policy.preset().rules().client_claims;
    let answered = answer.and_then(|answer| answer.get("client_id"));
    names
        .iter()
        .filter_map(|name| claims.get(*name))
        .chain(answered)
}

/// Where the policy lists clients, every claim that names one must name one of them.
pub(crate) fn validate_client(
    claims: &Object,
    answer: Option<&Object>,
    policy: &Policy,
) -> Result<(), Reject> {
    if policy.client_ids().is_empty() {
        return Ok(());
    }
    let mut named = named_clients(claims, answer, policy).peekable();
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
