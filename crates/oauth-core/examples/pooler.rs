//! Judges logins as a connection pooler would: many tokens, several at a time, with keys that are fetched when they are
//! needed and kept fresh.
//!
//! ```text
//! cargo run -p oauth-core --example pooler
//! ```
//!
//! The network and the clock stand still here, so that the outcome is always the same: a real pooler gives [`KeyCache`]
//! an HTTP client of its own and [`SystemClock`](oauth_core::SystemClock). The token is that of RFC 9068 §3, signed with
//! the key of RFC 8037 appendix A.1.

use std::collections::hash_map::RandomState;
use std::error::Error;
use std::hash::BuildHasher as _;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use http::Response;
use oauth_core::{
    Bearer, CacheLimits, Clock, Decision, Endpoint, HttpClient, Issuer, KeyCache, KeySource,
    LoginAttempt, NoCatalog, NoCertificate, NoIntrospection, Policy, Printable, Timestamp,
    UnavailableCause, judge,
};

/// Keys are fresh for one minute to one day. They are used for a day while the provider does not answer. An unknown
/// `kid` triggers another fetch, but not within ten seconds of the last one that an unknown `kid` triggered.
const LIMITS: CacheLimits = CacheLimits {
    min_ttl: Duration::from_secs(60),
    max_ttl: Duration::from_secs(86_400),
    stale_ttl: Duration::from_secs(86_400),
    refresh_cooldown: Duration::from_secs(10),
};

/// Any number: it spreads the requests of many servers after a failure.
fn jitter() -> u32 {
    RandomState::new().hash_one(()) as u32
}

/// Judges one login. A pooler that knows client certificates, or asks the provider about opaque tokens, says so here.
fn log_in(
    token: &str,
    role: &str,
    policy: &Policy,
    keys: &dyn KeySource,
    clock: &dyn Clock,
) -> Decision {
    let attempt = LoginAttempt {
        token: Bearer::new(token),
        role,
        peer: &NoCertificate,
        catalog: &NoCatalog,
        introspector: &NoIntrospection,
    };
    judge(&attempt, policy, keys, clock)
}

// --- A provider and a clock for this example --------------------------------------------------------

const ISSUER: &str = "https://authorization-server.example.com/";
const METADATA: &str = r#"{"issuer": "https://authorization-server.example.com/",
    "jwks_uri": "https://authorization-server.example.com/jwks"}"#;
const JWKS: &str = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "RjEwOwOA",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
const TOKEN: &str = concat!(
    "eyJ0eXAiOiJhdCtKV1QiLCJhbGciOiJFZERTQSIsImtpZCI6IlJqRXdPd09BIn0.",
    "eyJpc3MiOiJodHRwczovL2F1dGhvcml6YXRpb24tc2VydmVyLmV4YW1wbGUuY29tLyIsInN1YiI6IjViYTU1",
    "MmQ2NyIsImF1ZCI6Imh0dHBzOi8vcnMuZXhhbXBsZS5jb20vIiwiZXhwIjoxNjM5NTI4OTEyLCJpYXQiOjE2",
    "MTgzNTQwOTAsImp0aSI6ImRiZTM5YmYzYTNiYTQyMzhhNTEzZjUxZDZlMTY5MWM0IiwiY2xpZW50X2lkIjoi",
    "czZCaGRSa3F0MyIsInNjb3BlIjoib3BlbmlkIHByb2ZpbGUgcmVhZGVtYWlsIn0.",
    "BTUD1qqEgl-SkmcBDSUlMrCPrxgfPZabHnbfUvb0KmQYx5iAx7DbW48qCVrvNZZATlWiMSFbm_F20hzP-HWpCg",
);
/// `iat` of the token.
const ISSUED_AT: i64 = 1_618_354_090;

/// Answers as a provider does, until it is down, and counts what it is asked.
#[derive(Default)]
struct Provider {
    asked: AtomicUsize,
    down: AtomicUsize,
}

impl HttpClient for &Provider {
    fn get(&self, url: &Endpoint) -> Result<Response<Vec<u8>>, UnavailableCause> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.down.load(Ordering::Relaxed) > 0 {
            return Err(UnavailableCause::Timeout);
        }
        let body = match url.as_str().ends_with("/jwks") {
            true => JWKS,
            false => METADATA,
        };
        let response = Response::builder().header("cache-control", "max-age=3600");
        let response = response.body(body.as_bytes().to_vec());
        response.map_err(|error| UnavailableCause::Connection(Printable::new(&error.to_string())))
    }
}

/// A clock that is set, in seconds since the token was issued.
#[derive(Default)]
struct SetClock(AtomicI64);

impl Clock for &SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(ISSUED_AT.saturating_add(self.0.load(Ordering::Relaxed)))
    }
}

/// What was tried, what came of it, and how many requests the provider got.
type Told = (&'static str, String, usize);

fn run() -> Result<Vec<Told>, Box<dyn Error>> {
    let (provider, clock) = (&Provider::default(), &SetClock::default());
    let issuer = Issuer::parse(ISSUER)?;
    let keys = KeyCache::new(issuer.clone(), None, provider, clock, LIMITS, jitter);
    let policy = Policy::builder(issuer)
        .audience("https://rs.example.com/".parse()?)
        .required_scopes("openid profile")
        .build()?;
    let verdict = |token: &str| {
        let decision = log_in(token, "alice", &policy, &keys, &clock);
        match decision.outcome() {
            Ok(_) => format!("accepted {}", decision.authn_id().unwrap_or_default()),
            Err(failure) => format!("refused: {}", failure.code()),
        }
    };
    let mut told = Vec::new();
    let mut tell = |what, verdict| {
        told.push((what, verdict, provider.asked.swap(0, Ordering::Relaxed)));
    };

    let verdicts = thread::scope(|scope| {
        let logins: Vec<_> = (0..8).map(|_| scope.spawn(|| verdict(TOKEN))).collect();
        let mut verdicts: Vec<_> = logins.into_iter().flat_map(|login| login.join()).collect();
        verdicts.dedup();
        verdicts.join(", ")
    });
    tell("eight at once", verdicts);
    tell("altered", verdict(&TOKEN.replace("BTUD", "BTUE")));
    tell("unknown key", verdict(&TOKEN.replace("d09BIn0", "d09CIn0")));
    tell("another one", verdict(&TOKEN.replace("d09BIn0", "d09DIn0")));
    clock.0.store(3601, Ordering::Relaxed);
    tell("an hour later", verdict(TOKEN));
    provider.down.store(1, Ordering::Relaxed);
    clock.0.store(7300, Ordering::Relaxed);
    tell("provider is down", verdict(TOKEN));
    tell("and still is", verdict(TOKEN));
    clock.0.store(3601 + 86_400, Ordering::Relaxed);
    tell("keys are too old", verdict(TOKEN));
    Ok(told)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout().lock();
    for (what, verdict, requests) in run()? {
        writeln!(out, "{what:18} {verdict:32} {requests} requests")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provider_is_asked_only_when_keys_are_needed() {
        let told = run().expect("the example runs");
        let told: Vec<_> = told
            .iter()
            .map(|(what, v, n)| (*what, v.as_str(), *n))
            .collect();
        assert_eq!(
            told,
            [
                // Metadata and keys, once for all.
                ("eight at once", "accepted 5ba552d67", 2),
                // The key may have been replaced under its name.
                ("altered", "refused: bad_signature", 2),
                ("unknown key", "refused: unknown_kid", 0),
                ("another one", "refused: unknown_kid", 0),
                ("an hour later", "accepted 5ba552d67", 2),
                ("provider is down", "accepted 5ba552d67", 1),
                ("and still is", "accepted 5ba552d67", 0),
                ("keys are too old", "refused: provider_unavailable", 1),
            ]
        );
    }
}
