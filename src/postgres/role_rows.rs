//! Rows of the catalogs of roles and memberships, as they can be read before a database is chosen.
//!
//! Only the caches AUTHNAME, AUTHOID and AUTHMEMMEMROLE can be searched then, whether or not the file of critical relations
//! (global/pg_internal.init) is there (IndexScanOK of catcache.c). Any other one, and any other catalog, ends the backend
//! with an error whose text the client receives.

use std::ffi::{CStr, CString};

use pgrx::pg_sys;

use crate::postgres::text::copied;

/// A role.
pub struct RoleRow {
    pub oid: pg_sys::Oid,
    pub name: String,
    pub may_log_in: bool,
    pub is_superuser: bool,
}

/// A membership of a role in a group.
#[derive(Clone, Copy)]
pub struct Membership {
    pub group: pg_sys::Oid,
    pub grantor: pg_sys::Oid,
    pub admin: bool,
    pub inherit: bool,
    pub set: bool,
}

/// The number of a role. `None`: it does not exist, or no role can have this name.
pub fn role_oid(name: &str) -> Option<pg_sys::Oid> {
    role_oid_by_bytes(&CString::new(name).ok()?)
}

/// The same for a name in any encoding, or none.
pub fn role_oid_by_bytes(name: &CStr) -> Option<pg_sys::Oid> {
    // SAFETY: a NUL-terminated string; a role that does not exist gives InvalidOid.
    let oid = unsafe { pg_sys::get_role_oid(name.as_ptr(), true) };
    (oid != pg_sys::InvalidOid).then_some(oid)
}

/// What a role is. `None`: there is none with that number, perhaps since a moment ago; or its name is not UTF-8, so that it
/// cannot be written in a statement, and what could be written might be another role's.
pub fn role_row(oid: pg_sys::Oid) -> Option<RoleRow> {
    with_role(oid, |row| {
        Some(RoleRow {
            oid: row.oid,
            // SAFETY: a NUL-terminated name.
            name: unsafe { copied(row.rolname.data.as_ptr()) }?,
            may_log_in: row.rolcanlogin,
            is_superuser: row.rolsuper,
        })
    })
    .flatten()
}

/// Looks at the row of a role, and raises no error.
pub fn with_role<T>(
    oid: pg_sys::Oid,
    look: impl FnOnce(&pg_sys::FormData_pg_authid) -> T,
) -> Option<T> {
    let key = pg_sys::Datum::from(oid);
    // SAFETY: a number is AUTHOID's key.
    unsafe { with_row(pg_sys::SysCacheIdentifier::AUTHOID, key, look) }
}

/// The same by the role's name.
pub fn with_role_named<T>(
    name: &str,
    look: impl FnOnce(&pg_sys::FormData_pg_authid) -> T,
) -> Option<T> {
    let name = CString::new(name).ok()?;
    let key = pg_sys::Datum::from(name.as_ptr());
    // SAFETY: a NUL-terminated string, which is AUTHNAME's key, and lives until the search is over.
    unsafe { with_row(pg_sys::SysCacheIdentifier::AUTHNAME, key, look) }
}

/// # Safety
///
/// The cache must be AUTHNAME or AUTHOID, and the key one for it.
unsafe fn with_row<T>(
    cache: pg_sys::SysCacheIdentifier::Type,
    key: pg_sys::Datum,
    look: impl FnOnce(&pg_sys::FormData_pg_authid) -> T,
) -> Option<T> {
    // SAFETY: caches that can be searched before a database is chosen; their entries are rows of pg_authid and stay valid
    // until they are released.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(cache as _, key);
        let row = tuple.as_mut()?;
        let found = look(&*pg_sys::GETSTRUCT(row).cast::<pg_sys::FormData_pg_authid>());
        pg_sys::ReleaseSysCache(tuple);
        Some(found)
    }
}

/// The direct memberships of a role: one for each grantor.
pub fn memberships_of(member: pg_sys::Oid) -> Vec<Membership> {
    list(1, member, pg_sys::InvalidOid)
}

/// The direct memberships of a role in one group: one for each grantor.
pub fn memberships_in(member: pg_sys::Oid, group: pg_sys::Oid) -> Vec<Membership> {
    list(2, member, group)
}

fn list(keys: i32, member: pg_sys::Oid, group: pg_sys::Oid) -> Vec<Membership> {
    // SAFETY: AUTHMEMMEMROLE is one of the caches that can be searched before a database is chosen; the entries of the list
    // are rows of pg_auth_members, and it stays valid until it is released. Nothing in between raises an error.
    unsafe {
        let list = pg_sys::SearchSysCacheList(
            pg_sys::SysCacheIdentifier::AUTHMEMMEMROLE as _,
            keys,
            pg_sys::Datum::from(member),
            pg_sys::Datum::from(group),
            pg_sys::Datum::null(),
        );
        let length = usize::try_from((*list).n_members).unwrap_or(0);
        let rows = (*list).members.as_slice(length).iter().map(|entry| {
            let row = pg_sys::GETSTRUCT(&raw mut (**entry).tuple);
            let row = &*row.cast::<pg_sys::FormData_pg_auth_members>();
            let (inherit, set) = options(row);
            Membership {
                group: row.roleid,
                grantor: row.grantor,
                admin: row.admin_option,
                inherit,
                set,
            }
        });
        let rows = rows.collect();
        pg_sys::ReleaseCatCacheList(list);
        rows
    }
}

#[cfg(not(feature = "pg15"))]
fn options(row: &pg_sys::FormData_pg_auth_members) -> (bool, bool) {
    (row.inherit_option, row.set_option)
}

/// 15 has no options of a membership but ADMIN.
#[cfg(feature = "pg15")]
fn options(_row: &pg_sys::FormData_pg_auth_members) -> (bool, bool) {
    (true, true)
}

/// Makes this process see what others have committed until now.
pub fn see_changes() {
    // SAFETY: called in the main thread, in a transaction.
    unsafe { pg_sys::AcceptInvalidationMessages() };
}

/// Whether the server is a standby, or has not finished its recovery: nothing can be written.
pub fn is_in_recovery() -> bool {
    // SAFETY: may be called in every process with shared memory.
    unsafe { pg_sys::RecoveryInProgress() }
}
