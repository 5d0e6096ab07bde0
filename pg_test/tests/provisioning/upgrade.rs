//! What pg_upgrade keeps: all of it is in PostgreSQL's own catalogs.

use crate::{Directory, assert_unharmed, groups_of, wait_for_worker};

const MANAGED: &str = "SELECT string_agg(concat_ws(' ', role, issuer, identity, groups, created_at), ';' ORDER BY role) \
     FROM validator.provisioned_roles";

/// Memberships with grantor and options, and what roles may do.
const ROLES: &str = "SELECT string_agg(concat_ws(' ', m.roleid::regrole, m.member::regrole, m.grantor::regrole, m.admin_option, \
         m.inherit_option, m.set_option, r.rolcanlogin, r.rolvaliduntil, r.rolconnlimit), ';' \
         ORDER BY m.roleid::regrole::text, m.member::regrole::text, m.grantor::regrole::text) \
     FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE m.member >= 16384";

#[test]
fn roles_and_their_marks_outlive_an_upgrade() {
    if !rig::can_upgrade() {
        return;
    }
    let directory = Directory::start();
    let old = &directory.server;
    old.reload_with(&[("validator.provision_connection_limit", "3")]);
    directory.admits("zoe", &["analysts", "auditors"]);
    directory.admits("yves", &["analysts"]);
    old.sql(
        "CREATE VIEW people AS SELECT role, groups FROM validator.provisioned_roles;
         CREATE ROLE hook LOGIN; GRANT USAGE ON SCHEMA validator TO hook;
         GRANT EXECUTE ON FUNCTION validator.disable_role(text, text) TO hook;
         ALTER ROLE yves NOLOGIN",
    );
    let before = (old.value(MANAGED), old.value(ROLES));
    let (new, log) = old.upgraded();
    // A worker in a database would be in the way of pg_upgrade, which drops them and creates them again.
    assert!(!log.contains("validator roles"), "{log}");
    wait_for_worker(&new);
    assert_eq!((new.value(MANAGED), new.value(ROLES)), before);
    let rights = "SELECT has_function_privilege('hook', 'validator.disable_role(text, text)', 'EXECUTE') \
         AND (SELECT count(*) FROM people) = 2";
    assert_eq!(new.value(rights), "t");

    // Nothing is to be done, then something is lost, and somebody is new.
    let mark = new.log().mark();
    directory.admits_to(&new, "zoe", &["analysts", "auditors"]);
    assert!(!new.log().since(mark).contains("were changed"));
    directory.admits_to(&new, "zoe", &["auditors"]);
    assert_eq!(groups_of(&new, "zoe"), "auditors");
    directory.admits_to(&new, "xenia", &["analysts"]);
    let verdict = new.refuses(
        "yves",
        &directory.token("yves", &["analysts"]),
        "role_not_provisioned",
    );
    crate::assert_cause(&verdict, "role_disabled");
    assert_unharmed(&new);
}
