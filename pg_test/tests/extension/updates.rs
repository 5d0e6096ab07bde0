//! `ALTER EXTENSION validator UPDATE` makes of every older version what `CREATE EXTENSION` makes of this one.
//!
//! The scripts of versions that were released stay in `sql`, so that this can be tried. One version older than all of them
//! is made here: it lacks the last function.

use std::fs;
use std::path::{Path, PathBuf};

use rig::{Issuer, Rows, Server, environment, scratch};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const OLDEST: &str = "0.0.1";

/// A folder for `extension_control_path` that has the scripts of the stage, and those of `OLDEST`. Its update takes what is
/// left of the whole script from its last function on, as `shorten` leaves it.
fn scripts_with_an_older_version(shorten: impl Fn(&str) -> &str) -> PathBuf {
    let share = scratch::new_folder("share");
    let folder = share.join("extension");
    fs::create_dir(&folder).expect("a folder");
    for file in fs::read_dir(environment::stage().join("share/extension")).expect("a folder") {
        let file = file.expect("a file");
        fs::copy(file.path(), folder.join(file.file_name())).expect("a copy");
    }
    let whole = folder.join(format!("validator--{VERSION}.sql"));
    let whole = fs::read_to_string(whole).expect("the whole script");
    let last = whole.rfind("\nCREATE FUNCTION ").expect("a function");
    let (older, rest) = whole.split_at(last);
    let update = format!("validator--{OLDEST}--{VERSION}.sql");
    fs::write(folder.join(format!("validator--{OLDEST}.sql")), older).expect("a file");
    fs::write(folder.join(update), shorten(rest)).expect("a file");
    share
}

fn start(issuer: &Issuer, share: &Path) -> Server {
    let path = format!("{}:$system", share.display());
    Server::trusting(issuer)
        .set("extension_control_path", &path)
        .start()
}

/// All objects of the extension, and its schema: definition, owner, rights, rights that a dump leaves out, comment.
fn contents(server: &Server) -> Rows {
    server.sql(
        "WITH objects AS ( \
             SELECT classid, objid FROM pg_depend \
             WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' \
                 AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'validator') \
             UNION ALL SELECT 'pg_namespace'::regclass, 'validator'::regnamespace), \
         described AS ( \
             SELECT classid, objid, proowner AS owner, proacl AS acl, pg_get_functiondef(objid) AS definition \
             FROM objects JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass \
             UNION ALL SELECT classid, objid, relowner, relacl, pg_get_viewdef(objid) \
             FROM objects JOIN pg_class c ON c.oid = objid AND classid = 'pg_class'::regclass AND relkind = 'v' \
             UNION ALL SELECT classid, objid, typowner, typacl, format_type(objid, NULL) \
             FROM objects JOIN pg_type t ON t.oid = objid AND classid = 'pg_type'::regclass \
             UNION ALL SELECT classid, objid, nspowner, nspacl, nspname::text \
             FROM objects JOIN pg_namespace n ON n.oid = objid AND classid = 'pg_namespace'::regclass) \
         SELECT pg_describe_object(o.classid, o.objid, 0), d.definition, d.owner::regrole, \
             (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(d.acl) a), \
             (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM pg_init_privs i, unnest(i.initprivs) a \
              WHERE i.classoid = o.classid AND i.objoid = o.objid), \
             obj_description(o.objid, o.classid::regclass::text::name) \
         FROM objects o LEFT JOIN described d USING (classid, objid) \
         ORDER BY 1",
    )
}

fn new_contents(server: &Server) -> Rows {
    server.sql("DROP EXTENSION IF EXISTS validator CASCADE; DROP SCHEMA IF EXISTS validator");
    server.sql("CREATE EXTENSION validator");
    contents(server)
}

#[test]
fn every_older_version_is_updated_to_this_one() {
    let issuer = Issuer::builder().start();
    let share = scripts_with_an_older_version(|rest| rest);
    let server = start(&issuer, &share);
    let expected = new_contents(&server);
    // Enough objects, each of a kind that is described.
    assert!(expected.len() > 15, "{expected:?}");
    let described = expected.iter().all(|row| row[1].is_some());
    assert!(described, "{expected:?}");

    let older = server.sql(&format!(
        "SELECT version FROM pg_available_extension_versions WHERE name = 'validator' AND version <> '{VERSION}'"
    ));
    let older: Vec<_> = older.into_iter().flatten().flatten().collect();
    assert!(older.contains(&OLDEST.to_owned()), "{older:?}");
    for version in older {
        server.sql("DROP EXTENSION validator; DROP SCHEMA IF EXISTS validator");
        server.sql(&format!("CREATE EXTENSION validator VERSION '{version}'"));
        // The library is this version's already, as after an update of the package.
        let mut session = server.admits("alice", &issuer.token("alice").encode());
        assert_eq!(session.value("SELECT validator.claim('sub')"), "alice");
        server.sql("GRANT EXECUTE ON FUNCTION validator.version() TO alice");

        server.sql("ALTER EXTENSION validator UPDATE");
        assert_eq!(
            server.value("SELECT extversion FROM pg_extension WHERE extname = 'validator'"),
            VERSION
        );
        // Who had a session keeps it, and what an administrator has granted stays.
        assert_eq!(session.value("SELECT validator.claim('sub')"), "alice");
        assert_eq!(session.value("SELECT validator.version()"), VERSION);
        server.sql("REVOKE EXECUTE ON FUNCTION validator.version() FROM alice");
        assert_eq!(contents(&server), expected, "from {version}");
    }
}

#[test]
fn update_that_forgets_something_is_noticed() {
    let issuer = Issuer::builder().start();
    for forgotten in ["\nCREATE FUNCTION", "\nCOMMENT", "\nREVOKE"] {
        // It ends before the first of these.
        let share = scripts_with_an_older_version(|rest| {
            let end = rest.find(forgotten);
            &rest[..end.unwrap_or_else(|| panic!("{forgotten:?} is not in {rest}"))]
        });
        let server = start(&issuer, &share);
        let expected = new_contents(&server);
        server.sql("DROP EXTENSION validator; DROP SCHEMA IF EXISTS validator");
        server.sql(&format!("CREATE EXTENSION validator VERSION '{OLDEST}'"));
        server.sql("ALTER EXTENSION validator UPDATE");
        assert_ne!(contents(&server), expected, "{forgotten:?}");
    }
}
