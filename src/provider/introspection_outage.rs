//! Asks an introspection endpoint, unless it is known to be down, and finds out whether it is.
//!
//! A failure may be due to the token: whoever sends one at which the endpoint hangs must not shut out everyone else. So an
//! endpoint is down only if it does not answer about a token that nobody has sent, either. An answer about any token shows that
//! it is not.

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

/// How often a login looks which of two requests has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

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

    /// One request, unless the endpoint is known to be down. If it was, and may answer again, this login finds that out,
    /// until `until`.
    pub fn ask_unless_down(
        &self,
        endpoint: &Endpoint,
        token: &Bearer<'_>,
        deadline: Instant,
        until: Timestamp,
    ) -> Result<Answer, Failed> {
        let breakers = memory::circuit_breakers();
        let trial = match breakers.enter(&self.breaker_key(), SystemClock.now(), until) {
            Entry::Free => None,
            Entry::Trial => Some(until),
            Entry::Refused(failure) => {
                let failure = failure.map_or_else(|| timed_out(endpoint), Failure::from);
                return Err(Failed::Otherwise(failure));
            }
        };
        let start = Instant::now();
        let (asked, health) = self
            .ask(endpoint, token, deadline, trial.is_some())
            .unwrap_or_else(|failure| (Err(failure), Health::Unknown));
        self.count(|row| row.introspections.count(start.elapsed(), asked.is_err()));
        let is_of_token = matches!(health, Health::Answers);
        self.note_health(health, trial);
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

    /// One request about a token, and what it says of the endpoint: if it fails, or is not answered soon, together with one
    /// about a token that nobody has sent. In a trial both are sent at once.
    fn ask(
        &self,
        endpoint: &Endpoint,
        token: &Bearer<'_>,
        deadline: Instant,
        is_trial: bool,
    ) -> Result<(Result<Answer, Failure>, Health), Failure> {
        let start = Instant::now();
        let left = deadline.saturating_duration_since(start);
        // What has less time than this to answer in says nothing by not answering.
        let enough = self.timeout * 3 / 4;
        let is_hurried = left < enough;
        let patience = match is_trial {
            true => Duration::ZERO,
            false => left.saturating_sub(enough),
        };
        let mut asked = self.start(endpoint, token, deadline)?;
        // That it cannot be sent does not matter to a login that is answered.
        let mut probe = None;
        if (is_trial || !is_hurried) && !asked.has_ended_by(start + patience)? {
            probe = Some(self.start(endpoint, &NEVER_ISSUED, deadline));
        }
        if let (true, Some(Ok(probe))) = (is_trial, &mut probe) {
            self.end_outage_if_answered(probe, &mut asked, deadline)?;
        }
        let answer = asked.finish();
        let mut health = Health::of(&answer, is_hurried);
        if matches!(health, Health::Down(_)) {
            let probe = probe.unwrap_or_else(|| self.start(endpoint, &NEVER_ISSUED, deadline));
            health = Health::of(&probe.and_then(UnderWay::finish), is_hurried);
        }
        Ok((answer, health))
    }

    /// Waits for `probe` or for the login's own request, whichever ends first. An answer to `probe` ends the outage for all
    /// at once, whatever becomes of the login.
    fn end_outage_if_answered(
        &self,
        probe: &mut UnderWay<Answer>,
        asked: &mut UnderWay<Answer>,
        deadline: Instant,
    ) -> Result<(), Failure> {
        while !asked.has_ended_by(deadline.min(Instant::now() + LOOK_AGAIN))? {
            if probe.has_ended_by(Instant::now())? {
                let is_answered =
                    |outcome: &_| matches!(Health::of(outcome, false), Health::Answers);
                if probe.outcome_is(is_answered) {
                    self.note_health(Health::Answers, None);
                }
                break;
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        Ok(())
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
