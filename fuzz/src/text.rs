//! What must hold of texts that end up in a log.

use serde_json::{Map, Value};

/// A JSON object.
pub type Object = Map<String, Value>;

/// A document of the provider's without the byte order mark that it may begin with.
pub fn without_mark(document: &[u8]) -> &[u8] {
    document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document)
}

/// The object that a text is, for serde_json.
pub fn object(bytes: &[u8]) -> Option<Object> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// A line of the log is one line, and shows its characters in their order.
#[track_caller]
pub fn assert_printable(text: &str) {
    let bad = text.chars().find(|c| c.is_control() || hides(*c));
    assert_eq!(bad, None, "in {text:?}");
}

/// Whether a character is not seen, or changes the order in which others are seen.
pub fn hides(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A document that was accepted has no member twice, at any depth: written again by a parser that keeps the last one,
/// it has as many double quotes. Where a text has escapes, quotes cannot be counted.
#[track_caller]
pub fn assert_no_member_twice(document: &[u8]) {
    let quotes = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'"').count();
    if document.contains(&b'\\') {
        return;
    }
    let value: Value = serde_json::from_slice(document).expect("what was accepted is JSON");
    let again = value.to_string();
    if !again.contains('\\') {
        assert_eq!(
            quotes(document),
            quotes(again.as_bytes()),
            "a member was lost: {again}"
        );
    }
}
