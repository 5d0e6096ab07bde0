//! Which member makes a key unusable, as an administrator is told.

use oauth_core::JwkSet;
use serde_json::Value;

/// Another key, and a good one that these members make unusable, instead of its own.
fn set_with(good: &str, members: &[(&str, Value)]) -> JwkSet {
    let mut jwk: Value = serde_json::from_str(good).unwrap();
    for (name, value) in members {
        jwk[*name] = value.clone();
    }
    let set = format!("{{\"keys\":[{ED25519},{jwk}]}}");
    let set = JwkSet::parse(set.as_bytes()).unwrap();
    assert_eq!(set.unusable().len(), 1, "{jwk}");
    set
}

/// What is told of such a key.
fn told(good: &str, kid: &str, members: &[(&str, Value)]) -> (String, Option<&'static str>) {
    let set = set_with(good, members);
    let (head, _) = set.keys().last().unwrap().describe();
    let words = set.unusable_in_words();
    let words = words.strip_prefix(&format!("key {kid}: ")).expect(kid);
    (words.to_owned(), head.unusable_member())
}

const ED25519: &str =
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const P256: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;

#[test]
fn member_that_makes_a_key_unusable_is_named() {
    let text = |text: &str| Value::from(text);
    let [weak, even] = [43, 86].map(|count| "qqqq".repeat(count));
    let rsa = |n: &str, e: &str, more: &[(&'static str, Value)]| {
        let members = [("kty", text("RSA")), ("n", text(n)), ("e", text(e))];
        [&members[..], more].concat()
    };
    for (members, member, words) in [
        (vec![("use", text("enc"))], "use", r#""use" is "enc""#),
        (vec![("use", 1.into())], "use", r#""use" is not a string"#),
        (
            vec![("key_ops", vec!["sign"].into())],
            "key_ops",
            r#""key_ops" does not list "verify""#,
        ),
        (
            vec![("key_ops", vec![text("verify"), 1.into()].into())],
            "key_ops",
            r#""key_ops" does not list "verify""#,
        ),
        (
            vec![("key_ops", vec!["sign", "verify"].into())],
            "x",
            r#""x" and "y" are not a point on the curve"#,
        ),
        (
            vec![("crv", text("secp256k1"))],
            "crv",
            r#""crv" is "secp256k1""#,
        ),
        (vec![("crv", Value::Null)], "crv", r#""crv" is missing"#),
        (vec![("kty", text("oct"))], "kty", r#""kty" is "oct""#),
        (vec![("kty", Value::Null)], "kty", r#""kty" is missing"#),
        (vec![("alg", text("ES384"))], "alg", r#""alg" is "ES384""#),
        (vec![("alg", text("x\n"))], "alg", r#""alg" is "x\u{a}""#),
        (
            vec![("alg", text("ES256"))],
            "x",
            r#""x" and "y" are not a point on the curve"#,
        ),
        (
            vec![("d", text("x"))],
            "d",
            r#""d" publishes its private part"#,
        ),
        (
            vec![("oth", text("x"))],
            "oth",
            r#""oth" publishes its private part"#,
        ),
        (vec![("y", Value::Null)], "y", r#""y" is missing"#),
        (
            vec![("y", text("AA"))],
            "x",
            r#""x" and "y" are not a point on the curve"#,
        ),
        (
            vec![("kty", text("OKP")), ("crv", text("Ed25519"))],
            "x",
            r#""x" is not a point that can be used"#,
        ),
        (rsa(&weak, "AQAB", &[]), "n", r#""n" has 1032 bits"#),
        (
            rsa(&weak, "AQAB", &[("alg", text("RS256"))]),
            "n",
            r#""n" has 1032 bits"#,
        ),
        (
            rsa(&weak, "AQAB", &[("alg", text("ES256"))]),
            "alg",
            r#""alg" is "ES256""#,
        ),
        (
            rsa(&even, "AQAB", &[]),
            "n",
            r#""n" is not a usable modulus, of 2064 bits"#,
        ),
        (
            rsa(&weak, "AQ", &[]),
            "e",
            r#""e" is not a usable exponent"#,
        ),
    ] {
        let broken = [&[("x", text("AA"))][..], &members].concat();
        let members = match member {
            "x" => broken,
            _ => members,
        };
        assert_eq!(told(P256, "2", &members), (words.to_owned(), Some(member)));
        let named = [&[("kid", text("a\""))][..], &members].concat();
        assert_eq!(told(P256, "\"a\\\"\"", &named).0, words);
    }
    let odd_kid = told(P256, "2", &[("kid", 1.into())]);
    assert_eq!(
        odd_kid,
        (r#""kid" is not a string"#.to_owned(), Some("kid"))
    );
}

#[test]
fn fault_tells_a_key_for_something_else_from_one_that_is_published() {
    for (member, value, is_of_another_use, is_private) in [
        ("use", "enc", true, false),
        ("key_ops", "sign", true, false),
        ("alg", "ES384", false, false),
        ("d", "x", false, true),
        ("oth", "x", false, true),
    ] {
        let set = set_with(P256, &[(member, value.into())]);
        let fault = &set.unusable()[0].fault;
        let told = (fault.is_of_another_use(), fault.is_private());
        assert_eq!(told, (is_of_another_use, is_private), "{member}");
    }
}

#[test]
fn usable_key_has_no_fault_and_what_is_no_object_has_no_kty() {
    let set = format!("{{\"keys\":[7,{ED25519},null,{P256}]}}");
    let set = JwkSet::parse(set.as_bytes()).unwrap();
    let words = r#"key 1: "kty" is missing; key 3: "kty" is missing"#;
    assert_eq!(set.unusable_in_words(), words);
    let members = set
        .keys()
        .iter()
        .map(|jwk| jwk.describe().0.unusable_member());
    assert_eq!(
        members.collect::<Vec<_>>(),
        [Some("kty"), None, Some("kty"), None]
    );
    let many = format!("{{\"keys\":[{}{ED25519}]}}", "1,".repeat(500));
    let many = JwkSet::parse(many.as_bytes()).unwrap();
    assert_eq!(many.unusable().len(), 128);
    let words = many.unusable_in_words();
    assert!(words.ends_with("; and 118 more"), "{words}");
    let none = JwkSet::parse(br#"{"keys":[1,2,3,4]}"#).unwrap_err();
    assert!(none.to_string().ends_with("; and 1 more"), "{none}");
    let empty = JwkSet::parse(br#"{"keys":[]}"#).unwrap_err();
    assert_eq!(
        empty.to_string(),
        "key set has no usable signature key: it is empty"
    );
}
