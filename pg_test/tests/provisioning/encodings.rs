//! Databases whose encoding is not UTF-8. Roles and the comments on them are those of the whole server, and their bytes are
//! the same in each; arguments are in the encoding of the database.

use std::time::Duration;

use rig::{Login, Session};

use crate::{Directory, wait_for_worker};

/// Each with characters of more than one byte, of one byte, or with none that means anything.
const ENCODINGS: [&str; 5] = ["LATIN1", "WIN1252", "EUC_JP", "SQL_ASCII", "UTF8"];

/// A session of the superuser in a new database, whose client sends and reads UTF-8 where the database converts it.
fn session_in(directory: &Directory, encoding: &str) -> Session {
    let server = &directory.server;
    let name = format!("of_{}", encoding.to_lowercase());
    server.sql(&format!(
        "CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    ));
    let mut session = Login::by_socket(server, "postgres")
        .database(&name)
        .run()
        .session();
    session
        .query("SET client_encoding TO 'UTF8'")
        .expect("it can be set");
    session
        .query("CREATE EXTENSION validator")
        .expect("it is there");
    session
}

#[test]
fn people_with_any_name_are_found_from_a_database_of_any_encoding() {
    let directory = Directory::start();
    let server = &directory.server;
    let issuer = directory.issuer.url();
    let noted = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = 'zoë'";
    for encoding in ENCODINGS {
        let mut session = session_in(&directory, encoding);
        let of_zoe = directory.admits("zoë", &["analysts"]);
        let _of_yves = directory.admits("yves", &["analysts"]);
        assert!(
            server.value(noted).contains(r#""identity":"zo\u00eb""#),
            "{encoding}"
        );
        let listed = "SELECT count(*) || ' ' || count(identity) FROM validator.provisioned_roles";
        assert_eq!(session.value(listed), "2 2", "{encoding}");
        // Nobody else.
        let end = |identity: &str| {
            format!("SELECT validator.end_sessions('{issuer}', identity => '{identity}')")
        };
        assert_eq!(session.value(&end("zoé")), "0", "{encoding}");
        assert_eq!(session.value(&end("zoë")), "1", "{encoding}");
        drop(of_zoe);
        let disable = |identity: &str| {
            format!("SELECT array_length(validator.disable_role('{issuer}', '{identity}'), 1)")
        };
        for identity in ["zoé", "zo"] {
            assert_eq!(session.value(&disable(identity)), "", "{encoding}");
        }
        for identity in ["zoë", "yves"] {
            assert_eq!(session.value(&disable(identity)), "1", "{encoding}");
            directory.does_not_provision(identity, &["analysts"], "role_disabled");
        }
        server.sql("ALTER ROLE \"zoë\" LOGIN");
        server.sql("ALTER ROLE yves LOGIN");
        let found =
            "SELECT count(*) FROM validator.check_config() WHERE finding = 'internal_error'";
        assert_eq!(session.value(found), "0", "{encoding}");
        let token = directory.token("zoë", &["analysts"]);
        let tried = session.value(&format!(
            "SELECT bool_and(passed IS NOT FALSE) FROM validator.try_login('{token}', 'zoë', 'postgres', '127.0.0.1', false)"
        ));
        assert_eq!(tried, "t", "{encoding}");
        let claims =
            session.query("SELECT validator.claim('straße'), validator.flush_answers('é')");
        claims.unwrap_or_else(|error| panic!("{encoding}: {error}"));
    }
    let log = server.log().text();
    assert!(
        !log.contains("panicked") && !log.contains("only UTF-8 compatible"),
        "{log}"
    );
}

/// "€" is three bytes, which are nothing in EUC_JP, and the other role's "ÿ" is one, which is nothing in UTF-8.
#[test]
fn unused_roles_of_any_name_are_disabled_from_a_database_of_any_encoding() {
    let directory = Directory::start();
    let server = &directory.server;
    let mut sessions = ENCODINGS.map(|encoding| session_in(&directory, encoding));
    drop(directory.admits("zoë€", &["analysts"]));
    sessions[0]
        .query("CREATE ROLE \"mÿ\" LOGIN; GRANT validator_managed TO \"mÿ\"")
        .expect("it can be made");
    std::thread::sleep(Duration::from_millis(500));
    crate::eventually("the backend has ended", || {
        server.value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'zoë€'") == "0"
    });
    let managed =
        "FROM pg_auth_members WHERE roleid = 'validator_managed'::regrole AND NOT admin_option";
    let may_log_in = format!(
        "SELECT count(*) FROM pg_roles WHERE rolcanlogin AND oid IN (SELECT member {managed})"
    );
    for (session, encoding) in sessions.iter_mut().zip(ENCODINGS) {
        assert_eq!(server.value(&may_log_in), "2", "{encoding}");
        let unused = |interval: &str, dry_run: bool| {
            format!(
                "SELECT count(role) || ' ' || count(*) FILTER (WHERE disabled) \
                     FROM validator.disable_unused_roles('{interval}', dry_run => {dry_run})"
            )
        };
        assert_eq!(session.value(&unused("1 day", false)), "0 0", "{encoding}");
        assert_eq!(session.value(&unused("400 ms", true)), "2 0", "{encoding}");
        assert_eq!(session.value(&unused("400 ms", false)), "2 2", "{encoding}");
        assert_eq!(session.value(&unused("400 ms", false)), "0 0", "{encoding}");
        assert_eq!(server.value(&may_log_in), "0", "{encoding}");
        directory.does_not_provision("zoë€", &["analysts"], "role_disabled");
        // Whatever the names of the roles are here.
        server.sql(&format!(
            "DO $$ DECLARE name text; BEGIN FOR name IN SELECT quote_ident(rolname) FROM pg_roles WHERE oid IN (SELECT member {managed}) \
             LOOP EXECUTE 'ALTER ROLE ' || name || ' LOGIN'; END LOOP; END $$"
        ));
    }
    let log = server.log().text();
    assert_eq!(
        log.matches("disable_unused_roles disabled a role").count(),
        10,
        "{log}"
    );
    assert!(!log.contains("panicked"), "{log}");
}

/// Comments of earlier versions have their characters as they are, and anyone who may comment on a role can put bytes there
/// that are no UTF-8.
#[test]
fn other_comments_keep_nobody_from_being_found() {
    let directory = Directory::start();
    let server = &directory.server;
    let issuer = directory.issuer.url();
    directory.admits("zoë", &["analysts"]);
    directory.admits("yves", &["analysts"]);
    let note = format!(r#"validator: {{"created_at":1,"identity":"zoë","issuer":"{issuer}"}}"#);
    server.sql(&format!("COMMENT ON ROLE \"zoë\" IS '{note}'"));
    let sessions = ["LATIN1", "SQL_ASCII", "UTF8"].map(|encoding| session_in(&directory, encoding));
    let [mut latin1, mut ascii, mut utf8] = sessions;
    // The byte 0xEB alone.
    let bad = format!(
        r#"COMMENT ON ROLE yves IS 'validator: {{"created_at":1,"identity":"zoë","issuer":"{issuer}"}}'"#
    );
    latin1.query(&bad).expect("it can be set");
    latin1
        .query("CREATE ROLE \"mÿ\" LOGIN; GRANT validator_managed TO \"mÿ\"")
        .expect("it can be made");
    for session in [&mut latin1, &mut ascii, &mut utf8] {
        let disabled = format!("SELECT validator.disable_role('{issuer}', 'zoë')::text <> '' ");
        assert_eq!(session.value(&disabled), "t");
        directory.does_not_provision("zoë", &["analysts"], "role_disabled");
        directory.admits("yves", &["analysts"]);
        server.sql("ALTER ROLE \"zoë\" LOGIN");
        let listed = "SELECT count(*) || ' ' || count(identity) FROM validator.provisioned_roles";
        assert_eq!(session.value(listed), "3 2");
        session
            .query("SELECT * FROM validator.check_config()")
            .expect("it is examined");
    }
    assert!(!server.log().text().contains("panicked"));
}

#[test]
fn the_worker_may_be_in_a_database_of_another_encoding() {
    let directory = Directory::start();
    let server = &directory.server;
    drop(session_in(&directory, "LATIN1"));
    server.reload_with(&[("validator.provision_database", "of_latin1")]);
    crate::eventually("the worker is there", || {
        server.value("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'validator roles' AND datname = 'of_latin1'") == "1"
    });
    wait_for_worker(server);
    directory.admits("zoë", &["analysts"]);
    assert_eq!(directory.groups_of("zoë"), "analysts");
    let disabled = format!(
        "SELECT validator.disable_role('{}', 'zoë')",
        directory.issuer.url()
    );
    assert_eq!(server.value(&disabled), "{zoë}");
}

/// A statement in another encoding would be about a role that no token can name.
#[test]
fn the_setup_is_not_written_with_names_that_the_database_has_otherwise() {
    let directory = Directory::bare();
    let mut latin1 = session_in(&directory, "LATIN1");
    let setup = |group: &str| {
        format!("SELECT count(*) > 0 FROM validator.provision_setup(ARRAY['{group}'])")
    };
    assert_eq!(latin1.value(&setup("analysts")), "t");
    let error = latin1.query(&setup("zoë")).expect_err("it is refused");
    assert!(
        error
            .message()
            .contains("need a database whose encoding is UTF8"),
        "{error}"
    );
    assert_eq!(directory.server.value(&setup("zoë")), "t");
}
