//! A line of pg_hba.conf that names this module, with the settings that apply to it, and what is wrong with them.

use oauth_core::{IdentityClaims, IdentityPrefix, Issuer, Misconfigured, PolicyBuilder, Printable};

use crate::doctor::asking::Providers;
use crate::doctor::configuration::Configuration;
use crate::doctor::finding::{self, Finding};
use crate::doctor::{
    introspection, maps, password, policy, profile, provider, secrets, shadow, superusers,
};
use crate::memory::key_cache_layout::IssuerKey;
use crate::postgres::hba::HbaLine;
use crate::postgres::hba_cover::Reach;
use crate::settings;
use crate::settings::Settings;
use crate::settings::hba_rules::HbaRule;
use crate::settings::line_options::LineOptions;
use crate::settings::provider::{KeyLocation, ProviderIntrospection, ProviderKeys};
use crate::settings::provisioning::read_provisioning;
use crate::settings::tables::{Switch, Text};

/// What the line itself says.
pub struct LineText<'a> {
    rule: &'a HbaRule,
    line: HbaLine,
    options: LineOptions,
    fault: Option<Misconfigured>,
}

impl<'a> LineText<'a> {
    /// `None`: the line is not for this module.
    pub fn of(rule: &'a HbaRule) -> Option<Self> {
        let line = rule.token_line()?;
        let (options, fault) = match rule.line_options() {
            Ok(options) => (options, None),
            Err(misconfigured) => (LineOptions::none(), Some(misconfigured)),
        };
        Some(LineText {
            rule,
            line,
            options,
            fault,
        })
    }
}

/// A line, with everything that a login would read of the settings.
pub struct LineSettings<'a> {
    text: &'a LineText<'a>,
    pub settings: Settings<'a>,
    /// Why it is not certain that these settings apply.
    fault: Option<Misconfigured>,
    /// `None` if what the line names is not an issuer.
    pub issuer: Option<Issuer>,
    pub policy: Result<PolicyBuilder, Misconfigured>,
    pub keys: Result<ProviderKeys, Misconfigured>,
    /// None if introspection is off, or keys cannot be asked for.
    pub introspection: Result<Option<ProviderIntrospection>, Misconfigured>,
}

impl<'a> LineSettings<'a> {
    pub fn of(text: &'a LineText<'a>) -> Self {
        let line = &text.line;
        let (settings, fault) = match settings::for_line(line, &text.options) {
            Ok(settings) => (settings, None),
            // An invalid issuer is found with the keys.
            Err(Misconfigured::IssuerInvalid { .. }) => (Settings::of_server(), None),
            Err(misconfigured) => (Settings::of_server(), Some(misconfigured)),
        };
        let issuer = Issuer::parse_allowing(&line.issuer, true).ok();
        // A login would also compare "iss"; any issuer serves to check everything else.
        let some = issuer.clone().map_or_else(
            || Issuer::parse("https://issuer.invalid"),
            Ok::<Issuer, Misconfigured>,
        );
        let keys = settings::read_keys(&settings, &line.issuer);
        LineSettings {
            text,
            settings,
            fault,
            issuer,
            policy: some.and_then(|issuer| settings::policy_of(&settings, line, issuer)),
            introspection: match &keys {
                Ok(keys) => settings::read_introspection(&settings, keys),
                Err(_) => Ok(None),
            },
            keys,
        }
    }

    pub fn rule(&self) -> &'a HbaRule {
        self.text.rule
    }

    pub fn is(&self, other: &LineSettings<'_>) -> bool {
        self.rule().place == other.rule().place
    }

    /// The map of pg_ident.conf that decides who may take which role.
    pub fn map(&self) -> Option<&'a str> {
        let line = &self.text.line;
        let map = self.rule().option("map").or(line.password_map());
        map.filter(|_| line.mapped)
    }

    /// Whether tokens come as passwords.
    pub fn takes_passwords(&self) -> bool {
        self.rule().method == "pam"
    }

    /// Whether the token alone decides who may take which role.
    pub fn is_delegated(&self) -> bool {
        self.text.line.delegated
    }

    /// Whether a login creates the role that it asks for.
    pub fn creates_roles(&self) -> bool {
        matches!(read_provisioning(&self.settings), Ok(Some(how)) if how.creates_roles)
    }

    /// What may stand before an identity.
    pub fn identity_prefixes(&self) -> Result<Vec<String>, Misconfigured> {
        let settings = &self.settings;
        let prefix: IdentityPrefix = settings.text(Text::IdentityPrefix)?;
        // The provider's default is one claim.
        let Some(claims) = settings.explicit_text::<IdentityClaims>(Text::IdentityClaim)? else {
            return Ok(vec![prefix.as_str().to_owned()]);
        };
        Ok(claims.prefixes(&prefix).map(str::to_owned).collect())
    }

    /// Whether the settings apply because no profile does, and the line does not choose one.
    pub fn has_no_profile(&self) -> bool {
        self.text.options.profile().is_none() && self.settings.profile().is_none()
    }
}

/// A line and what was found there.
pub struct Line<'a> {
    pub rule: &'a HbaRule,
    /// `None` if what the line names is not an issuer.
    pub issuer: Option<Issuer>,
    /// What its keys are cached under, if they can be.
    pub cache_key: Option<IssuerKey>,
    /// What may stand before an identity.
    pub identity_prefixes: Vec<String>,
    pub findings: Vec<Finding>,
    /// What is known of its provider, where that answers well.
    pub provider: Option<String>,
}

/// What is wrong with one of the lines; `reach`: what earlier lines leave of each.
pub fn examine<'a>(
    line: &LineSettings<'a>,
    all: &[LineSettings<'a>],
    reach: &[Reach],
    configuration: &Configuration,
    providers: &Providers,
) -> Line<'a> {
    let mut findings = examine_text(line, all, reach, configuration);
    let settings = &line.settings;
    for fault in [&line.text.fault, &line.fault].into_iter().flatten() {
        findings.push(Finding::of_failure(&fault.clone().into()));
    }
    if settings.switch(Switch::RequireBoundToken) && !configuration.asks_for_certificates {
        let detail = "validator.require_bound_token is on, but the server requests no client certificates, so all tokens are refused.";
        findings.push(finding::CERTIFICATES_NOT_ASKED_FOR.with(detail));
    }
    match &line.policy {
        Ok(of_line) => {
            let issuer = line.issuer.as_ref().map_or("", Issuer::identifier);
            let found = policy::examine(of_line, issuer).into_iter();
            findings.extend(found.map(|found| match line.takes_passwords() {
                true => password::reworded(found),
                false => found,
            }));
        }
        Err(misconfigured) => findings.push(Finding::of_failure(&misconfigured.clone().into())),
    }
    findings.extend(maps::examine_role_map(line, configuration));
    findings.extend(superusers::examine(line, configuration));
    findings.extend(profile::examine_near_miss(line));
    findings.extend(secrets::examine(line, all));
    let (mut known, mut cache_key) = (None, None);
    let is_http = line.text.line.issuer.starts_with("http:");
    match &line.keys {
        Ok(keys) => {
            cache_key = Some(keys.cache_key());
            if is_http {
                let detail = "The issuer is not https; validator.allow_http allows that on a loopback address.";
                findings.push(finding::ISSUER_HTTP.with(detail).into_warning());
            }
            let checked = provider::examine(line, keys, configuration, providers);
            let introspected = introspection::examine(line, providers);
            findings.extend(checked.findings);
            findings.extend(introspected.findings);
            known = checked
                .summary
                .map(|known| summarize(known, introspected.summary, keys));
        }
        Err(Misconfigured::IssuerInvalid { .. }) if is_http => {
            let detail = "The issuer is not https, so every login is refused.";
            findings.push(finding::ISSUER_HTTP.with(detail));
        }
        Err(misconfigured) => findings.push(Finding::of_failure(&misconfigured.clone().into())),
    }
    Line {
        rule: line.rule(),
        issuer: line.issuer.clone(),
        cache_key,
        identity_prefixes: line.identity_prefixes().unwrap_or_default(),
        findings,
        provider: known,
    }
}

/// What pg_hba.conf and pg_ident.conf make of the line.
fn examine_text(
    line: &LineSettings<'_>,
    all: &[LineSettings<'_>],
    reach: &[Reach],
    configuration: &Configuration,
) -> Vec<Finding> {
    let rule = line.rule();
    let require_tls = line.settings.switch(Switch::RequireTls);
    let mut findings = Vec::new();
    let of_line = reach.iter().find(|reach| reach.place == rule.place);
    findings.extend(of_line.and_then(|reach| shadow::examine(line, reach, configuration)));
    if line.takes_passwords() {
        findings.extend(password::examine(line, configuration));
    } else {
        findings.extend(examine_encryption(rule, require_tls));
    }
    findings.extend(maps::examine(line, all, of_line, configuration));
    findings.extend(examine_scope(&line.text.line));
    findings.extend(examine_tls(rule, require_tls, configuration));
    findings
}

/// Where the keys of a line without findings come from, and what was and was not done.
fn summarize(known: String, introspected: Option<String>, keys: &ProviderKeys) -> String {
    let of_provider = match &keys.location {
        KeyLocation::Metadata => "the provider's metadata and keys",
        KeyLocation::JwksUri(_) => "the keys of validator.jwks_uri",
        KeyLocation::File(_) => "the keys of validator.jwks_file",
    };
    let introspected = introspected.map_or_else(String::new, |more| format!("; {more}"));
    format!(
        "{known}{introspected}. Examined: the line, the lines before it, its settings and maps, {of_provider}. No token was tried: see validator.check_token() and validator.try_login()"
    )
}

/// Whether the line admits connections that are not encrypted, and what becomes of their tokens.
fn examine_encryption(rule: &HbaRule, require_tls: bool) -> Option<Finding> {
    let kind = rule.kind.as_str();
    if !admits_plain(rule) {
        return None;
    }
    let admits =
        format!("The line's type is {kind}, which also admits connections without encryption");
    Some(if rule.is_loopback() {
        let detail = format!("{admits}; those of this line stay on this machine.");
        finding::TLS_NOT_REQUIRED.with(detail).into_notice()
    } else if !require_tls {
        finding::TLS_NOT_REQUIRED.with(format!(
            "{admits}, and with validator.require_tls off their tokens are accepted."
        ))
    } else {
        let found = finding::TLS_NOT_REQUIRED.with(format!(
            "{admits}; validator.require_tls refuses their tokens, unless they come from this machine."
        ));
        match kind {
            // Hardly any connection of this line can be encrypted.
            "hostnossl" => found,
            _ => found.into_notice(),
        }
    })
}

fn admits_plain(rule: &HbaRule) -> bool {
    matches!(rule.kind.as_str(), "host" | "hostnossl" | "hostnogssenc")
}

/// A line whose connections have to be encrypted, on a server that has no TLS.
fn examine_tls(
    rule: &HbaRule,
    require_tls: bool,
    configuration: &Configuration,
) -> Option<Finding> {
    if configuration.has_tls {
        return None;
    }
    if rule.kind == "hostssl" {
        let detail = "The line's type is hostssl, but ssl is off, so no connection matches it.";
        return Some(finding::TLS_OFF.with(detail));
    }
    let refuses = admits_plain(rule) && require_tls && !rule.is_loopback();
    refuses.then(|| {
        finding::TLS_OFF.with(
            "ssl is off, and validator.require_tls refuses tokens that come from another host without encryption.",
        )
    })
}

/// A scope that is several, by mistake.
fn examine_scope(line: &HbaLine) -> Option<Finding> {
    let mut scopes = line.scope.split_ascii_whitespace();
    let one = scopes.find(|scope| scope.contains(','))?;
    Some(finding::SCOPE_WITH_COMMA.with(format!(
        "\"{}\" is one scope: a comma does not separate scopes.",
        Printable::new(one)
    )))
}
