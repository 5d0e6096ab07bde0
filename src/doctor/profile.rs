//! A profile that was probably meant for a line, and is for another issuer.

use oauth_core::near_miss;

use crate::doctor::finding::{self, Finding};
use crate::doctor::line::LineSettings;
use crate::settings;

/// Leaves the line to the server's settings, which are probably laxer, or refuse everyone.
pub fn examine_near_miss(line: &LineSettings<'_>) -> Option<Finding> {
    let issuer = line.issuer.as_ref().filter(|_| line.has_no_profile())?;
    let profiles = settings::profile_issuers().ok()?;
    let mut named = profiles
        .iter()
        .filter_map(|(name, own)| Some((name, own.as_ref()?.identifier())));
    if named.clone().any(|(_, own)| own == issuer.identifier()) {
        return None;
    }
    let (name, own, by) =
        named.find_map(|(name, own)| Some((name, own, near_miss(own, issuer.identifier())?)))?;
    let found = finding::PROFILE_NEAR_MISS.with(format!(
        "Profile \"{name}\" is for {own}, but the line's issuer is {}: they differ only by {by}, and the server's own settings apply instead of the profile.",
        issuer.identifier(),
    ));
    // For example, without an audience set for the server they admit no one.
    let policy = line.policy.as_ref().ok();
    let refuses_all = policy.is_some_and(|policy| !policy.faults().is_empty());
    Some(match refuses_all {
        true => found.into_warning(),
        false => found,
    })
}
