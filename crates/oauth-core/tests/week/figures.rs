//! What is counted in a week, and what has to hold of each login.

use std::time::Duration;

use oauth_core::{CacheLimits, Timestamp};

use crate::provider::Provider;
use crate::scenario::{LIMITS, Micros, SECOND, Scenario, WEEK};

/// A token, and when its bearer came.
#[derive(Clone, Copy)]
pub struct Token {
    pub arrived: Micros,
    pub named: Named,
    pub origin: Origin,
}

/// What the token's `kid` names.
#[derive(Clone, Copy)]
pub enum Named {
    /// The provider's key of this number.
    Key(usize),
    /// Nothing that anybody has published.
    Nothing(u64),
}

#[derive(Clone, Copy, PartialEq)]
pub enum Origin {
    /// It is signed by the provider's key of this number.
    Honest(usize),
    /// The same, by a thief.
    Stolen(usize),
    /// Nobody knows its key.
    Forged,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Verdict {
    Accepted,
    /// None of the keys is the token's.
    UnknownKey,
    /// There are no keys that could be used.
    Unavailable,
}

#[derive(Debug, Default, Clone, PartialEq)]
pub struct Figures {
    pub logins: u64,
    pub requests: u64,
    pub fetches: Fetches,
    pub accepted: u64,
    /// Good tokens that were refused because the provider had not published their key, or did not answer.
    pub refused: u64,
    /// Good tokens that were refused although their key was published and the provider answered.
    pub refused_without_need: u64,
    /// How long after the key was published, the provider came back or the keys were flushed, the last of them was.
    pub longest: Micros,
    /// For how long a key was used after it was withdrawn.
    pub withdrawn: Micros,
    /// Of one login.
    pub longest_wait: Micros,
}

#[derive(Debug, Default, Clone, PartialEq)]
pub struct Fetches {
    pub begun: i64,
    pub failed: i64,
    /// Those that an unknown key caused, good or bad.
    pub demanded: i64,
    /// The others that brought keys.
    pub renewals: i64,
}

/// What the provider has said last.
struct Answer {
    /// By the server's clock.
    usable_until: Timestamp,
    keys: Vec<usize>,
}

/// Counts, and checks each login by what the provider has said.
pub struct Bookkeeper<'a> {
    provider: &'a Provider,
    scenario: Scenario,
    last_answer: Option<Answer>,
    /// When the last fetch has ended that an unknown key caused.
    demanded_at: Option<Micros>,
    flushed_at: Micros,
    /// When the last fetch began that counts.
    counted_since: Micros,
    pub figures: Figures,
}

impl<'a> Bookkeeper<'a> {
    pub fn new(provider: &'a Provider, scenario: Scenario) -> Self {
        Bookkeeper {
            provider,
            scenario,
            last_answer: None,
            demanded_at: None,
            flushed_at: 0,
            counted_since: 0,
            figures: Figures::default(),
        }
    }

    /// All logins now use the keys that the provider had published at `served`.
    pub fn note_answer(&mut self, served: Micros, limits: &CacheLimits, now: Timestamp) {
        let lifetime = Duration::from_secs(self.scenario.max_age.unwrap_or(300) as u64);
        let keys = self.provider.keys.iter().enumerate();
        let keys = keys.filter(|(_, key)| key.is_published(served));
        self.last_answer = Some(Answer {
            usable_until: now.plus(lifetime.max(limits.stale_ttl)),
            keys: keys.map(|(n, _)| n).collect(),
        });
    }

    /// A fetch counts that began then: after the last flush, and after the last other one that counts.
    pub fn note_order(&mut self, begun: Micros) {
        let last = self.flushed_at.max(self.counted_since);
        assert!(begun >= last, "{}", self.scenario.name);
        self.counted_since = begun;
    }

    /// A fetch has ended that counts. Of two that unknown keys caused the second one ends after the cooldown.
    pub fn note_fetch(&mut self, is_demanded: bool, is_good: bool, at: Micros) {
        let fetches = &mut self.figures.fetches;
        fetches.failed += i64::from(!is_good);
        fetches.renewals += i64::from(is_good && !is_demanded);
        if is_demanded {
            fetches.demanded += 1;
            let is_calm = self.scenario.server_jumps.is_empty() && !self.scenario.troubled;
            let since = at - self.demanded_at.replace(at).unwrap_or(-WEEK);
            let cooldown = LIMITS.refresh_cooldown.as_micros() as Micros;
            assert!(since >= cooldown || !is_calm, "{}", self.scenario.name);
        }
    }

    pub fn note_flush(&mut self, at: Micros) {
        self.flushed_at = at;
        self.last_answer = None;
    }

    /// A login is over. `now` is what the server's clock shows.
    pub fn note(&mut self, token: &Token, verdict: Verdict, at: Micros, now: Timestamp) {
        let figures = &mut self.figures;
        figures.logins += 1;
        figures.longest_wait = figures.longest_wait.max(at - token.arrived);
        let key = match token.origin {
            Origin::Honest(key) | Origin::Stolen(key) => key,
            Origin::Forged => {
                assert!(verdict != Verdict::Accepted, "a forged token is accepted");
                return;
            }
        };
        let known = self.last_answer.as_ref();
        let is_known =
            known.is_some_and(|answer| now < answer.usable_until && answer.keys.contains(&key));
        let name = self.scenario.name;
        if verdict == Verdict::Accepted {
            // By a key that the provider's last good answer had, within the limit.
            assert!(is_known, "{name}: key {key} accepted at {at}");
            figures.accepted += 1;
            let withdrawn_at = self.provider.keys[key].withdrawn_at;
            figures.withdrawn = figures.withdrawn.max(at - withdrawn_at);
            return;
        }
        // Whatever the provider does.
        assert!(!is_known, "{name}: known key {key} refused at {at}");
        if matches!(token.origin, Origin::Stolen(_)) {
            return;
        }
        let is_published = self.provider.keys[key].is_published(at);
        if !is_published || self.provider.outage(at).is_some() {
            figures.refused += 1;
            return;
        }
        let since = at - self.provider.sound_since(key, at).max(self.flushed_at);
        assert!(
            since <= self.scenario.window,
            "{name}: key {key} refused at {at}, {} s after nothing stood against it",
            since / SECOND
        );
        figures.refused_without_need += 1;
        figures.longest = figures.longest.max(since);
    }
}
