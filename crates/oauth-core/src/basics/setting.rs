//! Settings as text: lists that an administrator writes, and what is wrong with them.

use std::fmt;
use std::str::FromStr;

/// Bytes of the longest name, value or pointer in a setting.
pub(crate) const MAX_ITEM_BYTES: usize = 1024;
/// Items of the longest list.
pub(crate) const MAX_ITEMS: usize = 256;

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

    /// Whether the list is empty.
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
