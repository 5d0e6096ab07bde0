//! What is wrong with a line of pg_hba.conf through which tokens come as passwords.

use crate::doctor::configuration::Configuration;
use crate::doctor::finding::{self, Finding};
use crate::doctor::line::LineSettings;
use crate::postgres::pam_file::{PamFile, file_of};
use crate::settings;
use crate::settings::Settings;
use crate::settings::hba_rules::HbaRule;
use crate::settings::tables::Switch;

/// What the line needs besides good settings.
pub fn examine(line: &LineSettings<'_>, configuration: &Configuration) -> Vec<Finding> {
    let preloading = (!configuration.is_preloaded()).then(|| {
        finding::PAM_NOT_PRELOADED
            .with("The line has the method pam, and the module is not preloaded, so all its tokens are refused.")
    });
    examine_file(line.rule())
        .into_iter()
        .chain(preloading)
        .chain(examine_encryption(line.rule(), &line.settings))
        .collect()
}

/// Lines of which it is not known what their tokens are judged by.
pub fn examine_unknown(rule: &HbaRule) -> Vec<Finding> {
    if !rule.takes_passwords() {
        return Vec::new();
    }
    let fault = settings::line_of_service(&rule.pam_line()).err();
    let fault = fault.map(|misconfigured| Finding::of_failure(&misconfigured.into()));
    fault.into_iter().collect()
}

fn examine_file(rule: &HbaRule) -> Option<Finding> {
    let service = rule.pam_line().service;
    Some(match file_of(&service) {
        PamFile::WithModule => return None,
        PamFile::Missing => finding::PAM_FILE_MISSING.with(format!(
            "The PAM service is \"{service}\", and there is no file /etc/pam.d/{service}, so all logins of the line are refused."
        )),
        PamFile::Unreadable(path) => finding::PAM_FILE_MISSING.with(format!(
            "The server's user cannot read {}, so all logins of the line are refused.",
            path.display()
        )),
        PamFile::WithoutModule(path) => finding::PAM_FILE_WITHOUT_MODULE.with(format!(
            "Profile \"{service}\" has the name of the line's PAM service, but {} does not name pam_validator.so.",
            path.display()
        )),
    })
}

fn examine_encryption(rule: &HbaRule, settings: &Settings) -> Option<Finding> {
    let kind = rule.kind.as_str();
    let demands = settings.switch(Switch::PasswordRequiresTls);
    let admits =
        format!("The line's type is {kind}, which also admits connections without encryption");
    Some(match (kind, demands) {
        ("hostnossl", true) => finding::TLS_NOT_REQUIRED.with(
            "The line's type is hostnossl, and validator.password_requires_tls is on, so hardly any client is asked for a token.",
        ),
        ("host" | "hostnogssenc", true) => finding::TLS_NOT_REQUIRED
            .with(format!("{admits}; validator.password_requires_tls refuses those before the client sends its token."))
            .into_notice(),
        ("host" | "hostnossl" | "hostnogssenc", false) => finding::TLS_NOT_REQUIRED.with(format!(
            "{admits}, and with validator.password_requires_tls off clients send their tokens over them in clear text."
        )),
        _ => return None,
    })
}

/// What is found of all lines, in the words of those for passwords.
pub fn reworded(found: Finding) -> Finding {
    match found.code {
        "scope_empty" => Finding {
            detail: found.detail.replace("The line's scope", "validator.password_scope").replace("of the line", "of validator.password_scope"),
            advice: Some(
                "Set validator.password_scope to a scope that only clients of this database get and that tokens carry.".to_owned(),
            ),
            ..found
        },
        _ => found,
    }
}
