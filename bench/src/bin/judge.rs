//! Judges one token a number of times, for callgrind: `judge CASE.json COUNT`.

use std::{env, fs};

use oauth_core::{
    Bearer, Failure, FoundKeys, Issuer, JwkSet, KeyHead, KeyReference, KeySource, LoginAttempt,
    NoCatalog, NoCertificate, NoIntrospection, Policy, Reject, Timestamp, judge, select_keys,
};
use serde_json::Value;

/// A key as the module's cache has it.
struct Cached {
    heads: Vec<KeyHead>,
    materials: Vec<Vec<u8>>,
}

impl KeySource for Cached {
    fn find_keys(&self, wanted: &KeyReference<'_>) -> Result<FoundKeys, Failure> {
        let candidates = select_keys(&self.heads, wanted)?;
        let places = candidates.places().iter();
        let keys = places.filter_map(|place| self.heads[*place].key(&self.materials[*place]));
        FoundKeys::one_of(keys).ok_or(Reject::KeyUnsuitable { again_in: None }.into())
    }
}

fn main() {
    let [file, count] = [1, 2].map(|index| env::args().nth(index).expect("two arguments"));
    let count: u64 = count.parse().expect("a number");
    let case = fs::read(file).expect("the case can be read");
    let case: Value = serde_json::from_slice(&case).expect("the case is JSON");
    let text = |name: &str| case[name].as_str().expect("the case is complete");

    let set = JwkSet::parse(text("jwks").as_bytes()).expect("a key set");
    let (heads, materials) = set.keys().iter().map(|jwk| jwk.describe()).unzip();
    let keys = Cached { heads, materials };
    let issuer = Issuer::parse(text("issuer")).expect("an issuer");
    let policy = Policy::builder(issuer)
        .audience(text("audience").parse().expect("an audience"))
        .required_scopes(text("scope"))
        .build()
        .expect("a policy");
    let now = Timestamp::from_unix_seconds(case["now"].as_i64().expect("a time"));
    for _ in 0..count {
        let attempt = LoginAttempt {
            token: Bearer::new(text("token")),
            role: "alice",
            catalog: &NoCatalog,
            introspector: &NoIntrospection,
            peer: &NoCertificate,
        };
        let decision = judge(&attempt, &policy, &keys, &now);
        assert!(decision.is_authorized(), "{decision:?}");
    }
}
