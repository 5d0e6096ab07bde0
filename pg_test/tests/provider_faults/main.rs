//! A provider that fails: the login is refused in time, the log says how, and the server is none the worse.

mod answers;
mod interrupts;
mod local_limits;

use std::thread;
use std::time::{Duration, Instant};

use rig::{Issuer, Server, Verdict};

/// `validator.http_timeout` where a test waits for it, and how much longer a busy machine may take.
const TIMEOUT: Duration = Duration::from_millis(700);
const MARGIN: Duration = Duration::from_secs(5);

/// A server that trusts this issuer, and logs everything.
fn server_of(issuer: &Issuer) -> Server {
    Server::trusting(issuer)
        .log_everything()
        .set("validator.http_timeout", "20s")
        .start()
}

/// Makes logins wait for the provider as long as this.
fn wait_for_provider(server: &Server, limit: Duration) {
    server.reload_with(&[(
        "validator.http_timeout",
        &format!("{}ms", limit.as_millis()),
    )]);
}

/// A login that has to ask the provider gets in.
#[track_caller]
fn assert_available(issuer: &Issuer, server: &Server) {
    server.forget_keys();
    server.admits("alice", &issuer.token("alice").encode());
}

/// A login that has to ask the provider is refused in time, because that fails in this way.
#[track_caller]
fn assert_unavailable(issuer: &Issuer, server: &Server, cause: &str) -> Verdict {
    server.forget_keys();
    let verdict = server.refuses(
        "alice",
        &issuer.token("alice").encode(),
        "provider_unavailable",
    );
    let found = verdict
        .log
        .split("reason=provider_unavailable cause=")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    assert_eq!(found, Some(cause), "{}", verdict.log);
    assert!(
        verdict
            .log
            .contains("LOG:  OAuth token refused for user \"alice\": provider is unavailable: "),
        "{}",
        verdict.log
    );
    assert!(verdict.log.contains("HINT:  "), "{}", verdict.log);
    assert!(
        verdict.refusal.elapsed < TIMEOUT + MARGIN,
        "{:?}",
        verdict.refusal
    );
    verdict
}

/// No process of the server has crashed, and the same postmaster still lets people in.
#[track_caller]
fn assert_unharmed(server: &Server, postmaster: u32) {
    let log = server.log().text();
    for sign in [
        "PANIC:",
        "was terminated by signal",
        "terminating any other active",
        "exited with exit code 2",
        "panicked",
        "internal_error",
    ] {
        assert!(!log.contains(sign), "{sign}: {log}");
    }
    assert_eq!(server.postmaster_pid(), postmaster);
    assert_no_backend_is_left(server);
}

/// All sessions end but the one that asks.
#[track_caller]
fn assert_no_backend_is_left(server: &Server) {
    let start = Instant::now();
    while server
        .value("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")
        != "1"
    {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "a backend is left behind"
        );
        thread::sleep(Duration::from_millis(10));
    }
}
