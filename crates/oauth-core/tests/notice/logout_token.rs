//! OpenID Connect Back-Channel Logout 1.0 §2.4, §2.6.

use court::*;
use oauth_core::{Bearer, LogoutToken, NoticeError, Who};
use proptest::prelude::*;
use serde_json::json;

use crate::{
    all_algorithms, assert_common_rules, assert_no_byte_may_change, at, code, issuer, list, notice,
};

const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";

fn good() -> Token {
    notice("logout+jwt", "psql")
        .claim("events", json!({LOGOUT: {}}))
        .claim("sid", "session-1")
}

fn verify(text: &str) -> Result<LogoutToken, NoticeError> {
    let policy = LogoutToken::policy(issuer(), list("psql, pgadmin"), all_algorithms());
    let keys = key_set(&[signing_key().jwk()]);
    LogoutToken::verify(&Bearer::new(text), &policy.unwrap(), &keys, &at(NOW))
}

fn refused(token: Token) -> &'static str {
    code(verify(&token.encode()))
}

#[test]
fn names_user_and_session_and_how_long_it_could_be_replayed() {
    let token = verify(&good().encode()).unwrap();
    assert_eq!(token.jti(), "token-1");
    assert_eq!(token.usable_until(), at(NOW + 330));
    let who = |sub: Option<&str>, sid: Option<&str>| Who {
        sub: sub.map(str::to_owned),
        sid: sid.map(str::to_owned),
        email: None,
    };
    assert_eq!(*token.who(), who(Some(SUBJECT), Some("session-1")));
    let by_sid = verify(&good().without_claim("sub").encode()).unwrap();
    assert_eq!(*by_sid.who(), who(None, Some("session-1")));
    let by_sub = verify(&good().without_claim("sid").encode()).unwrap();
    assert_eq!(*by_sub.who(), who(Some(SUBJECT), None));
}

#[test]
fn rules_of_all_notices_apply() {
    assert_common_rules(good, |text| code(verify(text)));
    assert_eq!(refused(good().without_claim("exp")), "exp_missing");
}

#[test]
fn type_is_that_of_logout_tokens_or_says_nothing() {
    for typ in ["logout+jwt", "application/logout+jwt", "LOGOUT+JWT", "JWT"] {
        assert_eq!(refused(good().header("typ", typ)), "good", "{typ}");
    }
    assert_eq!(refused(good().without_header("typ")), "good");
    for typ in ["at+jwt", "secevent+jwt", "logout", ""] {
        assert_eq!(
            refused(good().header("typ", typ)),
            "typ_not_allowed",
            "{typ}"
        );
    }
}

#[test]
fn audience_is_a_client() {
    for aud in [json!("pgadmin"), json!(["other", "psql"])] {
        assert_eq!(refused(good().claim("aud", aud)), "good");
    }
    assert_eq!(refused(good().claim("aud", AUDIENCE)), "aud_mismatch");
    let nobody = LogoutToken::policy(issuer(), list(""), all_algorithms());
    assert_eq!(nobody.unwrap_err().code(), "audience_unset");
}

#[test]
fn event_must_be_a_logout() {
    let events = |events: serde_json::Value| refused(good().claim("events", events));
    assert_eq!(events(json!({LOGOUT: {"a": 1}, "other": {}})), "good");
    for name in ["other", "", &LOGOUT.to_uppercase(), &format!("{LOGOUT}/")] {
        assert_eq!(events(json!({name: {}})), "not_a_logout", "{name}");
    }
    for value in [json!(null), json!(true), json!([]), json!("")] {
        assert_eq!(events(json!({LOGOUT: value})), "events_malformed");
    }
}

#[test]
fn other_tokens_of_the_issuer_are_refused() {
    assert_eq!(refused(good_token()), "typ_not_allowed");
    let id_token = notice("JWT", "psql").claim("nonce", "n");
    assert_eq!(refused(id_token.clone()), "events_missing");
    for nonce in [json!("n"), json!(""), json!(null)] {
        assert_eq!(refused(good().claim("nonce", nonce)), "nonce_prohibited");
    }
}

#[test]
fn somebody_must_be_named() {
    let nobody = || good().without_claim("sub").without_claim("sid");
    assert_eq!(refused(nobody()), "subject_missing");
    for name in ["sub", "sid"] {
        for value in all_but_strings()
            .into_iter()
            .chain([json!(""), json!("a\0b")])
        {
            let token = nobody().claim(name, value.clone());
            assert_eq!(refused(token), "subject_malformed", "{name}: {value}");
            // Not as if it were not there.
            let token = good().claim(name, value.clone());
            assert_eq!(refused(token), "subject_malformed", "{name}: {value}");
        }
    }
}

#[test]
fn no_byte_may_change() {
    assert_no_byte_may_change(&good().encode(), |text| code(verify(text)));
}

proptest! {
    #[test]
    fn garbage_is_refused_and_makes_no_panic(text in "\\PC{0,200}", claims in "\\PC{0,200}") {
        prop_assert!(verify(&text).is_err());
        prop_assert!(verify(&good().raw_claims(claims).encode()).is_err());
    }
}
