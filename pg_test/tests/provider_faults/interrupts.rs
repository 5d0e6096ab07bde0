//! While a provider hangs, PostgreSQL's own orders to stop are obeyed at once.

use std::thread;
use std::time::{Duration, Instant};

use rig::{
    ConnectionFault, DeafPort, Ending, Endpoint, Fault, Issuer, Login, Refusal, Server, StopMode,
};

use crate::{assert_no_backend_is_left, assert_unharmed};

/// Far more than it takes, far less than the minute for which a login would wait.
const AT_ONCE: Duration = Duration::from_secs(3);

/// A provider that hangs for longer than any test runs, and a server whose logins would wait a minute for it.
fn hanging(preload: bool) -> (Issuer, Server) {
    let issuer = Issuer::builder().start();
    issuer.fail(Endpoint::Discovery, Fault::HangInBody);
    let builder = Server::trusting(&issuer)
        .log_everything()
        .set("validator.http_timeout", "60s");
    let server = if preload { builder.preload() } else { builder }.start();
    (issuer, server)
}

/// Starts a login, waits until it waits for the provider, does something to its backend, and returns what
/// the client learned and how long that took.
fn interrupt(issuer: &Issuer, server: &Server, order: impl FnOnce(u32)) -> (Refusal, Duration) {
    let token = issuer.token("alice").encode();
    let login = Login::new(server, "alice").token(&token);
    let client = thread::spawn(move || (login.run(), Instant::now()));
    let backend =
        server.wait_for_backend("wait_event_type = 'Extension' AND wait_event = 'ValidatorFetch'");
    let start = Instant::now();
    order(backend);
    let (outcome, end) = client.join().expect("the login does not panic");
    (outcome.refusal(), end.saturating_duration_since(start))
}

#[track_caller]
fn assert_at_once(what: &str, took: Duration) {
    print(what, took);
    assert!(took < AT_ONCE, "{what} took {took:?}");
}

#[allow(clippy::print_stdout)]
fn print(what: &str, took: Duration) {
    println!("{what}: {} ms", took.as_millis());
}

/// PostgreSQL tells such a client its own words at most; never ours, nor the provider's.
#[track_caller]
fn assert_silent(refusal: &Refusal, issuer: &Issuer) {
    let told = refusal.received_text();
    for word in [
        "provider",
        "reason=",
        "ValidatorFetch",
        issuer.url(),
        "OAuth token refused",
    ] {
        assert!(!told.contains(word), "{word}: {told}");
    }
}

#[test]
fn waiting_login_is_seen_in_pg_stat_activity() {
    let (issuer, server) = hanging(false);
    interrupt(&issuer, &server, |pid| {
        let row = server.sql(&format!(
            "SELECT backend_type, state, wait_event_type, wait_event FROM pg_stat_activity WHERE pid = {pid}"
        ));
        let row: Vec<_> = row[0].iter().map(|v| v.as_deref().unwrap_or("-")).collect();
        assert_eq!(
            row,
            ["client backend", "starting", "Extension", "ValidatorFetch"]
        );
        server.sql(&format!("SELECT pg_terminate_backend({pid})"));
    });
}

#[test]
fn terminate_ends_a_login_that_waits_for_the_provider() {
    for preload in [true, false] {
        let (issuer, server) = hanging(preload);
        let postmaster = server.postmaster_pid();
        let (refusal, took) = interrupt(&issuer, &server, |pid| {
            server.sql(&format!("SELECT pg_terminate_backend({pid})"));
        });
        assert_at_once("pg_terminate_backend", took);
        assert_silent(&refusal, &issuer);
        // What PostgreSQL calls every early end of a login.
        let log = server.log().text();
        assert!(
            log.contains("FATAL:  canceling authentication due to timeout"),
            "no such line"
        );
        issuer.heal();
        server.admits("alice", &issuer.token("alice").encode());
        assert_unharmed(&server, postmaster);
    }
}

#[test]
fn cancel_ends_a_login_that_waits_for_the_provider() {
    for preload in [true, false] {
        let (issuer, server) = hanging(preload);
        let postmaster = server.postmaster_pid();
        let (refusal, took) = interrupt(&issuer, &server, |pid| {
            server.sql(&format!("SELECT pg_cancel_backend({pid})"));
        });
        assert_at_once("pg_cancel_backend", took);
        assert_silent(&refusal, &issuer);
        let log = server.log().text();
        assert!(
            log.contains("FATAL:  canceling statement due to user request"),
            "no such line"
        );
        issuer.heal();
        server.admits("alice", &issuer.token("alice").encode());
        assert_unharmed(&server, postmaster);
    }
}

#[test]
fn authentication_timeout_ends_a_login_that_waits_for_the_provider() {
    for preload in [true, false] {
        let (issuer, server) = hanging(preload);
        let postmaster = server.postmaster_pid();
        server.reload_with(&[("authentication_timeout", "1s")]);
        let (refusal, took) = interrupt(&issuer, &server, |_| ());
        print("authentication_timeout of 1 s", took);
        assert!(took < Duration::from_secs(1) + AT_ONCE, "{took:?}");
        assert_silent(&refusal, &issuer);
        assert_eq!(refusal.ending, Ending::Closed);
        let log = server.log().text();
        assert!(
            log.contains("FATAL:  canceling authentication due to timeout"),
            "no such line"
        );
        issuer.heal();
        server.reload_with(&[("authentication_timeout", "1min")]);
        server.admits("alice", &issuer.token("alice").encode());
        assert_unharmed(&server, postmaster);
    }
}

/// Where a fetch comes to a halt; name resolution has tests of its own.
#[derive(Debug)]
enum Halt {
    Connect,
    TlsHandshake,
    Answer(Endpoint, Fault),
}

/// A provider at which every fetch comes to a halt, and a server whose logins would wait a minute for it.
fn halting(halt: &Halt, deaf: &DeafPort) -> (Issuer, Server) {
    let issuer = match halt {
        Halt::TlsHandshake => Issuer::builder().https().start(),
        _ => Issuer::builder().start(),
    };
    let mut builder = Server::trusting(&issuer).set("validator.http_timeout", "60s");
    match halt {
        Halt::Connect => {
            let url = format!("http://127.0.0.1:{}/metadata", deaf.port());
            builder = builder.set("validator.discovery_url", &url);
        }
        Halt::TlsHandshake => issuer.fail_connections(ConnectionFault::Hang),
        Halt::Answer(endpoint, fault) => issuer.fail(*endpoint, fault.clone()),
    }
    (issuer, builder.start())
}

#[test]
fn every_order_to_stop_is_obeyed_in_every_phase_of_a_fetch() {
    let deaf = DeafPort::new();
    let drip = Fault::Drip(Duration::from_millis(100));
    for halt in [
        Halt::Connect,
        Halt::TlsHandshake,
        Halt::Answer(Endpoint::Discovery, Fault::Hang),
        Halt::Answer(Endpoint::Discovery, Fault::HangInHeaders),
        Halt::Answer(Endpoint::Discovery, Fault::HangInBody),
        Halt::Answer(Endpoint::Discovery, drip),
        Halt::Answer(Endpoint::Jwks, Fault::Hang),
        Halt::Answer(Endpoint::Jwks, Fault::HangInBody),
    ] {
        let (issuer, server) = halting(&halt, &deaf);
        let postmaster = server.postmaster_pid();
        for order in ["pg_terminate_backend", "pg_cancel_backend"] {
            let (refusal, took) = interrupt(&issuer, &server, |pid| {
                server.sql(&format!("SELECT {order}({pid})"));
            });
            assert_at_once(&format!("{halt:?}: {order}"), took);
            assert_silent(&refusal, &issuer);
        }
        server.reload_with(&[("authentication_timeout", "1s")]);
        let (refusal, took) = interrupt(&issuer, &server, |_| ());
        assert_at_once(&format!("{halt:?}: authentication_timeout of 1 s"), took);
        assert_silent(&refusal, &issuer);
        server.reload_with(&[("authentication_timeout", "1min")]);
        assert_unharmed(&server, postmaster);
        for mode in [StopMode::Fast, StopMode::Immediate] {
            let (refusal, took) = interrupt(&issuer, &server, |_| {
                let took = server.stop(mode);
                assert_at_once(&format!("{halt:?}: shutdown ({mode:?})"), took);
            });
            assert_at_once(&format!("{halt:?}: login at a shutdown ({mode:?})"), took);
            assert_silent(&refusal, &issuer);
            server.start_again().unwrap_or_else(|log| panic!("{log}"));
        }
        issuer.heal();
        server.unset("validator.discovery_url");
        server.reload();
        server.admits("alice", &issuer.token("alice").encode());
        assert_no_backend_is_left(&server);
    }
}

#[test]
fn client_that_goes_away_leaves_no_backend_behind() {
    let (issuer, server) = hanging(false);
    server.reload_with(&[("validator.http_timeout", "1s")]);
    let mark = server.log().mark();
    let token = issuer.token("alice").encode();
    let login = Login::new(&server, "alice")
        .token(&token)
        .limit(Duration::from_millis(200));
    assert_eq!(login.run().refusal().ending, Ending::TimedOut);
    server
        .log()
        .wait_for(mark, "reason=provider_unavailable", Duration::from_secs(20));
    assert_no_backend_is_left(&server);
}

#[test]
fn twenty_logins_that_are_ended_in_different_ways_do_no_harm() {
    for builder in [Issuer::builder(), Issuer::builder().https()] {
        end_twenty_logins(builder.start());
    }
}

fn end_twenty_logins(issuer: Issuer) {
    let server = Server::trusting(&issuer)
        .preload()
        .log_everything()
        .set("validator.http_timeout", "60s")
        .start();
    let postmaster = server.postmaster_pid();
    // The last one keeps the helper thread at work while its process ends.
    let drip = Fault::Drip(Duration::from_millis(2));
    let faults = [Fault::Hang, Fault::HangInHeaders, Fault::HangInBody, drip];
    for attempt in 0..20 {
        let fault = faults[attempt % 4].clone();
        let order = ["pg_terminate_backend", "pg_cancel_backend"][attempt / 4 % 2];
        issuer.fail(Endpoint::Discovery, fault);
        let (refusal, took) = interrupt(&issuer, &server, |pid| {
            server.sql(&format!("SELECT {order}({pid})"));
        });
        assert_at_once(order, took);
        assert_silent(&refusal, &issuer);
    }
    issuer.heal();
    server.admits("alice", &issuer.token("alice").encode());
    assert_unharmed(&server, postmaster);
}

#[test]
fn logins_that_wait_do_not_hold_up_others() {
    let (issuer, server) = hanging(true);
    let clients: Vec<_> = (0..10)
        .map(|_| {
            let token = issuer.token("alice").encode();
            let login = Login::new(&server, "alice").token(&token);
            thread::spawn(move || login.run())
        })
        .collect();
    // One asks the provider, and the others wait for it.
    server.wait_for_backend(
        "wait_event = 'ValidatorFetch' \
         AND 9 = (SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ValidatorWait')",
    );
    // A token that is refused on sight, and a session by another way.
    server.refuses("alice", "opaque", "not_a_jwt");
    assert_eq!(server.value("SELECT 1"), "1");
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event IN ('ValidatorFetch', 'ValidatorWait')");
    for client in clients {
        assert_silent(&client.join().expect("no panic").refusal(), &issuer);
    }
}
