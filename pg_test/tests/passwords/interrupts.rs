//! While a provider hangs, PostgreSQL's own orders to stop are obeyed at once, within PAM as elsewhere.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rig::{Endpoint, Fault, Issuer, Log, LogMark, Login, Refusal, Server, StopMode};

use crate::start_with;

/// Far more than it takes, far less than the minute for which a login would wait.
const AT_ONCE: Duration = Duration::from_secs(3);

/// Starts a login, waits until it waits for the provider, does something to its backend; what the client learned, and how
/// long that took.
fn interrupt(issuer: &Issuer, server: &Server, order: impl FnOnce(u32)) -> (Refusal, Duration) {
    let token = issuer.token("alice").encode();
    let login = Login::by_tls(server, "alice", None).token(&token);
    let mark = server.log().mark();
    let client = thread::spawn(move || (login.run(), Instant::now()));
    let backend = wait_for_fetcher(server.log(), mark);
    let start = Instant::now();
    order(backend);
    let (outcome, end) = client.join().expect("the login does not panic");
    let (refusal, took) = (outcome.refusal(), end.saturating_duration_since(start));
    let told = refusal.received_text();
    for word in [
        "provider",
        "reason=",
        "ValidatorFetch",
        issuer.url(),
        "OAuth",
    ] {
        assert!(!told.contains(word), "{word}: {told}");
    }
    (refusal, took)
}

/// The backend of the client that has connected by TCP after the mark, as soon as it asks the provider. pg_stat_activity does
/// not show logins under way before version 18; the log and the kernel do in all versions.
#[track_caller]
fn wait_for_fetcher(log: &Log, mark: LogMark) -> u32 {
    let text = log.wait_for(mark, "connection received: host=127.0.0.1", AT_ONCE * 3);
    let line = text.lines().find(|line| line.contains("host=127.0.0.1"));
    let pid = line.and_then(|line| line.split_once('[')?.1.split_once(']')?.0.parse().ok());
    let pid: u32 = pid.unwrap_or_else(|| panic!("no process id: {text}"));
    let start = Instant::now();
    while !has_fetching_thread(pid) {
        assert!(start.elapsed() < AT_ONCE * 3, "{}", log.since(mark));
        thread::sleep(Duration::from_millis(5));
    }
    pid
}

/// Whether the process has the helper thread that asks the provider.
fn has_fetching_thread(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    threads.into_iter().flatten().flatten().any(|thread| {
        fs::read_to_string(thread.path().join("comm")).is_ok_and(|name| name == "validator fetch\n")
    })
}

#[test]
fn orders_to_stop_are_obeyed_while_the_provider_hangs() {
    let started = start_with(|builder| builder.set("validator.http_timeout", "60s"));
    let Some((issuer, server)) = started else {
        return;
    };
    issuer.fail(Endpoint::Discovery, Fault::HangInBody);
    for order in ["pg_terminate_backend", "pg_cancel_backend"] {
        let (_, took) = interrupt(&issuer, &server, |pid| {
            server.sql(&format!("SELECT {order}({pid})"));
        });
        assert!(took < AT_ONCE, "{order}: {took:?}");
    }
    server.reload_with(&[("authentication_timeout", "1s")]);
    let (_, took) = interrupt(&issuer, &server, |_| ());
    assert!(took < Duration::from_secs(1) + AT_ONCE, "{took:?}");
    server.reload_with(&[("authentication_timeout", "1min")]);
    let (_, took) = interrupt(&issuer, &server, |_| {
        let took = server.stop(StopMode::Fast);
        assert!(took < AT_ONCE, "{took:?}");
    });
    assert!(took < AT_ONCE, "{took:?}");
    server.start_again().unwrap_or_else(|log| panic!("{log}"));
    issuer.heal();
    let token = issuer.token("alice").encode();
    server.admits_login(Login::by_tls(&server, "alice", None).token(&token));
    let log = server.log().text();
    for sign in [
        "PANIC:",
        "was terminated by signal",
        "panicked",
        "internal_error",
    ] {
        assert!(!log.contains(sign), "{sign}: {log}");
    }
}
