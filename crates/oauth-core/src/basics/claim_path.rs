//! Where a claim is found in a token.

use std::str::FromStr;

use serde_json::Value;

use crate::basics::json::Object;
use crate::basics::placed::{Chars, error, place, text_of};
use crate::basics::setting::{MAX_ITEM_BYTES, SettingError};

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

    /// The path that these characters of a setting are. `end` is the place after them.
    pub(crate) fn parse_placed(chars: Chars<'_>, end: usize) -> Result<Self, SettingError> {
        let parsed = text_of(chars).parse();
        parsed.map_err(|why: SettingError| error(&why.to_string(), place(chars, end)))
    }

    /// Whether the path leads through a value that has no members, where another one was to be expected.
    pub(crate) fn is_blocked(&self, claims: &Object) -> bool {
        let slashes = self.0.match_indices('/').skip(1);
        let mut above = slashes.filter_map(|(at, _)| self.0.get(..at));
        self.0.starts_with('/')
            && above.any(|path| {
                let found = ClaimPath(path.to_owned()).find(claims).cloned();
                found.is_some_and(|value| !value.is_object() && !value.is_array())
            })
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
            return Err(SettingError::new("the name of a claim is required"));
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
}
