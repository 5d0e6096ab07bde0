//! `validator.check_token()`: what a login with this token would come to, and why, step by step.

use pgrx::prelude::*;

use crate::postgres::hba::HbaLine;
use crate::postgres::text::argument;
use crate::settings;
use crate::settings::hba_rules::{HbaRule, read_hba};
use crate::sql::steps::{judge_on_line, rows};

const NO_LINE: &str =
    "no line of pg_hba.conf that uses this module has this issuer, so no login can use its tokens";

/// The judgement on a token for a role, on the line of pg_hba.conf for this issuer, with this scope and mapping. Only
/// issuers that have a line are contacted, so a caller of the function cannot choose a URL. `sql/` runs it with
/// the rights of the superuser who made the extension, since it reads pg_hba.conf.
#[pg_extern(sql = false, volatile, parallel_unsafe)]
fn check_token(
    token: &[u8],
    issuer: &[u8],
    scope: &[u8],
    role: &[u8],
    delegate_ident_mapping: bool,
) -> TableIterator<
    'static,
    (
        name!(step, i32),
        name!(name, &'static str),
        name!(passed, Option<bool>),
        name!(detail, String),
    ),
> {
    let [token, issuer, scope, role] = [token, issuer, scope, role].map(argument);
    let steps = match find_line(&issuer, &scope, delegate_ident_mapping) {
        Some((rule, line)) => judge_on_line(&token, &role, &rule, &line),
        None => vec![("settings", Some(false), NO_LINE.to_owned())],
    };
    TableIterator::new(rows(&token, steps))
}

/// The line that is meant, with this scope and mapping: of those with this issuer the first that has them, or else the
/// first.
fn find_line(issuer: &str, scope: &str, delegated: bool) -> Option<(HbaRule, HbaLine)> {
    let name = settings::issuer_name(issuer);
    let lines = read_hba()
        .into_iter()
        .filter_map(|rule| rule.token_line().map(|line| (rule, line)))
        .filter(|(_, line)| settings::issuer_name(&line.issuer) == name);
    let differs =
        |(_, line): &(HbaRule, HbaLine)| line.scope != scope || line.delegated != delegated;
    // The first of those that are equal.
    let (rule, found) = lines.min_by_key(differs)?;
    let line = HbaLine {
        scope: scope.to_owned(),
        delegated,
        ..found
    };
    Some((rule, line))
}
