//! A signature that no known key verifies: whether the source has newer keys is asked once, and these decide.

use std::cell::RefCell;

use court::*;
use oauth_core::{
    Failure, FoundKeys, JwkSet, KeyReference, KeySource, Printable, Reject, Unavailable,
    UnavailableCause,
};
use serde_json::json;
use std::rc::Rc;

/// What was asked, in order.
type Asked = Rc<RefCell<Vec<&'static str>>>;

/// A source whose newer keys are these, or are not to be had.
struct Renewed {
    old: JwkSet,
    newer: Result<JwkSet, Failure>,
    asked: Asked,
}

impl KeySource for Renewed {
    fn find_keys(&self, wanted: &KeyReference<'_>) -> Result<FoundKeys, Failure> {
        self.asked.borrow_mut().push("keys");
        Ok(self.old.find_keys(wanted)?.cached_as(7))
    }

    fn find_newer_keys(
        &self,
        wanted: &KeyReference<'_>,
        tried: &FoundKeys,
    ) -> Result<FoundKeys, Failure> {
        assert_eq!(tried.cached(), Some(7));
        self.asked.borrow_mut().push("newer");
        self.newer.clone()?.find_keys(wanted)
    }
}

fn keys() -> [Key; 3] {
    std::array::from_fn(|_| Key::new(KeyKind::P256).with_kid("1"))
}

/// The verdict where the first key was replaced like this, and what was asked for it.
fn verdict_of_renewed(newer: Result<JwkSet, Failure>, old: &Key, token: &Token) -> (String, usize) {
    let asked = Asked::default();
    let source = Renewed {
        old: key_set(&[old.jwk()]),
        newer,
        asked: asked.clone(),
    };
    let verdict = Court::new().key_source(source).verdict(token).to_owned();
    (verdict, asked.borrow().len())
}

#[test]
fn newer_keys_decide_and_are_asked_for_once() {
    let [old, new, stranger] = keys();
    let newer = || Ok(key_set(&[new.jwk()]));
    let verdict = |key: &Key| verdict_of_renewed(newer(), &old, &token_by(key));
    assert_eq!(verdict(&new), (GRANTED.to_owned(), 2));
    assert_eq!(verdict(&old), (GRANTED.to_owned(), 1));
    assert_eq!(verdict(&stranger), ("bad_signature".to_owned(), 2));
    let nameless = |key: &Key| {
        let newer = Ok(key_set(&[new.without_kid().jwk()]));
        verdict_of_renewed(newer, &old.without_kid(), &token_by(&key.without_kid()))
    };
    assert_eq!(nameless(&new), (GRANTED.to_owned(), 2));
    assert_eq!(nameless(&stranger), ("bad_signature".to_owned(), 2));
}

#[test]
fn refusal_by_newer_keys_is_the_one_that_counts() {
    let [old, new, stranger] = keys();
    let unavailable = Unavailable {
        url: Printable::new("https://issuer.example/jwks"),
        cause: UnavailableCause::Timeout,
    };
    let held_back = Reject::BadSignature { again_in: Some(3) };
    for (newer, expected) in [
        (Ok(key_set(&[new.with_kid("2").jwk()])), "unknown_kid"),
        (
            Ok(key_set(&[
                new.jwk_with(json!({"use": "enc"})),
                new.with_kid("2").jwk(),
            ])),
            "key_unsuitable",
        ),
        (Err(unavailable.into()), "provider_unavailable"),
        (Err(held_back.into()), "bad_signature"),
    ] {
        let verdict = verdict_of_renewed(newer, &old, &token_by(&stranger));
        assert_eq!(verdict, (expected.to_owned(), 2));
    }
}

#[test]
fn token_that_is_refused_for_something_else_causes_no_question() {
    let [old, new, _] = keys();
    let newer = || Ok(key_set(&[new.jwk()]));
    for (token, expected, asked) in [
        (token_by(&new).header("kid", "2"), "unknown_kid", 1),
        (token_by(&new).header("alg", "RS256"), "key_unsuitable", 1),
        (token_by(&old).claim("aud", "other"), "aud_mismatch", 1),
        (token_by(&old).raw_claims("{"), "claims_malformed", 1),
        (token_by(&new).raw_claims("{"), "claims_malformed", 2),
        (token_by(&new).claim("exp", 1), "expired", 2),
        (
            token_by(&new).header("crit", json!(["x"])),
            "crit_unsupported",
            0,
        ),
    ] {
        let verdict = verdict_of_renewed(newer(), &old, &token);
        assert_eq!(verdict, (expected.to_owned(), asked));
    }
}

#[test]
fn source_that_has_no_newer_keys_need_not_say_so() {
    let [old, new, _] = keys();
    let decision = Court::new()
        .keys(&[old.jwk()])
        .judge(&token_by(&new).encode());
    let refusal = Reject::BadSignature { again_in: None };
    assert_eq!(decision.outcome().unwrap_err(), &Failure::from(refusal));
}
