//! A standby, from a base backup, which has no file of critical relations: known roles log in, and nothing is written.

use crate::{Directory, assert_unharmed, groups_of, wait_for_worker};

#[test]
fn known_roles_log_in_to_a_standby_which_changes_nothing() {
    let directory = Directory::start();
    directory.admits("zoe", &["analysts"]);
    let standby = directory.server.standby();
    let mut session = directory.admits_to(&standby, "zoe", &["analysts"]);
    assert_eq!(session.value("SELECT pg_is_in_recovery()"), "t");
    let refuses = |user: &str, groups: &[&str]| {
        crate::forget_critical_relations(&standby);
        let token = directory.token(user, groups);
        let verdict = standby.refuses(user, &token, "role_not_provisioned");
        crate::assert_cause(&verdict, "standby");
    };
    refuses("yves", &["analysts"]);
    // A group that the token does not give any more; one that it gives in addition does no harm.
    refuses("zoe", &["auditors"]);
    directory.admits_to(&standby, "zoe", &["analysts", "auditors"]);
    assert_eq!(groups_of(&standby, "zoe"), "analysts");
    standby.reload_with(&[("validator.provision_strict", "off")]);
    directory.admits_to(&standby, "zoe", &["auditors"]);
    assert_unharmed(&standby);
}

#[test]
fn a_standby_that_is_promoted_provisions() {
    let directory = Directory::start();
    let standby = directory.server.standby();
    standby.sql("SELECT pg_promote()");
    wait_for_worker(&standby);
    directory.admits_to(&standby, "zoe", &["analysts"]);
    assert_eq!(groups_of(&standby, "zoe"), "analysts");
    directory.admits_to(&standby, "zoe", &["auditors"]);
    assert_unharmed(&standby);
}
