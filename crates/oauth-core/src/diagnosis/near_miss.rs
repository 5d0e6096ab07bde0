//! Values that should be equal, and differ by what the eye overlooks.

use std::fmt;

use crate::basics::printable::is_invisible;

/// By what two values differ, if it is only their spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NearMiss {
    /// One has a slash at its end.
    TrailingSlash,
    /// Capital and small letters.
    Case,
    /// One has white space, or characters that cannot be seen.
    WhiteSpace,
    /// One names the usual port of its scheme, such as `:443`.
    DefaultPort,
    /// One is http, the other https.
    Scheme,
    /// A comma in one stands where the other has a space.
    Comma,
    /// One has quotation marks.
    Quotes,
    /// An underscore or a dash in one stands where the other has a hyphen.
    Hyphen,
    /// Several of these.
    Several,
}

/// Takes one difference away.
type Respell = fn(&str) -> String;

/// Each way to spell the same.
const SPELLINGS: [(NearMiss, Respell); 8] = [
    (NearMiss::TrailingSlash, |text| {
        text.trim_end_matches('/').to_owned()
    }),
    (NearMiss::Case, str::to_lowercase),
    (NearMiss::WhiteSpace, |text| {
        without(text, |c| c.is_whitespace() || is_invisible(c))
    }),
    (NearMiss::Comma, |text| {
        words(text, |c| c == ',' || c.is_whitespace())
    }),
    (NearMiss::DefaultPort, without_default_port),
    (NearMiss::Scheme, |text| {
        match text.strip_prefix("http://") {
            Some(rest) => format!("https://{rest}"),
            None => text.to_owned(),
        }
    }),
    (NearMiss::Quotes, |text| without(text, is_quotation_mark)),
    (NearMiss::Hyphen, |text| text.replace(is_like_hyphen, "-")),
];

/// How two values differ that should be equal. `None`: they are, or differ by more than spelling.
///
/// ```
/// use oauth_core::{NearMiss, near_miss};
/// let found = near_miss("https://idp.example.com/", "https://idp.example.com");
/// assert_eq!(found, Some(NearMiss::TrailingSlash));
/// ```
pub fn near_miss(one: &str, other: &str) -> Option<NearMiss> {
    if one == other || one.is_empty() || other.is_empty() {
        return None;
    }
    let alone = SPELLINGS
        .iter()
        .find(|(_, respell)| respell(one) == respell(other));
    if let Some((found, _)) = alone {
        return Some(*found);
    }
    (essence(one) == essence(other)).then_some(NearMiss::Several)
}

/// A value without any of these differences. Some only show once others are gone, such as a slash before a space.
fn essence(text: &str) -> String {
    let respell = |text: String| {
        SPELLINGS
            .iter()
            .fold(text, |text, (_, respell)| respell(&text))
    };
    respell(respell(text.to_owned()))
}

fn without(text: &str, is_left_out: impl Fn(char) -> bool) -> String {
    text.chars().filter(|c| !is_left_out(*c)).collect()
}

/// The words of a list, whatever separates them.
fn words(text: &str, separates: impl Fn(char) -> bool) -> String {
    let words = text.split(separates).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// RFC 3986 §6.2.3.
fn without_default_port(text: &str) -> String {
    for (scheme, port) in [("https://", ":443"), ("http://", ":80")] {
        let Some(rest) = text.strip_prefix(scheme) else {
            continue;
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if let Some(host) = authority.strip_suffix(port) {
            return format!("{scheme}{host}{path}");
        }
    }
    text.to_owned()
}

fn is_quotation_mark(c: char) -> bool {
    matches!(
        c,
        '"' | '\'' | '`' | '´' | '«' | '»' | '\u{2018}'..='\u{201f}' | '\u{2039}' | '\u{203a}'
    )
}

fn is_like_hyphen(c: char) -> bool {
    matches!(c, '_' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

impl fmt::Display for NearMiss {
    /// For a sentence: "they differ only by …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NearMiss::TrailingSlash => "a slash at the end",
            NearMiss::Case => "capital letters",
            NearMiss::WhiteSpace => "white space or invisible characters",
            NearMiss::DefaultPort => "the usual port",
            NearMiss::Scheme => "http for https",
            NearMiss::Comma => "a comma for a space",
            NearMiss::Quotes => "quotation marks",
            NearMiss::Hyphen => "an underscore or dash for a hyphen",
            NearMiss::Several => "their spelling",
        })
    }
}
