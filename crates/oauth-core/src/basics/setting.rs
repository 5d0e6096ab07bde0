//! Settings as text: what an administrator writes, parsed once into types that can not be wrong.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::basics::json::Object;
use crate::basics::printable::Printable;

/// Bytes of the longest name, value or pointer in a setting.
const MAX_ITEM_BYTES: usize = 1024;
/// Items of the longest list.
const MAX_ITEMS: usize = 256;

/// What is wrong with the text of a setting, as a clause for the administrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingError(String);

impl SettingError {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        SettingError(why.into())
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SettingError {}

/// Splits a comma-separated list. White space around items is dropped; an item that holds a comma,
/// or space at its ends, stands in double quotes, and a double quote in it is doubled.
/// An empty text is an empty list; an empty item is an error.
pub(crate) fn parse_list(text: &str) -> Result<Vec<String>, SettingError> {
    let mut items = Vec::new();
    let mut rest = text.trim();
    if rest.is_empty() {
        return Ok(items);
    }
    loop {
        let (item, after) = match rest.strip_prefix('"') {
            Some(quoted) => parse_quoted(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (item, after) = rest.split_at(end);
                (item.trim_end().to_owned(), after)
            }
        };
        if item.is_empty() {
            return Err(SettingError::new("the list has an empty item"));
        }
        if item.len() > MAX_ITEM_BYTES || items.len() >= MAX_ITEMS {
            return Err(SettingError::new("the list has too many or too long items"));
        }
        if item.chars().any(char::is_control) {
            return Err(SettingError::new("the list has control characters"));
        }
        items.push(item);
        rest = after.trim_start();
        if rest.is_empty() {
            return Ok(items);
        }
        rest = rest
            .strip_prefix(',')
            .ok_or_else(|| SettingError::new("a comma is missing after a quoted item"))?
            .trim_start();
    }
}

/// Reads up to the closing quote; returns the item and what follows it.
fn parse_quoted(text: &str) -> Result<(String, &str), SettingError> {
    let mut item = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest
            .split_once('"')
            .ok_or_else(|| SettingError::new("a double quote is not closed"))?;
        item.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                item.push('"');
                rest = more;
            }
            None => return Ok((item, after)),
        }
    }
}

/// A list of exact strings: audiences, client identifiers, scopes.
///
/// ```
/// use oauth_core::StringList;
/// let list: StringList = r#"psql, "a, b""#.parse().unwrap();
/// assert!(list.contains("psql") && list.contains("a, b"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StringList(Vec<String>);

impl StringList {
    pub(crate) fn of(items: &[&str]) -> Self {
        StringList(items.iter().map(|item| (*item).to_owned()).collect())
    }

    /// Whether `text` is one of the items, byte for byte.
    pub fn contains(&self, text: &str) -> bool {
        self.0.iter().any(|item| item == text)
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The items, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl FromStr for StringList {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        parse_list(text).map(StringList)
    }
}

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
            return Err(SettingError::new("at least one token type is needed"));
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

/// Where a claim is found: a top-level name, or a JSON Pointer (RFC 6901) if it starts with `/`.
///
/// ```
/// use oauth_core::ClaimPath;
/// assert!("preferred_username".parse::<ClaimPath>().is_ok());
/// assert!("/realm_access/roles".parse::<ClaimPath>().is_ok());
/// assert!("".parse::<ClaimPath>().is_err() && "/a~2b".parse::<ClaimPath>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(String);

impl ClaimPath {
    pub(crate) fn of(path: &'static str) -> Self {
        ClaimPath(path.to_owned())
    }

    /// The value of this claim, if it is there.
    pub(crate) fn find<'a>(&self, claims: &'a Object) -> Option<&'a Value> {
        match self.0.strip_prefix('/') {
            None => claims.get(&self.0),
            Some(pointer) => {
                let (first, below) = match pointer.split_once('/') {
                    Some((first, _)) => (first, pointer.get(first.len()..)?),
                    None => (pointer, ""),
                };
                claims
                    .get(&first.replace("~1", "/").replace("~0", "~"))?
                    .pointer(below)
            }
        }
    }

    /// Whether this is the top-level claim of that name, which has neither `/` nor `~`.
    pub(crate) fn is_top_level(&self, name: &str) -> bool {
        self.0 == name || self.0.strip_prefix('/') == Some(name)
    }

    /// The text of the setting.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClaimPath {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        if text.is_empty() {
            return Err(SettingError::new("the name of a claim is needed"));
        }
        if text.len() > MAX_ITEM_BYTES || text.chars().any(char::is_control) {
            return Err(SettingError::new(
                "the name of the claim is too long or unprintable",
            ));
        }
        // RFC 6901 §3: in a pointer, "~" is followed by "0" or "1".
        let bad_escape =
            |part: &str| !part.is_empty() && !part.starts_with('0') && !part.starts_with('1');
        if text.starts_with('/')
            && text
                .split('~')
                .skip(1)
                .any(|p| p.is_empty() || bad_escape(p))
        {
            return Err(SettingError::new(
                "the JSON Pointer has a \"~\" without \"0\" or \"1\"",
            ));
        }
        Ok(ClaimPath(text.to_owned()))
    }
}

/// Claims that must hold: `name=value` pairs.
///
/// A value equals a string claim byte for byte, a boolean claim as `true` or `false`, a number claim in its
/// shortest form (`2`, `2.5`), and an array if one of its elements equals it.
///
/// ```
/// use oauth_core::RequiredClaims;
/// assert!("acr=phr, email_verified=true".parse::<RequiredClaims>().is_ok());
/// assert!("acr".parse::<RequiredClaims>().is_err());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequiredClaims(Vec<(ClaimPath, String)>);

impl RequiredClaims {
    /// Whether one of these top-level claims is required.
    pub(crate) fn name_one_of(&self, names: &[&str]) -> bool {
        self.0
            .iter()
            .any(|(path, _)| names.iter().any(|name| path.is_top_level(name)))
    }

    /// The pairs, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ClaimPath, &str)> {
        self.0.iter().map(|(path, value)| (path, value.as_str()))
    }
}

impl FromStr for RequiredClaims {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let mut pairs = Vec::new();
        for item in parse_list(text)? {
            let (name, value) = item.split_once('=').ok_or_else(|| {
                SettingError::new(format!(
                    "\"{}\" is not of the form name=value",
                    Printable::new(&item)
                ))
            })?;
            let (name, value) = (name.trim_end(), value.trim_start());
            if value.is_empty() {
                return Err(SettingError::new(format!("\"{name}\" has no value")));
            }
            pairs.push((name.parse()?, value.to_owned()));
        }
        Ok(RequiredClaims(pairs))
    }
}

/// Text put before an identity, so that two issuers can not produce the same one.
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn list(text: &str) -> Result<Vec<String>, SettingError> {
        parse_list(text)
    }

    #[test]
    fn splits_lists_as_an_administrator_writes_them() {
        assert_eq!(list(""), Ok(vec![]));
        assert_eq!(list("  "), Ok(vec![]));
        assert_eq!(list("a"), Ok(vec!["a".into()]));
        assert_eq!(
            list(" a ,b,  c d "),
            Ok(vec!["a".into(), "b".into(), "c d".into()])
        );
        assert_eq!(
            list(r#""a, b" , "say ""x""""#),
            Ok(vec!["a, b".into(), r#"say "x""#.into()])
        );
        assert_eq!(list(r#"x"y"#), Ok(vec![r#"x"y"#.into()]));
    }

    #[test]
    fn refuses_lists_that_may_be_mistakes() {
        for text in [
            "a,,b", ",a", "a,", r#""a"#, r#""a" b"#, r#""""#, "a\nb", "a\0",
        ] {
            assert!(list(text).is_err(), "{text:?}");
        }
        assert!(list(&"x".repeat(MAX_ITEM_BYTES)).is_ok());
        assert!(list(&"x".repeat(MAX_ITEM_BYTES + 1)).is_err());
        assert!(list(&vec!["x"; MAX_ITEMS].join(",")).is_ok());
        assert!(list(&vec!["x"; MAX_ITEMS + 1].join(",")).is_err());
    }

    #[test]
    fn finds_claims_by_name_and_pointer() {
        let Value::Object(claims) = json!({
            "sub": "s", "a/b": "slash", "m~n": "tilde", "": "empty", "/x": "odd",
            "realm_access": {"roles": ["dba", "staff"], "": 7}
        }) else {
            unreachable!()
        };
        let find = |path: &str| {
            path.parse::<ClaimPath>()
                .ok()
                .and_then(|p| p.find(&claims).cloned())
        };
        assert_eq!(find("sub"), Some(json!("s")));
        assert_eq!(find("/sub"), Some(json!("s")));
        assert_eq!(find("a/b"), Some(json!("slash")));
        assert_eq!(find("/a~1b"), Some(json!("slash")));
        assert_eq!(find("/m~0n"), Some(json!("tilde")));
        assert_eq!(find("/"), Some(json!("empty")));
        assert_eq!(find("/~1x"), Some(json!("odd")));
        assert_eq!(find("/realm_access/roles/1"), Some(json!("staff")));
        assert_eq!(find("/realm_access/"), Some(json!(7)));
        assert_eq!(find("/realm_access/roles/01"), None);
        assert_eq!(find("realm_access.roles"), None);
        assert_eq!(find("/realm_access/nothing"), None);
        for bad in ["", "/a~", "/a~2", "/~~0", "a\u{7}"] {
            assert!(bad.parse::<ClaimPath>().is_err(), "{bad:?}");
        }
    }

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
    fn required_claims_need_a_name_and_a_value() {
        for bad in ["acr", "=x", "acr=", "acr=x,", "/a~3=x"] {
            assert!(bad.parse::<RequiredClaims>().is_err(), "{bad:?}");
        }
        let pairs: RequiredClaims = "acr = phr, /a/b=c=d".parse().unwrap();
        let pairs: Vec<_> = pairs.iter().map(|(p, v)| (p.as_str(), v)).collect();
        assert_eq!(pairs, [("acr", "phr"), ("/a/b", "c=d")]);
    }

    #[test]
    fn identity_prefix_is_bounded_and_printable() {
        assert!("corp:".parse::<IdentityPrefix>().is_ok());
        assert!("x".repeat(129).parse::<IdentityPrefix>().is_err());
        assert!("a\nb".parse::<IdentityPrefix>().is_err());
    }
}
