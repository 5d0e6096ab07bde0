//! Five hundred people who log in for the first time at once, each of whom has no role yet.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use rig::{Issuer, Login, Outcome, Server};
use serde_json::json;

const PEOPLE: usize = 500;

/// A server that provisions people by the groups `even` and `odd`.
fn start(issuer: &Issuer) -> Server {
    let server = Server::trusting(issuer)
        .preload()
        .set("max_connections", "600")
        .set("validator.role_claim", "groups")
        .set("validator.provision_timeout", "60s")
        .set("authentication_timeout", "120s")
        .start();
    server.sql(
        "CREATE ROLE even NOLOGIN; CREATE ROLE odd NOLOGIN; CREATE EXTENSION validator; \
         CREATE ROLE validator_manager NOLOGIN CREATEROLE; CREATE ROLE validator_managed NOLOGIN; \
         GRANT validator_managed, even, odd TO validator_manager WITH ADMIN TRUE, INHERIT FALSE, SET FALSE",
    );
    server.set("validator.provision", "roles");
    server.set("validator.provision_role", "validator_manager");
    server.restart();
    server.wait_for_backend("backend_type = 'validator roles' AND wait_event_type = 'Extension'");
    server
}

#[test]
fn five_hundred_first_logins_at_once_get_in_and_each_has_the_right_groups() {
    let issuer = Issuer::builder().start();
    let server = start(&issuer);

    let barrier = Arc::new(Barrier::new(PEOPLE));
    let logins: Vec<_> = (0..PEOPLE)
        .map(|n| {
            let user = format!("person{n}");
            let group = ["even", "odd"][n % 2];
            let token = issuer.token(&user).claim("groups", json!([group])).encode();
            let login = Login::new(&server, &user)
                .token(&token)
                .limit(Duration::from_secs(120));
            let barrier = barrier.clone();
            thread::spawn(move || {
                barrier.wait();
                let start = Instant::now();
                (login.run(), start.elapsed())
            })
        })
        .collect();
    let mut slowest = Duration::ZERO;
    let mut sessions = Vec::new();
    for login in logins {
        let (outcome, took) = login.join().expect("no panic");
        slowest = slowest.max(took);
        match outcome {
            Outcome::Session(session) => sessions.push(session),
            Outcome::Refused(refusal) => panic!("{refusal:?}\n{}", server.log().text()),
        }
    }
    assert!(slowest < Duration::from_secs(60), "{slowest:?}");
    let right = "SELECT count(*) FROM pg_auth_members JOIN pg_roles r ON r.oid = member \
         WHERE rolname LIKE 'person%' AND roleid::regrole::text = \
         CASE substr(rolname, 7)::int % 2 WHEN 0 THEN 'even' ELSE 'odd' END";
    assert_eq!(server.value(right), PEOPLE.to_string());
    let of_groups = "SELECT count(*) FROM pg_auth_members WHERE roleid IN ('even'::regrole, 'odd'::regrole) \
         AND member <> 'validator_manager'::regrole";
    assert_eq!(server.value(of_groups), PEOPLE.to_string());
    let failures = "SELECT concat_ws(' ', roles_created, provision_failures) FROM validator.stats";
    assert_eq!(server.value(failures), format!("{PEOPLE} 0"));
    for log in ["PANIC:", "was terminated by signal", "panicked"] {
        assert!(!server.log().text().contains(log));
    }
}

/// CPU of the server's processes that have ended, and the minor page faults of these.
fn spent(server: &Server) -> (f64, u64) {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.postmaster_pid()));
    let stat = stat.expect("the postmaster runs");
    let fields: Vec<u64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    // Counted from the state, which is the third field: cminflt is the 11th, cutime and cstime the 16th and 17th.
    let ticks = (fields[13] + fields[14]) as f64;
    (ticks * 10.0, fields[8])
}

/// Where a role is as its token says, a login asks nobody: it costs at most 0.3 ms more than without provisioning.
#[test]
fn login_that_needs_no_change_costs_little_more_than_one_without_provisioning() {
    const LOGINS: u32 = 250;
    const ROUNDS: u32 = 4;
    let issuer = Issuer::builder().start();
    let server = start(&issuer);
    // The role itself is among the values, as it must be without provisioning.
    let groups = json!(["even", "odd", "zoe"]);
    let token = issuer.token("zoe").claim("groups", groups).encode();
    drop(server.admits("zoe", &token));
    let mut sums = [(0.0, 0u64); 2];
    for round in 0..2 * ROUNDS {
        let which = (round % 2) as usize;
        server.reload_with(&[("validator.provision", ["off", "roles"][which])]);
        let wait = || {
            let left = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'zoe'";
            while server.value(left) != "0" {
                thread::sleep(Duration::from_millis(10));
            }
        };
        drop(server.admits("zoe", &token));
        wait();
        let before = spent(&server);
        for _ in 0..LOGINS {
            drop(server.admits("zoe", &token));
        }
        wait();
        let after = spent(&server);
        sums[which].0 += after.0 - before.0;
        sums[which].1 += after.1 - before.1;
    }
    let each = |sum: f64| sum / f64::from(LOGINS * ROUNDS);
    let [off, on] = sums;
    let (cost, faults) = (
        each(on.0) - each(off.0),
        each(on.1 as f64) - each(off.1 as f64),
    );
    let own = each(off.0);
    assert!(
        cost < 0.3,
        "{cost:.3} ms and {faults:.1} page faults more than {own:.3} ms"
    );
}
