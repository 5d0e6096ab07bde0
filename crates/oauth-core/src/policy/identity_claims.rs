//! `identity_claim`: which claim becomes the identity, and what is put before it.

use std::str::FromStr;

use serde_json::Value;

use crate::basics::claim_path::ClaimPath;
use crate::basics::json::Object;
use crate::basics::placed::{
    Chars, Placed, error, parse_quoted, place, placed, split_where, text_of, trim, trim_end,
    trim_start,
};
use crate::basics::setting::SettingError;
use crate::policy::values::IdentityPrefix;

/// More would not be a list of kinds of bearers.
const MAX_CLAIMS: usize = 16;

/// Claims of which the first one that is there becomes the identity, each with a prefix of its own or without.
///
/// A list with commas of `claim` or `claim=prefix`; either may stand in double quotes.
///
/// ```
/// use oauth_core::IdentityClaims;
/// assert!("preferred_username, client_id=service:".parse::<IdentityClaims>().is_ok());
/// assert_eq!(
///     "sub, sub".parse::<IdentityClaims>().unwrap_err().to_string(),
///     "at character 6: this claim appears twice"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityClaims {
    items: Vec<IdentityClaim>,
    text: String,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdentityClaim {
    claim: ClaimPath,
    /// Put before this claim instead of the prefix for all.
    pub(crate) prefix: Option<IdentityPrefix>,
}

impl IdentityClaims {
    pub(crate) fn of(claim: &'static str) -> Self {
        let items = vec![IdentityClaim {
            claim: ClaimPath::of(claim),
            prefix: None,
        }];
        IdentityClaims {
            items,
            text: claim.to_owned(),
        }
    }

    /// The first of the claims that is there, whatever its value. None of the others counts then, and none where the
    /// path of an earlier one is blocked: nobody becomes somebody else by spoiling a claim.
    pub(crate) fn find<'a>(&self, claims: &'a Object) -> Option<(&IdentityClaim, &'a Value)> {
        let mut found = self.items.iter().map(|item| match item.claim.find(claims) {
            Some(value) => Some(Some((item, value))),
            None => item.claim.is_blocked(claims).then_some(None),
        });
        found.find_map(|decides| decides).flatten()
    }

    /// What is put before each of the claims, where `prefix` is the one for all.
    pub fn prefixes<'a>(&'a self, prefix: &'a IdentityPrefix) -> impl Iterator<Item = &'a str> {
        let own = self.items.iter().map(|item| item.prefix.as_ref());
        own.map(|own| own.unwrap_or(prefix).as_str())
    }

    /// The text of the setting.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for IdentityClaims {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let placed = placed(text);
        let end = placed.len().saturating_add(1);
        let mut items: Vec<IdentityClaim> = Vec::new();
        let mut rest = trim(&placed);
        loop {
            let (item, after) = parse_item(rest, end)?;
            if items.iter().any(|other| other.claim == item.claim) {
                return Err(error("this claim appears twice", place(rest, end)));
            }
            if items.len() >= MAX_CLAIMS {
                return Err(error("there are too many claims", place(rest, end)));
            }
            items.push(item);
            match trim(after).split_first() {
                None => break,
                Some((comma, more)) if comma.c == ',' => rest = trim_start(more),
                Some((other, _)) => return Err(error("a comma is missing", other.at)),
            }
        }
        Ok(IdentityClaims {
            items,
            text: text.to_owned(),
        })
    }
}

/// `claim` or `claim=prefix`, and what follows it.
fn parse_item(chars: Chars<'_>, end: usize) -> Result<(IdentityClaim, Chars<'_>), SettingError> {
    let (name, after) = parse_text(chars, &[',', '='])?;
    let end_of_name = place(after, end);
    let claim = ClaimPath::parse_placed(&name, end_of_name)?;
    let Some((_, value)) = trim_start(after).split_first().filter(|(p, _)| p.c == '=') else {
        let prefix = None;
        return Ok((IdentityClaim { claim, prefix }, after));
    };
    let (prefix, left) = parse_text(trim_start(value), &[','])?;
    let prefix = text_of(&prefix)
        .parse()
        .map_err(|why: SettingError| error(&why.to_string(), place(value, end)))?;
    let prefix = Some(prefix);
    Ok((IdentityClaim { claim, prefix }, left))
}

/// A text in double quotes, or up to one of these characters without the space before it; and what follows it.
fn parse_text<'a>(
    chars: Chars<'a>,
    ends: &[char],
) -> Result<(Vec<Placed>, Chars<'a>), SettingError> {
    match chars.split_first() {
        Some((quote, quoted)) if quote.c == '"' => parse_quoted(quote.at, quoted),
        _ => {
            let (bare, after) = split_where(chars, |p| ends.contains(&p.c));
            Ok((trim_end(bare).to_vec(), after))
        }
    }
}
