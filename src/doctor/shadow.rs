//! Lines of pg_hba.conf that come too late: PostgreSQL uses the first line that matches, and no other.

use oauth_core::{Issuer, Printable};

use crate::doctor::configuration::Configuration;
use crate::doctor::finding::{self, Finding};
use crate::doctor::line::LineSettings;
use crate::postgres::hba::FileLine;
use crate::postgres::hba_cover::{Reach, Taken};
use crate::settings::hba_rules::HbaRule;

/// What earlier lines leave of this one.
pub fn examine(
    line: &LineSettings<'_>,
    reach: &Reach,
    configuration: &Configuration,
) -> Option<Finding> {
    if let Some(by) = &reach.covered_by {
        return Some(finding::SHADOWED.with(format!(
            "{} matches every connection that this line would match, so PostgreSQL never uses this one.",
            told(by, configuration)
        )));
    }
    // Roles that logins create are not among those that can log in yet.
    let has_new = line.creates_roles() && !reach.new_roles.is_empty();
    if reach.roles.is_empty() && !has_new {
        return Some(finding::NO_ROLE.with(
            "No role that can log in is among the roles of the line, so no connection matches it.",
        ));
    }
    let taken_by = |role: &String| reach.taken.iter().any(|taken| taken.roles.contains(role));
    if reach.roles.iter().all(taken_by) && !has_new {
        let lines: Vec<String> = reach
            .taken
            .iter()
            .map(|taken| told(&taken.by, configuration))
            .collect();
        return Some(finding::SHADOWED.with(format!(
            "Each role that can log in and that the line admits ({}) matches an earlier line first: {}. PostgreSQL never uses this one.",
            list(&reach.roles),
            lines.join("; ")
        )));
    }
    let mut taken = reach.taken.iter();
    let taken = taken.find(|taken| {
        !taken.by_membership.is_empty() && is_of_another(line, taken, configuration)
    })?;
    Some(finding::SHADOWED_BY_MEMBERSHIP.with(format!(
        "{} matches first for roles that are members of its group, and that this line admits as well: {}. PostgreSQL does not use this line for them.",
        told(&taken.by, configuration),
        list(&taken.by_membership)
    )))
}

/// Whether tokens for this line are useless on the one that takes its roles.
fn is_of_another(line: &LineSettings<'_>, taken: &Taken, configuration: &Configuration) -> bool {
    let issuer = rule_at(&taken.by, configuration)
        .and_then(HbaRule::token_line)
        .and_then(|other| Issuer::parse_allowing(&other.issuer, true).ok());
    let own = line.issuer.as_ref().map(Issuer::identifier);
    issuer.as_ref().map(Issuer::identifier) != own
}

fn rule_at<'a>(place: &FileLine, configuration: &'a Configuration) -> Option<&'a HbaRule> {
    let mut rules = configuration.hba.iter();
    rules.find(|rule| rule.place == *place)
}

/// A line with its method.
fn told(place: &FileLine, configuration: &Configuration) -> String {
    let method = rule_at(place, configuration).map_or("", |rule| rule.method.as_str());
    format!("Line {} of {} ({method})", place.line, place.file)
}

fn list(roles: &[String]) -> Printable {
    Printable::list(roles.iter().map(String::as_str))
}
