//! `CREATE EXTENSION validator`, which the validator itself does not need.

mod inherited_pages;
mod updates;

use std::process::Command;

use rig::{Issuer, Login, Server, environment, scratch};

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

/// A function that is called in place of the extension's, by `validator.claim('sub'::varchar)`.
const OVERLOAD: &str =
    "CREATE FUNCTION validator.claim(name varchar) RETURNS text LANGUAGE sql RETURN 'forged'";

const FINDINGS: &str = "SELECT string_agg(detail, ' ' ORDER BY detail) FROM validator.check_config() WHERE finding = 'schema_of_another'";

/// Creates the extension, which is refused, and leaves nothing. The message and its detail.
#[track_caller]
fn refused_creation(server: &Server) -> String {
    let mut superuser = Login::by_socket(server, "postgres").run().session();
    let error = superuser
        .query("CREATE EXTENSION validator")
        .expect_err("refused");
    assert_eq!(error.code(), "42501");
    assert_eq!(
        server.value("SELECT to_regprocedure('validator.version()')"),
        ""
    );
    format!(
        "{}: {}",
        error.message(),
        error.field('D').unwrap_or_default()
    )
}

#[test]
fn a_schema_that_belongs_to_somebody_else_is_not_taken() {
    let server = start();
    server.sql("GRANT CREATE ON DATABASE postgres TO alice");
    let mut alice = Login::new(&server, "alice").run().session();
    for statement in ["CREATE SCHEMA validator", OVERLOAD] {
        alice.query(statement).expect("alice may");
    }
    let error = refused_creation(&server);
    assert!(
        error.contains("schema \"validator\" belongs to a role that is not a superuser"),
        "{error}"
    );
    // What alice has made stays when the schema is given away.
    server.sql("ALTER SCHEMA validator OWNER TO postgres");
    let error = refused_creation(&server);
    assert_eq!(
        error,
        "schema \"validator\" has objects of roles that are not superusers: \
         One is function claim(character varying)."
    );
    // As a restored dump leaves it: of any superuser's.
    server.sql("DROP SCHEMA validator CASCADE");
    server.sql("CREATE ROLE restorer SUPERUSER; CREATE SCHEMA validator AUTHORIZATION restorer");
    server.sql("CREATE EXTENSION validator");
    assert_eq!(server.value(FINDINGS), "");
    server.sql("ALTER SCHEMA validator OWNER TO alice");
    assert_eq!(
        server.value(FINDINGS),
        "The schema of the extension belongs to alice, which is not a superuser."
    );
}

#[test]
fn a_schema_where_others_may_create_objects_or_have_some_is_not_taken() {
    let server = start();
    server.sql("CREATE SCHEMA validator; CREATE ROLE team; CREATE ROLE boss SUPERUSER; GRANT team TO alice");
    for role in ["PUBLIC", "alice", "team"] {
        server.sql(&format!(
            "GRANT CREATE, USAGE ON SCHEMA validator TO {role}"
        ));
        assert_eq!(
            refused_creation(&server),
            format!(
                "roles that are not superusers may create objects in schema \"validator\": \
                 CREATE is granted to {role}."
            )
        );
        server.sql(&format!("REVOKE CREATE ON SCHEMA validator FROM {role}"));
    }
    for (make, name) in [
        (OVERLOAD, "function claim(character varying)"),
        (
            "CREATE OPERATOR validator.= (PROCEDURE = texteq, LEFTARG = text, RIGHTARG = text)",
            "=(text,text)",
        ),
        ("CREATE DOMAIN validator.json AS text", "json"),
        ("CREATE TABLE validator.own ()", "own"),
    ] {
        server.sql("GRANT CREATE ON SCHEMA validator TO alice");
        server.sql(&format!("SET ROLE alice; {make}"));
        server.sql("REVOKE CREATE ON SCHEMA validator FROM alice");
        let error = refused_creation(&server);
        assert!(
            error.contains(" has objects of roles that are not superusers: One is "),
            "{error}"
        );
        assert!(error.contains(name), "{error}");
        server.sql("DROP OWNED BY alice");
    }
    // Superusers can do anything anyway, and it is theirs to let others use the schema.
    server
        .sql("GRANT CREATE ON SCHEMA validator TO boss; GRANT USAGE ON SCHEMA validator TO PUBLIC");
    server.sql(&format!("SET ROLE boss; {OVERLOAD}"));
    server.sql("CREATE EXTENSION validator");
    assert_eq!(server.value(FINDINGS), "");
}

/// Default privileges are those of a schema that the statement itself creates.
#[test]
fn a_schema_that_default_privileges_open_is_not_created() {
    let server = start();
    server.sql("ALTER DEFAULT PRIVILEGES GRANT CREATE ON SCHEMAS TO PUBLIC");
    let error = refused_creation(&server);
    assert!(error.contains("CREATE is granted to PUBLIC."), "{error}");
    server.sql("ALTER DEFAULT PRIVILEGES REVOKE CREATE ON SCHEMAS FROM PUBLIC");
    server.sql("CREATE EXTENSION validator");
}

#[test]
fn what_is_done_to_the_schema_later_is_found() {
    let server = start();
    server.sql("CREATE EXTENSION validator; CREATE ROLE team");
    assert_eq!(server.value(FINDINGS), "");
    server.sql("GRANT CREATE, USAGE ON SCHEMA validator TO PUBLIC, alice");
    server.sql("GRANT USAGE ON SCHEMA validator TO team");
    let may_create = "may create objects in the schema of the extension, and is not a superuser.";
    assert_eq!(
        server.value(FINDINGS),
        format!("PUBLIC {may_create} alice {may_create}")
    );
    server.sql("REVOKE CREATE ON SCHEMA validator FROM PUBLIC");
    server.sql(&format!("SET ROLE alice; {OVERLOAD}"));
    server.sql("REVOKE CREATE ON SCHEMA validator FROM alice");
    assert_eq!(
        server.value(FINDINGS),
        "In the schema of the extension, function validator.claim(character varying) belongs to alice, \
         which is not a superuser."
    );
    server.sql("DROP FUNCTION validator.claim(varchar)");
    assert_eq!(server.value(FINDINGS), "");
}

/// A dump creates the schema and the extension first, and then what else there is, and rights on it.
#[test]
fn a_dump_of_a_schema_that_others_use_is_restored() {
    let server = start();
    server.sql("CREATE EXTENSION validator; CREATE ROLE restorer SUPERUSER");
    server.sql("ALTER SCHEMA validator OWNER TO restorer; GRANT CREATE, USAGE ON SCHEMA validator TO alice");
    server.sql(&format!(
        "SET ROLE alice; {OVERLOAD}; CREATE TABLE validator.own ()"
    ));
    server.sql("GRANT EXECUTE ON FUNCTION validator.version() TO alice");
    server.sql("CREATE DATABASE restored TEMPLATE template0");
    let tool = |name: &str, arguments: &[&str]| {
        let mut command = Command::new(environment::bindir().join(name));
        command
            .args(["-U", "postgres", "-h"])
            .arg(server.socket_folder());
        command
            .args(["-p", &server.port().to_string()])
            .args(arguments);
        let done = command.output().expect("it runs");
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).expect("UTF-8")
    };
    let dump = scratch::new_folder("dump").join("dump.sql");
    let dump = dump.to_str().expect("UTF-8");
    tool("pg_dump", &["-f", dump, "postgres"]);
    tool(
        "psql",
        &["-X", "-v", "ON_ERROR_STOP=1", "-d", "restored", "-f", dump],
    );
    let left = |database: &str| {
        let sql = format!(
            "SELECT extname, nspowner::regrole, nspacl, to_regtype('validator.own') IS NOT NULL,              has_function_privilege('alice', 'validator.version()', 'EXECUTE'), ({FINDINGS})              FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'validator'"
        );
        tool("psql", &["-X", "-A", "-t", "-d", database, "-c", &sql])
    };
    let restored = left("restored");
    assert!(restored.contains("|restorer|"), "{restored}");
    assert!(
        restored.contains("function validator.claim(character varying) belongs to alice"),
        "{restored}"
    );
    assert_eq!(restored, left("postgres"));
}
