//! The rules of pg_hba.conf as the file has them now, through PostgreSQL's own view: for SQL, since a login knows its own.

use std::ffi::CString;
use std::net::IpAddr;
use std::path::Path;

use oauth_core::Misconfigured;
use pgrx::pg_sys;
use pgrx::spi::{SpiHeapTupleData, SpiResult};

use crate::postgres::hba::{FileLine, HbaLine, PamLine, pam_service};
use crate::postgres::pam_file::{PamFile, file_of};
use crate::postgres::query::{rows, text, text_or_null, texts};
use crate::postgres::role_catalog::HARMLESS_ROLES;
use crate::postgres::versions;
use crate::settings;
use crate::settings::line_options::{self, LineOptions};

/// One rule of pg_hba.conf and the files that it includes.
pub struct HbaRule {
    pub place: FileLine,
    /// `local`, `host`, `hostssl` … Empty if the line cannot be read.
    pub kind: String,
    address: String,
    pub method: String,
    /// Each is `name=value`.
    options: Vec<String>,
    /// The superusers and other powerful roles that may log in and that its column of roles lets in.
    pub superusers: Vec<String>,
    /// PostgreSQL's error for it.
    pub error: Option<String>,
}

impl HbaRule {
    /// What a login by a token through this line would go by; `None` if the line is not for this module, or it is for
    /// passwords and nothing says what a token is judged by.
    pub fn token_line(&self) -> Option<HbaLine> {
        match self.takes_passwords() {
            true => Some(settings::line_of_service(&self.pam_line()).ok()?.0),
            false => self.oauth_line(),
        }
    }

    /// The line as a login would see it, where its method is `pam`.
    pub fn pam_line(&self) -> PamLine {
        PamLine {
            number: self.place.line,
            service: pam_service(self.option("pamservice").unwrap_or_default()),
        }
    }

    /// Whether tokens come as passwords through this line, by its PAM service's file, or since a profile has its name.
    pub fn takes_passwords(&self) -> bool {
        let PamLine { service, .. } = self.pam_line();
        let has_profile = || {
            let profiles = settings::profile_issuers().unwrap_or_default();
            profiles.iter().any(|(name, _)| *name == service)
        };
        self.method == "pam" && (has_profile() || matches!(file_of(&service), PamFile::WithModule))
    }

    fn oauth_line(&self) -> Option<HbaLine> {
        let is_ours =
            self.method == "oauth" && self.option("validator").is_some_and(is_this_module);
        is_ours.then(|| HbaLine {
            number: self.place.line,
            issuer: self.option("issuer").unwrap_or_default().to_owned(),
            scope: self.option("scope").unwrap_or_default().to_owned(),
            delegated: self.option("delegate_ident_mapping") == Some("true"),
            mapped: self.option("map").is_some_and(|map| !map.is_empty()),
            identity_rule: None,
        })
    }

    /// The settings of the line.
    ///
    /// Errors: a value is not valid, or a name is that of no setting, which PostgreSQL notices at a login only.
    pub fn line_options(&self) -> Result<LineOptions, Misconfigured> {
        if self.method == "pam" {
            return settings::line_of_service(&self.pam_line()).map(|(_, options)| options);
        }
        let place = format!("line {} of {}", self.place.line, self.place.file);
        let options = LineOptions::collect(place, |name| {
            let value = self.option(&format!("validator.{name}"))?;
            CString::new(value).ok()
        })?;
        let names = self.options.iter().filter_map(|option| {
            let (name, _) = option.strip_prefix("validator.")?.split_once('=')?;
            Some(name)
        });
        for name in names {
            if !line_options::names().any(|known| known == name) {
                return Err(options.invalid(name, "lines cannot have a setting with this name"));
            }
        }
        Ok(options)
    }

    pub fn option(&self, name: &str) -> Option<&str> {
        self.options
            .iter()
            .find_map(|option| option.strip_prefix(name)?.strip_prefix('='))
    }

    /// Whether only clients on this machine match.
    pub fn is_loopback(&self) -> bool {
        self.address == "localhost"
            || self
                .address
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }
}

/// Whether a library's name, which may have a folder and an extension, is this module's.
pub fn is_this_module(library: &str) -> bool {
    Path::new(library)
        .file_stem()
        .is_some_and(|name| name == "validator")
}

/// Begins a query that looks for superusers and other roles with power over the whole server, their own or that of a
/// role that they are a member of (`what_it_does` in role_catalog.rs).
const SUPERUSERS: &str = "WITH RECURSIVE powerful (oid) AS (SELECT oid FROM pg_authid \
     WHERE rolsuper OR rolreplication OR rolbypassrls OR rolcreaterole \
     OR (oid < first_normal_oid AND oid <> ALL (ARRAY[harmless_roles]::oid[])) \
     UNION SELECT m.member FROM powerful p JOIN pg_auth_members m ON m.roleid = p.oid), \
     superuser (oid, name) AS \
     (SELECT oid, rolname::text FROM pg_authid JOIN powerful USING (oid) WHERE rolcanlogin), \
     membership (member, role) AS (SELECT oid, oid FROM superuser UNION \
     SELECT m.member, a.roleid FROM membership m JOIN pg_auth_members a ON a.member = m.role)";

/// Whether `item`, of a column of roles in pg_hba.conf or pg_ident.conf, stands for the superuser `s`. What is put in
/// place of \1 is unknown, and may be anything.
const NAMES_SUPERUSER: &str = "CASE WHEN item LIKE '/%' THEN s.name ~ substr(item, 2) \
     WHEN item LIKE '+%' THEN EXISTS (SELECT FROM membership m JOIN pg_authid r ON r.oid = m.role \
     WHERE m.member = s.oid AND r.rolname = substr(item, 2)) \
     WHEN strpos(item, '\\1') > 0 THEN starts_with(s.name, split_part(item, '\\1', 1)) \
     AND starts_with(reverse(s.name), reverse(split_part(item, '\\1', 2))) \
     ELSE item IN ('all', s.name) END";

const HBA: &str = "SELECT file_name, line_number, type, address, auth_method, coalesce(options, '{}'), error, \
     ARRAY(SELECT s.name FROM superuser s WHERE EXISTS (SELECT FROM unnest(user_name) AS item WHERE names_superuser) \
     ORDER BY 1) FROM pg_hba_file_rules ORDER BY rule_number NULLS LAST, file_name, line_number";

/// A query about superusers, in full.
pub fn of_superusers(query: &str) -> String {
    let query = query.replace("names_superuser", NAMES_SUPERUSER);
    let harmless = HARMLESS_ROLES.map(|oid| oid.to_string()).join(", ");
    let superusers = SUPERUSERS
        .replace("first_normal_oid", &pg_sys::FirstNormalObjectId.to_string())
        .replace("harmless_roles", &harmless);
    format!("{superusers} {query}")
}

/// The rules of pg_hba.conf. Needs the rights of a superuser.
pub fn read_hba() -> Vec<HbaRule> {
    let query = versions::query_of_lines(HBA, "hba_file");
    let rules = rows(&of_superusers(&query), |row| {
        Ok(HbaRule {
            place: place(row)?,
            kind: text(row, 3)?,
            address: text(row, 4)?,
            method: text(row, 5)?,
            options: texts(row, 6)?,
            error: text_or_null(row, 7)?,
            superusers: texts(row, 8)?,
        })
    });
    #[cfg(feature = "pg19")]
    let rules = with_line_settings(rules);
    rules
}

/// PostgreSQL 19's view leaves out the settings on lines.
#[cfg(feature = "pg19")]
fn with_line_settings(mut rules: Vec<HbaRule>) -> Vec<HbaRule> {
    for (place, option) in crate::postgres::auth_file::line_settings() {
        let here =
            |rule: &&mut HbaRule| rule.place.file == place.file && rule.place.line == place.line;
        if let Some(rule) = rules.iter_mut().find(here)
            && !rule.options.contains(&option)
        {
            rule.options.push(option);
        }
    }
    rules
}

/// The file and line of a row that begins with them.
pub fn place(row: &SpiHeapTupleData) -> SpiResult<FileLine> {
    Ok(FileLine {
        file: text(row, 1)?,
        line: row.get(2)?.unwrap_or(0),
    })
}
