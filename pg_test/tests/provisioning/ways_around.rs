//! Ways around what the directory says that do not lead through a token: passwords that people give themselves, groups whose
//! names cannot be written, commits that wait for a standby, and maps that take long.

use std::time::{Duration, Instant};

use rig::{Finished, Login, Server, child, oauth_line};

use crate::{Directory, assert_unharmed, eventually, wait_for_worker};

/// A login by password, to the database that takes some.
fn by_password(server: &Server, role: &str) -> Finished {
    let mut command = server.psql_command();
    command.args([
        "-X",
        "-A",
        "-t",
        "-w",
        "-c",
        "SELECT 'in as ' || session_user",
    ]);
    command.arg(format!("{} dbname=template1", server.conninfo(role)));
    command.env("PGPASSWORD", "correct horse");
    child::run(command, Duration::from_secs(60))
}

#[test]
fn a_password_that_people_give_themselves_opens_no_session() {
    let directory = Directory::start();
    let server = &directory.server;
    server.set_hba(&[
        "host template1 all 127.0.0.1/32 scram-sha-256",
        &oauth_line(directory.issuer.url(), ""),
    ]);
    server.reload();
    server.sql("CREATE ROLE known LOGIN PASSWORD 'correct horse'");
    assert_eq!(by_password(server, "known").success(), "in as known");
    let mut session = directory.admits("zoe", &["analysts"]);
    session
        .query("ALTER ROLE CURRENT_USER PASSWORD 'correct horse'")
        .expect("PostgreSQL lets every role do that");
    let end = "SELECT rolvaliduntil FROM pg_roles WHERE rolname = 'zoe'";
    for until in ["infinity", "2999-01-01"] {
        let change = format!("ALTER ROLE CURRENT_USER VALID UNTIL '{until}'");
        assert!(session.query(&change).is_err(), "{until}");
    }
    assert_eq!(server.value(end), "-infinity");
    let mark = server.log().mark();
    let told = by_password(server, "zoe");
    assert!(!told.status.success(), "{}", told.stdout);
    let log = server.log().since(mark);
    assert!(log.contains("has an expired password"), "{log}");
    // Tokens do not ask for it.
    directory.admits("zoe", &["auditors"]);
    // Whoever sets a time has chosen that it may pass.
    server.reload_with(&[("validator.provision_valid_for", "1h")]);
    let mut session = directory.admits("yves", &["analysts"]);
    session
        .query("ALTER ROLE CURRENT_USER PASSWORD 'correct horse'")
        .expect("PostgreSQL lets every role do that");
    assert_eq!(by_password(server, "yves").success(), "in as yves");
    assert_unharmed(server);
}

/// In a database that is not UTF-8, any bytes can be a name. Written with a character in their place, it is another role's.
#[test]
fn a_group_whose_name_is_not_utf8_is_not_left_by_leaving_another() {
    let directory = Directory::start();
    let server = &directory.server;
    directory.admits("zoe", &["analysts"]);
    server.sql(
        "CREATE DATABASE raw ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'",
    );
    let in_raw = |sql: &str| {
        let mut raw = Login::by_socket(server, "postgres")
            .database("raw")
            .run()
            .session();
        raw.query(sql).expect("it runs");
    };
    in_raw(r#"DO $$BEGIN EXECUTE E'ALTER ROLE analysts RENAME TO "group \xfc"'; END$$"#);
    server.sql("CREATE ROLE \"group \u{fffd}\" NOLOGIN");
    let held = "SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member \
         WHERE r.rolname = 'zoe' AND m.roleid <> 'validator_managed'::regrole";
    // Neither done nor taken for done.
    for _ in 0..2 {
        directory.does_not_provision("zoe", &["auditors"], "role_changed");
        assert_eq!(server.value(held), "1");
    }
    // It is no group either, for anybody.
    server.set_ident(&["groups everyone all"]);
    server.reload_with(&[("validator.role_map", "groups")]);
    directory.admits("yves", &["everyone"]);
    assert_eq!(directory.groups_of("yves"), "auditors");
    in_raw(r#"DO $$BEGIN EXECUTE E'ALTER ROLE "group \xfc" RENAME TO analysts'; END$$"#);
    server.unset("validator.role_map");
    server.reload();
    directory.admits("zoe", &["auditors"]);
    assert_eq!(directory.groups_of("zoe"), "auditors");
    assert_unharmed(server);
}

#[test]
fn a_revocation_does_not_wait_for_a_standby_that_is_gone() {
    let directory = Directory::with(|builder| builder.set("synchronous_commit", "on"));
    let server = &directory.server;
    directory.admits("zoe", &["analysts"]);
    server.reload_with(&[("synchronous_standby_names", "gone")]);
    directory.admits("zoe", &["auditors"]);
    assert_eq!(directory.groups_of("zoe"), "auditors");
    server.reload_with(&[("validator.provision_set", "off")]);
    directory.admits("zoe", &["auditors"]);
    directory.admits("yves", &["analysts"]);
    assert_unharmed(server);
}

#[test]
fn an_option_that_is_taken_away_is_on_disk_before_the_session_begins() {
    let directory = Directory::with(|builder| builder.set("wal_writer_delay", "10s"));
    let server = &directory.server;
    directory.admits("zoe", &["analysts"]);
    server.reload_with(&[("validator.provision_set", "off")]);
    server.sql("CHECKPOINT");
    let worker = wait_for_worker(server);
    directory.admits("zoe", &["analysts"]);
    // All that is in memory only is lost.
    server.kill(worker);
    let options = "SELECT set_option FROM pg_auth_members \
         WHERE member = 'zoe'::regrole AND roleid = 'analysts'::regrole";
    assert_eq!(server.value(options), "f");
}

/// 300 groups, 300 values and 2000 lines of regular expressions, none of which match, would take minutes.
#[test]
fn a_map_that_takes_long_ends_with_the_time_limit_and_by_a_command() {
    let directory = Directory::with(|builder| builder.set("authentication_timeout", "2s"));
    let server = &directory.server;
    server.sql(
        "DO $$ BEGIN FOR n IN 1..300 LOOP EXECUTE format('CREATE ROLE g%s NOLOGIN', n); EXECUTE format(\
         'GRANT g%s TO validator_manager WITH ADMIN TRUE, INHERIT FALSE, SET FALSE', n); END LOOP; END $$",
    );
    let lines: Vec<String> = (0..2000)
        .map(|n| format!(r#"groups "/^x(.*)y{n}$" "\1""#))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    server.set_ident(&lines);
    server.reload_with(&[("validator.role_map", "groups")]);
    let values: Vec<String> = (0..300).map(|n| format!("value{n}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let token = directory.token("zoe", &values);
    let begin = Instant::now();
    let login = crate::log_in_aside(server, "zoe", &token);
    assert!(!login.join().expect("no panic").is_session());
    assert!(
        begin.elapsed() < Duration::from_secs(6),
        "{:?}",
        begin.elapsed()
    );
    server.reload_with(&[("authentication_timeout", "60s")]);
    let login = crate::log_in_aside(server, "zoe", &token);
    let pid = server.wait_for_backend(
        "backend_type = 'client backend' AND usename IS NULL AND pid <> pg_backend_pid()",
    );
    let begin = Instant::now();
    server.sql(&format!("SELECT pg_terminate_backend({pid})"));
    assert!(!login.join().expect("no panic").is_session());
    assert!(
        begin.elapsed() < Duration::from_secs(4),
        "{:?}",
        begin.elapsed()
    );
    assert!(!directory.exists("zoe"));
    // More than can be of use is not even begun.
    let values: Vec<String> = (0..400).map(|n| format!("value{n}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let begin = Instant::now();
    directory.does_not_provision("zoe", &values, "too_many_groups");
    assert!(
        begin.elapsed() < Duration::from_secs(4),
        "{:?}",
        begin.elapsed()
    );
    assert_unharmed(server);
}

#[test]
fn a_worker_without_a_role_waits_for_one() {
    let directory = Directory::start();
    let server = &directory.server;
    let workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'validator roles'";
    server.unset("validator.provision_role");
    server.unset("validator.provision");
    server.reload();
    eventually("the worker ends", || server.value(workers) == "0");
    // It has been started again, and has found nothing to do.
    std::thread::sleep(Duration::from_secs(7));
    server.set("validator.provision", "roles");
    server.reload_with(&[("validator.provision_role", "validator_manager")]);
    wait_for_worker(server);
    directory.admits("zoe", &["analysts"]);
    // It can be ended while it waits, with the server.
    server.unset("validator.provision_role");
    server.reload();
    eventually("the worker ends", || server.value(workers) == "0");
    std::thread::sleep(Duration::from_secs(7));
    assert!(server.stop(rig::StopMode::Fast) < Duration::from_secs(5));
}
