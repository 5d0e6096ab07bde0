//! Is it an access token? RFC 8725 §3.12: kinds of JWT that one issuer signs with one key must be told apart.
//!
//! The header's `typ` does that under RFC 9068; many providers leave it at `JWT`, so claims are asked too.

use serde_json::Value;

use crate::basics::json::Object;
use crate::checks::scope::has_scope;
use crate::failure::reject::Reject;
use crate::policy::Policy;
use crate::policy::provider_rules::Proof;

/// Payload `typ` of Keycloak and Rauthy for other kinds of token.
const TYPS_OF_OTHER_KINDS: [&str; 4] = ["id", "refresh", "offline", "logout"];

/// Refuses what shows itself to be another kind of token, and what the provider's proofs do not show to be an
/// access token.
pub(crate) fn validate_is_access_token(claims: &Object, policy: &Policy) -> Result<(), Reject> {
    let refuse = |claim| Err(Reject::NotAnAccessToken { claim });
    if names_other_kind(claims) {
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
    let rules = policy.preset().rules();
    rules
        .proofs
        .iter()
        .try_for_each(|proof| proof.validate(claims, rules.client_claims))
}

/// Whether the claim `typ` says that it is another kind of token.
pub(crate) fn names_other_kind(claims: &Object) -> bool {
    text(claims, "typ").is_some_and(|typ| {
        TYPS_OF_OTHER_KINDS
            .iter()
            .any(|kind| kind.eq_ignore_ascii_case(typ))
    })
}

impl Proof {
    fn validate(&self, claims: &Object, client_claims: &[&str]) -> Result<(), Reject> {
        let is_there =
            |name: &&&'static str| claims.get(**name).is_some_and(|claim| !claim.is_null());
        let unproven = |claim: &'static str| Err(Reject::AccessTokenUnproven { claim });
        let other_kind = |claim: &'static str| Err(Reject::NotAnAccessToken { claim });
        match self {
            Proof::AllOf(names) => match names.iter().find(|name| !is_there(name)) {
                Some(missing) => unproven(missing),
                None => Ok(()),
            },
            Proof::AnyOf(names) => match names.first() {
                Some(first) if !names.iter().any(|name| is_there(&name)) => unproven(first),
                _ => Ok(()),
            },
            Proof::NoneOfWithoutScope(_) if has_scope(claims) => Ok(()),
            Proof::NoneOf(names) | Proof::NoneOfWithoutScope(names) => {
                match names.iter().find(|name| claims.contains_key(**name)) {
                    Some(found) => other_kind(found),
                    None => Ok(()),
                }
            }
            Proof::Equals(name, value) => match claims.get(*name) {
                Some(found) if found == value => Ok(()),
                _ => unproven(name),
            },
            Proof::StartsWith(name, beginning) => match text(claims, name) {
                Some(found) if found.starts_with(beginning) => Ok(()),
                _ => unproven(name),
            },
            Proof::AudienceIsNotClient => {
                let is_client = |aud: &str| {
                    let mut clients = client_claims.iter().filter_map(|name| text(claims, name));
                    clients.any(|client| client == aud)
                };
                if audiences(claims).any(is_client) {
                    return other_kind("aud");
                }
                Ok(())
            }
            Proof::AudienceNotUnder(ending) => {
                if audiences(claims).any(|aud| aud.ends_with(ending)) {
                    return other_kind("aud");
                }
                Ok(())
            }
            Proof::EmailVerified => {
                let verified = claims.get("email_verified") == Some(&Value::Bool(true));
                if claims.contains_key("email") && !verified {
                    return unproven("email_verified");
                }
                Ok(())
            }
            Proof::ServiceAccount => match service_account(claims) {
                Some(account) if text(claims, "sub") == Some(&account) => Ok(()),
                _ => unproven("kubernetes.io"),
            },
        }
    }
}

pub(crate) fn text<'a>(claims: &'a Object, name: &str) -> Option<&'a str> {
    claims.get(name)?.as_str()
}

/// RFC 7519 §4.1.3: one audience, or several.
pub(crate) fn audiences(claims: &Object) -> impl Iterator<Item = &str> {
    let (one, several) = match claims.get("aud") {
        Some(Value::String(one)) => (Some(one.as_str()), None),
        Some(Value::Array(several)) => (None, Some(several)),
        _ => (None, None),
    };
    let several = several.into_iter().flatten().filter_map(Value::as_str);
    one.into_iter().chain(several)
}

/// The subject that belongs to the service account in the claim `kubernetes.io`.
fn service_account(claims: &Object) -> Option<String> {
    let bound = claims.get("kubernetes.io")?.as_object()?;
    let namespace = text(bound, "namespace")?;
    let account = text(bound.get("serviceaccount")?.as_object()?, "name")?;
    Some(format!("system:serviceaccount:{namespace}:{account}"))
}
