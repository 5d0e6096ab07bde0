//! Who may see and do what, tried by real roles; and that every object says what it is.

use rig::{Login, Server, Session};

use crate::with_extension;

/// What every role may call: of its own login.
const FOR_ALL: [&str; 4] = [
    "claim(text)",
    "claims()",
    "own_claims(text)",
    "token_expires_at()",
];

/// What only a superuser may call, and whom a superuser lets.
const FOR_SUPERUSERS: [&str; 11] = [
    "check_config()",
    "check_token(text,text,text,text,boolean)",
    "disable_role(text,text)",
    "disable_unused_roles(interval,boolean)",
    "end_sessions(text,text,text,text,text)",
    "flush_answers(text)",
    "flush_cache()",
    "provision_setup(text[],text)",
    "refresh_keys(text)",
    "reset_stats()",
    "try_login(text,text,text,inet,boolean)",
];

fn start() -> Server {
    let server = with_extension(
        Server::builder()
            .hba("local all alice trust")
            .hba("local all bob trust"),
    );
    server.sql("GRANT pg_monitor TO bob");
    server
}

fn session(server: &Server, role: &str) -> Session {
    Login::by_socket(server, role).run().session()
}

fn texts(rows: Vec<Vec<Option<String>>>) -> Vec<String> {
    rows.into_iter().flatten().flatten().collect()
}

/// Functions of the extension, without the schema.
const FUNCTIONS: &str = "SELECT split_part(p.oid::regprocedure::text, '.', 2) FROM pg_proc p \
     WHERE pronamespace = 'validator'::regnamespace";

#[test]
fn every_object_of_the_extension_is_described() {
    let server = start();
    let silent = server.sql(
        "SELECT pg_describe_object(classid, objid, objsubid) FROM pg_depend \
         WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' \
         AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'validator') \
         AND classid IN ('pg_proc'::regclass, 'pg_class'::regclass) \
         AND obj_description(objid, classid::regclass::text) IS NULL",
    );
    assert!(silent.is_empty(), "{silent:?}");
    assert_ne!(server.value("SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = 'validator'"), "");
}

#[test]
fn every_object_and_column_is_in_the_reference() {
    let server = start();
    let page = include_str!("../../../docs/sql.md");
    let names = server.sql(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'validator'::regnamespace AND proname !~ '^list_' \
         UNION SELECT relname FROM pg_class WHERE relnamespace = 'validator'::regnamespace \
         UNION SELECT attname FROM pg_attribute WHERE attnum > 0 \
             AND attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'validator'::regnamespace)",
    );
    let names = texts(names);
    assert!(names.len() > 15, "{names:?}");
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !page.contains(&format!("`{name}")) && !page.contains(&format!(" {name}(")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn public_may_call_what_is_about_its_own_login_only() {
    let server = start();
    let allowed = server.sql(&format!(
        "{FUNCTIONS} AND has_function_privilege('alice', oid, 'EXECUTE') ORDER BY 1"
    ));
    assert_eq!(texts(allowed), FOR_ALL);
    let mut alice = session(&server, "alice");
    for (name, sql) in calls(&server) {
        let called = alice.query(&sql);
        if FOR_ALL.contains(&name.as_str()) {
            called.unwrap_or_else(|error| panic!("{sql}: {error}"));
        } else {
            assert_eq!(called.expect_err(&sql).code(), "42501", "{sql}");
        }
    }
    for view in views(&server) {
        let sql = format!("SELECT * FROM validator.{view}");
        assert_eq!(alice.query(&sql).expect_err(&sql).code(), "42501", "{sql}");
    }
    let error = alice
        .query("CREATE TABLE validator.t ()")
        .expect_err("not her schema");
    assert_eq!(error.code(), "42501");
}

#[test]
fn monitor_may_read_all_and_change_nothing() {
    let server = start();
    let denied = server.sql(&format!(
        "{FUNCTIONS} AND NOT has_function_privilege('pg_monitor', oid, 'EXECUTE') ORDER BY 1"
    ));
    assert_eq!(texts(denied), FOR_SUPERUSERS);
    let mut bob = session(&server, "bob");
    for view in views(&server) {
        let sql = format!("SELECT * FROM validator.{view}");
        bob.query(&sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        for sql in [
            format!("DELETE FROM validator.{view}"),
            format!("DROP VIEW validator.{view}"),
        ] {
            let code = bob.query(&sql).expect_err(&sql).code().to_owned();
            assert!(["42501", "55000"].contains(&code.as_str()), "{sql}: {code}");
        }
    }
    for (name, sql) in calls(&server) {
        if FOR_SUPERUSERS.contains(&name.as_str()) {
            assert_eq!(bob.query(&sql).expect_err(&sql).code(), "42501", "{sql}");
        }
    }
}

#[test]
fn superuser_grants_what_is_not_for_all() {
    let server = start();
    for function in FOR_SUPERUSERS {
        server.sql(&format!(
            "GRANT EXECUTE ON FUNCTION validator.{function} TO alice"
        ));
    }
    let mut alice = session(&server, "alice");
    for (name, sql) in calls(&server) {
        if let Err(error) = alice.query(&sql)
            && FOR_SUPERUSERS.contains(&name.as_str())
        {
            assert_ne!(error.code(), "42501", "{sql}: {error}");
        }
    }
}

#[test]
fn counters_and_times_have_the_types_of_postgresqls_own_views() {
    let server = start();
    let odd = server.sql(
        "SELECT attrelid::regclass, attname, format_type(atttypid, NULL) FROM pg_attribute \
         WHERE attnum > 0 AND attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'validator'::regnamespace) \
         AND format_type(atttypid, NULL) <> CASE \
             WHEN attname ~ '(_at|_until|_start|_reset)$' THEN 'timestamp with time zone' \
             WHEN attname ~ '_ms$' THEN 'double precision' \
             WHEN attname IN ('pid', 'keys', 'unusable_keys') THEN 'integer' \
             WHEN attname = 'usable' THEN 'boolean' \
             WHEN attname IN ('accepted', 'refused', 'count', 'fetches', 'fetch_failures', 'waits', \
                 'introspections', 'introspection_failures', 'introspection_cache_hits', \
                 'roles_created', 'memberships_granted', 'memberships_revoked', 'provision_failures') THEN 'bigint' \
             WHEN attname = 'groups' THEN 'text[]' \
             ELSE 'text' END",
    );
    assert!(odd.is_empty(), "{odd:?}");
}

fn views(server: &Server) -> Vec<String> {
    texts(server.sql("SELECT relname FROM pg_class WHERE relnamespace = 'validator'::regnamespace AND relkind = 'v' ORDER BY 1"))
}

/// Each function, and a call of it with arguments that are not null.
fn calls(server: &Server) -> Vec<(String, String)> {
    let rows = server.sql(
        "SELECT split_part(p.oid::regprocedure::text, '.', 2), 'SELECT * FROM validator.' || quote_ident(proname) || '(' || \
         (SELECT coalesce(string_agg(CASE format_type(t, NULL) WHEN 'boolean' THEN 'false' WHEN 'inet' THEN '''::1''' \
         WHEN 'interval' THEN '''1 day''' WHEN 'text[]' THEN '''{x}''' ELSE '''x''' END, ', '), '') \
          FROM unnest(proargtypes) t) || ')' \
         FROM pg_proc p WHERE pronamespace = 'validator'::regnamespace",
    );
    rows.into_iter()
        .map(|row| {
            let mut row = row.into_iter().flatten();
            (row.next().expect("a name"), row.next().expect("a call"))
        })
        .collect()
}
