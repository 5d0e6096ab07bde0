//! Text from outside, made safe for a log line.

use std::borrow::Cow;
use std::fmt;

/// Characters of untrusted text that are kept.
const MAX_CHARS: usize = 100;

/// Text that came from outside, bounded in length and free of anything that could forge or garble a log line:
/// backslashes, double quotes, and all that is not ASCII, a letter or a digit is escaped.
///
/// ```
/// use oauth_core::Printable;
/// assert_eq!(Printable::new("a\nLOG:  b\"").as_str(), r#"a\u{a}LOG:  b\""#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printable(String);

impl Printable {
    /// Makes `text` safe to print.
    pub fn new(text: &str) -> Self {
        Printable::up_to(MAX_CHARS, text)
    }

    /// The same, of a text of which another number of characters is kept.
    pub(crate) fn up_to(max_chars: usize, text: &str) -> Self {
        let mut out = String::with_capacity(text.len().min(max_chars));
        for (count, c) in text.chars().enumerate() {
            if count == max_chars {
                out.push('…');
                break;
            }
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                c if is_unsafe_to_print(c) => out.extend(c.escape_unicode()),
                c => out.push(c),
            }
        }
        Printable(out)
    }

    /// Makes a list of texts safe to print, separated by commas.
    pub fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut joined = String::new();
        for text in texts {
            if !joined.is_empty() {
                joined.push_str(", ");
            }
            joined.push_str(text);
            if joined.len() > MAX_CHARS.saturating_mul(4) {
                break;
            }
        }
        Printable::new(&joined)
    }

    /// Takes text that has been made safe before, by another process of this program.
    pub(crate) fn from_printed(text: &str) -> Self {
        Printable(text.to_owned())
    }

    /// The safe text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text as a value in a list of facts `name=value`, which it can neither end nor add to: as it is, if it is
    /// plain, or in double quotes, within which a backslash stands before each double quote and each backslash.
    ///
    /// ```
    /// use oauth_core::Printable;
    /// assert_eq!(Printable::new("https://idp.example/a").to_fact(), "https://idp.example/a");
    /// assert_eq!(Printable::new("x sub=\"root").to_fact(), r#""x sub=\"root""#);
    /// ```
    pub fn to_fact(&self) -> Cow<'_, str> {
        match !self.0.is_empty() && self.0.chars().all(is_plain) {
            true => Cow::Borrowed(&self.0),
            false => Cow::Owned(format!("\"{}\"", self.0)),
        }
    }
}

impl fmt::Display for Printable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Visible ASCII without what separates facts, or begins and ends a quotation.
fn is_plain(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '`' | '\\' | '=' | ',' | ';')
}

/// Everything but ASCII, letters and digits: among the rest are the characters that reorder or hide text.
fn is_unsafe_to_print(c: char) -> bool {
    c.is_control() || is_invisible(c) || !(c.is_ascii() || c.is_alphanumeric())
}

/// Whether a character is invisible, or changes how others appear: formatting, fillers, separators of lines.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{8e2}'
        | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_could_forge_a_log_line() {
        assert_eq!(Printable::new("a\r\nb\0").as_str(), r"a\u{d}\u{a}b\u{0}");
        assert_eq!(
            Printable::new("\u{202e}x\u{2028}").as_str(),
            r"\u{202e}x\u{2028}"
        );
        assert_eq!(Printable::new(r#"say "x" \n"#).as_str(), r#"say \"x\" \\n"#);
    }

    #[test]
    fn a_fact_ends_where_it_ends() {
        for plain in [
            "Zx3",
            "https://idp.example:8443/realms/corp?x#y",
            "a@b.c",
            "-_.~!*()[]{}|^%$+<>&",
        ] {
            assert_eq!(Printable::new(plain).to_fact(), plain);
        }
        for (text, fact) in [
            ("", r#""""#),
            ("a b", r#""a b""#),
            ("a=b", r#""a=b""#),
            ("a,b", r#""a,b""#),
            ("a;b", r#""a;b""#),
            ("it's", r#""it's""#),
            ("`a`", r#""`a`""#),
            ("x\" y=\"z", r#""x\" y=\"z""#),
            (r"end\", r#""end\\""#),
            ("a\nb", r#""a\u{a}b""#),
            ("a\u{a0}b", r#""a\u{a0}b""#),
            ("Zoë", r#""Zoë""#),
        ] {
            assert_eq!(Printable::new(text).to_fact(), fact, "{text:?}");
        }
        // What was cut is not taken for what it begins like.
        let cut = Printable::new(&"x".repeat(MAX_CHARS + 1));
        assert!(cut.to_fact().ends_with("…\""), "{cut}");
    }

    #[test]
    fn keeps_plain_and_foreign_text() {
        assert_eq!(Printable::new("Zoë 李").as_str(), "Zoë 李");
    }

    #[test]
    fn bounds_the_length_on_a_character_boundary() {
        let long = "é".repeat(MAX_CHARS + 1);
        let printed = Printable::new(&long);
        assert_eq!(printed.as_str().chars().count(), MAX_CHARS + 1);
        assert!(printed.as_str().ends_with('…'));
        assert!(
            !Printable::new(&"é".repeat(MAX_CHARS))
                .as_str()
                .ends_with('…')
        );
        assert!(
            Printable::list(std::iter::repeat_n("x", 100_000))
                .as_str()
                .len()
                < 200
        );
    }
}
