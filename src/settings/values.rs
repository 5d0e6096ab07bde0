//! The values that text settings can have: how each is written, and what it is read into.

use std::path::PathBuf;
use std::str::FromStr;

use oauth_core::{
    ClaimPath, Endpoint, Issuer, Misconfigured, Printable, Proxy, SettingError, StringList,
};

/// A setting's value cannot be used. `setting` is its full name.
pub fn invalid(setting: &str, why: &str) -> Misconfigured {
    Misconfigured::SettingInvalid {
        setting: Printable::new(setting),
        why: Printable::new(why),
    }
}

/// The names of profiles: lower-case letters, digits and underscores, so that they can be part of a setting's name.
pub struct ProfileNames(pub Vec<String>);

impl FromStr for ProfileNames {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let list: StringList = text
            .parse()
            .map_err(|error: SettingError| error.to_string())?;
        let mut names: Vec<String> = Vec::new();
        for name in list.iter() {
            let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            if name.len() > 32 || !name.bytes().all(is_plain) {
                return Err(format!(
                    "\"{}\" is not a name of lower-case letters, digits and underscores",
                    Printable::new(name)
                ));
            }
            if names.iter().any(|other| other == name) {
                return Err(format!("\"{name}\" appears twice"));
            }
            names.push(name.to_owned());
        }
        Ok(ProfileNames(names))
    }
}

/// An issuer, or its well-known URI. Empty: none.
pub struct IssuerUrl(pub Option<Issuer>);

impl FromStr for IssuerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(IssuerUrl(None));
        }
        let issuer = Issuer::parse_allowing(text, true).map_err(|error| error.to_string())?;
        Ok(IssuerUrl(Some(issuer)))
    }
}

/// Where a claim is found. Empty: none.
pub struct OptionalClaimPath(pub Option<ClaimPath>);

impl FromStr for OptionalClaimPath {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = (!text.is_empty()).then(|| text.parse()).transpose()?;
        Ok(OptionalClaimPath(path))
    }
}

/// The name of a map in pg_ident.conf. Empty: none.
pub struct MapName(pub Option<String>);

impl FromStr for MapName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" => Ok(MapName(None)),
            name if name.chars().any(|c| c.is_control() || c.is_whitespace()) => {
                Err("a map's name must not contain spaces")
            }
            name => Ok(MapName(Some(name.to_owned()))),
        }
    }
}

/// A path that does not depend on the server's working directory. Empty: none.
pub struct AbsolutePath(pub Option<PathBuf>);

impl FromStr for AbsolutePath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" => Ok(AbsolutePath(None)),
            path if path.starts_with('/') => Ok(AbsolutePath(Some(PathBuf::from(path)))),
            _ => Err("it must be an absolute path"),
        }
    }
}

/// A URL that may be asked where plain http is allowed. Empty: none.
pub struct OptionalUrl(pub Option<String>);

impl FromStr for OptionalUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" => Ok(OptionalUrl(None)),
            url => Endpoint::parse_allowing(url, true).map(|_| OptionalUrl(Some(url.to_owned()))),
        }
    }
}

/// The URL of a proxy. Empty: none.
pub struct OptionalProxy(pub Option<Proxy>);

impl FromStr for OptionalProxy {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let proxy = (!text.is_empty()).then(|| text.parse()).transpose()?;
        Ok(OptionalProxy(proxy))
    }
}

/// Text without control characters. Empty: none.
pub struct PlainText(pub String);

impl FromStr for PlainText {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.chars().any(char::is_control) {
            true => Err("it has control characters"),
            false => Ok(PlainText(text.to_owned())),
        }
    }
}

/// What is done about the role that logs in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ProvisionMode {
    Off,
    /// Memberships of roles that exist.
    Memberships,
    /// The same, and roles that do not exist are created.
    Roles,
}

impl FromStr for ProvisionMode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(ProvisionMode::Off),
            "memberships" => Ok(ProvisionMode::Memberships),
            "roles" => Ok(ProvisionMode::Roles),
            _ => Err("it must be off, memberships or roles"),
        }
    }
}
