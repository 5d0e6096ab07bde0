//! What it does: roles are created, and gain and lose groups.

use crate::{Directory, assert_unharmed};

#[test]
fn first_login_has_a_role_and_the_rights_of_its_groups() {
    let directory = Directory::start();
    let server = &directory.server;
    server.sql("CREATE TABLE t (x int); GRANT SELECT ON t TO analysts");
    let mark = server.log().mark();
    let mut session = directory.admits("zoe", &["analysts", "unknown", "bob"]);
    assert_eq!(session.value("SELECT current_user"), "zoe");
    assert_eq!(session.value("SELECT count(*) FROM t"), "0");
    assert_eq!(
        session.value("SELECT pg_has_role('analysts', 'USAGE')"),
        "t"
    );
    assert_eq!(directory.groups_of("zoe"), "analysts");
    let attributes = "SELECT concat_ws(' ', rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolreplication, \
         rolbypassrls, rolconnlimit, rolpassword IS NULL, rolvaliduntil) FROM pg_authid WHERE rolname = 'zoe'";
    assert_eq!(server.value(attributes), "t f f f f f -1 t -infinity");
    let log = server.log().since(mark);
    let line = "role \"zoe\" was created for its OAuth login";
    assert!(log.contains(line), "{log}");
    assert!(
        log.contains("identity=zoe role=zoe gained=analysts"),
        "{log}"
    );
    assert_unharmed(server);
}

#[test]
fn a_group_that_is_gone_from_the_token_is_lost_at_the_next_login() {
    let directory = Directory::start();
    directory.admits("zoe", &["analysts"]);
    directory.admits("zoe", &["analysts", "auditors"]);
    assert_eq!(directory.groups_of("zoe"), "analysts,auditors");
    let mark = directory.server.log().mark();
    let mut session = directory.admits("zoe", &["auditors"]);
    assert_eq!(directory.groups_of("zoe"), "auditors");
    assert_eq!(
        session.value("SELECT pg_has_role('analysts', 'MEMBER')"),
        "f"
    );
    let log = directory.server.log().since(mark);
    assert!(log.contains("role=zoe lost=analysts"), "{log}");
    // Without any group the person gets in with none: the role is there.
    directory.admits("zoe", &[]);
    assert_eq!(directory.groups_of("zoe"), "");
    assert_unharmed(&directory.server);
}

#[test]
fn a_login_that_needs_no_change_asks_nobody() {
    let directory = Directory::start();
    directory.admits("zoe", &["analysts"]);
    let written = "SELECT pg_current_wal_insert_lsn()";
    let calls = "SELECT xact_commit FROM pg_stat_database WHERE datname = 'postgres'";
    let _ = directory.server.value(calls);
    let mark = directory.server.log().mark();
    let before = directory.server.value(written);
    for _ in 0..3 {
        directory.admits("zoe", &["analysts"]);
    }
    assert_eq!(directory.server.value(written), before);
    let log = directory.server.log().since(mark);
    assert!(!log.contains("provision"), "{log}");
}

#[test]
fn in_mode_memberships_no_role_is_created() {
    let directory = Directory::with(|builder| builder);
    directory
        .server
        .reload_with(&[("validator.provision", "memberships")]);
    directory.refuses("zoe", &["analysts"], "role_unknown");
    assert!(!directory.exists("zoe"));
    directory
        .server
        .sql("CREATE ROLE zoe LOGIN; GRANT validator_managed TO zoe");
    directory.admits("zoe", &["analysts"]);
    assert_eq!(directory.groups_of("zoe"), "analysts");
}

#[test]
fn a_token_that_names_no_managed_group_makes_no_role() {
    let directory = Directory::start();
    for groups in [&[][..], &["unknown"], &["alice", "validator_managed"]] {
        directory.does_not_provision("zoe", groups, "no_group");
        assert!(!directory.exists("zoe"));
    }
}

#[test]
fn options_and_limits_are_as_set_and_changed_options_reach_known_roles() {
    let directory = Directory::start();
    let server = &directory.server;
    let options = "SELECT concat_ws(' ', admin_option, inherit_option, set_option) FROM pg_auth_members \
         WHERE member = 'zoe'::regrole AND roleid = 'analysts'::regrole";
    directory.admits("zoe", &["analysts"]);
    assert_eq!(server.value(options), "f t t");
    server.reload_with(&[
        ("validator.provision_inherit", "off"),
        ("validator.provision_connection_limit", "3"),
        ("validator.provision_valid_for", "1d"),
    ]);
    directory.admits("zoe", &["analysts"]);
    assert_eq!(server.value(options), "f f t");
    server.reload_with(&[("validator.provision_set", "off")]);
    directory.admits("zoe", &["analysts"]);
    assert_eq!(server.value(options), "f f f");
    directory.admits("yves", &["analysts"]);
    let limits = "SELECT concat_ws(' ', rolconnlimit, rolvaliduntil BETWEEN now() + interval '23 hours' \
         AND now() + interval '25 hours') FROM pg_roles WHERE rolname = 'yves'";
    assert_eq!(server.value(limits), "3 t");
    // The role that was there before keeps its limit.
    let zoe = "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'zoe'";
    assert_eq!(server.value(zoe), "-1");
}

#[test]
fn a_map_says_which_values_are_which_groups() {
    let directory = Directory::start();
    let server = &directory.server;
    server.set("validator.role_map", "groups");
    server.set_ident(&[
        r#"groups "/^db-(.*)$" "\1""#,
        "groups staff auditors",
        "groups root postgres",
    ]);
    server.reload();
    directory.admits("zoe", &["db-analysts", "auditors", "root"]);
    assert_eq!(directory.groups_of("zoe"), "analysts");
    directory.admits("zoe", &["staff"]);
    assert_eq!(directory.groups_of("zoe"), "auditors");
    // Persons are no groups: not even for a rule that is for all roles.
    server.set_ident(&["groups everyone all"]);
    server.reload();
    directory.admits("yves", &["everyone"]);
    assert_eq!(directory.groups_of("yves"), "analysts,auditors");
    assert_unharmed(server);
}

#[test]
fn a_map_of_identities_decides_which_role_is_made() {
    let directory = Directory::start();
    directory
        .server
        .set_ident(&[r#"people "/^(.*)@corp\.example$" "\1""#]);
    directory.set_line("map=people");
    let token = directory.token("zoe@corp.example", &["analysts"]);
    directory.server.admits("zoe", &token);
    assert_eq!(directory.groups_of("zoe"), "analysts");
    // The map gives no other role, so none is made by that name.
    let mark = directory.server.log().mark();
    let verdict = directory
        .server
        .refuses("yves", &token, "role_not_provisioned");
    crate::assert_cause(&verdict, "identity");
    assert!(!directory.exists("yves"));
    let log = directory.server.log().since(mark);
    assert!(!log.contains("yves\" was created"), "{log}");
}
