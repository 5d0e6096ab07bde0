//! What the doctor reads of the server's configuration: the files as they are now, through PostgreSQL's own views.

use crate::postgres::hba::FileLine;
use crate::postgres::query::{rows, text};
use crate::postgres::versions;
use crate::settings::hba_rules::{HbaRule, is_this_module, of_superusers, place, read_hba};

/// A setting of the module's in postgresql.conf, or a file that it includes, or by ALTER SYSTEM.
pub struct FileSetting {
    pub name: String,
    pub value: String,
    pub place: FileLine,
    /// PostgreSQL would not take it.
    pub is_refused: bool,
    /// There is a setting of this name.
    pub is_known: bool,
}

/// A line of pg_ident.conf.
pub struct IdentLine {
    pub map: String,
    /// A name, or a regular expression behind a slash.
    pub system_user: String,
    pub place: FileLine,
}

/// All that can be read without asking a provider.
pub struct Configuration {
    pub hba: Vec<HbaRule>,
    pub settings: Vec<FileSetting>,
    pub ident: Vec<IdentLine>,
    /// The names of the roles that can log in.
    pub login_roles: Vec<String>,
    /// Maps, and the superusers that one of their lines can give.
    mapped_superusers: Vec<(String, String)>,
    /// Maps, a regular expression that matches everything, and the role, always the same, that it gives.
    catch_all_maps: Vec<(String, String, String)>,
    /// Lists, as they are in force.
    pub preload_libraries: String,
    pub oauth_libraries: String,
    /// Whether `ssl` is on.
    pub has_tls: bool,
    /// Whether clients are asked for certificates.
    pub asks_for_certificates: bool,
}

/// Reading the view checks each value, as a reload would. An entry that a later one replaces is not checked.
const SETTINGS: &str = "SELECT f.sourcefile, f.sourceline, lower(f.name), f.setting, f.error IS NOT NULL, s.name IS NOT NULL \
     FROM pg_file_settings f LEFT JOIN pg_settings s ON s.name = lower(f.name) \
     WHERE lower(f.name) ~ '^validator(_[^.]*)?[.]' ORDER BY f.seqno";

const IDENT: &str = "SELECT file_name, line_number, map_name, sys_name FROM pg_ident_file_mappings \
     WHERE error IS NULL ORDER BY map_number";

const LOGIN_ROLES: &str = "SELECT rolname::text FROM pg_roles WHERE rolcanlogin ORDER BY 1";

const MAPPED_SUPERUSERS: &str = "SELECT DISTINCT f.map_name, s.name \
     FROM (SELECT map_name, pg_username AS item FROM pg_ident_file_mappings WHERE error IS NULL) f \
     JOIN superuser s ON names_superuser ORDER BY 1, 2";

/// What no expression matches by chance: identities of every shape that providers give.
const CATCH_ALL_MAPS: &str = "SELECT map_name, sys_name, pg_username FROM pg_ident_file_mappings \
     WHERE error IS NULL AND sys_name LIKE '/%' AND strpos(pg_username, '\\1') = 0 AND NOT EXISTS (SELECT FROM unnest( \
     ARRAY['q', 'Zoe.Q-7_x@sub.example.org', '0f8fad5b-d9cb-469f-a165-70867728950e', 'CORP\\zoe q', '42', \
     'system:serviceaccount:q:z', 'spiffe://q.example/z?#', 'repo:q/z:ref:refs/heads/main', 'CiRk+/=']) AS identity \
     WHERE identity !~ substr(sys_name, 2)) ORDER BY map_number";

const IN_FORCE: &str = "SELECT current_setting('shared_preload_libraries'), \
     current_setting('oauth_validator_libraries', true), current_setting('ssl'), current_setting('ssl_ca_file')";

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
            ident: rows(&versions::query_of_lines(IDENT, "ident_file"), |row| {
                Ok(IdentLine {
                    place: place(row)?,
                    map: text(row, 3)?,
                    system_user: text(row, 4)?,
                })
            }),
            login_roles: rows(LOGIN_ROLES, |row| text(row, 1)),
            mapped_superusers: rows(&of_superusers(MAPPED_SUPERUSERS), |row| {
                Ok((text(row, 1)?, text(row, 2)?))
            }),
            catch_all_maps: rows(
                &versions::query_of_lines(CATCH_ALL_MAPS, "ident_file"),
                |row| Ok((text(row, 1)?, text(row, 2)?, text(row, 3)?)),
            ),
            preload_libraries,
            oauth_libraries,
            has_tls: ssl == "on",
            asks_for_certificates: ssl == "on" && !ssl_ca_file.is_empty(),
        }
    }

    /// Whether the module is loaded when the server starts.
    pub fn is_preloaded(&self) -> bool {
        lists_module(&self.preload_libraries)
    }

    /// The names of the maps in pg_ident.conf.
    pub fn maps(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.ident.iter().map(|line| line.map.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    pub fn has_map(&self, map: &str) -> bool {
        self.ident.iter().any(|line| line.map == map)
    }

    /// How many lines of pg_hba.conf use this map, whatever their method is.
    pub fn users_of(&self, map: &str) -> usize {
        let rules = self.hba.iter();
        rules.filter(|rule| rule.option("map") == Some(map)).count()
    }

    /// The regular expression of this map that matches everything, and the one role that it gives.
    pub fn catch_all_of(&self, map: &str) -> Option<(&str, &str)> {
        let mut lines = self.catch_all_maps.iter();
        let (_, expression, role) = lines.find(|(of, _, _)| of == map)?;
        Some((expression, role))
    }

    /// Whether a line of this map can give this superuser to an identity.
    pub fn map_gives(&self, map: &str, superuser: &str) -> bool {
        let mut pairs = self.mapped_superusers.iter();
        pairs.any(|(of, name)| of == map && name == superuser)
    }
}

/// Whether a list of libraries has this module.
pub fn lists_module(list: &str) -> bool {
    list.split(',')
        .map(|name| name.trim().trim_matches('"'))
        .any(is_this_module)
}
