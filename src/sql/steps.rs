//! A judgement that SQL shows step by step: the same as a login's, with the same settings, keys and provider, and then
//! what PostgreSQL itself decides. Nothing that is shown has the token in it.

use oauth_core::{
    Bearer, Decision, Failure, LoginAttempt, Misconfigured, Printable, RoleCatalog, Sketch,
    SystemClock, explain,
};

use crate::log::circumstances::Circumstances;
use crate::log::refusal_log;
use crate::login::after_acceptance::{self, MapRefusal};
use crate::login::findings::gather;
use crate::postgres::client_certificate::TlsPeer;
use crate::postgres::hba::HbaLine;
use crate::postgres::ident_match::{Mapping, apply_map};
use crate::postgres::role_catalog::ServerCatalog;
use crate::postgres::text::storable;
use crate::provider::introspection::introspector;
use crate::settings;
use crate::settings::LoginSettings;
use crate::settings::hba_rules::HbaRule;

/// A step: its name, whether it was passed (`None`: only a login can tell), and what was found.
pub type Step = (&'static str, Option<bool>, String);

/// A row of a function that shows steps.
pub type Row = (i32, &'static str, Option<bool>, String);

/// The steps in rows, numbered, without a trace of the token.
pub fn rows(token: &str, steps: Vec<Step>) -> Vec<Row> {
    (1..)
        .zip(steps)
        .map(|(number, (name, passed, detail))| {
            (number, name, passed, storable(without(token, detail)))
        })
        .collect()
}

/// Judges a token for a role, on a line that was read from pg_hba.conf.
pub fn judge_on_line(token: &str, role: &str, rule: &HbaRule, line: &HbaLine) -> Vec<Step> {
    match read_settings(rule, line) {
        Ok(settings) => {
            let issuer = settings.policy.issuer().identifier();
            let found = format!("issuer {}", Printable::new(issuer));
            let mut steps = vec![("settings", Some(true), found)];
            let map = rule.option("map").filter(|_| line.mapped);
            steps.extend(judge(token, role, line, rule.place.line, map, &settings));
            steps
        }
        Err(misconfigured) => {
            let failure = misconfigured.into();
            let findings = gather(&failure, Some(line), None, false);
            let known = Circumstances {
                findings: Some(&findings),
                ..Circumstances::default()
            };
            vec![("settings", Some(false), told(&failure, &known))]
        }
    }
}

fn read_settings(rule: &HbaRule, line: &HbaLine) -> Result<Box<LoginSettings>, Misconfigured> {
    settings::read(line, &rule.line_options()?)
}

fn judge(
    token: &str,
    role: &str,
    line: &HbaLine,
    hba_line: i32,
    map: Option<&str>,
    settings: &LoginSettings,
) -> Vec<Step> {
    let attempt = LoginAttempt {
        token: Bearer::new(token),
        role,
        peer: &TlsPeer,
        catalog: &FileCatalog,
        introspector: introspector(&settings.introspection),
    };
    let policy = &settings.policy;
    let (decision, reports) = explain(&attempt, policy, &settings.keys, &SystemClock);
    let sketch = Sketch::of(&attempt.token, policy);
    let failure = decision.outcome().err();
    let findings = failure.map(|failure| gather(failure, Some(line), Some(settings), false));
    let known = Circumstances {
        policy: Some(policy),
        evidence: Some(decision.evidence()),
        sketch: sketch.as_ref(),
        hba_line: Some(hba_line),
        profile: settings.profile,
        findings: findings.as_ref(),
        ..Circumstances::default()
    };
    let mut steps: Vec<Step> = reports
        .into_iter()
        .map(|report| match report.outcome {
            Ok(fact) => (report.name, Some(true), fact),
            Err(failure) => (report.name, Some(false), told(&failure, &known)),
        })
        .collect();
    steps.extend(user_map(&decision, role, line, map));
    steps.extend(provisioned(&decision, settings));
    steps
}

/// Where roles are provisioned, only a login does so.
fn provisioned(decision: &Decision, settings: &LoginSettings) -> Option<Step> {
    let how = settings.provisioning.as_ref()?;
    let grant = decision.outcome().ok()?;
    let named = Printable::list(grant.groups().iter().map(String::as_str));
    let creates = match how.creates_roles {
        true => "creates the role if it does not exist, and ",
        false => "",
    };
    let detail = format!(
        "a login {creates}makes it a member of those groups that are managed, of \"{named}\"; a role that exists and is \
         not managed must be one of these values itself"
    );
    Some((PROVISION, None, detail))
}

/// The step at which a role may come to exist.
pub const PROVISION: &str = "provision";

/// What PostgreSQL itself checks once a token is accepted.
fn user_map(decision: &Decision, role: &str, line: &HbaLine, map: Option<&str>) -> Option<Step> {
    let identity = decision.authn_id().filter(|_| decision.is_authorized())?;
    if line.identity_rule.is_some() {
        // The judgement has checked it.
        return None;
    }
    let (passed, detail) = if line.delegated {
        (true, "not checked: mapping is delegated".to_owned())
    } else if let Some(map) = map {
        match after_acceptance::apply(map, identity, role) {
            Ok(line) => {
                let (role, name) = (Printable::new(role), Printable::new(identity));
                (
                    true,
                    format!("line {line} of pg_ident.conf gives {role} to {name}"),
                )
            }
            Err(refusal) => told_refusal(refusal),
        }
    } else if identity == role {
        let detail = "the identity equals the role, as a line without map= requires";
        (true, detail.to_owned())
    } else {
        told_refusal(after_acceptance::not_the_role(identity, role))
    };
    Some(("user_map", Some(passed), detail))
}

/// Why PostgreSQL refuses, and what to do.
fn told_refusal(refusal: MapRefusal) -> (bool, String) {
    let MapRefusal { code, why, hint } = refusal;
    (false, format!("{why}: reason={code}. {hint}"))
}

/// The reason, its facts, and what to do.
fn told(failure: &Failure, known: &Circumstances<'_>) -> String {
    let (facts, hint) = refusal_log::describe(failure, known);
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

/// The roles of the server, and the maps of pg_ident.conf as the file has them now.
struct FileCatalog;

impl RoleCatalog for FileCatalog {
    fn map_allows(&self, map: &str, value: &str, role: &str) -> Result<bool, Failure> {
        // Each time, the file is read.
        pgrx::check_for_interrupts!();
        Ok(matches!(
            apply_map(map, value, role),
            Mapping::Allowed { .. }
        ))
    }

    fn server_wide_power(&self, role: &str) -> Result<Option<Printable>, Failure> {
        ServerCatalog.server_wide_power(role)
    }
}
