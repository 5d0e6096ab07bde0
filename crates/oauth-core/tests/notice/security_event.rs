//! RFC 8417, and the subjects of RFC 9493.

use std::time::Duration;

use court::*;
use oauth_core::{Bearer, EventKind, NoticeError, SecurityEventToken, Who};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    all_algorithms, assert_common_rules, assert_no_byte_may_change, at, code, issuer, list, notice,
};

const HOOK: &str = "https://hook.example/events";
const SESSION_REVOKED: &str = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
const CREDENTIAL: &str = "https://schemas.openid.net/secevent/caep/event-type/credential-change";
const DISABLED: &str = "https://schemas.openid.net/secevent/risc/event-type/account-disabled";

const MAX_AGE: Duration = Duration::from_secs(3600);

fn event(name: &str, subject: Value) -> Token {
    notice("secevent+jwt", HOOK)
        .without_claim("exp")
        .without_claim("sub")
        .claim("events", json!({name: {"event_timestamp": NOW}}))
        .claim("sub_id", subject)
}

fn alice() -> Value {
    json!({"format": "iss_sub", "iss": ISSUER, "sub": SUBJECT})
}

fn good() -> Token {
    event(SESSION_REVOKED, alice())
}

fn verify(text: &str) -> Result<SecurityEventToken, NoticeError> {
    let policy =
        SecurityEventToken::policy(issuer(), list(HOOK), all_algorithms(), MAX_AGE).unwrap();
    let keys = key_set(&[signing_key().jwk()]);
    SecurityEventToken::verify(&Bearer::new(text), &policy, &keys, &issuer(), &at(NOW))
}

fn refused(token: Token) -> &'static str {
    code(verify(&token.encode()))
}

/// Whom the only event of this token is about.
#[track_caller]
fn named(token: Token) -> (EventKind, Vec<Who>) {
    let token = verify(&token.encode()).unwrap();
    let [event] = token.events() else {
        panic!("one event: {token:?}");
    };
    (event.kind, event.who.clone())
}

fn user(sub: &str) -> Who {
    Who {
        sub: Some(sub.to_owned()),
        ..Who::default()
    }
}

fn session(sid: &str) -> Who {
    Who {
        sid: Some(sid.to_owned()),
        ..Who::default()
    }
}

fn address(email: &str) -> Who {
    Who {
        email: Some(email.to_owned()),
        ..Who::default()
    }
}

#[test]
fn rules_of_all_notices_apply() {
    assert_common_rules(good, |text| code(verify(text)));
}

/// A copy cannot be sent for ever, with an end of its own or without.
#[test]
fn events_have_a_greatest_age() {
    // With the 30 s that clocks may differ.
    for (age, verdict) in [(0, "good"), (3630, "good"), (3631, "too_old")] {
        assert_eq!(refused(good().claim("iat", NOW - age)), verdict, "{age}");
        let with_end = good().claim("iat", NOW - age).claim("exp", NOW + 600);
        assert_eq!(refused(with_end), verdict, "{age}");
    }
    assert_eq!(refused(good().claim("iat", 0)), "too_old");
    assert_eq!(refused(good().claim("iat", -1)), "too_old");
}

#[test]
fn type_must_be_that_of_security_events() {
    for typ in ["secevent+jwt", "application/secevent+jwt"] {
        assert_eq!(refused(good().header("typ", typ)), "good", "{typ}");
    }
    for typ in ["JWT", "logout+jwt", "at+jwt"] {
        assert_eq!(
            refused(good().header("typ", typ)),
            "typ_not_allowed",
            "{typ}"
        );
    }
    assert_eq!(refused(good().without_header("typ")), "typ_not_allowed");
}

#[test]
fn events_are_told_apart_by_their_whole_names() {
    for (name, kind) in [
        (SESSION_REVOKED, EventKind::SessionRevoked),
        (CREDENTIAL, EventKind::CredentialChange),
        (DISABLED, EventKind::AccountDisabled),
    ] {
        assert_eq!(named(event(name, alice())), (kind, vec![user(SUBJECT)]));
        for other in [
            format!("{name}/"),
            name.to_uppercase(),
            name.replace("https", "http"),
        ] {
            let token = event(&other, json!({"format": "none"}));
            assert_eq!(named(token), (EventKind::Other, vec![]), "{other}");
        }
    }
    let verification = "https://schemas.openid.net/secevent/ssf/event-type/verification";
    let token = event(verification, json!({"format": "opaque", "id": "stream"}));
    assert_eq!(named(token), (EventKind::Verification, vec![]));
}

#[test]
fn several_events_of_one_subject_are_all_told() {
    let both = json!({SESSION_REVOKED: {}, DISABLED: {}});
    let token = verify(&good().claim("events", both).encode()).unwrap();
    let kinds: Vec<_> = token.events().iter().map(|event| event.kind).collect();
    assert_eq!(
        kinds,
        [EventKind::SessionRevoked, EventKind::AccountDisabled]
    );
    let many = |count: usize| {
        let events = (0..count).map(|n| (format!("urn:{n}"), json!({})));
        refused(good().claim("events", Value::Object(events.collect())))
    };
    assert_eq!((many(16), many(17)), ("good", "events_malformed"));
}

#[test]
fn subjects_name_users_and_sessions() {
    let opaque = json!({"format": "opaque", "id": "x1"});
    let email = json!({"format": "email", "email": "alice@corp.example"});
    for (name, subject, who) in [
        (
            SESSION_REVOKED,
            opaque.clone(),
            vec![session("x1"), user("x1")],
        ),
        (DISABLED, opaque.clone(), vec![user("x1")]),
        (
            CREDENTIAL,
            email.clone(),
            vec![address("alice@corp.example")],
        ),
        (
            SESSION_REVOKED,
            json!({"format": "complex", "user": alice(), "session": opaque}),
            vec![session("x1")],
        ),
        (
            SESSION_REVOKED,
            json!({"user": alice(), "tenant": opaque}),
            vec![user(SUBJECT)],
        ),
        (
            DISABLED,
            json!({"format": "complex", "user": alice(), "session": opaque}),
            vec![user(SUBJECT)],
        ),
        (
            CREDENTIAL,
            json!({"format": "aliases", "identifiers": [alice(), email]}),
            vec![user(SUBJECT), address("alice@corp.example")],
        ),
    ] {
        assert_eq!(named(event(name, subject.clone())).1, who, "{subject}");
    }
}

/// RFC 9493 §3.2.8: they are names of one subject, of which one is enough.
#[test]
fn aliases_in_other_formats_are_left_out() {
    let phone = json!({"format": "phone_number", "phone_number": "+12065550100"});
    let nested = json!({"format": "aliases", "identifiers": [alice()]});
    let stranger = json!({"format": "iss_sub", "iss": "https://other.example", "sub": SUBJECT});
    let email = json!({"format": "email", "email": "alice@corp.example"});
    let aliases = |identifiers: &[&Value]| json!({"format": "aliases", "identifiers": identifiers});
    let alice = &alice();
    let session = json!({"format": "opaque", "id": "x1"});
    for (identifiers, who) in [
        (vec![alice, &phone], Ok(vec![user(SUBJECT)])),
        (
            vec![&phone, alice, &nested, &email],
            Ok(vec![user(SUBJECT), address("alice@corp.example")]),
        ),
        (vec![&phone, &nested], Err("subject_unsupported")),
        (vec![&nested], Err("subject_unsupported")),
        (
            vec![&phone, alice, &stranger],
            Err("subject_of_another_issuer"),
        ),
        (vec![&stranger, &phone], Err("subject_of_another_issuer")),
        (vec![&phone, &Value::Null, alice], Err("subject_malformed")),
    ] {
        let told = aliases(&identifiers);
        for subject in [
            told.clone(),
            json!({"format": "complex", "user": told}),
            json!({"user": told, "session": session}),
        ] {
            let token = event(DISABLED, subject.clone());
            match &who {
                Ok(who) => assert_eq!(&named(token).1, who, "{subject}"),
                Err(why) => assert_eq!(&refused(token), why, "{subject}"),
            }
        }
    }
    for malformed in [
        json!({"format": "iss_sub", "iss": ISSUER}),
        json!({"format": 7}),
        json!({"phone_number": "+1"}),
    ] {
        let token = event(DISABLED, aliases(&[alice, &malformed]));
        assert_eq!(refused(token), "subject_malformed", "{malformed}");
    }
}

#[test]
fn as_many_aliases_as_are_allowed_are_taken() {
    let aliases = json!({"format": "aliases", "identifiers": vec![alice(); 16]});
    assert_eq!(
        named(event(DISABLED, aliases)).1,
        vec![user(SUBJECT); 16],
        "17 are refused, see below"
    );
}

#[test]
fn identifier_is_the_tokens() {
    let token = good().claim("jti", "event-7").encode();
    assert_eq!(verify(&token).unwrap().jti(), "event-7");
}

#[test]
fn refusal_says_in_words_what_is_wrong() {
    let text = |token: Token| verify(&token.encode()).unwrap_err().to_string();
    let fault = text(event(DISABLED, json!({"format": "opaque"})));
    assert_eq!(fault, "subject is malformed");
    let expired = text(good().claim("exp", NOW - 3600));
    assert!(expired.contains("expired"), "{expired}");
}

/// The drafts of RISC, which Google sends: each event has its own subject, in another spelling.
#[test]
fn subject_may_be_that_of_the_event() {
    let subject = json!({"subject_type": "iss-sub", "iss": ISSUER, "sub": "5f2"});
    let token = good()
        .without_claim("sub_id")
        .claim("events", json!({DISABLED: {"subject": subject}}));
    assert_eq!(
        named(token),
        (EventKind::AccountDisabled, vec![user("5f2")])
    );
}

#[test]
fn subjects_of_others_and_of_nobody_are_refused() {
    let stranger = json!({"format": "iss_sub", "iss": "https://other.example", "sub": SUBJECT});
    let opaque = json!({"format": "opaque", "id": "x1"});
    let many = vec![alice(); 17];
    for (subject, why) in [
        (stranger.clone(), "subject_of_another_issuer"),
        (json!({"user": stranger}), "subject_of_another_issuer"),
        (
            json!({"format": "aliases", "identifiers": [alice(), stranger]}),
            "subject_of_another_issuer",
        ),
        (
            json!({"format": "phone_number", "phone_number": "+1"}),
            "subject_unsupported",
        ),
        (
            json!({"format": "ISS_SUB", "iss": ISSUER, "sub": "a"}),
            "subject_unsupported",
        ),
        (
            json!({"format": "aliases", "identifiers": [{"format": "aliases"}]}),
            "subject_unsupported",
        ),
        (
            json!({"session": {"format": "email", "email": "a"}}),
            "subject_unsupported",
        ),
        (json!({"tenant": opaque}), "subject_missing"),
        (json!({}), "subject_missing"),
        (
            json!({"format": "aliases", "identifiers": []}),
            "subject_malformed",
        ),
        (
            json!({"format": "aliases", "identifiers": many}),
            "subject_malformed",
        ),
        (
            json!({"format": "aliases", "identifiers": ["a"]}),
            "subject_malformed",
        ),
        (json!({"format": "aliases"}), "subject_malformed"),
        (json!({"format": "opaque"}), "subject_malformed"),
        (json!({"format": "opaque", "id": ""}), "subject_malformed"),
        (
            json!({"format": "email", "email": "a\0b"}),
            "subject_malformed",
        ),
        (
            json!({"format": "iss_sub", "iss": ISSUER}),
            "subject_malformed",
        ),
        (
            json!({"format": "iss_sub", "sub": "a"}),
            "subject_malformed",
        ),
        (json!({"format": 1}), "subject_malformed"),
        (json!({"user": "alice"}), "subject_malformed"),
        (json!({"user": {"sub": "alice"}}), "subject_malformed"),
        (json!({"session": "x1"}), "subject_malformed"),
        (json!("alice"), "subject_malformed"),
        (json!(null), "subject_malformed"),
    ] {
        assert_eq!(
            refused(event(SESSION_REVOKED, subject.clone())),
            why,
            "{subject}"
        );
    }
    assert_eq!(refused(good().without_claim("sub_id")), "subject_missing");
    // `sub` is not a subject: RFC 8417 leaves open what it means.
    let token = good().without_claim("sub_id").claim("sub", SUBJECT);
    assert_eq!(refused(token), "subject_missing");
}

#[test]
fn no_byte_may_change() {
    assert_no_byte_may_change(&good().encode(), |text| code(verify(text)));
}

proptest! {
    #[test]
    fn garbage_is_refused_and_makes_no_panic(text in "\\PC{0,200}", subject in "\\PC{0,200}") {
        prop_assert!(verify(&text).is_err());
        let claims = format!(r#"{{"iss":"{ISSUER}","aud":"{HOOK}","iat":{NOW},"jti":"a","sub_id":{subject},"events":{{"{DISABLED}":{{}}}}}}"#);
        prop_assert!(verify(&good().raw_claims(claims).encode()).is_err());
    }
}
