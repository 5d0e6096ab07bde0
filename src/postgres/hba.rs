//! The line of pg_hba.conf that this connection matched.

use pgrx::pg_sys;

use crate::postgres::abi;
use crate::postgres::text::copied;

/// What the matched line says about OAuth, copied: the line's memory is gone after authentication.
pub struct HbaLine {
    /// Its number in its file.
    pub number: i32,
    /// `issuer`: an issuer's identifier or its well-known URI.
    pub issuer: String,
    /// `scope`: scopes, separated by spaces.
    pub scope: String,
    /// `delegate_ident_mapping`: the validator alone decides which identity may take which role.
    pub delegated: bool,
    /// `map`: pg_ident.conf says which identities may take which role. Otherwise the identity must equal the role.
    pub mapped: bool,
}

/// A line of a configuration file.
#[derive(Clone, PartialEq)]
pub struct FileLine {
    pub file: String,
    pub line: i32,
}

/// The connection of this backend, as the server's headers lay it out.
pub fn port() -> Option<&'static abi::Port> {
    // SAFETY: MyProcPort is null or points to this backend's Port, which lives as long as the
    // process; abi::Port is generated from the headers of the server that we are loaded into.
    unsafe { pg_sys::MyProcPort.cast::<abi::Port>().as_ref() }
}

/// The line that this connection matched. `None` outside of authentication.
pub fn matched_line() -> Option<HbaLine> {
    // SAFETY: called from validate_cb only, while the backend authenticates: MyProcPort->hba is
    // the matched line and stays unchanged (src/backend/libpq/auth.c, ClientAuthentication).
    let line = unsafe { port()?.hba.as_ref()? };
    // SAFETY: null, or NUL-terminated strings of pg_hba.conf's parsed lines.
    let (issuer, scope) = unsafe { (copied(line.oauth_issuer), copied(line.oauth_scope)) };
    Some(HbaLine {
        number: line.linenumber,
        issuer: issuer?,
        scope: scope?,
        delegated: line.oauth_skip_usermap,
        // PostgreSQL treats an empty name as unset; a name that is not UTF-8 is still a name.
        // SAFETY: as above.
        mapped: !line.usermap.is_null() && unsafe { *line.usermap } != 0,
    })
}
