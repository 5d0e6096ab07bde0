//! A provider that rotates its keys every six hours, and fails as the scenario has it.

use std::cell::Cell;

use court::{ISSUER, Key, KeyKind, document};
use http::Response;
use oauth_core::{
    Endpoint, FetchedKeys, HttpClient, Issuer, JwkSet, PublicKey, Unavailable, UnavailableCause,
    fetch_jwk_set,
};
use serde_json::json;

use crate::scenario::{Failing, HOUR, Micros, Outage, SECOND, Scenario, WEEK, offset};

const JWKS: &str = "https://keys.example/jwks";
const ROTATION: Micros = 6 * HOUR;
/// What a request takes that is answered, one that is refused, and one that is given up.
const ANSWERED: Micros = SECOND / 10;
const REFUSED: Micros = SECOND / 1000;
const GIVEN_UP: Micros = 5 * SECOND;

pub struct Provider {
    scenario: Scenario,
    pub keys: Vec<PublishedKey>,
}

pub struct PublishedKey {
    pub kid: String,
    pub public: PublicKey,
    jwk: serde_json::Value,
    used_from: Micros,
    published_from: Micros,
    pub withdrawn_at: Micros,
}

impl PublishedKey {
    pub fn is_published(&self, at: Micros) -> bool {
        (self.published_from..self.withdrawn_at).contains(&at)
    }
}

/// A key that nobody has published under this `kid`, or a published one.
pub fn key(kid: &str) -> (serde_json::Value, PublicKey) {
    let jwk = Key::new(KeyKind::Ed25519).with_kid(kid).jwk();
    let set = JwkSet::parse(&document(std::slice::from_ref(&jwk))).expect("a key set");
    let public = set.keys().first().and_then(|key| key.public_key()).cloned();
    (jwk, public.expect("a key that verifies"))
}

impl Provider {
    pub fn new(scenario: Scenario) -> Provider {
        // One more than are used within the week, however the clock is set.
        let rotations: Vec<Micros> = (0..=WEEK / ROTATION + 10)
            .map(|n| first_time(&scenario, n * ROTATION))
            .collect();
        let key = |n: usize, used_from: Micros, replaced_at: Micros| {
            let kid = match scenario.one_name {
                true => "current".to_owned(),
                false => format!("key-{n}"),
            };
            let (jwk, public) = key(&kid);
            PublishedKey {
                kid,
                public,
                jwk,
                used_from,
                published_from: match n {
                    0 => Micros::MIN,
                    _ => used_from - scenario.published_ahead,
                },
                withdrawn_at: replaced_at + scenario.kept,
            }
        };
        let pairs = rotations.windows(2).enumerate();
        let keys = pairs.map(|(n, pair)| key(n, pair[0], pair[1])).collect();
        Provider { scenario, keys }
    }

    /// The number of the key that tokens are signed with.
    pub fn signing_key(&self, at: Micros) -> usize {
        let used = self.keys.partition_point(|key| key.used_from <= at);
        used.saturating_sub(1)
    }

    pub fn outage(&self, at: Micros) -> Option<&Outage> {
        let mut outages = self.scenario.outages.iter();
        outages.find(|outage| (outage.from..outage.to).contains(&at))
    }

    /// The time since when the provider has answered and published this key, which it now does.
    pub fn sound_since(&self, key: usize, at: Micros) -> Micros {
        let ends = self.scenario.outages.iter().map(|outage| outage.to);
        let last = ends.filter(|end| *end <= at).max().unwrap_or(Micros::MIN);
        last.max(self.keys[key].published_from).max(0)
    }

    /// Fetches the keys, as the module and [`oauth_core::KeyCache`] do.
    pub fn fetch(&self, at: Micros) -> Fetch {
        let network = Network::new(self, at);
        let issuer = Issuer::parse(ISSUER).expect("an issuer");
        let outcome = fetch_jwk_set(&network, &issuer, None);
        Fetch {
            outcome,
            served: network.served.get(),
            ends: network.now.get(),
            requests: network.requests.get(),
        }
    }
}

/// The first time at which the provider's clock shows this.
fn first_time(scenario: &Scenario, shown: Micros) -> Micros {
    let mut at = Micros::MIN;
    let mut ahead = 0;
    for (when, by) in scenario.provider_jumps {
        if shown - ahead < *when {
            break;
        }
        (at, ahead) = (*when, ahead + by);
    }
    at.max(shown - ahead)
}

/// A fetch, and what it costs.
pub struct Fetch {
    pub outcome: Result<FetchedKeys, Unavailable>,
    /// When the provider has read the keys that it answered with.
    pub served: Option<Micros>,
    pub ends: Micros,
    pub requests: u64,
}

/// A network in which requests take their time.
pub struct Network<'a> {
    provider: &'a Provider,
    pub now: Cell<Micros>,
    pub requests: Cell<u64>,
    /// When the keys were last asked for with success.
    pub served: Cell<Option<Micros>>,
}

impl<'a> Network<'a> {
    pub fn new(provider: &'a Provider, at: Micros) -> Self {
        Network {
            provider,
            now: Cell::new(at),
            requests: Cell::new(0),
            served: Cell::new(None),
        }
    }

    fn answer(&self, url: &Endpoint, at: Micros) -> Response<Vec<u8>> {
        if url.as_str() != JWKS {
            let metadata = json!({"issuer": ISSUER, "jwks_uri": JWKS}).to_string();
            return Response::new(metadata.into_bytes());
        }
        self.served.set(Some(at));
        let published = self.provider.keys.iter();
        let published = published.filter(|key| key.is_published(at));
        let jwks: Vec<_> = published.map(|key| key.jwk.clone()).collect();
        let mut answer = Response::builder();
        if let Some(max_age) = self.provider.scenario.max_age {
            answer = answer.header("cache-control", format!("max-age={max_age}"));
        }
        // What stands before the provider and caches its answers takes the clock's jump for their age.
        let jumps = self.provider.scenario.provider_jumps;
        let age = (offset(jumps, at) - offset(jumps, at - HOUR)) / SECOND;
        if age > 0 {
            answer = answer.header("age", age.to_string());
        }
        answer.body(document(&jwks)).expect("an answer")
    }
}

impl HttpClient for &Network<'_> {
    fn get(&self, url: &Endpoint) -> Result<Response<Vec<u8>>, UnavailableCause> {
        (**self).get(url)
    }
}

impl HttpClient for Network<'_> {
    fn get(&self, url: &Endpoint) -> Result<Response<Vec<u8>>, UnavailableCause> {
        self.requests.set(self.requests.get() + 1);
        let at = self.now.get();
        let after = |takes| self.now.set(at + takes);
        match self.provider.outage(at).map(|outage| outage.how) {
            None => {
                after(ANSWERED);
                Ok(self.answer(url, at))
            }
            Some(Failing::Busy) => {
                after(ANSWERED);
                let answer = Response::builder().status(503).header("retry-after", 3600);
                Ok(answer.body(Vec::new()).expect("an answer"))
            }
            Some(Failing::Refuses) => {
                after(REFUSED);
                Err(UnavailableCause::NameResolution)
            }
            Some(Failing::Hangs) => {
                after(GIVEN_UP);
                Err(UnavailableCause::Timeout)
            }
        }
    }
}
