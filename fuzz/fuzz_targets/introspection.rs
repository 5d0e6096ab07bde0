//! A provider's answer about a token: active only where it says so, and the same after the way through the cache,
//! which never has the token.
#![no_main]

use http::StatusCode;
use libfuzzer_sys::{Corpus, fuzz_mutator, fuzz_target};
use oauth_core::{Bearer, IntrospectionResponse, NotActive};
use oauth_core_fuzz::case::{OPAQUE_TOKEN, Settings};
use oauth_core_fuzz::mutator;
use oauth_core_fuzz::text::{assert_no_member_twice, assert_printable, object, without_mark};
use serde_json::Value;
use std::time::Duration;

fuzz_target!(|input: &[u8]| -> Corpus {
    let mut lines = input.splitn(2, |byte| *byte == b'\n');
    let (Some(settings), Some(body)) = (lines.next().and_then(Settings::parse), lines.next())
    else {
        return Corpus::Reject;
    };
    let status = settings
        .number("status")
        .and_then(|status| StatusCode::from_u16(u16::try_from(status).ok()?).ok());
    let status = status.unwrap_or(StatusCode::OK);
    let token = Bearer::new(settings.text("token").unwrap_or(OPAQUE_TOKEN));
    match IntrospectionResponse::parse(status, body) {
        Err(NotActive::Reject(reject)) => assert_printable(&reject.to_string()),
        Err(NotActive::Unavailable(cause)) => assert_printable(&cause.to_string()),
        Ok(answer) => {
            assert_eq!(status, StatusCode::OK);
            let body = without_mark(body);
            assert_no_member_twice(body);
            let members = object(body).expect("an answer is a JSON object");
            assert_eq!(members.get("active"), Some(&Value::Bool(true)));
            check_stored(&answer, &token);
            check_lifetime(&answer, &settings, members.get("exp"));
        }
    }
    if let Ok(text) = std::str::from_utf8(body)
        && let Some(stored) = IntrospectionResponse::from_stored(text)
    {
        check_stored(&stored, &token);
    }
    Corpus::Keep
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutator::mutate(data, size, max_size, seed)
});

fn check_stored(answer: &IntrospectionResponse, token: &Bearer<'_>) {
    // A token of one character is in every text.
    let stored = answer.to_stored(token);
    assert_eq!(stored.is_some(), token.expose().len() >= 16);
    if let Some(stored) = stored {
        assert!(
            !stored.contains(token.expose()),
            "the token is stored: {stored}"
        );
        assert_stored_again(&stored, token);
    }
    let unrelated = Bearer::new("\u{1}\u{2}\u{3}-unrelated-token");
    let whole = answer.to_stored(&unrelated).expect("it is long enough");
    assert_stored_again(&whole, &unrelated);
}

fn assert_stored_again(stored: &str, token: &Bearer<'_>) {
    let read = IntrospectionResponse::from_stored(stored).expect("what is stored can be read");
    let again = read.to_stored(token).expect("as before");
    assert_same(&again, stored);
}

/// The same JSON, but for the last bit of numbers that have no exact form: serde_json reads them fast, and not to the bit.
#[track_caller]
fn assert_same(one: &str, other: &str) {
    let parsed = |text| serde_json::from_str::<Value>(text).expect("what is stored is JSON");
    assert!(is_same(&parsed(one), &parsed(other)), "{one} and {other}");
}

fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) if one.is_f64() => {
            let (one, other) = (one.as_f64(), other.as_f64());
            let differ_by = |(one, other): (f64, f64)| {
                (one - other).abs() <= one.abs() * 1e-15 + f64::MIN_POSITIVE
            };
            one.zip(other).is_some_and(differ_by)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(one), Value::Object(other)) => {
            let same = |(name, value): (&String, &Value)| {
                other.get(name).is_some_and(|other| is_same(value, other))
            };
            one.len() == other.len() && one.iter().all(same)
        }
        (one, other) => one == other,
    }
}

fn check_lifetime(answer: &IntrospectionResponse, settings: &Settings, exp: Option<&Value>) {
    let ttl = Duration::from_secs(settings.number("ttl").unwrap_or(60));
    let lifetime = answer.lifetime(ttl, settings.now());
    assert!(lifetime <= ttl);
    if let Some(exp) = exp.and_then(Value::as_f64) {
        let left = (exp - settings.now().unix_micros() as f64 / 1e6).max(0.0);
        assert!(
            lifetime.as_secs_f64() <= left + 1e-3 * left.max(1.0),
            "{lifetime:?} of {left}"
        );
    }
    assert!(IntrospectionResponse::negative_lifetime(ttl) <= ttl);
}
