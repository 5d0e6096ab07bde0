//! Fifteen hundred idle sessions of a server that allows five thousand: what the registry takes, and what it costs to list
//! and to end them.

use std::thread;
use std::time::{Duration, Instant};

use rig::{Issuer, Login, Server, Session};

use crate::measure::{Held, tell};
use crate::support::eventually;

/// `max_connections`.
const ALLOWED: usize = 5_000;
const IDLE: usize = 1_500;
const SECOND: Duration = Duration::from_secs(1);

fn start(issuer: &Issuer, max_connections: usize) -> Server {
    let server = Server::trusting(issuer)
        .preload()
        .set("max_connections", &max_connections.to_string())
        .start();
    server.sql("CREATE EXTENSION validator");
    server
}

/// Bytes of shared memory that the module has.
fn shared_memory(server: &Server) -> usize {
    let of_module = "SELECT sum(size) FROM pg_shmem_allocations WHERE name ILIKE '%validator%'";
    server.value(of_module).parse().expect("a size")
}

/// That many sessions that do nothing.
fn idle(server: &Server, issuer: &Issuer, count: usize) -> Vec<Session> {
    let some = |count: usize| {
        let log_in = |_| {
            let token = issuer.token("alice").encode();
            server.admits_login(Login::new(server, "alice").token(&token))
        };
        (0..count).map(log_in).collect::<Vec<Session>>()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|n| scope.spawn(move || some((count + n) / 4)))
            .collect();
        let sessions = threads.into_iter().map(|thread| thread.join());
        sessions
            .flat_map(|sessions| sessions.expect("all get in"))
            .collect()
    })
}

/// The time for which a process has been on a processor.
fn on_processor(pid: u32) -> Duration {
    let path = format!("/proc/{pid}/schedstat");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let nanoseconds = text.split_whitespace().next().and_then(|n| n.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a number"))
}

/// What a statement costs, of many in a row, in time on a processor; the least of some tries.
fn cost(session: &mut Session, statement: &str) -> Duration {
    const ROUNDS: u32 = 20;
    let again =
        format!("DO $$ BEGIN FOR n IN 1..{ROUNDS} LOOP PERFORM {statement}; END LOOP; END $$");
    let tries = (0..10).map(|_| {
        let before = on_processor(session.pid());
        session.query(&again).expect("it can be run");
        (on_processor(session.pid()) - before) / ROUNDS
    });
    tries.min().expect("some tries")
}

#[test]
#[ignore = "long: make test-long"]
fn five_thousand_places_take_a_kilobyte_each_and_sessions_cost_no_more_than_their_number() {
    let issuer = Issuer::builder().start();
    let few = shared_memory(&start(&issuer, 100));
    let server = start(&issuer, ALLOWED);
    let memory = shared_memory(&server);
    assert_eq!(memory - few, (ALLOWED - 100) * 1024, "{few}, {memory}");

    let mut superuser = Login::by_socket(&server, "postgres").run().session();
    superuser
        .query("SET log_statement = 'none'; SET log_min_duration_statement = -1")
        .expect("a superuser may");
    let nobody = format!("validator.end_sessions('{}', 'nobody')", issuer.url());
    let mut measure = || {
        let mut cost = |statement: &str| cost(&mut superuser, statement);
        let list = cost("count(*) FROM validator.sessions");
        let activity = cost("count(*) FROM pg_stat_activity");
        (list, cost(&nobody), activity)
    };
    let none = measure();
    let mut sessions = idle(&server, &issuer, IDLE / 2);
    let half = measure();
    sessions.extend(idle(&server, &issuer, IDLE - IDLE / 2));
    let all = measure();
    let count = "SELECT count(*) FROM validator.sessions WHERE identity = 'alice'";
    assert_eq!(server.value(count), IDLE.to_string());

    let private = Held::by(sessions[IDLE / 2].pid()).private;
    let other = Login::by_socket(&server, "postgres").run().session();
    let of_other = Held::by(other.pid()).private;
    let start = Instant::now();
    let before = on_processor(superuser.pid());
    let ended = superuser.value(&format!(
        "SELECT validator.end_sessions('{}', 'alice')",
        issuer.url()
    ));
    let (told, busy) = (start.elapsed(), on_processor(superuser.pid()) - before);
    assert_eq!(ended, IDLE.to_string());
    eventually(SECOND * 60, "all sessions have ended", || {
        server.value(count) == "0"
    });
    let gone = start.elapsed();
    let full = none.0 + (all.0 - none.0) * ALLOWED as u32 / IDLE as u32;
    tell(&format!(
        "sessions: {memory} bytes of shared memory for {ALLOWED} connections; list {:?} of none, {:?} of {}, {:?} of {IDLE}, \
         {full:?} of {ALLOWED} by that; pg_stat_activity {:?}, {:?}, {:?}; end_sessions of nobody {:?}, {:?}, {:?}; \
         of {IDLE} {busy:?} ({told:?} with them), all gone after {gone:?}; a session has {private} kB of its own, one without a token \
         {of_other} kB",
        none.0,
        half.0,
        IDLE / 2,
        all.0,
        none.2,
        half.2,
        all.2,
        none.1,
        half.1,
        all.1
    ));
    // Twice as many sessions cost twice as much at most, and the end of nobody's what it did before.
    assert!(all.0 < half.0 * 3, "{half:?} {all:?}");
    assert!(
        all.1 < half.1 * 2 && all.1 < none.1 * 5,
        "{none:?} {half:?} {all:?}"
    );
    assert!(private <= of_other + 512, "{private} kB, {of_other} kB");
}
