//! Size, parts, encoding and JSON of a token: RFC 7515 §3 and §7.1, RFC 7519 §7.2.

use court::*;
use oauth_core::{Failure, PolicyBuilder, Reject};
use serde_json::{Value, json};

/// A good token of exactly this many bytes.
fn token_of_size(bytes: usize) -> String {
    let padded = |header: usize, claims: usize| {
        good_token()
            .header("pad", "x".repeat(header))
            .claim("pad", "x".repeat(claims))
            .encode()
    };
    // A part of base64url never has 4n + 1 bytes, so that both pads are needed to reach every size.
    let roughly = (bytes - padded(0, 0).len()) * 3 / 4;
    (0..4)
        .flat_map(|header| (0..9).map(move |more| padded(header, roughly + more - 6)))
        .find(|text| text.len() == bytes)
        .unwrap()
}

/// The good token with one of its parts changed.
fn with_part(part: usize, change: impl Fn(&str) -> String) -> String {
    let text = good_token().encode();
    let parts = text.split('.').enumerate().map(|(i, original)| {
        if i == part {
            change(original)
        } else {
            original.to_owned()
        }
    });
    parts.collect::<Vec<_>>().join(".")
}

/// The verdict on a token whose header is these bytes, rightly signed.
fn verdict_on_header(header: impl Into<Vec<u8>>) -> &'static str {
    verdict(&good_token().raw_header(header))
}

/// The header of the good token, with more members.
fn header_with(members: &str) -> String {
    format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"key-1"{members}}}"#)
}

#[test]
fn accepts_a_token_of_the_size_limit_and_refuses_one_byte_more() {
    let text = good_token().encode();
    let limited = |limit| Court::new().policy(|policy| policy.max_token_size(limit));
    assert_eq!(limited(text.len()).verdict_on_text(&text), GRANTED);
    for limit in [text.len() - 1, 1, 0] {
        assert_eq!(limited(limit).verdict_on_text(&text), "token_too_large");
    }
}

#[test]
fn accepts_16_kilobytes_by_default_and_refuses_one_byte_more() {
    assert_eq!(verdict_on_text(&token_of_size(16 * 1024)), GRANTED);
    let larger = token_of_size(16 * 1024 + 1);
    assert_eq!(verdict_on_text(&larger), "token_too_large");
    let decision = Court::new().judge(&"A".repeat(16 * 1024 + 1));
    let expected = Failure::Reject(Reject::TokenTooLarge { size: 16_385 });
    assert_eq!(decision.outcome().unwrap_err(), &expected);
}

#[test]
fn size_is_counted_in_bytes_not_characters() {
    let text = "é".repeat(10_000);
    assert_eq!(verdict_on_text(&text), "token_too_large");
}

#[test]
fn refuses_a_huge_token_at_once() {
    assert_eq!(verdict_on_text(&".".repeat(50_000_000)), "token_too_large");
}

#[test]
fn a_signed_jwt_has_three_parts() {
    for dots in (0..7).filter(|dots| *dots != 2) {
        let text = vec!["a"; dots + 1].join(".");
        assert_eq!(verdict_on_text(&text), "not_a_jwt", "{text}");
    }
    assert_eq!(verdict_on_text("a.a.a"), "bad_encoding");
    let text = good_token().encode();
    for more in [".", "..", "...", ".e30.", "e30."] {
        assert_eq!(verdict_on_text(&format!("{text}{more}")), "malformed_jwt");
        assert_eq!(verdict_on_text(&format!("{more}{text}")), "malformed_jwt");
    }
}

#[test]
fn refuses_what_is_no_compact_serialization() {
    let text = good_token().encode();
    let parts: Vec<&str> = text.split('.').collect();
    let flattened = json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]});
    for (text, expected) in [
        ("", "not_a_jwt"),
        ("opaque-token", "not_a_jwt"),
        ("ya29.opaque", "not_a_jwt"),
        (&flattened.to_string(), "malformed_jwt"),
        (&format!("Bearer {text}"), "bad_encoding"),
        (&format!("{text},{text}"), "malformed_jwt"),
        (&format!("\"{text}\""), "bad_encoding"),
        ("..", "header_malformed"),
    ] {
        assert_eq!(verdict_on_text(text), expected, "{text}");
    }
}

#[test]
fn refuses_every_part_that_is_not_base64url_without_padding() {
    let strangers = [
        "=", "==", "+", "/", " ", "\t", "\n", "\r\n", "\0", "\u{7f}", "é", "Ａ", "\u{200b}", ",",
        ":", "%3D", "\u{feff}", "~", "*",
    ];
    for part in 0..3 {
        for stranger in strangers {
            let positions: [&dyn Fn(&str) -> String; 3] = [
                &|text| format!("{stranger}{text}"),
                &|text| format!("{text}{stranger}"),
                &|text| format!("{}{stranger}{}", &text[..4], &text[4..]),
            ];
            for change in positions {
                let text = with_part(part, change);
                assert_eq!(
                    verdict_on_text(&text),
                    "bad_encoding",
                    "{part} {stranger:?}"
                );
            }
        }
    }
}

#[test]
fn refuses_the_same_bytes_in_the_other_alphabet_of_base64() {
    // RFC 4648 §4 writes as "+" and "/" what §5 writes as "-" and "_".
    let text = (0..1000)
        .map(|number| good_token().claim("jti", number).encode())
        .find(|text| text.rsplit('.').next().unwrap().contains(['-', '_']))
        .unwrap();
    assert_eq!(verdict_on_text(&text), GRANTED);
    let other = text.replace('-', "+").replace('_', "/");
    assert_eq!(verdict_on_text(&other), "bad_encoding");
}

#[test]
fn refuses_a_length_that_no_bytes_have() {
    for part in 0..3 {
        let text = with_part(part, |text| {
            let missing = (5 - text.len() % 4) % 4;
            format!("{text}{}", "A".repeat(missing))
        });
        assert_eq!(verdict_on_text(&text), "bad_encoding", "part {part}");
    }
}

#[test]
fn refuses_trailing_bits_that_are_not_zero() {
    // RFC 4648 §3.5: else one token has several spellings.
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let padded = (0..3).map(|pad| good_token().header("pad", "x".repeat(pad)));
    let padded =
        padded.flat_map(|token| (0..3).map(move |pad| token.clone().claim("pad", "x".repeat(pad))));
    let mut respelt = 0;
    for text in padded.map(|token| token.encode()) {
        let parts: Vec<&str> = text.split('.').collect();
        for (part, original) in parts.iter().enumerate() {
            let unused_bits = match original.len() % 4 {
                2 => 0b1111,
                3 => 0b11,
                _ => continue,
            };
            let (kept, last) = original.split_at(original.len() - 1);
            let value = ALPHABET.find(last).unwrap();
            assert_eq!(value & unused_bits, 0);
            for bits in 1..=unused_bits {
                let last = &ALPHABET[value + bits..value + bits + 1];
                let mut parts = parts.clone();
                let respelling = format!("{kept}{last}");
                parts[part] = &respelling;
                assert_eq!(verdict_on_text(&parts.join(".")), "bad_encoding");
                respelt += 1;
            }
        }
    }
    assert!(respelt > 100);
}

#[test]
fn refuses_empty_parts() {
    let text = good_token().encode();
    let parts: Vec<&str> = text.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    for (text, expected) in [
        (format!(".{payload}.{signature}"), "header_malformed"),
        (format!("{header}..{signature}"), "bad_signature"),
        (format!("{header}.{payload}."), "bad_signature"),
        (good_token().raw_header("").encode(), "header_malformed"),
        (good_token().raw_claims("").encode(), "claims_malformed"),
    ] {
        assert_eq!(verdict_on_text(&text), expected, "{text}");
    }
}

#[test]
fn accepts_a_header_of_8192_bytes_and_refuses_one_byte_more() {
    let header = |bytes: usize| {
        let empty = header_with(r#","pad":"""#).len();
        header_with(&format!(r#","pad":"{}""#, "x".repeat(bytes - empty)))
    };
    let large = |policy: PolicyBuilder| policy.max_token_size(64 * 1024);
    for (bytes, expected) in [
        (4097, GRANTED),
        (8191, GRANTED),
        (8192, GRANTED),
        (8193, "header_too_large"),
        (30_000, "header_too_large"),
    ] {
        assert_eq!(header(bytes).len(), bytes);
        let token = good_token().raw_header(header(bytes));
        let verdict = Court::new().policy(large).verdict(&token);
        assert_eq!(verdict, expected, "{bytes}");
    }
    // The size is found before anything is read.
    for wrong in [
        format!("{}{}", header_with(""), " ".repeat(8193)),
        "[".repeat(8193),
    ] {
        assert_eq!(verdict_on_header(wrong.clone()), "header_too_large");
        let size = wrong.len();
        let text = good_token().raw_header(wrong).encode();
        let decision = Court::new().judge(&text);
        let limit = 8192;
        let reject = Reject::HeaderTooLarge { size, limit };
        assert_eq!(decision.outcome().unwrap_err(), &Failure::from(reject));
    }
    assert_eq!(verdict_on_header("[".repeat(8192)), "header_malformed");
    let chain: Vec<String> = (0..3).map(|_| "MIIF".repeat(500)).collect();
    assert_eq!(verdict(&good_token().header("x5c", json!(chain))), GRANTED);
}

#[test]
fn a_kid_that_is_null_or_empty_is_as_none() {
    let sets = [
        vec![signing_key().jwk()],
        vec![signing_key().jwk(), Key::new(KeyKind::P256).jwk()],
        vec![signing_key().without_kid().jwk()],
        vec![signing_key().with_kid("").jwk()],
    ];
    for kid in [json!(null), json!("")] {
        let token = good_token().header("kid", kid.clone());
        for set in &sets {
            assert_eq!(Court::new().keys(set).verdict(&token), GRANTED, "{set:?}");
        }
        // As without: the only fitting key, not any.
        let other = Key::new(KeyKind::Ed25519).with_kid("other").jwk();
        let absent = good_token().without_header("kid");
        for set in [
            vec![other.clone()],
            vec![Key::new(KeyKind::P256).jwk()],
            vec![signing_key().jwk(), other.clone()],
            vec![signing_key().jwk_with(json!({"use": "enc"})), other],
        ] {
            let court = Court::new().keys(&set);
            assert_eq!(court.verdict(&token), court.verdict(&absent), "{set:?}");
        }
        let stranger = Key::new(KeyKind::Ed25519);
        let forged = token.signature_by(&stranger, Alg::EdDSA);
        assert_eq!(verdict(&forged), "bad_signature");
    }
    for kid in [" ", "\0", "null", "0"] {
        assert_eq!(verdict(&good_token().header("kid", kid)), "unknown_kid");
    }
    for twice in [r#","kid":null"#, r#","kid":"""#] {
        assert_eq!(verdict_on_header(header_with(twice)), "header_malformed");
    }
}

#[test]
fn refuses_a_header_that_is_not_one_json_object() {
    let good = header_with("");
    let malformed: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b" ".to_vec(),
        b"null".to_vec(),
        b"true".to_vec(),
        b"1".to_vec(),
        b"\"EdDSA\"".to_vec(),
        b"[]".to_vec(),
        format!("[{good}]").into(),
        format!("{good}{good}").into(),
        format!("{good},").into(),
        format!("{good}x").into(),
        format!("{good}\0").into(),
        format!("\u{feff}{good}").into(),
        good.trim_end_matches('}').into(),
        good.replace('"', "'").into(),
        good.replace("}", ",}").into(),
        good.replace("}", "/* */}").into(),
        header_with(r#","n":NaN"#).into(),
        header_with(r#","n":01"#).into(),
        header_with(r#","n":1e999"#).into(),
        header_with(r#","s":"\x""#).into(),
        header_with(r#","s":"\ud800""#).into(),
        header_with(",\"s\":\"\n\"").into(),
        header_with(",\"s\":\"\0\"").into(),
        [header_with(r#","s":"Z"#).as_bytes(), b"\xff\"}"].concat(),
        good.encode_utf16().flat_map(u16::to_le_bytes).collect(),
    ];
    for header in malformed {
        let shown = String::from_utf8_lossy(&header).into_owned();
        assert_eq!(verdict_on_header(header), "header_malformed", "{shown}");
    }
    assert_eq!(verdict_on_header("{}"), "alg_not_allowed");
}

#[test]
fn accepts_a_header_with_white_space_and_unknown_members() {
    for header in [
        header_with(""),
        header_with(r#","x":null,"y":[1,{"z":[]}],"":"""#),
        format!(" \r\n\t{}\n", header_with("")),
        header_with("").replace("alg", r"\u0061lg"),
    ] {
        assert_eq!(verdict_on_header(header.clone()), GRANTED, "{header}");
    }
}

#[test]
fn refuses_repeated_header_members_in_every_spelling() {
    for members in [
        r#","alg":"EdDSA""#,
        r#","alg":"none""#,
        r#","\u0061lg":"none""#,
        r#","kid":"key-1""#,
        r#","typ":"JWT""#,
        r#","x":1,"x":1"#,
        r#","x":{"a":1,"a":1}"#,
        r#","x":[{"a":1,"\u0061":1}]"#,
        r#","":1,"":2"#,
    ] {
        let header = header_with(members);
        assert_eq!(verdict_on_header(header), "header_malformed", "{members}");
    }
    // Names are compared exactly: these are other members.
    let others = header_with(r#","ALG":"none","alg ":"none","Kid":"x","x":{"alg":"none"}"#);
    assert_eq!(verdict_on_header(others), GRANTED);
}

#[test]
fn bounds_the_nesting_of_the_header() {
    let arrays = |levels| {
        header_with(&format!(
            r#","x":{}{}"#,
            "[".repeat(levels),
            "]".repeat(levels)
        ))
    };
    let objects = |levels| {
        let (open, close) = (r#"{"a":"#.repeat(levels), "}".repeat(levels));
        header_with(&format!(r#","x":{open}1{close}"#))
    };
    assert_eq!(verdict_on_header(arrays(31)), GRANTED);
    assert_eq!(verdict_on_header(objects(31)), GRANTED);
    for levels in [32, 33, 127, 128, 600] {
        assert_eq!(verdict_on_header(arrays(levels)), "header_malformed");
        assert_eq!(verdict_on_header(objects(levels)), "header_malformed");
    }
    let unclosed = header_with("").replace('}', &format!(r#","x":{}"#, "[".repeat(3000)));
    assert_eq!(verdict_on_header(unclosed), "header_malformed");
}

#[test]
fn refuses_header_members_of_the_wrong_type() {
    for name in ["alg", "typ", "kid"] {
        // A kid that is null is as none: shown above.
        let is_none = |value: &Value| name == "kid" && value.is_null();
        for value in all_but_strings()
            .into_iter()
            .filter(|value| !is_none(value))
        {
            let token = good_token().header(name, value.clone());
            assert_eq!(verdict(&token), "header_malformed", "{name}: {value}");
        }
    }
}
