//! What is wrong with the answers of a line's provider, compared with what the line's settings accept.

use std::time::Duration;

use oauth_core::{
    Failure, IntrospectionMode, JwkSet, KeyFault, MAX_KEYS, PolicyBuilder, Printable, Proxy,
    UnavailableCause, near_miss,
};

use crate::doctor::asking::{ProviderAnswer, Providers};
use crate::doctor::configuration::Configuration;
use crate::doctor::finding::{self, Finding};
use crate::doctor::line::LineSettings;
use crate::settings::provider::{KeyLocation, ProviderKeys};
use crate::settings::tables::{Number, Switch, Text};

/// What was found.
#[derive(Default)]
pub struct Examined {
    pub findings: Vec<Finding>,
    /// What is there, where nothing is wrong with it.
    pub summary: Option<String>,
}

impl Examined {
    pub fn of(found: Finding) -> Self {
        Examined {
            findings: vec![found],
            summary: None,
        }
    }
}

/// Findings about the keys, the metadata that names them, and the clock.
pub fn examine(
    line: &LineSettings<'_>,
    source: &ProviderKeys,
    configuration: &Configuration,
    providers: &Providers,
) -> Examined {
    let Some(answer) = providers.keys_of(source) else {
        return Examined::default();
    };
    let policy = line.policy.as_ref().ok();
    let mut findings = Vec::new();
    let mut summary = None;
    match &answer.keys {
        Ok(keys) if policy.is_some_and(|policy| !policy.accepts_a_key_of(keys)) => {
            let detail = "All keys of the provider are for algorithms that validator.algorithms does not list.";
            findings.push(finding::KEYS_DO_NOT_FIT.with(detail));
        }
        Ok(keys) => summary = Some(describe(keys, source)),
        Err(failure) => {
            let found = examine_failure(failure, source);
            // A provider of opaque tokens need not have keys.
            findings.push(match line.settings.text(Text::Introspection) {
                Ok(IntrospectionMode::Opaque) => found.into_warning(),
                _ => found,
            });
        }
    }
    let keys = answer.keys.as_ref();
    findings.extend(keys.ok().and_then(examine_unusable));
    let left_out = answer.keys.as_ref().map_or(0, JwkSet::left_out);
    if left_out != 0 {
        findings.push(finding::KEY_SET_TOO_LARGE.with(format!(
            "The key set has {left_out} signature keys more than the {MAX_KEYS} that are kept of an issuer; tokens that they have signed are refused."
        )));
    }
    let named = answer.access_token_issuer.as_deref();
    findings.extend(policy.and_then(|policy| examine_access_token_issuer(policy, named)));
    findings.extend(examine_binding(line, answer, configuration));
    findings.extend(examine_clock(line, answer, providers));
    Examined { findings, summary }
}

fn describe(keys: &JwkSet, source: &ProviderKeys) -> String {
    let usable = keys.keys().iter().filter(|jwk| jwk.public_key().is_some());
    let mut known = format!("usable keys: {}", usable.count());
    if !keys.unusable().is_empty() {
        known += &format!(", not used: {}", keys.unusable_in_words());
    }
    if let Some(proxy) = proxy_of(source) {
        known += &format!(", through proxy {}", proxy.printable());
    }
    known
}

/// The failure of a login, and by what the document's issuer differs, if that is only its spelling.
fn examine_failure(failure: &Failure, source: &ProviderKeys) -> Finding {
    let mut found = Finding::of_failure(failure);
    if let Failure::Unavailable(unavailable) = failure
        && let UnavailableCause::IssuerMismatch(named) = &unavailable.cause
        && let Some(by) = near_miss(named.as_str(), source.issuer.identifier())
    {
        let own = Printable::new(source.issuer.identifier());
        found.detail += &format!(" The line has \"{own}\": they differ only by {by}.");
    }
    found
}

/// Keys that cannot be used, unless all of them are for another use than signatures, as those of many providers are.
fn examine_unusable(keys: &JwkSet) -> Option<Finding> {
    let mut faults = keys.unusable().iter().map(|key| &key.fault);
    if faults.clone().all(KeyFault::is_of_another_use) {
        return None;
    }
    let told = format!("Not used: {}.", keys.unusable_in_words());
    let found = finding::KEYS_UNUSABLE.with(told);
    Some(match faults.any(KeyFault::is_private) {
        true => found.into_warning(),
        false => found,
    })
}

/// The proxy by which the provider is asked first.
fn proxy_of(source: &ProviderKeys) -> Option<&Proxy> {
    let asked = match &source.location {
        KeyLocation::File(_) => return None,
        KeyLocation::JwksUri(url) => url,
        KeyLocation::Metadata => source.issuer.discovery(),
    };
    source.http.proxy.as_ref()?.rules.proxy_for(asked)
}

/// Whether the provider's access tokens have the `iss` that is expected of them; `named`: what its metadata says.
fn examine_access_token_issuer(policy: &PolicyBuilder, named: Option<&str>) -> Option<Finding> {
    let expected = policy.expected_access_token_issuer()?;
    let detail = match (expected.as_str(), named) {
        (None, None) => "The issuer is not https://HOST/adfs, so it is unknown what \"iss\" of the provider's access tokens is, and all are refused.".to_owned(),
        (_, None) => return None,
        (expected, Some(named)) if expected == Some(named) => return None,
        (expected, Some(named)) => format!(
            "The provider's metadata has \"access_token_issuer\" \"{}\", but tokens with \"{}\" are accepted.",
            Printable::new(named),
            Printable::new(expected.unwrap_or_default()),
        ),
    };
    Some(finding::ACCESS_TOKEN_ISSUER.with(detail))
}

/// Whether the provider may bind tokens to certificates that this server never sees. That it can does not mean that it
/// does for the clients of this server.
fn examine_binding(
    line: &LineSettings<'_>,
    answer: &ProviderAnswer,
    configuration: &Configuration,
) -> Option<Finding> {
    let is_told = line.settings.switch(Switch::RequireBoundToken);
    if is_told || !answer.remarks.binds_tokens || configuration.asks_for_certificates {
        return None;
    }
    let detail = "The provider can bind tokens to the certificates of clients (tls_client_certificate_bound_access_tokens in its metadata), and the server requests none, so tokens that are bound are refused.";
    Some(
        finding::CERTIFICATES_NOT_ASKED_FOR
            .with(detail)
            .into_notice(),
    )
}

fn examine_clock(
    line: &LineSettings<'_>,
    answer: &ProviderAnswer,
    providers: &Providers,
) -> Option<Finding> {
    let allowed = Duration::from_secs(line.settings.number(Number::ClockSkew));
    let clock = answer.clock.filter(|clock| clock.differs_by() > allowed)?;
    let others = providers.clocks_besides(answer);
    Some(finding::CLOCK_DIFFERS.with(clock.describe(allowed, &others)))
}
