//! What a grant tells of its token: RFC 7519 §4.1.7, RFC 9068 §2.2, OpenID Connect Front-Channel Logout 1.0 §3.

use court::*;
use serde_json::Value;

/// The client, the identifier, the session at the provider and the subject that the grant of this token names.
fn named_by(token: &Token) -> [Option<String>; 4] {
    // Another claim is the identity, so that a subject may be missing.
    let court = Court::new().policy(|policy| policy.identity_claim("user".parse().unwrap()));
    let decision = court.judge(&token.clone().claim("user", SUBJECT).encode());
    let grant = decision.outcome().unwrap();
    let named = [grant.client_id(), grant.jti(), grant.sid(), grant.sub()];
    named.map(|name| name.map(str::to_owned))
}

fn names(client: &str, jti: &str, sid: &str, sub: &str) -> [Option<String>; 4] {
    [client, jti, sid, sub].map(|name| Some(name.to_owned()))
}

#[test]
fn names_client_token_session_and_subject() {
    let token = good_token().claim("sid", "session-1");
    assert_eq!(
        named_by(&token),
        names(CLIENT, "token-1", "session-1", SUBJECT)
    );
    let other = with_claims(
        good_token(),
        serde_json::json!({"client_id": "app", "jti": "", "sid": "other", "sub": "5f2"}),
    );
    assert_eq!(named_by(&other), names("app", "", "other", "5f2"));
}

#[test]
fn names_nothing_that_is_missing_or_not_a_string() {
    const NAMES: [&str; 4] = ["client_id", "jti", "sid", "sub"];
    let without = NAMES
        .iter()
        .fold(good_token(), |token, name| token.without_claim(name));
    assert_eq!(named_by(&without), [const { None }; 4]);
    for value in all_but_strings() {
        let claims = NAMES.map(|name| (name.to_owned(), value.clone()));
        let token = with_claims(good_token(), Value::Object(claims.into_iter().collect()));
        assert_eq!(named_by(&token), [const { None }; 4], "{value}");
    }
}

#[test]
fn only_an_accepted_token_gives_its_claims() {
    let claims = |token: &Token| Court::new().judge(&token.encode()).into_claims();
    let subject = claims(&good_token()).and_then(|all| all.find_json(&"sub".parse().unwrap()));
    assert_eq!(subject, Some(format!("\"{SUBJECT}\"")));
    assert!(claims(&good_token().claim("exp", NOW - 1000)).is_none());
}
