//! Asks an introspection endpoint, unless it is known to be down, and finds out whether it is.
//!
//! A failure may be due to the token: whoever sends one at which the endpoint hangs must not shut out everyone else. So an
//! endpoint is down only if it does not answer about a token that nobody has sent, either, and only such a question finds out
//! whether it answers again.

use std::time::{Duration, Instant};

use oauth_core::{Bearer, Clock, Endpoint, Failure, SystemClock, Timestamp, Unavailable};

use crate::memory;
use crate::memory::answer_cache::AnswerKey;
use crate::memory::circuit_breaker::Entry;
use crate::postgres::random::random;
use crate::provider::fetch_thread::{self, UnderWay};
use crate::provider::introspection_question::{Answer, NEVER_ISSUED};
use crate::provider::single_flight::{SingleFlight, flight_end, timed_out};
use crate::settings::provider::ProviderIntrospection;

/// Why there is no answer about a token.
pub enum Failed {
    /// The endpoint answers, but not about this token.
    OfToken(Failure),
    /// It is down, or this server's settings or resources do not allow to ask.
    Otherwise(Failure),
}

impl Failed {
    fn into_failure(self) -> Failure {
        match self {
            Failed::OfToken(failure) | Failed::Otherwise(failure) => failure,
        }
    }
}

/// What a request says of its endpoint.
enum Health {
    Answers,
    Down(Unavailable),
    Unknown,
}

impl Health {
    /// By the outcome of a request, which may have been given too little time (`is_hurried`) to count if it failed.
    fn of(outcome: &Result<Answer, Failure>, is_hurried: bool) -> Self {
        match outcome {
            Ok(_) => Health::Answers,
            Err(Failure::Unavailable(failure)) if failure.cause.is_outage() => match is_hurried {
                true => Health::Unknown,
                false => Health::Down(failure.clone()),
            },
            Err(Failure::Unavailable(failure)) if !failure.cause.is_ours() => Health::Answers,
            Err(_) => Health::Unknown,
        }
    }
}

impl ProviderIntrospection {
    /// One request for this login alone.
    pub fn ask_alone(
        &self,
        endpoint: &Endpoint,
        token: &Bearer<'_>,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let until = flight_end(SystemClock.now(), self.timeout);
        let breaker = self.breaker_key();
        let flight =
            SingleFlight::begin(move || memory::circuit_breakers().abandon(&breaker, until));
        let answer = self.ask_unless_down(endpoint, token, deadline, until);
        flight.end();
        answer.map_err(Failed::into_failure)
    }

    /// One request, unless the endpoint is known to be down. If it was, and may answer again, this login finds that out
    /// first, until `until`.
    pub fn ask_unless_down(
        &self,
        endpoint: &Endpoint,
        token: &Bearer<'_>,
        deadline: Instant,
        until: Timestamp,
    ) -> Result<Answer, Failed> {
        match memory::circuit_breakers().enter(&self.breaker_key(), SystemClock.now(), until) {
            Entry::Free => {}
            Entry::Trial => {
                let start = Instant::now();
                let left = deadline.saturating_duration_since(start);
                let probe = self.start(endpoint, &NEVER_ISSUED, deadline);
                let probed = probe.and_then(UnderWay::finish);
                let health = Health::of(&probed, self.is_hurried(left));
                let is_answered = matches!(health, Health::Answers);
                self.note_health(health, Some(until));
                if let (false, Err(failure)) = (is_answered, probed) {
                    // An outage that goes on must be seen in the statistics.
                    self.count(|row| row.introspections.count(start.elapsed(), true));
                    self.doubt_endpoint(&failure);
                    return Err(Failed::Otherwise(failure));
                }
            }
            Entry::Refused(failure) => {
                let failure = failure.map_or_else(|| timed_out(endpoint), Failure::from);
                return Err(Failed::Otherwise(failure));
            }
        }
        let start = Instant::now();
        let (asked, health) = self
            .ask(endpoint, token, deadline)
            .unwrap_or_else(|failure| (Err(failure), Health::Unknown));
        self.count(|row| row.introspections.count(start.elapsed(), asked.is_err()));
        let is_of_token = matches!(health, Health::Answers);
        self.note_health(health, None);
        asked.map_err(|failure| {
            self.doubt_endpoint(&failure);
            match is_of_token {
                true => Failed::OfToken(failure),
                false => Failed::Otherwise(failure),
            }
        })
    }

    /// Refuses at once, and before anything is fetched or claimed, while the endpoint is down.
    pub fn ensure_not_down(&self) -> Result<(), Failure> {
        let found = memory::circuit_breakers().look(&self.breaker_key(), SystemClock.now());
        match found {
            Some(Entry::Refused(Some(failure))) => Err(failure.into()),
            _ => Ok(()),
        }
    }

    /// What is down is an endpoint, as it is asked.
    pub fn breaker_key(&self) -> AnswerKey {
        self.key_of("down", "")
    }

    fn note_health(&self, health: Health, trial: Option<Timestamp>) {
        let (breakers, key) = (memory::circuit_breakers(), self.breaker_key());
        match (health, trial) {
            (Health::Answers, _) => breakers.open(&key),
            (Health::Down(failure), _) => {
                breakers.fail(&key, trial, &failure.pack(), random(), SystemClock.now());
            }
            (Health::Unknown, Some(until)) => breakers.abandon(&key, until),
            (Health::Unknown, None) => {}
        }
    }

    /// One request about a token, and what it says of the endpoint: if it fails, or is not answered in half of the time, by
    /// one about a token that nobody has sent.
    fn ask(
        &self,
        endpoint: &Endpoint,
        token: &Bearer<'_>,
        deadline: Instant,
    ) -> Result<(Result<Answer, Failure>, Health), Failure> {
        let start = Instant::now();
        let left = deadline.saturating_duration_since(start);
        let is_hurried = self.is_hurried(left);
        let mut asked = self.start(endpoint, token, deadline)?;
        let mut probe = None;
        if !is_hurried && !asked.has_ended_by(start + left / 2)? {
            probe = Some(self.start(endpoint, &NEVER_ISSUED, deadline));
        }
        let answer = asked.finish();
        let mut health = Health::of(&answer, is_hurried);
        if matches!(health, Health::Down(_)) {
            let probe = probe.unwrap_or_else(|| self.start(endpoint, &NEVER_ISSUED, deadline));
            health = Health::of(&probe.and_then(UnderWay::finish), false);
        }
        Ok((answer, health))
    }

    /// Whether so little time is left that nothing is known of an endpoint that does not answer in it.
    fn is_hurried(&self, left: Duration) -> bool {
        left < self.timeout / 2
    }

    /// Starts one request, on a helper thread.
    fn start(
        &self,
        endpoint: &Endpoint,
        token: &Bearer<'_>,
        deadline: Instant,
    ) -> Result<UnderWay<Answer>, Failure> {
        let secret = self
            .client
            .read_secret(self.http.bearer.as_ref(), endpoint)?;
        let question = self.question(secret, token)?;
        let url = endpoint.clone();
        fetch_thread::start(deadline, endpoint, move || question.ask(&url, deadline))
    }
}
