//! What the server knows of roles: pg_ident.conf and the catalog. Read while a backend authenticates, which is
//! inside a transaction, with access to the shared catalogs.

use std::collections::HashSet;
use std::ffi::CString;

use oauth_core::{Failure, Internal, Printable, Reject, RoleCatalog};
use pgrx::{pg_guard, pg_sys};

use crate::postgres::abi;
use crate::postgres::text::copied_lossy;

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
        let name = c_string(role)?;
        // SAFETY: a NUL-terminated string; a role that does not exist gives InvalidOid.
        let own = unsafe { pg_sys::get_role_oid(name.as_ptr(), true) };
        if own == pg_sys::InvalidOid {
            return Err(Reject::RoleUnknown.into());
        }
        // Whatever options a membership has: what is not inherited can be had by SET ROLE, and what ADMIN gives, one
        // can give oneself.
        let mut reachable = vec![own];
        let mut seen = HashSet::from([own]);
        let mut next = 0;
        while let Some(&role) = reachable.get(next) {
            next += 1;
            if let Some(power) = own_power(role) {
                return Ok(Some(power.described(role == own)));
            }
            reachable.extend(
                groups_of(role)
                    .into_iter()
                    .filter(|group| seen.insert(*group)),
            );
        }
        Ok(None)
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
    // SAFETY: AUTHOID is one of the caches that can be searched before a database is chosen, whether or not the file
    // of critical relations (global/pg_internal.init) is there; its entries are rows of pg_authid and stay valid until
    // they are released. Nothing in between raises an error.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(
            pg_sys::SysCacheIdentifier::AUTHOID as _,
            pg_sys::Datum::from(role),
        );
        let row = tuple.as_mut()?;
        let row = &*pg_sys::GETSTRUCT(row).cast::<pg_sys::FormData_pg_authid>();
        let power = what_it_does(row).map(|does| Power {
            does,
            name: copied_lossy(row.rolname.data.as_ptr()),
        });
        pg_sys::ReleaseSysCache(tuple);
        power
    }
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
    // SAFETY: AUTHMEMMEMROLE is as AUTHOID above; the entries of the list are rows of pg_auth_members, and it stays
    // valid until it is released. Nothing in between raises an error.
    unsafe {
        let list = pg_sys::SearchSysCacheList(
            pg_sys::SysCacheIdentifier::AUTHMEMMEMROLE as _,
            1,
            pg_sys::Datum::from(member),
            pg_sys::Datum::null(),
            pg_sys::Datum::null(),
        );
        let length = usize::try_from((*list).n_members).unwrap_or(0);
        let groups = (*list).members.as_slice(length).iter().map(|entry| {
            let row = pg_sys::GETSTRUCT(&raw mut (**entry).tuple);
            (*row.cast::<pg_sys::FormData_pg_auth_members>()).roleid
        });
        let groups = groups.collect();
        pg_sys::ReleaseCatCacheList(list);
        groups
    }
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
