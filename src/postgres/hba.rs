//! The line of pg_hba.conf that this connection matched.

use std::ffi::CStr;

use oauth_core::IdentityRule;
use pgrx::pg_sys;

use crate::postgres::abi;
#[cfg(oauth)]
use crate::postgres::text::copied;
use crate::postgres::text::copied_lossy;

/// What the matched line says about OAuth, copied: the line's memory is gone after authentication.
pub struct HbaLine {
    /// Its number in its file.
    #[cfg_attr(not(oauth), allow(dead_code))]
    // that of a line of the method `pam` is known before
    pub number: i32,
    /// `issuer`: an issuer's identifier or its well-known URI.
    pub issuer: String,
    /// `scope`: scopes, separated by spaces.
    pub scope: String,
    /// `delegate_ident_mapping`: the validator alone decides which identity may take which role.
    pub delegated: bool,
    /// `map`: pg_ident.conf says which identities may take which role. Otherwise the identity must equal the role.
    pub mapped: bool,
    /// How identity and role are compared where PostgreSQL does not do it after the judgement.
    pub identity_rule: Option<IdentityRule>,
}

impl HbaLine {
    /// The map from identities to roles for tokens that come as passwords.
    pub fn password_map(&self) -> Option<&str> {
        match &self.identity_rule {
            Some(IdentityRule::ByMap(map)) => Some(map),
            Some(IdentityRule::EqualsRole) | None => None,
        }
    }
}

/// What the matched line says where its method is `pam`.
pub struct PamLine {
    /// Its number in its file.
    pub number: i32,
    /// `pamservice`, or PostgreSQL's default for it, as libpam reads it.
    pub service: String,
}

/// libpam applies the file of this service to every other one that has no file or lacks a group of modules.
pub const FALLBACK_SERVICE: &str = "other";

/// The PAM service of an option `pamservice`, which may be empty: without folders and in lower case, as libpam takes it.
pub fn pam_service(option: &str) -> String {
    match option.rsplit('/').next() {
        // PostgreSQL's PGSQL_PAM_SERVICE.
        _ if option.is_empty() => "postgresql".to_owned(),
        // After a slash there must be a name, or there is no such file.
        None | Some("") => FALLBACK_SERVICE.to_owned(),
        Some(name) => name.to_ascii_lowercase(),
    }
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

/// The number of the line that this connection matched.
pub fn matched_number() -> Option<i32> {
    // SAFETY: as in `matched_line`.
    let line = unsafe { port()?.hba.as_ref()? };
    Some(line.linenumber)
}

/// The name in `map` of the line that this connection matched, if there is one.
pub fn matched_map() -> Option<String> {
    // SAFETY: as in `matched_line`; null, or a NUL-terminated string of a parsed line.
    let map = unsafe { copied_lossy(port()?.hba.as_ref()?.usermap) };
    (!map.is_empty()).then_some(map)
}

/// The line for tokens that this connection matched. `None` outside of authentication.
#[cfg(oauth)]
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
        identity_rule: None,
    })
}

/// Before 18 no line is for tokens only.
#[cfg(not(oauth))]
pub fn matched_line() -> Option<HbaLine> {
    None
}

/// The line that this connection matched, if its method is `pam` and the connection is being authenticated by it. Later,
/// PostgreSQL has given the line's memory back.
pub fn matched_pam_line() -> Option<PamLine> {
    // SAFETY: a plain variable of this process.
    if !unsafe { pg_sys::ClientAuthInProgress } {
        return None;
    }
    // SAFETY: null, or the matched line, which stays unchanged while the client authenticates.
    let line = unsafe { port()?.hba.as_ref()? };
    if line.auth_method != abi::UserAuth_uaPAM {
        return None;
    }
    // SAFETY: null, or a NUL-terminated string of pg_hba.conf's parsed lines.
    let option = unsafe { copied_lossy(line.pamservice) };
    Some(PamLine {
        number: line.linenumber,
        service: pam_service(&option),
    })
}

/// The role that the client requests. `None` outside of a connection.
pub fn requested_role() -> Option<&'static CStr> {
    let role = port()?.user_name;
    // SAFETY: null, or NUL-terminated and alive as long as the process.
    (!role.is_null()).then(|| unsafe { CStr::from_ptr(role) })
}
