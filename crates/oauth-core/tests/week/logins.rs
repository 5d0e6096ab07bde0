//! Who logs in when, and with what.

use crate::figures::{Named, Origin, Token};
use crate::provider::Provider;
use crate::random::Random;
use crate::scenario::{HOUR, Micros, SECOND, Scenario};

/// Of so many logins in a row the first ones come at the same moment.
const ROW: u64 = 64;
const AT_ONCE: u64 = 8;
/// How long a token is good.
const LIFETIME: Micros = HOUR;

pub struct Logins {
    scenario: Scenario,
    /// On average.
    pause: Micros,
    random: Random,
    number: u64,
    next_at: Micros,
}

impl Logins {
    /// So many an hour.
    pub fn new(scenario: Scenario, rate: i64) -> Logins {
        Logins {
            scenario,
            pause: HOUR / rate,
            random: Random(1),
            number: 0,
            next_at: SECOND,
        }
    }

    pub fn next_at(&self) -> Micros {
        self.next_at
    }

    /// The next one comes no earlier.
    pub fn wait_until(&mut self, at: Micros) {
        self.next_at = self.next_at.max(at);
    }

    pub fn jitter(&mut self) -> u32 {
        self.random.next() as u32
    }

    /// The token that is presented now.
    pub fn next(&mut self, provider: &Provider) -> Token {
        let arrived = self.next_at;
        self.number += 1;
        if self.number % ROW >= AT_ONCE {
            let mean = self.pause * ROW as Micros / (ROW - AT_ONCE) as Micros;
            self.next_at += self.random.below(2 * mean);
        }
        let kind = self.random.below(1000);
        // Half of them have just been issued.
        let age = match self.number % 2 {
            0 => self.random.below(10 * SECOND),
            _ => self.random.below(LIFETIME),
        };
        let key = provider.signing_key((arrived - age).max(0));
        let forged = self.scenario.forged;
        let (named, origin) = match kind {
            kind if kind < forged / 2 => (Named::Nothing(self.number), Origin::Forged),
            kind if kind < forged => (Named::Key(key), Origin::Forged),
            kind if kind < forged + self.scenario.stolen => {
                let old = key.saturating_sub(1 + self.random.below(5) as usize);
                (Named::Key(old), Origin::Stolen(old))
            }
            _ => (Named::Key(key), Origin::Honest(key)),
        };
        Token {
            arrived,
            named,
            origin,
        }
    }
}
