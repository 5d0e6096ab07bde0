//! What SQL sees of the roles that logins have provisioned; `sql/` declares it in schema `validator`.

use pgrx::datum::Interval;
use pgrx::pg_sys::Oid;
use pgrx::pg_sys::panic::ErrorReportable;
use pgrx::prelude::*;

use crate::log::server_log;
use crate::memory;
use crate::postgres::query::{rows, rows_with, text};
use crate::postgres::text::{literal, quoted, storable};
use crate::postgres::time;
use crate::roles::{MARKER, Note};

/// All managed roles, with their direct memberships other than the mark, and the comment.
const MANAGED: &str = "SELECT r.oid, r.rolname::text, pg_catalog.shobj_description(r.oid, 'pg_authid'), \
    ARRAY(SELECT DISTINCT g.rolname::text FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid \
          WHERE m.member = r.oid AND m.roleid <> mark.oid ORDER BY 1) \
    FROM pg_catalog.pg_roles mark, pg_catalog.pg_roles r WHERE mark.rolname = $1 AND r.oid IN (\
        SELECT member FROM pg_catalog.pg_auth_members WHERE roleid = mark.oid \
        GROUP BY member HAVING NOT pg_catalog.bool_or(admin_option)) ORDER BY 2";

/// The rows of the view `validator.provisioned_roles`.
#[allow(clippy::type_complexity)] // One column per line, as pgrx requires.
#[pg_extern(sql = false, volatile, parallel_unsafe)]
fn list_provisioned_roles() -> TableIterator<
    'static,
    (
        name!(role, String),
        name!(issuer, Option<String>),
        name!(identity, Option<String>),
        name!(groups, Vec<String>),
        name!(created_at, Option<TimestampWithTimeZone>),
        name!(last_login_at, Option<TimestampWithTimeZone>),
    ),
> {
    let logins = memory::last_logins();
    let found = rows_with(MANAGED, &[MARKER.into()], |row| {
        let oid: Oid = row.get(1)?.unwrap_or(Oid::INVALID);
        let groups: Vec<String> = row.get(4)?.unwrap_or_default();
        let note = Note::read(&text(row, 3)?);
        let last_login = logins.and_then(|logins| logins.of(oid.to_u32()));
        Ok((text(row, 2)?, note, groups, last_login))
    });
    let rows = found.into_iter().map(|(role, note, groups, last_login)| {
        let (issuer, identity, created_at) = match note {
            Some(note) => (
                Some(note.issuer),
                Some(note.identity),
                Some(note.created_at),
            ),
            None => (None, None, None),
        };
        (
            role,
            issuer.map(storable),
            identity.map(storable),
            groups,
            created_at.and_then(time::timestamptz),
            last_login.and_then(time::timestamptz),
        )
    });
    TableIterator::new(rows)
}

/// Of those, the roles that may log in, and have neither a session nor a login since that long.
const UNUSED: &str = "SELECT role, last_login_at FROM (\
        SELECT role, last_login_at, r.oid, GREATEST(last_login_at, created_at, $2) AS seen_at \
        FROM validator.list_provisioned_roles() JOIN pg_catalog.pg_roles r ON r.rolname = role WHERE r.rolcanlogin) AS managed \
    WHERE seen_at < pg_catalog.now() - $1 \
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.usesysid = managed.oid) ORDER BY 1";

/// Managed roles that have not logged in for that long; without `dry_run` they may not log in any more.
#[pg_extern(sql = false, volatile, parallel_unsafe)]
fn disable_unused_roles(
    unused_for: Interval,
    dry_run: bool,
) -> TableIterator<
    'static,
    (
        name!(role, String),
        name!(last_login_at, Option<TimestampWithTimeZone>),
        name!(disabled, bool),
    ),
> {
    let is_positive = rows_with("SELECT $1 > interval '0'", &[unused_for.into()], |row| {
        Ok(row.get::<bool>(1)?.unwrap_or(false))
    });
    if is_positive != [true] {
        ereport!(
            ERROR,
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            "the interval must be longer than nothing"
        );
    }
    // Before logins were noted, anyone may have logged in.
    let since = memory::last_logins().and_then(|logins| time::timestamptz(logins.since()));
    let Some(since) = since else {
        ereport!(
            ERROR,
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "logins of managed roles are not noted",
            "The server was started without validator.provision_role, or without the module in shared_preload_libraries."
        );
    };
    let unused = rows_with(UNUSED, &[unused_for.into(), since.into()], |row| {
        Ok((text(row, 1)?, row.get::<TimestampWithTimeZone>(2)?))
    });
    if !dry_run {
        for (role, _) in &unused {
            Spi::run(&format!("ALTER ROLE {} NOLOGIN", quoted(role))).unwrap_or_report();
            server_log::log(
                "validator.disable_unused_roles disabled a role".to_owned(),
                Some(server_log::facts(&[("role", Some(role))])),
                None,
            );
        }
    }
    let rows = unused.into_iter();
    TableIterator::new(rows.map(move |(role, last_login)| (role, last_login, !dry_run)))
}

/// The statements that set provisioning up, for an administrator to read and run.
#[pg_extern(sql = false, volatile, parallel_unsafe)]
fn provision_setup(groups: Vec<String>, manager: String) -> SetOfIterator<'static, String> {
    let name = manager;
    let (manager, marker) = (quoted(&name), quoted(MARKER));
    let options = "WITH ADMIN TRUE, INHERIT FALSE, SET FALSE";
    let mut lines = vec![
        format!("CREATE ROLE {manager} NOLOGIN CREATEROLE;"),
        format!("CREATE ROLE {marker} NOLOGIN;"),
        format!("GRANT {marker} TO {manager} {options};"),
    ];
    let known = rows(
        "SELECT rolname::text, rolcanlogin FROM pg_catalog.pg_roles",
        |row| Ok((text(row, 1)?, row.get::<bool>(2)?.unwrap_or(false))),
    );
    let mut managed = Vec::new();
    for group in groups {
        match known.iter().find(|(name, _)| *name == group) {
            Some((_, true)) => lines.push(format!(
                "-- {} may log in, so it cannot be a managed group",
                quoted(&group)
            )),
            found => {
                if found.is_none() {
                    lines.push(format!("CREATE ROLE {} NOLOGIN;", quoted(&group)));
                }
                managed.push(quoted(&group));
            }
        }
    }
    if !managed.is_empty() {
        lines.push(format!(
            "GRANT {} TO {manager} {options};",
            managed.join(", ")
        ));
    }
    lines.push(format!(
        "ALTER SYSTEM SET validator.provision_role = {};",
        literal(&name)
    ));
    lines.push("ALTER SYSTEM SET validator.provision = 'roles';".to_owned());
    lines.push("-- then restart the server".to_owned());
    SetOfIterator::new(lines)
}
