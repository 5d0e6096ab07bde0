//! The encodings that HTTP needs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Bytes from base64 with padding, as HTTP's Basic authentication has it.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// An `application/x-www-form-urlencoded` body or query.
pub(crate) fn form_encode(fields: &[(String, String)]) -> String {
    let pairs: Vec<String> = fields
        .iter()
        .map(|(n, v)| format!("{}={}", percent_encode(n), percent_encode(v)))
        .collect();
    pairs.join("&")
}

/// The fields of an `application/x-www-form-urlencoded` body or query.
pub(crate) fn form_decode(text: &str) -> Vec<(String, String)> {
    let decode = |part: &str| percent_decode(&part.replace('+', " "));
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn percent_encode(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(b).to_string()
            }
            _ => format!("%{b:02X}"),
        })
        .collect()
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|d| std::str::from_utf8(d).ok());
        match digits.and_then(|d| u8::from_str_radix(d, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_survives_encoding_and_decoding() {
        let fields = vec![
            ("a b".to_owned(), "1+1=2 & 100%".to_owned()),
            ("ü".to_owned(), String::new()),
        ];
        assert_eq!(form_decode(&form_encode(&fields)), fields);
    }

    #[test]
    fn broken_percent_encoding_is_taken_as_it_is() {
        assert_eq!(form_decode("a=%4"), [("a".to_owned(), "%4".to_owned())]);
        assert_eq!(form_decode("a=%zz"), [("a".to_owned(), "%zz".to_owned())]);
    }
}
