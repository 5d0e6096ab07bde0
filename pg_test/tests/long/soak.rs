//! Twenty minutes (`SOAK_MINUTES`) of everything at once: good, bad and revoked logins, rotations, outages, reloads,
//! flushes, and clients and sessions that are killed. In the end nothing is locked, nothing has grown, and the
//! statistics say what the clients have seen.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rig::{Endpoint, Issuer, Login, Outcome, Refusal, Server, Session};

use crate::measure::{Held, tell};
use crate::seen::{Seen, add};
use crate::support::{AT_ONCE, assert_nobody_waits, assert_settled, eventually, wait_for_worker};

pub const SECOND: Duration = Duration::from_secs(1);
/// Between two logins of one client: what counts is the mixture, not the load.
pub const PACE: Duration = Duration::from_millis(150);
/// How long the provider's keys are fresh; the worker fetches them before that is over.
pub const FRESH: Duration = Duration::from_secs(12);
pub const COOLDOWN: Duration = Duration::from_secs(5);
pub const ANSWER_TTL: Duration = Duration::from_secs(4);

#[test]
#[ignore = "long: make test-long"]
fn mixed_logins_over_minutes_leave_no_lock_no_growth_and_no_wrong_count() {
    let minutes = std::env::var("SOAK_MINUTES")
        .map_or(20, |text| text.parse().expect("SOAK_MINUTES is a number"));
    let length = Duration::from_secs(60) * minutes;
    let soak = Soak::start();
    soak.warm_up();

    let mut long_session = soak.log_in(&soak.long_token());
    let (worker, postmaster) = (wait_for_worker(&soak.server), soak.server.postmaster_pid());
    let processes = [
        ("postmaster", postmaster),
        ("worker", worker),
        ("session", long_session.pid()),
    ];
    // The most that each process held in the first half of the time, and in the second.
    let mut most = [[Held::default(); 3]; 2];
    let start = Instant::now();
    thread::scope(|scope| {
        let clients: [fn(&Soak, usize); 8] = [
            Soak::honest_client,
            Soak::honest_client,
            Soak::attacker,
            Soak::opaque_client,
            Soak::client_whose_session_is_ended,
            Soak::client_whose_token_expires,
            Soak::careless_client,
            Soak::killed_client,
        ];
        let soak = &soak;
        soak.spared.store(long_session.pid(), Ordering::SeqCst);
        for client in clients {
            scope.spawn(move || soak.repeat(PACE, client));
        }
        scope.spawn(move || soak.repeat(SECOND * 2, Soak::operate));
        scope.spawn(move || soak.repeat(SECOND * 3, Soak::terminate));
        let _stop = StopOthers(&soak.over);
        while start.elapsed() < length && !soak.over.load(Ordering::SeqCst) {
            let half = usize::from(start.elapsed() > length / 2);
            for (most, (_, pid)) in most[half].iter_mut().zip(processes) {
                *most = most.max(Held::by(pid));
            }
            let claims = long_session.value("SELECT validator.claim('sub'), pg_backend_pid()");
            assert_eq!(claims, "alice");
            thread::sleep(SECOND);
        }
    });
    soak.report(&format!("{minutes} minutes: {}", soak.seen));
    let [first, second] = most;
    let held = processes.iter().zip(first).zip(second);
    for (((name, _), first), second) in held.clone() {
        soak.report(&format!("{name}: at most {first:?}, then {second:?}"));
    }
    for (((name, _), first), second) in held {
        // Some hundred fetches and thousands of logins lie between: what one of them lost would show.
        assert!(second.private <= first.private + 256, "{name} has grown");
        assert!(second.files <= first.files, "{name} has more open files");
        let segments = (first.segments, second.segments);
        assert!(segments.1 <= segments.0, "{name} has more shared memory");
    }
    drop(long_session);
    soak.assert_nothing_held();
    soak.assert_counts_add_up(start.elapsed());
    assert_settled(&soak.server, &soak.issuer);
}

/// Stops all clients when it goes: at the end of the time, or when one of them has failed.
struct StopOthers<'a>(&'a AtomicBool);

impl Drop for StopOthers<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A provider, a server, and what clients have seen of it.
pub struct Soak {
    pub issuer: Issuer,
    pub server: Server,
    pub seen: Seen,
    /// The backend that nobody kills.
    pub spared: AtomicU32,
    /// All clients stop.
    over: AtomicBool,
}

impl Soak {
    fn start() -> Soak {
        let issuer = Issuer::builder().start();
        issuer.add_header(
            Endpoint::Jwks,
            "Cache-Control",
            &format!("max-age={}", FRESH.as_secs()),
        );
        let server = Server::trusting(&issuer)
            .preload()
            .asks_about_opaque_tokens()
            .set(
                "validator.introspection_cache_ttl",
                &format!("{}s", ANSWER_TTL.as_secs()),
            )
            .set("validator.jwks_min_ttl", "1s")
            .set(
                "validator.jwks_refresh_cooldown",
                &format!("{}s", COOLDOWN.as_secs()),
            )
            .set("validator.http_timeout", "5s")
            .set("validator.session_expiry", "on")
            .set("validator.clock_skew", "0s")
            .start();
        server.sql("SET synchronous_commit = on; CREATE EXTENSION validator; GRANT USAGE ON SCHEMA validator TO PUBLIC");
        Soak {
            issuer,
            server,
            seen: Seen::default(),
            spared: AtomicU32::new(0),
            over: AtomicBool::new(false),
        }
    }

    /// Everything once, then counters from nothing.
    fn warm_up(&self) {
        self.log_in(&self.issuer.token("alice").encode());
        self.log_in(&self.issuer.opaque_token("alice"));
        self.server.sql("SELECT validator.reset_stats()");
        for counter in [&self.seen.accepted, &self.seen.refused, &self.seen.unknown] {
            counter.store(0, Ordering::SeqCst);
        }
    }

    /// A token that outlasts all this, as `session_expiry` would end its session otherwise.
    fn long_token(&self) -> String {
        let token = self.issuer.opaque_token("alice");
        let mut word = self.issuer.word_on("alice");
        word["exp"] = serde_json::json!(rig::now() + 86_400);
        self.issuer.say(&token, word);
        token
    }

    fn report(&self, text: &str) {
        tell(&format!("soak: {text}"));
    }

    /// Until time is over, or another client has failed.
    fn repeat(&self, pause: Duration, act: fn(&Soak, usize)) {
        let _stop = StopOthers(&self.over);
        let mut round = 0;
        while !self.over.load(Ordering::SeqCst) {
            act(self, round);
            round += 1;
            thread::sleep(pause);
        }
    }

    /// A login that must succeed.
    #[track_caller]
    pub fn log_in(&self, token: &str) -> Session {
        let outcome = Login::new(&self.server, "alice").token(token).run();
        add(&self.seen.accepted);
        outcome.session()
    }

    /// Takes note of how a login has ended; whether it has succeeded. What ends in another way than by a verdict is
    /// somebody's `pg_terminate_backend`.
    pub fn note(&self, outcome: &Outcome) -> Option<bool> {
        match outcome {
            Outcome::Session(_) => add(&self.seen.accepted),
            Outcome::Refused(refusal) if is_refused(refusal) => add(&self.seen.refused),
            Outcome::Refused(_) => {
                add(&self.seen.unknown);
                return None;
            }
        }
        Some(outcome.is_session())
    }

    pub fn pause(&self, length: Duration) {
        let start = Instant::now();
        while start.elapsed() < length && !self.over.load(Ordering::SeqCst) {
            thread::sleep(PACE);
        }
    }

    /// No lock, no wait, no session in the registry, and a login is over at once.
    fn assert_nothing_held(&self) {
        assert_nobody_waits(&self.server);
        let held = self
            .server
            .sql("SELECT pid, mode FROM pg_locks WHERE pid <> pg_backend_pid()");
        assert!(held.is_empty(), "{held:?}");
        eventually(AT_ONCE, "no session is registered", || {
            self.server.value("SELECT count(*) FROM validator.sessions") == "0"
        });
        let start = Instant::now();
        self.log_in(&self.issuer.token("alice").encode());
        assert!(
            start.elapsed() < AT_ONCE,
            "a login takes {:?}",
            start.elapsed()
        );
        let issuer = self.issuer.url();
        self.server.sql(&format!(
            "SELECT validator.flush_cache(), validator.refresh_keys('{issuer}')"
        ));
        assert!(start.elapsed() < AT_ONCE * 2);
    }

    /// The module counts what clients have seen, and the provider was asked no more often than it allows.
    fn assert_counts_add_up(&self, took: Duration) {
        let stats = self.server.sql(
            "SELECT sum(accepted), sum(refused), sum(fetches), sum(introspections), \
             sum(introspection_cache_hits), sum(waits) FROM validator.stats",
        );
        let stats: Vec<usize> = stats[0]
            .iter()
            .flatten()
            .map(|text| text.parse().expect("a count"))
            .collect();
        let [accepted, refused, fetches, introspections, hits, waits] = stats[..] else {
            panic!("{stats:?}");
        };
        self.report(&format!(
            "counted: {accepted} accepted, {refused} refused, {fetches} fetches, {introspections} introspections, \
             {hits} answers from the cache, {waits} waits; asked: {} for metadata, {} for keys, {} about tokens",
            self.issuer.hits(Endpoint::Discovery),
            self.issuer.hits(Endpoint::Jwks),
            self.issuer.hits(Endpoint::Introspection),
        ));
        let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        let unknown = count(&self.seen.unknown);
        for (what, counted, seen) in [
            ("accepted", accepted, count(&self.seen.accepted)),
            ("refused", refused, count(&self.seen.refused)),
        ] {
            let right = (seen..=seen + unknown).contains(&counted);
            assert!(
                right,
                "{counted} {what}, where clients have seen {seen}, and {unknown} do not know"
            );
        }
        assert!(
            accepted + refused <= count(&self.seen.accepted) + count(&self.seen.refused) + unknown
        );

        // The worker, each flush and each order cause a fetch, and unknown keys one in a cooldown.
        let seconds = took.as_secs() as usize;
        let orders =
            count(&self.seen.flushes) + count(&self.seen.refreshes) + count(&self.seen.outages) * 4;
        let allowed = seconds / (FRESH.as_secs() as usize - 6)
            + seconds / COOLDOWN.as_secs() as usize
            + orders
            + 10;
        let asked = self.issuer.hits(Endpoint::Jwks);
        assert!(
            asked <= allowed,
            "{asked} requests for keys, where {allowed} are allowed"
        );
        // Besides those that find out whether the provider is down.
        let about_a_token = |request: &&(Endpoint, rig::Request)| {
            request.0 == Endpoint::Introspection
                && request.1.form("token").as_deref() != Some("never-issued")
        };
        let asked = self.issuer.requests().iter().filter(about_a_token).count();
        let opaque = count(&self.seen.opaque) + count(&self.seen.killed) + 2;
        assert!(
            asked <= opaque,
            "{asked} requests about {opaque} opaque tokens"
        );
        assert!(hits > 0, "no answer was used twice");
    }
}

/// Whether the server has refused the token, rather than the connection having ended in another way.
pub fn is_refused(refusal: &Refusal) -> bool {
    refusal.errors.iter().any(|error| error.code() == "28000")
}
