//! What a provider tells a server unasked, in a signed JWT that is not an access token: that somebody was logged out, or
//! another security event. Its signature and its common claims pass the checks of access tokens, with a policy of its own.

pub(crate) mod event_kind;
pub(crate) mod logout_token;
pub(crate) mod security_event;
pub(crate) mod subject;

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::basics::bearer::Bearer;
use crate::basics::clock::{Clock, Timestamp};
use crate::basics::json::{self, Object};
use crate::basics::setting::StringList;
use crate::checks::claims;
use crate::checks::structure::UnverifiedToken;
use crate::failure::Failure;
use crate::failure::misconfigured::Misconfigured;
use crate::failure::notice_fault::NoticeFault;
use crate::failure::reject::Reject;
use crate::keys::algorithm::Algorithms;
use crate::keys::source::KeySource;
use crate::policy::Policy;
use crate::policy::values::TokenTypes;
use crate::provider::issuer::Issuer;

/// Bytes of the longest token identifier: it is remembered.
const MAX_JTI_BYTES: usize = 255;

/// Why a notice is not acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoticeError {
    /// What could keep an access token from being accepted, too; not all of it is the token's fault.
    Failure(Failure),
    /// A fault of this kind of token.
    Fault(NoticeFault),
}

impl NoticeError {
    /// The stable code of the cause.
    pub fn code(&self) -> &'static str {
        match self {
            NoticeError::Failure(failure) => failure.code(),
            NoticeError::Fault(fault) => fault.code(),
        }
    }
}

impl fmt::Display for NoticeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoticeError::Failure(failure) => failure.fmt(f),
            NoticeError::Fault(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for NoticeError {}

impl From<Failure> for NoticeError {
    fn from(failure: Failure) -> Self {
        NoticeError::Failure(failure)
    }
}

impl From<Reject> for NoticeError {
    fn from(reject: Reject) -> Self {
        NoticeError::Failure(reject.into())
    }
}

impl From<NoticeFault> for NoticeError {
    fn from(fault: NoticeFault) -> Self {
        NoticeError::Fault(fault)
    }
}

/// The issuer that a token claims to be of. Nothing is verified: this tells only which issuer's keys and policy the token
/// must be verified by, whoever sent it, which then demand that very issuer.
pub fn claimed_issuer(token: &Bearer<'_>) -> Option<String> {
    let (_, rest) = token.expose().split_once('.')?;
    let (payload, _) = rest.split_once('.')?;
    let claims = json::parse_object(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    claims.get("iss")?.as_str().map(str::to_owned)
}

/// The policy for notices of this issuer: whom they must be for, and what they may be.
fn policy(
    issuer: Issuer,
    audience: StringList,
    algorithms: Algorithms,
    token_types: &[&str],
    max_age: Option<Duration>,
) -> Result<Policy, Misconfigured> {
    Policy::builder(issuer)
        .audience(audience)
        .algorithms(algorithms)
        .token_types(TokenTypes::of(token_types))
        .max_token_age(max_age)
        .build()
}

/// What all notices have, once signature, issuer, audience and times are found to be good.
struct VerifiedNotice {
    claims: Object,
    jti: String,
}

/// The checks that all notices must pass, in the order of those of access tokens.
fn verify(
    token: &Bearer<'_>,
    policy: &Policy,
    keys: &dyn KeySource,
    clock: &dyn Clock,
) -> Result<VerifiedNotice, NoticeError> {
    let parsed = UnverifiedToken::parse(token, policy)?;
    let found = keys.find_keys(&parsed.header.key_reference())?;
    let claims = parsed.verify_by(&found, keys)?.into_claims();
    claims::validate_issuer(&claims, policy)?;
    claims::validate_audience(&claims, policy)?;
    // Asked only now: a fetch of keys may have taken a while.
    let now = clock.now();
    if claims.contains_key("exp") {
        claims::validate_expiry(&claims, policy, now)?;
    }
    claims::validate_not_before(&claims, policy, now)?;
    // OpenID Connect Back-Channel Logout 1.0 §2.4, RFC 8417 §2.2: "iat" is required.
    if !claims.contains_key("iat") {
        return Err(Reject::IatMissing.into());
    }
    claims::validate_issued_at(&claims, policy, now)?;
    let jti = parse_jti(&claims)?;
    Ok(VerifiedNotice { claims, jti })
}

impl VerifiedNotice {
    /// RFC 8417 §2.2: what has happened, by the names of the events.
    fn events(&self) -> Result<&Object, NoticeFault> {
        match self.claims.get("events") {
            None => Err(NoticeFault::EventsMissing),
            Some(Value::Object(events))
                if !events.is_empty() && events.values().all(Value::is_object) =>
            {
                Ok(events)
            }
            Some(_) => Err(NoticeFault::EventsMalformed),
        }
    }

    /// `exp`, which has been checked, and from which on the token is not accepted; `None` if it has none.
    fn expires_at(&self, policy: &Policy) -> Option<Timestamp> {
        let exp = Timestamp::from_numeric_date(self.claims.get("exp")?)?;
        Some(exp.plus(policy.clock_skew()))
    }
}

fn parse_jti(claims: &Object) -> Result<String, NoticeFault> {
    match claims.get("jti") {
        None => Err(NoticeFault::JtiMissing),
        Some(Value::String(jti)) if (1..=MAX_JTI_BYTES).contains(&jti.len()) => Ok(jti.clone()),
        Some(_) => Err(NoticeFault::JtiMalformed),
    }
}

/// A text that names somebody or something. SQL knows no NUL.
fn parse_name(value: &Value) -> Result<String, NoticeFault> {
    match value {
        Value::String(text) if !text.is_empty() && !text.contains('\0') => Ok(text.clone()),
        _ => Err(NoticeFault::SubjectMalformed),
    }
}
