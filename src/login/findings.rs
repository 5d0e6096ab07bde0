//! What is looked up once a login was refused, so that its explanation can name the evidence. A login that is accepted
//! pays for none of it.

use oauth_core::{Clock, Failure, Misconfigured, Printable, Reject, SystemClock};

use crate::log::circumstances::{
    Findings, KeySet, NoCertificate, OtherProfile, Question, SettingSource,
};
use crate::postgres::client_certificate;
use crate::postgres::config_files::last_value;
use crate::postgres::hba::HbaLine;
use crate::postgres::time;
use crate::settings::provider::KeyLocation;
use crate::settings::{LoginSettings, gucs, nearest_profile};

/// What bears on this failure of a login through `line`. `is_own`: the connection is the one that has failed, and not that
/// of somebody who asks.
pub fn gather(
    failure: &Failure,
    line: Option<&HbaLine>,
    settings: Option<&LoginSettings>,
    is_own: bool,
) -> Findings {
    let mut findings = Findings {
        now: SystemClock.now().unix_seconds(),
        ..Findings::default()
    };
    match failure {
        Failure::Reject(reject) => {
            findings.keys = settings
                .filter(|_| is_about_keys_or_times(reject))
                .and_then(key_set);
            findings.question = settings
                .filter(|_| is_about_answer(reject))
                .and_then(question);
            if matches!(reject, Reject::CertificateMissing) {
                findings.no_certificate = why_no_certificate(is_own);
            }
        }
        Failure::Misconfigured(Misconfigured::SettingInvalid { setting, why }) => {
            findings.setting = Some(setting_source(setting.as_str(), why.as_str()));
        }
        _ => {}
    }
    if settings.is_none_or(|settings| settings.profile.is_none()) {
        findings.other_profile = line.and_then(other_profile);
    }
    findings
}

fn is_about_keys_or_times(reject: &Reject) -> bool {
    matches!(
        reject,
        Reject::UnknownKid { .. }
            | Reject::NoFittingKey { .. }
            | Reject::AmbiguousKey { .. }
            | Reject::KeyUnsuitable { .. }
            | Reject::BadSignature { .. }
            | Reject::Expired { .. }
            | Reject::NotYetValid { .. }
            | Reject::IssuedInFuture { .. }
    )
}

fn is_about_answer(reject: &Reject) -> bool {
    matches!(
        reject,
        Reject::TokenInactive | Reject::IntrospectionRefused | Reject::IntrospectionMismatch { .. }
    )
}

fn key_set(settings: &LoginSettings) -> Option<KeySet> {
    let standing = settings.keys.standing()?;
    let fetched_at = standing.fetched_at.unix_seconds();
    let now = SystemClock.now().unix_seconds();
    Some(KeySet {
        is_file: matches!(settings.keys.location, KeyLocation::File(_)),
        fetched: time::describe(standing.fetched_at),
        fetched_at,
        age: now.saturating_sub(fetched_at).max(0),
        last_error: standing
            .failure
            .map(|failure| Printable::new(&failure.to_string())),
        clock_ahead: standing.clock_ahead,
    })
}

fn question(settings: &LoginSettings) -> Option<Question> {
    let asked = settings.introspection.as_ref()?;
    let url = asked.known_endpoint();
    let is_elsewhere = url
        .as_ref()
        .is_some_and(|url| !url.has_origin_of(asked.issuer.discovery()));
    Some(Question {
        url: url.map(|url| Printable::new(url.as_str())),
        is_set: asked.endpoint.is_some(),
        is_elsewhere,
        client_id: asked.client.id.clone(),
    })
}

/// `None`: it depends on a connection that is not this one.
fn why_no_certificate(is_own: bool) -> Option<NoCertificate> {
    if !client_certificate::are_requested() {
        return Some(NoCertificate::NotRequested);
    }
    is_own.then(|| match client_certificate::has_tls() {
        true => NoCertificate::NotSent,
        false => NoCertificate::NoTls,
    })
}

fn other_profile(line: &HbaLine) -> Option<OtherProfile> {
    let (name, issuer, by) = nearest_profile(&line.issuer)?;
    let issuer = Printable::new(issuer.identifier());
    Some(OtherProfile { name, issuer, by })
}

fn setting_source(name: &str, why: &str) -> SettingSource {
    // What stands on a line of pg_hba.conf is said to.
    let found = match why.starts_with("line ") {
        true => None,
        false => last_value(name),
    };
    let why = found
        .as_ref()
        .and_then(|(value, _)| gucs::why_refused(name, value));
    let (value, place) = found.unzip();
    SettingSource {
        value: value
            .filter(|value| !may_be_secret(name, value))
            .map(|value| Printable::new(&value)),
        place: place.map(|place| (place.file, place.line)),
        why: why.map(|why| Printable::new(&why)),
        range: gucs::range_of(name),
        is_preloaded: gucs::are_preloaded(),
    }
}

/// A name of a file may be the secret itself by mistake, and a URL may have a password in it.
fn may_be_secret(name: &str, value: &str) -> bool {
    let of_files = ["secret_file", "bearer_file", "key_file"];
    of_files.iter().any(|end| name.ends_with(end)) || value.contains('@')
}
