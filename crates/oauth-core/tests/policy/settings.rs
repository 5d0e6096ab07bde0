//! Settings as an administrator writes them: lists, names, claims, URLs.

use oauth_core::{
    Algorithm, Algorithms, ClaimPath, IdentityClaims, IdentityPrefix, Issuer, RequiredClaims,
    StringList, TokenTypes,
};

/// The items of a list, if the text is one.
fn list(text: &str) -> Option<Vec<String>> {
    let list: StringList = text.parse().ok()?;
    assert_eq!(list.is_empty(), list.iter().next().is_none());
    assert!(list.iter().all(|item| list.contains(item)));
    Some(list.iter().map(str::to_owned).collect())
}

#[test]
fn lists_are_read_as_an_administrator_means_them() {
    for (text, items) in [
        ("", &[][..]),
        ("a", &["a"]),
        ("a,b", &["a", "b"]),
        (" a , b ", &["a", "b"]),
        ("\n a,\n b\n", &["a", "b"]),
        ("a b", &["a b"]),
        ("a,a", &["a", "a"]),
        (r#""a""#, &["a"]),
        (r#"" a ""#, &[" a "]),
        (r#""a,b",c"#, &["a,b", "c"]),
        (r#""a""b""#, &[r#"a"b"#]),
        (r#""""""#, &[r#"""#]),
        (r#"a"b"#, &[r#"a"b"#]),
        (r#"a""b"#, &[r#"a""b"#]),
        ("a;b|c", &["a;b|c"]),
        ("'a'", &["'a'"]),
        (r"a\,b", &[r"a\", "b"]),
    ] {
        let items: Vec<String> = items.iter().map(|item| (*item).to_owned()).collect();
        assert_eq!(list(text), Some(items), "{text:?}");
    }
    for text in [
        ",",
        ",,",
        "a,",
        ",a",
        "a,,b",
        "a, ,b",
        r#""""#,
        r#"a,"""#,
        r#"""#,
        r#""a"#,
        r#""a","#,
        r#""a"b"#,
        r#""a" "b""#,
        r#""a""#.trim_end_matches('"'),
        "a\0b",
        "a\u{7}",
        "a\u{85}b",
        "\"a\nb\"",
        "a,\u{1b}",
    ] {
        assert_eq!(list(text), None, "{text:?}");
    }
}

#[test]
fn lists_are_bounded() {
    let item = "x".repeat(1024);
    assert!(list(&item).is_some());
    assert!(list(&format!("{item}x")).is_none());
    assert!(list(&format!("\"{item}x\"")).is_none());
    assert!(list(&vec![item.as_str(); 256].join(",")).is_some());
    assert!(list(&vec!["x"; 257].join(",")).is_none());
    assert!(list(&"x,".repeat(5_000_000)).is_none());
    assert!(list(&"\"".repeat(1_000_001)).is_none());
}

#[test]
fn algorithms_are_asymmetric_and_known() {
    for (text, names) in [
        ("RS256", "RS256"),
        (" ES256 , EdDSA ", "ES256, EdDSA"),
        ("EdDSA,EdDSA", "EdDSA"),
        (r#""PS512""#, "PS512"),
    ] {
        assert_eq!(text.parse::<Algorithms>().unwrap().names(), names);
    }
    for alg in Algorithm::ALL {
        assert_eq!(Algorithm::from_name(alg.name()), Some(alg));
        assert_eq!(Algorithm::from_name(&alg.name().to_lowercase()), None);
    }
    for text in [
        "",
        " ",
        "none",
        "None",
        "HS256",
        "HS384",
        "RS256, HS256",
        "RS256, none",
        "ES521",
        "ES256K",
        "rs256",
        "RS256 ES256",
        "*",
        "all",
        "RS*",
        "-RS256",
        "RS256;",
        "RS256,,ES256",
        "RS-256",
    ] {
        let refused = text.parse::<Algorithms>();
        assert!(refused.is_err(), "{text:?}");
    }
    let message = "HS256\u{202e}"
        .parse::<Algorithms>()
        .unwrap_err()
        .to_string();
    assert!(
        message.contains(r"HS256\u{202e}") && message.contains("RS256, RS384"),
        "{message}"
    );
}

#[test]
fn token_types_ignore_case_and_the_prefix_application() {
    for (text, typ, expected) in [
        ("at+jwt", Some("AT+jwt"), true),
        ("application/AT+JWT", Some("at+jwt"), true),
        ("APPLICATION/at+jwt", Some("Application/At+Jwt"), true),
        ("-", None, true),
        ("at+jwt, -", None, true),
        ("at+jwt", None, false),
        ("-", Some(""), false),
        ("-", Some("-"), false),
        ("at+jwt", Some(""), false),
        ("jwt", Some("at+jwt"), false),
        ("*", Some("at+jwt"), false),
        ("application/*", Some("at+jwt"), false),
    ] {
        assert_eq!(
            text.parse::<TokenTypes>().unwrap().accept(typ),
            expected,
            "{text}: {typ:?}"
        );
    }
    for text in [
        "",
        " ",
        ",",
        "at+jwt,,-",
        "application/",
        "at+jwt, APPLICATION/",
    ] {
        assert!(text.parse::<TokenTypes>().is_err(), "{text:?}");
    }
}

#[test]
fn a_claim_is_a_name_or_a_json_pointer() {
    for path in [
        "sub",
        "a b",
        "a~b",
        "~2",
        "/",
        "//",
        "/a~0~1",
        "/~00",
        "é",
        "https://x/y~z",
    ] {
        assert_eq!(path.parse::<ClaimPath>().unwrap().as_str(), path);
    }
    for path in [
        "", "/~", "/a~", "/a~2b", "/~~", "/a/~x", "/~é", "a\0", "a\u{9f}", "/a\n",
    ] {
        assert!(path.parse::<ClaimPath>().is_err(), "{path:?}");
    }
    assert!("x".repeat(1024).parse::<ClaimPath>().is_ok());
    assert!("x".repeat(1025).parse::<ClaimPath>().is_err());
    assert!("/".repeat(1024).parse::<ClaimPath>().is_ok());
}

#[test]
fn a_mistake_in_a_list_of_identity_claims_is_told_with_its_place() {
    let name = "the name of a claim is required";
    for (text, at, why) in [
        ("", 1, name),
        ("  ", 3, name),
        (",", 1, name),
        ("sub,", 5, name),
        ("sub,,azp", 5, name),
        ("=x", 1, name),
        ("sub, =x", 6, name),
        ("\"\"", 3, name),
        ("sub, sub=x", 6, "this claim appears twice"),
        ("sub, \"sub\"", 6, "this claim appears twice"),
        ("\"sub", 1, "this double quote is not closed"),
        ("sub=\"x", 5, "this double quote is not closed"),
        ("\"sub\" azp", 7, "a comma is missing"),
        ("sub=\"x\" y", 9, "a comma is missing"),
        ("sub=a\u{7}", 5, "the prefix has control characters"),
        (
            "s\u{7}b",
            1,
            "the name of the claim is too long or unprintable",
        ),
    ] {
        let told = text
            .parse::<IdentityClaims>()
            .err()
            .map(|error| error.to_string());
        assert_eq!(told, Some(format!("at character {at}: {why}")), "{text:?}");
    }
    let many = |count: usize| Vec::from_iter((0..count).map(|at| format!("c{at}"))).join(",");
    assert!(many(16).parse::<IdentityClaims>().is_ok());
    assert!(many(17).parse::<IdentityClaims>().is_err());
    let prefix = |bytes: usize| format!("sub={}", "x".repeat(bytes));
    assert!(prefix(128).parse::<IdentityClaims>().is_ok());
    assert!(prefix(129).parse::<IdentityClaims>().is_err());
}

#[test]
fn required_claims_are_pairs_of_name_and_value() {
    for text in [
        "",
        "a=b",
        "a = b",
        "a=b,c=d",
        "a==",
        "a=b=c",
        r#""a=b,c""#,
        "/a/0=b",
        "a= b",
        "a b=c",
    ] {
        assert!(text.parse::<RequiredClaims>().is_ok(), "{text:?}");
    }
    for text in [
        "a",
        "=",
        "=b",
        " =b",
        "a=",
        "a= ",
        "a=b,",
        "a=b,c",
        "/~=b",
        "/a~2=b",
        "a=\u{1}",
        "a=b c=d,e",
    ] {
        assert!(text.parse::<RequiredClaims>().is_err(), "{text:?}");
    }
}

#[test]
fn a_mistake_in_required_claims_is_told_with_its_place() {
    let operator = r#""=", "in (", "like", "present" or "absent" is missing"#;
    let pattern = r#"a pattern needs a "*"; without one, use "=""#;
    let escape = r#"a "\" must be followed by "*" or "\""#;
    for (text, at, why) in [
        ("acr", 4, operator),
        (" acr , a=b", 5, operator),
        ("acr is phr", 5, operator),
        ("acr present x", 5, operator),
        ("x acr absent", 3, operator),
        ("not acr absent", 5, operator),
        ("acr IN (a)", 5, operator),
        ("acr in a", 5, operator),
        ("acr in", 5, operator),
        ("acr like", 5, operator),
        ("a=b, c", 7, operator),
        ("\"a=b\", \"c\"", 10, operator),
        // In double quotes, space before the name counts, so that an operator is the name of a claim.
        ("\" in (a)\"", 6, operator),
        ("\" like (a*)\"", 8, operator),
        ("\" present\"", 10, operator),
        ("\" absent\"", 9, operator),
        ("a=", 3, "a value is missing"),
        ("a= , b=c", 3, "a value is missing"),
        ("a in ()", 7, "a value is missing"),
        ("a in (b,)", 9, "a value is missing"),
        ("a in (", 7, "a value is missing"),
        ("a in (\"\")", 7, "a value is missing"),
        ("=b", 1, "the name of a claim is required"),
        ("a=b, =c", 6, "the name of a claim is required"),
        ("", 0, ""),
        (",", 1, "a condition is missing"),
        ("a=b,", 5, "a condition is missing"),
        ("a=b,, c=d", 5, "a condition is missing"),
        ("a=b, \"\"", 7, "a condition is missing"),
        ("a in (b", 6, "this parenthesis is not closed"),
        ("a in (b, c = d", 6, "this parenthesis is not closed"),
        ("a in (\"b\" c)", 11, "a comma is missing"),
        ("a in (b) c=d", 10, "a comma is missing"),
        ("\"a in (b) c\"", 11, "a comma is missing"),
        ("\"a=b\" c", 7, "a comma is missing"),
        ("\"a=b", 1, "this double quote is not closed"),
        ("a in (\"b)", 7, "this double quote is not closed"),
        ("a like b", 8, pattern),
        ("é like (c*, bcd)", 13, pattern),
        ("a like \"\"\"b\"", 9, pattern),
        (r"a like \*", 8, pattern),
        (r"a like *\b", 9, escape),
        (r"a like *\", 9, escape),
        ("a=\u{1}", 3, "a control character is not allowed"),
        ("a like *\u{7}", 9, "a control character is not allowed"),
        (
            "/a~2 present",
            1,
            "the JSON Pointer has a \"~\" without \"0\" or \"1\"",
        ),
    ] {
        let told = text
            .parse::<RequiredClaims>()
            .err()
            .map(|error| error.to_string());
        let expected = (at > 0).then(|| format!("at character {at}: {why}"));
        assert_eq!(told, expected, "{text:?}");
    }
}

#[test]
fn required_claims_are_bounded() {
    let long = "x".repeat(1024);
    let parses = |text: String| text.parse::<RequiredClaims>().is_ok();
    for text in [
        "a=X",
        "a in (b, X)",
        "a like X",
        "X present",
        "a in (\"X\")",
    ] {
        let fits = long.replacen('x', "*", 1);
        assert!(parses(text.replace('X', &fits)), "{text}");
        assert!(!parses(text.replace('X', &format!("{fits}x"))), "{text}");
    }
    let many = |count: usize| vec!["a=b"; count].join(",");
    assert!(parses(many(256)) && !parses(many(257)));
    let values = |count: usize| format!("a in ({})", vec!["b"; count].join(","));
    assert!(parses(values(256)) && !parses(values(257)));
}

#[test]
fn an_identity_prefix_is_short_and_printable() {
    for prefix in ["", " ", "corp:", "é", "\"", ","] {
        assert_eq!(prefix.parse::<IdentityPrefix>().unwrap().as_str(), prefix);
    }
    assert!("x".repeat(128).parse::<IdentityPrefix>().is_ok());
    for prefix in [
        "x".repeat(129),
        "é".repeat(65),
        "a\0".into(),
        "\n".into(),
        "\u{7f}".into(),
        "\u{80}".into(),
    ] {
        assert!(prefix.parse::<IdentityPrefix>().is_err(), "{prefix:?}");
    }
}

#[test]
fn an_issuer_is_an_https_url_without_query_fragment_or_user() {
    for url in [
        "https://a.example",
        "https://a.example/",
        "https://a.example:8443/x",
        "https://127.0.0.1/",
        "https://[::1]:1/",
        "https://a.example/x/y/",
        "https://a.example/%20",
        "https://a.example/~x;v=1",
        "https://xn--bcher-kva.example",
    ] {
        assert_eq!(Issuer::parse(url).unwrap().identifier(), url);
    }
    let wrong = [
        "",
        " ",
        "a.example",
        "//a.example",
        "/",
        "https:",
        "https:/",
        "https://",
        "https:///",
        "https://:443",
        "https:a.example",
        "http://a.example",
        "http://127.0.0.1",
        "ftp://a.example",
        "file:///etc/passwd",
        "urn:x",
        "https://a.example?",
        "https://a.example/?x",
        "https://a.example#",
        "https://a.example/#x",
        "https://a.example:",
        "https://a.example:0",
        "https://a.example:65536",
        "https://a.example:-1",
        "https://a.example:443x",
        "https://a.example:1:2",
        "https://@a.example",
        "https://u@a.example",
        "https://u:p@a.example",
        "https://a.example:443@b.example",
        "https://a.example\\@b.example",
        "https://a.example\\x",
        "https://a.example /",
        " https://a.example",
        "https://a.example\t",
        "https://a.example/\r\n",
        "https://a.example/\0",
        "https://a.example/\u{7f}",
        "https://a example",
        "https://[::1",
        "https://::1",
        "https://<a>",
        "https://a.example/<x>",
        "javascript:alert(1)",
        "data:,x",
        "https://bücher.example",
        "https://a。example",
        "https://a.example:４４３",
    ];
    let is_invalid =
        |url: &&str| Issuer::parse(url).is_err_and(|error| error.code() == "issuer_invalid");
    let accepted: Vec<&str> = wrong.into_iter().filter(|url| !is_invalid(url)).collect();
    assert_eq!(accepted, [""; 0]);
    assert!(Issuer::parse(&format!("https://a.example/{}", "x".repeat(2030))).is_ok());
    assert!(Issuer::parse(&format!("https://a.example/{}", "x".repeat(2031))).is_err());
}

#[test]
fn a_port_is_written_in_digits_alone() {
    // RFC 3986 §3.2.3: port = *DIGIT.
    for url in [
        "https://a.example:+443",
        "https://a.example:-443",
        "https://a.example:4 43",
        "https://a.example:0x1bb",
    ] {
        assert!(Issuer::parse(url).is_err(), "{url}");
    }
    assert!(Issuer::parse("https://a.example:443").is_ok());
}
