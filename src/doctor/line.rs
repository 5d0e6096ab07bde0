//! What is wrong with a line of pg_hba.conf that names this module, and with the settings that apply to it.

use oauth_core::{
    Doubt, IdentityClaims, IdentityPrefix, Issuer, Misconfigured, PolicyBuilder, Printable,
    near_miss,
};

use crate::doctor::configuration::Configuration;
use crate::doctor::finding::{self, Finding};
use crate::doctor::provider::{self, Providers};
use crate::memory::key_cache_layout::IssuerKey;
use crate::postgres::hba::HbaLine;
use crate::settings;
use crate::settings::Settings;
use crate::settings::hba_rules::HbaRule;
use crate::settings::line_options::LineOptions;
use crate::settings::provider::ProviderKeys;
use crate::settings::tables::{Switch, Text};
use crate::settings::values::MapName;

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

/// Looks at the line, at its settings, and asks its provider.
pub fn examine<'a>(
    rule: &'a HbaRule,
    line: &HbaLine,
    configuration: &Configuration,
    providers: &mut Providers,
) -> Line<'a> {
    let mut faults = Vec::new();
    let options = rule.line_options().unwrap_or_else(|misconfigured| {
        faults.push(Finding::of_failure(&misconfigured.into()));
        LineOptions::none()
    });
    let settings = settings::for_line(line, &options).unwrap_or_else(|misconfigured| {
        // An invalid issuer is reported below.
        if !matches!(misconfigured, Misconfigured::IssuerInvalid { .. }) {
            faults.push(Finding::of_failure(&misconfigured.into()));
        }
        Settings::of_server()
    });
    let mut findings: Vec<Finding> = examine_encryption(rule, settings.switch(Switch::RequireTls))
        .into_iter()
        .collect();
    findings.extend(examine_map(rule, configuration));
    findings.extend(examine_scope(line));
    if rule.kind == "hostssl" && !configuration.has_tls {
        findings.push(
            finding::TLS_OFF
                .with("The line's type is hostssl, but ssl is off, so no connection matches it."),
        );
    }
    findings.extend(faults);
    if settings.switch(Switch::RequireBoundToken) && !configuration.asks_for_certificates {
        let detail = "validator.require_bound_token is on, but the server requests no client certificates, so all tokens are refused.";
        findings.push(finding::CERTIFICATES_NOT_ASKED_FOR.with(detail));
    }
    let issuer = Issuer::parse_allowing(&line.issuer, true).ok();
    findings.extend(examine_settings(&settings, line, configuration));
    findings.extend(examine_superusers(&settings, line, rule, configuration));
    if let Some(issuer) = &issuer
        && options.profile().is_none()
    {
        findings.extend(examine_near_miss(&settings, line, issuer));
    }
    let (mut known, mut cache_key) = (None, None);
    let is_http = line.issuer.starts_with("http:");
    match settings::read_keys(&settings, &line.issuer) {
        Ok(keys) => {
            cache_key = Some(keys.cache_key());
            if is_http {
                let detail = "The issuer is not https; validator.allow_http allows that on a loopback address.";
                findings.push(finding::ISSUER_HTTP.with(detail).into_warning());
            }
            let policy = settings::policy_of(&settings, line, keys.issuer.clone());
            let checked = providers.examine_keys(&settings, &keys, policy.ok().as_ref());
            findings.extend(checked.findings);
            known = checked.summary;
            let introspected = provider::examine_introspection(&settings, &keys);
            findings.extend(introspected.findings);
            known = known.map(|known| match introspected.summary {
                Some(more) => format!("{known}; {more}"),
                None => known,
            });
        }
        Err(Misconfigured::IssuerInvalid { .. }) if is_http => {
            let detail = "The issuer is not https, so every login is refused.";
            findings.push(finding::ISSUER_HTTP.with(detail));
        }
        Err(misconfigured) => findings.push(Finding::of_failure(&misconfigured.into())),
    }
    Line {
        rule,
        issuer,
        cache_key,
        identity_prefixes: identity_prefixes(&settings).unwrap_or_default(),
        findings,
        provider: known,
    }
}

/// Where the keys for a line come from, if the line and its settings are good enough to ask.
pub fn provider_of(rule: &HbaRule) -> Option<ProviderKeys> {
    let line = rule.oauth_line()?;
    let options = rule.line_options().ok()?;
    let settings = settings::for_line(&line, &options).ok()?;
    settings::read_keys(&settings, &line.issuer).ok()
}

fn identity_prefixes(settings: &Settings) -> Result<Vec<String>, Misconfigured> {
    let prefix: IdentityPrefix = settings.text(Text::IdentityPrefix)?;
    // The provider's default is one claim.
    let Some(claims) = settings.explicit_text::<IdentityClaims>(Text::IdentityClaim)? else {
        return Ok(vec![prefix.as_str().to_owned()]);
    };
    Ok(claims.prefixes(&prefix).map(str::to_owned).collect())
}

/// Whether the line admits connections that are not encrypted, and what becomes of their tokens.
fn examine_encryption(rule: &HbaRule, require_tls: bool) -> Option<Finding> {
    let kind = rule.kind.as_str();
    if !matches!(kind, "host" | "hostnossl" | "hostnogssenc") {
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

fn examine_map(rule: &HbaRule, configuration: &Configuration) -> Option<Finding> {
    let map = rule.option("map")?;
    if !configuration.maps.iter().any(|known| known == map) {
        return Some(missing_map(
            &format!("The line has map={map}"),
            configuration,
        ));
    }
    examine_catch_all(configuration, map)
}

/// A map that pg_ident.conf does not have, with those that it has.
fn missing_map(named: &str, configuration: &Configuration) -> Finding {
    let known = Printable::list(configuration.maps.iter().map(String::as_str));
    let others = match configuration.maps.as_slice() {
        [] => "no map".to_owned(),
        _ => format!("only: {known}"),
    };
    let detail = format!("{named}, but pg_ident.conf has no line for this map; it has {others}.");
    finding::MAP_MISSING.with(detail)
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

/// What the settings say about the tokens of this line.
fn examine_settings(
    settings: &Settings,
    line: &HbaLine,
    configuration: &Configuration,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    // A login would also compare "iss"; any issuer serves to check everything else.
    let issuer = Issuer::parse_allowing(&line.issuer, true)
        .or_else(|_| Issuer::parse("https://issuer.invalid"));
    match issuer.and_then(|issuer| settings::policy_of(settings, line, issuer)) {
        Ok(policy) => findings.extend(examine_policy(&policy)),
        Err(misconfigured) => findings.push(Finding::of_failure(&misconfigured.into())),
    }
    if let Ok(MapName(Some(map))) = settings.text(Text::RoleMap)
        && !configuration.maps.contains(&map)
    {
        let named = format!("validator.role_map is \"{map}\"");
        findings.push(missing_map(&named, configuration));
    }
    if let Ok(MapName(Some(map))) = settings.text(Text::RoleMap) {
        findings.extend(examine_catch_all(configuration, &map));
    }
    findings
}

/// Whether everybody whom the provider gives a token may take a role by this map.
fn examine_catch_all(configuration: &Configuration, map: &str) -> Option<Finding> {
    let (expression, role) = configuration.catch_all_of(map)?;
    Some(finding::MAP_CATCH_ALL.with(format!(
        "Map \"{map}\" of pg_ident.conf has \"{}\", which matches everything, and gives it the role \"{}\".",
        Printable::new(expression),
        Printable::new(role)
    )))
}

/// Which roles with power over the whole server a token can give by this line.
fn examine_superusers(
    settings: &Settings,
    line: &HbaLine,
    rule: &HbaRule,
    configuration: &Configuration,
) -> Option<Finding> {
    let named = |names: &[&str]| Printable::list(names.iter().copied());
    let mut let_in = rule.superusers.iter().map(String::as_str);
    if let Some(map) = rule.option("map").filter(|_| line.mapped) {
        let given: Vec<&str> = let_in
            .filter(|superuser| configuration.map_gives(map, superuser))
            .collect();
        return (!given.is_empty()).then(|| {
            finding::SUPERUSER_MAPPED.with(format!(
                "The line admits roles with power over the whole server that map={map} can give to token bearers: {}.",
                named(&given)
            ))
        });
    }
    if !settings.switch(Switch::AllowSuperuser) {
        return None;
    }
    Some(match let_in.next() {
        Some(first) => {
            let all: Vec<&str> = std::iter::once(first).chain(let_in).collect();
            finding::SUPERUSER_ALLOWED.with(format!(
                "The line admits roles with power over the whole server, and with validator.allow_superuser a token alone can give them: {}.",
                named(&all)
            ))
        }
        None => finding::SUPERUSER_ALLOWED
            .with("With validator.allow_superuser a token alone may give roles with power over the whole server; the line admits none.")
            .into_notice(),
    })
}

/// A profile that was probably meant for this line, and is for another issuer.
fn examine_near_miss(settings: &Settings, line: &HbaLine, issuer: &Issuer) -> Option<Finding> {
    let profiles = settings::profile_issuers().ok()?;
    let mut named = profiles
        .iter()
        .filter_map(|(name, own)| Some((name, own.as_ref()?.identifier())));
    if named.clone().any(|(_, own)| own == issuer.identifier()) {
        return None;
    }
    let (name, own, by) =
        named.find_map(|(name, own)| Some((name, own, near_miss(own, issuer.identifier())?)))?;
    let found = finding::PROFILE_NEAR_MISS.with(format!(
        "Profile \"{name}\" is for {own}, but the line's issuer is {}: they differ only by {by}, and the server's own settings apply instead of the profile.",
        issuer.identifier(),
    ));
    // For example, without an audience set for the server they admit no one.
    let refuses_all = settings::policy_of(settings, line, issuer.clone())
        .is_ok_and(|policy| !policy.faults().is_empty());
    Some(match refuses_all {
        true => found.into_warning(),
        false => found,
    })
}

fn examine_policy(policy: &PolicyBuilder) -> Vec<Finding> {
    let faults = policy
        .faults()
        .into_iter()
        .map(|fault| Finding::of_failure(&fault.into()));
    let doubts = policy.doubts().into_iter().filter_map(|doubt| {
        Some(match doubt {
            Doubt::NoTokenTypeOfProvider => finding::CONTRADICTS_PRESET
                .with("validator.token_types lists none of the types of the provider's access tokens (validator.provider)."),
            Doubt::NoAlgorithmOfProvider => finding::CONTRADICTS_PRESET
                .with("validator.algorithms lists none of the algorithms that validator.provider uses."),
            Doubt::ProviderNamesNoClient => finding::CONTRADICTS_PRESET
                .with("validator.client_ids is set, but tokens of validator.provider name no client, so all are refused."),
            Doubt::IdTokenMayPass => finding::ID_TOKEN_MAY_PASS
                .with("validator.token_types accepts the type of ID tokens, and validator.provider = generic has little else to distinguish them."),
            Doubt::NoScopeNamed => finding::SCOPE_EMPTY
                .with("The line's scope is empty, so a token for any purpose at this audience is accepted."),
            Doubt::AllScopesOptional => finding::SCOPE_EMPTY
                .with("All scopes of the line are in validator.optional_scopes, so a token needs none.")
                .into_notice(),
            Doubt::IdentitiesMeet => finding::IDENTITY_AMBIGUOUS
                .with("Two claims of validator.identity_claim can give the same identity: one prefix is the beginning of the other."),
            _ => return None,
        })
    });
    let catch_all = policy.catch_all_audiences().map(|audience| {
        finding::AUDIENCE_CATCH_ALL.with(format!(
            "validator.audience lists \"{}\", which tokens have that are not meant for this server: every client that gets one can log in its users.",
            Printable::new(audience)
        ))
    });
    faults.chain(doubts).chain(catch_all).collect()
}
