//! Asks each provider once, as a login would, and looks at what it answers.

use std::cell::RefCell;
use std::fs;
use std::time::{Duration, Instant};

use oauth_core::{
    Endpoint, Failure, HttpClient, IntrospectionMode, JwkSet, KeyFault, MAX_KEYS, PolicyBuilder,
    Printable, Proxy, UnavailableCause, fetch_jwk_set,
};
use ureq::http::Response;

use crate::doctor::clock::ProviderClock;
use crate::doctor::finding::{self, Finding};
use crate::memory::key_cache_layout::IssuerKey;
use crate::provider::fetch_thread::{self, UnderWay};
use crate::provider::http_client::UreqClient;
use crate::provider::key_file;
use crate::settings;
use crate::settings::Settings;
use crate::settings::provider::{KeyLocation, ProviderKeys};
use crate::settings::tables::{Number, Text};

/// What the providers have answered so far: several lines may name one.
#[derive(Default)]
pub struct Providers(Vec<(IssuerKey, ProviderAnswer)>);

struct ProviderAnswer {
    keys: Result<JwkSet, Failure>,
    /// AD FS: what the metadata says of `iss` in access tokens.
    access_token_issuer: Option<String>,
    /// `None` if it did not tell the time.
    clock: Option<ProviderClock>,
}

/// What was found.
pub struct Examined {
    pub findings: Vec<Finding>,
    /// What is there, where nothing is wrong with it.
    pub summary: Option<String>,
}

impl Providers {
    /// Asks for the keys, past the cache, and compares them with what the line's settings accept. Serves interrupts.
    pub fn examine_keys(
        &mut self,
        settings: &Settings,
        source: &ProviderKeys,
        policy: Option<&PolicyBuilder>,
    ) -> Examined {
        let answer = self.answer_of(source);
        let mut findings = Vec::new();
        let mut summary = None;
        match &answer.keys {
            Ok(keys) if policy.is_some_and(|policy| !policy.accepts_a_key_of(keys)) => {
                let detail = "All keys of the provider are for algorithms that validator.algorithms does not list.";
                findings.push(finding::KEYS_DO_NOT_FIT.with(detail));
            }
            Ok(keys) => {
                let usable = keys.keys().iter().filter(|jwk| jwk.public_key().is_some());
                let mut known = format!("usable keys: {}", usable.count());
                if !keys.unusable().is_empty() {
                    known += &format!(", not used: {}", keys.unusable_in_words());
                }
                if let Some(proxy) = proxy_of(source) {
                    known += &format!(", through proxy {}", proxy.printable());
                }
                summary = Some(known);
            }
            Err(failure) => {
                let found = Finding::of_failure(failure);
                // A provider of opaque tokens need not have keys.
                findings.push(match settings.text(Text::Introspection) {
                    Ok(IntrospectionMode::Opaque) => found.into_warning(),
                    _ => found,
                });
            }
        }
        let keys = answer.keys.as_ref();
        findings.extend(keys.ok().and_then(examine_unusable));
        let left_out = answer.keys.as_ref().map_or(0, JwkSet::left_out);
        if left_out != 0 {
            findings.push(finding::KEY_SET_TOO_LARGE.with(format!(
                "The key set has {left_out} signature keys more than the {MAX_KEYS} that are kept of an issuer; tokens that they have signed are refused."
            )));
        }
        let named = answer.access_token_issuer.as_deref();
        findings.extend(policy.and_then(|policy| examine_access_token_issuer(policy, named)));
        let allowed = Duration::from_secs(settings.number(Number::ClockSkew));
        if let Some(clock) = answer.clock.filter(|clock| clock.differs_by() > allowed) {
            findings.push(finding::CLOCK_DIFFERS.with(clock.describe()));
        }
        Examined { findings, summary }
    }

    /// Asks them at the same time, so that those that hang cost one timeout together. Serves interrupts.
    pub fn ask_all(&mut self, sources: &[ProviderKeys]) {
        let mut new: Vec<(IssuerKey, &ProviderKeys)> = Vec::new();
        for source in sources {
            let key = source.cache_key();
            if !new.iter().any(|(of, _)| *of == key) {
                new.push((key, source));
            }
        }
        for some in new.chunks(AT_ONCE) {
            let begun: Vec<_> = some
                .iter()
                .map(|(key, source)| (*key, ask(source)))
                .collect();
            let answers = begun.into_iter().map(|(key, begun)| (key, begun.finish()));
            self.0.extend(answers);
        }
    }

    fn answer_of(&mut self, source: &ProviderKeys) -> &ProviderAnswer {
        let key = source.cache_key();
        let known = self.0.iter().position(|(of, _)| *of == key);
        let index = known.unwrap_or_else(|| {
            self.0.push((key, ask(source).finish()));
            self.0.len() - 1
        });
        &self.0[index].1
    }
}

/// Keys that cannot be used, unless all of them are for another use than signatures, as those of many providers are.
fn examine_unusable(keys: &JwkSet) -> Option<Finding> {
    let mut faults = keys.unusable().iter().map(|key| &key.fault);
    if faults.clone().all(KeyFault::is_of_another_use) {
        return None;
    }
    let told = format!("Not used: {}.", keys.unusable_in_words());
    let found = finding::KEYS_UNUSABLE.with(told);
    Some(match faults.any(KeyFault::is_private) {
        true => found.into_warning(),
        false => found,
    })
}

/// The proxy by which the provider is asked first.
fn proxy_of(source: &ProviderKeys) -> Option<&Proxy> {
    let asked = match &source.location {
        KeyLocation::File(_) => return None,
        KeyLocation::JwksUri(url) => url,
        KeyLocation::Metadata => source.issuer.discovery(),
    };
    source.http.proxy.as_ref()?.rules.proxy_for(asked)
}

/// Whether the provider's access tokens have the `iss` that is expected of them; `named`: what its metadata says.
fn examine_access_token_issuer(policy: &PolicyBuilder, named: Option<&str>) -> Option<Finding> {
    let expected = policy.expected_access_token_issuer()?;
    let detail = match (expected.as_str(), named) {
        (None, None) => "The issuer is not https://HOST/adfs, so it is unknown what \"iss\" of the provider's access tokens is, and all are refused.".to_owned(),
        (_, None) => return None,
        (expected, Some(named)) if expected == Some(named) => return None,
        (expected, Some(named)) => format!(
            "The provider's metadata has \"access_token_issuer\" \"{}\", but tokens with \"{}\" are accepted.",
            Printable::new(named),
            Printable::new(expected.unwrap_or_default()),
        ),
    };
    Some(finding::ACCESS_TOKEN_ISSUER.with(detail))
}

/// Asks about a token that was never issued, where logins ask about theirs.
pub fn examine_introspection(settings: &Settings, source: &ProviderKeys) -> Examined {
    let provider = settings::read_introspection(settings, source).map_err(Failure::from);
    let answer =
        provider.and_then(|provider| provider.map(|provider| provider.probe()).transpose());
    let (finding, summary) = match answer {
        Ok(None) => (None, None),
        Ok(Some(false)) => (
            None,
            Some("introspection answers about an unknown token; whether it shows active tokens to validator.client_id was not tried".to_owned()),
        ),
        Ok(Some(true)) => (
            Some(
                finding::INTROSPECTION_SAYS_YES
                    .with("The provider says that a token that was never issued is active."),
            ),
            None,
        ),
        Err(failure) => (Some(Finding::of_failure(&failure)), None),
    };
    Examined {
        findings: finding.into_iter().collect(),
        summary,
    }
}

/// Providers that are asked at the same time: each takes a thread and some descriptors.
const AT_ONCE: usize = 16;

/// A question to a provider.
enum Asked {
    /// It needed no network, or could not be sent.
    Answered(ProviderAnswer),
    UnderWay(UnderWay<ProviderAnswer>),
}

impl Asked {
    fn finish(self) -> ProviderAnswer {
        match self {
            Asked::Answered(answer) => answer,
            Asked::UnderWay(request) => request.finish().unwrap_or_else(ProviderAnswer::failed),
        }
    }
}

impl ProviderAnswer {
    fn of_keys(keys: Result<JwkSet, Failure>) -> Self {
        ProviderAnswer {
            keys,
            access_token_issuer: None,
            clock: None,
        }
    }

    fn failed(failure: Failure) -> Self {
        ProviderAnswer::of_keys(Err(failure))
    }
}

fn ask(source: &ProviderKeys) -> Asked {
    let jwks_uri = match &source.location {
        KeyLocation::File(path) => {
            let keys = fs::metadata(path)
                .map_err(|error| key_file::invalid(&error.to_string()))
                .and_then(|metadata| key_file::parse(path, &metadata));
            let keys = keys.map_err(Failure::from);
            return Asked::Answered(ProviderAnswer::of_keys(keys));
        }
        KeyLocation::JwksUri(url) => Some(url.clone()),
        KeyLocation::Metadata => None,
    };
    let deadline = Instant::now() + source.timeout;
    let (issuer, http) = (source.issuer.clone(), source.http.prepare());
    let asked = jwks_uri.as_ref().unwrap_or(issuer.discovery()).clone();
    let request = fetch_thread::start(deadline, &asked, move || {
        let client = Watched {
            client: UreqClient::new(http, deadline)?,
            clock: RefCell::default(),
        };
        let fetched = fetch_jwk_set(&client, &issuer, jwks_uri.as_ref());
        let (keys, access_token_issuer) = match fetched {
            Ok(fetched) => (Ok(fetched.keys), fetched.access_token_issuer),
            Err(unavailable) => (Err(Failure::from(unavailable)), None),
        };
        Ok(ProviderAnswer {
            keys,
            access_token_issuer,
            clock: client.clock.into_inner(),
        })
    });
    match request {
        Ok(request) => Asked::UnderWay(request),
        Err(failure) => Asked::Answered(ProviderAnswer::failed(failure)),
    }
}

/// Records the time that the answers state.
struct Watched {
    client: UreqClient,
    clock: RefCell<Option<ProviderClock>>,
}

impl HttpClient for Watched {
    fn get(&self, url: &Endpoint) -> Result<Response<Vec<u8>>, UnavailableCause> {
        let sent = std::time::SystemTime::now();
        let answer = self.client.get(url)?;
        if let Some(clock) = ProviderClock::read(answer.headers(), sent) {
            *self.clock.borrow_mut() = Some(clock);
        }
        Ok(answer)
    }
}
