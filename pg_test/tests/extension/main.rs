//! `CREATE EXTENSION validator`, which the validator itself does not need.

mod inherited_pages;
mod updates;

use rig::{Issuer, Login, Server};

fn start() -> Server {
    Server::builder()
        .hba("host all alice 127.0.0.1/32 trust")
        .start()
}

#[test]
fn extension_is_created_without_preloading_the_module() {
    let server = start();
    assert_eq!(server.value("SHOW shared_preload_libraries"), "");
    server.sql("CREATE EXTENSION validator");
    let version = server.value("SELECT validator.version()");
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    assert_eq!(
        server.sql("SELECT extversion, nspname, extrelocatable, rolname FROM pg_extension e \
                    JOIN pg_namespace n ON n.oid = extnamespace JOIN pg_roles r ON r.oid = extowner \
                    WHERE extname = 'validator'"),
        [[Some(version), Some("validator".to_owned()), Some("f".to_owned()), Some("postgres".to_owned())]]
    );
}

#[test]
fn functions_are_described_and_those_of_postgresql_are_left_alone() {
    let server = start();
    let description = |function: &str| {
        server.value(&format!(
            "SELECT obj_description('{function}()'::regprocedure, 'pg_proc')"
        ))
    };
    let builtin = description("pg_catalog.version");
    server.sql("CREATE EXTENSION validator");
    // pg_catalog is searched first, also in an extension's script.
    assert_eq!(description("pg_catalog.version"), builtin);
    assert!(description("validator.version").contains("validator"));
}

#[test]
fn extension_is_described_and_offered() {
    let server = start();
    let offered = server.sql(
        "SELECT version, superuser, trusted, relocatable, schema, comment FROM pg_available_extension_versions \
         WHERE name = 'validator'",
    );
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        offered,
        [[
            text(env!("CARGO_PKG_VERSION")),
            text("t"),
            text("f"),
            text("f"),
            text("validator"),
            text("OAuth 2.0 token validator")
        ]]
    );
}

#[test]
fn extension_works_in_every_session_and_with_the_module_preloaded() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).preload().start();
    server.sql("CREATE EXTENSION validator");
    let mut session = server.admits("alice", &issuer.token("alice").encode());
    assert_eq!(session.value("SELECT validator.claim('sub')"), "alice");
    let denied = session
        .query("SELECT validator.version()")
        .expect_err("no grant");
    assert_eq!(denied.code(), "42501");
    server.sql("GRANT EXECUTE ON FUNCTION validator.version() TO alice");
    assert_eq!(
        session.value("SELECT validator.version()"),
        env!("CARGO_PKG_VERSION")
    );
}

#[test]
fn extension_is_dropped_and_created_again() {
    let server = start();
    server.sql("CREATE EXTENSION validator");
    server.sql("DROP EXTENSION validator");
    assert_eq!(
        server.value("SELECT to_regprocedure('validator.version()')"),
        ""
    );
    server.sql("CREATE EXTENSION validator");
    assert_eq!(
        server.value("SELECT validator.version()"),
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(
        server.value("SELECT count(*) FROM pg_extension WHERE extname = 'validator'"),
        "1"
    );
}

#[test]
fn logins_do_not_need_the_extension() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).start();
    server.admits("alice", &issuer.token("alice").encode());
    server.sql("CREATE EXTENSION validator");
    server.admits("alice", &issuer.token("alice").encode());
    server.sql("DROP EXTENSION validator");
    server.admits("alice", &issuer.token("alice").encode());
}

#[test]
fn only_a_superuser_creates_it() {
    let server = start();
    server.sql("ALTER ROLE alice CREATEDB CREATEROLE; GRANT ALL ON DATABASE postgres TO alice");
    let mut alice = Login::new(&server, "alice").run().session();
    let error = alice
        .query("CREATE EXTENSION validator")
        .expect_err("alice is no superuser");
    assert_eq!(error.code(), "42501");
    assert_eq!(
        server.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'validator'"),
        "0"
    );
    server.sql("CREATE EXTENSION validator");
    let error = alice
        .query("DROP EXTENSION validator")
        .expect_err("alice does not own it");
    assert_eq!(error.code(), "42501");
    let error = alice
        .query(
            "CREATE FUNCTION v() RETURNS text LANGUAGE c AS '$libdir/validator', 'version_wrapper'",
        )
        .expect_err("alice may not use C");
    assert_eq!(error.code(), "42501");
}

#[test]
fn extension_stays_in_its_schema() {
    let server = start();
    server.sql("CREATE SCHEMA elsewhere");
    let error = |sql: &str| {
        Login::by_socket(&server, "postgres")
            .run()
            .session()
            .query(sql)
            .expect_err(sql)
            .code()
            .to_owned()
    };
    assert_eq!(
        error("CREATE EXTENSION validator SCHEMA elsewhere"),
        "0A000"
    );
    server.sql("CREATE EXTENSION validator");
    assert_eq!(
        error("ALTER EXTENSION validator SET SCHEMA elsewhere"),
        "0A000"
    );
    assert_eq!(error("DROP SCHEMA validator"), "2BP01");
}

/// Its owner could have functions in it that are called in place of the extension's.
#[test]
fn a_schema_that_belongs_to_somebody_else_is_not_taken() {
    let server = start();
    server.sql("GRANT CREATE ON DATABASE postgres TO alice");
    let mut alice = Login::new(&server, "alice").run().session();
    for statement in [
        "CREATE SCHEMA validator",
        "CREATE FUNCTION validator.claim(name varchar) RETURNS text LANGUAGE sql RETURN 'forged'",
    ] {
        alice.query(statement).expect("alice may");
    }
    let mut superuser = Login::by_socket(&server, "postgres").run().session();
    let error = superuser
        .query("CREATE EXTENSION validator")
        .expect_err("refused");
    assert_eq!(error.code(), "42501");
    assert!(
        error
            .message()
            .contains("belongs to a role that is not a superuser"),
        "{error}"
    );
    assert_eq!(
        server.value("SELECT to_regprocedure('validator.version()')"),
        ""
    );
    // As a restored dump leaves it: of any superuser's.
    server.sql("DROP SCHEMA validator CASCADE");
    server.sql("CREATE ROLE restorer SUPERUSER; CREATE SCHEMA validator AUTHORIZATION restorer");
    server.sql("CREATE EXTENSION validator");
    let found = "SELECT count(*) FROM validator.check_config() WHERE finding = 'schema_of_another'";
    assert_eq!(server.value(found), "0");
    server.sql("ALTER SCHEMA validator OWNER TO alice");
    assert_eq!(server.value(found), "1");
}
