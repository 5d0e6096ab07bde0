//! What a policy consists of, as an administrator writes it: parsed once into types that cannot be wrong.

use std::str::FromStr;

use crate::basics::setting::{SettingError, parse_list};

/// The accepted values of the `typ` header (RFC 7515 §4.1.9). The prefix `application/` and case
/// are ignored; `-` stands for a header without `typ`.
///
/// ```
/// use oauth_core::TokenTypes;
/// let accepted: TokenTypes = "at+jwt".parse().unwrap();
/// assert!(accepted.accept(Some("application/AT+JWT")));
/// assert!(!accepted.accept(Some("JWT")) && !accepted.accept(None));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenTypes {
    names: Vec<String>,
    absent: bool,
}

impl TokenTypes {
    pub(crate) fn of(names: &[&str]) -> Self {
        let (absent, named): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| **name == "-");
        TokenTypes {
            names: named.into_iter().map(short_media_type).collect(),
            absent: !absent.is_empty(),
        }
    }

    /// Whether a header with this `typ` is accepted.
    pub fn accept(&self, typ: Option<&str>) -> bool {
        match typ {
            None => self.absent,
            Some(typ) => {
                let typ = short_media_type(typ);
                self.names.contains(&typ)
            }
        }
    }
}

impl Default for TokenTypes {
    /// RFC 9068 §2.1: `at+jwt`.
    fn default() -> Self {
        TokenTypes {
            names: vec!["at+jwt".to_owned()],
            absent: false,
        }
    }
}

impl FromStr for TokenTypes {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let mut types = TokenTypes {
            names: Vec::new(),
            absent: false,
        };
        for item in parse_list(text)? {
            match short_media_type(&item) {
                name if name == "-" => types.absent = true,
                name if name.is_empty() => {
                    return Err(SettingError::new(
                        "the list has a token type without a name",
                    ));
                }
                name => types.names.push(name),
            }
        }
        if types.names.is_empty() && !types.absent {
            return Err(SettingError::new("at least one token type is required"));
        }
        Ok(types)
    }
}

/// RFC 7515 §4.1.9: `application/` may be left out; media types ignore case.
fn short_media_type(typ: &str) -> String {
    let lower = typ.to_ascii_lowercase();
    match lower.strip_prefix("application/") {
        Some(short) if !short.contains('/') => short.to_owned(),
        _ => lower,
    }
}

/// Text put before an identity, so that two issuers cannot produce the same one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentityPrefix(String);

impl IdentityPrefix {
    /// The prefix itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdentityPrefix {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        if text.len() > 128 {
            return Err(SettingError::new("the prefix is longer than 128 bytes"));
        }
        if text.chars().any(char::is_control) {
            return Err(SettingError::new("the prefix has control characters"));
        }
        Ok(IdentityPrefix(text.to_owned()))
    }
}

/// How the letters of an identity are written.
///
/// ```
/// use oauth_core::IdentityCase;
/// assert_eq!("lower".parse(), Ok(IdentityCase::Lower));
/// assert!("upper".parse::<IdentityCase>().is_err());
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IdentityCase {
    /// As in the claim.
    #[default]
    AsIs,
    /// A to Z as a to z; the prefix and all other letters as they are.
    Lower,
}

impl FromStr for IdentityCase {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        match text {
            "as_is" => Ok(IdentityCase::AsIs),
            "lower" => Ok(IdentityCase::Lower),
            _ => Err(SettingError::new("it must be one of as_is, lower")),
        }
    }
}

/// What separates the values in a string of the role claim. By default nothing does: a group's name may have spaces.
///
/// ```
/// use oauth_core::RoleSeparator;
/// assert_eq!(";".parse::<RoleSeparator>().unwrap().as_char(), Some(';'));
/// assert_eq!("".parse(), Ok(RoleSeparator::default()));
/// assert!("x".parse::<RoleSeparator>().is_err());
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoleSeparator(Option<char>);

impl RoleSeparator {
    /// The separator, if there is one.
    pub fn as_char(self) -> Option<char> {
        self.0
    }
}

impl FromStr for RoleSeparator {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        match text {
            "" => Ok(RoleSeparator(None)),
            " " => Ok(RoleSeparator(Some(' '))),
            "," => Ok(RoleSeparator(Some(','))),
            ";" => Ok(RoleSeparator(Some(';'))),
            _ => Err(SettingError::new(
                "it must be empty, one space, \",\" or \";\"",
            )),
        }
    }
}

/// How an identity and the requested role must belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityRule {
    /// The identity is the role's name.
    EqualsRole,
    /// The server's map of this name gives the role to the identity.
    ByMap(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_type_comparison_follows_rfc_7515() {
        let types: TokenTypes = "application/at+jwt, JWT, -".parse().unwrap();
        for typ in [
            None,
            Some("at+jwt"),
            Some("AT+JWT"),
            Some("application/jwt"),
            Some("Jwt"),
        ] {
            assert!(types.accept(typ), "{typ:?}");
        }
        for typ in [
            Some(""),
            Some("-"),
            Some("at+jwt "),
            Some("text/jwt"),
            Some("application/x/jwt"),
        ] {
            assert!(!types.accept(typ), "{typ:?}");
        }
        assert!("".parse::<TokenTypes>().is_err());
    }

    #[test]
    fn a_separator_is_one_of_three_characters() {
        for (text, separator) in [
            ("", None),
            (" ", Some(' ')),
            (",", Some(',')),
            (";", Some(';')),
        ] {
            assert_eq!(
                text.parse::<RoleSeparator>().map(RoleSeparator::as_char),
                Ok(separator)
            );
        }
        for bad in ["  ", ", ", "|", "\t", "\n", "a", ",;", "none", "\u{a0}"] {
            assert!(bad.parse::<RoleSeparator>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn identity_prefix_is_bounded_and_printable() {
        assert!("corp:".parse::<IdentityPrefix>().is_ok());
        assert!("x".repeat(129).parse::<IdentityPrefix>().is_err());
        assert!("a\nb".parse::<IdentityPrefix>().is_err());
    }
}
