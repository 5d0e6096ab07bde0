//! `required_claims`: conditions on claims, and the grammar that an administrator writes them in.
//! docs/configuration.md has the same grammar.
//!
//! ```text
//! setting   = [ item *( "," item ) ]
//! item      = condition | quoted               ; quoted: a condition, each double quote in it doubled
//! condition = name "=" text                    ; equals the text
//!           | name "in" "(" values ")"         ; equals one of the values
//!           | name "like" ( value | "(" values ")" )
//!           | name "present" | name "absent"
//! values    = value *( "," value )
//! value     = quoted | bare                    ; bare: up to "," or ")"
//! ```
//!
//! Where a second word is no operator, or `=` stands before it, the condition is `name=text`: what was written before
//! there were other conditions means the same.

use std::str::FromStr;

use crate::basics::claim_path::ClaimPath;
use crate::basics::placed::{
    Chars, Placed, error, parse_quoted, place, placed, split_where, text_of, trim, trim_end,
    trim_start,
};
use crate::basics::setting::{MAX_ITEM_BYTES, MAX_ITEMS, SettingError};

/// Conditions on claims, all of which must hold.
///
/// A text equals a string claim byte for byte, a boolean claim as `true` or `false`, a number claim in its
/// shortest form (`2`, `2.5`), and an array if one of its elements equals it.
///
/// ```
/// use oauth_core::RequiredClaims;
/// assert!("acr=phr, email_verified=true".parse::<RequiredClaims>().is_ok());
/// assert!("acr in (phr, phrh), sub like repo:corp/*, act absent".parse::<RequiredClaims>().is_ok());
/// assert_eq!(
///     "acr=phr, act".parse::<RequiredClaims>().unwrap_err().to_string(),
///     r#"at character 13: "=", "in (", "like", "present" or "absent" is missing"#
/// );
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequiredClaims(Vec<Condition>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    /// The claim that it is about.
    pub(crate) claim: ClaimPath,
    pub(crate) test: Test,
    /// As the administrator wrote it.
    pub(crate) text: String,
}

/// What must hold of the claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Test {
    /// It equals one of these.
    OneOf(Vec<String>),
    /// It matches one of these.
    Like(Vec<Pattern>),
    /// It is there, and not null.
    Present,
    /// It is not there.
    Absent,
}

/// A text in which each `*` stands for any text, which may be empty: the texts between them, at least two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<String>);

impl RequiredClaims {
    /// Whether a condition says which values one of these top-level claims may have.
    pub(crate) fn pin_one_of(&self, names: &[&str]) -> bool {
        self.0.iter().any(|condition| {
            names.iter().any(|name| condition.claim.is_top_level(name)) && condition.test.pins()
        })
    }

    /// The conditions, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Condition> {
        self.0.iter()
    }
}

impl Test {
    /// Whether only values of the administrator's choice pass. A pattern must say all of the first path segment:
    /// `corp*` lets in the stranger `corp-evil/app`, and `repo:*` lets in everybody.
    fn pins(&self) -> bool {
        match self {
            Test::OneOf(_) => true,
            Test::Like(patterns) => patterns.iter().all(Pattern::begins_with_a_segment),
            Test::Present | Test::Absent => false,
        }
    }
}

impl Pattern {
    /// Whether the whole text is as the pattern says.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.0.as_slice() else {
            return false;
        };
        let between = text
            .strip_prefix(first.as_str())
            .and_then(|rest| rest.strip_suffix(last.as_str()));
        // The leftmost place of each text leaves the most for those that follow.
        let left = middle.iter().try_fold(between, |rest, part| {
            let (_, after) = rest?.split_once(part.as_str())?;
            Some(Some(after))
        });
        left.flatten().is_some()
    }

    fn begins_with_a_segment(&self) -> bool {
        self.0.first().is_some_and(|first| first.contains('/'))
    }
}

impl FromStr for RequiredClaims {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let placed = placed(text);
        let end = placed.len().saturating_add(1);
        let mut conditions = Vec::new();
        let mut rest = trim(&placed);
        if rest.is_empty() {
            return Ok(RequiredClaims(conditions));
        }
        loop {
            if conditions.len() >= MAX_ITEMS {
                return Err(error("there are too many conditions", place(rest, end)));
            }
            let (condition, after) = parse_item(rest, end)?;
            conditions.push(condition);
            match trim(after).split_first() {
                None => return Ok(RequiredClaims(conditions)),
                Some((comma, more)) if comma.c == ',' => rest = trim(more),
                Some((other, _)) => return Err(error("a comma is missing", other.at)),
            }
        }
    }
}

/// A condition, in double quotes or not, and what follows it.
fn parse_item(chars: Chars<'_>, end: usize) -> Result<(Condition, Chars<'_>), SettingError> {
    let Some((quote, quoted)) = chars.split_first().filter(|(first, _)| first.c == '"') else {
        let (head, _) = split_where(chars, |p| p.c == ',');
        return parse_condition(chars, trim_end(head).len(), end);
    };
    let (content, after) = parse_quoted(quote.at, quoted)?;
    // Space at the ends of the text counts, and so do commas.
    let end = place(after, end).saturating_sub(1);
    let (condition, left) = parse_condition(&content, content.len(), end)?;
    match trim(left).first() {
        None => Ok((condition, after)),
        Some(more) => Err(error("a comma is missing", more.at)),
    }
}

/// A condition whose name, operator and text without quotes lie within the first `head` characters, and what follows it.
fn parse_condition(
    chars: Chars<'_>,
    head: usize,
    end: usize,
) -> Result<(Condition, Chars<'_>), SettingError> {
    let (head, after) = chars.split_at(head.min(chars.len()));
    if trim(head).is_empty() {
        return Err(error("a condition is missing", place(chars, end)));
    }
    let (name, rest) = split_where(head, |p| p.c.is_whitespace() || p.c == '=');
    let (word, rest) = split_where(trim(rest), |p| {
        p.c.is_whitespace() || matches!(p.c, '=' | '(')
    });
    let bare = trim(rest);
    let first = bare.first().map(|p| p.c);
    // Texts in quotes and parentheses may have commas, and so may end after the head.
    let operand = || {
        let start = bare.first().map_or(0, |first| first.at);
        let begins = |p: &Placed| p.at == start;
        split_where(chars, begins).1
    };
    let (test, left) = match (text_of(word).as_str(), first) {
        ("in", Some('(')) if !name.is_empty() => {
            let (values, left) = parse_values(operand(), end)?;
            let values = values.iter().map(|value| text_of(value)).collect();
            (Test::OneOf(values), left)
        }
        ("like", Some(c)) if !name.is_empty() && c != '=' => {
            let (values, left) = match c {
                '(' => parse_values(operand(), end)?,
                '"' => {
                    let (value, left) = parse_value(operand(), end)?;
                    (vec![value], left)
                }
                _ => (vec![checked(bare, end)?.to_vec()], after),
            };
            let patterns = values.iter().map(|value| parse_pattern(value, end));
            (Test::Like(patterns.collect::<Result<_, _>>()?), left)
        }
        ("present", None) if !name.is_empty() => (Test::Present, after),
        ("absent", None) if !name.is_empty() => (Test::Absent, after),
        _ => return Ok((parse_equality(head, place(after, end))?, after)),
    };
    let written = chars.len().saturating_sub(left.len());
    let condition = Condition {
        claim: ClaimPath::parse_placed(name, end)?,
        test,
        text: text_of(trim(chars.get(..written).unwrap_or_default())),
    };
    Ok((condition, left))
}

/// `name=text`, where the first `=` ends the name. `end` is the place after it.
fn parse_equality(chars: Chars<'_>, end: usize) -> Result<Condition, SettingError> {
    let (name, rest) = split_where(chars, |p| p.c == '=');
    let Some((equals, value)) = rest.split_first() else {
        let (_, operator) = split_where(trim(chars), |p| p.c.is_whitespace());
        let at = place(trim(operator), end);
        let what = r#""=", "in (", "like", "present" or "absent" is missing"#;
        return Err(error(what, at));
    };
    let value = checked(trim_start(value), end)?;
    Ok(Condition {
        claim: ClaimPath::parse_placed(trim_end(name), equals.at)?,
        test: Test::OneOf(vec![text_of(value)]),
        text: text_of(trim(chars)),
    })
}

/// Values in parentheses, and what follows them.
fn parse_values(
    chars: Chars<'_>,
    end: usize,
) -> Result<(Vec<Vec<Placed>>, Chars<'_>), SettingError> {
    let opened_at = place(chars, end);
    let mut rest = chars.get(1..).unwrap_or_default();
    let mut values = Vec::new();
    loop {
        let (value, after) = parse_value(rest, end)?;
        if values.len() >= MAX_ITEMS {
            return Err(error("there are too many values", place(&value, end)));
        }
        values.push(value);
        match trim_start(after).split_first() {
            Some((comma, more)) if comma.c == ',' => rest = more,
            Some((closing, more)) if closing.c == ')' => return Ok((values, more)),
            Some((other, _)) => return Err(error("a comma is missing", other.at)),
            None => return Err(error("this parenthesis is not closed", opened_at)),
        }
    }
}

/// A value in double quotes, or one that ends at a comma or parenthesis, and what follows it.
fn parse_value(chars: Chars<'_>, end: usize) -> Result<(Vec<Placed>, Chars<'_>), SettingError> {
    let chars = trim_start(chars);
    let (value, after) = match chars.split_first() {
        Some((quote, quoted)) if quote.c == '"' => parse_quoted(quote.at, quoted)?,
        _ => {
            let (bare, after) = split_where(chars, |p| matches!(p.c, ',' | ')'));
            (trim_end(bare).to_vec(), after)
        }
    };
    checked(&value, place(chars, end))?;
    Ok((value, after))
}

/// `*` is any text, `\*` an asterisk, `\\` a backslash.
fn parse_pattern(chars: Chars<'_>, end: usize) -> Result<Pattern, SettingError> {
    let mut parts = vec![String::new()];
    let mut rest = chars.iter();
    while let Some(p) = rest.next() {
        let literal = match p.c {
            '*' => {
                parts.push(String::new());
                continue;
            }
            '\\' => match rest.next().map(|escaped| escaped.c) {
                Some(escaped @ ('*' | '\\')) => escaped,
                _ => return Err(error(r#"a "\" must be followed by "*" or "\""#, p.at)),
            },
            other => other,
        };
        if let Some(part) = parts.last_mut() {
            part.push(literal);
        }
    }
    if parts.len() < 2 {
        let what = r#"a pattern needs a "*"; without one, use "=""#;
        return Err(error(what, place(chars, end)));
    }
    Ok(Pattern(parts))
}

/// A text that is not empty, not too long, and printable. `end` is the place after it.
fn checked(chars: Chars<'_>, end: usize) -> Result<Chars<'_>, SettingError> {
    if chars.is_empty() {
        return Err(error("a value is missing", end));
    }
    if let Some(control) = chars.iter().find(|p| p.c.is_control()) {
        return Err(error("a control character is not allowed", control.at));
    }
    if text_of(chars).len() > MAX_ITEM_BYTES {
        return Err(error("this value is too long", place(chars, end)));
    }
    Ok(chars)
}
