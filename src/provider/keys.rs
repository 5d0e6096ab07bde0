//! The provider's keys: from the shared cache where it can answer, else from the provider or a file.

use std::time::{Duration, Instant, SystemTime};

use oauth_core::{
    Algorithm, CertificateTags, Clock, Endpoint, Failure, FetchId, FoundKeys, JwkSet, KeyReference,
    KeySource, Misconfigured, Plan, Printable, Reject, SystemClock, Timestamp, Unavailable,
    UnavailableCause, fetch_jwk_set, freshness_lifetime,
};

use crate::log::refusal_log::{log_failed_refresh, log_left_out_keys};
use crate::memory;
use crate::memory::key_cache::{Claim, Fetched, FoundKey, KeyCache, Standing};
use crate::memory::key_cache_layout::{IssuerKey, NoRoom, PackedKeys, Want};
use crate::memory::plain::FileVersion;
use crate::memory::statistics::{self, Row};
use crate::postgres::random::random;
use crate::provider::fetch_thread;
use crate::provider::http_client::UreqClient;
use crate::provider::key_file;
use crate::provider::provider_clock::ProviderClock;
use crate::provider::single_flight::{Look, Shared, SingleFlight, flight_end, obtain, timed_out};
use crate::settings::provider::{KeyLocation, ProviderKeys};

/// For whoever does not look for a key.
const ANY_KEY: KeyReference<'static> = KeyReference {
    alg: Algorithm::RS256,
    kid: None,
    certificate: CertificateTags::NONE,
};

impl KeySource for ProviderKeys {
    fn find_keys(&self, wanted: &KeyReference<'_>) -> Result<FoundKeys, Failure> {
        let cache = memory::cache();
        let want = self.want(*wanted);
        match &self.location {
            KeyLocation::File(path) => key_file::find_keys(cache, &want, path),
            KeyLocation::Metadata | KeyLocation::JwksUri(_) => self.find_at_provider(cache, &want),
        }
    }

    /// Fetches the keys again, unless an unknown key or another bad signature has caused that a moment ago.
    fn find_newer_keys(
        &self,
        wanted: &KeyReference<'_>,
        tried: &FoundKeys,
    ) -> Result<FoundKeys, Failure> {
        let cache = memory::cache();
        let mut want = self.want(*wanted);
        match (&self.location, tried.cached()) {
            // Each login has the file as it is.
            (KeyLocation::File(_), _) => Err(Reject::BadSignature { again_in: None }.into()),
            // The keys were fetched for this token.
            (_, None) => {
                cache.note_unknown_key(&want);
                Err(Reject::BadSignature { again_in: None }.into())
            }
            (_, Some(answer)) => {
                want.tried = Some(answer);
                self.find_at_provider(cache, &want)
            }
        }
    }
}

impl ProviderKeys {
    /// Fetches the keys again, unless another process does.
    pub fn refresh(&self) -> Result<(), Failure> {
        let cache = memory::cache();
        // Only freshness is checked, so it does not matter which key is requested.
        let want = self.want(ANY_KEY);
        let now = SystemClock.now();
        let deadline = Instant::now() + self.timeout;
        match cache.claim_refresh(&want, now, flight_end(now, self.timeout)) {
            // A request that overtakes this one has its own outcome.
            Some(fetch) => self.fetch(cache, &want, fetch, deadline).result,
            None => Ok(()),
        }
    }

    /// Fetches the keys now, even if the cached ones are fresh. Serves interrupts.
    pub fn fetch_now(&self) -> Result<(), Failure> {
        let cache = memory::cache();
        let want = self.want(ANY_KEY);
        if let KeyLocation::File(path) = &self.location {
            key_file::read_into(cache, &want, path)?;
            return Ok(());
        }
        let deadline = Instant::now() + self.timeout;
        let mut now = FetchNow {
            provider: self,
            cache,
            want: &want,
        };
        obtain(&mut now, deadline, self.timeout)
    }

    /// How the cached keys stand, for an explanation.
    pub fn standing(&self) -> Option<Standing> {
        memory::cache().standing(&self.cache_key())
    }

    /// What is counted of the issuer.
    fn statistics(&self) -> Option<&'static Row> {
        memory::attached_statistics()?.row(self.issuer.identifier())
    }

    fn want<'a>(&'a self, key: KeyReference<'a>) -> Want<'a> {
        Want {
            issuer: self.cache_key(),
            url: &self.url,
            key,
            tried: None,
            limits: self.limits,
        }
    }

    /// What is cached under one name must come from one place, and be trusted for the same reasons.
    pub fn cache_key(&self) -> IssuerKey {
        let location = match &self.location {
            KeyLocation::Metadata => "",
            KeyLocation::JwksUri(url) => url.as_str(),
            KeyLocation::File(path) => path.to_str().unwrap_or_default(),
        };
        let discovery = self.issuer.discovery().as_str();
        let own = [self.issuer.identifier(), discovery, location];
        oauth_core::cache_key(&[&own[..], &self.http.cache_parts()].concat())
    }

    /// Uses what is cached, fetches, or waits for another's fetch, as the plan says.
    fn find_at_provider(&self, cache: &KeyCache, want: &Want<'_>) -> Result<FoundKeys, Failure> {
        let deadline = Instant::now() + self.timeout;
        let mut key = FindKey {
            provider: self,
            cache,
            want,
            waited_since: None,
            has_fetched: false,
        };
        obtain(&mut key, deadline, self.timeout)
    }

    /// Fetches, and stores the answer or the failure.
    fn fetch(
        &self,
        cache: &KeyCache,
        want: &Want<'_>,
        fetch: FetchId,
        deadline: Instant,
    ) -> Outcome {
        let issuer = want.issuer;
        let flight = SingleFlight::begin(move || memory::cache().abandon_fetch(&issuer, fetch));
        let start = Instant::now();
        let is_hurried = deadline.saturating_duration_since(start) < self.timeout / 2;
        let fetched = self.ask_provider(deadline);
        let now = SystemClock.now();
        if let Some(row) = self.statistics() {
            row.fetches.count(start.elapsed(), fetched.is_err());
        }
        let mut left_out = 0;
        let (outcome, result) = match fetched {
            Ok(Answered {
                set,
                lifetime,
                clock_ahead,
            }) => {
                left_out = set.left_out();
                let packed = PackedKeys::new(&set, FileVersion::default()).with_clock(clock_ahead);
                (Fetched::Keys(packed, lifetime), Ok(()))
            }
            // A login that came to it late, after others, has given the provider little time.
            Err(failure) if is_hurried && is_timeout(&failure) => (Fetched::Nothing, Err(failure)),
            Err(Failure::Unavailable(failure)) if !failure.cause.is_ours() => {
                let packed = failure.pack();
                (Fetched::Failure(packed, random()), Err(failure.into()))
            }
            Err(failure) if fetch_thread::is_worker_called() => (Fetched::Nothing, Err(failure)),
            Err(failure) => {
                let packed = self.describe(&failure).pack();
                (Fetched::OurFault(packed, random()), Err(failure))
            }
        };
        let counts = cache.end_fetch(want, fetch, &outcome, now);
        flight.end();
        if counts && left_out != 0 {
            log_left_out_keys(&self.url, left_out);
        }
        Outcome { result, counts }
    }

    /// A failure that is not the provider's, as what is shown where its own would be.
    fn describe(&self, failure: &Failure) -> Unavailable {
        match failure {
            Failure::Unavailable(failure) => failure.clone(),
            failure => Unavailable {
                url: Printable::new(self.issuer.discovery().as_str()),
                cause: UnavailableCause::Connection(Printable::new(&failure.to_string())),
            },
        }
    }

    /// One or two requests on the helper thread.
    fn ask_provider(&self, deadline: Instant) -> Result<Answered, Failure> {
        let (issuer, http, limits) = (self.issuer.clone(), self.http.prepare(), self.limits);
        let jwks_uri = match &self.location {
            KeyLocation::JwksUri(url) => Some(url.clone()),
            KeyLocation::Metadata | KeyLocation::File(_) => None,
        };
        let asked = jwks_uri.as_ref().unwrap_or(self.issuer.discovery()).clone();
        fetch_thread::run_until(deadline, &asked, move || {
            let client = UreqClient::new(http, deadline)?;
            let sent = SystemTime::now();
            let fetched = fetch_jwk_set(&client, &issuer, jwks_uri.as_ref())?;
            let clock = ProviderClock::read(&fetched.headers, sent);
            Ok(Answered {
                lifetime: freshness_lifetime(&fetched.headers, &limits),
                clock_ahead: clock.map(|clock| clock.seconds_ahead()),
                set: fetched.keys,
            })
        })
    }
}

/// Also of a proxy, whose failures are all told in one way.
fn is_timeout(failure: &Failure) -> bool {
    let Failure::Unavailable(failure) = failure else {
        return false;
    };
    let cause = &failure.cause;
    matches!(
        cause,
        UnavailableCause::Timeout | UnavailableCause::Proxy { .. }
    )
}

/// What the provider has answered.
struct Answered {
    set: JwkSet,
    /// How long it is fresh.
    lifetime: Duration,
    /// Seconds by which the provider's clock is ahead of ours, if it tells the time.
    clock_ahead: Option<i64>,
}

/// A login looks for a key.
struct FindKey<'a> {
    provider: &'a ProviderKeys,
    cache: &'a KeyCache,
    want: &'a Want<'a>,
    /// The number of fetches that had ended when this login began to wait for one.
    waited_since: Option<u64>,
    /// This login has fetched the keys.
    has_fetched: bool,
}

impl Shared for FindKey<'_> {
    type Value = FoundKeys;
    type Claim = Claim;

    fn look(&mut self, now: Timestamp) -> Look<FoundKeys> {
        let found = self.cache.look_up(self.want, now);
        if let (Some(found), Some(fetches)) = (&found, self.waited_since)
            && found.fetches != fetches
            && found.freshness.was_attempted()
        {
            return Look::Known(answer_after_fetch(found, self.want, now));
        }
        let Some(found) = found else {
            return Look::Ask;
        };
        let limits = &self.want.limits;
        let settles = found.settles(self.want);
        // What this login has fetched decides, unless it was forgotten since.
        if self.has_fetched && found.freshness.is_usable(limits, now) {
            if !settles {
                self.cache.note_unknown_key(self.want);
            }
            return Look::Known(found.selected.map_err(Failure::from));
        }
        let seconds = || found.freshness.seconds_held_back(limits, now);
        match found.freshness.plan(settles, limits, now) {
            Plan::Use => {
                let answer = found.fetches;
                let selected = found.selected.map(|keys| keys.cached_as(answer));
                Look::Known(selected.map_err(Failure::from))
            }
            Plan::UnknownKey | Plan::Unavailable if self.want.tried.is_some() => {
                let refusal = Reject::BadSignature { again_in: None };
                Look::Known(Err(refusal.held_back(seconds()).into()))
            }
            Plan::UnknownKey => {
                let held_back = |refusal: Reject| refusal.held_back(seconds()).into();
                Look::Known(found.selected.map_err(held_back))
            }
            // The provider has failed a moment ago: what it failed with then.
            Plan::Unavailable => Look::Known(Err(match found.failure {
                Some(failure) => failure.into(),
                None => timed_out(self.url()),
            })),
            Plan::Wait => {
                self.waited_since = Some(found.fetches);
                Look::Wait
            }
            Plan::Fetch | Plan::UseAndRefresh => Look::Ask,
        }
    }

    fn claim(&mut self, now: Timestamp, until: Timestamp) -> Result<Option<Claim>, Failure> {
        self.cache.claim(self.want, now, until).map_err(full)
    }

    fn ask(&mut self, claim: Claim, deadline: Instant) -> Option<Result<FoundKeys, Failure>> {
        let (provider, want) = (self.provider, self.want);
        let fetched = provider.fetch(self.cache, want, claim.fetch, deadline);
        match fetched.result {
            // The cached keys are still good, regardless of the cause.
            Err(failure) if fetched.counts && claim.is_refresh => {
                log_failed_refresh(&provider.url, &failure);
                None
            }
            Err(failure) if fetched.counts => Some(Err(failure)),
            Ok(()) if fetched.counts => {
                self.has_fetched = true;
                None
            }
            // Every login is judged by what the cache has: of a very large set, that is a part; and after a flush nothing
            // that was fetched before.
            _ => None,
        }
    }

    fn sleep(&self, limit: Duration) {
        self.cache.sleep_while(limit, || {
            // The fetch may have ended by now.
            let now = SystemClock.now();
            self.cache.look_up(self.want, now).is_some_and(|found| {
                let plan = found
                    .freshness
                    .plan(found.settles(self.want), &self.want.limits, now);
                plan == Plan::Wait
            })
        });
    }

    fn count_wait(&self) {
        if let Some(row) = self.provider.statistics() {
            statistics::add(&row.waits, 1);
        }
    }

    fn url(&self) -> &Endpoint {
        self.provider.issuer.discovery()
    }
}

/// A fetch regardless of freshness: the fetch that another process has under way may have been answered before the
/// reason for this one.
struct FetchNow<'a> {
    provider: &'a ProviderKeys,
    cache: &'a KeyCache,
    want: &'a Want<'a>,
}

impl Shared for FetchNow<'_> {
    type Value = ();
    type Claim = FetchId;

    fn look(&mut self, now: Timestamp) -> Look<()> {
        match self.cache.is_fetching(&self.want.issuer, now) {
            true => Look::Wait,
            false => Look::Ask,
        }
    }

    fn claim(&mut self, now: Timestamp, until: Timestamp) -> Result<Option<FetchId>, Failure> {
        self.cache.claim_now(self.want, now, until).map_err(full)
    }

    fn ask(&mut self, fetch: FetchId, deadline: Instant) -> Option<Result<(), Failure>> {
        let fetched = self.provider.fetch(self.cache, self.want, fetch, deadline);
        fetched.counts.then_some(fetched.result)
    }

    fn sleep(&self, limit: Duration) {
        let is_fetching = || self.cache.is_fetching(&self.want.issuer, SystemClock.now());
        self.cache.sleep_while(limit, is_fetching);
    }

    fn url(&self) -> &Endpoint {
        self.provider.issuer.discovery()
    }
}

/// How a fetch of this process ended.
struct Outcome {
    result: Result<(), Failure>,
    /// The cache now has it. Otherwise something has overtaken it, and it changed nothing.
    counts: bool,
}

/// What a login makes of the end of a fetch that it waited for: it does not fetch again.
fn answer_after_fetch(
    found: &FoundKey,
    want: &Want<'_>,
    now: Timestamp,
) -> Result<FoundKeys, Failure> {
    match &found.failure {
        Some(failure) if !(found.settles(want) && found.freshness.is_usable(&want.limits, now)) => {
            Err(failure.clone().into())
        }
        _ => found.selected.clone().map_err(Failure::from),
    }
}

/// Without a place in the cache nothing would keep logins from asking the provider each time.
fn full(no_room: NoRoom) -> Failure {
    let issuers = no_room.issuers;
    Misconfigured::KeyCacheFull { issuers }.into()
}
