//! Five thousand logins of two hundred clients at once, while the server is restarted and the provider is slow or down.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rig::{Endpoint, Fault, Issuer, Login, Outcome, Refusal, Server, reasons};

use crate::measure::tell;
use crate::soak::{SECOND, is_refused};
use crate::support::{Mode, asked, assert_settled, eventually, log_in};

const CLIENTS: usize = 200;
const LOGINS: usize = 5_000;
/// Of them, so many are over when the server is restarted.
const BEFORE: usize = 2_000;
/// `validator.http_timeout`, and what a busy machine adds to a login with 199 others beside it.
const TIMEOUT: Duration = Duration::from_secs(2);
const BUSY: Duration = Duration::from_secs(20);

/// What clients have seen.
#[derive(Default)]
struct Seen {
    accepted: usize,
    refused: usize,
    /// Attempts that the restart cut off, or that came while nobody listened: their clients try again.
    cut: usize,
    /// Of all others.
    longest: Duration,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Seen {
            accepted,
            refused,
            cut,
            longest,
        } = self;
        write!(
            f,
            "{accepted} accepted, {refused} refused, {cut} cut off by the restart, longest wait {longest:.1?}"
        )
    }
}

/// Whether a server that is restarted has ended this attempt, rather than the module.
fn is_of_a_restart(refusal: &Refusal) -> bool {
    // admin_shutdown, crash_shutdown, cannot_connect_now; or the connection was refused or closed without a message.
    let of_shutdown = |code: &str| ["57P01", "57P02", "57P03"].contains(&code);
    refusal.errors.iter().all(|error| of_shutdown(error.code()))
}

/// That many logins, and a restart of the server in the middle of them, if it is to be.
fn storm(server: &Server, issuer: &Issuer, logins: usize, restart: bool) -> Seen {
    let seen = Mutex::new(Seen::default());
    let (begun, over) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // Clients may not be cut off before a restart begins, nor by one that is over.
    let (restarts, restarting) = (AtomicUsize::new(0), AtomicBool::new(false));
    let attempt = || {
        let token = issuer.token("alice").encode();
        let login = Login::new(server, "alice").token(&token).limit(SECOND * 60);
        let state = || {
            (
                restarts.load(Ordering::SeqCst),
                restarting.load(Ordering::SeqCst),
            )
        };
        let before = state();
        let start = Instant::now();
        let outcome = login.run();
        let took = start.elapsed();
        let mut seen = seen.lock().expect("no client panics");
        match &outcome {
            Outcome::Session(_) => seen.accepted += 1,
            Outcome::Refused(refusal) if is_refused(refusal) => seen.refused += 1,
            Outcome::Refused(refusal) => {
                let beside = before.1 || before != state();
                assert!(beside && is_of_a_restart(refusal), "{refusal:?}");
                seen.cut += 1;
                return false;
            }
        }
        seen.longest = seen.longest.max(took);
        true
    };
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while begun.fetch_add(1, Ordering::SeqCst) < logins {
                    while !attempt() {
                        thread::sleep(SECOND / 10);
                    }
                    over.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        if restart {
            eventually(SECOND * 300, "logins are made", || {
                over.load(Ordering::SeqCst) >= BEFORE
            });
            restarting.store(true, Ordering::SeqCst);
            restarts.fetch_add(1, Ordering::SeqCst);
            server.restart();
            restarting.store(false, Ordering::SeqCst);
        }
    });
    let seen = seen.into_inner().expect("no client panics");
    assert_eq!(seen.accepted + seen.refused, logins);
    seen
}

/// A server for the storm, whose provider's keys are fresh for a second.
fn start(mode: Mode, issuer: &Issuer, settings: &[(&str, &str)]) -> Server {
    issuer.add_header(Endpoint::Jwks, "Cache-Control", "max-age=1");
    let mut builder = mode
        .server_of(issuer)
        .set("max_connections", "600")
        .set("validator.jwks_min_ttl", "1s")
        .set("validator.http_timeout", "2s");
    for (name, value) in settings {
        builder = builder.set(name, value);
    }
    builder.start()
}

/// Once the provider answers again, logins succeed when the pause after its failures is over.
fn assert_recovers(server: &Server, issuer: &Issuer, seconds: u32) {
    issuer.heal();
    eventually(SECOND * seconds, "a login succeeds", || {
        let token = issuer.token("alice").encode();
        thread::sleep(SECOND / 5);
        Login::new(server, "alice").token(&token).run().is_session()
    });
    assert_settled(server, issuer);
}

/// How often a provider that fails may be asked within this time: after 0, 1, 3, 7, 15, 31 and 63 seconds, and once a
/// minute from then on; a restarted server begins again.
fn attempts_in(took: Duration, starts: usize) -> usize {
    starts * 7 + took.as_secs() as usize / 60
}

/// A storm while the provider hangs, of which few requests may come.
fn storm_of_a_hanging_provider(
    server: &Server,
    issuer: &Issuer,
    logins: usize,
    restart: bool,
    case: &str,
) -> Seen {
    let (before, start) = (asked(issuer).0, Instant::now());
    let seen = storm(server, issuer, logins, restart);
    let (requests, took) = (asked(issuer).0 - before, start.elapsed());
    tell(&format!(
        "storm, {case}: {seen}, {requests} requests, in {took:.0?}"
    ));
    let starts = 1 + usize::from(restart);
    assert!(
        requests <= attempts_in(took, starts),
        "{case}: {requests} in {took:?}"
    );
    seen
}

#[test]
#[ignore = "long: make test-long"]
fn storm_across_a_restart_asks_a_slow_provider_once_before_and_once_after() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        for endpoint in [Endpoint::Discovery, Endpoint::Jwks] {
            issuer.fail(endpoint, Fault::Delay(SECOND / 5));
        }
        let server = mode
            .server_of(&issuer)
            .set("max_connections", "600")
            .start();
        let (mark, start) = (server.log().mark(), Instant::now());
        let seen = storm(&server, &issuer, LOGINS, true);
        let (metadata, keys) = asked(&issuer);
        tell(&format!(
            "storm, {mode:?}, provider answers in 0.2 s: {seen}, {} requests, in {:.0?}",
            metadata + keys,
            start.elapsed()
        ));
        assert_eq!((seen.refused, metadata, keys), (0, 2, 2), "{mode:?}");
        assert_eq!(reasons(&server.log().since(mark)).count(), 0);
        assert!(seen.longest < BUSY, "{seen}");
        assert_settled(&server, &issuer);
    }
}

#[test]
#[ignore = "long: make test-long"]
fn storm_with_stale_keys_gets_in_while_the_provider_hangs_until_the_server_is_restarted() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        let server = start(mode, &issuer, &[]);
        log_in(&server, &issuer);
        issuer.fail(Endpoint::Discovery, Fault::Hang);
        thread::sleep(SECOND * 2);
        let case = format!("{mode:?}, provider hangs, keys are stale");
        let seen = storm_of_a_hanging_provider(&server, &issuer, LOGINS, false, &case);
        assert_eq!(seen.refused, 0, "{mode:?}");
        assert!(seen.longest < TIMEOUT + BUSY, "{seen}");

        // The cache does not outlive the server: nobody gets in until the provider answers.
        server.restart();
        let case = format!("{mode:?}, and after a restart");
        let seen = storm_of_a_hanging_provider(&server, &issuer, CLIENTS, false, &case);
        assert_eq!(seen.accepted, 0, "{mode:?}");
        assert_recovers(&server, &issuer, 20);
    }
}

#[test]
#[ignore = "long: make test-long"]
fn storm_with_expired_keys_is_refused_in_time_while_the_provider_hangs_and_asks_it_seldom() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        let server = start(mode, &issuer, &[("validator.jwks_stale_ttl", "1s")]);
        log_in(&server, &issuer);
        issuer.fail(Endpoint::Discovery, Fault::Hang);
        thread::sleep(SECOND * 3);
        let mark = server.log().mark();
        let case = format!("{mode:?}, provider hangs, keys have expired");
        let seen = storm_of_a_hanging_provider(&server, &issuer, LOGINS, true, &case);
        assert_eq!(seen.accepted, 0, "{mode:?}");
        let log = server.log().since(mark);
        let told: BTreeSet<&str> = reasons(&log).collect();
        assert_eq!(told, ["provider_unavailable"].into(), "{mode:?}");
        assert!(seen.longest < TIMEOUT + BUSY, "{seen}");
        assert_recovers(&server, &issuer, 80);
    }
}
