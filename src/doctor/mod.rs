//! `validator.check_config()`: a doctor that looks at every line of pg_hba.conf which names this module, at the settings
//! that apply to it, and at its provider, and says what to do.

mod asking;
mod configuration;
mod finding;
mod identity;
mod introspection;
mod line;
mod maps;
mod memory;
mod password;
mod policy;
mod profile;
mod provider;
mod provisioning;
mod secrets;
mod server;
mod shadow;
mod superusers;

use pgrx::prelude::*;

use crate::postgres::hba_cover::reach_of;
use crate::postgres::text::storable;
use crate::settings::gucs;
use asking::Providers;
use configuration::Configuration;
use finding::Finding;
use line::{Line, LineSettings, LineText};

/// One row for each finding, and one for each line without any. Asks the providers, and waits for them at most as long as
/// a login would. `sql/` runs it with the rights of the superuser who made the extension.
#[allow(clippy::type_complexity)] // One column per line, as pgrx requires.
#[pg_extern(sql = false, volatile, parallel_unsafe)]
fn check_config() -> TableIterator<
    'static,
    (
        name!(severity, &'static str),
        name!(hba_file, Option<String>),
        name!(hba_line, Option<i32>),
        name!(finding, &'static str),
        name!(detail, String),
        name!(advice, Option<String>),
    ),
> {
    // Defines the settings of profiles that are new since this process began, which are misspelt names until then.
    let _ = gucs::define_profiles();
    let findings = examine(&Configuration::read());
    TableIterator::new(findings.into_iter().map(|found| {
        let (file, line) = found.place.map(|place| (place.file, place.line)).unzip();
        (
            found.severity.name(),
            file,
            line,
            found.code,
            storable(found.detail),
            found.advice.map(storable),
        )
    }))
}

/// The server's findings first, then those of the lines in their order.
fn examine(configuration: &Configuration) -> Vec<Finding> {
    let texts: Vec<LineText<'_>> = configuration.hba.iter().filter_map(LineText::of).collect();
    let read: Vec<LineSettings<'_>> = texts.iter().map(LineSettings::of).collect();
    let providers = Providers::ask(
        read.iter().filter_map(|line| line.keys.as_ref().ok()),
        read.iter()
            .filter_map(|line| line.introspection.as_ref().ok()?.as_ref()),
    );
    let places: Vec<_> = read.iter().map(|line| &line.rule().place).collect();
    let reach = reach_of(&places, &configuration.login_roles);
    let lines: Vec<Line<'_>> = read
        .iter()
        .map(|line| line::examine(line, &read, &reach, configuration, &providers))
        .collect();
    let issuers: Vec<_> = lines
        .iter()
        .filter_map(|line| line.issuer.clone())
        .collect();
    let mut findings = server::examine(configuration, lines.len(), &issuers);
    findings.extend(provisioning::examine(&read, &reach, configuration));
    // Before 17 there is none without preloading, which the lines' own findings say.
    if configuration.is_preloaded() || !cfg!(any(feature = "pg15", feature = "pg16")) {
        findings.extend(memory::examine(&lines));
    }
    for rule in &configuration.hba {
        if let Some(error) = &rule.error {
            let detail = format!("PostgreSQL says: {error}.");
            findings.push(finding::HBA_INVALID.with(detail).at(&rule.place));
        } else if rule.method == "pam" {
            let unknown = password::examine_unknown(rule).into_iter();
            findings.extend(unknown.map(|found| found.at(&rule.place)));
        }
    }
    let shared: Vec<_> = lines
        .iter()
        .map(|line| identity::examine(line, &lines))
        .collect();
    for (line, shared) in lines.into_iter().zip(shared) {
        findings.extend(findings_at(line, shared));
    }
    findings
}

/// All findings of a line, or one row that says that it has none.
fn findings_at(line: Line<'_>, shared: Option<Finding>) -> Vec<Finding> {
    let place = &line.rule.place;
    let mut findings = line.findings;
    findings.extend(shared);
    if findings.is_empty() && line.rule.error.is_none() {
        let issuer = line
            .issuer
            .as_ref()
            .map_or("", |issuer| issuer.identifier());
        let provider = line.provider.unwrap_or_default();
        findings.push(finding::HEALTHY.with(format!("Issuer {issuer}; {provider}.")));
    }
    findings.into_iter().map(|found| found.at(place)).collect()
}
