//! The same week for [`oauth_core::KeyCache`], which holds the keys for all threads of one process: a login waits inside of
//! it, so that here each one begins when the one before it is over.

use court::ISSUER;
use oauth_core::{
    Algorithm, Clock, Failure, FoundKeys, Issuer, KeyCache, KeyReference, KeySource, PublicKey,
    Timestamp,
};

use crate::figures::{Bookkeeper, Figures, Named, Origin, Token, Verdict};
use crate::logins::Logins;
use crate::provider::{Network, Provider};
use crate::scenario::{LIMITS, Scenario, WEEK, offset};
use crate::server::timestamp;

struct ServerClock<'a>(&'a Network<'a>, Scenario);

impl Clock for ServerClock<'_> {
    fn now(&self) -> Timestamp {
        let at = self.0.now.get();
        timestamp(at, offset(self.1.server_jumps, at))
    }
}

/// In the middle.
pub fn jitter() -> u32 {
    u32::MAX / 2
}

pub fn week_of_key_cache(provider: &Provider, scenario: Scenario, rate: i64) -> Figures {
    let network = &Network::new(provider, 0);
    let issuer = Issuer::parse(ISSUER).expect("an issuer");
    let clock = ServerClock(network, scenario);
    let cache = KeyCache::new(issuer, None, network, clock, LIMITS, jitter);
    let clock = ServerClock(network, scenario);
    let mut books = Bookkeeper::new(provider, scenario);
    let mut logins = Logins::new(scenario, rate);
    while logins.next_at() < WEEK {
        network.now.set(logins.next_at());
        let token = logins.next(provider);
        let verdict = verdict(&cache, &token, provider);
        if let Some(served) = network.served.take() {
            books.note_answer(served, &LIMITS, clock.now());
        }
        books.note(&token, verdict, network.now.get(), clock.now());
        logins.wait_until(network.now.get());
    }
    books.figures.requests = network.requests.get();
    books.figures
}

fn verdict(cache: &dyn KeySource, token: &Token, provider: &Provider) -> Verdict {
    let kid = match token.named {
        Named::Key(n) => provider.keys[n].kid.clone(),
        Named::Nothing(n) => format!("made-up-{n}"),
    };
    let wanted = KeyReference::new(Some(&kid), Algorithm::EdDSA);
    let is_own = |key: &PublicKey| match token.origin {
        Origin::Honest(n) | Origin::Stolen(n) => *key == provider.keys[n].public,
        Origin::Forged => false,
    };
    let verifies = |found: &FoundKeys| found.iter().any(is_own);
    let found = cache.find_keys(&wanted).and_then(|found| {
        if verifies(&found) {
            return Ok(found);
        }
        cache.find_newer_keys(&wanted, &found)
    });
    match found {
        Ok(found) if verifies(&found) => Verdict::Accepted,
        Ok(_) | Err(Failure::Reject(_)) => Verdict::UnknownKey,
        Err(_) => Verdict::Unavailable,
    }
}
