//! What all tests of the cache need: servers in both modes, many logins, and what must hold after each fault.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use rig::{Endpoint, Fault, Issuer, LogMark, Login, Outcome, Server, ServerBuilder, oauth_line};

/// Far more than an interrupt takes, far less than the minute for which a login may wait for a provider.
pub const AT_ONCE: Duration = Duration::from_secs(3);

/// Where the cache lives: the tests hold for both places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// In a segment of dynamic shared memory that the first login makes.
    OnDemand,
    /// In main shared memory, beside a background worker.
    Preloaded,
}

impl Mode {
    pub const BOTH: [Mode; 2] = [Mode::OnDemand, Mode::Preloaded];

    /// A server that trusts this issuer.
    pub fn server_of(self, issuer: &Issuer) -> ServerBuilder {
        self.apply(Server::trusting(issuer))
    }

    pub fn apply(self, builder: ServerBuilder) -> ServerBuilder {
        match self {
            Mode::OnDemand => builder,
            Mode::Preloaded => builder.preload(),
        }
    }
}

/// A provider that hangs, and a server whose logins would wait a minute for it.
pub fn hanging(mode: Mode) -> (Issuer, Server) {
    let issuer = Issuer::builder().start();
    issuer.fail(Endpoint::Discovery, Fault::HangInBody);
    let server = mode
        .server_of(&issuer)
        .set("validator.http_timeout", "60s")
        .start();
    (issuer, server)
}

/// How often the metadata and the keys were asked for.
pub fn asked(issuer: &Issuer) -> (usize, usize) {
    (
        issuer.hits(Endpoint::Discovery),
        issuer.hits(Endpoint::Jwks),
    )
}

/// A good login, which is over at once.
#[track_caller]
pub fn log_in(server: &Server, issuer: &Issuer) {
    server.admits("alice", &issuer.token("alice").encode());
}

/// Starts that many good logins, all at the same time.
pub fn at_once(server: &Server, issuer: &Issuer, count: usize) -> Vec<thread::JoinHandle<Outcome>> {
    let token = issuer.token("alice").encode();
    let barrier = Arc::new(Barrier::new(count));
    let start = |_| {
        let login = Login::new(server, "alice")
            .token(&token)
            .limit(Duration::from_secs(60));
        let barrier = barrier.clone();
        thread::spawn(move || {
            barrier.wait();
            login.run()
        })
    };
    (0..count).map(start).collect()
}

#[track_caller]
pub fn join<T>(threads: Vec<thread::JoinHandle<T>>) -> Vec<T> {
    let join = |thread: thread::JoinHandle<T>| thread.join().expect("a client does not panic");
    threads.into_iter().map(join).collect()
}

/// A server in which the role `rN` logs in by the Nth of these issuers.
pub fn server_of_many(issuers: &[Issuer], mode: Mode, settings: &[(&str, &str)]) -> Server {
    let mut builder = mode
        .apply(Server::builder())
        .set("validator.audience", Issuer::AUDIENCE)
        .set("validator.allow_http", "on");
    for (name, value) in settings {
        builder = builder.set(name, value);
    }
    let mut roles = "SET synchronous_commit = on".to_owned();
    for (n, issuer) in issuers.iter().enumerate() {
        let line = oauth_line(issuer.url(), "").replacen("all all", &format!("all r{n}"), 1);
        builder = builder.hba(&line);
        roles.push_str(&format!("; CREATE ROLE r{n} LOGIN"));
    }
    let server = builder.start();
    server.sql(&roles);
    server
}

/// The role `rN` logs in by the Nth issuer.
#[track_caller]
pub fn log_in_by(server: &Server, issuers: &[Issuer], n: usize) {
    let role = format!("r{n}");
    server.admits(&role, &issuers[n].token(&role).encode());
}

/// Until a backend is in the middle of a fetch; its process id.
#[track_caller]
pub fn wait_for_fetcher(server: &Server) -> u32 {
    server.wait_for_backend("wait_event = 'ValidatorFetch' AND backend_type = 'client backend'")
}

/// Until one backend has asked the provider and `count` others wait for it; the fetcher's process id.
#[track_caller]
pub fn wait_for_waiters(server: &Server, issuer: &Issuer, count: usize) -> u32 {
    let fetcher = server.wait_for_backend(&format!(
        "wait_event = 'ValidatorFetch' AND backend_type = 'client backend' \
         AND {count} = (SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ValidatorWait')"
    ));
    eventually(AT_ONCE, "the provider is asked", || asked(issuer).0 > 0);
    fetcher
}

/// The processes of a server by id, with the titles that they give themselves for `ps`.
pub fn processes_of(server: &Server) -> Vec<(u32, String)> {
    let parent = format!(" {} ", server.postmaster_pid());
    let processes = std::fs::read_dir("/proc").expect("/proc is mounted");
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let title_of_child = |pid: u32| {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok();
        let stat = read("stat")?;
        // The state and then the parent stand behind the name, which is in parentheses.
        let parents = stat.rsplit(')').next()?.get(2..)?;
        let is_child = parents.starts_with(&parent);
        is_child.then_some((pid, read("cmdline")?))
    };
    pids.filter_map(title_of_child).collect()
}

/// The process id of the worker of a preloaded module. PostgreSQL shows processes without a database neither
/// in pg_stat_activity nor to pg_terminate_backend, only to `ps`.
pub fn worker_of(server: &Server) -> Option<u32> {
    let processes = processes_of(server).into_iter();
    processes
        .filter(|(_, title)| title.contains("validator refresh"))
        .map(|(pid, _)| pid)
        .next()
}

/// Until the worker of a preloaded module runs; its process id.
#[track_caller]
pub fn wait_for_worker(server: &Server) -> u32 {
    let mut worker = None;
    eventually(Duration::from_secs(20), "the worker runs", || {
        worker = worker_of(server);
        worker.is_some()
    });
    worker.expect("it was waited for")
}

/// Nothing is left of what happened: no login hangs or waits, no process has crashed, and a good login works.
#[track_caller]
pub fn assert_settled(server: &Server, issuer: &Issuer) {
    assert_nobody_waits(server);
    let log = server.log().text();
    for sign in [
        "PANIC:",
        "was terminated by signal",
        "exited with exit code 2",
        "panicked",
        "internal_error",
        "stuck spinlock",
    ] {
        assert!(!log.contains(sign), "{sign}: {log}");
    }
    log_in(server, issuer);
}

/// No session is left but the one that asks, and no process waits for a lock or a fetch of ours.
#[track_caller]
pub fn assert_nobody_waits(server: &Server) {
    eventually(Duration::from_secs(10), "nobody waits", || {
        server
            .sql(
                "SELECT backend_type, wait_event FROM pg_stat_activity \
                 WHERE pid <> pg_backend_pid() \
                 AND (backend_type = 'client backend' OR wait_event LIKE 'Validator%')",
            )
            .is_empty()
    });
}

#[track_caller]
pub fn eventually(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Refused tokens of four attackers at a time, with honest logins beside them; how often the keys were asked
/// for, and how long it took.
pub fn flood(server: &Server, issuer: &Issuer, tokens: &[String]) -> (usize, Duration) {
    let before = asked(issuer).1;
    let start = Instant::now();
    let share = tokens.len().div_ceil(4);
    thread::scope(|scope| {
        for share in tokens.chunks(share) {
            scope.spawn(move || {
                for (n, token) in share.iter().enumerate() {
                    let login = Login::new(server, "alice").token(token);
                    assert!(!login.run().is_session(), "let in by {token}");
                    if n % 10 == 0 {
                        log_in(server, issuer);
                    }
                }
            });
        }
    });
    (asked(issuer).1 - before, start.elapsed())
}

/// Tokens whose kid nobody has ever published, some with directions to where the key is.
pub fn made_up(issuer: &Issuer, directions: &str, count: usize) -> Vec<String> {
    let good = issuer.token("alice");
    let token = |n: usize| {
        let token = good.clone().header("kid", format!("made-up-{n}"));
        match n % 3 {
            0 => token.header("jku", directions).encode(),
            1 => token
                .header("kid", rig::base64url(n.to_be_bytes()))
                .encode(),
            _ => token.encode(),
        }
    };
    (0..count).map(token).collect()
}

/// Kilobytes of a process that are its own.
pub fn private_memory(pid: u32) -> usize {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    let value = field("RssAnon:").or_else(|| field("VmData:"));
    let number = value.and_then(|v| v.split_whitespace().next());
    number.and_then(|n| n.parse().ok()).expect("a size in kB")
}

/// How often the module has said that a refresh failed.
pub fn failed_refreshes(server: &Server, mark: LogMark) -> usize {
    let log = server.log().since(mark);
    log.matches("could not refresh the keys of OAuth issuer")
        .count()
}
