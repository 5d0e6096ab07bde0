//! What the server knows of roles: pg_ident.conf and the catalog. Read while a backend authenticates, which is
//! inside a transaction, with the shared catalogs at hand.

use std::ffi::CString;

use oauth_core::{Failure, Internal, Printable, RoleCatalog};
use pgrx::{pg_guard, pg_sys};

use crate::abi;

/// This server.
pub struct ServerCatalog;

/// Predefined roles whose members reach beyond what a database grants them.
const POWERFUL_ROLES: [(u32, &str); 5] = [
    (
        pg_sys::ROLE_PG_EXECUTE_SERVER_PROGRAM,
        "pg_execute_server_program",
    ),
    (pg_sys::ROLE_PG_WRITE_SERVER_FILES, "pg_write_server_files"),
    (pg_sys::ROLE_PG_READ_SERVER_FILES, "pg_read_server_files"),
    (pg_sys::ROLE_PG_WRITE_ALL_DATA, "pg_write_all_data"),
    (pg_sys::ROLE_PG_READ_ALL_DATA, "pg_read_all_data"),
];

impl RoleCatalog for ServerCatalog {
    fn map_allows(&self, map: &str, value: &str, role: &str) -> Result<bool, Failure> {
        let (map, value, role) = (c_string(map)?, c_string(value)?, c_string(role)?);
        let _quiet = HeldBackLog::begin();
        // SAFETY: NUL-terminated strings; an error of PostgreSQL's becomes an unwinding panic at this boundary.
        let status = unsafe {
            pg_sys::submodules::ffi::pg_guard_ffi_boundary(|| {
                abi::check_usermap(map.as_ptr(), role.as_ptr(), value.as_ptr(), false)
            })
        };
        // STATUS_OK; anything else is no match, or a rule that can not be read.
        Ok(status == 0)
    }

    fn server_wide_power(&self, role: &str) -> Result<Option<Printable>, Failure> {
        let name = c_string(role)?;
        // SAFETY: a NUL-terminated string; a role that does not exist gives InvalidOid.
        let role = unsafe { pg_sys::get_role_oid(name.as_ptr(), true) };
        if role == pg_sys::InvalidOid {
            // PostgreSQL refuses it later; until then nothing is known of it.
            return Ok(Some(Printable::new("unknown: there is no such role")));
        }
        // SAFETY: the role exists.
        if unsafe { pg_sys::superuser_arg(role) } {
            return Ok(Some(Printable::new("superuser")));
        }
        // SAFETY: as above.
        if unsafe { pg_sys::has_rolreplication(role) } {
            return Ok(Some(Printable::new("replication")));
        }
        for (powerful, name) in POWERFUL_ROLES {
            if is_member(role, pg_sys::Oid::from(powerful)) {
                return Ok(Some(Printable::new(&format!("member of {name}"))));
            }
        }
        if superusers()
            .into_iter()
            .any(|superuser| is_member(role, superuser))
        {
            return Ok(Some(Printable::new("member of a superuser role")));
        }
        Ok(None)
    }
}

fn is_member(member: pg_sys::Oid, role: pg_sys::Oid) -> bool {
    // SAFETY: reads the catalog of memberships.
    unsafe { pg_sys::is_member_of_role_nosuper(member, role) }
}

/// All roles that are superusers.
fn superusers() -> Vec<pg_sys::Oid> {
    let mut superusers = Vec::new();
    // SAFETY: pg_authid is a nailed shared catalog, readable before a database is chosen; scan and table are
    // closed below, or by PostgreSQL when an error ends the transaction. Rows of pg_authid have its layout.
    unsafe {
        let table = pg_sys::table_open(
            pg_sys::AuthIdRelationId,
            pg_sys::AccessShareLock as pg_sys::LOCKMODE,
        );
        let scan = pg_sys::systable_beginscan(
            table,
            pg_sys::InvalidOid,
            false,
            std::ptr::null_mut(),
            0,
            std::ptr::null_mut(),
        );
        loop {
            let tuple = pg_sys::systable_getnext(scan);
            if tuple.is_null() {
                break;
            }
            let row = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_authid>();
            if row.rolsuper {
                superusers.push(row.oid);
            }
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(table, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
    }
    superusers
}

/// check_usermap logs a line for each value that does not match. While this lives, such lines are held back: a
/// refusal names all values in one line of ours.
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
    CString::new(text).map_err(|_| Internal(Printable::new("a role's name has a NUL")).into())
}
