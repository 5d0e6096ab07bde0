//! How providers write their keys: what a reasonable reader takes for the same key, and what stays refused beside it.

use court::*;
use oauth_core::JwkSet;
use serde_json::{Value, json};

/// A JWK with these members as they are, `null` included.
fn with(jwk: &Value, members: Value) -> Value {
    let mut jwk = jwk.clone();
    let all = jwk.as_object_mut().unwrap();
    all.extend(members.as_object().unwrap().clone());
    jwk
}

/// The verdict on a good token of this key, whose JWK has these members.
fn verdict_with(key: &Key, members: Value) -> &'static str {
    verdict_with_jwk(key, with(&key.jwk(), members))
}

fn bytes_of(jwk: &Value, name: &str) -> Vec<u8> {
    from_base64url(jwk[name].as_str().unwrap()).unwrap()
}

#[test]
fn a_member_that_is_null_is_absent() {
    let unset = json!({
        "use": null, "key_ops": null, "alg": null, "d": null, "p": null, "q": null, "dp": null, "dq": null,
        "qi": null, "oth": null, "k": null, "x5c": null, "x5t": null, "x5u": null, "x5t#S256": null,
    });
    for kind in [
        KeyKind::Rsa,
        KeyKind::P256,
        KeyKind::P384,
        KeyKind::P521,
        KeyKind::Ed25519,
    ] {
        let key = Key::new(kind);
        assert_eq!(verdict_with(&key, unset.clone()), GRANTED, "{kind:?}");
        for name in unset.as_object().unwrap().keys() {
            let alone = json!({ name.as_str(): null });
            assert_eq!(verdict_with(&key, alone), GRANTED, "{kind:?}, {name}");
        }
        let anonymous = Court::new().keys(&[with(&key.jwk(), json!({ "kid": null }))]);
        assert_eq!(anonymous.verdict(&token_by(&key)), "unknown_kid");
        let token = token_by(&key.without_kid());
        assert_eq!(anonymous.verdict(&token), GRANTED, "{kind:?}");
    }
}

#[test]
fn what_makes_a_key_can_not_be_null() {
    for (kind, names) in [
        (KeyKind::Rsa, &["kty", "n", "e"][..]),
        (KeyKind::P256, &["kty", "crv", "x", "y"]),
        (KeyKind::Ed25519, &["kty", "crv", "x"]),
    ] {
        let key = Key::new(kind);
        for name in names {
            let alone = json!({ *name: null });
            assert_eq!(verdict_with(&key, alone), "key_unsuitable", "{name}");
        }
    }
}

#[test]
fn every_part_of_a_private_key_gives_it_away() {
    let key = Key::new(KeyKind::Rsa);
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth"] {
        for value in [
            json!("AQAB"),
            json!(""),
            json!(0),
            json!(false),
            json!({}),
            json!([{"r": "AQAB"}]),
        ] {
            let published = json!({ name: value, "use": null });
            assert_eq!(
                verdict_with(&key, published.clone()),
                "key_unsuitable",
                "{published}"
            );
        }
    }
    assert_eq!(verdict_with(&key, json!({"d": []})), "key_unsuitable");
    assert_eq!(verdict_with(&key, json!({"oth": []})), GRANTED);
}

#[test]
fn an_empty_list_is_absent_and_says_nothing_for_the_key() {
    let key = Key::new(KeyKind::Rsa);
    for (members, expected) in [
        (
            json!({"use": "sig", "key_ops": [], "x5c": [], "oth": []}),
            GRANTED,
        ),
        (json!({"key_ops": []}), GRANTED),
        (json!({"key_ops": null, "use": "sig"}), GRANTED),
        (json!({"key_ops": ["sign"]}), "key_unsuitable"),
        (json!({"key_ops": [""]}), "key_unsuitable"),
        (json!({"key_ops": [[]]}), "key_unsuitable"),
        (json!({"key_ops": [null]}), "key_unsuitable"),
        (json!({"key_ops": {}}), "key_unsuitable"),
        (json!({"key_ops": ""}), "key_unsuitable"),
        (json!({"key_ops": [], "use": "enc"}), "key_unsuitable"),
        (json!({"key_ops": [], "use": []}), "key_unsuitable"),
        (json!({"key_ops": [], "alg": []}), "key_unsuitable"),
        (json!({"n": []}), "key_unsuitable"),
    ] {
        assert_eq!(verdict_with(&key, members.clone()), expected, "{members}");
    }
}

/// A key of this kind, and the names of those coordinates that begin with zero.
fn key_with_leading_zero(kind: KeyKind) -> (Key, Vec<&'static str>) {
    loop {
        let key = Key::new(kind);
        let zero = ["x", "y"]
            .into_iter()
            .filter(|name| bytes_of(&key.jwk(), name)[0] == 0)
            .collect::<Vec<_>>();
        if !zero.is_empty() {
            return (key, zero);
        }
    }
}

#[test]
fn a_coordinate_may_lack_its_zeros_or_have_one_for_the_sign() {
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::P521] {
        let (key, zeros) = key_with_leading_zero(kind);
        for name in zeros {
            let bytes = bytes_of(&key.jwk(), name);
            let start = bytes.iter().position(|byte| *byte != 0).unwrap();
            for dropped in 1..=start {
                let short = json!({ name: base64url(&bytes[dropped..]) });
                assert_eq!(verdict_with(&key, short), GRANTED, "{kind:?}, {dropped}");
            }
            // A byte that counts is not made up.
            let shorter = json!({ name: base64url(&bytes[start + 1..]) });
            assert_eq!(verdict_with(&key, shorter), "key_unsuitable");
            let signed = json!({ name: base64url([&[0], &bytes[..]].concat()) });
            assert_eq!(verdict_with(&key, signed), GRANTED);
        }
        let key = Key::new(kind);
        for name in ["x", "y"] {
            let bytes = bytes_of(&key.jwk(), name);
            let start = bytes.iter().position(|byte| *byte != 0).unwrap();
            for (before, expected) in [
                (&[0][..], GRANTED),
                (&[0, 0], "key_unsuitable"),
                (&[0; 16], "key_unsuitable"),
                (&[1], "key_unsuitable"),
                (&[4], "key_unsuitable"),
            ] {
                let long = json!({ name: base64url([before, &bytes].concat()) });
                assert_eq!(verdict_with(&key, long), expected, "{before:?}");
            }
            for wrong in [
                vec![],
                vec![0],
                // Of a field of 521 bits, the first byte of every other coordinate is zero.
                bytes[start + 1..].to_vec(),
                bytes[..bytes.len() - 1].to_vec(),
                [&bytes[..], &[0]].concat(),
            ] {
                let off_the_curve = json!({ name: base64url(&wrong) });
                assert_eq!(
                    verdict_with(&key, off_the_curve),
                    "key_unsuitable",
                    "{wrong:?}"
                );
            }
        }
    }
    // RFC 8032 §5.1.2: an Ed25519 key is not a number with zeros in front.
    let key = Key::new(KeyKind::Ed25519);
    let x = bytes_of(&key.jwk(), "x");
    for wrong in [x[1..].to_vec(), [&[0], &x[..]].concat()] {
        let x = json!({ "x": base64url(wrong) });
        assert_eq!(verdict_with(&key, x), "key_unsuitable");
    }
}

#[test]
fn material_may_be_padded_and_in_either_alphabet() {
    for kind in [
        KeyKind::Rsa,
        KeyKind::P256,
        KeyKind::P384,
        KeyKind::P521,
        KeyKind::Ed25519,
    ] {
        let key = Key::new(kind);
        let jwk = key.jwk();
        for name in ["n", "e", "x", "y"] {
            let Some(text) = jwk.get(name).and_then(Value::as_str) else {
                continue;
            };
            let padding = "=".repeat(match text.len() % 4 {
                2 => 2,
                3 => 1,
                _ => 0,
            });
            let standard = text.replace('-', "+").replace('_', "/");
            for spelling in [
                format!("{text}{padding}"),
                format!("{standard}{padding}"),
                standard.clone(),
            ] {
                let members = json!({ name: spelling });
                assert_eq!(verdict_with(&key, members.clone()), GRANTED, "{members}");
            }
            for wrong in [
                format!("{text}==="),
                format!("={text}"),
                format!("{text}{padding}{padding}="),
                format!(" {text}"),
                format!("{text}\n"),
                format!("{text}A"),
                text[..text.len() - 1].to_owned(),
                String::new(),
                "=".to_owned(),
                "+/-_".to_owned(),
            ] {
                let members = json!({ name: wrong });
                assert_eq!(
                    verdict_with(&key, members.clone()),
                    "key_unsuitable",
                    "{members}"
                );
            }
        }
    }
    // A short key is short in every spelling.
    let short = format!("{}==", base64url([0xa5; 127]));
    assert!(!usable(&json!({"kty": "RSA", "n": short, "e": "AQAB"})));
}

#[test]
fn a_token_is_not_read_as_leniently_as_a_key() {
    let text = good_token().encode();
    for spoilt in [format!("{text}=="), text.replacen('.', "=.", 1)] {
        assert_eq!(verdict_on_text(&spoilt), "bad_encoding");
    }
    let marked = good_token().raw_header("\u{feff}{}").encode();
    assert_eq!(verdict_on_text(&marked), "header_malformed");
    let marked = good_token().raw_claims("\u{feff}{}").encode();
    assert_eq!(verdict_on_text(&marked), "claims_malformed");
}

/// What becomes of a set of the good token's key, written with more members: of the set, and of the key.
fn verdict_on_written(in_set: &str, in_key: &str) -> &'static str {
    let key = signing_key().jwk().to_string();
    let key = format!("{}{in_key}}}", &key[..key.len() - 1]);
    let document = format!("{{\"keys\":[{key}]{in_set}}}");
    match JwkSet::parse(document.as_bytes()) {
        Ok(set) => Court::new().key_source(set).verdict(&good_token()),
        Err(cause) => cause.code(),
    }
}

#[test]
fn what_is_not_read_of_a_set_may_be_repeated() {
    for (in_set, in_key) in [
        ("", ""),
        (r#","x":1,"x":2"#, ""),
        (r#","x":{"n":1,"n":2}"#, ""),
        (r#","x":[{"keys":1,"keys":2}]"#, ""),
        (r#","kid":1,"kid":2,"n":3,"n":4"#, ""),
        ("", r#","keys":1,"keys":2"#),
        ("", r#","k":1,"k":2"#),
        ("", r#","x5c":[],"x5c":["AA"]"#),
        ("", r#","x5u":"a","x5u":"a""#),
        ("", r#","exp":1,"\u0065xp":2"#),
    ] {
        let verdict = verdict_on_written(in_set, in_key);
        assert_eq!(verdict, GRANTED, "{in_set} {in_key}");
    }
}

#[test]
fn what_is_read_of_a_set_must_not_be_repeated() {
    assert_eq!(verdict_on_written(r#","keys":[]"#, ""), "malformed");
    assert_eq!(verdict_on_written(r#","k\u0065ys":null"#, ""), "malformed");
    for name in [
        "kty", "kid", "use", "crv", "x", "alg", "key_ops", "n", "e", "y", "d", "p", "q", "dp",
        "dq", "qi", "oth", "x5t", "x5t#S256",
    ] {
        for value in ["null", "[]", "\"a\""] {
            let twice = format!(r#","{name}":{value},"{name}":{value}"#);
            assert_eq!(verdict_on_written("", &twice), "malformed", "{twice}");
        }
    }
    let Err(cause) = JwkSet::parse(br#"{"keys":[],"keys":[]}"#) else {
        panic!("accepted");
    };
    assert_eq!(
        cause.to_string(),
        "answer is malformed: the key set has a member twice"
    );
}

#[test]
fn one_byte_order_mark_before_a_set_is_ignored() {
    let text = String::from_utf8(document(&[signing_key().jwk()])).unwrap();
    for (written, expected) in [
        (format!("\u{feff}{text}"), true),
        (format!("\u{feff}\r\n {text}\n"), true),
        (format!("\u{feff}\u{feff}{text}"), false),
        (format!(" \u{feff}{text}"), false),
        (format!("{text}\u{feff}"), false),
        (format!("{{\u{feff}{}", &text[1..]), false),
        ("\u{feff}".to_owned(), false),
    ] {
        assert_eq!(
            JwkSet::parse(written.as_bytes()).is_ok(),
            expected,
            "{written:?}"
        );
    }
    let utf16: Vec<u8> = format!("\u{feff}{text}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert!(JwkSet::parse(&utf16).is_err());
}
