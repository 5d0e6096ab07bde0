//! What happens in a week.

use std::time::Duration;

use oauth_core::CacheLimits;

/// Microseconds, and those since the week began.
pub type Micros = i64;

pub const SECOND: Micros = 1_000_000;
pub const MINUTE: Micros = 60 * SECOND;
pub const HOUR: Micros = 60 * MINUTE;
pub const WEEK: Micros = 7 * 24 * HOUR;

/// The module's defaults.
pub const LIMITS: CacheLimits = CacheLimits {
    min_ttl: Duration::from_secs(60),
    max_ttl: Duration::from_secs(86_400),
    stale_ttl: Duration::from_secs(86_400),
    refresh_cooldown: Duration::from_secs(10),
};

/// How a provider fails.
#[derive(Clone, Copy, PartialEq)]
pub enum Failing {
    /// Nobody listens.
    Refuses,
    /// It is silent until `http_timeout` is over.
    Hangs,
    /// 503, and the wish to be left alone for an hour.
    Busy,
}

#[derive(Clone, Copy)]
pub struct Outage {
    pub from: Micros,
    pub to: Micros,
    pub how: Failing,
}

/// A clock is set: when, and by how much.
pub type Jump = (Micros, Micros);

#[derive(Clone, Copy)]
pub struct Scenario {
    /// As the table has it.
    pub name: &'static str,
    /// Seconds of `Cache-Control: max-age`; none: the provider says nothing.
    pub max_age: Option<i64>,
    /// A key is published so long before the first token is signed with it.
    pub published_ahead: Micros,
    /// A key stays published so long after the last token was signed with it.
    pub kept: Micros,
    /// All keys have the same `kid`, so that only one is published at a time.
    pub one_name: bool,
    pub outages: &'static [Outage],
    /// Of the database server's clock.
    pub server_jumps: &'static [Jump],
    /// Of the provider's clock.
    pub provider_jumps: &'static [Jump],
    /// Of 1000 logins so many have a forged token: one half of them with an unknown `kid`, the other with that of a key.
    pub forged: i64,
    /// Of 1000 logins so many are a thief's, with tokens signed by one of the five keys before the one in use.
    pub stolen: i64,
    /// Fetches are interrupted, and their processes stopped; keys are flushed every six hours; and a third of the logins has
    /// longer times set, as while settings are being reloaded.
    pub troubled: bool,
    /// A login that is refused, although its key is published and the provider answers, was made at most so long after
    /// the key was published or the provider came back.
    pub window: Micros,
}

/// Keys are published well before they are used, and stay published until the last token has expired.
pub const CALM: Scenario = Scenario {
    name: "nothing else happens",
    max_age: Some(3600),
    published_ahead: 2 * HOUR,
    kept: HOUR,
    one_name: false,
    outages: &[],
    server_jumps: &[],
    provider_jumps: &[],
    forged: 0,
    stolen: 0,
    troubled: false,
    window: 0,
};

/// Until a token with an unknown key causes a fetch again, and a fetch in the middle of which the key was published.
const COOLDOWN: Micros = 10 * SECOND + SECOND;
/// The longest pause after failures with what is added to it at random, and a fetch that began when it was over.
const PAUSE: Micros = 75 * SECOND + 5 * SECOND + SECOND;

const fn outage(from: Micros, length: Micros, how: Failing) -> Outage {
    Outage {
        from,
        to: from + length,
        how,
    }
}

/// From minutes to hours; one begins with a rotation, one lies around one.
const OUTAGES: &[Outage] = &[
    outage(10 * HOUR, 2 * MINUTE, Failing::Refuses),
    outage(30 * HOUR, 10 * MINUTE, Failing::Hangs),
    outage(53 * HOUR, 2 * HOUR, Failing::Busy),
    outage(75 * HOUR, 8 * HOUR, Failing::Refuses),
    outage(100 * HOUR, HOUR, Failing::Hangs),
    outage(130 * HOUR, 5 * HOUR, Failing::Hangs),
    outage(150 * HOUR, 30 * MINUTE, Failing::Busy),
];

/// Longer than stale keys are used.
const LONG_OUTAGE: &[Outage] = &[outage(40 * HOUR, 30 * HOUR, Failing::Refuses)];

/// Forward and back, by seconds, minutes, hours and days; once at the end of an outage, and once
/// during a fetch.
const JUMPS: &[Jump] = &[
    (9 * HOUR, 30 * SECOND),
    (20 * HOUR, -45 * SECOND),
    (33 * HOUR, 10 * MINUTE),
    (47 * HOUR, -10 * MINUTE),
    (60 * HOUR + 5 * SECOND, -45 * SECOND),
    (72 * HOUR + 2 * SECOND, 3 * HOUR),
    (83 * HOUR - 20 * SECOND, -3 * HOUR),
    (110 * HOUR, 50 * HOUR),
    (125 * HOUR, -50 * HOUR),
    (144 * HOUR + 3 * SECOND, -10 * MINUTE),
];

/// What [`Scenario`]s there are, in the order of the table.
pub const SCENARIOS: &[Scenario] = &[
    CALM,
    Scenario {
        name: "the provider says nothing about caching",
        max_age: None,
        ..CALM
    },
    Scenario {
        name: "keys are published when they are first used",
        published_ahead: 0,
        window: COOLDOWN,
        ..CALM
    },
    Scenario {
        name: "keys are published 5 minutes after they are first used",
        published_ahead: -5 * MINUTE,
        window: COOLDOWN,
        ..CALM
    },
    Scenario {
        name: "each key replaces the one before under the same `kid`",
        published_ahead: 0,
        kept: 0,
        one_name: true,
        window: COOLDOWN,
        ..CALM
    },
    Scenario {
        name: "each key is stolen, and withdrawn when the next is first used",
        kept: 0,
        stolen: 10,
        ..CALM
    },
    Scenario {
        name: "the same, and an outage of 30 hours",
        kept: 0,
        stolen: 10,
        outages: LONG_OUTAGE,
        window: PAUSE,
        ..CALM
    },
    Scenario {
        name: "7 outages, of 2 minutes to 8 hours",
        outages: OUTAGES,
        window: PAUSE,
        ..CALM
    },
    Scenario {
        name: "an outage of 30 hours alone",
        outages: LONG_OUTAGE,
        window: PAUSE,
        ..CALM
    },
    Scenario {
        name: "the server's clock is set 10 times, by 30 seconds to 50 hours",
        published_ahead: 0,
        server_jumps: JUMPS,
        window: COOLDOWN + 60 * SECOND,
        ..CALM
    },
    Scenario {
        name: "the same of the provider's clock",
        published_ahead: 0,
        provider_jumps: JUMPS,
        window: COOLDOWN,
        ..CALM
    },
    Scenario {
        name: "1 in 100 tokens is forged",
        forged: 10,
        ..CALM
    },
    Scenario {
        name: "every other token is forged, and keys are published when they are first used",
        published_ahead: 0,
        forged: 500,
        window: COOLDOWN,
        ..CALM
    },
    Scenario {
        name: "fetches are interrupted, and keys flushed every 6 hours",
        published_ahead: 0,
        troubled: true,
        window: 30 * SECOND + COOLDOWN,
        ..CALM
    },
    Scenario {
        name: "all of the above that can be at once",
        published_ahead: 0,
        outages: OUTAGES,
        server_jumps: JUMPS,
        provider_jumps: JUMPS,
        forged: 10,
        troubled: true,
        window: PAUSE + 120 * SECOND,
        ..CALM
    },
];

/// How far a clock is ahead of where it was when the week began.
pub fn offset(jumps: &[Jump], at: Micros) -> Micros {
    jumps
        .iter()
        .filter(|(when, _)| *when <= at)
        .map(|(_, by)| by)
        .sum()
}
