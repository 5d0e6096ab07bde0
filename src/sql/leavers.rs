//! How roles are kept from logging in whose bearers have left, or use them no more; `sql/` declares it in schema
//! `validator`.

use std::collections::HashSet;
use std::ffi::{CStr, CString};

use pgrx::datum::Interval;
use pgrx::pg_sys::Oid;
use pgrx::pg_sys::panic::ErrorReportable;
use pgrx::prelude::*;

use crate::log::server_log;
use crate::memory;
use crate::postgres::query::{rows, rows_with, text};
use crate::postgres::role_rows::{is_in_recovery, role_oid_by_bytes, with_role};
use crate::postgres::subtransaction::alone;
use crate::postgres::text::{argument, lossy, shown_name};
use crate::postgres::time;
use crate::roles::{MARKER, Note};
use crate::sql::roles::managed_roles;

/// All managed roles but superusers, with the comment.
const MANAGED: &str = "SELECT r.oid, pg_catalog.shobj_description(r.oid, 'pg_authid') \
    FROM pg_catalog.pg_roles mark, pg_catalog.pg_roles r WHERE mark.rolname = $1 AND NOT r.rolsuper AND r.oid IN (\
        SELECT member FROM pg_catalog.pg_auth_members WHERE roleid = mark.oid \
        GROUP BY member HAVING NOT pg_catalog.bool_or(admin_option)) ORDER BY r.rolname";

/// Keeps the roles of a person from logging in: those that are managed, and whose comment says that they were created for
/// this identity of this issuer. `sql/` runs it with the rights of the superuser who made the extension, so it does nothing
/// else, and leaves superusers alone. The names of these roles, whether or not they could log in until now; NULL for one that
/// could not be disabled, if another one could.
#[pg_extern(sql = false, volatile, parallel_unsafe)]
fn disable_role(issuer: Option<&[u8]>, identity: Option<&[u8]>) -> Vec<Option<String>> {
    let (Some(issuer), Some(identity)) = (issuer.map(argument), identity.map(argument)) else {
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
    let own: Vec<Oid> = own.map(|(oid, _)| oid).collect();
    let (mut disabled, mut errors) = (Vec::new(), Vec::new());
    for role in &own {
        match alone(|| {
            share_lock_timeout(own.len());
            disable(*role)
        }) {
            Ok(done) => disabled.extend(done),
            Err(error) => errors.push((*role, error)),
        }
    }
    let failed = errors.len();
    if disabled.is_empty() {
        // All of them failed, and nothing was done that the error could undo.
        if let Some((_, error)) = errors.into_iter().next() {
            error.raise();
        }
        return Vec::new();
    }
    let (by, facts) = (
        "validator.disable_role",
        [
            ("issuer", Some(issuer.as_str())),
            ("identity", Some(identity.as_str())),
        ],
    );
    log_disabled(&disabled, by, &facts);
    for (role, error) in errors {
        let name = with_role(role, name_in).map(|name| shown_name(lossy(name.into_bytes())));
        let name = name.unwrap_or_else(|| role.to_u32().to_string());
        warning!("role \"{name}\" could not be disabled: {}", error.message);
    }
    let names = disabled.into_iter().map(|role| Some(shown_name(role.name)));
    names.chain(std::iter::repeat_n(None, failed)).collect()
}

/// Lets each of so many roles be waited for only so long that all of them have their share of lock_timeout: until the
/// subtransaction ends.
fn share_lock_timeout(roles: usize) {
    // SAFETY: a plain look at a setting, in the main thread.
    let millis = unsafe { pg_sys::LockTimeout };
    let roles = i32::try_from(roles).unwrap_or(i32::MAX);
    if millis <= 0 || roles < 2 {
        return;
    }
    let share = (millis / roles).max(1).to_string();
    let Ok(share) = CString::new(share) else {
        return;
    };
    // SAFETY: two NUL-terminated strings, which are copied; in a transaction, in the main thread. Like a SET of a function,
    // it ends with the (sub)transaction.
    unsafe {
        pg_sys::set_config_option(
            c"lock_timeout".as_ptr(),
            share.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
    }
}

/// The roles that may log in, and have no session.
const IDLE: &str = "SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolcanlogin \
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.usesysid = r.oid)";

struct Unused {
    oid: Oid,
    role: String,
    last_login: Option<TimestampWithTimeZone>,
    since: TimestampWithTimeZone,
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
        let mut disabled = Vec::new();
        unused.retain(|found| {
            let done = disable(found.oid);
            let is_there = done.is_some();
            disabled.extend(done);
            is_there
        });
        log_disabled(&disabled, "validator.disable_unused_roles", &[]);
    }
    let rows = unused.into_iter();
    TableIterator::new(rows.map(move |found| {
        (
            shown_name(found.role),
            found.last_login,
            !dry_run,
            Some(found.since),
        )
    }))
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
    // Before the last logins are read: whoever logs in and leaves in between is seen there.
    let idle = rows(IDLE, |row| Ok(row.get::<Oid>(1)?.unwrap_or(Oid::INVALID)));
    let idle: HashSet<Oid> = idle.into_iter().collect();
    let before = rows_with(
        "SELECT pg_catalog.now() - $1",
        &[unused_for.into()],
        |row| row.get::<TimestampWithTimeZone>(1),
    );
    let before = before.into_iter().flatten().map(pg_sys::TimestampTz::from);
    let before = before.max().unwrap_or(pg_sys::TimestampTz::MIN);
    let managed = managed_roles().into_iter();
    let mut unused: Vec<Unused> = managed
        .filter(|role| idle.contains(&role.oid))
        .filter_map(|role| {
            let last_login = role.last_login.and_then(time::timestamptz);
            let created_at = role.created_at().and_then(time::timestamptz);
            let times = [created_at, last_login.or(since)];
            let since = times
                .into_iter()
                .flatten()
                .max_by_key(|time| pg_sys::TimestampTz::from(*time))?;
            (pg_sys::TimestampTz::from(since) < before).then_some(Unused {
                oid: role.oid,
                role: role.name,
                last_login,
                since,
            })
        })
        .collect();
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

/// A role that cannot log in any more.
struct Disabled {
    name: String,
    could_log_in: bool,
}

/// Keeps a role from logging in. `None`: it does not exist any more.
fn disable(role: Oid) -> Option<Disabled> {
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
    let (name, could_log_in) = with_role(role, |row| (name_in(row), row.rolcanlogin))?;
    if could_log_in {
        run(&no_login(&name));
        // The statement names the role, and names can be given to others.
        if role_oid_by_bytes(&name) != Some(role) {
            ereport!(
                ERROR,
                PgSqlErrorCode::ERRCODE_OBJECT_IN_USE,
                "a role was renamed at the same time"
            );
        }
    }
    Some(Disabled {
        name: lossy(name.into_bytes()),
        could_log_in,
    })
}

/// In the encoding of the database where it was created.
fn name_in(row: &pg_sys::FormData_pg_authid) -> CString {
    // SAFETY: a NUL-terminated name.
    unsafe { CStr::from_ptr(row.rolname.data.as_ptr()) }.to_owned()
}

/// The statement, with the name as it is, whether or not that is valid in this database: PostgreSQL compares bytes.
fn no_login(name: &CStr) -> CString {
    // SAFETY: a NUL-terminated string; the result is one, too, in the current memory context.
    let quoted = unsafe { CStr::from_ptr(pg_sys::quote_identifier(name.as_ptr())) };
    let statement = [b"ALTER ROLE ", quoted.to_bytes(), b" NOLOGIN"].concat();
    CString::new(statement).unwrap_or_default()
}

fn run(statement: &CStr) {
    Spi::connect_mut(|client| client.update(statement, None, &[]).map(drop)).unwrap_or_report();
}

/// Logs what was done, once nothing of the call can fail any more.
fn log_disabled(disabled: &[Disabled], by: &str, facts: &[(&str, Option<&str>)]) {
    for role in disabled.iter().filter(|role| role.could_log_in) {
        let facts: Vec<_> = facts
            .iter()
            .copied()
            .chain([("role", Some(role.name.as_str()))])
            .collect();
        let message = format!("{by} disabled a role");
        server_log::log(message, Some(server_log::facts(&facts)), None);
    }
}
