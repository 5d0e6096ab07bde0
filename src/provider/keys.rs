//! The provider's keys: from the shared cache where it can answer, else from the provider or a file.

use std::time::{Duration, Instant};

use oauth_core::{
    Algorithm, Clock, Failure, FetchId, Issuer, JwkSet, KeySource, Misconfigured, Plan, Printable,
    PublicKey, Reject, SystemClock, Timestamp, Unavailable, UnavailableCause, fetch_jwk_set,
    freshness_lifetime,
};

use crate::log::refusal_log::log_failed_refresh;
use crate::memory;
use crate::memory::key_cache::{Fetched, FoundKey, KeyCache};
use crate::memory::key_cache_layout::{IssuerKey, NoRoom, PackedKeys, Want};
use crate::memory::plain::FileVersion;
use crate::memory::statistics::{self, Row};
use crate::postgres::random::random;
use crate::provider::fetch_thread;
use crate::provider::http_client::UreqClient;
use crate::provider::key_file;
use crate::provider::single_flight::SingleFlight;
use crate::settings::provider::{KeyLocation, ProviderKeys};

impl KeySource for ProviderKeys {
    fn find_key(&self, kid: Option<&str>, alg: Algorithm) -> Result<PublicKey, Failure> {
        let cache = memory::cache();
        let want = self.want(kid, alg);
        match &self.location {
            KeyLocation::File(path) => key_file::find_key(cache, &want, path),
            KeyLocation::Metadata | KeyLocation::JwksUri(_) => self.find_at_provider(cache, &want),
        }
    }
}

impl ProviderKeys {
    /// Fetches the keys again, unless another process does.
    pub fn refresh(&self) -> Result<(), Failure> {
        let cache = memory::cache();
        // Only freshness is looked at, so it does not matter which key is wanted.
        let want = self.want(None, Algorithm::RS256);
        let now = SystemClock.now();
        let deadline = Instant::now() + self.timeout;
        match cache.claim_refresh(&want, now, self.flight_end(now)) {
            // What overtakes it has its own outcome.
            Some(fetch) => self.fetch(cache, &want, fetch, deadline).result,
            None => Ok(()),
        }
    }

    /// Fetches the keys now, however fresh those at hand are. Serves interrupts.
    pub fn fetch_now(&self) -> Result<(), Failure> {
        let cache = memory::cache();
        let want = self.want(None, Algorithm::RS256);
        if let KeyLocation::File(path) = &self.location {
            key_file::read_into(cache, &want, path)?;
            return Ok(());
        }
        // What another process asks for now may have been answered before the reason to ask again.
        let deadline = Instant::now() + self.timeout;
        loop {
            let now = SystemClock.now();
            let claimed = cache.claim_now(&want, now, self.flight_end(now));
            if let Some(fetch) = claimed.map_err(full)? {
                let fetched = self.fetch(cache, &want, fetch, deadline);
                if fetched.counts {
                    return fetched.result;
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(timed_out(&self.issuer).into());
            }
            cache.sleep_while(left, || cache.is_fetching(&want.issuer, SystemClock.now()));
        }
    }

    /// What is counted of the issuer.
    fn statistics(&self) -> Option<&'static Row> {
        memory::attached_statistics()?.row(self.issuer.identifier())
    }

    fn want<'a>(&'a self, kid: Option<&'a str>, alg: Algorithm) -> Want<'a> {
        Want {
            issuer: self.cache_key(),
            url: &self.url,
            kid,
            alg,
            limits: self.limits,
        }
    }

    fn flight_end(&self, now: Timestamp) -> Timestamp {
        now.plus(self.timeout).plus(fetch_thread::GRACE)
    }

    /// What is cached under one name must come from one place, and be trusted for the same reasons.
    pub fn cache_key(&self) -> IssuerKey {
        let location = match &self.location {
            KeyLocation::Metadata => "",
            KeyLocation::JwksUri(url) => url.as_str(),
            KeyLocation::File(path) => path.to_str().unwrap_or_default(),
        };
        let discovery = self.issuer.discovery().as_str();
        let [ca_file, ca_file_only, bearer_file] = self.http.cache_parts();
        oauth_core::cache_key(&[
            self.issuer.identifier(),
            discovery,
            location,
            ca_file,
            ca_file_only,
            bearer_file,
        ])
    }

    /// Uses what is cached, fetches, or waits for another's fetch, as the plan says.
    fn find_at_provider(&self, cache: &KeyCache, want: &Want<'_>) -> Result<PublicKey, Failure> {
        let deadline = Instant::now() + self.timeout;
        // The number of fetches that had ended when this login began to wait for one.
        let mut waited_since = None;
        // A login asks once, and again if what it asked was overtaken, such as by a flush.
        let mut has_asked = false;
        loop {
            let now = SystemClock.now();
            let found = cache.look_up(want, now);
            let settled = found.as_ref().is_some_and(FoundKey::settles);
            if let (Some(found), Some(fetches)) = (&found, waited_since)
                && found.fetches != fetches
                && found.freshness.was_attempted()
            {
                return answer_after_fetch(found, now);
            }
            let plan = match &found {
                Some(found) => found.freshness.plan(settled, &self.limits, now),
                None => Plan::Fetch,
            };
            match (plan, found) {
                (Plan::Use | Plan::UnknownKey, Some(found)) => {
                    return found.selected.map_err(Failure::from);
                }
                (Plan::Unavailable, Some(found)) => return Err(unavailable(&found, &self.issuer)),
                (Plan::Wait, Some(found)) => {
                    if waited_since.replace(found.fetches).is_none()
                        && let Some(row) = self.statistics()
                    {
                        statistics::add(&row.waits, 1);
                    }
                    self.wait(cache, want, deadline)?;
                }
                (Plan::Fetch | Plan::UseAndRefresh, _) => {
                    if has_asked && Instant::now() >= deadline {
                        return Err(timed_out(&self.issuer).into());
                    }
                    // Another process may have been faster: then look again.
                    let claimed = cache.claim(want, now, self.flight_end(now));
                    if let Some(claim) = claimed.map_err(full)? {
                        has_asked = true;
                        let fetched = self.fetch(cache, want, claim.fetch, deadline);
                        match fetched.result {
                            // The keys at hand are still good, whoever is at fault.
                            Err(failure) if fetched.counts && claim.is_refresh => {
                                log_failed_refresh(&self.url, &failure);
                            }
                            Err(failure) if fetched.counts => return Err(failure),
                            // Every login is judged by what the cache has: of a very large set, that is a part; and
                            // after a flush nothing that was fetched before.
                            _ => {}
                        }
                    }
                }
                // Plans for what is not cached are to fetch.
                (_, None) => return Err(Reject::UnknownKid.into()),
            }
        }
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
        let fetched = self.ask_provider(deadline);
        let now = SystemClock.now();
        if let Some(row) = self.statistics() {
            row.fetches.count(start.elapsed(), fetched.is_err());
        }
        let (outcome, result) = match fetched {
            Ok((set, lifetime)) => {
                let packed = PackedKeys::new(&set, FileVersion::default());
                (Fetched::Keys(packed, lifetime), Ok(()))
            }
            Err(Failure::Unavailable(failure)) => {
                let packed = failure.pack();
                (Fetched::Failure(packed, random()), Err(failure.into()))
            }
            Err(failure) if fetch_thread::is_worker_called() => (Fetched::Nothing, Err(failure)),
            Err(failure) => {
                let url = Printable::new(self.issuer.discovery().as_str());
                let cause = UnavailableCause::Connection(Printable::new(&failure.to_string()));
                let packed = Unavailable { url, cause }.pack();
                (Fetched::OurFault(packed, random()), Err(failure))
            }
        };
        let counts = cache.end_fetch(want, fetch, &outcome, now);
        flight.end();
        Outcome { result, counts }
    }

    /// One or two requests on the helper thread; the answer, and how long it is fresh.
    fn ask_provider(&self, deadline: Instant) -> Result<(JwkSet, Duration), Failure> {
        let (issuer, http, limits) = (self.issuer.clone(), self.http.prepare(), self.limits);
        let jwks_uri = match &self.location {
            KeyLocation::JwksUri(url) => Some(url.clone()),
            KeyLocation::Metadata | KeyLocation::File(_) => None,
        };
        let asked = jwks_uri.as_ref().unwrap_or(self.issuer.discovery()).clone();
        fetch_thread::run_until(deadline, &asked, move || {
            let client = UreqClient::new(http, deadline)?;
            let fetched = fetch_jwk_set(&client, &issuer, jwks_uri.as_ref())?;
            let lifetime = freshness_lifetime(&fetched.headers, &limits);
            Ok((fetched.keys, lifetime))
        })
    }

    /// Sleeps until a fetch has ended. Serves interrupts.
    fn wait(&self, cache: &KeyCache, want: &Want<'_>, deadline: Instant) -> Result<(), Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(timed_out(&self.issuer).into());
        }
        cache.sleep_while(left, || {
            // The fetch may have ended by now.
            let now = SystemClock.now();
            cache.look_up(want, now).is_some_and(|found| {
                found.freshness.plan(found.settles(), &self.limits, now) == Plan::Wait
            })
        });
        Ok(())
    }
}

/// How a fetch of this process ended.
struct Outcome {
    result: Result<(), Failure>,
    /// It is what the cache now has; otherwise something has overtaken it, and it changed nothing.
    counts: bool,
}

/// What a login makes of the end of a fetch that it waited for: it does not fetch again.
fn answer_after_fetch(found: &FoundKey, now: Timestamp) -> Result<PublicKey, Failure> {
    match &found.failure {
        Some(failure) if !(found.settles() && found.freshness.is_usable(now)) => {
            Err(failure.clone().into())
        }
        _ => found.selected.clone().map_err(Failure::from),
    }
}

/// The provider has failed a moment ago: what it failed with then.
fn unavailable(found: &FoundKey, issuer: &Issuer) -> Failure {
    found
        .failure
        .clone()
        .unwrap_or_else(|| timed_out(issuer))
        .into()
}

/// Without a place in the cache nothing would keep logins from asking the provider each time.
fn full(no_room: NoRoom) -> Failure {
    let issuers = no_room.issuers;
    Misconfigured::KeyCacheFull { issuers }.into()
}

fn timed_out(issuer: &Issuer) -> Unavailable {
    let url = Printable::new(issuer.discovery().as_str());
    Unavailable {
        url,
        cause: UnavailableCause::Timeout,
    }
}
