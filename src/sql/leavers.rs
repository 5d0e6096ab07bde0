//! How roles are kept from logging in whose bearers have left, or use them no more; `sql/` declares it in schema
//! `validator`.

use pgrx::datum::Interval;
use pgrx::pg_sys::Oid;
use pgrx::pg_sys::panic::ErrorReportable;
use pgrx::prelude::*;

use crate::log::server_log;
use crate::memory;
use crate::postgres::query::{rows_with, text};
use crate::postgres::role_rows::{is_in_recovery, role_oid, role_row};
use crate::postgres::text::quoted;
use crate::postgres::time;
use crate::roles::{MARKER, Note};

/// All managed roles but superusers, with the comment.
const MANAGED: &str = "SELECT r.oid, pg_catalog.shobj_description(r.oid, 'pg_authid') \
    FROM pg_catalog.pg_roles mark, pg_catalog.pg_roles r WHERE mark.rolname = $1 AND NOT r.rolsuper AND r.oid IN (\
        SELECT member FROM pg_catalog.pg_auth_members WHERE roleid = mark.oid \
        GROUP BY member HAVING NOT pg_catalog.bool_or(admin_option)) ORDER BY r.rolname";

/// Keeps the roles of a person from logging in: those that are managed, and whose comment says that they were created for
/// this identity of this issuer. `sql/` runs it with the rights of the superuser who made the extension, so it does nothing
/// else, and leaves superusers alone. The names of these roles, whether or not they could log in until now.
#[pg_extern(sql = false, volatile, parallel_unsafe)]
fn disable_role(issuer: Option<&str>, identity: Option<&str>) -> Vec<String> {
    let (Some(issuer), Some(identity)) = (issuer, identity) else {
        ereport!(
            ERROR,
            PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            "issuer and identity must not be null"
        );
    };
    ensure_writable();
    let managed = rows_with(MANAGED, &[MARKER.into()], |row| {
        let oid: Oid = row.get(1)?.unwrap_or(Oid::INVALID);
        Ok((oid, text(row, 2)?))
    });
    let own = managed.into_iter().filter(|(_, comment)| {
        Note::read(comment).is_some_and(|note| note.issuer == issuer && note.identity == identity)
    });
    let (by, facts) = (
        "validator.disable_role",
        [("issuer", Some(issuer)), ("identity", Some(identity))],
    );
    own.filter_map(|(oid, _)| disable(oid, by, &facts))
        .collect()
}

/// The managed roles that may log in, and have neither a session nor a login since that long; $2 stands for a login that is
/// not known.
const UNUSED: &str = "SELECT oid, role, last_login_at, unused_since FROM (\
        SELECT r.oid, role, last_login_at, GREATEST(created_at, COALESCE(last_login_at, $2)) AS unused_since \
        FROM validator.list_provisioned_roles() JOIN pg_catalog.pg_roles r ON r.rolname = role WHERE r.rolcanlogin) AS managed \
    WHERE unused_since < pg_catalog.now() - $1 \
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.usesysid = managed.oid) ORDER BY 2";

struct Unused {
    oid: Oid,
    role: String,
    last_login: Option<TimestampWithTimeZone>,
    since: Option<TimestampWithTimeZone>,
}

/// Managed roles that have not logged in for that long; without `dry_run` they may not log in any more.
#[allow(clippy::type_complexity)] // One column per line, as pgrx requires.
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
        name!(unused_since, Option<TimestampWithTimeZone>),
    ),
> {
    ensure_writable();
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
    let mut unused = find_unused(unused_for);
    if !dry_run {
        unused.retain(|found| disable(found.oid, "validator.disable_unused_roles", &[]).is_some());
    }
    let rows = unused.into_iter();
    TableIterator::new(rows.map(move |found| (found.role, found.last_login, !dry_run, found.since)))
}

/// A role whose last login is not known counts as used when logins were last not noted or forgotten: at the end of the
/// server's start, for example, before which anyone may have logged in.
fn find_unused(unused_for: Interval) -> Vec<Unused> {
    let known = || {
        let logins = memory::last_logins()?;
        Some((logins, logins.known_since()?))
    };
    let Some((logins, known_since)) = known() else {
        ereport!(
            ERROR,
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "logins of managed roles are not noted",
            "The server was started without validator.provision_role, or without the module in shared_preload_libraries, or its worker \"validator roles\" has not begun."
        );
    };
    let since = time::timestamptz(known_since);
    let is_too_long = rows_with(
        "SELECT pg_catalog.now() - $1 <= $2",
        &[unused_for.into(), since.into()],
        |row| Ok(row.get::<bool>(1)?.unwrap_or(true)),
    );
    if is_too_long != [false] {
        notice!(
            "logins are known since {} only: roles whose last login is not known are left alone",
            time::describe(known_since)
        );
    }
    let mut unused = rows_with(UNUSED, &[unused_for.into(), since.into()], |row| {
        Ok(Unused {
            oid: row.get(1)?.unwrap_or(Oid::INVALID),
            role: text(row, 2)?,
            last_login: row.get(3)?,
            since: row.get(4)?,
        })
    });
    // A login was forgotten since: whose is not known.
    if logins.known_since() != Some(known_since) {
        unused.retain(|found| found.last_login.is_some());
    }
    unused
}

fn ensure_writable() {
    if is_in_recovery() {
        ereport!(
            ERROR,
            PgSqlErrorCode::ERRCODE_READ_ONLY_SQL_TRANSACTION,
            "a standby cannot disable roles",
            "Call the function on the primary."
        );
    }
}

/// Keeps a role from logging in, and logs that. Its name; `None`: it does not exist any more.
fn disable(role: Oid, by: &str, facts: &[(&str, Option<&str>)]) -> Option<String> {
    // SAFETY: called in a transaction, in the main thread. Who else is about to do the same waits, so that neither fails;
    // what the other one has done is seen then.
    unsafe {
        pg_sys::LockSharedObject(
            pg_sys::AuthIdRelationId,
            role,
            0,
            pg_sys::ShareUpdateExclusiveLock as _,
        );
    }
    let row = role_row(role)?;
    if row.may_log_in {
        Spi::run(&format!("ALTER ROLE {} NOLOGIN", quoted(&row.name))).unwrap_or_report();
        // The statement names the role, and names can be given to others.
        if role_oid(&row.name) != Some(role) {
            ereport!(
                ERROR,
                PgSqlErrorCode::ERRCODE_OBJECT_IN_USE,
                "a role was renamed at the same time"
            );
        }
        let facts: Vec<_> = facts
            .iter()
            .copied()
            .chain([("role", Some(row.name.as_str()))])
            .collect();
        let message = format!("{by} disabled a role");
        server_log::log(message, Some(server_log::facts(&facts)), None);
    }
    Some(row.name)
}
