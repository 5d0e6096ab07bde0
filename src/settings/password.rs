//! What a token is judged by that comes as a password: a line of pg_hba.conf with the method `pam` names a PAM service and
//! nothing about tokens, so a profile of the service's name says it, or the server's own settings.

use oauth_core::{IdentityRule, Misconfigured, Printable};

use crate::postgres::hba::{FALLBACK_SERVICE, HbaLine, PamLine};
use crate::settings::gucs;
use crate::settings::line_options::LineOptions;
use crate::settings::lookup::Settings;
use crate::settings::tables::Text;
use crate::settings::values::{MapName, OptionalClaimPath, PlainText};

/// What a line of the method `oauth` would say, and the settings of it: at most the profile's name.
///
/// Errors: nothing names an issuer, the service is not one for tokens, or a setting is invalid.
pub fn line_of_service(pam: &PamLine) -> Result<(HbaLine, LineOptions), Misconfigured> {
    let service = Printable::new(&pam.service);
    if pam.service == FALLBACK_SERVICE {
        return Err(Misconfigured::PamServiceOther);
    }
    let mut profiles = gucs::define_profiles()?.into_iter();
    let profile = profiles.find(|profile| profile.name() == pam.service);
    let options = match profile {
        Some(profile) => LineOptions::naming(
            profile.name(),
            format!("line {} of pg_hba.conf", pam.number),
        ),
        None => LineOptions::none(),
    };
    let settings = Settings::of_login(LineOptions::NONE, profile);
    let issuer: String = settings.text(Text::Issuer)?;
    if issuer.is_empty() {
        return Err(Misconfigured::IssuerUnset { service });
    }
    // If the service names no profile, the issuer may have one, as for a line of the method `oauth`.
    let line = HbaLine {
        number: pam.number,
        issuer,
        scope: String::new(),
        delegated: false,
        mapped: false,
        identity_rule: Some(IdentityRule::EqualsRole),
    };
    let settings = crate::settings::for_line(&line, &options)?;
    let PlainText(scope) = settings.text(Text::PasswordScope)?;
    let MapName(map) = settings.text(Text::PasswordMap)?;
    let OptionalClaimPath(role_claim) = settings.text(Text::RoleClaim)?;
    let line = HbaLine {
        scope,
        delegated: map.is_none() && role_claim.is_some(),
        mapped: map.is_some(),
        identity_rule: Some(map.map_or(IdentityRule::EqualsRole, IdentityRule::ByMap)),
        ..line
    };
    Ok((line, options))
}
