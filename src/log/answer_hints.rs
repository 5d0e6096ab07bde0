//! Hints about what the provider has answered about a token.

use oauth_core::{IntrospectionMode, Printable, Reject};

use crate::log::circumstances::{Circumstances, Question};

/// Seconds for which a token counts as new.
const NEW: i64 = 300;

/// A hint about a token that the provider does not confirm, by whom it was asked, and as whom.
pub fn answer_hint(reject: &Reject, known: &Circumstances<'_>) -> Option<String> {
    let question = known.findings?.question.as_ref()?;
    let asked = match &question.url {
        Some(url) => format!("The provider was asked at {url}, and answered with status"),
        None => "The provider answered with status".to_owned(),
    };
    let elsewhere = elsewhere(question);
    match reject {
        Reject::TokenInactive if has_passed_all_else(known) => {
            Some(unconfirmed_hint(&asked, question, known))
        }
        Reject::TokenInactive => Some(format!(
            "{asked} 200 that the token is not active: it has expired, was revoked, or is from another provider. \
                {elsewhere}The client must get a new one."
        )),
        Reject::IntrospectionRefused => Some(format!(
            "{asked} 401 about this token, not about the client. {elsewhere}Some providers answer so for a revoked token; \
                the client must get a new one."
        )),
        Reject::IntrospectionMismatch { claim } => Some(format!(
            "The provider's answer differs from the JWT in \"{claim}\". {elsewhere}{asked} 200."
        )),
        _ => None,
    }
}

/// The provider is asked about a JWT only after it has passed all checks that can be made here.
fn has_passed_all_else(known: &Circumstances<'_>) -> bool {
    let is_asked_last = known
        .policy
        .is_some_and(|policy| policy.introspection().mode == IntrospectionMode::Always);
    is_asked_last
        && known.sketch.is_some()
        && known.evidence.is_some_and(|known| known.identity.is_some())
}

/// A token of the issuer that the endpoint calls inactive.
fn unconfirmed_hint(asked: &str, question: &Question, known: &Circumstances<'_>) -> String {
    let beginning = format!(
        "{asked} 200 that the token is not active, although it has passed all other checks."
    );
    let elsewhere = elsewhere(question);
    if !elsewhere.is_empty() {
        return format!("{beginning} {}", elsewhere.trim_end());
    }
    let client = Printable::new(&question.client_id);
    let is_among = known.sketch.is_some_and(|sketch| {
        let mut audiences = sketch.audiences.iter();
        audiences.any(|audience| *audience == question.client_id)
    });
    if !question.client_id.is_empty() && !is_among {
        return format!(
            "{beginning} It was revoked, or the provider does not show it to \"{client}\" (validator.client_id), which is not \
                in its \"aud\": Keycloak 26.6.2 and later shows a token only to a client that is. If it was revoked, the \
                client must get a new one."
        );
    }
    let age = known
        .sketch
        .and_then(|sketch| sketch.issued_at)
        .zip(known.findings);
    let is_new =
        age.is_some_and(|(issued_at, findings)| findings.now.saturating_sub(issued_at) < NEW);
    match is_new {
        true => format!(
            "{beginning} It is new, so the provider does not know it, or does not show it to \"{client}\" \
                (validator.client_id), more probably than it was revoked: is the endpoint this issuer's, and may this \
                client ask about tokens of that one?"
        ),
        false => format!("{beginning} It was probably revoked: the client must get a new one."),
    }
}

/// An endpoint that is set, and at another server than the metadata. Empty: it is not.
fn elsewhere(question: &Question) -> String {
    match &question.url {
        Some(url) if question.is_set && question.is_elsewhere => format!(
            "validator.introspection_endpoint, {url}, is at another server than the issuer's metadata: is it this issuer's? "
        ),
        _ => String::new(),
    }
}
