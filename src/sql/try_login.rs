//! `validator.try_login()`: what would happen if a role logged in with this token: which line of pg_hba.conf it matches,
//! the judgement on that line, and what PostgreSQL decides after it.

use std::net::IpAddr;

use oauth_core::Printable;
use pgrx::datum::Inet;
use pgrx::prelude::*;

use crate::postgres::auth_file::NamedRole;
use crate::postgres::hba::{FileLine, HbaLine};
use crate::postgres::hba_match::{Connection, Match, matching_lines};
use crate::postgres::query::rows_with;
use crate::postgres::text::argument;
use crate::settings::hba_rules::{HbaRule, read_hba};
use crate::sql::steps::{self, PROVISION, Step, judge_on_line};

/// No address: a client anywhere. `sql/` runs it with the rights of the superuser who made the extension, since it reads
/// pg_hba.conf. As with check_token, only issuers of that file are contacted.
#[allow(clippy::type_complexity)] // One column per line, as pgrx requires.
#[pg_extern(sql = false, volatile, parallel_unsafe)]
fn try_login(
    token: Option<&[u8]>,
    role: Option<&[u8]>,
    database: Option<&[u8]>,
    address: Option<Inet>,
    tls: Option<bool>,
) -> TableIterator<
    'static,
    (
        name!(step, i32),
        name!(name, &'static str),
        name!(passed, Option<bool>),
        name!(detail, String),
    ),
> {
    let (Some(token), Some(role), Some(database)) = (token, role, database) else {
        return TableIterator::empty();
    };
    let [token, role, database] = &[token, role, database].map(argument);
    let address = address.map(|address| match address.0.parse::<IpAddr>() {
        Ok(address) => address,
        Err(_) => error!("the address must be that of one client, not of a network"),
    });
    let connection = Connection {
        role: NamedRole::look_up(role),
        database,
        address,
        has_tls: tls.unwrap_or(true),
    };
    let steps = try_on_lines(token, role, &connection);
    TableIterator::new(steps::rows(token, steps))
}

fn try_on_lines(token: &str, role: &str, connection: &Connection<'_>) -> Vec<Step> {
    let rules = read_hba();
    let at = |place: &FileLine| rules.iter().find(|rule| rule.place == *place);
    let is_readable = |place: &FileLine| at(place).is_some_and(|rule| !rule.kind.is_empty());
    let found: Vec<(Match, &HbaRule)> = matching_lines(connection, is_readable)
        .into_iter()
        .filter_map(|found| at(&found.place).map(|rule| (found, rule)))
        .collect();
    let Some((number, line)) = find_ours(&found) else {
        return vec![("line", Some(false), told_no_line(&found, &rules))];
    };
    let (_, rule) = &found[number];
    let detail = told_line(&found, number) + &told_unread(&rules);
    let mut steps = vec![("line", Some(true), detail)];
    steps.extend(judge_on_line(token, role, rule, &line));
    let is_accepted = steps.iter().all(|(_, passed, _)| *passed != Some(false));
    if is_accepted {
        let may_be_made = steps.iter().any(|(name, ..)| *name == PROVISION);
        steps.push(connect(role, connection.database, may_be_made));
    }
    steps
}

/// The first of these lines that uses this module.
fn find_ours(found: &[(Match, &HbaRule)]) -> Option<(usize, HbaLine)> {
    let mut lines = found.iter().enumerate();
    lines.find_map(|(number, (_, rule))| Some((number, rule.token_line()?)))
}

fn told_line(found: &[(Match, &HbaRule)], number: usize) -> String {
    let mut told = String::new();
    for (position, (matched, rule)) in found.iter().enumerate() {
        let condition = |only_if: &Option<String>| match only_if {
            Some(condition) => format!(", if {condition}"),
            None => String::new(),
        };
        let (place, condition) = (&rule.place, condition(&matched.only_if));
        told += &match position.cmp(&number) {
            std::cmp::Ordering::Equal => {
                format!("line {} of {} decides{condition}", place.line, place.file)
            }
            std::cmp::Ordering::Less => format!(
                "line {} ({}) comes first{condition}; otherwise ",
                place.line, rule.method
            ),
            std::cmp::Ordering::Greater => format!(
                "; otherwise line {} ({}) does{condition}",
                place.line, rule.method
            ),
        };
    }
    told
}

fn told_no_line(found: &[(Match, &HbaRule)], rules: &[HbaRule]) -> String {
    let told = match found.last() {
        None => "no line of pg_hba.conf matches this role, database and address".to_owned(),
        Some((_, rule)) => {
            let place = &rule.place;
            let what = match rule.method.as_str() {
                "oauth" => "names another validator module",
                "reject" => "rejects the client",
                _ => "does not ask for a token",
            };
            format!(
                "line {} of {} matches first, and {what} ({}). PostgreSQL uses no later line: put the line for \
                 tokens above it, or let them differ in roles, databases or addresses.",
                place.line, place.file, rule.method
            )
        }
    };
    told + &told_unread(rules)
}

/// What PostgreSQL does if a line cannot be read: it keeps the rules that it has.
fn told_unread(rules: &[HbaRule]) -> String {
    match rules.iter().find(|rule| rule.error.is_some()) {
        None => String::new(),
        Some(rule) => format!(
            ". But line {} of {} cannot be read, so the server still uses the rules that it loaded before",
            rule.place.line, rule.place.file
        ),
    }
}

const CONNECT: &str = "SELECT r.rolcanlogin, d.datallowconn, has_database_privilege(r.oid, d.oid, 'CONNECT') \
     FROM (SELECT $1 AS role, $2 AS database) AS asked LEFT JOIN pg_roles r ON r.rolname = asked.role \
     LEFT JOIN pg_database d ON d.datname = asked.database";

/// What PostgreSQL checks of the role and the database, once all else has passed.
fn connect(role: &str, database: &str, may_be_made: bool) -> Step {
    let found = rows_with(CONNECT, &[role.into(), database.into()], |row| {
        Ok((
            row.get::<bool>(1)?,
            row.get::<bool>(2)?,
            row.get::<bool>(3)?,
        ))
    });
    let (can_login, allows, may_connect) = found.into_iter().next().unwrap_or_default();
    let (role, database) = (Printable::new(role), Printable::new(database));
    if can_login.is_none() && may_be_made {
        let detail = format!("the role {role} does not exist yet");
        return ("connect", None, detail);
    }
    let refusal = match (can_login, allows, may_connect) {
        (None, ..) => Some(format!("the role {role} does not exist")),
        (Some(false), ..) => Some(format!("the role {role} has not the attribute LOGIN")),
        (_, None, _) => Some(format!("the database {database} does not exist")),
        (_, Some(false), _) => Some(format!("the database {database} allows no connections")),
        (_, _, Some(true)) => None,
        _ => Some(format!(
            "the role {role} has no CONNECT privilege on the database {database}"
        )),
    };
    let passed = refusal.is_none();
    let detail = refusal
        .unwrap_or_else(|| format!("the role {role} may connect to the database {database}"));
    ("connect", Some(passed), detail)
}
