//! What the provider is answered, and what the log says of it.

use oauth_core::{Failure, NoticeError, Reject, Who, cache_key};

use crate::clusters::Outcome;
use crate::config::EventsConfig;
use crate::log::{fact, log};
use crate::servers::{Criteria, Order};

/// Seconds after which a provider may try again.
pub const RETRY_AFTER: u64 = 10;

/// What a provider is answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// All is done.
    Done,
    /// It is the token's fault: a code of RFC 8935 §2.4, and why.
    Refused(&'static str, String),
    /// RFC 8935 §2: it is not the transmitter.
    Unauthorized,
    /// It is not the token's fault; after how many seconds it may be sent again.
    TryAgain(u64),
}

impl Order {
    /// By what sessions were looked for.
    pub fn sought(&self) -> String {
        let by = |criteria: &Criteria| {
            let names = [
                ("sid", criteria.sid.is_some()),
                ("sub", criteria.sub.is_some()),
                ("identity", criteria.identity.is_some()),
            ];
            let given = names.iter().filter(|(_, is_given)| *is_given);
            given
                .map(|(name, _)| *name)
                .collect::<Vec<_>>()
                .join(" and ")
        };
        let by: Vec<String> = self.sessions.iter().map(by).collect();
        format!("of this issuer with this {}", by.join(" or "))
    }
}

/// RFC 8935 §2: whether the header is the one that was agreed on. Digests are compared, so that time tells nothing.
pub fn is_authorized(config: &EventsConfig, authorization: Option<&[u8]>) -> bool {
    match &config.authorization {
        None => true,
        Some(wanted) => {
            let sent = authorization.and_then(|sent| std::str::from_utf8(sent).ok());
            sent.is_some_and(|sent| cache_key(&[sent]) == cache_key(&[wanted.expose()]))
        }
    }
}

/// What a failed verification is answered with. Only what is the token's fault is refused.
pub fn answer_to(what: &str, error: &NoticeError) -> Answer {
    let held_back = match error {
        NoticeError::Failure(Failure::Reject(
            Reject::UnknownKid { again_in }
            | Reject::NoFittingKey { again_in }
            | Reject::BadSignature { again_in },
        )) => *again_in,
        NoticeError::Failure(Failure::Reject(_)) | NoticeError::Fault(_) => None,
        NoticeError::Failure(failure) => {
            let why = unavailable(failure);
            log(&format!(
                "{what} cannot be verified, and may be sent again: {why}"
            ));
            return Answer::TryAgain(RETRY_AFTER);
        }
    };
    if let Some(seconds) = held_back {
        log(&format!(
            "{what} cannot be verified, and may be sent again: {error}, and the provider is not asked for its keys again \
             within {seconds} s"
        ));
        return Answer::TryAgain(seconds);
    }
    let code = match error.code() {
        "iss_missing" | "iss_malformed" | "iss_mismatch" => "invalid_issuer",
        "aud_missing" | "aud_malformed" | "aud_mismatch" => "invalid_audience",
        "unknown_kid" | "no_fitting_key" | "ambiguous_key" | "key_unsuitable" | "bad_signature" => {
            "invalid_key"
        }
        _ => "invalid_request",
    };
    log(&format!("{what} refused: {error} reason={}", error.code()));
    Answer::Refused(code, error.to_string())
}

/// Why something that is not the token's fault failed, with what was asked.
pub fn unavailable(failure: &Failure) -> String {
    match failure {
        Failure::Unavailable(unavailable) => {
            format!(
                "{unavailable}{}",
                fact("url", Some(&unavailable.url.to_string()))
            )
        }
        other => other.to_string(),
    }
}

pub fn unknown_issuer() -> Answer {
    let why = "the token is not of an issuer that is configured";
    Answer::Refused("invalid_issuer", why.to_owned())
}

pub fn refuse(what: &str, answer: Answer) -> Answer {
    if let Answer::Refused(_, why) = &answer {
        log(&format!("{what} refused: {why}"));
    }
    answer
}

pub fn wait(what: &str, why: &str) -> Answer {
    log(&format!("{what} may be sent again: {why}"));
    Answer::TryAgain(RETRY_AFTER)
}

pub fn internal(what: &str) -> Answer {
    log(&format!("{what}: internal error"));
    Answer::TryAgain(RETRY_AFTER)
}

pub fn describe(who: &Who, issuer: &str, jti: &str) -> String {
    let (who, issuer) = (describe_who(who), fact("issuer", Some(issuer)));
    format!("{who}{issuer}{}", fact("jti", Some(jti)))
}

pub fn describe_who(who: &Who) -> String {
    [("sub", &who.sub), ("sid", &who.sid), ("email", &who.email)]
        .map(|(name, value)| fact(name, value.as_deref()))
        .concat()
}

/// What came of an order on each server.
pub fn tell(outcomes: &[Outcome]) -> String {
    let all = outcomes.iter().map(Outcome::to_string);
    all.collect::<Vec<_>>().join(", ")
}
