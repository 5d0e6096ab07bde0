//! Why a token does not open a session, and whose fault that is.
//!
//! Every cause has a variant of its own and a stable code: the code appears in the server's log,
//! in statistics, in the troubleshooting page and in the tests, so it never changes its meaning.

pub(crate) mod causes;
pub(crate) mod misconfigured;
pub(crate) mod notice_fault;
pub(crate) mod provisioning_cause;
pub(crate) mod reject;
pub(crate) mod unavailable;

use std::fmt;

use crate::basics::printable::Printable;
use crate::failure::misconfigured::Misconfigured;
use crate::failure::reject::Reject;
use crate::failure::unavailable::Unavailable;

/// Anything that keeps a token from being accepted, sorted by whose fault it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The token (or its sender) is at fault: it does not open this session.
    Reject(Reject),
    /// The identity provider is at fault: what is needed to judge the token is not available.
    Unavailable(Unavailable),
    /// The administrator is at fault: the settings do not allow a judgement.
    Misconfigured(Misconfigured),
    /// This code is at fault: something impossible happened.
    Internal(Internal),
}

/// The codes of failures that have one code for all causes.
const OTHER_CODES: [&str; 2] = ["provider_unavailable", "internal_error"];

impl Failure {
    /// How many codes there are.
    pub const CODE_COUNT: usize =
        Reject::CODES.len() + Misconfigured::CODES.len() + OTHER_CODES.len();

    /// Every code, always in the same order.
    pub fn codes() -> impl Iterator<Item = &'static str> {
        [Reject::CODES, Misconfigured::CODES, &OTHER_CODES]
            .into_iter()
            .flatten()
            .copied()
    }

    /// The stable code of this failure, such as `aud_mismatch`.
    pub fn code(&self) -> &'static str {
        match self {
            Failure::Reject(reject) => reject.code(),
            Failure::Unavailable(_) => "provider_unavailable",
            Failure::Misconfigured(misconfigured) => misconfigured.code(),
            Failure::Internal(_) => "internal_error",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Reject(reject) => reject.fmt(f),
            Failure::Unavailable(unavailable) => unavailable.fmt(f),
            Failure::Misconfigured(misconfigured) => misconfigured.fmt(f),
            Failure::Internal(internal) => internal.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Reject> for Failure {
    fn from(reject: Reject) -> Self {
        Failure::Reject(reject)
    }
}

impl From<Unavailable> for Failure {
    fn from(unavailable: Unavailable) -> Self {
        Failure::Unavailable(unavailable)
    }
}

impl From<Misconfigured> for Failure {
    fn from(misconfigured: Misconfigured) -> Self {
        Failure::Misconfigured(misconfigured)
    }
}

impl From<Internal> for Failure {
    fn from(internal: Internal) -> Self {
        Failure::Internal(internal)
    }
}

/// A fault of this code. It carries no text of the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Internal(
    /// What happened, for the log.
    pub Printable,
);

impl fmt::Display for Internal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "internal error: {}", self.0)
    }
}

impl std::error::Error for Internal {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::notice_fault::NoticeFault;
    use crate::failure::provisioning_cause::ProvisioningCause;
    use crate::failure::unavailable::UnavailableCause;

    #[test]
    fn codes_are_unique_and_plain() {
        let mut seen = std::collections::HashSet::new();
        for code in Reject::CODES {
            assert!(seen.insert(code), "{code} appears twice");
            assert!(
                code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{code}"
            );
        }
    }

    #[test]
    fn a_text_is_a_clause_and_that_of_a_reject_shows_nothing_of_the_token() {
        let texts = [
            Reject::TEXTS,
            Misconfigured::TEXTS,
            UnavailableCause::TEXTS,
            NoticeFault::TEXTS,
            ProvisioningCause::TEXTS,
        ];
        for text in texts.concat() {
            assert!(!text.is_empty() && !text.ends_with('.'), "{text}");
        }
        for text in [Reject::TEXTS, NoticeFault::TEXTS].concat() {
            assert!(!text.contains('{'), "{text}");
        }
    }

    #[test]
    fn every_code_is_counted() {
        assert_eq!(Failure::codes().count(), Failure::CODE_COUNT);
        let distinct: std::collections::HashSet<_> = Failure::codes().collect();
        assert_eq!(distinct.len(), Failure::CODE_COUNT);
        let unavailable = Unavailable {
            url: Printable::new(""),
            cause: UnavailableCause::Timeout,
        };
        let internal = Internal(Printable::new(""));
        for failure in [Failure::from(unavailable), internal.into()] {
            assert!(distinct.contains(failure.code()), "{failure:?}");
        }
    }

    #[test]
    fn code_of_an_algorithm_refusal_is_stable() {
        let reject = Reject::AlgNotAllowed { alg: None };
        assert_eq!(Failure::from(reject).code(), "alg_not_allowed");
    }
}
