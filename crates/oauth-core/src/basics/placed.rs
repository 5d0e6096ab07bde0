//! The text of a setting as characters that know their place, so that a mistake can be told with it.

use crate::basics::setting::SettingError;

/// A character of a setting, and its place there, counted from 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) c: char,
    pub(crate) at: usize,
}

pub(crate) type Chars<'a> = &'a [Placed];

/// All characters of a setting.
pub(crate) fn placed(text: &str) -> Vec<Placed> {
    let places = text.chars().zip(1..);
    places.map(|(c, at)| Placed { c, at }).collect()
}

/// What stands before the closing quote, with the place of each character, and what follows the quote.
pub(crate) fn parse_quoted(
    opened_at: usize,
    chars: Chars<'_>,
) -> Result<(Vec<Placed>, Chars<'_>), SettingError> {
    let mut content = Vec::new();
    let mut rest = chars;
    while let Some((p, more)) = rest.split_first() {
        rest = more;
        if p.c == '"' {
            match rest.split_first() {
                Some((second, more)) if second.c == '"' => rest = more,
                _ => return Ok((content, rest)),
            }
        }
        content.push(*p);
    }
    Err(error("this double quote is not closed", opened_at))
}

pub(crate) fn error(what: &str, at: usize) -> SettingError {
    SettingError::new(format!("at character {at}: {what}"))
}

/// The place of the first of these characters, or `end`.
pub(crate) fn place(chars: Chars<'_>, end: usize) -> usize {
    chars.first().map_or(end, |p| p.at)
}

pub(crate) fn text_of(chars: Chars<'_>) -> String {
    chars.iter().map(|p| p.c).collect()
}

/// What stands before the first character for which `is_end` holds, and the rest.
pub(crate) fn split_where(
    chars: Chars<'_>,
    is_end: impl Fn(&Placed) -> bool,
) -> (Chars<'_>, Chars<'_>) {
    chars.split_at(chars.iter().position(is_end).unwrap_or(chars.len()))
}

pub(crate) fn trim_start(chars: Chars<'_>) -> Chars<'_> {
    split_where(chars, |p| !p.c.is_whitespace()).1
}

pub(crate) fn trim_end(chars: Chars<'_>) -> Chars<'_> {
    let last = chars.iter().rposition(|p| !p.c.is_whitespace());
    chars
        .split_at(last.map_or(0, |last| last.saturating_add(1)))
        .0
}

pub(crate) fn trim(chars: Chars<'_>) -> Chars<'_> {
    trim_end(trim_start(chars))
}
