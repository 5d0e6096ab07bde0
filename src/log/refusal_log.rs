//! One line in the server log for each refused token: what, why, whose fault, and what to do.
//!
//! The client receives none of it. Everything that came from outside has passed [`Printable`].

use std::fmt::Write as _;

use oauth_core::{Decision, Evidence, Failure, Policy, Printable, Unavailable};

use crate::log::hints::{hint, key_set_hint};
use crate::log::server_log;

/// Logs why the token was refused. `policy` is absent where the settings did not allow one.
pub fn log_refusal(role: &str, decision: &Decision, failure: &Failure, policy: Option<&Policy>) {
    let message = format!(
        "OAuth token refused for user \"{}\": {failure}",
        Printable::new(role)
    );
    let reason = reason(decision, failure, policy);
    let hint = hint(failure, policy, Some(decision.evidence()));
    server_log::log(message, Some(reason), hint);
}

/// Logs that keys could not be fetched again, while logins continue with the cached ones.
pub fn log_failed_refresh(url: &str, failure: &Failure) {
    let message = format!(
        "could not refresh the keys of OAuth issuer \"{}\": {failure}",
        Printable::new(url)
    );
    let (facts, hint) = describe(failure, None, None);
    server_log::log(message, Some(facts), hint);
}

/// Logs that keys of an issuer are not kept: tokens that they have signed are refused.
pub fn log_left_out_keys(url: &str, left_out: usize) {
    let message = format!(
        "{left_out} keys of OAuth issuer \"{}\" are not kept",
        Printable::new(url)
    );
    server_log::log(message, None, Some(key_set_hint(left_out)));
}

/// The facts about a failure by itself, and what to do.
pub fn describe(
    failure: &Failure,
    policy: Option<&Policy>,
    evidence: Option<&Evidence>,
) -> (String, Option<String>) {
    let facts = reason(&Decision::refused(failure.clone()), failure, policy);
    (facts, hint(failure, policy, evidence))
}

/// The facts in the form `name=value`, the stable reason code first. `identity` is the one that the token
/// names, proven or not.
pub fn reason(decision: &Decision, failure: &Failure, policy: Option<&Policy>) -> String {
    let (cause, url) = match failure {
        Failure::Unavailable(Unavailable { url, cause }) => (Some(cause.code()), Some(url)),
        _ => (None, None),
    };
    let issuer = policy.map(|policy| Printable::new(policy.issuer().identifier()));
    let evidence = decision.evidence();
    let mut facts = format!("reason={}", failure.code());
    if let Some(cause) = cause {
        // Writing to a String does not fail.
        let _ = write!(facts, " cause={cause}");
    }
    for (name, value) in [
        ("url", url),
        ("issuer", issuer.as_ref()),
        ("kid", evidence.kid.as_ref()),
        ("client_id", evidence.client_id.as_ref()),
        ("jti", evidence.jti.as_ref()),
        ("identity", evidence.identity.as_ref()),
    ] {
        if let Some(value) = value {
            let _ = write!(facts, " {name}={}", value.to_fact());
        }
    }
    facts
}
