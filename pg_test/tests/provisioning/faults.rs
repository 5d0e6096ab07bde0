//! A worker that is gone, busy, killed, or cannot do what it should: refused with a cause and a hint, nothing half done, and
//! the next login works.

use std::time::{Duration, Instant};

use rig::{Issuer, Login, Outcome, Server, assert_silent_refusal, environment, reasons};

use crate::{
    Directory, assert_cause, assert_unharmed, eventually, groups_of, log_in_aside, wait_for_worker,
};

/// Holds the lock on a catalog, so that the worker waits.
fn block(directory: &Directory) -> rig::Session {
    directory.server.sql(
        "CREATE ROLE blocker LOGIN SUPERUSER; \
         GRANT validator_managed TO blocker; ALTER ROLE blocker RESET ALL",
    );
    directory.server.set("validator.allow_superuser", "on");
    directory.server.reload();
    let mut session = directory.admits("blocker", &["auditors"]);
    session
        .query("BEGIN; LOCK pg_authid IN SHARE MODE")
        .expect("it locks");
    session
}

#[test]
fn a_busy_worker_is_waited_for_and_no_longer_than_set() {
    let directory = Directory::start();
    let mut blocker = block(&directory);
    let begin = Instant::now();
    directory.does_not_provision("zoe", &["analysts"], "busy");
    let took = begin.elapsed();
    assert!(took >= Duration::from_secs(2), "{took:?}");
    assert!(took < Duration::from_secs(4), "{took:?}");
    blocker.query("ROLLBACK").expect("it ends");
    directory.admits("zoe", &["analysts"]);
    assert_eq!(directory.groups_of("zoe"), "analysts");
    assert_unharmed(&directory.server);
}

#[test]
fn a_login_that_waits_ends_with_its_own_timeout_and_at_a_command() {
    let directory = Directory::with(|builder| {
        builder
            .set("validator.provision_timeout", "60s")
            .set("authentication_timeout", "3s")
    });
    let server = &directory.server;
    let mut blocker = block(&directory);
    let token = directory.token("zoe", &["analysts"]);
    let begin = Instant::now();
    let login = log_in_aside(server, "zoe", &token);
    assert!(!login.join().expect("no panic").is_session());
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
    let begin = Instant::now();
    let login = log_in_aside(server, "zoe", &token);
    let pid = server.wait_for_backend("wait_event = 'ValidatorWait'");
    server.sql(&format!("SELECT pg_terminate_backend({pid})"));
    assert!(!login.join().expect("no panic").is_session());
    assert!(
        begin.elapsed() < Duration::from_millis(2500),
        "{:?}",
        begin.elapsed()
    );
    blocker.query("ROLLBACK").expect("it ends");
    // What they asked for may have been done, and is right for their token.
    directory.admits("zoe", &["analysts"]);
    assert_eq!(directory.groups_of("zoe"), "analysts");
    assert_unharmed(server);
}

#[test]
fn a_worker_that_is_terminated_fails_its_logins_at_once_and_comes_back() {
    let directory = Directory::start();
    let server = &directory.server;
    server.reload_with(&[("validator.provision_timeout", "60s")]);
    let mut blocker = block(&directory);
    let token = directory.token("zoe", &["analysts"]);
    let mark = server.log().mark();
    let login = log_in_aside(server, "zoe", &token);
    let worker =
        server.wait_for_backend("backend_type = 'validator roles' AND wait_event_type = 'Lock'");
    let begin = Instant::now();
    server.sql(&format!("SELECT pg_terminate_backend({worker})"));
    let refusal = login.join().expect("no panic").refusal();
    assert!(
        begin.elapsed() < Duration::from_secs(2),
        "{:?}",
        begin.elapsed()
    );
    assert_silent_refusal(&refusal, "worker");
    let log = server.log().since(mark);
    assert!(log.contains("cause=worker_ended"), "{log}");
    // Until it is back, nobody waits.
    let begin = Instant::now();
    directory.does_not_provision("yves", &["analysts"], "no_worker");
    assert!(
        begin.elapsed() < Duration::from_secs(1),
        "{:?}",
        begin.elapsed()
    );
    blocker.query("ROLLBACK").expect("it ends");
    wait_for_worker(server);
    assert!(!directory.exists("zoe"));
    directory.admits("zoe", &["analysts"]);
    assert_unharmed(server);
}

#[test]
fn a_cancelled_worker_goes_on() {
    let directory = Directory::start();
    let server = &directory.server;
    let worker = wait_for_worker(server);
    server.sql(&format!("SELECT pg_cancel_backend({worker})"));
    directory.admits("zoe", &["analysts"]);
    let mut blocker = block(&directory);
    let login = log_in_aside(server, "yves", &directory.token("yves", &["analysts"]));
    server.wait_for_backend("backend_type = 'validator roles' AND wait_event_type = 'Lock'");
    server.sql(&format!("SELECT pg_cancel_backend({worker})"));
    assert!(!login.join().expect("no panic").is_session());
    blocker.query("ROLLBACK").expect("it ends");
    assert!(!directory.exists("yves"));
    directory.admits("yves", &["analysts"]);
    assert_eq!(wait_for_worker(server), worker);
}

#[test]
fn a_killed_worker_restarts_the_server_which_then_works() {
    let directory = Directory::start();
    let server = &directory.server;
    let _blocker = block(&directory);
    let login = log_in_aside(server, "zoe", &directory.token("zoe", &["analysts"]));
    let worker =
        server.wait_for_backend("backend_type = 'validator roles' AND wait_event_type = 'Lock'");
    server.kill(worker);
    assert!(!login.join().expect("no panic").is_session());
    wait_for_worker(server);
    assert!(!directory.exists("zoe"));
    directory.admits("zoe", &["analysts"]);
    assert_eq!(directory.groups_of("zoe"), "analysts");
}

#[test]
fn a_killed_login_leaves_nothing_half_done() {
    let directory = Directory::start();
    let server = &directory.server;
    let _blocker = block(&directory);
    let login = log_in_aside(server, "zoe", &directory.token("zoe", &["analysts"]));
    let waiting = server.wait_for_backend("wait_event = 'ValidatorWait'");
    server.kill(waiting);
    assert!(!login.join().expect("no panic").is_session());
    wait_for_worker(server);
    directory.admits("zoe", &["analysts"]);
    assert_eq!(directory.groups_of("zoe"), "analysts");
}

/// The worker restarts in vain, and says so; logins are refused at once, and work as soon as it can connect.
#[test]
fn a_database_or_a_manager_that_is_missing_is_found_once_it_is_there() {
    for (setting, value, make) in [
        (
            "validator.provision_database",
            "later",
            "CREATE DATABASE later",
        ),
        (
            "validator.provision_role",
            "other_manager",
            "CREATE ROLE other_manager NOLOGIN CREATEROLE; GRANT validator_managed, analysts TO other_manager \
             WITH ADMIN TRUE, INHERIT FALSE, SET FALSE",
        ),
    ] {
        let directory = Directory::start();
        let server = &directory.server;
        server.reload_with(&[(setting, value)]);
        eventually("the worker ends", || {
            let workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'validator roles' \
                 AND wait_event_type = 'Extension'";
            server.value(workers) == "0"
        });
        let begin = Instant::now();
        let verdict = directory.refuses("zoe", &["analysts"], "role_not_provisioned");
        assert!(
            begin.elapsed() < Duration::from_secs(2),
            "{:?}",
            begin.elapsed()
        );
        assert!(verdict.log.contains("HINT:"), "{}", verdict.log);
        for statement in make.split(';') {
            server.sql(statement);
        }
        wait_for_worker(server);
        directory.admits("zoe", &["analysts"]);
    }
}

#[test]
fn no_room_for_the_worker_refuses_at_once_with_a_hint() {
    let directory = Directory::start();
    let server = &directory.server;
    directory.admits("known", &["analysts"]);
    server.set("max_worker_processes", "1");
    server.set("max_logical_replication_workers", "1");
    server.restart();
    let begin = Instant::now();
    let verdict = directory.does_not_provision("zoe", &["analysts"], "no_worker");
    assert!(
        begin.elapsed() < Duration::from_secs(1),
        "{:?}",
        begin.elapsed()
    );
    assert!(
        verdict.log.contains("max_worker_processes"),
        "{}",
        verdict.log
    );
    // Who needs nothing gets in.
    directory.admits("known", &["analysts"]);
}

#[test]
fn without_preloading_or_without_a_manager_nobody_is_provisioned() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .log_everything()
        .set("validator.role_claim", "groups")
        .set("validator.provision", "roles")
        .start();
    server.sql(crate::SETUP);
    let token = issuer
        .token("zoe")
        .claim("groups", serde_json::json!(["analysts"]));
    let token = token.encode();
    server.refuses("zoe", &token, "setting_invalid");
    server.reload_with(&[("validator.provision_role", "validator_manager")]);
    let verdict = server.refuses("zoe", &token, "role_not_provisioned");
    assert_cause(&verdict, "no_worker");
    assert!(!server.log().text().contains("internal_error"));
}

#[test]
fn servers_that_are_read_only_by_default_and_isolate_transactions_are_written_to() {
    let directory = Directory::start();
    let server = &directory.server;
    server.set("default_transaction_read_only", "on");
    server.set("default_transaction_isolation", "serializable");
    server.set("createrole_self_grant", "set, inherit");
    server.restart();
    wait_for_worker(server);
    directory.admits("zoe", &["analysts"]);
    directory.admits("zoe", &["auditors"]);
    assert_eq!(directory.groups_of("zoe"), "auditors");
}

/// The limit of a transaction would end the worker; its own limit is that of the request.
#[test]
fn a_transaction_timeout_does_not_end_the_worker() {
    if environment::postgresql_version() < 17 {
        return;
    }
    let directory = Directory::start();
    let server = &directory.server;
    server.sql("ALTER ROLE validator_manager SET transaction_timeout = '500ms'");
    let mut blocker = block(&directory);
    let worker = wait_for_worker(server);
    server.sql(&format!("SELECT pg_terminate_backend({worker})"));
    eventually("the worker begins again", || {
        let others = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'validator roles' AND pid <> {worker} \
             AND wait_event_type = 'Extension'"
        );
        server.value(&others) == "1"
    });
    directory.does_not_provision("zoe", &["analysts"], "busy");
    blocker.query("ROLLBACK").expect("it ends");
    directory.admits("zoe", &["analysts"]);
    assert!(!server.log().text().contains("due to transaction timeout"));
}

/// Another session is about to create the role, or to change a membership: PostgreSQL has the worker wait, and then finds that
/// it was overtaken.
#[test]
fn changes_of_others_at_the_same_time_are_seen_the_second_time() {
    let directory = Directory::with(|builder| builder.set("validator.provision_timeout", "30s"));
    let server = &directory.server;
    let waits_for_worker = |user: &str, groups: &[&str]| {
        let login = log_in_aside(server, user, &directory.token(user, groups));
        server.wait_for_backend(
            "backend_type = 'validator roles' AND wait_event_type = 'Lock' AND wait_event = 'transactionid'",
        );
        login
    };
    let mut other = Login::by_socket(server, "postgres").run().session();
    let mut run = |sql: &str| drop(other.query(sql).expect(sql));
    // The role is to be managed, too.
    run(
        "BEGIN; CREATE ROLE zoe LOGIN; GRANT validator_managed TO zoe WITH INHERIT FALSE, SET FALSE",
    );
    let login = waits_for_worker("zoe", &["analysts"]);
    run("COMMIT");
    drop(login.join().expect("no panic").session());
    assert_eq!(directory.groups_of("zoe"), "analysts");
    // It was not made for the login, and is not managed.
    run("BEGIN; CREATE ROLE yves LOGIN");
    let login = waits_for_worker("yves", &["analysts"]);
    let mark = server.log().mark();
    run("COMMIT");
    assert_silent_refusal(&login.join().expect("no panic").refusal(), "changed");
    let log = server.log().since(mark);
    assert!(log.contains("cause=role_changed"), "{log}");
    assert_eq!(directory.groups_of("yves"), "");
    // A row of a membership.
    let membership = "member = 'zoe'::regrole AND roleid = 'analysts'::regrole";
    run(&format!(
        "UPDATE pg_auth_members SET set_option = NOT set_option WHERE {membership}"
    ));
    run(&format!(
        "BEGIN; UPDATE pg_auth_members SET set_option = set_option WHERE {membership}"
    ));
    let login = waits_for_worker("zoe", &["analysts"]);
    run("COMMIT");
    drop(login.join().expect("no panic").session());
    assert_eq!(directory.groups_of("zoe"), "analysts");
    assert_unharmed(server);
}

/// Autovacuum goes by what each process reports.
#[test]
fn what_the_worker_changes_is_counted() {
    let directory = Directory::start();
    let server = &directory.server;
    directory.admits("zoe", &["analysts"]);
    let counted = || {
        let sum = "SELECT pg_stat_clear_snapshot(), n_tup_ins FROM pg_stat_sys_tables WHERE relname = 'pg_auth_members'";
        let rows = server.sql(sum);
        let count = rows[0][1]
            .as_deref()
            .and_then(|count| count.parse::<u32>().ok());
        count.expect("a number")
    };
    let before = server.value("SELECT count(*) FROM pg_auth_members");
    for user in ["yves", "xenia"] {
        let sooner = counted();
        directory.admits(user, &["analysts", "auditors"]);
        // The mark, the manager's own mark of what it has made, and two groups; CREATEROLE gives the manager one, too.
        eventually("what was changed is reported", || counted() >= sooner + 4);
    }
    assert_ne!(server.value("SELECT count(*) FROM pg_auth_members"), before);
}

/// The manager loses ADMIN on a group while its members stay known: nothing is done by halves.
#[test]
fn a_grant_that_fails_refuses_unless_it_is_set_to_go_on() {
    let directory = Directory::start();
    let server = &directory.server;
    // Refused by PostgreSQL itself: a membership that would be circular.
    server.sql("CREATE ROLE trap NOLOGIN; GRANT trap TO validator_manager WITH ADMIN TRUE, INHERIT FALSE, SET FALSE");
    directory.admits("zoe", &["analysts"]);
    server.sql("GRANT zoe TO trap");
    let verdict = directory.does_not_provision("zoe", &["auditors", "trap"], "grant");
    assert!(
        verdict.log.contains("is a member of role"),
        "{}",
        verdict.log
    );
    // The whole of it: the group that is gone from the token is not lost either.
    assert_eq!(directory.groups_of("zoe"), "analysts");
    server.reload_with(&[("validator.provision_require_grants", "off")]);
    let mark = server.log().mark();
    directory.admits("zoe", &["auditors", "trap"]);
    assert_eq!(directory.groups_of("zoe"), "auditors");
    let log = server.log().since(mark);
    assert!(log.contains("a membership could not be granted"), "{log}");
    assert!(log.contains("group=trap"), "{log}");
}

#[test]
fn a_role_that_may_not_log_in_is_refused_and_keeps_what_it_has() {
    let directory = Directory::start();
    directory.admits("zoe", &["analysts"]);
    directory.server.sql("ALTER ROLE zoe NOLOGIN");
    directory.does_not_provision("zoe", &["auditors"], "role_disabled");
    assert_eq!(directory.groups_of("zoe"), "analysts");
    directory.server.sql("ALTER ROLE zoe LOGIN");
    directory.admits("zoe", &["auditors"]);
}

#[test]
fn many_first_logins_at_once_all_get_in() {
    let directory = Directory::with(|builder| {
        builder
            .set("max_connections", "120")
            .set("validator.provision_timeout", "30s")
    });
    let server = &directory.server;
    let mark = server.log().mark();
    let logins: Vec<_> = (0..60)
        .map(|n| {
            // Each person three times.
            let user = format!("person{}", n % 20);
            let token = directory.token(&user, &["analysts", "auditors"]);
            log_in_aside(server, &user, &token)
        })
        .collect();
    let outcomes = logins
        .into_iter()
        .map(|login| login.join().expect("no panic"));
    let admitted = outcomes.filter(|outcome| matches!(outcome, Outcome::Session(_)));
    assert_eq!(
        admitted.count(),
        60,
        "{:?}",
        reasons(&server.log().since(mark)).collect::<Vec<_>>()
    );
    for n in 0..20 {
        assert_eq!(
            groups_of(server, &format!("person{n}")),
            "analysts,auditors"
        );
    }
    assert_unharmed(server);
}
