//! While the provider hangs, PostgreSQL's own orders to stop are obeyed at once, and another login takes over.

use std::thread;
use std::time::{Duration, Instant};

use rig::{Endpoint, Fault, Issuer, Login, Server, StopMode};

use crate::{BOTH, asked, server_of};

/// Far more than it takes, far less than the minute for which a login would wait.
const AT_ONCE: Duration = Duration::from_secs(3);

fn hanging(preload: bool) -> (Issuer, Server, String) {
    let issuer = Issuer::builder().start();
    issuer.fail(Endpoint::Introspection, Fault::HangInBody);
    let server = server_of(&issuer, "opaque", preload)
        .set("validator.http_timeout", "60s")
        .start();
    let token = issuer.opaque_token("alice");
    (issuer, server, token)
}

#[test]
fn terminate_and_cancel_end_a_login_that_asks_and_another_takes_over() {
    for preload in BOTH {
        for order in ["pg_terminate_backend", "pg_cancel_backend"] {
            let (issuer, server, token) = hanging(preload);
            let start = |_| {
                let login = Login::new(&server, "alice").token(&token);
                thread::spawn(move || login.run())
            };
            let clients: Vec<_> = (0..4).map(start).collect();
            // Before that, one fetches the metadata while the others wait.
            while asked(&issuer).1 == 0 {
                thread::sleep(Duration::from_millis(5));
            }
            let asking = server.wait_for_backend(
                "wait_event = 'ValidatorFetch' \
                 AND 3 = (SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ValidatorWait')",
            );
            issuer.heal();
            let start = Instant::now();
            server.sql(&format!("SELECT {order}({asking})"));
            let outcomes = clients.into_iter().map(|c| c.join().expect("no panic"));
            let admitted = outcomes.filter(|o| o.is_session()).count();
            assert!(start.elapsed() < AT_ONCE, "{order}: {:?}", start.elapsed());
            assert_eq!(admitted, 3, "{order}, preload: {preload}");
            assert_eq!(asked(&issuer), (1, 2), "{order}, preload: {preload}");
        }
    }
}

#[test]
fn login_that_hangs_holds_up_no_login_with_another_token() {
    for preload in BOTH {
        let (issuer, server, token) = hanging(preload);
        let login = Login::new(&server, "alice").token(&token);
        let hanging = thread::spawn(move || login.run());
        // The metadata have been read, and the first token is asked about.
        while asked(&issuer).1 == 0 {
            thread::sleep(Duration::from_millis(5));
        }
        issuer.heal();
        for _ in 0..2 {
            server.admits("alice", &issuer.opaque_token("alice"));
        }
        let pid = server.wait_for_backend("wait_event = 'ValidatorFetch'");
        server.sql(&format!("SELECT pg_terminate_backend({pid})"));
        assert!(!hanging.join().expect("no panic").is_session());
        assert_eq!(asked(&issuer), (1, 3), "preload: {preload}");
    }
}

#[test]
fn authentication_timeout_ends_a_login_that_asks() {
    for preload in BOTH {
        let (issuer, server, token) = hanging(preload);
        server.reload_with(&[("authentication_timeout", "1s")]);
        let start = Instant::now();
        let refusal = Login::new(&server, "alice").token(&token).run().refusal();
        assert!(start.elapsed() < Duration::from_secs(1) + AT_ONCE);
        assert!(!refusal.received_text().contains(issuer.url()));
        issuer.heal();
        server.reload_with(&[("authentication_timeout", "1min")]);
        server.admits("alice", &token);
    }
}

#[test]
fn killed_process_that_asks_leaves_nobody_waiting() {
    for preload in BOTH {
        let (issuer, server, token) = hanging(preload);
        let login = Login::new(&server, "alice").token(&token);
        let asking = thread::spawn(move || login.run());
        while asked(&issuer).1 == 0 {
            thread::sleep(Duration::from_millis(5));
        }
        let pid = server.wait_for_backend("wait_event = 'ValidatorFetch'");
        issuer.heal();
        server.kill(pid);
        assert!(!asking.join().expect("no panic").is_session());
        server.admits("alice", &token);
        assert_eq!(asked(&issuer).1, 2, "preload: {preload}");
    }
}

#[test]
fn fast_shutdown_does_not_wait_for_the_provider() {
    for preload in BOTH {
        let (issuer, server, token) = hanging(preload);
        let start = |_| {
            let login = Login::new(&server, "alice").token(&token);
            thread::spawn(move || login.run())
        };
        let logins: Vec<_> = (0..3).map(start).collect();
        while asked(&issuer).1 == 0 {
            thread::sleep(Duration::from_millis(5));
        }
        let took = server.stop(StopMode::Fast);
        assert!(took < AT_ONCE, "{took:?}");
        for login in logins {
            assert!(!login.join().expect("no panic").is_session());
        }
    }
}
