//! The cache of one process: what it fetches, and what a refusal says about the next time.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use court::{ISSUER, NOW, signing_key};
use oauth_core::{
    Algorithm, CacheLimits, Clock, Failure, FoundKeys, Issuer, KeyCache, KeyReference,
    KeySource as _, Reject, Timestamp,
};

use crate::network::{JWKS, Network};

const LIMITS: CacheLimits = CacheLimits {
    min_ttl: Duration::from_secs(60),
    max_ttl: Duration::from_secs(3600),
    stale_ttl: Duration::from_secs(7200),
    refresh_cooldown: Duration::from_secs(10),
};

/// A clock that the test sets.
#[derive(Clone)]
struct Hands(Rc<Cell<i64>>);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.0.get())
    }
}

struct Fixture {
    cache: KeyCache<Network, Hands>,
    hands: Rc<Cell<i64>>,
    network: Network,
}

fn fixture(network: Network) -> Fixture {
    let hands = Rc::new(Cell::new(NOW));
    Fixture {
        cache: KeyCache::new(
            Issuer::parse(ISSUER).unwrap(),
            None,
            network.clone(),
            Hands(hands.clone()),
            LIMITS,
            || 0,
        ),
        hands,
        network,
    }
}

impl Fixture {
    fn find(&self, kid: &str) -> Result<FoundKeys, Failure> {
        self.cache
            .find_keys(&KeyReference::new(Some(kid), Algorithm::EdDSA))
    }

    fn requests_for_keys(&self) -> usize {
        let asked = self.network.asked.borrow();
        asked.iter().filter(|url| *url == JWKS).count()
    }
}

#[track_caller]
fn assert_refused(found: Result<FoundKeys, Failure>, why: Reject) {
    assert_eq!(found.unwrap_err(), Failure::Reject(why));
}

#[test]
fn unknown_key_is_asked_for_once_in_a_cooldown_and_refusals_say_for_how_long() {
    let fixture = fixture(Network::sound());
    // By keys that were fetched for it: there are no newer ones to wait for.
    assert_refused(
        fixture.find("made-up"),
        Reject::UnknownKid { again_in: None },
    );
    assert_eq!(fixture.requests_for_keys(), 1);
    for (later, again_in) in [(0, 10), (1, 9), (9, 1)] {
        fixture.hands.set(NOW + later);
        let again_in = Some(again_in);
        assert_refused(fixture.find("made-up"), Reject::UnknownKid { again_in });
    }
    assert_eq!(fixture.requests_for_keys(), 1);
    // What is known is found all the time.
    let kid = signing_key().jwk()["kid"].as_str().unwrap().to_owned();
    assert!(fixture.find(&kid).is_ok());
    fixture.hands.set(NOW + 10);
    assert_refused(
        fixture.find("made-up"),
        Reject::UnknownKid { again_in: None },
    );
    assert_eq!(fixture.requests_for_keys(), 2);
}

/// It may have been replaced under its name by one of that type.
#[test]
fn key_of_another_type_is_asked_for_as_an_unknown_one_is() {
    let fixture = fixture(Network::sound());
    let kid = signing_key().jwk()["kid"].as_str().unwrap().to_owned();
    assert!(fixture.find(&kid).is_ok());
    let find = || {
        let wanted = KeyReference::new(Some(&kid), Algorithm::ES256);
        fixture.cache.find_keys(&wanted)
    };
    assert_refused(find(), Reject::KeyUnsuitable { again_in: None });
    assert_eq!(fixture.requests_for_keys(), 2);
    let again_in = Some(10);
    assert_refused(find(), Reject::KeyUnsuitable { again_in });
    assert_refused(fixture.find("made-up"), Reject::UnknownKid { again_in });
    assert_eq!(fixture.requests_for_keys(), 2);
}

#[test]
fn keys_that_did_not_verify_are_fetched_again_once_in_a_cooldown() {
    let fixture = fixture(Network::sound());
    let kid = signing_key().jwk()["kid"].as_str().unwrap().to_owned();
    let wanted = KeyReference::new(Some(&kid), Algorithm::EdDSA);
    // The first ones were fetched for this token, and so are the newest that there are.
    let first = fixture.find(&kid).unwrap();
    assert_eq!(fixture.requests_for_keys(), 1);
    let cached = fixture.find(&kid).unwrap();
    let newer = fixture.cache.find_newer_keys(&wanted, &cached);
    assert!(newer.is_ok(), "fetched again");
    assert_eq!(fixture.requests_for_keys(), 2);
    let cached = fixture.find(&kid).unwrap();
    assert_refused(
        fixture.cache.find_newer_keys(&wanted, &cached),
        Reject::BadSignature { again_in: Some(10) },
    );
    assert_eq!(fixture.requests_for_keys(), 2);
    assert!(
        fixture.cache.find_newer_keys(&wanted, &first).is_err(),
        "what was fetched for a token is not fetched again for it"
    );
    assert_eq!(fixture.requests_for_keys(), 2);
}
