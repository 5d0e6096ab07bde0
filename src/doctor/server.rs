//! What is wrong with the server's own settings, independent of the lines of pg_hba.conf.

use oauth_core::{Issuer, Printable};

use crate::doctor::configuration::{Configuration, FileSetting, lists_module};
use crate::doctor::finding::{self, Finding};
use crate::postgres::query::{rows, text};
use crate::provider::refresh_worker;
use crate::settings;
use crate::settings::Settings;
use crate::settings::gucs;
use crate::settings::hba_rules::HbaRule;
use crate::settings::tables::Switch;

/// `lines`: how many name this module; `issuers`: theirs, where they are valid.
pub fn examine(configuration: &Configuration, lines: usize, issuers: &[Issuer]) -> Vec<Finding> {
    let mut findings = examine_libraries(configuration);
    if !Settings::of_server().switch(Switch::Enabled) {
        findings.push(Finding::of_failure(
            &oauth_core::Misconfigured::Disabled.into(),
        ));
    }
    findings.extend(examine_file_settings(&configuration.settings));
    findings.extend(examine_refused_elsewhere(&configuration.settings));
    findings.extend(examine_profiles(configuration, issuers));
    findings.extend(examine_schema());
    if lines == 0 {
        findings.push(finding::NO_HBA_LINE.with("No line of pg_hba.conf uses this module."));
    }
    findings
}

/// Whoever may create objects in the schema of the extension, or owns some there, can have them called in place of the
/// extension's; superusers can do so anyway. The script of the extension refuses the same.
const STRANGERS_IN_SCHEMA: &str = "\
    WITH own AS (SELECT e.oid, n.oid AS namespace, n.nspowner, n.nspacl \
        FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'validator'), \
    objects (classid, objid, namespace, owner) AS ( \
        SELECT 'pg_proc'::regclass::oid, oid, pronamespace, proowner FROM pg_proc \
        UNION ALL SELECT 'pg_operator'::regclass::oid, oid, oprnamespace, oprowner FROM pg_operator \
        UNION ALL SELECT 'pg_type'::regclass::oid, oid, typnamespace, typowner FROM pg_type) \
    SELECT 'owner', r.rolname::text, NULL FROM own JOIN pg_roles r ON r.oid = own.nspowner WHERE NOT r.rolsuper \
    UNION ALL \
    SELECT DISTINCT 'grantee', COALESCE(r.rolname::text, 'PUBLIC'), NULL \
        FROM own CROSS JOIN aclexplode(own.nspacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee \
        WHERE a.privilege_type = 'CREATE' AND a.grantee <> own.nspowner AND r.rolsuper IS NOT TRUE \
    UNION ALL \
    SELECT 'objects', r.rolname::text, min(pg_describe_object(o.classid, o.objid, 0)) \
        FROM own JOIN objects o USING (namespace) JOIN pg_roles r ON r.oid = o.owner \
        WHERE NOT r.rolsuper AND NOT EXISTS ( \
            SELECT FROM pg_depend d WHERE d.classid = o.classid AND d.objid = o.objid AND d.deptype = 'e' \
            AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = own.oid) \
        GROUP BY r.rolname";

fn examine_schema() -> Vec<Finding> {
    let strangers = rows(STRANGERS_IN_SCHEMA, |row| {
        Ok((text(row, 1)?, text(row, 2)?, text(row, 3)?))
    });
    let findings = strangers.into_iter().map(|(what, role, object)| {
        let (role, object) = (Printable::new(&role), Printable::new(&object));
        let fact = match what.as_str() {
            "owner" => format!("The schema of the extension belongs to {role}, which"),
            "grantee" => format!("{role} may create objects in the schema of the extension, and"),
            _ => format!("In the schema of the extension, {object} belongs to {role}, which"),
        };
        finding::SCHEMA_OF_ANOTHER.with(format!("{fact} is not a superuser."))
    });
    findings.collect()
}

fn examine_libraries(configuration: &Configuration) -> Vec<Finding> {
    let mut findings = Vec::new();
    // By the method oauth tokens come, or could come; lines with the method pam alone need no list, and load nothing.
    let is_loaded_by_logins = cfg!(oauth)
        && (!configuration.hba.iter().any(HbaRule::takes_passwords)
            || configuration.hba.iter().any(|rule| rule.method == "oauth"));
    if is_loaded_by_logins && !lists_module(&configuration.oauth_libraries) {
        let list = &configuration.oauth_libraries;
        let detail = format!(
            "oauth_validator_libraries is \"{list}\", so pg_hba.conf cannot use this module."
        );
        findings.push(finding::LIBRARY_NOT_LISTED.with(detail));
    }
    if !configuration.is_preloaded() {
        findings.push(finding::NOT_PRELOADED.with(match is_loaded_by_logins {
            true => "The module is loaded at each login.",
            false => "The module is not loaded at server start, and logins by the method pam do not load it.",
        }));
    } else if !refresh_worker::is_running() {
        let detail = "The module is preloaded, but its background worker does not run, so logins refresh the keys.";
        findings.push(finding::WORKER_MISSING.with(detail));
    }
    findings
}

/// Misspelt names, invalid values, and settings of profiles that validator.profiles does not name.
fn examine_file_settings(settings: &[FileSetting]) -> Vec<Finding> {
    let profiles: Vec<&str> = settings::profile_issuers()
        .unwrap_or_default()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let mut strange_profiles: Vec<&str> = Vec::new();
    let mut findings = Vec::new();
    for setting in settings {
        let at = format!("{} line {}", setting.place.file, setting.place.line);
        let (prefix, _) = setting.name.split_once('.').unwrap_or_default();
        if let Some(profile) = prefix.strip_prefix("validator_")
            && !profiles.contains(&profile)
        {
            if !strange_profiles.contains(&profile) {
                strange_profiles.push(profile);
                let detail = format!(
                    "{at} has a setting of profile \"{profile}\", which validator.profiles does not name."
                );
                findings.push(finding::PROFILE_UNKNOWN.with(detail));
            }
        } else if !setting.is_known {
            let detail = format!("{at} sets {}, which does not exist.", setting.name);
            findings.push(finding::SETTING_UNKNOWN.with(detail));
        } else if setting.is_refused {
            let why = gucs::why_refused(&setting.name, &setting.value)
                .map_or_else(String::new, |why| format!(": {why}"));
            let detail = format!("{at} sets {} to an invalid value{why}.", setting.name);
            findings.push(finding::SETTING_REFUSED.with(detail));
        }
    }
    findings
}

/// Values that were refused when the module was loaded, and come from elsewhere than the files: a command line.
fn examine_refused_elsewhere(settings: &[FileSetting]) -> Vec<Finding> {
    gucs::refused_at_load()
        .into_iter()
        .filter(|name| !settings.iter().any(|setting| setting.name == *name))
        .map(|name| {
            finding::SETTING_REFUSED.with(format!(
                "The value of {name} was rejected when the module was loaded."
            ))
        })
        .collect()
}

fn examine_profiles(configuration: &Configuration, issuers: &[Issuer]) -> Vec<Finding> {
    // On PostgreSQL 19 a line may name its profile, and a PAM service does.
    let is_named = |name: &str| {
        let mut rules = configuration.hba.iter();
        rules.any(|rule| {
            rule.option("validator.profile") == Some(name)
                || (rule.method == "pam" && rule.pam_line().service == name)
        })
    };
    let profiles = match settings::profile_issuers() {
        Ok(profiles) => profiles,
        Err(misconfigured) => return vec![Finding::of_failure(&misconfigured.into())],
    };
    profiles
        .into_iter()
        .filter(|(name, own)| {
            let is_matched = own.as_ref().is_some_and(|own| is_among(own, issuers));
            !is_matched && !is_named(name)
        })
        .map(|(name, own)| match own {
            // Whatever line it was meant for is left to the server's settings.
            None => finding::PROFILE_UNUSED
                .with(format!(
                    "validator_{name}.issuer is not set, so profile \"{name}\" applies to no line."
                ))
                .into_warning(),
            Some(_) if cfg!(not(oauth)) => finding::PROFILE_UNUSED.with(format!(
                "No line of pg_hba.conf has pamservice={name}, so profile \"{name}\" applies to no line."
            )),
            Some(own) => finding::PROFILE_UNUSED.with(format!(
                "No line of pg_hba.conf has the issuer of profile \"{name}\", {}.",
                own.identifier()
            )),
        })
        .collect()
}

fn is_among(own: &Issuer, issuers: &[Issuer]) -> bool {
    issuers
        .iter()
        .any(|issuer| issuer.identifier() == own.identifier())
}
