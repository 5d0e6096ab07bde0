//! Logins that PostgreSQL refuses although the token was accepted: its own lines in the log name neither the maps that
//! there are nor what to do.

use oauth_core::{NearMiss, Printable, near_miss};

use crate::log::server_log;
use crate::memory::session_registry::NewSession;
use crate::postgres::hba;
use crate::postgres::ident_match::{Mapping, apply_map};
use crate::postgres::role_catalog::{ServerCatalog, role_exists};

/// Why PostgreSQL does not let an identity be a role.
pub struct MapRefusal {
    /// A code that stays the same.
    pub code: &'static str,
    /// The end of a message.
    pub why: String,
    /// Sentences about what to do.
    pub hint: String,
}

/// Logs why PostgreSQL has not admitted the identity, if it is because of the role. The client may be gone by other means.
pub fn log_refused(session: &NewSession, role: &str) {
    let line = hba::matched_line();
    if line.is_none_or(|line| line.delegated) {
        return;
    }
    let map = hba::matched_map();
    let identity = &session.identity;
    let refusal = match &map {
        None if identity == role => return,
        None => not_the_role(identity, role),
        Some(map) if server_allows(map, identity, role) => return,
        Some(map) => match apply(map, identity, role) {
            Err(refusal) => refusal,
            Ok(line) => not_loaded(line),
        },
    };
    log(session, role, map.as_deref(), &refusal);
}

/// Logs that there is no such role, which PostgreSQL finds out only now.
pub fn log_missing_role(session: &NewSession, role: &str) {
    if role_exists(role) {
        return;
    }
    let refusal = MapRefusal {
        code: "role_unknown",
        why: "the role does not exist".to_owned(),
        hint: "Create the role, or correct the name that the client requests. Names are compared with their case."
            .to_owned(),
    };
    log(session, role, hba::matched_map().as_deref(), &refusal);
}

fn log(session: &NewSession, role: &str, map: Option<&str>, refusal: &MapRefusal) {
    let line = hba::matched_number().map(|number| number.to_string());
    let message = format!(
        "OAuth login refused by PostgreSQL for user \"{}\": {}",
        Printable::new(role),
        refusal.why
    );
    let detail = server_log::facts(&[
        ("reason", Some(refusal.code)),
        ("hba_line", line.as_deref()),
        ("map", map),
        ("issuer", Some(&session.issuer)),
        ("client_id", session.client_id.as_deref()),
        ("jti", session.jti.as_deref()),
        ("identity", Some(&session.identity)),
    ]);
    server_log::log(message, Some(detail), Some(refusal.hint.clone()));
}

/// By the maps that the server has loaded.
fn server_allows(map: &str, identity: &str, role: &str) -> bool {
    use oauth_core::RoleCatalog as _;
    ServerCatalog
        .map_allows(map, identity, role)
        .unwrap_or(true)
}

/// The line of pg_ident.conf, as the file is now, by which a map gives the role.
///
/// Errors: none does.
pub fn apply(map: &str, identity: &str, role: &str) -> Result<i32, MapRefusal> {
    let (name, role_name) = (Printable::new(identity), Printable::new(role));
    let list = |names: &[String]| Printable::list(names.iter().map(String::as_str));
    let map_name = Printable::new(map);
    Err(match apply_map(map, identity, role) {
        Mapping::Allowed { line } => return Ok(line),
        Mapping::Denied { instead, others } => {
            let why = match instead.is_empty() {
                true => format!("no line of the map {map_name} in pg_ident.conf is for {name}"),
                false => format!(
                    "the map {map_name} in pg_ident.conf does not give {role_name} to {name}, but: {}",
                    list(&instead)
                ),
            };
            MapRefusal {
                code: "identity_not_mapped",
                why,
                hint: told_others(&others, identity, role),
            }
        }
        Mapping::NoSuchMap { known } => {
            let why = match known.is_empty() {
                true => format!("pg_ident.conf has no map {map_name}, and no other map"),
                false => format!("pg_ident.conf has no map {map_name}, only {}", list(&known)),
            };
            let near = known
                .iter()
                .find_map(|other| Some((other, near_miss(other, map)?)));
            let near = near.map_or_else(String::new, |(other, by)| {
                let other = Printable::new(other);
                format!("\"{other}\" differs only by {by}. ")
            });
            MapRefusal {
                code: "map_missing",
                why,
                hint: format!(
                    "{near}Name a map that there is in map= of the HBA line, or add lines to pg_ident.conf that begin with \
                        {map_name}, and reload. A line that cannot be read has no map (pg_ident_file_mappings)."
                ),
            }
        }
        Mapping::Broken { line } => MapRefusal {
            code: "map_broken",
            why: format!(
                "line {line} of pg_ident.conf cannot be applied: its regular expression has no group for \\1"
            ),
            hint: format!(
                "Put the part of line {line} that \\1 stands for in parentheses, and reload."
            ),
        },
    })
}

/// Lines that give the role to other names, and how near they are.
fn told_others(others: &[(i32, String)], identity: &str, role: &str) -> String {
    let (name, role_name) = (Printable::new(identity), Printable::new(role));
    let Some((line, other)) = others
        .iter()
        .find(|(_, other)| nearness(other, identity).is_some())
        .or(others.first())
    else {
        return format!(
            "No line of the map can give the role {role_name}. Add one for this identity, if it may have the role, and \
                reload."
        );
    };
    let other_name = Printable::new(other);
    let beginning = format!(
        "Line {line}, which can give the role, is for \"{other_name}\"; the identity is \"{name}\"."
    );
    match nearness(other, identity) {
        Some(difference) => format!("{beginning} {difference} Correct the line, and reload."),
        None => format!(
            "{beginning} Add a line for this identity, if it may have the role, and reload."
        ),
    }
}

/// How the name in a line differs from the identity, if not by much.
fn nearness(other: &str, identity: &str) -> Option<String> {
    if let Some(by) = near_miss(other, identity) {
        return Some(format!("They differ only by {by}."));
    }
    let prefix = identity.strip_suffix(other).filter(|_| !other.is_empty())?;
    Some(format!(
        "The identity begins with \"{}\", as validator.identity_prefix, or a prefix in validator.identity_claim, has it.",
        Printable::new(prefix)
    ))
}

/// On a line without a map.
pub fn not_the_role(identity: &str, role: &str) -> MapRefusal {
    let (name, role_name) = (Printable::new(identity), Printable::new(role));
    let line = format!(
        "map=NAME on the HBA line, and a line of pg_ident.conf: NAME \"{name}\" {role_name}"
    );
    let hint = match near_miss(identity, role) {
        Some(NearMiss::Case) => format!(
            "They differ only by capital letters. If the provider does not tell such names apart, set \
                validator.identity_case = 'lower'; otherwise use {line}."
        ),
        _ if identity.len() > role.len()
            && (identity.ends_with(role) || identity.starts_with(role)) =>
        {
            format!(
                "The identity has more than the role's name. If it may have the role, use {line}."
            )
        }
        _ => format!(
            "Have the client ask for the role of this name. If the identity may have this role, use {line}. Which claim is \
                the identity, validator.identity_claim says."
        ),
    };
    MapRefusal {
        code: "identity_not_role",
        why: format!(
            "the identity is {name}, the role {role_name}: on a line without map= they must be equal"
        ),
        hint,
    }
}

/// The file gives the role, and the server has not read it.
fn not_loaded(line: i32) -> MapRefusal {
    MapRefusal {
        code: "map_not_loaded",
        why: format!("line {line} of pg_ident.conf gives the role, but the server has not loaded it"),
        hint: "Reload the server (SELECT pg_reload_conf()). A line of pg_ident.conf that cannot be read keeps it from \
            loading any: see pg_ident_file_mappings."
            .to_owned(),
    }
}
