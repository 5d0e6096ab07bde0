//! What SQL sees of the roles that logins have provisioned; `sql/` declares it in schema `validator`.

use oauth_core::{Printable, Timestamp, name_fault};
use pgrx::pg_sys::Oid;
use pgrx::prelude::*;

use crate::memory;
use crate::postgres::query::{rows, rows_with, text, texts};
use crate::postgres::text::{argument, is_utf8_database, literal, quoted, shown_name, storable};
use crate::postgres::time;
use crate::roles::{MARKER, Note};

/// All managed roles, with their direct memberships other than the mark, and the comment.
const MANAGED: &str = "SELECT r.oid, r.rolname::text, pg_catalog.shobj_description(r.oid, 'pg_authid'), \
    ARRAY(SELECT DISTINCT g.rolname::text FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid \
          WHERE m.member = r.oid AND m.roleid <> mark.oid ORDER BY 1) \
    FROM pg_catalog.pg_roles mark, pg_catalog.pg_roles r WHERE mark.rolname = $1 AND r.oid IN (\
        SELECT member FROM pg_catalog.pg_auth_members WHERE roleid = mark.oid \
        GROUP BY member HAVING NOT pg_catalog.bool_or(admin_option)) ORDER BY 2";

/// A managed role.
pub(super) struct Managed {
    pub oid: Oid,
    pub name: String,
    groups: Vec<String>,
    note: Option<Note>,
    pub last_login: Option<Timestamp>,
}

impl Managed {
    pub fn created_at(&self) -> Option<Timestamp> {
        Some(self.note.as_ref()?.created_at)
    }
}

/// All of them, by name. By their numbers other queries know them: names may not be valid in the database.
pub(super) fn managed_roles() -> Vec<Managed> {
    let logins = memory::last_logins();
    rows_with(MANAGED, &[MARKER.into()], |row| {
        let oid: Oid = row.get(1)?.unwrap_or(Oid::INVALID);
        Ok(Managed {
            oid,
            name: text(row, 2)?,
            groups: texts(row, 4)?,
            note: Note::read(&text(row, 3)?),
            last_login: logins.and_then(|logins| logins.of(oid.to_u32())),
        })
    })
}

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
    let rows = managed_roles().into_iter().map(|role| {
        let (issuer, identity, created_at) = match role.note {
            Some(note) => (
                Some(note.issuer),
                Some(note.identity),
                Some(note.created_at),
            ),
            None => (None, None, None),
        };
        (
            shown_name(role.name),
            issuer.map(storable),
            identity.map(storable),
            role.groups.into_iter().map(shown_name).collect(),
            created_at.and_then(time::timestamptz),
            role.last_login.and_then(time::timestamptz),
        )
    });
    TableIterator::new(rows)
}

/// The statements that set provisioning up, for an administrator to read and run.
#[pg_extern(sql = false, volatile, parallel_unsafe)]
fn provision_setup(groups: Array<'_, &[u8]>, manager: &[u8]) -> SetOfIterator<'static, String> {
    let groups: Vec<String> = groups.iter_deny_null().map(argument).collect();
    let manager = argument(manager);
    for name in groups.iter().chain([&manager]) {
        refuse_name(name);
    }
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
                Printable::new(&quoted(&group))
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

/// Raises an error for a name that no role can have. A line feed would end a comment, and begin a statement.
fn refuse_name(name: &str) {
    if let Some(why) = name_fault(name) {
        ereport!(
            ERROR,
            PgSqlErrorCode::ERRCODE_INVALID_NAME,
            format!(
                "\"{}\" cannot be the name of a role here: {why}",
                Printable::new(name)
            )
        );
    }
    // In another encoding, the statement would be for a role that no token can name.
    if !name.is_ascii() && !is_utf8_database() {
        ereport!(
            ERROR,
            PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
            "names that are not ASCII need a database whose encoding is UTF8"
        );
    }
}
