//! Names: what people are called, and what would be something else in a statement or in the catalog.

use crate::{Directory, assert_unharmed};

#[test]
fn odd_names_are_roles_exactly_as_they_are_written() {
    let directory = Directory::start();
    let longest = "x".repeat(63);
    let names = [
        "we\"ird; drop role analysts--",
        "Ann.O'Neil@ex\u{e4}mple.org",
        "back\\slash",
        "$1",
        "a'; ALTER ROLE a SUPERUSER; --",
        "ro\u{43e}t",
        "select",
        "Zoe",
        "zoe",
        " zoe",
        &longest,
    ];
    for name in names {
        let mut session = directory.admits(name, &["analysts"]);
        assert_eq!(session.value("SELECT session_user"), name);
        assert_eq!(directory.groups_of(name), "analysts", "{name}");
    }
    let superusers = "SELECT count(*) FROM pg_roles WHERE rolsuper";
    assert_eq!(directory.server.value(superusers), "1");
    assert!(directory.exists("analysts"));
    assert_unharmed(&directory.server);
}

#[test]
fn names_that_postgresql_reserves_make_no_role() {
    let directory = Directory::start();
    for name in ["pg_zoe", "pg_read_all_data", "public", "none"] {
        directory.does_not_provision(name, &["analysts"], "name");
    }
}

#[test]
fn a_name_that_postgresql_cuts_is_not_the_identity() {
    let directory = Directory::start();
    // PostgreSQL cuts the requested name at 63 bytes before any module sees it, so it does not equal the identity.
    let name = "y".repeat(64);
    let cut = "y".repeat(63);
    let token = directory.token(&name, &["analysts"]);
    directory
        .server
        .refuses(&name, &token, "role_not_provisioned");
    assert!(!directory.exists(&cut));
}

#[test]
fn names_of_groups_are_compared_byte_for_byte() {
    let directory = Directory::start();
    directory
        .server
        .sql("CREATE ROLE \"Odd \"\"Group\" NOLOGIN; \
              GRANT \"Odd \"\"Group\" TO validator_manager WITH ADMIN TRUE, INHERIT FALSE, SET FALSE");
    directory.admits(
        "zoe",
        &["Odd \"Group", "Analysts", "\u{430}nalysts", "analysts "],
    );
    assert_eq!(directory.groups_of("zoe"), "\"Odd \"\"Group\"");
}
