//! Conditions on claims: any of several values, patterns, presence, absence.

use court::*;
use oauth_core::RequiredClaims;
use serde_json::{Value, json};

const MISSING: &str = "required_claim_missing";
const MISMATCH: &str = "required_claim_mismatch";
const FORBIDDEN: &str = "forbidden_claim";

fn verdict(required: &str, claims: &Value) -> &'static str {
    let required: RequiredClaims = required.parse().unwrap();
    let members = claims.as_object().unwrap().iter();
    let token = members.fold(good_token(), |token, (name, value)| {
        token.claim(name, value.clone())
    });
    Court::new()
        .policy(|policy| policy.required_claims(required))
        .verdict(&token)
}

fn check<const N: usize>(cases: [(&str, Value, &str); N]) {
    for (required, claims, expected) in cases {
        assert_eq!(verdict(required, &claims), expected, "{required}: {claims}");
    }
}

#[test]
fn a_claim_may_be_one_of_several_values() {
    check([
        ("acr in (phr, phrh)", json!({"acr": "phr"}), GRANTED),
        ("acr in(phr,phrh)", json!({"acr": "phrh"}), GRANTED),
        ("acr in ( phr )", json!({"acr": "phr"}), GRANTED),
        ("acr in (phr, phrh)", json!({"acr": ["x", "phrh"]}), GRANTED),
        (
            "/a/b in (c, d), sub=alice",
            json!({"a": {"b": "d"}}),
            GRANTED,
        ),
        ("n in (1, true)", json!({"n": 1}), GRANTED),
        ("n in (1, true)", json!({"n": true}), GRANTED),
        (
            r#"g in ("a, b", "c)", "say ""x""", d)"#,
            json!({"g": "a, b"}),
            GRANTED,
        ),
        (
            r#"g in ("a, b", "c)", "say ""x""", d)"#,
            json!({"g": "c)"}),
            GRANTED,
        ),
        (
            r#"g in ("a, b", "c)", "say ""x""", d)"#,
            json!({"g": "say \"x\""}),
            GRANTED,
        ),
        (r#""g in (a, b)""#, json!({"g": "b"}), GRANTED),
        ("acr in (a=b, c)", json!({"acr": "a=b"}), GRANTED),
        ("acr in (phr, phrh)", json!({}), MISSING),
        ("acr in (phr, phrh)", json!({"acr": "phr, phrh"}), MISMATCH),
        ("acr in (phr, phrh)", json!({"acr": "ph"}), MISMATCH),
        ("acr in (phr, phrh)", json!({"acr": " phr"}), MISMATCH),
        ("acr in (phr, phrh)", json!({"acr": "PHR"}), MISMATCH),
        ("acr in (phr, phrh)", json!({"acr": ""}), MISMATCH),
        ("acr in (phr, phrh)", json!({"acr": null}), MISMATCH),
        ("acr in (phr, phrh)", json!({"acr": [["phr"]]}), MISMATCH),
        ("acr in (phr, phrh)", json!({"acr": {"phr": 1}}), MISMATCH),
        ("acr in (ph*)", json!({"acr": "phr"}), MISMATCH),
        ("n in (1, null)", json!({"n": null}), MISMATCH),
    ]);
}

#[test]
fn a_claim_may_match_a_pattern() {
    let main = "sub2 like repo:corp/*:ref:refs/heads/main";
    check([
        (
            main,
            json!({"sub2": "repo:corp/app:ref:refs/heads/main"}),
            GRANTED,
        ),
        (
            main,
            json!({"sub2": "repo:corp/:ref:refs/heads/main"}),
            GRANTED,
        ),
        (
            main,
            json!({"sub2": ["x", "repo:corp/a:ref:refs/heads/main"]}),
            GRANTED,
        ),
        ("a like *", json!({"a": ""}), GRANTED),
        ("a like **", json!({"a": 7}), GRANTED),
        ("a like *x*", json!({"a": "axb"}), GRANTED),
        ("a like x*x", json!({"a": "xx"}), GRANTED),
        ("a like *a*a", json!({"a": "aaa"}), GRANTED),
        ("a like *ab*b", json!({"a": "abab"}), GRANTED),
        ("a like t*", json!({"a": true}), GRANTED),
        (r"a like \**", json!({"a": "*x"}), GRANTED),
        (r"a like *\\", json!({"a": r"x\"}), GRANTED),
        ("a like (x*, y*)", json!({"a": "y1"}), GRANTED),
        (r#"a like ("x, *", y*)"#, json!({"a": "x, 1"}), GRANTED),
        (
            r#"a like "CN=*, O=Corp""#,
            json!({"a": "CN=Ada, O=Corp"}),
            GRANTED,
        ),
        (
            r#""a like CN=*, O=Corp", sub=alice"#,
            json!({"a": "CN=Ada, O=Corp"}),
            GRANTED,
        ),
        ("a like k=*", json!({"a": "k=v"}), GRANTED),
        ("a like 日*", json!({"a": "日本"}), GRANTED),
        (main, json!({}), MISSING),
        (
            main,
            json!({"sub2": "repo:corp/app:ref:refs/heads/main2"}),
            MISMATCH,
        ),
        (
            main,
            json!({"sub2": "xrepo:corp/app:ref:refs/heads/main"}),
            MISMATCH,
        ),
        (
            main,
            json!({"sub2": "repo:corp-evil/app:ref:refs/heads/main"}),
            MISMATCH,
        ),
        (
            main,
            json!({"sub2": "repo:corp/app:ref:refs/heads/main\n"}),
            MISMATCH,
        ),
        (
            main,
            json!({"sub2": "Repo:corp/app:ref:refs/heads/main"}),
            MISMATCH,
        ),
        (main, json!({"sub2": "repo:corp/"}), MISMATCH),
        (
            main,
            json!({"sub2": {"repo:corp/a:ref:refs/heads/main": 1}}),
            MISMATCH,
        ),
        ("a like x*x", json!({"a": "x"}), MISMATCH),
        ("a like *aa*a", json!({"a": "aa"}), MISMATCH),
        (r"a like \**", json!({"a": "x*"}), MISMATCH),
        ("a like a?*", json!({"a": "ab"}), MISMATCH),
        ("a like *", json!({"a": null}), MISMATCH),
        ("a like *", json!({"a": []}), MISMATCH),
        ("a like *", json!({"a": {}}), MISMATCH),
        ("a like (x*, y*)", json!({"a": "z"}), MISMATCH),
    ]);
}

#[test]
fn a_claim_may_have_to_be_there_or_not_to_be_there() {
    check([
        ("act absent", json!({}), GRANTED),
        ("act absent, sub present", json!({}), GRANTED),
        ("/act/sub absent", json!({"act": {"iss": "x"}}), GRANTED),
        ("/act/sub absent", json!({"act": "sub"}), GRANTED),
        ("act absent", json!({"act": {"sub": "admin"}}), FORBIDDEN),
        ("act absent", json!({"act": null}), FORBIDDEN),
        ("act absent", json!({"act": false}), FORBIDDEN),
        ("act absent", json!({"act": ""}), FORBIDDEN),
        ("/act/sub absent", json!({"act": {"sub": null}}), FORBIDDEN),
        ("acr present", json!({"acr": "0"}), GRANTED),
        ("acr present", json!({"acr": ""}), GRANTED),
        ("acr present", json!({"acr": []}), GRANTED),
        ("/a/b present", json!({"a": {"b": false}}), GRANTED),
        ("acr present", json!({}), MISSING),
        ("acr present", json!({"acr": null}), MISMATCH),
        ("acr present", json!({"ACR": 1}), MISSING),
        ("/a/b present", json!({"a": ["b"]}), MISSING),
        ("acr present, acr absent", json!({"acr": 1}), FORBIDDEN),
        ("acr present, acr absent", json!({}), MISSING),
    ]);
}

#[test]
fn what_was_written_before_there_were_operators_means_the_same() {
    for (required, name, value) in [
        ("a=x|y", "a", "x|y"),
        ("a=x*", "a", "x*"),
        (r"a=\*", "a", r"\*"),
        ("a=(b)", "a", "(b)"),
        ("a=\"b\"", "a", "\"b\""),
        ("a=b in (c)", "a", "b in (c)"),
        ("a = b like c*", "a", "b like c*"),
        ("a=present", "a", "present"),
        ("a=b absent", "a", "b absent"),
        ("a==b", "a", "=b"),
        ("a present=b", "a present", "b"),
        ("a absent = b", "a absent", "b"),
        ("logged in=yes", "logged in", "yes"),
        ("in=x", "in", "x"),
        ("like = x", "like", "x"),
        ("a like = x", "a like", "x"),
        ("a b=c", "a b", "c"),
        ("!a=b", "!a", "b"),
        (r#"" a=b ""#, " a", "b "),
        (r#""a=b, c""#, "a", "b, c"),
        (r#""a=""b""""#, "a", "\"b\""),
        ("https://corp.example/x=y", "https://corp.example/x", "y"),
    ] {
        assert_eq!(
            verdict(required, &json!({ name: value })),
            GRANTED,
            "{required}"
        );
        let other = json!({ name: format!("{value}.") });
        assert_eq!(verdict(required, &other), MISMATCH, "{required}");
        assert_eq!(verdict(required, &json!({})), MISSING, "{required}");
    }
}
