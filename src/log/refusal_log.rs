//! One line in the server log for each refused token: what, why, whose fault, and what to do.
//!
//! The client receives none of it. Everything that came from outside has passed [`Printable`].

use std::fmt::Write as _;

use oauth_core::{Failure, Misconfigured, Printable, Reject, Unavailable};

use crate::log::circumstances::Circumstances;
use crate::log::hints::{hint, key_set_hint};
use crate::log::server_log;

/// Logs why the token was refused. Returns the facts.
pub fn log_refusal(role: &str, failure: &Failure, known: &Circumstances<'_>) -> String {
    let message = format!(
        "OAuth token refused for user \"{}\": {failure}",
        Printable::new(role)
    );
    let (facts, hint) = describe(failure, known);
    server_log::log(message, Some(facts.clone()), hint);
    facts
}

/// Logs that keys could not be fetched again, while logins continue with the cached ones.
pub fn log_failed_refresh(url: &str, failure: &Failure) {
    let message = format!(
        "could not refresh the keys of OAuth issuer \"{}\": {failure}",
        Printable::new(url)
    );
    let (facts, hint) = describe(failure, &Circumstances::default());
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

/// The facts about a failure, and what to do.
pub fn describe(failure: &Failure, known: &Circumstances<'_>) -> (String, Option<String>) {
    (facts(failure, known), hint(failure, known))
}

/// The facts in the form `name=value`, the stable reason code first. `identity` is the one that the token names, proven or
/// not; `token_issuer`, which is there if it is not the line's, and `kid` are whatever the sender has written.
fn facts(failure: &Failure, known: &Circumstances<'_>) -> String {
    let (cause, url) = match failure {
        Failure::Unavailable(Unavailable { url, cause }) => (Some(cause.code()), Some(url)),
        Failure::Misconfigured(Misconfigured::RoleNotProvisioned { cause, .. }) => {
            (Some(cause.code()), None)
        }
        _ => (None, None),
    };
    let of_line = known.policy.map(|policy| policy.issuer().identifier());
    let line_issuer = of_line.map(Printable::new);
    let of_token = known.sketch.and_then(|sketch| sketch.other_issuer());
    let token_issuer = of_token.map(Printable::new);
    let profile = known.profile.map(Printable::new);
    let evidence = known.evidence;
    let findings = known.findings;
    let asked = findings.and_then(|findings| findings.question.as_ref()?.url.as_ref());
    let keys = findings.and_then(|findings| findings.keys.as_ref());
    let fetched = keys.map(|keys| Printable::new(&keys.fetched));
    let mut facts = format!("reason={}", failure.code());
    // Writing to a String does not fail.
    if let Some(cause) = cause {
        let _ = write!(facts, " cause={cause}");
    }
    if let Some(url) = url.or(asked) {
        let _ = write!(facts, " url={}", url.to_fact());
    }
    if let Some(number) = known.hba_line {
        let _ = write!(facts, " hba_line={number}");
    }
    if let (Some(_), Failure::Reject(reject)) = (asked, failure) {
        let is_refused = matches!(reject, Reject::IntrospectionRefused);
        let status = if is_refused { 401 } else { 200 };
        let _ = write!(facts, " status={status}");
    }
    for (name, value) in [
        ("profile", profile.as_ref()),
        ("line_issuer", line_issuer.as_ref()),
        ("token_issuer", token_issuer.as_ref()),
        ("kid", evidence.and_then(|known| known.kid.as_ref())),
        (
            "client_id",
            evidence.and_then(|known| known.client_id.as_ref()),
        ),
        ("jti", evidence.and_then(|known| known.jti.as_ref())),
        (
            "identity",
            evidence.and_then(|known| known.identity.as_ref()),
        ),
        ("keys_fetched", fetched.as_ref()),
    ] {
        if let Some(value) = value {
            let _ = write!(facts, " {name}={}", value.to_fact());
        }
    }
    facts
}
