//! A database server in which many logins are under way at once: a simulation by events.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use oauth_core::{CacheLimits, Candidates, FetchId, Timestamp};

use crate::cache::{Cache, Look, Search};
use crate::figures::{Bookkeeper, Figures, Origin, Token, Verdict};
use crate::logins::Logins;
use crate::one_by_one;
use crate::provider::{Fetch, Provider};
use crate::scenario::{HOUR, LIMITS, Micros, SECOND, Scenario, WEEK, offset};

/// `validator.http_timeout`, and how much later a fetch is given up.
const TIMEOUT: Duration = Duration::from_secs(5);
const GRACE: Duration = Duration::from_millis(50);
/// How often a login that waits for another's fetch looks again, and the worker whether keys are due.
const LOOK_AGAIN: Micros = SECOND / 2;
const WORKER: Duration = Duration::from_secs(5);
/// 2027-01-15.
const BEGIN: i64 = 1_800_000_000;

fn micros(duration: Duration) -> Micros {
    duration.as_micros() as Micros
}

/// What `now` is by a clock that is so far ahead.
pub fn timestamp(at: Micros, ahead: Micros) -> Timestamp {
    Timestamp::from_unix_micros(BEGIN * SECOND + at + ahead)
}

#[derive(Clone, Copy, PartialEq)]
pub enum Mode {
    OnDemand,
    /// A worker refreshes the keys ahead of time.
    Preloaded,
    /// Without a worker; each login begins when the one before it is over.
    OneByOne,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    FetchEnds(usize),
    /// The login that fetches is told to end.
    FetchIsAbandoned(usize),
    LookAgain(usize),
    Work,
    Flush,
}

/// A fetch under way, for a login or the worker.
struct Flight {
    id: FetchId,
    begun: Micros,
    fetch: Fetch,
    asker: Option<Asker>,
}

/// The login that fetches.
struct Asker {
    login: Login,
    /// The cached keys are good enough to go on with if the fetch fails.
    is_refresh: bool,
    /// An unknown key is the reason.
    is_demanded: bool,
}

struct Login {
    token: Token,
    search: Search,
}

pub struct Server<'a> {
    scenario: Scenario,
    mode: Mode,
    provider: &'a Provider,
    cache: Cache,
    books: Bookkeeper<'a>,
    logins: Logins,
    /// The next login that fetches is stopped in the middle.
    stops_next: bool,
    at: Micros,
    events: BinaryHeap<Reverse<(Micros, usize, Event)>>,
    /// How many events there were.
    number: usize,
    flights: BTreeMap<usize, Flight>,
    waiting: BTreeMap<usize, Login>,
}

impl<'a> Server<'a> {
    /// So many logins an hour.
    pub fn new(provider: &'a Provider, scenario: Scenario, mode: Mode, rate: i64) -> Self {
        Server {
            scenario,
            mode,
            provider,
            cache: Cache::new(),
            books: Bookkeeper::new(provider, scenario),
            logins: Logins::new(scenario, rate),
            stops_next: false,
            at: 0,
            events: BinaryHeap::new(),
            number: 0,
            flights: BTreeMap::new(),
            waiting: BTreeMap::new(),
        }
    }

    pub fn week(mut self) -> Figures {
        if self.mode == Mode::Preloaded {
            self.schedule(micros(WORKER), Event::Work);
        }
        if self.scenario.troubled {
            self.schedule(6 * HOUR + SECOND, Event::Flush);
        }
        loop {
            let next = self.events.peek().map(|Reverse((at, ..))| *at);
            let login_at = self.logins.next_at();
            if next.is_some_and(|at| at <= login_at) {
                let Some(Reverse((at, _, event))) = self.events.pop() else {
                    break;
                };
                self.at = at;
                self.happen(event);
            } else if login_at < WEEK {
                self.at = login_at;
                let token = self.logins.next(self.provider);
                let login = self.search(token, None);
                self.go_on(login);
            } else {
                break;
            }
        }
        self.books.figures
    }

    fn now(&self) -> Timestamp {
        timestamp(self.at, offset(self.scenario.server_jumps, self.at))
    }

    fn schedule(&mut self, at: Micros, event: Event) {
        if at < WEEK || !matches!(event, Event::Work | Event::Flush) {
            self.number += 1;
            self.events.push(Reverse((at, self.number, event)));
        }
    }

    fn search(&self, token: Token, tried: Option<u64>) -> Login {
        let limits = match self.scenario.troubled && token.arrived % 3 == 0 {
            true => CacheLimits {
                min_ttl: LIMITS.min_ttl * 2,
                refresh_cooldown: LIMITS.refresh_cooldown * 3,
                ..LIMITS
            },
            false => LIMITS,
        };
        let search = Search::new(limits, self.at + micros(TIMEOUT), tried);
        Login { token, search }
    }

    /// `obtain`: one more turn of its loop.
    fn go_on(&mut self, mut login: Login) {
        let now = self.now();
        let candidates = self.cache.select(&login.token, self.provider);
        let is_known = candidates.is_some();
        let look = self.cache.look(&mut login.search, is_known, now);
        let is_late = self.at >= login.search.deadline;
        match look {
            Look::Keys { cached } => self.verify(login, candidates, cached),
            Look::HeldBack => self.end(&login.token, Verdict::UnknownKey),
            Look::Unavailable => self.end(&login.token, Verdict::Unavailable),
            Look::Wait | Look::Ask if is_late && (look == Look::Wait || login.search.has_asked) => {
                self.end(&login.token, Verdict::Unavailable);
            }
            Look::Wait => {
                let again = (self.at + LOOK_AGAIN).min(login.search.deadline);
                self.waiting.insert(self.number, login);
                self.schedule(again, Event::LookAgain(self.number));
            }
            Look::Ask => {
                login.search.has_asked = true;
                let until = now.plus(TIMEOUT).plus(GRACE);
                let is_usable = self.cache.freshness.is_usable(&login.search.limits, now);
                let is_unknown = !is_known || login.search.tried == Some(self.cache.fetches);
                let (id, is_refresh) = self.cache.claim(&login.search, is_known, now, until);
                let asker = Asker {
                    login,
                    is_refresh,
                    is_demanded: is_usable && is_unknown,
                };
                self.begin(id, Some(asker));
            }
        }
    }

    fn begin(&mut self, id: FetchId, asker: Option<Asker>) {
        let fetch = self.provider.fetch(self.at);
        let figures = &mut self.books.figures;
        figures.fetches.begun += 1;
        figures.requests += fetch.requests;
        let place = self.number;
        // A process that is told to end, and one that is stopped for a while: also the first after some flushes.
        let is_troubled = self.scenario.troubled && asker.is_some();
        let is_stopped = is_troubled && std::mem::take(&mut self.stops_next);
        let (ends, event) = match figures.fetches.begun % 20 {
            7 if is_troubled => ((self.at + fetch.ends) / 2, Event::FetchIsAbandoned(place)),
            n if is_stopped || is_troubled && n == 13 => {
                (fetch.ends + 20 * SECOND, Event::FetchEnds(place))
            }
            _ => (fetch.ends, Event::FetchEnds(place)),
        };
        let begun = self.at;
        self.flights.insert(
            place,
            Flight {
                id,
                begun,
                fetch,
                asker,
            },
        );
        self.schedule(ends, event);
        if self.mode == Mode::OneByOne {
            self.logins.wait_until(ends);
        }
    }

    /// `UnverifiedToken::verify_by`: a signature that the keys do not verify has newer ones asked for, once.
    fn verify(&mut self, login: Login, candidates: Option<Candidates>, cached: Option<u64>) {
        let Login { token, search } = login;
        let keys = &self.provider.keys;
        let is_verified = candidates.is_some_and(|candidates| match token.origin {
            Origin::Honest(n) | Origin::Stolen(n) => self.cache.has(&candidates, &keys[n].public),
            Origin::Forged => false,
        });
        if is_verified {
            return self.end(&token, Verdict::Accepted);
        }
        if candidates.is_some() && search.tried.is_none() {
            if cached.is_some() {
                let login = self.search(token, cached);
                return self.go_on(login);
            }
            self.cache.freshness.note_unknown_key();
        }
        self.end(&token, Verdict::UnknownKey);
    }

    fn end(&mut self, token: &Token, verdict: Verdict) {
        self.books.note(token, verdict, self.at, self.now());
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::LookAgain(place) => {
                if let Some(login) = self.waiting.remove(&place) {
                    self.go_on(login);
                }
            }
            Event::FetchEnds(place) => {
                let flight = self.flights.remove(&place).expect("it ends once");
                self.end_fetch(flight);
            }
            Event::FetchIsAbandoned(place) => {
                let flight = self.flights.remove(&place).expect("it ends once");
                if self.cache.freshness.is_current(flight.id) {
                    self.cache.freshness.abandon();
                }
                self.wake();
            }
            Event::Work => {
                let now = self.now();
                if self.cache.freshness.is_due(TIMEOUT + WORKER, now) {
                    let until = now.plus(TIMEOUT).plus(GRACE);
                    let id = self.cache.freshness.begin(until);
                    self.begin(id, None);
                }
                self.schedule(self.at + micros(WORKER), Event::Work);
            }
            Event::Flush => {
                self.cache.flush();
                self.books.note_flush(self.at);
                self.stops_next = self.at / (6 * HOUR) % 2 == 0;
                self.wake();
                self.schedule(self.at + 6 * HOUR, Event::Flush);
            }
        }
    }

    /// `ProviderKeys::fetch`, and what `FindKey::ask` makes of its end.
    fn end_fetch(&mut self, flight: Flight) {
        let Flight {
            id,
            begun,
            fetch,
            asker,
        } = flight;
        let limits = match &asker {
            Some(asker) => asker.login.search.limits,
            None => LIMITS,
        };
        let (now, outcome) = (self.now(), fetch.outcome);
        let jitter = match self.mode {
            Mode::OneByOne => one_by_one::jitter(),
            _ => self.logins.jitter(),
        };
        let counts = self.cache.end_fetch(id, &outcome, &limits, jitter, now);
        if let (true, Some(served)) = (counts, fetch.served) {
            self.books.note_answer(served, &limits, now);
        }
        if counts {
            self.books.note_order(begun);
            let is_demanded = asker.as_ref().is_some_and(|asker| asker.is_demanded);
            self.books.note_fetch(is_demanded, outcome.is_ok(), self.at);
        }
        if let Some(mut asker) = asker {
            if counts && outcome.is_err() && !asker.is_refresh {
                self.end(&asker.login.token, Verdict::Unavailable);
            } else {
                asker.login.search.has_fetched |= counts && outcome.is_ok();
                self.go_on(asker.login);
            }
        }
        self.wake();
    }

    /// All who wait look again.
    fn wake(&mut self) {
        // The events of those who wait find nothing any more.
        for login in std::mem::take(&mut self.waiting).into_values() {
            self.go_on(login);
        }
    }
}
