//! RFC 7662 §2.2: what is an answer, how long it is used, and what is stored of it.

use std::time::Duration;

use court::*;
use http::StatusCode;
use oauth_core::{Bearer, IntrospectionMode, IntrospectionResponse, NotActive, Reject, Timestamp};
use serde_json::json;

use crate::introspection::{OPAQUE, answer, good_answer};

fn parse(status: u16, body: &str) -> Result<IntrospectionResponse, NotActive> {
    IntrospectionResponse::parse(StatusCode::from_u16(status).unwrap(), body.as_bytes())
}

#[track_caller]
fn assert_cause(status: u16, body: &str, code: &str) {
    match parse(status, body) {
        Err(NotActive::Unavailable(cause)) => assert_eq!(cause.code(), code, "{status} {body}"),
        other => panic!("{status} {body}: {other:?}"),
    }
}

#[test]
fn answer_that_is_none_is_the_providers_fault() {
    for body in [
        "",
        "<html>",
        "[]",
        "null",
        "true",
        "{\"active\":true",
        "{\"active\":true,\"active\":true}",
    ] {
        assert_cause(200, body, "malformed");
    }
    for body in ["\u{feff}\u{feff}{\"active\":true}", "\u{feff}"] {
        assert_cause(200, body, "malformed");
    }
    assert!(parse(200, "\u{feff}{\"active\":true}").is_ok());
    for active in ["1", "\"true\"", "null", "[true]", "{}"] {
        assert_cause(200, &format!("{{\"active\":{active}}}"), "active_malformed");
    }
    assert_cause(200, "{}", "active_malformed");
    assert_cause(200, "{\"Active\":true}", "active_malformed");
    for status in [201, 204, 400, 404, 500, 503] {
        assert_cause(status, "{\"active\":true}", "http_status");
    }
    for status in [301, 302, 307] {
        assert_cause(status, "{\"active\":true}", "redirect");
    }
    assert_cause(403, "{\"active\":true}", "introspection_forbidden");
}

#[test]
fn status_401_is_about_our_client_or_about_the_token() {
    for body in [
        "",
        "<html>",
        "{\"error\":\"invalid_client\"}",
        "{\"error\":\"unauthorized_client\"}",
    ] {
        assert_cause(401, body, "introspection_unauthorized");
    }
    for body in [
        "{\"active\":false}",
        "{\"active\":true}",
        "{\"error\":\"Unauthorized\"}",
        "{}",
    ] {
        assert_eq!(
            parse(401, body),
            Err(NotActive::Reject(Reject::IntrospectionRefused)),
            "{body}"
        );
    }
}

#[test]
fn answer_is_used_for_the_ttl_and_never_past_its_end() {
    let now = Timestamp::from_unix_seconds(NOW);
    let lifetime = |changes, ttl| {
        let response = parse(200, &answer(changes).to_string()).unwrap();
        response.lifetime(seconds(ttl), now)
    };
    assert_eq!(lifetime(json!({}), 30), seconds(30));
    assert_eq!(lifetime(json!({}), 3600), seconds(300));
    assert_eq!(lifetime(json!({"exp": null}), 3600), seconds(3600));
    assert_eq!(lifetime(json!({"exp": NOW}), 3600), Duration::ZERO);
    assert_eq!(lifetime(json!({"exp": NOW - 5}), 3600), Duration::ZERO);
    assert_eq!(
        lifetime(json!({"exp": NOW as f64 + 0.5}), 3600),
        Duration::from_millis(500)
    );
    assert_eq!(lifetime(json!({}), 0), Duration::ZERO);
    let negative = |ttl| IntrospectionResponse::negative_lifetime(seconds(ttl));
    assert_eq!(
        (negative(3600), negative(3), negative(0)),
        (seconds(10), seconds(3), seconds(0))
    );
}

#[test]
fn stored_answer_is_the_same_but_for_the_token() {
    let token = Bearer::new(OPAQUE);
    let says = answer(json!({
        "token": OPAQUE, "access_token": format!("x{OPAQUE}y"), "deep": {"a": [OPAQUE]}, OPAQUE: 1,
    }));
    let stored = parse(200, &says.to_string()).unwrap().to_stored(&token);
    assert!(!stored.contains(OPAQUE), "{stored}");
    let again = IntrospectionResponse::from_stored(&stored).unwrap();
    assert_eq!(Some(again), parse(200, &good_answer().to_string()).ok());
    assert_eq!(IntrospectionResponse::from_stored("x"), None);
}

#[test]
fn modes_are_named() {
    assert_eq!("opaque".parse(), Ok(IntrospectionMode::Opaque));
    assert_eq!("always".parse(), Ok(IntrospectionMode::Always));
    assert_eq!("off".parse(), Ok(IntrospectionMode::Off));
    for wrong in ["", "on", "Opaque", "always "] {
        assert!(wrong.parse::<IntrospectionMode>().is_err(), "{wrong}");
    }
}
