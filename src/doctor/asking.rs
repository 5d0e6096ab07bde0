//! Asks each provider once, as a login would, and all of them at the same time.

use std::cell::RefCell;
use std::fs;
use std::time::{Instant, SystemTime};

use oauth_core::{
    Endpoint, Failure, HttpClient, JwkSet, MetadataRemarks, UnavailableCause, fetch_jwk_set,
};
use ureq::http::Response;

use crate::memory::answer_cache::AnswerKey;
use crate::memory::key_cache_layout::IssuerKey;
use crate::provider::fetch_thread::{self, UnderWay};
use crate::provider::http_client::UreqClient;
use crate::provider::key_file;
use crate::provider::provider_clock::ProviderClock;
use crate::settings::provider::{KeyLocation, ProviderIntrospection, ProviderKeys};

/// Requests that are under way at the same time: each takes a thread and some descriptors.
const AT_ONCE: usize = 16;

/// What the providers have answered: several lines may name one.
#[derive(Default)]
pub struct Providers {
    keys: Vec<(IssuerKey, ProviderAnswer)>,
    probes: Vec<(AnswerKey, Result<bool, Failure>)>,
}

/// What came of asking for keys.
pub struct ProviderAnswer {
    pub keys: Result<JwkSet, Failure>,
    /// AD FS: what the metadata says of `iss` in access tokens.
    pub access_token_issuer: Option<String>,
    /// What else the metadata says, if it was asked for.
    pub remarks: MetadataRemarks,
    /// `None` if it did not tell the time.
    pub clock: Option<ProviderClock>,
    asked: Option<Endpoint>,
}

/// What to ask.
enum Question<'a> {
    Keys(IssuerKey, &'a ProviderKeys),
    Probe(AnswerKey, &'a ProviderIntrospection),
}

/// The same, asked.
enum Asked {
    Keys(IssuerKey, Reply<ProviderAnswer>),
    Probe(AnswerKey, Reply<bool>),
}

enum Reply<T> {
    /// It needed no network, or could not be sent.
    Given(Result<T, Failure>),
    UnderWay(UnderWay<T>),
}

impl Providers {
    /// Asks for keys, past the cache, and about a token that was never issued. Those that hang cost one timeout together, as
    /// long as they are not many. Serves interrupts.
    pub fn ask<'a>(
        sources: impl Iterator<Item = &'a ProviderKeys>,
        introspections: impl Iterator<Item = &'a ProviderIntrospection>,
    ) -> Providers {
        let mut keys: Vec<(IssuerKey, &ProviderKeys)> = Vec::new();
        for source in sources {
            let key = source.cache_key();
            if !keys.iter().any(|(of, _)| *of == key) {
                keys.push((key, source));
            }
        }
        let mut probes: Vec<(AnswerKey, &ProviderIntrospection)> = Vec::new();
        for introspection in introspections {
            let key = introspection.probe_key();
            if !probes.iter().any(|(of, _)| *of == key) {
                probes.push((key, introspection));
            }
        }
        let keys = keys.into_iter().map(|(key, of)| Question::Keys(key, of));
        let probes = probes.into_iter().map(|(key, of)| Question::Probe(key, of));
        let questions: Vec<Question<'_>> = keys.chain(probes).collect();
        let mut answers = Providers::default();
        for some in questions.chunks(AT_ONCE) {
            let asked: Vec<Asked> = some.iter().map(Question::ask).collect();
            for asked in asked {
                answers.add(asked);
            }
        }
        answers
    }

    fn add(&mut self, asked: Asked) {
        match asked {
            Asked::Keys(key, reply) => {
                let answer = reply.finish().unwrap_or_else(ProviderAnswer::failed);
                self.keys.push((key, answer));
            }
            Asked::Probe(key, reply) => self.probes.push((key, reply.finish())),
        }
    }

    /// What came of asking for these keys.
    pub fn keys_of(&self, source: &ProviderKeys) -> Option<&ProviderAnswer> {
        let key = source.cache_key();
        let mut answers = self.keys.iter();
        answers.find_map(|(of, answer)| (*of == key).then_some(answer))
    }

    /// Whether the provider calls a token active that was never issued.
    pub fn probe_of(
        &self,
        introspection: &ProviderIntrospection,
    ) -> Option<&Result<bool, Failure>> {
        let key = introspection.probe_key();
        let mut answers = self.probes.iter();
        answers.find_map(|(of, answer)| (*of == key).then_some(answer))
    }

    /// The clocks of the other providers, those on the same server left out.
    pub fn clocks_besides(&self, answer: &ProviderAnswer) -> Vec<ProviderClock> {
        let is_elsewhere = |other: &ProviderAnswer| match (&answer.asked, &other.asked) {
            (Some(own), Some(other)) => !other.has_origin_of(own),
            _ => false,
        };
        let others = self.keys.iter().map(|(_, other)| other);
        others
            .filter(|other| is_elsewhere(other))
            .filter_map(|other| other.clock)
            .collect()
    }
}

impl Question<'_> {
    fn ask(&self) -> Asked {
        match self {
            Question::Keys(key, source) => Asked::Keys(*key, ask_for_keys(source)),
            Question::Probe(key, introspection) => {
                let reply = introspection.start_probe();
                Asked::Probe(*key, reply.map_or_else(Reply::failed, Reply::UnderWay))
            }
        }
    }
}

impl<T> Reply<T> {
    fn failed(failure: Failure) -> Self {
        Reply::Given(Err(failure))
    }

    fn finish(self) -> Result<T, Failure> {
        match self {
            Reply::Given(answer) => answer,
            Reply::UnderWay(request) => request.finish(),
        }
    }
}

impl ProviderAnswer {
    fn of_keys(keys: Result<JwkSet, Failure>) -> Self {
        ProviderAnswer {
            keys,
            access_token_issuer: None,
            remarks: MetadataRemarks::default(),
            clock: None,
            asked: None,
        }
    }

    fn failed(failure: Failure) -> Self {
        ProviderAnswer::of_keys(Err(failure))
    }
}

fn ask_for_keys(source: &ProviderKeys) -> Reply<ProviderAnswer> {
    let jwks_uri = match &source.location {
        KeyLocation::File(path) => {
            let keys = fs::metadata(path)
                .map_err(|error| key_file::invalid(&error.to_string()))
                .and_then(|metadata| key_file::parse(path, &metadata));
            let keys = keys.map_err(Failure::from);
            return Reply::Given(Ok(ProviderAnswer::of_keys(keys)));
        }
        KeyLocation::JwksUri(url) => Some(url.clone()),
        KeyLocation::Metadata => None,
    };
    let deadline = Instant::now() + source.timeout;
    let (issuer, http) = (source.issuer.clone(), source.http.prepare());
    let asked = jwks_uri.as_ref().unwrap_or(issuer.discovery()).clone();
    let url = asked.clone();
    let request = fetch_thread::start(deadline, &url, move || {
        let client = Watched {
            client: UreqClient::new(http, deadline)?,
            metadata: issuer.discovery().clone(),
            seen: RefCell::default(),
        };
        let fetched = fetch_jwk_set(&client, &issuer, jwks_uri.as_ref());
        let (keys, access_token_issuer) = match fetched {
            Ok(fetched) => (Ok(fetched.keys), fetched.access_token_issuer),
            Err(unavailable) => (Err(Failure::from(unavailable)), None),
        };
        let seen = client.seen.into_inner();
        Ok(ProviderAnswer {
            keys,
            access_token_issuer,
            remarks: seen.remarks,
            clock: seen.clock,
            asked: Some(asked),
        })
    });
    request.map_or_else(Reply::failed, Reply::UnderWay)
}

/// Records what the answers tell besides keys.
struct Watched {
    client: UreqClient,
    /// Where the metadata is.
    metadata: Endpoint,
    seen: RefCell<Seen>,
}

#[derive(Default)]
struct Seen {
    clock: Option<ProviderClock>,
    remarks: MetadataRemarks,
}

impl HttpClient for Watched {
    fn get(&self, url: &Endpoint) -> Result<Response<Vec<u8>>, UnavailableCause> {
        let sent = SystemTime::now();
        let answer = self.client.get(url)?;
        let mut seen = self.seen.borrow_mut();
        if let Some(clock) = ProviderClock::read(answer.headers(), sent) {
            seen.clock = Some(clock);
        }
        if url.as_str() == self.metadata.as_str() {
            seen.remarks = MetadataRemarks::parse(answer.body());
        }
        Ok(answer)
    }
}
