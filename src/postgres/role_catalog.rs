//! What the server knows of roles: pg_ident.conf and the catalog. Read while a backend authenticates, which is
//! inside a transaction, with access to the shared catalogs.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::CString;

use oauth_core::{Failure, Internal, Printable, Reject, RoleCatalog};
use pgrx::{check_for_interrupts, pg_guard, pg_sys};

use crate::postgres::role_rows::{memberships_of, see_changes, with_role, with_role_named};
use crate::postgres::text::copied_lossy;
use crate::postgres::{abi, hba, versions};

/// This server.
pub struct ServerCatalog;

/// Of PostgreSQL's own roles, those that let their members neither see nor touch what others own: they show statistics
/// and settings. All others count as power over the server, and so do those that later versions bring.
pub const HARMLESS_ROLES: [u32; 5] = [
    pg_sys::ROLE_PG_DATABASE_OWNER,
    pg_sys::ROLE_PG_MONITOR,
    pg_sys::ROLE_PG_READ_ALL_SETTINGS,
    pg_sys::ROLE_PG_READ_ALL_STATS,
    pg_sys::ROLE_PG_STAT_SCAN_TABLES,
];

impl RoleCatalog for ServerCatalog {
    fn map_allows(&self, map: &str, value: &str, role: &str) -> Result<bool, Failure> {
        // Asked for each value of a token, and each time through all lines of the map: a command or the time limit of
        // the authentication must end that. A caller lets such an error through: see containment.rs.
        check_for_interrupts!();
        let (map, value, role) = (c_string(map)?, c_string(value)?, c_string(role)?);
        let _quiet = HeldBackLog::begin();
        // SAFETY: NUL-terminated strings.
        let status = unsafe {
            abi::guarded(|| abi::check_usermap(map.as_ptr(), role.as_ptr(), value.as_ptr(), false))
        };
        // STATUS_OK; anything else means no match, or an invalid rule.
        Ok(status == 0)
    }

    fn server_wide_power(&self, role: &str) -> Result<Option<Printable>, Failure> {
        // The line was matched before the client had sent its token, by rows that may have changed since.
        see_changes();
        // By its name, as PostgreSQL itself looks for it after the login: any other search would cost as much again.
        let found = with_role_named(role, |row| (row.oid, power_in(row)));
        let (own, power) = found.ok_or(Reject::RoleUnknown)?;
        let power = power.map(|power| power.described(true));
        Ok(power.or_else(|| power_by_groups(own)))
    }
}

/// Whether there is such a role, by the one cache of names that can be searched before a database is chosen.
pub fn role_exists(name: &str) -> bool {
    // A name with a NUL is no role's.
    let oid = CString::new(name).map(|name| {
        // SAFETY: a NUL-terminated string; a role that does not exist gives InvalidOid.
        unsafe { pg_sys::get_role_oid(name.as_ptr(), true) }
    });
    oid.is_ok_and(|oid| oid != pg_sys::InvalidOid)
}

/// The power over the whole server that a role has, or can reach, as the end of a sentence that begins with "The role".
pub fn power_of(own: pg_sys::Oid) -> Option<Printable> {
    power_by_itself(own).or_else(|| power_by_groups(own))
}

/// The power that a role can reach by its memberships, in the same form.
fn power_by_groups(own: pg_sys::Oid) -> Option<Printable> {
    // Whatever options a membership has: what is not inherited can be had by SET ROLE, and what ADMIN gives, one
    // can give oneself.
    let mut reachable = VecDeque::from(groups_of(own));
    // Not by hashes, for which a process would have to ask the kernel for a random number.
    let mut seen = BTreeSet::from([own.to_u32()]);
    while let Some(role) = reachable.pop_front() {
        if !seen.insert(role.to_u32()) {
            continue;
        }
        if let Some(power) = own_power(role) {
            return Some(power.described(false));
        }
        reachable.extend(groups_of(role));
    }
    None
}

/// The power of a role by its own attributes alone, in the same form.
pub fn power_by_itself(role: pg_sys::Oid) -> Option<Printable> {
    own_power(role).map(|power| power.described(true))
}

/// What makes a role powerful, and what the role is called.
struct Power {
    /// What it does, for a sentence.
    does: &'static str,
    name: String,
}

impl Power {
    fn described(&self, is_own: bool) -> Printable {
        let (name, does) = (&self.name, self.does);
        Printable::new(&match (is_own, does) {
            (true, does) => does.to_owned(),
            (false, "") => format!("is a member of {name}"),
            (false, does) => format!("is a member of {name}, which {does}"),
        })
    }
}

/// The power of a role by itself. One that was dropped a moment ago has none.
fn own_power(role: pg_sys::Oid) -> Option<Power> {
    with_role(role, power_in).flatten()
}

fn power_in(row: &pg_sys::FormData_pg_authid) -> Option<Power> {
    what_it_does(row).map(|does| Power {
        does,
        // SAFETY: a NUL-terminated name.
        name: unsafe { copied_lossy(row.rolname.data.as_ptr()) },
    })
}

/// A role that creates databases has power over those alone.
fn what_it_does(role: &pg_sys::FormData_pg_authid) -> Option<&'static str> {
    let oid = role.oid.to_u32();
    let is_predefined = oid < pg_sys::FirstNormalObjectId;
    [
        (role.rolsuper, "is a superuser"),
        (role.rolreplication, "may replicate"),
        (role.rolbypassrls, "bypasses row-level security"),
        (role.rolcreaterole, "may create roles"),
        (is_predefined && !HARMLESS_ROLES.contains(&oid), ""),
    ]
    .into_iter()
    .find_map(|(holds, does)| holds.then_some(does))
}

/// The roles that a role is a direct member of, with any option, some of them perhaps twice.
fn groups_of(member: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    let memberships = memberships_of(member).into_iter();
    memberships.map(|membership| membership.group).collect()
}

/// Whether PostgreSQL will let this identity take the role: by the map of the line that this connection matched, or since
/// they are equal. Under delegate_ident_mapping, where PostgreSQL does not ask, they must be equal.
pub fn identity_may_take(role: &str, identity: &str) -> Result<bool, Failure> {
    // SAFETY: as in `hba::matched_line`: called while the backend authenticates.
    let line = hba::port().and_then(|port| unsafe { port.hba.as_ref() });
    let Some(line) = line else {
        return Ok(false);
    };
    // SAFETY: null, or a NUL-terminated string; PostgreSQL treats an empty name as unset.
    let has_map = !line.usermap.is_null() && unsafe { *line.usermap } != 0;
    if versions::is_delegated(line) || !has_map {
        return Ok(role == identity);
    }
    let (role, identity) = (c_string(role)?, c_string(identity)?);
    let _quiet = HeldBackLog::begin();
    // SAFETY: NUL-terminated strings; the line stays unchanged during the authentication.
    let status = unsafe {
        abi::guarded(|| abi::check_usermap(line.usermap, role.as_ptr(), identity.as_ptr(), false))
    };
    Ok(status == 0)
}

/// check_usermap logs a line for each value that does not match. While this lives, such lines are held back: a
/// refusal names all values in one line of this module.
struct HeldBackLog {
    previous: pg_sys::emit_log_hook_type,
}

impl HeldBackLog {
    fn begin() -> Self {
        // SAFETY: the hook is a variable of this process, and set back when the guard is dropped.
        unsafe {
            let previous = pg_sys::emit_log_hook;
            pg_sys::emit_log_hook = Some(hold_back);
            HeldBackLog { previous }
        }
    }
}

impl Drop for HeldBackLog {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { pg_sys::emit_log_hook = self.previous };
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn hold_back(report: *mut pg_sys::ErrorData) {
    // SAFETY: PostgreSQL gives a report that the hook may change. Warnings and errors go on.
    if let Some(report) = unsafe { report.as_mut() }
        && report.elevel == pg_sys::LOG as i32
    {
        report.output_to_server = false;
    }
}

/// Text that came in a token or a setting: the core has refused control characters, so none has a NUL.
fn c_string(text: &str) -> Result<CString, Failure> {
    CString::new(text).map_err(|_| Internal(Printable::new("role name contains a NUL")).into())
}
