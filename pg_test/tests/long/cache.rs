//! The cache under floods, outages, crashes and many logins at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rig::{Endpoint, Fault, Issuer, Server, reasons};

use crate::support::{
    self, Mode, asked, assert_settled, at_once, flood, hanging, join, log_in, made_up,
    private_memory, wait_for_worker,
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
#[ignore = "long: make test-long"]
fn ten_thousand_made_up_keys_cause_one_refresh_a_cooldown_and_hinder_nobody() {
    for mode in Mode::BOTH {
        let (issuer, elsewhere) = (Issuer::builder().start(), Issuer::builder().start());
        let server = mode.server_of(&issuer).start();
        log_in(&server, &issuer);
        let tokens = made_up(&issuer, &format!("{}/jwks", elsewhere.url()), 10_000);
        flood(&server, &issuer, &tokens[..100]);
        let (mark, memory) = (server.log().mark(), private_memory(server.postmaster_pid()));
        let (fetches, took) = flood(&server, &issuer, &tokens);
        let allowed = took.as_secs() / 10 + 1;
        assert!(
            fetches as u64 <= allowed,
            "{mode:?}: {fetches} fetches in {took:?}"
        );
        assert!(
            fetches > 0 || took < SECOND * 10,
            "{mode:?}: a rotation is never noticed"
        );
        assert_eq!(
            elsewhere.requests().len(),
            0,
            "the tokens' server was asked"
        );
        let log = server.log().since(mark);
        let wrong: Vec<_> = reasons(&log).filter(|r| *r != "unknown_kid").collect();
        assert_eq!((reasons(&log).count(), wrong), (10_000, vec![]), "{mode:?}");
        let after = private_memory(server.postmaster_pid());
        assert!(
            after <= memory + 1024,
            "{mode:?}: {memory} kB grew to {after} kB"
        );
        assert_settled(&server, &issuer);
    }
}

#[test]
#[ignore = "long: make test-long"]
fn flood_of_made_up_keys_does_not_hold_back_a_rotation() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        let server = mode.server_of(&issuer).start();
        log_in(&server, &issuer);
        let tokens = made_up(&issuer, issuer.url(), 4_000);
        thread::scope(|scope| {
            let flood = scope.spawn(|| {
                tokens.iter().for_each(|token| {
                    rig::Login::new(&server, "alice").token(token).run();
                });
            });
            thread::sleep(SECOND * 2);
            issuer.rotate();
            let (start, token) = (Instant::now(), issuer.token("alice").encode());
            // Tried as someone would who waits for it; the cooldown is 10 seconds.
            support::eventually(SECOND * 15, "the new key is accepted", || {
                rig::Login::new(&server, "alice")
                    .token(&token)
                    .run()
                    .is_session()
            });
            assert!(
                !flood.is_finished(),
                "the flood was over after {:?}",
                start.elapsed()
            );
        });
    }
}

#[test]
#[ignore = "long: make test-long"]
fn thousand_logins_at_once_on_a_cold_cache_ask_twice_and_all_get_in() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        issuer.fail(Endpoint::Jwks, Fault::Delay(SECOND));
        let server = mode
            .server_of(&issuer)
            .set("max_connections", "1100")
            .set("validator.http_timeout", "50s")
            .start();
        let outcomes = join(at_once(&server, &issuer, 1000));
        let refused: Vec<_> = outcomes.iter().filter(|o| !o.is_session()).collect();
        assert!(
            refused.is_empty(),
            "{mode:?}: {} refused: {:?}",
            refused.len(),
            refused[0]
        );
        assert_eq!(asked(&issuer), (1, 1), "{mode:?}");
        drop(outcomes);
        assert_settled(&server, &issuer);
    }
}

#[test]
#[ignore = "long: make test-long"]
fn worker_refreshes_before_freshness_ends_so_that_no_login_ever_asks() {
    let issuer = Issuer::builder().start();
    issuer.add_header(Endpoint::Jwks, "Cache-Control", "max-age=15");
    let server = Server::trusting(&issuer)
        .preload()
        .set("validator.jwks_min_ttl", "1s")
        .start();
    log_in(&server, &issuer);
    wait_for_worker(&server);
    // A login that asked would take four seconds.
    issuer.fail(Endpoint::Discovery, Fault::Delay(SECOND * 2));
    issuer.fail(Endpoint::Jwks, Fault::Delay(SECOND * 2));
    let start = Instant::now();
    while start.elapsed() < SECOND * 60 {
        let login = Instant::now();
        log_in(&server, &issuer);
        let took = login.elapsed();
        assert!(
            took < SECOND * 2,
            "a login took {took:?} after {:?}",
            start.elapsed()
        );
        thread::sleep(Duration::from_millis(100));
    }
    let refreshes = asked(&issuer).1 - 1;
    assert!(
        (3..=12).contains(&refreshes),
        "{refreshes} refreshes in a minute"
    );
    assert_settled(&server, &issuer);
}

#[test]
#[ignore = "long: make test-long"]
fn provider_that_stays_away_is_asked_once_a_minute_at_last() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        issuer.add_header(Endpoint::Jwks, "Cache-Control", "no-store");
        let server = mode
            .server_of(&issuer)
            .set("validator.jwks_min_ttl", "1s")
            .start();
        log_in(&server, &issuer);
        issuer.fail(Endpoint::Discovery, Fault::Status(503));
        let (mark, start) = (server.log().mark(), Instant::now());
        while start.elapsed() < SECOND * 100 {
            log_in(&server, &issuer);
            thread::sleep(Duration::from_millis(200));
        }
        // After 0, 1, 3, 7, 15, 31 and 63 seconds, each a little later, and the worker's one a little later still.
        let attempts = asked(&issuer).0 - 1;
        assert!((4..=8).contains(&attempts), "{mode:?}: {attempts} attempts");
        let told = support::failed_refreshes(&server, mark);
        assert!(
            told <= attempts,
            "{mode:?}: {told} lines for {attempts} attempts"
        );
        issuer.heal();
        assert_settled(&server, &issuer);
    }
}

#[test]
#[ignore = "long: make test-long"]
fn fifty_crash_restarts_and_kills_during_fetches_do_no_lasting_harm() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        let server = mode
            .server_of(&issuer)
            .set("validator.http_timeout", "20s")
            .start();
        for round in 0_u64..25 {
            issuer.fail(Endpoint::Jwks, Fault::Delay(Duration::from_millis(200)));
            server.forget_keys();
            let clients = at_once(&server, &issuer, 6);
            // At another instruction each time.
            thread::sleep(Duration::from_millis(10 * round));
            let victim = server.sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()");
            let mark = server.log().mark();
            let Some(Some(pid)) = victim.first().and_then(|row| row.first()) else {
                join(clients);
                continue;
            };
            rig::child::signal(pid.parse().expect("a process id"), libc::SIGKILL);
            join(clients);
            server.log().wait_for(
                mark,
                "database system is ready to accept connections",
                SECOND * 60,
            );
            issuer.heal();
            log_in(&server, &issuer);
        }
        support::assert_nobody_waits(&server);
    }
}

#[test]
#[ignore = "long: make test-long"]
fn login_that_waits_for_the_provider_ends_within_a_tenth_of_a_second_of_an_order_to_stop() {
    for mode in Mode::BOTH {
        let (issuer, server) = hanging(mode);
        for order in ["pg_terminate_backend", "pg_cancel_backend"] {
            let attempt = || {
                let token = issuer.token("alice").encode();
                let login = rig::Login::new(&server, "alice").token(&token);
                let client = thread::spawn(move || (login.run(), Instant::now()));
                let fetcher = support::wait_for_fetcher(&server);
                let start = Instant::now();
                server.sql(&format!("SELECT {order}({fetcher})"));
                let (outcome, end) = client.join().expect("no panic");
                outcome.refusal();
                end - start
            };
            // The rest is what else this machine does.
            let least = (0..10).map(|_| attempt()).min().expect("ten attempts");
            assert!(least < SECOND / 10, "{mode:?}, {order}: {least:?}");
        }
    }
}

/// The middle one of the times that honest logins take while four clients log in with these tokens, over and over.
fn honest_login(server: &Server, issuer: &Issuer, beside: &[String]) -> Duration {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for share in beside.chunks(beside.len().div_ceil(4)) {
            let over = &over;
            scope.spawn(move || {
                for token in share.iter().cycle() {
                    if over.load(Ordering::SeqCst) {
                        break;
                    }
                    rig::Login::new(server, "alice").token(token).run();
                }
            });
        }
        let time = |_| {
            let start = Instant::now();
            log_in(server, issuer);
            start.elapsed()
        };
        let mut times: Vec<_> = (0..500).map(time).collect();
        over.store(true, Ordering::SeqCst);
        times.sort();
        times[times.len() / 2]
    })
}

#[test]
#[ignore = "long: make test-long"]
fn honest_logins_take_as_long_beside_an_attack_as_beside_other_honest_logins() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        let server = mode.server_of(&issuer).start();
        log_in(&server, &issuer);
        let honest: Vec<_> = (0..100).map(|_| issuer.token("alice").encode()).collect();
        let made_up = made_up(&issuer, issuer.url(), 1000);
        // In turns, so that what else this machine does hits both.
        let rounds = |_| {
            let calm = honest_login(&server, &issuer, &honest);
            (calm, honest_login(&server, &issuer, &made_up))
        };
        let times: Vec<_> = (0..3).map(rounds).collect();
        // A refused login is shorter than a good one, so that there are more of them in the same time.
        let slowed = times.iter().all(|(calm, attacked)| *attacked > *calm * 2);
        assert!(!slowed, "{mode:?}: {times:?}");
    }
}
