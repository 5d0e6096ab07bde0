//! Backends that are killed with SIGKILL, while they fetch, wait, or hold the lock: PostgreSQL ends all others, and starts
//! again with new shared memory. Nobody hangs, and the cache is cold and clean.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rig::{Issuer, Login, Server, child};

use crate::{
    Mode, asked, assert_nobody_waits, at_once, eventually, hanging, join, log_in, processes_of,
    wait_for_waiters, wait_for_worker,
};

/// One login fetches, and the next ones find what it fetched.
#[track_caller]
fn assert_cold_and_clean(server: &Server, issuer: &Issuer, mode: Mode) {
    let before = asked(issuer);
    for _ in 0..3 {
        log_in(server, issuer);
    }
    assert_eq!(asked(issuer), (before.0 + 1, before.1 + 1), "{mode:?}");
    assert_nobody_waits(server);
    if mode == Mode::Preloaded {
        wait_for_worker(server);
    }
}

#[test]
fn killed_fetcher_or_waiter_leaves_a_cache_that_is_cold_and_clean() {
    for mode in Mode::BOTH {
        for victim in ["ValidatorFetch", "ValidatorWait"] {
            let (issuer, server) = hanging(mode);
            let postmaster = server.postmaster_pid();
            let clients = at_once(&server, &issuer, 4);
            wait_for_waiters(&server, &issuer, 3);
            let pid = server.wait_for_backend(&format!("wait_event = '{victim}'"));
            issuer.heal();
            server.kill(pid);
            for outcome in join(clients) {
                outcome.refusal();
            }
            assert_cold_and_clean(&server, &issuer, mode);
            assert_eq!(server.postmaster_pid(), postmaster);
        }
    }
}

#[test]
fn backend_that_is_killed_while_it_holds_the_lock_leaves_a_cache_that_is_cold_and_clean() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        let server = mode
            .server_of(&issuer)
            // Flushed beside the keys, under a lock of its own that logins do not need.
            .set("validator.introspection_cache_entries", "16")
            .start();
        server.sql("CREATE EXTENSION validator");
        // Takes the lock over and over.
        let mut flusher = Login::by_socket(&server, "postgres").run().session();
        let holder = flusher.pid();
        let flushing = thread::spawn(move || {
            flusher.query("DO $$ BEGIN LOOP PERFORM validator.flush_cache(); END LOOP; END $$")
        });
        let over = AtomicBool::new(false);
        let token = issuer.token("alice").encode();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !over.load(Ordering::SeqCst) {
                        Login::new(&server, "alice").token(&token).run();
                    }
                });
            }
            eventually(
                Duration::from_secs(60),
                "it is stopped with the lock held",
                || {
                    child::signal(holder, libc::SIGSTOP);
                    let held = waits_for_lock(&server);
                    if !held {
                        child::signal(holder, libc::SIGCONT);
                    }
                    held
                },
            );
            server.kill(holder);
            over.store(true, Ordering::SeqCst);
        });
        flushing
            .join()
            .expect("no panic")
            .expect_err("its backend was killed");
        assert_nobody_waits(&server);
        server.forget_keys();
        assert_cold_and_clean(&server, &issuer, mode);
    }
}

/// Whether a login is stuck in its authentication, which takes no other lock for long. Not asked by SQL: the process
/// that was stopped may have one that every session needs.
fn waits_for_lock(server: &Server) -> bool {
    let authenticating = || {
        let processes = processes_of(server).into_iter();
        let titled = processes.filter(|(_, title)| title.contains("authentication"));
        titled.map(|(pid, _)| pid).collect::<Vec<_>>()
    };
    thread::sleep(Duration::from_millis(50));
    let first = authenticating();
    !first.is_empty() && {
        thread::sleep(Duration::from_millis(300));
        authenticating().iter().any(|pid| first.contains(pid))
    }
}
