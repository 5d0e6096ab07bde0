//! JSON from outside: one object, bounded in depth, without repeated members.
//!
//! RFC 7519 §4 and RFC 7515 §4 let a parser refuse repeated names or take the last one. Two parsers
//! that choose differently see two tokens in one, so here they are refused, at every depth. In the provider's own
//! documents, only what is read of them must not be repeated.

use std::cell::Cell;
use std::fmt::{self, Write as _};

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Levels of nesting that a document may have.
const MAX_DEPTH: u8 = 32;

/// A JSON object without repeated members.
pub(crate) type Object = Map<String, Value>;

/// Why a text is not such an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonError {
    /// Not JSON, not an object, too deep, or followed by something else.
    Malformed,
    /// An object, at any depth, has a member twice.
    Duplicate,
}

impl JsonError {
    /// What is wrong with a document of the provider's, as the end of a sentence that begins with its name.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            JsonError::Malformed => "is not a JSON object",
            JsonError::Duplicate => "has a member twice",
        }
    }
}

/// JSON in ASCII. RFC 8259 §7: any character of a string may be written as an escape, so the text is the same in every
/// encoding.
pub fn ascii_json(json: &str) -> String {
    let mut ascii = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String does not fail.
                let _ = write!(ascii, "\\u{unit:04x}");
            }
        }
    }
    ascii
}

/// Parses one JSON object (RFC 8259 §4) and nothing after it.
pub(crate) fn parse_object(bytes: &[u8]) -> Result<Object, JsonError> {
    parse(bytes, None)
}

/// The members that are read of a document: of its own, of the objects in those, and so on.
pub(crate) type Members<'a> = &'a [&'a [&'a str]];

/// Parses a document of the provider's. The members that are not read are left out, so that whatever they hold, or hold
/// twice, does no harm, and nothing can be read that may be repeated.
pub(crate) fn parse_document(bytes: &[u8], members: Members<'_>) -> Result<Object, JsonError> {
    parse(without_byte_order_mark(bytes), Some(members))
}

/// RFC 8259 §8.1: a parser may ignore a byte order mark instead of treating it as an error.
pub(crate) fn without_byte_order_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

fn parse(bytes: &[u8], members: Option<Members<'_>>) -> Result<Object, JsonError> {
    let duplicate = Cell::new(false);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = StrictValue {
        depth: MAX_DEPTH,
        members,
        duplicate: &duplicate,
    }
    .deserialize(&mut deserializer)
    .and_then(|value| deserializer.end().map(|()| value));
    match value {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(JsonError::Malformed),
        Err(_) if duplicate.get() => Err(JsonError::Duplicate),
        Err(_) => Err(JsonError::Malformed),
    }
}

/// Deserializes a value as `serde_json::Value` does, but refuses depth and repetition.
#[derive(Clone, Copy)]
struct StrictValue<'a> {
    depth: u8,
    /// What to keep; `None`: everything.
    members: Option<Members<'a>>,
    duplicate: &'a Cell<bool>,
}

impl StrictValue<'_> {
    fn below<E: de::Error>(self) -> Result<Self, E> {
        let depth = self
            .depth
            .checked_sub(1)
            .ok_or_else(|| E::custom("nested too deeply"))?;
        Ok(StrictValue { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for StrictValue<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictValue<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut elements = Vec::new();
        while let Some(element) = access.next_element_seed(below)? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let (names, members) = match self.members.map(<[_]>::split_first) {
            None => (None, None),
            Some(None) => (Some(&[][..]), Some(&[][..])),
            Some(Some((names, members))) => (Some(*names), Some(members)),
        };
        let below = StrictValue {
            members,
            ..self.below()?
        };
        let mut object = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            if names.is_some_and(|names| !names.contains(&&*name)) {
                let unread = StrictValue {
                    members: Some(&[]),
                    ..below
                };
                access.next_value_seed(unread)?;
                continue;
            }
            if object.contains_key(&name) {
                self.duplicate.set(true);
                return Err(de::Error::custom("a member appears more than once"));
            }
            let value = access.next_value_seed(below)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_serde_json_parses() {
        let text = r#" {"a": [1, -2, 3.5, true, null, "x\u00e9"], "b": {"c": {}}} "#;
        let object = parse_object(text.as_bytes()).unwrap();
        assert_eq!(
            Value::Object(object),
            serde_json::from_str::<Value>(text).unwrap()
        );
    }

    #[test]
    fn refuses_repeated_members_at_every_depth_and_in_every_spelling() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":2,"\u0061":3}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"{"x":[[{"a":1,"a":2}]]}"#,
        ] {
            assert_eq!(
                parse_object(text.as_bytes()),
                Err(JsonError::Duplicate),
                "{text}"
            );
        }
        assert!(parse_object(br#"{"a":1,"A":2,"b":{"a":3}}"#).is_ok());
    }

    #[test]
    fn of_a_document_only_what_is_read_must_not_be_repeated() {
        let parse = |text: &str| {
            let document = parse_document(text.as_bytes(), &[&["a", "b"], &["b"]])?;
            Ok(Value::Object(document).to_string())
        };
        for (text, kept) in [
            (r#"{"x":1,"a":2,"x":3}"#, r#"{"a":2}"#),
            (r#"{"a":{"x":1,"b":2,"\u0078":3}}"#, r#"{"a":{"b":2}}"#),
            (r#"{"a":[{"x":1,"x":2}]}"#, r#"{"a":[{}]}"#),
            (r#"{"x":{"a":1,"a":2},"b":null}"#, r#"{"b":null}"#),
            (r#"{"b":{"a":1,"a":2}}"#, r#"{"b":{}}"#),
            (r#"{"a":{"b":{"b":1,"b":2}}}"#, r#"{"a":{"b":{}}}"#),
            ("\u{feff} {\"b\":1}", r#"{"b":1}"#),
        ] {
            assert_eq!(parse(text), Ok(kept.to_owned()), "{text}");
        }
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"x":2,"\u0061":1}"#,
            r#"{"b":[1,[{"b":1,"b":2}]]}"#,
        ] {
            assert_eq!(parse(text), Err(JsonError::Duplicate), "{text}");
        }
        // What is left out is still JSON, of a bounded depth.
        for text in [
            r#"{"x":1,"a":}"#,
            r#"{"x":{'a':1}}"#,
            r#"{"x":1e999}"#,
            "\u{feff}\u{feff}{}",
            "{}\u{feff}",
            &format!("{{\"x\":{}{}}}", "[".repeat(32), "]".repeat(32)),
        ] {
            assert_eq!(parse(text), Err(JsonError::Malformed), "{text}");
        }
    }

    #[test]
    fn refuses_everything_but_one_object() {
        let malformed: [&[u8]; 16] = [
            b"",
            b" ",
            b"null",
            b"[]",
            b"\"{}\"",
            b"1",
            b"{}{}",
            b"{},",
            b"{\"a\":1",
            b"{a:1}",
            b"{'a':1}",
            b"{\"a\":1,}",
            b"\xef\xbb\xbf{}",
            b"{\"a\":\"\xff\"}",
            b"{\"a\":1e999}",
            b"{\"a\":\"\\ud800\"}",
        ];
        for text in malformed {
            assert_eq!(parse_object(text), Err(JsonError::Malformed), "{text:?}");
        }
    }

    #[test]
    fn bounds_depth() {
        let nested =
            |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse_object(nested(MAX_DEPTH as usize - 1).as_bytes()).is_ok());
        assert_eq!(
            parse_object(nested(MAX_DEPTH as usize).as_bytes()),
            Err(JsonError::Malformed)
        );
        assert_eq!(
            parse_object(nested(1_000_000).as_bytes()),
            Err(JsonError::Malformed)
        );
        let unclosed = "{\"a\":".repeat(100_000);
        assert_eq!(parse_object(unclosed.as_bytes()), Err(JsonError::Malformed));
    }
}
