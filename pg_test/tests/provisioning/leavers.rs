//! People who have left: `validator.disable_role`, and what is known of last logins when unused roles are looked for.

use std::time::{Duration, Instant};

use rig::{Login, Server, Session};

use crate::{Directory, eventually, wait_for_worker};

fn disable(directory: &Directory, identity: &str) -> String {
    let identity = identity.replace('\'', "''");
    let issuer = directory.issuer.url();
    let sql = format!("SELECT validator.disable_role('{issuer}', '{identity}')");
    directory.server.value(&sql)
}

fn may_log_in(server: &Server) -> String {
    server.value(
        "SELECT string_agg(rolname, ',' ORDER BY rolname) FROM pg_roles \
         WHERE rolcanlogin AND rolname NOT IN ('alice', 'bob', 'carol', 'postgres')",
    )
}

fn administrator(server: &Server) -> Session {
    Login::by_socket(server, "postgres").run().session()
}

#[test]
fn a_disabled_role_is_kept_out_until_it_may_log_in_again() {
    let directory = Directory::start();
    let server = &directory.server;
    directory.admits("zoe", &["analysts"]);
    directory.admits("yves", &["analysts"]);
    let mark = server.log().mark();
    assert_eq!(disable(&directory, "zoe"), "{zoe}");
    let log = server.log().since(mark);
    assert!(
        log.contains("validator.disable_role disabled a role"),
        "{log}"
    );
    let issuer = directory.issuer.url();
    let facts = format!("DETAIL:  issuer={issuer} identity=zoe role=zoe");
    assert!(log.contains(&facts), "{log}");
    assert_eq!(may_log_in(server), "yves");
    directory.does_not_provision("zoe", &["analysts"], "role_disabled");
    directory.does_not_provision("zoe", &["auditors"], "role_disabled");
    assert_eq!(directory.groups_of("zoe"), "analysts");
    // Whoever asks again gets the same answer, and nothing is done.
    let mark = server.log().mark();
    assert_eq!(disable(&directory, "zoe"), "{zoe}");
    assert!(!server.log().since(mark).contains("disabled a role"));
    server.sql("ALTER ROLE zoe LOGIN");
    directory.admits("zoe", &["auditors"]);
    assert_eq!(directory.groups_of("zoe"), "auditors");
}

#[test]
fn a_role_is_found_by_issuer_and_identity_whatever_its_name_is() {
    let directory = Directory::with(|builder| builder.ident(r"m /^(.*)@corp$ \1"));
    directory.set_line("map=m");
    let server = &directory.server;
    let name = "o'neil \"x\" ü";
    let identity = format!("{name}@corp");
    let admit = || {
        crate::forget_critical_relations(server);
        let token = directory.token(&identity, &["analysts"]);
        drop(server.admits(name, &token));
    };
    admit();
    for other in [
        name,
        "",
        "%@corp",
        "O'NEIL \"x\" ü@corp",
        &format!("{identity} "),
    ] {
        assert_eq!(disable(&directory, other), "{}", "{other}");
    }
    let of_other = format!(
        "SELECT validator.disable_role('https://other.example', '{}')",
        identity.replace('\'', "''")
    );
    assert_eq!(server.value(&of_other), "{}");
    admit();
    assert_eq!(disable(&directory, &identity), r#"{"o'neil \"x\" ü"}"#);
    server.sql("ALTER ROLE \"o'neil \"\"x\"\" ü\" RENAME TO renamed; ALTER ROLE renamed LOGIN");
    assert_eq!(disable(&directory, &identity), "{renamed}");
    assert_eq!(may_log_in(server), "");
}

/// All of them have the comment of zoe's role.
#[test]
fn only_managed_roles_that_are_no_superusers_are_disabled() {
    let directory = Directory::start();
    let server = &directory.server;
    directory.admits("zoe", &["analysts"]);
    server.sql(
        "CREATE ROLE unmarked LOGIN; CREATE ROLE by_hand LOGIN; CREATE ROLE root LOGIN SUPERUSER; CREATE ROLE chief LOGIN;
         CREATE ROLE broken LOGIN;
         GRANT validator_managed TO by_hand, root, broken; GRANT validator_managed TO chief WITH ADMIN TRUE;
         DO $$ DECLARE r text; BEGIN FOREACH r IN ARRAY ARRAY['unmarked', 'by_hand', 'root', 'chief'] LOOP
             EXECUTE format('COMMENT ON ROLE %I IS %L', r,
                 shobj_description((SELECT oid FROM pg_roles WHERE rolname = 'zoe'), 'pg_authid'));
         END LOOP; END $$;
         COMMENT ON ROLE broken IS 'validator: {\"identity\": \"zoe\"'",
    );
    assert_eq!(disable(&directory, "zoe"), "{by_hand,zoe}");
    assert_eq!(may_log_in(server), "broken,chief,root,unmarked");
    // One that was taken out of management is the administrator's.
    server.sql(
        "ALTER ROLE zoe LOGIN; REVOKE validator_managed FROM zoe GRANTED BY validator_manager",
    );
    assert_eq!(disable(&directory, "zoe"), "{by_hand}");
    for arguments in ["NULL, 'zoe'", "'https://a.example', NULL"] {
        let failed = server.psql(&format!("SELECT validator.disable_role({arguments})"));
        assert!(failed.stderr.contains("must not be null"), "{failed:?}");
    }
    // Without the mark nothing is managed.
    server.sql("DROP OWNED BY validator_manager; DROP ROLE validator_managed");
    assert_eq!(disable(&directory, "zoe"), "{}");
}

#[test]
fn a_role_with_no_other_right_may_disable_roles() {
    let directory = Directory::start();
    let server = &directory.server;
    directory.admits("zoe", &["analysts"]);
    server.sql("CREATE ROLE hook LOGIN; GRANT USAGE ON SCHEMA validator TO hook");
    let call = format!(
        "SET ROLE hook; SELECT validator.disable_role('{}', 'zoe')",
        directory.issuer.url()
    );
    assert!(!server.psql(&call).status.success());
    assert_eq!(may_log_in(server), "hook,zoe");
    server.sql("GRANT EXECUTE ON FUNCTION validator.disable_role(text, text) TO hook");
    assert!(server.psql(&call).status.success());
    assert_eq!(may_log_in(server), "hook");
    assert!(
        !server
            .psql("SET ROLE hook; ALTER ROLE zoe LOGIN")
            .status
            .success()
    );
}

#[test]
fn who_disables_a_role_at_the_same_time_waits() {
    let directory = Directory::start();
    let server = &directory.server;
    directory.admits("zoe", &["analysts"]);
    let call = format!(
        "SELECT validator.disable_role('{}', 'zoe')",
        directory.issuer.url()
    );
    let (mut first, mut second) = (administrator(server), administrator(server));
    first.query("BEGIN").expect("it begins");
    assert_eq!(first.value(&call), "{zoe}");
    let second = std::thread::spawn(move || second.value(&call));
    server.wait_for_backend("wait_event_type = 'Lock'");
    first.query("COMMIT").expect("it commits");
    assert_eq!(second.join().expect("it ends"), "{zoe}");
    assert_eq!(may_log_in(server), "");
}

/// A directory where these roles belong to zoe, besides the one of this name.
fn with_more_roles_of_zoe(names: &[&str]) -> Directory {
    let directory = Directory::start();
    directory.admits("zoe", &["analysts"]);
    for name in names {
        directory.server.sql(&format!(
            "CREATE ROLE {name} LOGIN; GRANT validator_managed TO {name};
             DO $$ BEGIN EXECUTE format('COMMENT ON ROLE {name} IS %L',
                 shobj_description((SELECT oid FROM pg_roles WHERE rolname = 'zoe'), 'pg_authid')); END $$"
        ));
    }
    directory
}

const WHO_WAS_DISABLED: &str = "validator.disable_role disabled a role";

#[test]
fn a_locked_role_keeps_no_other_role_of_the_identity_from_being_disabled() {
    let directory = with_more_roles_of_zoe(&["above", "zoe_too"]);
    let server = &directory.server;
    let mut other = administrator(server);
    let locked = other.query("BEGIN; ALTER ROLE zoe CONNECTION LIMIT 7");
    locked.expect("a lock on zoe");
    let call = format!(
        "SET lock_timeout = '900ms'; SELECT validator.disable_role('{}', 'zoe'); SHOW lock_timeout",
        directory.issuer.url()
    );
    let mark = server.log().mark();
    let partly = server.psql(&call);
    assert_eq!(partly.stdout, "SET\n{above,zoe_too,NULL}\n900ms\n");
    let why =
        "WARNING:  role \"zoe\" could not be disabled: canceling statement due to lock timeout";
    assert!(partly.stderr.contains(why), "{partly:?}");
    let log = server.log().since(mark);
    assert!(log.contains(why), "{log}");
    assert_eq!(log.matches(WHO_WAS_DISABLED).count(), 2, "{log}");
    assert!(!log.contains("identity=zoe role=zoe\n"), "{log}");
    assert_eq!(may_log_in(server), "zoe");
    other.query("COMMIT").expect("zoe is free");
    assert_eq!(disable(&directory, "zoe"), "{above,zoe,zoe_too}");
    assert_eq!(may_log_in(server), "");
    crate::assert_unharmed(server);
}

#[test]
fn roles_that_are_all_locked_are_an_error_within_lock_timeout() {
    let directory = with_more_roles_of_zoe(&["above", "zoe_too"]);
    let server = &directory.server;
    let mut other = administrator(server);
    for role in ["above", "zoe", "zoe_too"] {
        let lock = format!("ALTER ROLE {role} CONNECTION LIMIT 7");
        let lock = match role {
            "above" => format!("BEGIN; {lock}"),
            _ => lock,
        };
        other.query(&lock).expect("a lock");
    }
    let mark = server.log().mark();
    let start = Instant::now();
    let failed = server.psql(&format!(
        "SET lock_timeout = '6s'; SELECT validator.disable_role('{}', 'zoe')",
        directory.issuer.url()
    ));
    assert!(start.elapsed() < Duration::from_secs(12), "{failed:?}");
    let why = "ERROR:  canceling statement due to lock timeout";
    assert!(failed.stderr.contains(why), "{failed:?}");
    assert!(!server.log().since(mark).contains(WHO_WAS_DISABLED));
    assert_eq!(may_log_in(server), "above,zoe,zoe_too");
}

/// A cancel undoes what was done, and is of all roles.
#[test]
fn the_log_names_no_role_whose_change_was_undone() {
    let directory = with_more_roles_of_zoe(&["above"]);
    let server = &directory.server;
    let mut other = administrator(server);
    let locked = other.query("BEGIN; ALTER ROLE zoe CONNECTION LIMIT 7");
    locked.expect("a lock on zoe");
    let mark = server.log().mark();
    let failed = server.psql(&format!(
        "SET statement_timeout = '1s'; SELECT validator.disable_role('{}', 'zoe')",
        directory.issuer.url()
    ));
    let why = "ERROR:  canceling statement due to statement timeout";
    assert!(failed.stderr.contains(why), "{failed:?}");
    assert!(!server.log().since(mark).contains(WHO_WAS_DISABLED));
    assert_eq!(may_log_in(server), "above,zoe");
}

#[test]
fn a_standby_disables_nothing_and_knows_who_is_disabled() {
    let directory = Directory::start();
    let server = &directory.server;
    directory.admits("zoe", &["analysts"]);
    let standby = server.standby();
    for call in [
        "SELECT validator.disable_role('https://a.example', 'zoe')",
        "SELECT validator.disable_unused_roles('1 day')",
    ] {
        let failed = standby.psql(call);
        assert!(
            failed.stderr.contains("a standby cannot disable roles"),
            "{failed:?}"
        );
    }
    directory.admits_to(&standby, "zoe", &["analysts"]);
    assert_eq!(disable(&directory, "zoe"), "{zoe}");
    eventually("the standby has it", || may_log_in(&standby).is_empty());
    let verdict = standby.refuses(
        "zoe",
        &directory.token("zoe", &["analysts"]),
        "role_not_provisioned",
    );
    crate::assert_cause(&verdict, "role_disabled");
}

/// Who has not logged in since this time, and for longer than that.
fn unused_since(server: &Server, time: &str) -> Vec<String> {
    let rows = server.sql(&format!(
        "SELECT role FROM validator.disable_unused_roles(now() - '{time}'::timestamptz + interval '10 ms', dry_run => false)"
    ));
    rows.into_iter().flatten().flatten().collect()
}

fn clock(server: &Server) -> String {
    server.value("SELECT clock_timestamp()")
}

#[test]
fn a_login_that_is_not_known_because_of_a_restart_disables_nobody() {
    let directory = Directory::start();
    let server = &directory.server;
    directory.admits("zoe", &["analysts"]);
    // As if zoe had been here for long.
    server.sql("COMMENT ON ROLE zoe IS NULL");
    std::thread::sleep(Duration::from_millis(500));
    let before = clock(server);
    drop(directory.admits("zoe", &["analysts"]));
    server.restart();
    wait_for_worker(server);
    assert!(unused_since(server, &before).is_empty());
    let told = server.psql("SELECT * FROM validator.disable_unused_roles('90 days')");
    assert!(told.status.success(), "{told:?}");
    assert!(
        told.stderr.contains("NOTICE:  logins are known since 2"),
        "{told:?}"
    );
    assert!(told.stderr.contains("are left alone"), "{told:?}");
    assert_eq!(told.stdout, "");
    // Later it is known that nobody was here.
    std::thread::sleep(Duration::from_millis(500));
    let told = server.psql("SELECT role, last_login_at, unused_since > pg_postmaster_start_time() FROM validator.disable_unused_roles('400 ms')");
    assert_eq!(
        (told.stdout.as_str(), told.stderr.as_str()),
        ("zoe||t\n", "")
    );
    directory.admits("zoe", &["analysts"]);
}

/// People may have logged in to the former primary until then.
#[test]
fn a_standby_that_is_promoted_knows_logins_since_then() {
    let directory = Directory::start();
    directory.admits("zoe", &["analysts"]);
    directory.server.sql("COMMENT ON ROLE zoe IS NULL");
    let standby = directory.server.standby();
    std::thread::sleep(Duration::from_millis(500));
    let before = clock(&standby);
    drop(directory.admits("zoe", &["analysts"]));
    standby.sql("SELECT pg_promote()");
    wait_for_worker(&standby);
    assert!(unused_since(&standby, &before).is_empty());
    directory.admits_to(&standby, "zoe", &["analysts"]);
}

/// There is room for the logins of so many roles whose numbers begin in the same place.
const WINDOW: usize = 16;

#[test]
fn a_login_for_which_there_is_no_room_disables_nobody() {
    let directory = Directory::start();
    let server = &directory.server;
    let names: Vec<String> = (0..=WINDOW).map(|n| format!("r{n}")).collect();
    create_in_one_place(server, &names);
    let mark = names.join(", ");
    server.sql(&format!("GRANT validator_managed TO {mark}"));
    std::thread::sleep(Duration::from_millis(500));
    let before = clock(server);
    for name in &names {
        drop(directory.admits(name, &[]));
    }
    eventually("their sessions have ended", || {
        server.value("SELECT count(*) FROM pg_stat_activity WHERE usename ~ '^r[0-9]+$'") == "0"
    });
    let unknown =
        "SELECT string_agg(role, ',') FROM validator.provisioned_roles WHERE last_login_at IS NULL";
    assert_eq!(server.value(unknown), "r0");
    assert!(unused_since(server, &before).is_empty());
    std::thread::sleep(Duration::from_millis(500));
    let later = "SELECT role, unused_since > $$TIME$$ FROM validator.disable_unused_roles('400 ms') WHERE role = 'r0'";
    let row = server.sql(&later.replace("TIME", &before));
    assert_eq!(row, [[Some("r0".to_owned()), Some("t".to_owned())]]);
}

/// Creates roles whose numbers lie so that their logins are noted in the same place.
fn create_in_one_place(server: &Server, names: &[String]) {
    // Hands out numbers one by one.
    let next = || -> u32 {
        let number = server.value("SELECT lo_creat(-1)");
        number.parse::<u32>().expect("a number") + 1
    };
    let place = |number: u32| number.wrapping_mul(2_654_435_761) >> 18;
    let mut wanted = None;
    for name in names {
        let mut number = next() + 1;
        while wanted.is_some_and(|wanted| place(number) != wanted) {
            number += 1;
        }
        wanted = Some(place(number));
        let skipped = number - next();
        server.sql(&format!(
            "SELECT count(lo_creat(-1)) FROM generate_series(1, {skipped})"
        ));
        server.sql(&format!("CREATE ROLE {name} LOGIN"));
        let got = server.value(&format!("SELECT '{name}'::regrole::oid"));
        assert_eq!(
            got,
            number.to_string(),
            "another process has taken a number"
        );
    }
}
