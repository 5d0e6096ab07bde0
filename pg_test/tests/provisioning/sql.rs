//! What SQL shows of managed roles, and what it does about those that nobody uses.

use crate::Directory;

#[test]
fn the_view_says_whose_a_role_is_and_when_it_was_used() {
    let directory = Directory::start();
    let server = &directory.server;
    server.sql("CREATE ROLE old LOGIN; GRANT validator_managed TO old; COMMENT ON ROLE old IS 'validator: {'");
    let name = "o'neil \"x\"";
    directory.admits(name, &["analysts", "auditors"]);
    let row = |columns: &str, role: &str| {
        let role = role.replace('\'', "''");
        server.value(&format!(
            "SELECT concat_ws('|', {columns}) FROM validator.provisioned_roles WHERE role = '{role}'"
        ))
    };
    assert_eq!(row("identity", name), name);
    assert_eq!(row("issuer", name), directory.issuer.url());
    assert_eq!(row("groups", name), "{analysts,auditors}");
    let times = "created_at BETWEEN now() - interval '1 min' AND now(), last_login_at BETWEEN created_at AND now()";
    assert_eq!(row(times, name), "t|t");
    // One that an administrator put under management; its own comment is not of ours.
    let unknown =
        "groups, issuer IS NULL, identity IS NULL, created_at IS NULL, last_login_at IS NULL";
    assert_eq!(row(unknown, "old"), "{}|t|t|t|t");
    let all = "SELECT count(*) FROM validator.provisioned_roles";
    assert_eq!(server.value(all), "2");
    // At the last login of all, and after a restart it is not known.
    server.restart();
    assert_eq!(
        row("last_login_at IS NULL, identity", name),
        format!("t|{name}")
    );
}

#[test]
fn roles_that_nobody_uses_are_disabled_after_a_dry_run() {
    let directory = Directory::start();
    let server = &directory.server;
    let unused = |arguments: &str| {
        let sql = format!("SELECT role, disabled FROM validator.disable_unused_roles({arguments})");
        let rows = server.sql(&sql).into_iter();
        let texts = rows.map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(" "));
        texts.collect::<Vec<_>>()
    };
    drop(directory.admits("gone", &["analysts"]));
    let session = directory.admits("open", &["analysts"]);
    assert!(unused("'1 hour'").is_empty());
    std::thread::sleep(std::time::Duration::from_millis(1500));
    drop(directory.admits("used", &["analysts"]));
    server.sql("CREATE ROLE other LOGIN");
    crate::eventually("the backend has ended", || {
        server.value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'gone'") == "0"
    });
    let long = "'1 second'";
    assert_eq!(unused(long), ["gone f"]);
    assert_eq!(unused(&format!("{long}, dry_run => true")), ["gone f"]);
    directory.admits("gone", &["analysts"]);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    drop(directory.admits("used", &["analysts"]));
    let mark = server.log().mark();
    assert_eq!(unused(&format!("{long}, dry_run => false")), ["gone t"]);
    let log = server.log().since(mark);
    assert!(log.contains("DETAIL:  role=gone"), "{log}");
    // Done once.
    assert!(unused(long).iter().all(|row| !row.starts_with("gone")));
    directory.does_not_provision("gone", &["analysts"], "role_disabled");
    drop(session);
    for bad in ["'0'", "'-1 day'"] {
        let failed = server.psql(&format!("SELECT validator.disable_unused_roles({bad})"));
        assert!(!failed.status.success(), "{bad}");
    }
}

#[test]
fn counters_say_what_was_done() {
    let directory = Directory::start();
    let counted = || {
        directory.server.value(
            "SELECT concat_ws(' ', roles_created, memberships_granted, memberships_revoked, provision_failures) \
             FROM validator.stats",
        )
    };
    directory.admits("zoe", &["analysts", "auditors"]);
    directory.admits("zoe", &["auditors"]);
    directory.admits("zoe", &["auditors"]);
    assert_eq!(counted(), "1 2 1 0");
    directory.server.sql(
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC; ALTER ROLE validator_manager NOCREATEROLE",
    );
    directory.does_not_provision("yves", &["analysts"], "creation");
    assert_eq!(counted(), "1 2 1 1");
    directory.server.sql("SELECT validator.reset_stats()");
    assert_eq!(counted(), "0 0 0 0");
}

/// What the function shows is what the tests' own set-up does, and it works.
#[test]
fn the_statements_that_are_shown_set_it_up() {
    let issuer = rig::Issuer::builder().start();
    let server = rig::Server::trusting(&issuer)
        .preload()
        .log_everything()
        .set("validator.role_claim", "groups")
        .start();
    server.sql("CREATE EXTENSION validator; CREATE ROLE there NOLOGIN");
    let shown = server.sql(
        "SELECT * FROM validator.provision_setup(ARRAY['there', 'new \"one\"', 'alice'], 'my manager')",
    );
    let lines: Vec<String> = shown.into_iter().flatten().flatten().collect();
    assert_eq!(
        lines,
        [
            "CREATE ROLE \"my manager\" NOLOGIN CREATEROLE;",
            "CREATE ROLE validator_managed NOLOGIN;",
            "GRANT validator_managed TO \"my manager\" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;",
            "CREATE ROLE \"new \"\"one\"\"\" NOLOGIN;",
            "-- alice may log in, so it cannot be a managed group",
            "GRANT there, \"new \"\"one\"\"\" TO \"my manager\" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;",
            "ALTER SYSTEM SET validator.provision_role = 'my manager';",
            "ALTER SYSTEM SET validator.provision = 'roles';",
            "-- then restart the server",
        ]
    );
    // Nothing was done by that.
    assert_eq!(
        server.value("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'validator%'"),
        "0"
    );
    for line in lines {
        server.sql(&line);
    }
    server.restart();
    crate::wait_for_worker(&server);
    let token = issuer
        .token("zoe")
        .claim("groups", serde_json::json!(["there", "new \"one\""]));
    server.admits("zoe", &token.encode());
    assert_eq!(
        crate::groups_of(&server, "zoe"),
        "\"new \"\"one\"\"\",there"
    );
}

/// A line feed in a name ends a comment, and what follows would be run as a statement.
#[test]
fn names_that_no_role_here_can_have_are_not_shown_as_statements() {
    let directory = Directory::start();
    let server = &directory.server;
    server.sql("DO $$BEGIN EXECUTE E'CREATE ROLE \"x\nALTER ROLE bob SUPERUSER;--\" LOGIN'; END$$");
    let long = "x".repeat(64);
    for arguments in [
        r"ARRAY[E'x\nALTER ROLE bob SUPERUSER;--']",
        r"ARRAY['analysts', E'x\ty']",
        r"ARRAY['analysts'], E'm\nDROP ROLE bob;'",
        "ARRAY['pg_read_all_data']",
        "ARRAY['public']",
        "ARRAY['']",
        &format!("ARRAY['{long}']"),
    ] {
        let shown = server.psql(&format!(
            "SELECT * FROM validator.provision_setup({arguments})"
        ));
        assert!(!shown.status.success(), "{arguments}: {}", shown.stdout);
        let told = "cannot be the name of a role here";
        assert!(shown.stderr.contains(told), "{}", shown.stderr);
    }
}

#[test]
fn what_a_login_would_do_is_explained_and_not_done() {
    let directory = Directory::start();
    let server = &directory.server;
    let steps = |role: &str, groups: &[&str]| {
        let token = directory.token(role, groups);
        let rows = server.sql(&format!(
            "SELECT name, passed, detail FROM validator.try_login('{token}', '{role}', address => '127.0.0.1')"
        ));
        let texts = rows.into_iter().map(|row| {
            let cells = row.into_iter().map(Option::unwrap_or_default);
            cells.collect::<Vec<_>>().join("|")
        });
        texts.collect::<Vec<_>>().join("\n")
    };
    let told = steps("zoe", &["analysts", "x"]);
    assert!(
        told.contains("provision||a login creates the role"),
        "{told}"
    );
    assert!(told.contains("of \"analysts, x\""), "{told}");
    assert!(
        told.contains("connect||the role zoe does not exist yet"),
        "{told}"
    );
    assert!(!directory.exists("zoe"));
    directory.admits("zoe", &["analysts"]);
    let told = steps("zoe", &["auditors"]);
    assert!(told.contains("connect|t|"), "{told}");
    assert_eq!(directory.groups_of("zoe"), "analysts");
}
