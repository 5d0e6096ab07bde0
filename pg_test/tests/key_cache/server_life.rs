//! The cache over the life of a server: restarts, standbys, reloads, and an upgrade of the module.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rig::{Endpoint, Fault, Issuer, StopMode, child};

use crate::{Mode, asked, assert_settled, at_once, join, log_in};

#[test]
fn cache_is_cold_after_a_restart_and_works() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        let server = mode.server_of(&issuer).start();
        for (round, stop) in [StopMode::Fast, StopMode::Immediate, StopMode::Smart]
            .into_iter()
            .enumerate()
        {
            for _ in 0..3 {
                log_in(&server, &issuer);
            }
            assert_eq!(asked(&issuer), (round + 1, round + 1), "{mode:?}");
            server.stop(stop);
            server.start_again().unwrap_or_else(|log| panic!("{log}"));
        }
        assert_settled(&server, &issuer);
    }
}

#[test]
fn hot_standby_logs_people_in_and_caches() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        let primary = mode.server_of(&issuer).start();
        log_in(&primary, &issuer);
        let standby = primary.standby();
        assert_eq!(standby.value("SELECT pg_is_in_recovery()"), "t");
        for _ in 0..5 {
            let mut session = standby.admits("alice", &issuer.token("alice").encode());
            assert_eq!(session.value("SELECT system_user"), "oauth:alice");
        }
        // Its cache is its own.
        assert_eq!(asked(&issuer), (2, 2), "{mode:?}");
        if mode == Mode::Preloaded {
            crate::wait_for_worker(&standby);
        }
        // The cache outlives a promotion.
        standby.sql("SELECT pg_promote()");
        assert_settled(&standby, &issuer);
        assert_eq!(asked(&issuer), (2, 2), "{mode:?}");
        log_in(&primary, &issuer);
        assert_eq!(asked(&issuer), (2, 2), "{mode:?}");
    }
}

#[test]
fn module_that_is_replaced_while_the_server_runs_hinders_nobody() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        let server = mode.server_of(&issuer).own_module().start();
        let mut session = server.admits("alice", &issuer.token("alice").encode());
        server.replace_module();
        for _ in 0..5 {
            log_in(&server, &issuer);
        }
        join(at_once(&server, &issuer, 10))
            .into_iter()
            .for_each(|outcome| drop(outcome.session()));
        assert_eq!(session.value("SELECT 1"), "1");
        // Old and new have one layout, so they share the cache.
        assert_eq!(asked(&issuer), (1, 1), "{mode:?}");
        drop(session);
        assert_settled(&server, &issuer);
    }
}

#[test]
fn storm_of_reloads_hinders_no_login() {
    for mode in Mode::BOTH {
        let issuer = Issuer::builder().start();
        issuer.fail(Endpoint::Jwks, Fault::Delay(Duration::from_millis(300)));
        let server = mode
            .server_of(&issuer)
            .set("max_connections", "200")
            .start();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    child::signal(server.postmaster_pid(), libc::SIGHUP);
                    thread::sleep(Duration::from_millis(5));
                }
            });
            let outcomes: Vec<_> = (0..3)
                .flat_map(|_| join(at_once(&server, &issuer, 30)))
                .collect();
            over.store(true, Ordering::SeqCst);
            for outcome in outcomes {
                outcome.session();
            }
        });
        assert_eq!(asked(&issuer), (1, 1), "{mode:?}");
        assert_settled(&server, &issuer);
    }
}
