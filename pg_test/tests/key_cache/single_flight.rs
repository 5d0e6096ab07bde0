//! Of many logins that need the provider one asks it, and the others wait; whatever becomes of it, they get in.

use std::thread;
use std::time::{Duration, Instant};

use rig::{ConnectionFault, Endpoint, Fault, Issuer, Login, StopMode};

use crate::{
    AT_ONCE, Mode, asked, assert_nobody_waits, assert_settled, at_once, hanging, join, log_in,
    wait_for_fetcher, wait_for_waiters,
};

#[test]
fn waiters_replace_a_fetcher_that_is_terminated_or_cancelled_and_get_in() {
    for mode in Mode::BOTH {
        for order in ["pg_terminate_backend", "pg_cancel_backend"] {
            let (issuer, server) = hanging(mode);
            let clients = at_once(&server, &issuer, 8);
            let fetcher = wait_for_waiters(&server, &issuer, 7);
            issuer.heal();
            let start = Instant::now();
            server.sql(&format!("SELECT {order}({fetcher})"));
            let admitted = join(clients).iter().filter(|o| o.is_session()).count();
            assert!(start.elapsed() < AT_ONCE * 2, "{:?}", start.elapsed());
            assert_eq!(admitted, 7, "{mode:?}, {order}");
            assert_eq!(asked(&issuer), (2, 1), "{mode:?}, {order}: one replaces it");
            assert_settled(&server, &issuer);
            assert_eq!(asked(&issuer), (2, 1));
        }
    }
}

#[test]
fn waiters_replace_one_fetcher_after_the_other() {
    let (issuer, server) = hanging(Mode::OnDemand);
    let clients = at_once(&server, &issuer, 6);
    for left in (1..=5).rev() {
        let fetcher = wait_for_waiters(&server, &issuer, left);
        // It may not have come as far as to ask.
        crate::eventually(AT_ONCE, "the provider is asked", || {
            asked(&issuer).0 == 6 - left
        });
        if left == 1 {
            issuer.heal();
        }
        server.sql(&format!("SELECT pg_terminate_backend({fetcher})"));
    }
    let admitted = join(clients).iter().filter(|o| o.is_session()).count();
    assert_eq!((admitted, asked(&issuer)), (1, (6, 1)));
    assert_settled(&server, &issuer);
}

#[test]
fn waiter_that_is_terminated_or_cancelled_ends_at_once_and_hinders_nobody() {
    for mode in Mode::BOTH {
        let (issuer, server) = hanging(mode);
        let clients = at_once(&server, &issuer, 8);
        wait_for_waiters(&server, &issuer, 7);
        let start = Instant::now();
        server.sql(
            "SELECT CASE WHEN n % 2 = 0 THEN pg_terminate_backend(pid) ELSE pg_cancel_backend(pid) END \
             FROM (SELECT pid, row_number() OVER () AS n FROM pg_stat_activity WHERE wait_event = 'ValidatorWait') w",
        );
        let fetcher = wait_for_waiters(&server, &issuer, 0);
        assert!(start.elapsed() < AT_ONCE, "{mode:?}: {:?}", start.elapsed());
        assert_eq!(issuer.requests().len(), 1, "{mode:?}");
        server.sql(&format!("SELECT pg_terminate_backend({fetcher})"));
        for outcome in join(clients) {
            let told = outcome.refusal().received_text();
            assert!(
                !told.contains("provider") && !told.contains("Validator"),
                "{told}"
            );
        }
        issuer.heal();
        assert_settled(&server, &issuer);
    }
}

#[test]
fn authentication_timeout_ends_the_fetcher_and_all_that_wait_for_it() {
    for mode in Mode::BOTH {
        let (issuer, server) = hanging(mode);
        server.reload_with(&[("authentication_timeout", "2s")]);
        let start = Instant::now();
        for outcome in join(at_once(&server, &issuer, 8)) {
            outcome.refusal();
        }
        assert!(
            start.elapsed() < Duration::from_secs(2) + AT_ONCE,
            "{mode:?}: {:?}",
            start.elapsed()
        );
        issuer.heal();
        server.reload_with(&[("authentication_timeout", "1min")]);
        assert_settled(&server, &issuer);
    }
}

#[test]
fn waiter_gives_up_when_its_own_time_is_over() {
    let issuer = Issuer::builder().start();
    issuer.fail_connections(ConnectionFault::Hang);
    let server = Mode::OnDemand
        .server_of(&issuer)
        .set("validator.http_timeout", "1s")
        .start();
    let mark = server.log().mark();
    let start = Instant::now();
    for outcome in join(at_once(&server, &issuer, 10)) {
        rig::assert_silent_refusal(&outcome.refusal(), "provider_unavailable");
    }
    assert!(
        start.elapsed() < Duration::from_secs(1) + AT_ONCE,
        "{:?}",
        start.elapsed()
    );
    let log = server.log().since(mark);
    assert_eq!(
        rig::explanations(&log)
            .filter(|why| why.starts_with("provider_unavailable cause=timeout"))
            .count(),
        10,
        "{log}"
    );
    issuer.heal();
    server.forget_keys();
    assert_settled(&server, &issuer);
}

#[test]
fn shutdown_does_not_wait_for_those_that_wait() {
    for mode in Mode::BOTH {
        for stop in [StopMode::Fast, StopMode::Immediate] {
            let (issuer, server) = hanging(mode);
            let clients = at_once(&server, &issuer, 6);
            wait_for_waiters(&server, &issuer, 5);
            let took = server.stop(stop);
            assert!(took < AT_ONCE, "{mode:?}, {stop:?}: {took:?}");
            for outcome in join(clients) {
                outcome.refusal();
            }
            issuer.heal();
            server.start_again().unwrap_or_else(|log| panic!("{log}"));
            log_in(&server, &issuer);
            assert_nobody_waits(&server);
        }
    }
}

#[test]
fn waiters_that_take_all_connections_are_let_in_when_the_provider_answers() {
    let issuer = Issuer::builder().start();
    issuer.fail(Endpoint::Discovery, Fault::HangInBody);
    let server = Mode::OnDemand
        .server_of(&issuer)
        .set("max_connections", "20")
        .set("validator.http_timeout", "60s")
        .start();
    // From now on nobody else can connect.
    let mut rig = Login::by_socket(&server, "postgres").run().session();
    let clients = at_once(&server, &issuer, 40);
    let mut count = |event: &str| -> usize {
        rig.value(&format!(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = '{event}'"
        ))
        .parse()
        .expect("a number")
    };
    crate::eventually(Duration::from_secs(30), "18 logins wait for one", || {
        count("ValidatorWait") == 18 && asked(&issuer).0 == 1
    });
    assert_eq!(count("ValidatorFetch"), 1);
    issuer.heal();
    rig.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'ValidatorFetch'")
        .expect("a superuser may");
    let outcomes = join(clients);
    let admitted = outcomes.iter().filter(|o| o.is_session()).count();
    // Some places are for superusers only, which PostgreSQL says after authentication.
    assert!((10..=18).contains(&admitted), "{admitted} admitted");
    assert_eq!(asked(&issuer), (2, 1));
    drop((outcomes, rig));
    thread::sleep(Duration::from_millis(100));
    assert_settled(&server, &issuer);
}

#[test]
fn fetcher_whose_client_goes_away_serves_the_others() {
    let issuer = Issuer::builder().start();
    issuer.fail(Endpoint::Jwks, Fault::Delay(Duration::from_secs(2)));
    let server = Mode::OnDemand
        .server_of(&issuer)
        .set("validator.http_timeout", "20s")
        .start();
    let token = issuer.token("alice").encode();
    let login = Login::new(&server, "alice")
        .token(&token)
        .limit(Duration::from_millis(500));
    let impatient = thread::spawn(move || login.run());
    wait_for_fetcher(&server);
    let clients = at_once(&server, &issuer, 4);
    impatient.join().expect("no panic").refusal();
    for outcome in join(clients) {
        outcome.session();
    }
    assert_eq!(asked(&issuer), (1, 1));
}
