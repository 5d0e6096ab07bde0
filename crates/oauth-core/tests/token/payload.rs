//! The payload as JSON: RFC 7519 §4 and §7.2, RFC 8259.

use court::*;
use serde_json::{Value, json};

/// The claims of the good token, followed by more members.
fn claims_with(members: &str) -> String {
    let claims = String::from_utf8(good_token().claims_json()).unwrap();
    format!("{}{members}}}", claims.strip_suffix('}').unwrap())
}

/// The verdict on a token whose payload is these bytes, rightly signed.
fn verdict_on_claims(claims: impl Into<Vec<u8>>) -> &'static str {
    verdict(&good_token().raw_claims(claims))
}

#[test]
fn refuses_a_payload_that_is_not_one_json_object() {
    let good = claims_with("");
    assert_eq!(verdict_on_claims(good.clone()), GRANTED);
    assert_eq!(verdict_on_claims(format!("\t\r\n {good} \n")), GRANTED);
    let malformed: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"  ".to_vec(),
        b"null".to_vec(),
        b"true".to_vec(),
        b"0".to_vec(),
        b"\"claims\"".to_vec(),
        b"[]".to_vec(),
        format!("[{good}]").into(),
        format!("{good}{good}").into(),
        format!("{good},").into(),
        format!("{good}]").into(),
        format!("{good}\0").into(),
        format!("{good}//").into(),
        format!("\u{feff}{good}").into(),
        format!("{good}\u{feff}").into(),
        good[..good.len() - 1].into(),
        good.replace('"', "'").into(),
        claims_with(",").into(),
        claims_with(",\"x\"").into(),
        claims_with(",x:1").into(),
        claims_with(",\"x\":NaN").into(),
        claims_with(",\"x\":Infinity").into(),
        claims_with(",\"x\":1e999").into(),
        claims_with(",\"x\":.5").into(),
        claims_with(",\"x\":+1").into(),
        claims_with(",\"x\":0x10").into(),
        claims_with(",\"x\":undefined").into(),
        claims_with(r#","x":"\ud800""#).into(),
        claims_with(r#","x":"\udc00\ud800""#).into(),
        claims_with(r#","\ud800":1"#).into(),
        claims_with(",\"x\":\"\u{1}\"").into(),
        [&good.as_bytes()[..good.len() - 1], b",\"x\":\"\xff\"}"].concat(),
        [&good.as_bytes()[..good.len() - 1], b",\"\xc3\":1}"].concat(),
        // Overlong, and a surrogate in UTF-8.
        [&good.as_bytes()[..good.len() - 1], b",\"x\":\"\xc0\xaf\"}"].concat(),
        [
            &good.as_bytes()[..good.len() - 1],
            b",\"x\":\"\xed\xa0\x80\"}",
        ]
        .concat(),
        good.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        good.encode_utf16().flat_map(u16::to_be_bytes).collect(),
    ];
    for claims in malformed {
        let shown = String::from_utf8_lossy(&claims).into_owned();
        assert_eq!(verdict_on_claims(claims), "claims_malformed", "{shown}");
    }
}

#[test]
fn bounds_the_nesting_of_the_payload() {
    let nested = |levels: usize| {
        claims_with(&format!(
            ",\"x\":{}{}",
            "[".repeat(levels),
            "]".repeat(levels)
        ))
    };
    let objects = |levels: usize| {
        claims_with(&format!(
            ",\"x\":{}1{}",
            "{\"x\":".repeat(levels),
            "}".repeat(levels)
        ))
    };
    for (levels, expected) in [
        (1, GRANTED),
        (31, GRANTED),
        (32, "claims_malformed"),
        (127, "claims_malformed"),
        (1500, "claims_malformed"),
    ] {
        assert_eq!(verdict_on_claims(nested(levels)), expected, "{levels}");
        assert_eq!(verdict_on_claims(objects(levels)), expected, "{levels}");
    }
    let wide = Court::new().policy(|policy| policy.max_token_size(10_000_000));
    for claims in [nested(1_000_000), objects(500_000), "[".repeat(2_000_000)] {
        assert_eq!(
            wide.verdict(&good_token().raw_claims(claims)),
            "claims_malformed"
        );
    }
}

#[test]
fn refuses_a_repeated_claim_in_every_spelling() {
    for members in [
        format!(r#","iss":"{ISSUER}""#),
        r#","sub":"postgres""#.to_owned(),
        r#","aud":"other""#.to_owned(),
        r#","exp":1"#.to_owned(),
        r#","nbf":1,"nbf":1"#.to_owned(),
        r#","scope":"superuser""#.to_owned(),
        r#","client_id":"psql""#.to_owned(),
        r#","cnf":null,"cnf":{}"#.to_owned(),
        r#","s\u0075b":"postgres""#.to_owned(),
        r#","\u0073\u0075\u0062":"postgres""#.to_owned(),
        r#","x":1,"x":1"#.to_owned(),
        r#","":1,"":1"#.to_owned(),
        r#","x":{"roles":["a"],"roles":["b"]}"#.to_owned(),
        r#","x":[[{"a":1,"\u0061":2}]]"#.to_owned(),
    ] {
        assert_eq!(
            verdict_on_claims(claims_with(&members)),
            "duplicate_claim",
            "{members}"
        );
    }
    // Other names, the same name at another depth, and look-alikes are no repetition.
    let others = claims_with(r#","SUB":"a","sub ":"b","x":{"sub":"c"},"s\u200bub":"d","ѕub":"e""#);
    let decision = Court::new().judge(&good_token().raw_claims(others).encode());
    assert_eq!(decision.authn_id(), Some(SUBJECT));
    assert_eq!(verdict_of(&decision), GRANTED);
}

#[test]
fn claims_are_read_after_unescaping() {
    let claims = claims_with("")
        .replace("\"sub\"", r#""s\u0075b""#)
        .replace("alice", r"\u0061l\u0069ce");
    let decision = Court::new().judge(&good_token().raw_claims(claims).encode());
    assert_eq!(decision.authn_id(), Some("alice"));
    assert_eq!(verdict_of(&decision), GRANTED);
}

#[test]
fn the_grant_carries_the_verified_claims() {
    let token = good_token().claim("groups", json!(["dba", {"a": [1.5, null]}]));
    let decision = Court::new().judge(&token.encode());
    let grant = decision.outcome().unwrap();
    let expected: Value = serde_json::from_slice(&token.claims_json()).unwrap();
    assert_eq!(&Value::Object(grant.claims().clone()), &expected);
}
