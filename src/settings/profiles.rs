//! Which profile applies to a line of pg_hba.conf.

use oauth_core::{Issuer, Misconfigured, NearMiss, near_miss};

use crate::postgres::hba::HbaLine;
use crate::settings::gucs::{self, Profile};
use crate::settings::line_options::LineOptions;
use crate::settings::lookup::Settings;
use crate::settings::tables::Text;
use crate::settings::values::IssuerUrl;

/// The settings in force for logins through `line`, which has `options`.
///
/// Errors: it is open which profile applies, or the one that the line names does not.
pub fn for_line<'a>(
    line: &HbaLine,
    options: &'a LineOptions,
) -> Result<Settings<'a>, Misconfigured> {
    let profile = match options.profile() {
        Some(name) => Some(profile_named(name, line, options)?),
        None => profile_of(&line.issuer)?,
    };
    Ok(Settings::of_login(options, profile))
}

/// The profile that names an issuer.
///
/// Errors: two profiles do, so that it is open which one applies.
fn profile_of(url: &str) -> Result<Option<Profile>, Misconfigured> {
    let profiles = gucs::define_profiles()?;
    if profiles.is_empty() {
        return Ok(None);
    }
    let mut chosen = None;
    for profile in profiles {
        if is_for(profile, url)? == Some(true) && chosen.replace(profile).is_some() {
            let settings = Settings::of_profile(profile);
            return Err(settings.invalid(Text::Issuer, "another profile has the same issuer"));
        }
    }
    Ok(chosen)
}

/// The profile that a line names. It may have no issuer of its own, but not another one.
fn profile_named(
    name: &str,
    line: &HbaLine,
    options: &LineOptions,
) -> Result<Profile, Misconfigured> {
    let invalid = |why: &str| options.invalid("profile", why);
    let mut profiles = gucs::define_profiles()?.into_iter();
    let profile = profiles
        .find(|profile| profile.name() == name)
        .ok_or_else(|| invalid("validator.profiles does not name it"))?;
    match is_for(profile, &line.issuer)? {
        Some(false) => Err(invalid("it is for another issuer")),
        _ => Ok(profile),
    }
}

/// Whether a profile names this issuer. `None`: it names none.
fn is_for(profile: Profile, url: &str) -> Result<Option<bool>, Misconfigured> {
    // Whether plain http is allowed is checked later; here issuers are only compared.
    let issuer = Issuer::parse_allowing(url, true)?;
    Ok(own_issuer(profile)?.map(|own| own.identifier() == issuer.identifier()))
}

/// The issuer that a profile names; not the server's.
fn own_issuer(profile: Profile) -> Result<Option<Issuer>, Misconfigured> {
    let IssuerUrl(own) = match gucs::is_set(&profile.prefix(), "issuer") {
        true => Settings::of_profile(profile).text(Text::Issuer)?,
        false => IssuerUrl(None),
    };
    Ok(own)
}

/// Each profile's name, and the issuer that it is for, if it names one.
pub fn profile_issuers() -> Result<Vec<(&'static str, Option<Issuer>)>, Misconfigured> {
    gucs::define_profiles()?
        .into_iter()
        .map(|profile| Ok((profile.name(), own_issuer(profile)?)))
        .collect()
}

/// The profile whose issuer is most like this one, where none is for it, and by what they differ, if it is only spelling.
pub fn nearest_profile(url: &str) -> Option<(&'static str, Issuer, Option<NearMiss>)> {
    let own = Issuer::parse_allowing(url, true).ok()?;
    let profiles = profile_issuers().ok()?.into_iter();
    let named: Vec<_> = profiles
        .filter_map(|(name, issuer)| Some((name, issuer?)))
        .collect();
    let is_own = |issuer: &Issuer| issuer.identifier() == own.identifier();
    if named.iter().any(|(_, issuer)| is_own(issuer)) {
        return None;
    }
    named
        .into_iter()
        .map(|(name, issuer)| {
            let by = near_miss(issuer.identifier(), own.identifier());
            (name, issuer, by)
        })
        .max_by_key(|(_, issuer, by)| {
            let pairs = issuer.identifier().bytes().zip(own.identifier().bytes());
            let common = pairs.take_while(|(one, other)| one == other).count();
            (by.is_some(), common)
        })
}
