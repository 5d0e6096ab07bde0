//! RFC 7662 §2.2: what is an answer, how long it is used, and what is stored of it.

use std::time::Duration;

use court::*;
use http::StatusCode;
use oauth_core::{
    Bearer, Failure, IntrospectionMode, IntrospectionResponse, IntrospectionRules, Introspector,
    NotActive, Reject, Timestamp,
};
use serde_json::{Value, json};

use crate::introspection::{OPAQUE, Says, answer, good_answer, rules};

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
    let stored = stored.unwrap();
    assert!(!stored.contains(OPAQUE), "{stored}");
    let again = IntrospectionResponse::from_stored(&stored).unwrap();
    assert_eq!(Some(again), parse(200, &good_answer().to_string()).ok());
    assert_eq!(IntrospectionResponse::from_stored("x"), None);
}

/// A short token is in members that have nothing to do with it.
#[test]
fn answer_about_a_token_that_is_too_short_is_not_kept() {
    let response = parse(200, &good_answer().to_string()).unwrap();
    for (length, is_kept) in [(1, false), (15, false), (16, true), (40, true)] {
        let token = "a".repeat(length);
        let stored = response.to_stored(&Bearer::new(&token));
        assert_eq!(stored.is_some(), is_kept, "{length}");
    }
}

/// An introspector that answers from what was stored, where something is.
struct Stored(Value);

impl Introspector for Stored {
    fn introspect(&self, token: &Bearer<'_>) -> Result<IntrospectionResponse, Failure> {
        let fresh = parse(200, &self.0.to_string()).unwrap();
        let stored = fresh.to_stored(token);
        Ok(stored.map_or(fresh, |text| {
            IntrospectionResponse::from_stored(&text).unwrap()
        }))
    }
}

#[test]
fn answer_is_judged_alike_when_it_has_come_and_when_it_was_kept() {
    let long = OPAQUE;
    let changed = |changes: Value| answer(changes);
    for token in ["a", "1", "x7Qz", long] {
        for says in [
            good_answer(),
            changed(json!({"cnf": {"x5t#S256": "aaaa"}})),
            changed(json!({"exp": NOW - 1000})),
            changed(json!({"iss": "https://another.example"})),
            changed(json!({"nbf": NOW + 1000})),
            changed(json!({"client_id": "another"})),
            // As it may be repeated on purpose.
            changed(json!({"jti": token, "token": token})),
            changed(json!({"sub": token})),
            changed(json!({"access_token": token, "deep": [{"a": token}]})),
        ] {
            let judge = |introspector: Box<dyn Introspector>| {
                let rules = IntrospectionRules {
                    exp_required: false,
                    audience_required: false,
                    ..rules(IntrospectionMode::Opaque)
                };
                let decision = Court::new()
                    .policy(|policy| {
                        policy
                            .introspection(rules)
                            .client_ids("psql".parse().unwrap())
                    })
                    .introspector(Boxed(introspector))
                    .judge(token);
                (
                    verdict_of(&decision),
                    decision.authn_id().map(str::to_owned),
                )
            };
            let (fresh, kept) = (
                judge(Box::new(Says(says.clone()))),
                judge(Box::new(Stored(says.clone()))),
            );
            assert_eq!(fresh, kept, "{token}: {says}");
        }
        let bound = changed(json!({"cnf": {"jkt": "aaaa"}}));
        let verdict = Court::new()
            .policy(|policy| policy.introspection(rules(IntrospectionMode::Opaque)))
            .introspector(Stored(bound))
            .verdict_on_text(token);
        assert_eq!(verdict, "cnf_unsupported", "{token}");
    }
}

struct Boxed(Box<dyn Introspector>);

impl Introspector for Boxed {
    fn introspect(&self, token: &Bearer<'_>) -> Result<IntrospectionResponse, Failure> {
        self.0.introspect(token)
    }
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
