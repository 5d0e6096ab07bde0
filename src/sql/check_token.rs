//! `validator.check_token()`: what a login with this token would come to, and why, step by step.
//!
//! The steps are those of the judgement itself, with the same settings, keys and provider. Nothing that is shown has
//! the token in it.

use std::cell::Cell;

use oauth_core::{
    Bearer, Decision, Failure, LoginAttempt, Misconfigured, Policy, Printable, RoleCatalog,
    SystemClock, explain,
};
use pgrx::prelude::*;

use crate::log::refusal_log;
use crate::postgres::client_certificate::TlsPeer;
use crate::postgres::hba::HbaLine;
use crate::postgres::role_catalog::ServerCatalog;
use crate::postgres::text::storable;
use crate::provider::introspection::introspector;
use crate::settings;
use crate::settings::LoginSettings;
use crate::settings::hba_rules::{HbaRule, read_hba};

const NO_LINE: &str =
    "no line of pg_hba.conf that uses this module has this issuer, so no login can use its tokens";

type Step = (&'static str, Option<bool>, String);

/// The judgement on a token for a role, on the line of pg_hba.conf for this issuer, with this scope and mapping. Only
/// issuers that have a line are contacted, so a caller of the function cannot choose a URL. `sql/` runs it with
/// the rights of the superuser who made the extension, since it reads pg_hba.conf.
#[pg_extern(sql = false, volatile, parallel_unsafe)]
fn check_token(
    token: &str,
    issuer: &str,
    scope: &str,
    role: &str,
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
    let asked = HbaLine {
        issuer: issuer.to_owned(),
        scope: scope.to_owned(),
        delegated: delegate_ident_mapping,
        // A line with a map that gives the role of the same name may allow more.
        mapped: false,
    };
    let steps = match find_line(&asked).map(|found| read_settings(&found, asked)) {
        Some(Ok((line, settings))) => {
            let found = format!(
                "issuer {}",
                Printable::new(settings.policy.issuer().identifier())
            );
            let mut steps = vec![("settings", Some(true), found)];
            steps.extend(judge_in_steps(token, role, &line, &settings));
            steps
        }
        Some(Err(misconfigured)) => {
            vec![("settings", Some(false), told(&misconfigured.into(), None))]
        }
        None => vec![("settings", Some(false), NO_LINE.to_owned())],
    };
    let rows: Vec<_> = (1..)
        .zip(steps)
        .map(|(number, (name, passed, detail))| {
            (number, name, passed, storable(without(token, detail)))
        })
        .collect();
    TableIterator::new(rows)
}

/// The line that is meant: of those with this issuer the first that has this scope and mapping, or else the first.
fn find_line(asked: &HbaLine) -> Option<(HbaRule, HbaLine)> {
    let name = settings::issuer_name(&asked.issuer);
    let lines = read_hba()
        .into_iter()
        .filter_map(|rule| rule.oauth_line().map(|line| (rule, line)))
        .filter(|(_, line)| settings::issuer_name(&line.issuer) == name);
    let differs = |(_, line): &(HbaRule, HbaLine)| {
        line.scope != asked.scope || line.delegated != asked.delegated
    };
    // The first of those that are equal.
    lines.min_by_key(differs)
}

/// The settings of a login through this line, if it had the scope and mapping that are asked about.
fn read_settings(
    (rule, found): &(HbaRule, HbaLine),
    asked: HbaLine,
) -> Result<(HbaLine, LoginSettings), Misconfigured> {
    let line = HbaLine {
        issuer: found.issuer.clone(),
        ..asked
    };
    let settings = settings::read(&line, &rule.line_options()?)?;
    Ok((line, settings))
}

fn judge_in_steps(token: &str, role: &str, line: &HbaLine, settings: &LoginSettings) -> Vec<Step> {
    let catalog = SessionCatalog::default();
    let attempt = LoginAttempt {
        token: Bearer::new(token),
        role,
        peer: &TlsPeer,
        catalog: &catalog,
        introspector: introspector(&settings.introspection),
    };
    let policy = &settings.policy;
    let (decision, reports) = explain(&attempt, policy, &settings.keys, &SystemClock);
    let mut steps: Vec<Step> = reports
        .into_iter()
        .map(|report| match report.outcome {
            Ok(fact) if report.name == "role" && catalog.was_asked.get() => {
                let fact = format!("{fact}: role_map decides, at a login only");
                (report.name, None, fact)
            }
            Ok(fact) => (report.name, Some(true), fact),
            Err(failure) => (report.name, Some(false), told(&failure, Some(policy))),
        })
        .collect();
    if let Some(step) = user_map(&decision, role, line) {
        steps.push(step);
    }
    steps
}

/// What PostgreSQL itself checks once a token is accepted. Its maps are not available outside of a login.
fn user_map(decision: &Decision, role: &str, line: &HbaLine) -> Option<Step> {
    let identity = decision.authn_id().filter(|_| decision.is_authorized())?;
    let name = "user_map";
    Some(if line.delegated {
        (
            name,
            Some(true),
            "not checked: mapping is delegated".to_owned(),
        )
    } else if identity == role {
        (
            name,
            Some(true),
            "the identity equals the role, as a line without map= requires".to_owned(),
        )
    } else {
        let detail =
            "the identity is not the role: the line needs a map= of pg_ident.conf that allows it";
        (name, None, detail.to_owned())
    })
}

/// The reason, its facts, and what to do.
fn told(failure: &Failure, policy: Option<&Policy>) -> String {
    let (facts, hint) = refusal_log::describe(failure, policy);
    let hint = hint.map(|hint| format!(" {hint}")).unwrap_or_default();
    format!("{failure}: {facts}.{hint}")
}

/// What is shown never has the token in it, nor a part of it, even if a provider put one into a claim.
fn without(token: &str, detail: String) -> String {
    let mut parts = token.split('.').filter(|part| part.len() >= 16);
    match parts.any(|part| detail.contains(part)) {
        true => "(not shown: it contains a part of the token)".to_owned(),
        false => detail,
    }
}

/// Roles as a session sees them. PostgreSQL has forgotten the maps of pg_ident.conf once a login is over: what they
/// decide stays open here, and is marked so.
#[derive(Default)]
struct SessionCatalog {
    was_asked: Cell<bool>,
}

impl RoleCatalog for SessionCatalog {
    fn map_allows(&self, _map: &str, _value: &str, _role: &str) -> Result<bool, Failure> {
        self.was_asked.set(true);
        Ok(true)
    }

    fn server_wide_power(&self, role: &str) -> Result<Option<Printable>, Failure> {
        ServerCatalog.server_wide_power(role)
    }
}
