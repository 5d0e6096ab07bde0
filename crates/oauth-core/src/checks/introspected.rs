//! Checks of what the provider says of a token (RFC 7662 §2.2): is it about this one, and about an access token?

use serde_json::Value;

use crate::basics::json::Object;
use crate::basics::printable::Printable;
use crate::checks::access_token::names_other_kind;
use crate::checks::scope::{SCOPE_CLAIMS, has_scope};
use crate::failure::reject::Reject;
use crate::policy::Policy;
use crate::provider::introspection::IntrospectionResponse;

/// Members by which some providers name the kind of token that they are asked about.
const KIND_MEMBERS: [&str; 8] = [
    "token_type",
    "token_use",
    "typ",
    "tokenName",
    "token_name",
    "token_kind",
    "kind",
    "purpose",
];

/// Their values for tokens that must not open a session.
const OTHER_KINDS: [&str; 10] = [
    "refresh",
    "refresh_token",
    "refreshtoken",
    "rt+jwt",
    "offline",
    "offline_token",
    "id_token",
    "idtoken",
    "logout_token",
    "authorization_code",
];

/// RFC 7662 §2.1: `token_type_hint` is only a hint, so the answer may be about another kind of token.
pub(crate) fn validate_is_not_another_kind(claims: &Object) -> Result<(), Reject> {
    let refuse = |claim| Err(Reject::NotAnAccessToken { claim });
    if says_one_of(claims, "token_type", &ACCESS_TOKEN_TYPES) == Some(false) {
        return refuse("token_type");
    }
    if says_one_of(claims, "token_use", &ACCESS_TOKEN_USES) == Some(false) {
        return refuse("token_use");
    }
    if names_other_kind(claims) {
        return refuse("typ");
    }
    // RFC 8417 §2.2: a security event token, such as a logout token.
    if claims.contains_key("events") {
        return refuse("events");
    }
    let names_other = |name: &&&str| says_one_of(claims, name, &OTHER_KINDS) == Some(true);
    if let Some(name) = KIND_MEMBERS.iter().find(names_other) {
        return refuse(name);
    }
    // RFC 9449 §6.2: one that is bound to a key says to which.
    if says_one_of(claims, "token_type", &["dpop"]) == Some(true) && !claims.contains_key("cnf") {
        let method = Printable::new("DPoP");
        return Err(Reject::CnfUnsupported { method });
    }
    Ok(())
}

/// RFC 7662 §2.2, RFC 6749 §5.1: how an access token is used; other kinds of token have no such type.
const ACCESS_TOKEN_TYPES: [&str; 4] = ["bearer", "access_token", "at+jwt", "dpop"];
const ACCESS_TOKEN_USES: [&str; 2] = ["access", "access_token"];

/// An answer about an opaque token must show that it is an access token, and not only leave open that it is: many
/// providers answer about refresh tokens, too, with the same scopes and the same client.
///
/// The type of an access token shows it, and so does an audience, which is this server's (or the token is refused).
/// Without either, it takes a scope that the HBA line requires, and an expiration, which many refresh tokens do not
/// have.
pub(crate) fn validate_shows_access_token(claims: &Object, policy: &Policy) -> Result<(), Reject> {
    let is_typed = says_one_of(claims, "token_type", &ACCESS_TOKEN_TYPES) == Some(true)
        || says_one_of(claims, "token_use", &ACCESS_TOKEN_USES) == Some(true)
        || says_one_of(claims, "typ", &ACCESS_TOKEN_TYPES) == Some(true);
    let is_scoped = policy.demanded_scopes().next().is_some()
        && has_scope(claims)
        && claims.contains_key("exp");
    if is_typed || claims.contains_key("aud") || is_scoped {
        return Ok(());
    }
    Err(Reject::AccessTokenUnproven {
        claim: "token_type",
    })
}

/// Whether a member is one of these names; `None` if it is absent.
fn says_one_of(claims: &Object, member: &str, names: &[&str]) -> Option<bool> {
    let said = claims.get(member)?.as_str().unwrap_or_default();
    Some(names.iter().any(|name| name.eq_ignore_ascii_case(said)))
}

/// The claims of a JWT, overridden by the introspection response, which must be about the same token.
pub(crate) fn overlay(
    jwt: &Object,
    answer: &IntrospectionResponse,
    policy: &Policy,
) -> Result<Object, Reject> {
    let claims = with_answer(jwt, answer.claims(), policy);
    // Both by the value, and by the claim that gives it: the answer may have one that goes before the JWT's.
    let identity = policy.identity_claim();
    let named = identity.find(&claims);
    if named.is_some() && named != identity.find(jwt) {
        return Err(Reject::IntrospectionMismatch { claim: "identity" });
    }
    for claim in ["jti", "sub"] {
        if let (Some(own), Some(named)) = (jwt.get(claim), answer.claims().get(claim))
            && own != named
        {
            return Err(Reject::IntrospectionMismatch { claim });
        }
    }
    Ok(claims)
}

/// The claims of a JWT, or none, overridden by the answer.
///
/// RFC 7662 §2.2: an answer calls scopes `scope`, whatever the provider's JWTs call them. Those that it names are the
/// ones that the token has: they take the place of the JWT's under each name, and a reader of any name finds them.
pub(crate) fn with_answer(jwt: &Object, answer: &Object, policy: &Policy) -> Object {
    let mut claims = jwt.clone();
    claims.extend(answer.clone());
    let Some(scopes) = SCOPE_CLAIMS.iter().find_map(|name| answer.get(*name)) else {
        return claims;
    };
    for name in SCOPE_CLAIMS {
        if let (None, Some(own)) = (answer.get(name), jwt.get(name)) {
            claims.insert(name.to_owned(), in_form_of(own, scopes));
        }
    }
    let read = policy.preset().rules().scope.claims;
    if let Some(name) = read.first()
        && !read.iter().any(|name| claims.contains_key(*name))
    {
        claims.insert((*name).to_owned(), scopes.clone());
    }
    claims
}

/// Scopes as an array, if those that they replace are one.
fn in_form_of(own: &Value, scopes: &Value) -> Value {
    match (own, scopes) {
        (Value::Array(_), Value::String(text)) => {
            text.split(' ').filter(|one| !one.is_empty()).collect()
        }
        _ => scopes.clone(),
    }
}
