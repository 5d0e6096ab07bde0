//! Asks the provider about tokens (RFC 7662): from the shared cache where it can answer, else over the network.
//!
//! Of all logins with the same question one asks, and the others wait for it. Only a provider's answer admits a login.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use oauth_core::{
    Bearer, Clock, Endpoint, Failure, Internal, IntrospectionResponse, Introspector,
    NoIntrospection, Plan, Printable, Reject, SystemClock, Timestamp, fetch_introspection_endpoint,
    freshness_lifetime,
};

use crate::memory;
use crate::memory::answer_cache::{AnswerCache, AnswerKey, Ended, Said, Subject};
use crate::memory::statistics::{self, Row};
use crate::postgres::random::random;
use crate::provider::fetch_thread;
use crate::provider::file_version::file_version;
use crate::provider::http_client::UreqClient;
use crate::provider::introspection_outage::Failed;
use crate::provider::introspection_question::Answer;
use crate::provider::single_flight::{Look, Shared, SingleFlight, obtain, timed_out};
use crate::settings::provider::{ClientSettings, HttpSettings, ProviderIntrospection};

/// Names what is stored of the issuer's metadata.
const METADATA: &str = "endpoint";

/// Asks the provider about tokens, if introspection is configured.
pub fn introspector(provider: &Option<ProviderIntrospection>) -> &dyn Introspector {
    match provider {
        Some(provider) => provider,
        None => &NoIntrospection,
    }
}

impl Introspector for ProviderIntrospection {
    fn introspect(&self, token: &Bearer<'_>) -> Result<IntrospectionResponse, Failure> {
        let deadline = Instant::now() + self.timeout;
        if self.ttl.is_zero() {
            let endpoint = self.find_endpoint(deadline)?;
            return into_response(self.ask_alone(&endpoint, token, deadline)?);
        }
        let key = self.key_of("token", token.expose());
        // Found before another login can wait for this one.
        let cached = self.cached(&key);
        let said = match cached {
            Some(Said::Unkept) => Said::Unkept,
            Some(said) => {
                self.count(|row| statistics::add(&row.introspection_cache_hits, 1));
                said
            }
            None => {
                self.ensure_not_down()?;
                let endpoint = self.find_endpoint(deadline)?;
                let mut fresh = None;
                let subject = Subject::token_of(self.issuer.identifier());
                let said = self.once(&key, subject, deadline, &endpoint, |until| {
                    let answer = match self.ask_unless_down(&endpoint, token, deadline, until) {
                        Ok(answer) => answer,
                        Err(Failed::OfToken(failure)) => return Err(failure),
                        // Nothing is known of this token.
                        Err(Failed::Otherwise(failure)) => {
                            fresh = Some(Err(failure));
                            return Ok(Ended::Nothing);
                        }
                    };
                    let ended = self.remember(&answer, token);
                    fresh = Some(Ok(answer));
                    Ok(ended)
                })?;
                match (said, fresh) {
                    // Also where it could not be stored.
                    (_, Some(answer)) => return into_response(answer?),
                    (Some(said), None) => said,
                    (None, None) => return Err(lost()),
                }
            }
        };
        into_response(match said {
            Said::Text(text) => {
                Answer::Active(IntrospectionResponse::from_stored(&text).ok_or_else(lost)?)
            }
            Said::Inactive => Answer::Refused(Reject::TokenInactive),
            Said::Refused => Answer::Refused(Reject::IntrospectionRefused),
            Said::Unkept => {
                let endpoint = self.find_endpoint(deadline)?;
                self.ask_alone(&endpoint, token, deadline)?
            }
        })
    }
}

fn into_response(answer: Answer) -> Result<IntrospectionResponse, Failure> {
    match answer {
        Answer::Active(response) => Ok(response),
        Answer::Refused(reject) => Err(reject.into()),
    }
}

fn lost() -> Failure {
    Internal(Printable::new("a cached response could not be read back")).into()
}

impl ProviderIntrospection {
    /// A stored answer must be what the provider would answer now. So its name covers all settings of the request, and
    /// the versions of the files with this server's trust roots and credentials. A file that can no longer be read is
    /// another version, too.
    pub fn key_of(&self, kind: &str, what: &str) -> AnswerKey {
        // Names every field, so that a new one is considered here.
        let HttpSettings {
            ca_file,
            ca_file_only,
            bearer,
            proxy,
        } = &self.http;
        let ClientSettings {
            id,
            method,
            secret_file,
            key_file,
            cert_file,
        } = &self.client;
        let bearer_file = bearer.as_ref().map(|bearer| &bearer.file);
        let credentials = [secret_file, key_file, cert_file].map(Option::as_ref);
        let [secret_file, key_file, cert_file] = match kind {
            // The metadata are asked for without them.
            METADATA => [None; 3],
            _ => credentials,
        };
        let proxy_secret_file = proxy.as_ref().and_then(|proxy| proxy.secret_file.as_ref());
        let files = [
            ca_file.as_ref(),
            bearer_file,
            proxy_secret_file,
            secret_file,
            key_file,
            cert_file,
        ]
        .map(describe_file);
        let (method, ttl) = (format!("{method:?}"), self.ttl.as_secs().to_string());
        let mut parts = vec![
            kind,
            what,
            self.issuer.identifier(),
            self.issuer.discovery().as_str(),
            self.endpoint.as_ref().map_or("", Endpoint::as_str),
            id,
            &method,
            if *ca_file_only { "ca_file_only" } else { "" },
            // A shorter one counts at once.
            &ttl,
        ];
        parts.extend(files.iter().map(String::as_str));
        let way_out = proxy.as_ref().map(|proxy| proxy.rules.cache_parts());
        parts.extend(way_out.unwrap_or_default());
        oauth_core::cache_key(&parts)
    }

    fn cached(&self, key: &AnswerKey) -> Option<Said> {
        let found = memory::answers().look_up(key, SystemClock.now())?;
        found.said
    }

    /// How long an answer may be cached.
    fn remember(&self, answer: &Answer, token: &Bearer<'_>) -> Ended {
        let now = SystemClock.now();
        let negative = IntrospectionResponse::negative_lifetime(self.ttl);
        match answer {
            Answer::Active(response) => {
                let lifetime = response.lifetime(self.ttl, now);
                match response.to_stored(token) {
                    Some(text) => Ended::Said(Said::Text(text), lifetime),
                    None => Ended::Said(Said::Unkept, lifetime),
                }
            }
            Answer::Refused(Reject::TokenInactive) => Ended::Said(Said::Inactive, negative),
            Answer::Refused(_) => Ended::Said(Said::Refused, negative),
        }
    }

    /// What is stored under a name; where nothing is, one login asks, and the others wait for it.
    fn once(
        &self,
        key: &AnswerKey,
        subject: Subject,
        deadline: Instant,
        url: &Endpoint,
        ask: impl FnOnce(Timestamp) -> Result<Ended, Failure>,
    ) -> Result<Option<Said>, Failure> {
        let mut answer = FindAnswer {
            provider: self,
            cache: memory::answers(),
            key,
            subject,
            url,
            ask: Some(ask),
        };
        obtain(&mut answer, deadline, self.timeout)
    }

    /// The endpoint to ask: as set, or from the metadata, which is requested once for all logins.
    fn find_endpoint(&self, deadline: Instant) -> Result<Endpoint, Failure> {
        if let Some(endpoint) = &self.endpoint {
            return Ok(endpoint.clone());
        }
        let key = self.key_of(METADATA, "");
        let mut fetched = None;
        let (subject, url) = (Subject::NO_TOKEN, self.issuer.discovery());
        let said = self.once(&key, subject, deadline, url, |_| {
            let (endpoint, lifetime) = self.fetch_endpoint(deadline)?;
            let said = Said::Text(endpoint.as_str().to_owned());
            fetched = Some(endpoint);
            Ok(Ended::Said(said, lifetime))
        })?;
        match (fetched, said) {
            (Some(endpoint), _) => Ok(endpoint),
            (None, Some(Said::Text(url))) => self.issuer.endpoint(&url).map_err(|_| lost()),
            (None, Some(Said::Unkept)) => Ok(self.fetch_endpoint(deadline)?.0),
            _ => Err(lost()),
        }
    }

    /// An endpoint that was read from the metadata, and fails in this way may be another one by now: the next login reads
    /// the metadata again, unless that was done a moment ago.
    pub fn doubt_endpoint(&self, failure: &Failure) {
        if let Failure::Unavailable(failure) = failure
            && self.endpoint.is_none()
            && failure.cause.may_have_moved()
        {
            let cooldown = self.metadata_limits.refresh_cooldown;
            let now = SystemClock.now();
            let key = self.key_of(METADATA, "");
            memory::answers().forget_older(&key, now.minus(cooldown), now);
        }
    }

    /// The endpoint, if no request is needed to know it.
    pub fn known_endpoint(&self) -> Option<Endpoint> {
        if self.endpoint.is_some() {
            return self.endpoint.clone();
        }
        match self.cached(&self.key_of(METADATA, ""))? {
            Said::Text(url) => self.issuer.endpoint(&url).ok(),
            _ => None,
        }
    }

    /// The endpoint from the metadata, and how long it may be cached.
    fn fetch_endpoint(&self, deadline: Instant) -> Result<(Endpoint, Duration), Failure> {
        let (issuer, http, limits) = (
            self.issuer.clone(),
            self.http.prepare(),
            self.metadata_limits,
        );
        let by_certificate = self.is_by_certificate();
        fetch_thread::run_until(deadline, self.issuer.discovery(), move || {
            let client = UreqClient::new(http, deadline)?;
            let (endpoint, headers) =
                fetch_introspection_endpoint(&client, &issuer, by_certificate)?;
            Ok((endpoint, freshness_lifetime(&headers, &limits)))
        })
    }

    /// Counts something of the issuer.
    pub fn count(&self, count: impl FnOnce(&Row)) {
        let statistics = memory::attached_statistics();
        if let Some(row) = statistics.and_then(|all| all.row(self.issuer.identifier())) {
            count(row);
        }
    }
}

/// A login looks for an answer, which `ask` gets.
struct FindAnswer<'a, Ask> {
    provider: &'a ProviderIntrospection,
    cache: AnswerCache,
    key: &'a AnswerKey,
    subject: Subject,
    url: &'a Endpoint,
    ask: Option<Ask>,
}

impl<Ask: FnOnce(Timestamp) -> Result<Ended, Failure>> Shared for FindAnswer<'_, Ask> {
    type Value = Option<Said>;
    /// When the request is given up.
    type Claim = Timestamp;

    fn look(&mut self, now: Timestamp) -> Look<Option<Said>> {
        let Some(found) = self.cache.look_up(self.key, now) else {
            return Look::Ask;
        };
        match found.plan {
            Plan::Use => Look::Known(Ok(found.said)),
            // The provider has failed a moment ago: what it failed with then.
            Plan::Unavailable => Look::Known(Err(match found.failure {
                Some(failure) => failure.into(),
                None => timed_out(self.url),
            })),
            Plan::Wait => Look::Wait,
            _ => Look::Ask,
        }
    }

    fn claim(&mut self, now: Timestamp, until: Timestamp) -> Result<Option<Timestamp>, Failure> {
        Ok(self
            .cache
            .claim(self.key, self.subject, now, until)
            .then_some(until))
    }

    fn ask(
        &mut self,
        until: Timestamp,
        _deadline: Instant,
    ) -> Option<Result<Option<Said>, Failure>> {
        let ask = self.ask.take()?;
        let breaker = self.provider.breaker_key();
        Some(ask_for_all(self.key, &breaker, until, ask))
    }

    fn sleep(&self, limit: Duration) {
        self.cache.sleep_while(limit, || {
            let found = self.cache.look_up(self.key, SystemClock.now());
            found.is_some_and(|found| found.plan == Plan::Wait)
        });
    }

    fn count_wait(&self) {
        self.provider.count(|row| statistics::add(&row.waits, 1));
    }

    fn url(&self) -> &Endpoint {
        self.url
    }
}

/// Sends a request for all logins that wait for its answer, and notes how it ended.
fn ask_for_all(
    key: &AnswerKey,
    breaker: &AnswerKey,
    until: Timestamp,
    ask: impl FnOnce(Timestamp) -> Result<Ended, Failure>,
) -> Result<Option<Said>, Failure> {
    let (owned, breaker) = (*key, *breaker);
    let flight = SingleFlight::begin(move || {
        memory::answers().abandon(&owned, until);
        memory::circuit_breakers().abandon(&breaker, until);
    });
    let (ended, result) = match ask(until) {
        Ok(Ended::Said(said, lifetime)) => (Ended::Said(said.clone(), lifetime), Ok(Some(said))),
        Ok(ended) => (ended, Ok(None)),
        Err(Failure::Unavailable(failure)) => (
            Ended::Failure(failure.pack(), random()),
            Err(failure.into()),
        ),
        // An internal fault, or a setting's: others find out for themselves, so that a fix takes effect at once.
        Err(failure) => (Ended::Nothing, Err(failure)),
    };
    memory::answers().end(key, until, &ended, SystemClock.now());
    flight.end();
    result
}

/// A file's name, and which version of it is there. Empty: none is set.
fn describe_file(path: Option<&PathBuf>) -> String {
    path.map_or_else(String::new, |path| {
        let version = std::fs::metadata(path).map(|metadata| file_version(&metadata));
        format!("{path:?} {:?}", version.ok())
    })
}
