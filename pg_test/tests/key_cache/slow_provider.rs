//! A provider that becomes slow, silent or untrusted after it has answered well: the cached keys are used, and at most
//! the one login that asks is held up.

use std::thread;
use std::time::Duration;

use rig::{Authority, ConnectionFault, Endpoint, Fault, Issuer, Login, Server};

use crate::{
    Mode, asked, assert_nobody_waits, eventually, failed_refreshes, log_in_by, server_of_many,
    wait_for_fetcher,
};

const SECOND: Duration = Duration::from_secs(1);

/// Keys are stale a second after they were fetched.
const SHORT: [(&str, &str); 2] = [
    ("validator.jwks_min_ttl", "1s"),
    ("validator.jwks_max_ttl", "1s"),
];

/// What becomes of a provider.
type Change = Box<dyn Fn(&Issuer)>;

/// Each keeps whoever asks waiting until `http_timeout` is over.
fn slow() -> Vec<(&'static str, Change)> {
    let fail = |endpoint, fault: Fault| -> Change {
        Box::new(move |issuer: &Issuer| issuer.fail(endpoint, fault.clone()))
    };
    vec![
        (
            "metadata of one byte a second",
            fail(Endpoint::Discovery, Fault::Drip(SECOND)),
        ),
        (
            "keys of one byte a second",
            fail(Endpoint::Jwks, Fault::Drip(SECOND)),
        ),
        (
            "accepted and silent",
            Box::new(|issuer| issuer.fail_connections(ConnectionFault::Hang)),
        ),
        (
            "silent after the request",
            fail(Endpoint::Discovery, Fault::Hang),
        ),
        (
            "silent in the headers",
            fail(Endpoint::Jwks, Fault::HangInHeaders),
        ),
        (
            "silent in the body",
            fail(Endpoint::Jwks, Fault::HangInBody),
        ),
    ]
}

/// Each fails the handshake.
fn untrusted() -> Vec<(&'static str, Change)> {
    let authority = Authority::shared();
    let present = |identity: rig::Identity| -> Change {
        Box::new(move |issuer: &Issuer| issuer.present(&identity))
    };
    vec![
        (
            "certificate of an unknown authority",
            present(Authority::new("stranger").server()),
        ),
        ("certificate expired", present(authority.expired_server())),
        (
            "certificate of another host",
            present(authority.server_for(&["idp.test"])),
        ),
        (
            "closed before the handshake",
            Box::new(|issuer| issuer.fail_connections(ConnectionFault::Close)),
        ),
    ]
}

/// Servers whose keys have just become stale, with an issuer for each change, which has happened.
fn with_stale_keys(mode: Mode, changes: &[(&str, Change)], timeout: &str) -> (Vec<Issuer>, Server) {
    let start = |_| Issuer::builder().https().start();
    let issuers: Vec<Issuer> = changes.iter().map(start).collect();
    let authority = Authority::shared().file().display().to_string();
    let mut settings = vec![
        ("validator.http_timeout", timeout),
        ("validator.ca_file", authority.as_str()),
    ];
    settings.extend(SHORT);
    let server = server_of_many(&issuers, mode, &settings);
    for n in 0..issuers.len() {
        log_in_by(&server, &issuers, n);
    }
    for (issuer, (_, change)) in issuers.iter().zip(changes) {
        change(issuer);
    }
    thread::sleep(SECOND + Duration::from_millis(50));
    (issuers, server)
}

#[test]
fn provider_that_becomes_slow_holds_up_one_login_and_no_other() {
    let changes = slow();
    let (issuers, server) = with_stale_keys(Mode::OnDemand, &changes, "60s");
    for (n, (what, _)) in changes.iter().enumerate() {
        let role = format!("r{n}");
        let token = issuers[n].token(&role).encode();
        let login = Login::new(&server, &role).token(&token);
        let first = thread::spawn(move || login.run());
        let fetcher = wait_for_fetcher(&server);
        for _ in 0..5 {
            log_in_by(&server, &issuers, n);
        }
        assert!(!first.is_finished(), "{what}: nobody is held up");
        server.sql(&format!("SELECT pg_terminate_backend({fetcher})"));
        first.join().expect("no panic").refusal();
    }
}

#[test]
fn login_that_asks_a_slow_provider_in_vain_gets_in_with_the_keys_at_hand() {
    for mode in Mode::BOTH {
        let changes = slow();
        let (issuers, server) = with_stale_keys(mode, &changes, "700ms");
        let mark = server.log().mark();
        for (n, (what, _)) in changes.iter().enumerate() {
            let before = asked(&issuers[n]);
            for _ in 0..4 {
                log_in_by(&server, &issuers, n);
            }
            let requests = asked(&issuers[n]).0 - before.0;
            assert!(requests <= 3, "{mode:?}, {what}: {requests} requests");
        }
        // The worker may be the one that asks, and says so later.
        eventually(SECOND * 20, "each failure is told", || {
            failed_refreshes(&server, mark) >= changes.len()
        });
        let log = server.log().since(mark);
        assert!(log.contains("cause=timeout"), "{log}");
        assert_recovered(&issuers, &server);
    }
}

#[test]
fn provider_whose_certificate_can_no_longer_be_trusted_locks_nobody_out() {
    for mode in Mode::BOTH {
        let changes = untrusted();
        let (issuers, server) = with_stale_keys(mode, &changes, "20s");
        for (n, (what, _)) in changes.iter().enumerate() {
            let before = asked(&issuers[n]);
            for _ in 0..4 {
                log_in_by(&server, &issuers, n);
            }
            assert_eq!(
                asked(&issuers[n]),
                before,
                "{mode:?}, {what}: it was told a request"
            );
            // Who needs a key that is not cached is refused.
            let role = format!("r{n}");
            let unknown = issuers[n].token(&role).header("kid", "new").encode();
            server.refuses(&role, &unknown, "provider_unavailable");
        }
        for issuer in &issuers {
            issuer.present(&Authority::shared().server());
        }
        assert_recovered(&issuers, &server);
    }
}

/// The providers answer well again: they are asked, and nothing is left of what happened.
fn assert_recovered(issuers: &[Issuer], server: &Server) {
    for issuer in issuers {
        issuer.heal();
    }
    for (n, issuer) in issuers.iter().enumerate() {
        let before = asked(issuer);
        eventually(SECOND * 20, "the provider is asked again", || {
            log_in_by(server, issuers, n);
            asked(issuer).1 > before.1
        });
    }
    assert_nobody_waits(server);
}
