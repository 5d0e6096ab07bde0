//! Whether roles can be provisioned where a line of pg_hba.conf has them provisioned: what logins would be refused for, or
//! would not be given.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use oauth_core::Printable;
use pgrx::pg_sys::Oid;

use crate::doctor::configuration::Configuration;
use crate::doctor::finding::{self, Finding};
use crate::doctor::line::LineSettings;
use crate::memory;
use crate::postgres::hba_cover::Reach;
use crate::postgres::query::rows_with;
use crate::postgres::role_catalog::power_of;
use crate::postgres::role_rows::{RoleRow, is_in_recovery, role_oid, role_row, with_role};
use crate::roles::{MARKER, Management};
use crate::settings::Settings;
use crate::settings::provisioning::{Provisioning, read_provisioning, worker_connection};
use crate::settings::tables::Switch;

/// How long a worker that is being started is waited for.
const START: Duration = Duration::from_secs(1);

/// Whether a role may connect to a database, and whether anybody may. No row: it does not exist.
const DATABASE: &str = "SELECT datallowconn, has_database_privilege($2, oid, 'CONNECT') FROM pg_database WHERE datname = $1";

/// Whether a role may grant another one.
const MAY_GRANT: &str = "SELECT pg_has_role($1, $2, 'MEMBER WITH ADMIN OPTION')";

/// Nothing, if no line has roles provisioned.
pub fn examine(
    lines: &[LineSettings<'_>],
    reach: &[Reach],
    configuration: &Configuration,
) -> Vec<Finding> {
    let mut on: Vec<(&Settings<'_>, Provisioning)> = Vec::new();
    for line in lines {
        match read_provisioning(&line.settings) {
            Ok(Some(how)) => on.push((&line.settings, how)),
            Ok(None) => {}
            // The same for all lines: the role is the server's.
            Err(misconfigured) => return vec![Finding::of_failure(&misconfigured.into())],
        }
    }
    let Some((_, first)) = on.first() else {
        return Vec::new();
    };
    let creates = on.iter().any(|(_, how)| how.creates_roles);
    let named = format!(
        "validator.provision_role is \"{}\"",
        Printable::new(&first.manager)
    );
    let Some(manager) = role_oid(&first.manager).and_then(role_row) else {
        let detail = format!("{named}, which does not exist, so no role is provisioned.");
        return vec![finding::PROVISION_ROLE_MISSING.with(detail)];
    };
    let mut findings = Vec::new();
    if manager.is_superuser {
        let detail =
            format!("{named}, which is a superuser: logins that need a change are refused.");
        findings.push(finding::PROVISION_ROLE_SUPERUSER.with(detail));
    } else if creates && with_role(manager.oid, |row| row.rolcreaterole) != Some(true) {
        let detail = format!("{named}, which has no CREATEROLE: first logins are refused.");
        findings.push(finding::PROVISION_ROLE_WEAK.with(detail));
    }
    match role_oid(MARKER) {
        None => {
            let detail = format!("The role \"{MARKER}\" does not exist, so no role is managed.");
            findings.push(finding::PROVISION_MARKER_MISSING.with(detail));
        }
        Some(marker) => {
            if creates && !may_grant(manager.oid, marker) {
                let detail = format!(
                    "{named}, which has no ADMIN on {MARKER}, so it cannot mark the roles that it creates: first logins are refused."
                );
                findings.push(finding::PROVISION_MARKER_MISSING.with(detail));
            }
            let management = Management {
                manager: manager.oid,
                marker,
            };
            let guarded = on
                .iter()
                .any(|(settings, _)| !settings.switch(Switch::AllowSuperuser));
            findings.extend(examine_groups(management, &named, guarded));
        }
    }
    findings.extend(examine_columns(lines, reach));
    findings.extend(examine_worker(&manager, configuration));
    findings
}

/// The issuers of which no first login reaches a line by which its role would be created. Lines that are never used have a
/// finding of their own.
fn examine_columns(lines: &[LineSettings<'_>], reach: &[Reach]) -> Vec<Finding> {
    let mut admits_first_logins: BTreeMap<&str, bool> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.creates_roles()) {
        let reach = reach.iter().find(|reach| reach.place == line.rule().place);
        let reach = reach.filter(|reach| reach.covered_by.is_none());
        if let Some((issuer, reach)) = line.issuer.as_ref().zip(reach) {
            let admits = admits_first_logins.entry(issuer.identifier());
            *admits.or_default() |= reach.admits_first_logins;
        }
    }
    let without = admits_first_logins
        .into_iter()
        .filter(|(_, admits)| !admits);
    let found = without.map(|(issuer, _)| {
        finding::PROVISION_NO_NEW_ROLES.with(format!(
            "Issuer {issuer}: no line by which roles are created matches one that does not exist yet: it is a member of no \
             group, so +group does not mean it, and earlier lines take whatever they match. No first login gets that far."
        ))
    });
    found.collect()
}

/// `guarded`: tokens may not give power over the whole server.
fn examine_groups(management: Management, named: &str, guarded: bool) -> Option<Finding> {
    let groups = management.groups();
    if groups.is_empty() {
        let detail = format!(
            "{named}, which has ADMIN on no group: a role that can log in, or that it has created, is not one. Nobody is \
             given anything."
        );
        return Some(finding::PROVISION_NO_GROUPS.with(detail));
    }
    if !guarded {
        return None;
    }
    let mut powerful: Vec<&str> = groups
        .iter()
        .filter(|group| power_of(group.oid).is_some())
        .map(|group| group.name.as_str())
        .collect();
    powerful.sort_unstable();
    (!powerful.is_empty()).then(|| {
        let names = Printable::list(powerful.iter().copied());
        let detail = format!(
            "Managed groups have power over the whole server, so logins whose tokens name them are refused: {names}."
        );
        finding::PROVISION_GROUP_TOO_POWERFUL.with(detail)
    })
}

/// What the worker needs, and whether it runs.
fn examine_worker(manager: &RoleRow, configuration: &Configuration) -> Option<Finding> {
    if !configuration.is_preloaded() {
        let detail =
            "The module is not preloaded, so there is no worker that could provision roles.";
        return Some(finding::PROVISION_WORKER_MISSING.with(detail));
    }
    let (_, database) = worker_connection()?;
    let found = rows_with(
        DATABASE,
        &[database.as_str().into(), manager.oid.into()],
        |row| Ok((row.get(1)?.unwrap_or(false), row.get(2)?.unwrap_or(false))),
    );
    let why = match found.first() {
        None => Some("does not exist"),
        Some((false, _)) => Some("allows no connections"),
        Some((true, false)) if !manager.is_superuser => {
            Some("does not let validator.provision_role connect")
        }
        Some(_) => None,
    };
    if let Some(why) = why {
        let detail = format!(
            "validator.provision_database is \"{}\", which {why}, so the worker that provisions roles cannot run.",
            Printable::new(&database)
        );
        return Some(finding::PROVISION_DATABASE.with(detail));
    }
    let Some(requests) = memory::role_requests() else {
        let detail =
            "validator.provision_role was not set when the server started, so there is no worker.";
        return Some(finding::PROVISION_WORKER_MISSING.with(detail));
    };
    if is_in_recovery() {
        let detail = "This server is a standby, which writes nothing: first logins are refused, and so are those of roles \
            with a group to lose, unless validator.provision_strict is off.";
        return Some(finding::PROVISION_STANDBY.with(detail));
    }
    let start = Instant::now();
    while !requests.has_worker() {
        if start.elapsed() > START {
            let detail = "The worker \"validator roles\" does not run, so logins that need a change are refused.";
            return Some(finding::PROVISION_WORKER_MISSING.with(detail));
        }
        sleep(Duration::from_millis(50));
    }
    None
}

fn may_grant(manager: Oid, role: Oid) -> bool {
    let may = rows_with(MAY_GRANT, &[manager.into(), role.into()], |row| {
        Ok(row.get(1)?.unwrap_or(false))
    });
    may == [true]
}
