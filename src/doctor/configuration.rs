//! What the doctor reads of the server's configuration: the files as they are now, through PostgreSQL's own views.

use std::ffi::CString;
use std::net::IpAddr;
use std::path::Path;

use oauth_core::Misconfigured;
use pgrx::pg_sys::panic::ErrorReportable;
use pgrx::prelude::*;
use pgrx::spi::{SpiHeapTupleData, SpiResult};

use crate::doctor::finding::Place;
use crate::hba::HbaLine;
use crate::hba_options::{self, LineOptions};

/// One rule of pg_hba.conf and the files that it includes.
pub struct HbaRule {
    pub place: Place,
    /// `local`, `host`, `hostssl` … Empty if the line can not be read.
    pub kind: String,
    address: String,
    method: String,
    /// Each is `name=value`.
    options: Vec<String>,
    /// The superusers that may log in and that its column of roles lets in.
    pub superusers: Vec<String>,
    /// What PostgreSQL says is wrong with it.
    pub error: Option<String>,
}

impl HbaRule {
    /// What a login through this line would go by; `None` if the line is not for this module.
    pub fn oauth_line(&self) -> Option<HbaLine> {
        let is_ours =
            self.method == "oauth" && self.option("validator").is_some_and(is_this_module);
        is_ours.then(|| HbaLine {
            issuer: self.option("issuer").unwrap_or_default().to_owned(),
            scope: self.option("scope").unwrap_or_default().to_owned(),
            delegated: self.option("delegate_ident_mapping") == Some("true"),
            mapped: self.option("map").is_some_and(|map| !map.is_empty()),
        })
    }

    /// What the line says of settings.
    ///
    /// Errors: a value is not valid, or a name is that of no setting, which PostgreSQL notices at a login only.
    pub fn line_options(&self) -> Result<LineOptions, Misconfigured> {
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
            if !hba_options::names().any(|known| known == name) {
                return Err(options.invalid(name, "a line can have no setting of this name"));
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

/// A setting of the module's in postgresql.conf, or a file that it includes, or by ALTER SYSTEM.
pub struct FileSetting {
    pub name: String,
    pub value: String,
    pub place: Place,
    /// PostgreSQL would not take it.
    pub is_refused: bool,
    /// There is a setting of this name.
    pub is_known: bool,
}

/// All that can be read without asking a provider.
pub struct Configuration {
    pub hba: Vec<HbaRule>,
    pub settings: Vec<FileSetting>,
    /// The names of the maps in pg_ident.conf.
    pub maps: Vec<String>,
    /// Maps, and superusers that a line of theirs can give somebody.
    mapped_superusers: Vec<(String, String)>,
    /// Lists, as they are in force.
    pub preload_libraries: String,
    pub oauth_libraries: String,
    /// Whether `ssl` is on.
    pub has_tls: bool,
    /// Whether clients are asked for certificates.
    pub asks_for_certificates: bool,
}

/// Begins a query that looks for superusers.
const SUPERUSERS: &str = "WITH RECURSIVE superuser (oid, name) AS \
     (SELECT oid, rolname::text FROM pg_authid WHERE rolsuper AND rolcanlogin), \
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

/// Reading the view checks each value, as a reload would. An entry that a later one replaces is not checked.
const SETTINGS: &str = "SELECT f.sourcefile, f.sourceline, lower(f.name), f.setting, f.error IS NOT NULL, s.name IS NOT NULL \
     FROM pg_file_settings f LEFT JOIN pg_settings s ON s.name = lower(f.name) \
     WHERE lower(f.name) ~ '^validator(_[^.]*)?[.]' ORDER BY f.seqno";

const MAPS: &str = "SELECT DISTINCT map_name FROM pg_ident_file_mappings WHERE error IS NULL";

const MAPPED_SUPERUSERS: &str = "SELECT DISTINCT f.map_name, s.name \
     FROM (SELECT map_name, pg_username AS item FROM pg_ident_file_mappings WHERE error IS NULL) f \
     JOIN superuser s ON names_superuser ORDER BY 1, 2";

const IN_FORCE: &str = "SELECT current_setting('shared_preload_libraries'), \
     current_setting('oauth_validator_libraries'), current_setting('ssl'), current_setting('ssl_ca_file')";

impl Configuration {
    /// Needs the rights of a superuser.
    pub fn read() -> Self {
        let in_force = rows(IN_FORCE, |row| {
            Ok((text(row, 1)?, text(row, 2)?, text(row, 3)?, text(row, 4)?))
        });
        let (preload_libraries, oauth_libraries, ssl, ssl_ca_file) =
            in_force.into_iter().next().unwrap_or_default();
        Configuration {
            hba: read_hba(),
            settings: rows(SETTINGS, |row| {
                Ok(FileSetting {
                    place: place(row)?,
                    name: text(row, 3)?,
                    value: text(row, 4)?,
                    is_refused: row.get(5)?.unwrap_or(false),
                    is_known: row.get(6)?.unwrap_or(false),
                })
            }),
            maps: rows(MAPS, |row| text(row, 1)),
            mapped_superusers: rows(&of_superusers(MAPPED_SUPERUSERS), |row| {
                Ok((text(row, 1)?, text(row, 2)?))
            }),
            preload_libraries,
            oauth_libraries,
            has_tls: ssl == "on",
            asks_for_certificates: ssl == "on" && !ssl_ca_file.is_empty(),
        }
    }

    /// Whether a line of this map can give somebody this superuser.
    pub fn map_gives(&self, map: &str, superuser: &str) -> bool {
        let mut pairs = self.mapped_superusers.iter();
        pairs.any(|(of, name)| of == map && name == superuser)
    }
}

/// A query about superusers, in full.
fn of_superusers(query: &str) -> String {
    let query = query.replace("names_superuser", NAMES_SUPERUSER);
    format!("{SUPERUSERS} {query}")
}

/// The rules of pg_hba.conf. Needs the rights of a superuser.
pub fn read_hba() -> Vec<HbaRule> {
    let rules = rows(&of_superusers(HBA), |row| {
        Ok(HbaRule {
            place: place(row)?,
            kind: text(row, 3)?,
            address: text(row, 4)?,
            method: text(row, 5)?,
            options: row.get(6)?.unwrap_or_default(),
            error: row.get(7)?,
            superusers: row.get(8)?.unwrap_or_default(),
        })
    });
    #[cfg(feature = "pg19")]
    let rules = with_line_settings(rules);
    rules
}

/// PostgreSQL 19's view leaves out the settings on lines.
#[cfg(feature = "pg19")]
fn with_line_settings(mut rules: Vec<HbaRule>) -> Vec<HbaRule> {
    for (place, option) in crate::doctor::hba_file::line_settings() {
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

/// The rows of a query, each read by `read`. Raises PostgreSQL's error if it can not be run.
fn rows<T>(sql: &str, read: impl Fn(&SpiHeapTupleData) -> SpiResult<T>) -> Vec<T> {
    Spi::connect(|client| {
        let table = client.select(sql, None, &[])?;
        table.map(|row| read(&row)).collect::<SpiResult<Vec<T>>>()
    })
    .unwrap_or_report()
}

/// NULL is empty.
fn text(row: &SpiHeapTupleData, column: usize) -> SpiResult<String> {
    Ok(row.get(column)?.unwrap_or_default())
}

fn place(row: &SpiHeapTupleData) -> SpiResult<Place> {
    Ok(Place {
        file: text(row, 1)?,
        line: row.get(2)?.unwrap_or(0),
    })
}
