//! Whether a token is of the JOSE family or opaque. Only the provider can read an opaque one, and what it says of it
//! is then all that counts; so nothing that a provider could take for a JWT may pass as opaque.
//!
//! Providers differ in how they split and decode: some drop empty parts at the end, white space or padding. A token is
//! therefore of the family wherever any reader, however lenient, could find a JOSE header in it.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use serde_json::Value;

use crate::basics::bearer::Bearer;
use crate::basics::json;

/// Bytes of the largest decoded JOSE header: room for the certificate chain (`x5c`) that some providers put into it.
pub(crate) const MAX_HEADER_BYTES: usize = 8192;

/// What a token's text looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A JOSE header: a signed JWT (RFC 7515 §7.1), or a malformed one.
    Signed,
    /// RFC 7516 §7.1: a JOSE header with `enc`, and the five parts of an encrypted one.
    Encrypted,
    /// No JOSE header.
    Opaque,
}

/// Members of a header (RFC 7515 §4.1, RFC 7516 §4.1) that no other JSON object of a token is likely to have.
const HEADER_MEMBERS: [&str; 5] = ["alg", "enc", "typ", "kid", "crit"];

/// Reads what any decoder of base64 would read.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Shape {
    pub(crate) fn of(token: &Bearer<'_>) -> Shape {
        let text = token.expose();
        if !has_jose_header(text) {
            return Shape::Opaque;
        }
        match text.bytes().filter(|byte| *byte == b'.').count() {
            4 if is_encrypted(text) => Shape::Encrypted,
            _ => Shape::Signed,
        }
    }
}

/// RFC 7516 §3.1, §7.1: a strict header that names `alg` and `enc`, and four parts that are base64url and no header.
fn is_encrypted(text: &str) -> bool {
    let Some((header, rest)) = text.split_once('.') else {
        return false;
    };
    let names_both = URL_SAFE_NO_PAD
        .decode(header)
        .ok()
        .filter(|bytes| bytes.len() <= MAX_HEADER_BYTES)
        .and_then(|bytes| json::parse_object(&bytes).ok())
        .is_some_and(|header| {
            ["alg", "enc"]
                .iter()
                .all(|name| header.get(*name).is_some_and(Value::is_string))
        });
    let is_base64url = |part: &str| URL_SAFE_NO_PAD.decode(part).is_ok();
    names_both && rest.split('.').all(is_base64url) && !has_jose_header(rest)
}

/// Whether a reader finds a JOSE header that splits at dots, or at all characters outside base64, or drops them.
fn has_jose_header(text: &str) -> bool {
    // RFC 7515 §7.2: the JSON serialization.
    let is_json = text
        .trim_start_matches(|c: char| !c.is_ascii_graphic())
        .starts_with('{');
    let in_part = |part: &str| is_jose_header(part) || part.split(is_stranger).any(is_jose_header);
    is_json || text.split('.').any(in_part) || is_jose_header(text)
}

/// Whether a character is of neither alphabet (RFC 4648 §4, §5).
fn is_stranger(c: char) -> bool {
    !(c.is_ascii_alphanumeric() || "+/-_".contains(c))
}

/// Whether a text is a JOSE header to a decoder of one of the alphabets, or of both, that drops all other characters.
fn is_jose_header(text: &str) -> bool {
    ["+/-_", "+/", "-_"].iter().any(|specials| {
        let mut known: Vec<u8> = text
            .bytes()
            .filter(|byte| byte.is_ascii_alphanumeric() || specials.as_bytes().contains(byte))
            .map(|byte| match byte {
                b'-' => b'+',
                b'_' => b'/',
                byte => byte,
            })
            .collect();
        if known.len().checked_rem(4) == Some(1) {
            known.pop();
        }
        LENIENT.decode(known).is_ok_and(names_member)
    })
}

/// Whether decoded bytes are a JSON object with a member of a JOSE header, or what lenient readers take for one.
fn names_member(mut bytes: Vec<u8>) -> bool {
    // Other encodings of ASCII text, such as UTF-16, have it with zeros between.
    bytes.retain(|byte| *byte != 0);
    let is_skipped =
        |byte: &u8| byte.is_ascii_whitespace() || b"\xef\xbb\xbf\xfe\xff".contains(byte);
    let start = bytes.iter().take_while(|byte| is_skipped(byte)).count();
    let text = bytes.get(start..).unwrap_or_default();
    if !text.starts_with(b"{") {
        return false;
    }
    // Repeated members are of no account to it.
    if let Ok(Value::Object(object)) = serde_json::from_slice(text) {
        let is_member = |name: &String| {
            HEADER_MEMBERS
                .iter()
                .any(|member| member.eq_ignore_ascii_case(name))
        };
        return object.keys().any(is_member);
    }
    // This is not JSON, but another reader may accept it as JSON if it is text.
    let is_text = |byte: &&u8| !byte.is_ascii_control() || byte.is_ascii_whitespace();
    let text: Vec<u8> = text.iter().take_while(is_text).copied().collect();
    let names = |name: &str| {
        text.windows(name.len().saturating_add(2))
            .any(|window| match window {
                [before, middle @ .., after] => {
                    middle.eq_ignore_ascii_case(name.as_bytes())
                        && !before.is_ascii_alphanumeric()
                        && !after.is_ascii_alphanumeric()
                }
                _ => false,
            })
    };
    HEADER_MEMBERS.iter().any(|name| names(name)) || text.windows(4).any(|four| four == b"\\u00")
}
