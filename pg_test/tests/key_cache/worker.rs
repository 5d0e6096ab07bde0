//! Preloaded, a background worker refreshes the keys; it obeys whatever its provider does.

use std::time::{Duration, Instant};

use rig::{
    Endpoint, Fault, Issuer, Server, ServerBuilder, StopMode, child, environment, oauth_line,
};

use crate::{
    AT_ONCE, Mode, asked, assert_settled, eventually, failed_refreshes, log_in, log_in_by,
    server_of_many, wait_for_worker, worker_of,
};

/// The worker looks every five seconds what is due.
const SOON: Duration = Duration::from_secs(15);

/// A server whose keys are due for a refresh as soon as they are there.
fn with_keys_that_are_due(issuer: &Issuer) -> Server {
    with_keys_that_are_due_on(issuer, ServerBuilder::preload)
}

/// The same, on a server that is preloaded in this way.
fn with_keys_that_are_due_on(
    issuer: &Issuer,
    preload: impl FnOnce(ServerBuilder) -> ServerBuilder,
) -> Server {
    issuer.add_header(Endpoint::Jwks, "Cache-Control", "no-store");
    preload(Server::trusting(issuer))
        .log_everything()
        .set("validator.jwks_min_ttl", "1s")
        .set("validator.http_timeout", "60s")
        .start()
}

/// Until the worker is in the middle of a fetch that never ends; its process id.
fn hang_worker(issuer: &Issuer, server: &Server) -> u32 {
    let before = asked(issuer).1;
    issuer.fail(Endpoint::Jwks, Fault::HangInBody);
    eventually(SOON, "the worker asks", || asked(issuer).1 > before);
    worker_of(server).expect("it runs")
}

#[test]
fn worker_runs_only_where_the_module_is_preloaded() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        let server = mode.server_of(&issuer).start();
        log_in(&server, &issuer);
        match mode {
            Mode::OnDemand => assert_eq!(worker_of(&server), None),
            Mode::Preloaded => drop(wait_for_worker(&server)),
        }
        // Nothing of ours is connected to a database, which would keep it from being dropped.
        server.sql("CREATE DATABASE d");
        server.sql("DROP DATABASE d");
    }
}

#[test]
fn worker_uses_the_file_that_was_preloaded_and_no_other_copy_of_its_name() {
    let issuer = Issuer::builder().start();
    let preloaded = environment::stage().join("lib/validator");
    let preloaded = preloaded.display().to_string();
    let line = oauth_line(issuer.url(), "")
        .replace("validator=validator", &format!("validator=\"{preloaded}\""));
    // The first file of that name in dynamic_library_path is another copy.
    let server = with_keys_that_are_due_on(&issuer, |builder| {
        builder
            .own_module()
            .set("shared_preload_libraries", &preloaded)
            .set(
                "oauth_validator_libraries",
                &format!("validator, {preloaded}"),
            )
    });
    server.set_hba(&[&line]);
    server.reload();
    let worker = wait_for_worker(&server);
    log_in(&server, &issuer);
    let before = asked(&issuer);
    eventually(SOON, "the worker refreshes", || asked(&issuer).1 > before.1);
    assert_eq!(worker_of(&server), Some(worker));
    let log = server.log().text();
    assert!(!log.contains("attempt to redefine parameter"), "{log}");
    // It starts again in the same way.
    child::signal(worker, libc::SIGTERM);
    eventually(AT_ONCE, "the worker ends", || {
        worker_of(&server) != Some(worker)
    });
    wait_for_worker(&server);
}

#[test]
fn worker_that_hangs_holds_up_no_login_and_obeys_a_fast_shutdown() {
    let issuer = Issuer::builder().start();
    let server = with_keys_that_are_due(&issuer);
    log_in(&server, &issuer);
    hang_worker(&issuer, &server);
    let before = asked(&issuer);
    for _ in 0..10 {
        log_in(&server, &issuer);
    }
    assert_eq!(asked(&issuer), before, "a login asked, too");
    let took = server.stop(StopMode::Fast);
    assert!(took < AT_ONCE, "a fast shutdown took {took:?}");
    server.start_again().unwrap_or_else(|log| panic!("{log}"));
    issuer.heal();
    log_in(&server, &issuer);
}

#[test]
fn worker_that_hangs_obeys_a_reload() {
    let issuer = Issuer::builder().start();
    let server = with_keys_that_are_due(&issuer);
    log_in(&server, &issuer);
    let worker = hang_worker(&issuer, &server);
    let before = asked(&issuer).1;
    server.reload_with(&[("validator.http_timeout", "50s")]);
    // It leaves the request that hangs, reads the settings, and asks again under them.
    eventually(AT_ONCE, "the worker asks again", || {
        asked(&issuer).1 > before
    });
    assert_eq!(worker_of(&server), Some(worker));
}

#[test]
fn worker_that_is_terminated_is_started_again_and_logins_go_on() {
    let issuer = Issuer::builder().start();
    let server = with_keys_that_are_due(&issuer);
    log_in(&server, &issuer);
    let worker = hang_worker(&issuer, &server);
    let start = Instant::now();
    child::signal(worker, libc::SIGTERM);
    eventually(AT_ONCE, "the worker ends", || {
        worker_of(&server) != Some(worker)
    });
    issuer.heal();
    // Its fetch is not left open: a login refreshes in its place.
    let before = asked(&issuer);
    log_in(&server, &issuer);
    assert_eq!(asked(&issuer), (before.0 + 1, before.1 + 1));
    let next = wait_for_worker(&server);
    assert_ne!(next, worker);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    // And it works.
    let before = asked(&issuer);
    eventually(SOON, "the new worker refreshes", || {
        asked(&issuer).1 > before.1
    });
    assert_settled(&server, &issuer);
}

#[test]
fn worker_survives_a_provider_that_fails_and_refreshes_when_it_is_back() {
    let issuer = Issuer::builder().start();
    let server = with_keys_that_are_due(&issuer);
    log_in(&server, &issuer);
    let worker = wait_for_worker(&server);
    let mark = server.log().mark();
    issuer.fail(Endpoint::Jwks, Fault::Html);
    eventually(SOON, "a failure is logged", || {
        failed_refreshes(&server, mark) > 0
    });
    let log = server.log().since(mark);
    let line = log
        .lines()
        .find(|l| l.contains("could not refresh"))
        .expect("a line");
    assert!(
        line.contains(&format!("[{worker}]")) && line.contains(issuer.url()),
        "{line}"
    );
    assert!(
        log.contains("reason=provider_unavailable cause=malformed url="),
        "{log}"
    );
    issuer.heal();
    let before = asked(&issuer);
    eventually(SOON, "it is asked again", || asked(&issuer).1 > before.1);
    assert_eq!(wait_for_worker(&server), worker);
    assert_settled(&server, &issuer);
}

#[test]
fn issuers_that_hang_hold_up_the_refresh_of_another_for_one_timeout_at_most() {
    const HANGING: usize = 6;
    // The last one answers.
    let issuers: Vec<_> = (0..=HANGING).map(|_| Issuer::builder().start()).collect();
    let settings = [
        ("validator.jwks_min_ttl", "1s"),
        ("validator.jwks_max_ttl", "1s"),
        ("validator.http_timeout", "3s"),
    ];
    let server = server_of_many(&issuers, Mode::Preloaded, &settings);
    (0..=HANGING).for_each(|n| log_in_by(&server, &issuers, n));
    for issuer in &issuers[..HANGING] {
        issuer.fail(Endpoint::Discovery, Fault::Status(500));
    }
    let mark = server.log().mark();
    eventually(SOON * 2, "all that fail are known to", || {
        failed_refreshes(&server, mark) >= HANGING
    });
    for issuer in &issuers[..HANGING] {
        issuer.fail(Endpoint::Discovery, Fault::Hang);
    }
    let hung = || issuers[..HANGING].iter().map(|i| asked(i).0).sum::<usize>();
    let answered = || asked(&issuers[HANGING]).1;
    let (hung_before, answered_before) = (hung(), answered());
    eventually(SOON * 4, "as many attempts as hang", || {
        hung() >= hung_before + 2 * HANGING
    });
    // A look takes five seconds, in which two can hang.
    let (attempts, refreshes) = (hung() - hung_before, answered() - answered_before);
    assert!(
        refreshes >= attempts / 3,
        "{refreshes} refreshes beside {attempts} attempts"
    );
}
