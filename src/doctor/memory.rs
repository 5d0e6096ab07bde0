//! What is wrong with the module's shared memory: it is missing, or has the wrong size.

use std::collections::HashSet;

use crate::doctor::finding::{self, Finding};
use crate::doctor::line::Line;
use crate::memory::{self, Sizes};
use crate::postgres::subtransaction::alone;

/// Compares the memory with the lines of pg_hba.conf and with the settings. Before the first login, unless the
/// module is preloaded, this creates the memory, as a login would.
pub fn examine(lines: &[Line<'_>]) -> Vec<Finding> {
    // What PostgreSQL raises about it is a finding, and not the end of all others.
    let in_use = match alone(memory::sizes) {
        Ok(sizes) => sizes,
        Err(undone) => return vec![Finding::of_failure(&undone.failure)],
    };
    let wanted = Sizes::wanted();
    let mut findings = Vec::new();
    let caches: HashSet<_> = lines.iter().filter_map(|line| line.cache_key).collect();
    if caches.len() > in_use.issuers() {
        let are_passwords = lines.iter().any(|line| line.rule.method == "pam");
        let of_settings = match are_passwords {
            true => ", with those that settings name for its lines with the method pam",
            false => "",
        };
        findings.push(finding::TOO_MANY_ISSUERS.with(format!(
            "The lines of pg_hba.conf have {} issuers{of_settings}, but there is room for the keys of {} only: when all are in use, some logins are refused.",
            caches.len(),
            in_use.issuers()
        )));
    }
    for (setting, wanted, in_use) in [
        ("jwks_cache_issuers", wanted.issuers(), in_use.issuers()),
        (
            "introspection_cache_entries",
            wanted.answers(),
            in_use.answers(),
        ),
    ] {
        if wanted != in_use {
            findings.push(finding::RESTART_PENDING.with(format!(
                "validator.{setting} is {wanted}, but the shared memory in use was sized for {in_use}."
            )));
        }
    }
    findings
}
