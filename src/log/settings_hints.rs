//! Hints about settings: what cannot be used, and which of them apply.

use oauth_core::{Failure, Misconfigured, Printable, Reject};

use crate::log::circumstances::{Circumstances, OtherProfile};

/// A profile that was meant for the line, and does not apply: whatever the server's own settings refuse then.
pub fn meant_profile_hint(failure: &Failure, known: &Circumstances<'_>) -> Option<String> {
    let OtherProfile { name, issuer, by } = other_profile(failure, known)?;
    let by = (*by)?;
    let line = match known.policy {
        Some(policy) => format!(" (\"{}\")", Printable::new(policy.issuer().identifier())),
        None => String::new(),
    };
    Some(format!(
        "The server's own settings apply, since no profile names the line's issuer{line}: profile \"{name}\" is for \
            \"{issuer}\". They differ only by {by}, but must be equal: use the issuer exactly as the provider's discovery \
            document has it, in both places."
    ))
}

/// That there are profiles, and none is for the line's issuer. Empty: that does not matter.
pub fn other_profile_note(failure: &Failure, known: &Circumstances<'_>) -> String {
    match other_profile(failure, known) {
        Some(OtherProfile { name, issuer, .. }) => format!(
            " No profile names the line's issuer, so the server's own settings apply; the nearest one, \"{name}\", is for \
                \"{issuer}\"."
        ),
        None => String::new(),
    }
}

/// Where a setting has refused the token that a profile may have: of another issuer, or another kind, it is refused
/// anyway.
fn other_profile<'a>(failure: &Failure, known: &Circumstances<'a>) -> Option<&'a OtherProfile> {
    let is_other = known
        .sketch
        .is_some_and(|sketch| sketch.other_issuer().is_some() || sketch.kind.is_some());
    let other = known.findings?.other_profile.as_ref()?;
    (!is_other && is_by_settings(failure)).then_some(other)
}

fn is_by_settings(failure: &Failure) -> bool {
    match failure {
        Failure::Reject(reject) => matches!(
            reject,
            Reject::AlgNotAllowed { .. }
                | Reject::TypNotAllowed { .. }
                | Reject::AudMismatch { .. }
                | Reject::TooOld { .. }
                | Reject::IatMissing
                | Reject::NotAnAccessToken { .. }
                | Reject::AccessTokenUnproven { .. }
                | Reject::ClientMissing
                | Reject::ClientNotAllowed { .. }
                | Reject::InsufficientScope { .. }
                | Reject::RequiredClaimMissing { .. }
                | Reject::RequiredClaimMismatch { .. }
                | Reject::ForbiddenClaim { .. }
                | Reject::TokenNotBound
                | Reject::NotAJwt
                | Reject::IdentityMissing
                | Reject::IdentityMalformed
                | Reject::RoleClaimMissing
                | Reject::RoleClaimMalformed
                | Reject::RoleNotGranted { .. }
        ),
        Failure::Misconfigured(misconfigured) => matches!(
            misconfigured,
            Misconfigured::AudienceUnset
                | Misconfigured::RoleClaimUnset
                | Misconfigured::RequiredClaimsUnset { .. }
        ),
        _ => false,
    }
}

/// A setting that cannot be used: what it is, where, and what a reload cures.
pub fn invalid_setting_hint(setting: &Printable, known: &Circumstances<'_>) -> String {
    let restart = "removing the setting takes effect only after a restart.";
    let Some(source) = known
        .findings
        .and_then(|findings| findings.setting.as_ref())
    else {
        return format!("Correct {setting} and reload. If the module is preloaded, {restart}");
    };
    let mut hint = format!("Correct {setting} and reload");
    if let Some((file, line)) = &source.place {
        let file = Printable::new(file);
        hint += &match &source.value {
            Some(value) => format!(": it is \"{value}\" in line {line} of {file}"),
            None => format!(": it is in line {line} of {file}"),
        };
    }
    hint += ".";
    if let Some(why) = &source.why {
        hint += &format!(" What is wrong: {why}.");
    }
    if let Some(range) = &source.range {
        hint += &format!(" Permitted: {range}.");
    }
    if source.is_preloaded {
        hint += &format!(" Since the module is preloaded, {restart}");
    }
    hint
}
