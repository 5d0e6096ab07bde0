//! Judges one token a number of times, for callgrind: `judge CASE.json COUNT`.

use std::{env, fs};

use oauth_core::{
    Algorithm, Bearer, Failure, Issuer, JwkSet, KeyHead, KeySource, LoginAttempt, NoCatalog,
    NoCertificate, NoIntrospection, Policy, PublicKey, Reject, Timestamp, judge, select_key,
};
use serde_json::Value;

/// A key as the module's cache has it.
struct Cached {
    heads: Vec<KeyHead>,
    materials: Vec<Vec<u8>>,
}

impl KeySource for Cached {
    fn find_key(&self, kid: Option<&str>, alg: Algorithm) -> Result<PublicKey, Failure> {
        let index = select_key(&self.heads, kid, alg)?;
        let key = self.heads[index].key(&self.materials[index]);
        key.ok_or(Reject::KeyUnsuitable.into())
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
