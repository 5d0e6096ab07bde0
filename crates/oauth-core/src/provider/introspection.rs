//! Token introspection: RFC 7662.

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use crate::basics::bearer::Bearer;
use crate::basics::clock::Timestamp;
use crate::basics::json::{self, Object};
use crate::basics::printable::Printable;
use crate::failure::reject::Reject;
use crate::failure::unavailable::{Document, UnavailableCause};
use crate::failure::{Failure, Internal};

/// An inactive response is cached for at most this long: a token may become active a moment later.
const MAX_NEGATIVE_LIFETIME: Duration = Duration::from_secs(10);

/// RFC 6749 §10.10: tokens that cannot be guessed have more characters. What is shorter may be in an answer by chance.
const SHORTEST_TOKEN: usize = 16;

/// Asks the provider about a token. Asked only for tokens that pass every check that can be made without.
pub trait Introspector {
    /// The introspection response for the token.
    ///
    /// Errors: a `Reject` if the provider says that the token is not active; otherwise the cause that prevented a
    /// response.
    fn introspect(&self, token: &Bearer<'_>) -> Result<IntrospectionResponse, Failure>;
}

/// Asks no provider; goes with [`IntrospectionMode::Off`](crate::IntrospectionMode::Off).
#[derive(Debug, Clone, Copy)]
pub struct NoIntrospection;

impl Introspector for NoIntrospection {
    fn introspect(&self, _token: &Bearer<'_>) -> Result<IntrospectionResponse, Failure> {
        Err(Internal(Printable::new(
            "no provider is configured for introspection",
        ))
        .into())
    }
}

/// RFC 7662 §2.2: what the provider says of an active token. Made by [`parse`](IntrospectionResponse::parse) only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntrospectionResponse {
    members: Object,
}

impl IntrospectionResponse {
    /// Parses the answer to an introspection request.
    ///
    /// Errors: `Reject` if the answer is about the token (it is not active, or the provider refuses to look at
    /// it); `Unavailable`'s cause if it is about something else: our client, or a provider in trouble. What the header
    /// says of another status than 200, 401 and 403, [`validate_answer`](crate::validate_answer) tells.
    pub fn parse(status: StatusCode, body: &[u8]) -> Result<Self, NotActive> {
        let document = json::parse_object(json::without_byte_order_mark(body)).ok();
        if status == StatusCode::UNAUTHORIZED {
            // RFC 7662 §2.3, RFC 6749 §5.2: our client is not known, or its secret is wrong. Some providers answer
            // with this status for a token that has been revoked, too, with another error in JSON.
            return Err(match document {
                Some(document) if !blames_client(&document) => {
                    NotActive::Reject(Reject::IntrospectionRefused)
                }
                _ => NotActive::Unavailable(UnavailableCause::ClientUnauthorized),
            });
        }
        if status == StatusCode::FORBIDDEN {
            return Err(NotActive::Unavailable(UnavailableCause::ClientForbidden));
        }
        if status != StatusCode::OK {
            let cause = match status.as_u16() {
                redirect @ 300..400 => {
                    UnavailableCause::redirect(redirect, None, Document::Introspection)
                }
                status => UnavailableCause::Status(status),
            };
            return Err(NotActive::Unavailable(cause));
        }
        let malformed = |why| NotActive::Unavailable(UnavailableCause::Malformed(why));
        let mut members = document.ok_or_else(|| {
            malformed(Printable::new(
                "the introspection response is not a JSON object",
            ))
        })?;
        // RFC 7662 §2.2: "active" is required, and a boolean.
        match members.remove("active") {
            Some(Value::Bool(true)) => {}
            Some(Value::Bool(false)) => return Err(NotActive::Reject(Reject::TokenInactive)),
            _ => return Err(NotActive::Unavailable(UnavailableCause::ActiveMalformed)),
        }
        members.retain(|_, value| !value.is_null());
        Ok(IntrospectionResponse { members })
    }

    /// The answer as text that [`from_stored`](IntrospectionResponse::from_stored) reads. It never has the token,
    /// which some providers repeat in their answers. `None`: the token is too short to tell where it is repeated, so that the
    /// answer must not be kept.
    pub fn to_stored(&self, token: &Bearer<'_>) -> Option<String> {
        is_told_apart(token).then(|| Value::Object(self.clone().into_claims(token)).to_string())
    }

    /// The answer as it is judged: what is stored must be judged as it is when it has just come. So members that repeat the
    /// token count in neither, and all members of an answer that is not stored.
    pub(crate) fn judged(self, token: &Bearer<'_>) -> Self {
        match is_told_apart(token) {
            true => IntrospectionResponse {
                members: self.into_claims(token),
            },
            false => self,
        }
    }

    /// An answer of [`to_stored`](IntrospectionResponse::to_stored). `None`: it is not one.
    pub fn from_stored(text: &str) -> Option<Self> {
        let members = json::parse_object(text.as_bytes()).ok()?;
        Some(IntrospectionResponse { members })
    }

    /// How long the answer may be used without asking again: for `ttl`, and never past the token's own end.
    pub fn lifetime(&self, ttl: Duration, now: Timestamp) -> Duration {
        match self
            .members
            .get("exp")
            .and_then(Timestamp::from_numeric_date)
        {
            Some(exp) => exp.since(now).min(ttl),
            None => ttl,
        }
    }

    /// How long a "no" may be used.
    pub fn negative_lifetime(ttl: Duration) -> Duration {
        ttl.min(MAX_NEGATIVE_LIFETIME)
    }

    pub(crate) fn claims(&self) -> &Object {
        &self.members
    }

    /// The claims without those that repeat the token.
    pub(crate) fn into_claims(mut self, token: &Bearer<'_>) -> Object {
        self.members.retain(|name, value| {
            !name.contains(token.expose()) && !value.to_string().contains(token.expose())
        });
        self.members
    }
}

/// Whether a member that has the token in it repeats the token.
fn is_told_apart(token: &Bearer<'_>) -> bool {
    token.expose().len() >= SHORTEST_TOKEN
}

/// Why an answer is not the one for an active token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotActive {
    /// The token's fault.
    Reject(Reject),
    /// Not the token's.
    Unavailable(UnavailableCause),
}

/// RFC 6749 §5.2: the errors that are about the client that asks.
fn blames_client(document: &Object) -> bool {
    let names = ["invalid_client", "unauthorized_client", "invalid_request"];
    document
        .get("error")
        .and_then(Value::as_str)
        .is_some_and(|error| names.contains(&error))
}
