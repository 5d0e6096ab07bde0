//! Findings about the role, the groups and the worker by which roles are provisioned.

use rig::{Issuer, Server, ServerBuilder};

use crate::{assert_findings, clinic, examine, good_line, healthy, second_line, started};

const ROLES: &str = "CREATE ROLE manager NOLOGIN CREATEROLE; CREATE ROLE validator_managed NOLOGIN;
    CREATE ROLE analysts NOLOGIN;
    GRANT validator_managed, analysts TO manager WITH ADMIN TRUE, INHERIT FALSE, SET FALSE";

fn provisioning() -> (Issuer, ServerBuilder) {
    let (issuer, builder) = healthy();
    let builder = builder
        .set("validator.role_claim", "groups")
        .set("validator.provision", "roles")
        .set("validator.provision_role", "manager");
    (issuer, builder)
}

/// With which nothing is wrong.
fn good() -> (Issuer, Server) {
    let (issuer, builder) = provisioning();
    let server = started(builder);
    server.sql(ROLES);
    server.restart();
    (issuer, server)
}

#[test]
fn nothing_is_found_where_roles_can_be_provisioned() {
    let (_issuer, server) = good();
    assert_findings(&server, &["ok ok"]);
    server.reload_with(&[("validator.provision", "memberships")]);
    server.sql("ALTER ROLE manager NOCREATEROLE; REVOKE validator_managed FROM manager");
    // Nothing is created.
    assert_findings(&server, &["ok ok"]);
}

#[test]
fn nothing_is_looked_at_where_no_roles_are_provisioned() {
    let (_issuer, builder) = healthy();
    let server = started(builder.set("validator.provision_role", "nobody"));
    assert_findings(&server, &["ok ok"]);
}

#[test]
fn role_that_provisions_is_missing() {
    let (_issuer, builder) = provisioning();
    let server = started(builder.set("validator.provision_role", "no \"body"));
    let found = assert_findings(&server, &["error provision_role_missing", "ok ok"]);
    assert!(
        found[0]
            .detail
            .contains(r#"is "no \"body", which does not"#),
        "{found:?}"
    );
    server.reload_with(&[("validator.provision_role", "")]);
    let found = assert_findings(&server, &["error setting_invalid", "ok ok"]);
    assert!(found[0].detail.contains("provision_role"), "{found:?}");
}

#[test]
fn role_that_provisions_must_not_be_a_superuser_and_must_create_roles() {
    let (_issuer, server) = good();
    server.sql("ALTER ROLE manager SUPERUSER");
    assert_findings(&server, &["error provision_role_superuser", "ok ok"]);
    server.sql("ALTER ROLE manager NOSUPERUSER NOCREATEROLE");
    assert_findings(
        &server,
        &["error provision_role_without_createrole", "ok ok"],
    );
    server.sql("ALTER ROLE manager CREATEROLE");
    assert_findings(&server, &["ok ok"]);
}

#[test]
fn mark_is_missing_or_cannot_be_granted() {
    let (_issuer, server) = good();
    server.sql("REVOKE ADMIN OPTION FOR validator_managed FROM manager");
    let found = assert_findings(&server, &["error provision_marker_missing", "ok ok"]);
    assert!(found[0].detail.contains("has no ADMIN"), "{found:?}");
    server.sql("DROP ROLE validator_managed");
    let found = assert_findings(&server, &["error provision_marker_missing", "ok ok"]);
    assert!(found[0].detail.contains("does not exist"), "{found:?}");
}

#[test]
fn no_group_is_managed() {
    let (_issuer, server) = good();
    let none = ["error provision_without_groups", "ok ok"];
    // One that can log in is none, and neither is one without ADMIN.
    server.sql("ALTER ROLE analysts LOGIN");
    assert_findings(&server, &none);
    server.sql("ALTER ROLE analysts NOLOGIN; REVOKE ADMIN OPTION FOR analysts FROM manager");
    assert_findings(&server, &none);
    server.sql("REVOKE analysts FROM manager");
    assert_findings(&server, &none);
    // What the role has made itself is a person.
    server
        .sql("SET ROLE manager; CREATE ROLE zoe NOLOGIN; GRANT zoe TO manager WITH INHERIT FALSE");
    assert_findings(&server, &none);
}

/// Sets the columns of the good line, up to its address, below these lines; what is found of the lines then.
fn found_with(issuer: &Issuer, server: &Server, earlier: &[&str], columns: &str) -> Vec<String> {
    let line = good_line(issuer.url()).replacen("hostssl all all 10.0.0.0/8", columns, 1);
    server.set_hba(&[earlier, &[&line]].concat());
    server.reload();
    let found = examine(server).into_iter();
    found
        .map(|row| format!("{} {}", row.severity, row.code))
        .collect()
}

const NO_NEW: &str = "warning provision_without_new_roles";

/// A line may be for people who have not logged in yet.
#[test]
fn roles_that_logins_create_are_among_those_of_a_line() {
    let (issuer, server) = good();
    let found = |roles: &str| {
        let columns = format!("hostssl all {roles} 10.0.0.0/8");
        found_with(&issuer, &server, &[], &columns)
    };
    server.sql("CREATE ROLE closed; CREATE ROLE staff; GRANT staff TO alice");
    for roles in ["/^emp_", "zoe", "nobody,zoe", "all", "+staff,/^emp_"] {
        assert_eq!(found(roles), ["ok ok"], "{roles}");
    }
    // Named people may have had their first logins.
    for roles in ["alice", "alice,bob", "\"alice\",+closed"] {
        assert_eq!(found(roles), ["ok ok"], "{roles}");
    }
    assert_eq!(found("closed"), ["warning no_role"]);
    // A group has no members that do not exist.
    for roles in ["+closed", "+nobody"] {
        assert_eq!(found(roles), [NO_NEW, "warning no_role"], "{roles}");
    }
    assert_eq!(found("+staff"), [NO_NEW, "ok ok"]);
    // No roles are created.
    for mode in ["memberships", "off"] {
        server.reload_with(&[("validator.provision", mode)]);
        for roles in ["/^emp_", "zoe"] {
            assert_eq!(found(roles), ["warning no_role"], "{mode} {roles}");
        }
    }
}

/// Earlier lines may leave nothing but people who have not logged in yet.
#[test]
fn roles_that_logins_create_are_left_by_earlier_lines() {
    let (issuer, server) = good();
    server.sql("CREATE ROLE staff; GRANT staff TO alice, bob, carol, postgres");
    let found = |earlier: &[&str], roles: &str| {
        let earlier = earlier.iter().map(|of| format!("host all {of} all md5"));
        let earlier: Vec<String> = earlier.collect();
        let earlier: Vec<&str> = earlier.iter().map(String::as_str).collect();
        let columns = format!("hostssl all {roles} 10.0.0.0/8");
        found_with(&issuer, &server, &earlier, &columns)
    };
    for (earlier, roles) in [
        (&["+staff"][..], "all"),
        (&["alice,bob,carol,postgres"], "all"),
        (&["+staff"], "/^a"),
        (&["/^al"], "/^a"),
        (&["\"all\",+staff"], "all"),
        (&["/^x", "alice"], "alice,zoe"),
    ] {
        let left = found(earlier, roles);
        assert!(
            left.iter().all(|found| !found.ends_with(" shadowed")),
            "{earlier:?} {roles}: {left:?}"
        );
        assert!(!left.contains(&NO_NEW.to_owned()), "{earlier:?} {roles}");
    }
    let shadowed = "error shadowed";
    for (earlier, roles) in [
        (&["+staff"][..], "alice"),
        (&["+staff", "/^z"], "alice,zoe"),
        (&["+staff", "/^z"], "/^z,alice"),
    ] {
        let left = found(earlier, roles);
        assert_eq!(left, [shadowed], "{earlier:?} {roles}");
    }
    for (earlier, roles) in [
        (&["/^al", "/^z"][..], "alice,zoe"),
        (&["alice", "zoe"], "alice,zoe"),
        (&["+staff", "/^z"], "/^z,+staff"),
    ] {
        let left = found(earlier, roles);
        assert_eq!(left, [NO_NEW, shadowed], "{earlier:?} {roles}");
    }
    assert_eq!(found(&["all"], "/^emp_"), [shadowed]);
    server.reload_with(&[("validator.provision", "memberships")]);
    assert_eq!(found(&["+staff"], "all"), [shadowed]);
}

/// An identity may be the name of a role that its login creates.
#[test]
fn identities_may_be_the_names_of_roles_that_logins_create() {
    let (issuer, server) = good();
    server.reload_with(&[("validator.identity_prefix", "corp:")]);
    let found = |roles: &str| {
        let columns = format!("hostssl all {roles} 10.0.0.0/8");
        found_with(&issuer, &server, &[], &columns)
    };
    for roles in ["all", "/^corp:", "/^c", "/x", "corp:zoe", "alice,corp:zoe"] {
        assert_eq!(found(roles), ["ok ok"], "{roles}");
    }
    for roles in ["/^shop:", "zoe", "zoe,alice"] {
        assert_eq!(found(roles), ["error identity_no_role"], "{roles}");
    }
    server.reload_with(&[("validator.provision", "memberships")]);
    for roles in ["all", "alice,corp:zoe"] {
        assert_eq!(found(roles), ["error identity_no_role"], "{roles}");
    }
}

#[test]
fn group_has_power_over_the_server() {
    let (_issuer, server) = good();
    server.sql("GRANT pg_write_server_files TO analysts");
    let found = assert_findings(&server, &["warning provision_group_too_powerful", "ok ok"]);
    assert!(found[0].detail.ends_with(": analysts."), "{found:?}");
    // Tokens may give it, then.
    server.reload_with(&[("validator.allow_superuser", "on")]);
    let found = examine(&server);
    assert!(
        found
            .iter()
            .all(|row| row.code != "provision_group_too_powerful"),
        "{found:?}"
    );
}

#[test]
fn database_cannot_be_connected_to() {
    let (_issuer, server) = good();
    let detail = || {
        let found = assert_findings(&server, &["error provision_database_unusable", "ok ok"]);
        found.into_iter().next().expect("a finding").detail
    };
    server.sql("CREATE DATABASE other");
    server.sql("REVOKE CONNECT ON DATABASE other FROM PUBLIC");
    server.reload_with(&[("validator.provision_database", "other")]);
    assert!(detail().contains("does not let validator.provision_role connect"));
    server.sql("ALTER DATABASE other ALLOW_CONNECTIONS false");
    assert!(detail().contains("allows no connections"));
    server.sql("DROP DATABASE other");
    assert!(detail().contains("\"other\", which does not exist"));
    server.restart();
    assert!(detail().contains("\"other\", which does not exist"));
    server.reload_with(&[("validator.provision_database", "postgres")]);
    server.wait_for_backend("backend_type = 'validator roles'");
    assert_findings(&server, &["ok ok"]);
}

#[test]
fn worker_is_missing() {
    let (_issuer, builder) = provisioning();
    let server = started(builder.set("validator.provision_role", ""));
    server.sql(ROLES);
    server.reload_with(&[("validator.provision_role", "manager")]);
    let missing = ["error provision_worker_missing", "ok ok"];
    let found = assert_findings(&server, &missing);
    assert!(found[0].detail.contains("was not set when"), "{found:?}");
    server.restart();
    assert_findings(&server, &["ok ok"]);
    // The first place is the other worker's.
    server.set("max_worker_processes", "2");
    server.restart();
    let found = assert_findings(&server, &missing);
    assert!(found[0].detail.contains("does not run"), "{found:?}");
    server.set("max_worker_processes", "8");
    server.set("shared_preload_libraries", "");
    server.restart();
    let found = assert_findings(
        &server,
        &[
            "notice not_preloaded",
            "error provision_worker_missing",
            "ok ok",
        ],
    );
    assert!(found[1].detail.contains("not preloaded"), "{found:?}");
}

#[test]
fn claim_with_the_groups_is_not_set() {
    let (_issuer, server) = good();
    server.reload_with(&[("validator.role_claim", "")]);
    let found = assert_findings(&server, &["error role_claim_unset"]);
    assert!(found[0].advice.contains("validator.provision"), "{found:?}");
}

#[test]
fn standby_is_told_what_it_cannot_do() {
    let (_issuer, server) = good();
    let standby = server.standby();
    let found = assert_findings(&standby, &["notice provision_standby", "ok ok"]);
    assert!(found[0].detail.contains("writes nothing"), "{found:?}");
    // What is wrong on the primary is wrong here.
    server.sql("SET synchronous_commit = on; ALTER ROLE manager SUPERUSER");
    let is_there =
        || standby.value("SELECT rolsuper FROM pg_roles WHERE rolname = 'manager'") == "t";
    while !is_there() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_findings(
        &standby,
        &[
            "error provision_role_superuser",
            "notice provision_standby",
            "ok ok",
        ],
    );
}

#[test]
fn roles_are_provisioned_for_one_issuer_of_two() {
    let (first, second) = (
        Issuer::builder().https().start(),
        Issuer::builder().https().start(),
    );
    let builder = clinic()
        .hba(&good_line(first.url()))
        .hba(&second_line(second.url()))
        .set("validator.profiles", "corp")
        .set("validator_corp.issuer", second.url())
        .set("validator_corp.identity_prefix", "corp:")
        .set("validator_corp.provision", "roles")
        .set("validator_corp.role_claim", "groups")
        .set("validator.provision_role", "manager");
    let server = started(builder);
    let found = examine(&server);
    assert_eq!(found[0].code, "provision_role_missing", "{found:?}");
    let of_server = found.iter().filter(|row| row.code.starts_with("provision"));
    assert_eq!(of_server.count(), 1, "{found:?}");
}

/// What one issuer's line admits is no use to the people of another.
#[test]
fn each_issuer_needs_a_line_for_first_logins() {
    let (first, second) = (
        Issuer::builder().https().start(),
        Issuer::builder().https().start(),
    );
    let for_all = good_line(first.url());
    let for_staff = second_line(second.url()).replacen("hostssl all all", "hostssl all +staff", 1);
    let builder = clinic()
        .hba(&for_all)
        .hba(&for_staff)
        .set("validator.role_claim", "groups")
        .set("validator.provision", "roles")
        .set("validator.provision_role", "manager");
    let server = started(builder);
    server.sql(ROLES);
    server.sql("CREATE ROLE staff; GRANT staff TO alice");
    server.restart();
    let without = || {
        let found = examine(&server).into_iter();
        let found = found.filter(|row| row.code == "provision_without_new_roles");
        found.map(|row| row.detail).collect::<Vec<_>>()
    };
    let issuer_of = |detail: &str| detail.split(": no line").next().map(str::to_owned);
    let told = |issuer: &Issuer| Some(format!("Issuer {}", issuer.url()));
    let found = without();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(issuer_of(&found[0]), told(&second), "{found:?}");

    // Another line of the same issuer admits them.
    let elsewhere = good_line(second.url()).replacen("10.0.0.0/8", "172.16.0.0/12", 1);
    server.set_hba(&[&for_all, &for_staff, &elsewhere]);
    server.reload();
    assert!(without().is_empty());

    let neither = for_all.replacen("hostssl all all", "hostssl all +staff", 1);
    server.set_hba(&[&neither, &for_staff]);
    server.reload();
    let found: Vec<_> = without().iter().map(|detail| issuer_of(detail)).collect();
    let mut both = [told(&first), told(&second)];
    both.sort();
    assert_eq!(found, both);
}
