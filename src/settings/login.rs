//! The settings as a login sees them: read into a policy, and into where the provider's keys are.

use std::time::Duration;

use oauth_core::{
    CacheLimits, ClientAuthMethod, Endpoint, IntrospectionMode, IntrospectionRules, Issuer,
    Misconfigured, Policy, PolicyBuilder, ProxyRules,
};

use crate::postgres::hba::HbaLine;
use crate::settings::gucs;
use crate::settings::line_options::LineOptions;
use crate::settings::lookup::Settings;
use crate::settings::profiles::for_line;
use crate::settings::provider::{
    BearerFile, ClientSettings, HttpSettings, KeyLocation, ProviderIntrospection, ProviderKeys,
    ProxySettings,
};
use crate::settings::provisioning::{Provisioning, is_provisioned, read_provisioning};
use crate::settings::tables::{Number, Switch, Text};
use crate::settings::values::{
    AbsolutePath, MapName, OptionalClaimPath, OptionalProxy, OptionalUrl, PlainText,
};

/// All settings for logins through one HBA line.
pub struct LoginSettings {
    /// The profile that applies.
    pub profile: Option<&'static str>,
    /// The policy for tokens.
    pub policy: Policy,
    /// Where the keys come from.
    pub keys: ProviderKeys,
    /// Whether a token that others could read on its way here is refused.
    pub require_tls: bool,
    /// Whether a password is not asked for over an unencrypted connection.
    pub password_requires_tls: bool,
    /// Asks the provider about tokens, if the policy requires it.
    pub introspection: Option<ProviderIntrospection>,
    /// Whether a session ends when its token does.
    pub session_expiry: bool,
    /// How the role is provisioned, if it is.
    pub provisioning: Option<Provisioning>,
    /// Whether a login that succeeds is logged.
    pub log_accepted: bool,
}

/// Reads the settings for a login through `line`, which has `options`. They are too large to be handed on from frame to frame
/// of the stack, of which a login pays for each new page.
///
/// Errors: what is set, or not set, allows no judgement.
pub fn read(line: &HbaLine, options: &LineOptions) -> Result<Box<LoginSettings>, Misconfigured> {
    let settings = for_line(line, options)?;
    if !settings.switch(Switch::Enabled) {
        return Err(Misconfigured::Disabled);
    }
    gucs::ensure_none_was_refused()?;
    let keys = read_keys(&settings, &line.issuer)?;
    let policy = policy_of(&settings, line, keys.issuer.clone())?.build()?;
    let introspection = read_introspection(&settings, &keys)?;
    Ok(Box::new(LoginSettings {
        profile: settings.profile(),
        policy,
        keys,
        require_tls: settings.switch(Switch::RequireTls),
        password_requires_tls: settings.switch(Switch::PasswordRequiresTls),
        introspection,
        session_expiry: settings.switch(Switch::SessionExpiry),
        provisioning: read_provisioning(&settings)?,
        log_accepted: settings.switch(Switch::LogAccepted),
    }))
}

/// The policy for tokens from these settings.
///
/// Errors: a setting has an invalid value. Combinations of settings are not checked here.
pub fn policy_of(
    settings: &Settings,
    line: &HbaLine,
    issuer: Issuer,
) -> Result<PolicyBuilder, Misconfigured> {
    let max_token_age = settings.number(Number::MaxTokenAge);
    let OptionalClaimPath(role_claim) = settings.text(Text::RoleClaim)?;
    let MapName(role_map) = settings.text(Text::RoleMap)?;
    let mut policy = Policy::builder(issuer)
        .preset(settings.text(Text::Provider)?)
        .required_scopes(&line.scope)
        .delegated(line.delegated)
        .mapped(line.mapped)
        .identity_rule(line.identity_rule.clone())
        .access_token_issuer(settings.text(Text::AccessTokenIssuer)?)
        .audience(settings.text(Text::Audience)?)
        .identity_prefix(settings.text(Text::IdentityPrefix)?)
        .identity_case(settings.text(Text::IdentityCase)?)
        .required_claims(settings.text(Text::RequiredClaims)?)
        .client_ids(settings.text(Text::ClientIds)?)
        .clock_skew(seconds(settings, Number::ClockSkew))
        .max_token_age((max_token_age > 0).then(|| Duration::from_secs(max_token_age)))
        .role_claim(role_claim)
        .role_separator(settings.text(Text::RoleSeparator)?)
        .role_map(role_map)
        .provisioned(is_provisioned(settings)?)
        .allow_superuser(settings.switch(Switch::AllowSuperuser))
        .require_bound_token(settings.switch(Switch::RequireBoundToken))
        .introspection(IntrospectionRules {
            mode: settings.text(Text::Introspection)?,
            audience_required: settings.switch(Switch::IntrospectionAudienceRequired),
            exp_required: settings.switch(Switch::IntrospectionExpRequired),
        })
        .max_token_size(usize::try_from(settings.number(Number::MaxTokenSize)).unwrap_or(0));
    // The provider's defaults apply to these if they are not set.
    if let Some(algorithms) = settings.explicit_text(Text::Algorithms)? {
        policy = policy.algorithms(algorithms);
    }
    if let Some(token_types) = settings.explicit_text(Text::TokenTypes)? {
        policy = policy.token_types(token_types);
    }
    if let Some(identity_claim) = settings.explicit_text(Text::IdentityClaim)? {
        policy = policy.identity_claim(identity_claim);
    }
    if let Some(optional_scopes) = settings.explicit_text(Text::OptionalScopes)? {
        policy = policy.optional_scopes(optional_scopes);
    }
    Ok(policy)
}

/// An issuer's own name, by which it is counted and shown; a text that is not an issuer is taken as it is.
pub fn issuer_name(url: &str) -> String {
    Issuer::parse_allowing(url, true)
        .map_or_else(|_| url.to_owned(), |issuer| issuer.identifier().to_owned())
}

/// Where the keys of an issuer come from by these settings.
pub fn read_keys(settings: &Settings, url: &str) -> Result<ProviderKeys, Misconfigured> {
    let mut issuer = Issuer::parse_allowing(url, settings.switch(Switch::AllowHttp))?;
    if let Some(discovery) = endpoint(settings, Text::DiscoveryUrl)? {
        issuer = issuer.with_discovery(discovery);
    }
    let AbsolutePath(file) = settings.text(Text::JwksFile)?;
    let location = match (file, endpoint(settings, Text::JwksUri)?) {
        (Some(file), _) => KeyLocation::File(file),
        (None, Some(jwks_uri)) => KeyLocation::JwksUri(jwks_uri),
        (None, None) => KeyLocation::Metadata,
    };
    let AbsolutePath(ca_file) = settings.text(Text::CaFile)?;
    let ca_file_only = settings.switch(Switch::CaFileOnly);
    if ca_file_only && ca_file.is_none() {
        return Err(settings.invalid(Text::CaFile, "ca_file_only is on, but ca_file is not set"));
    }
    let AbsolutePath(bearer_file) = settings.text(Text::HttpBearerFile)?;
    // A URL that only the metadata names does not receive the token.
    let mut named = vec![issuer.discovery().clone()];
    if let KeyLocation::JwksUri(jwks_uri) = &location {
        named.push(jwks_uri.clone());
    }
    let bearer = bearer_file.map(|file| BearerFile {
        file,
        for_servers_of: named,
    });
    Ok(ProviderKeys {
        issuer,
        url: url.to_owned(),
        location,
        limits: cache_limits(settings),
        http: HttpSettings {
            ca_file,
            ca_file_only,
            bearer,
            proxy: read_proxy(settings)?,
        },
        timeout: Duration::from_millis(settings.number(Number::HttpTimeout)),
    })
}

/// How long keys are used, and how often they are asked for: the same for all lines and profiles.
pub fn cache_limits(settings: &Settings) -> CacheLimits {
    CacheLimits {
        min_ttl: seconds(settings, Number::JwksMinTtl),
        max_ttl: seconds(settings, Number::JwksMaxTtl),
        stale_ttl: seconds(settings, Number::JwksStaleTtl),
        refresh_cooldown: seconds(settings, Number::JwksRefreshCooldown),
    }
}

/// The proxy by which the provider is asked, if there is one.
fn read_proxy(settings: &Settings) -> Result<Option<ProxySettings>, Misconfigured> {
    let OptionalProxy(proxy) = settings.text(Text::HttpProxy)?;
    let AbsolutePath(secret_file) = settings.text(Text::HttpProxySecretFile)?;
    let except = settings.text(Text::NoProxy)?;
    Ok(proxy.map(|proxy| ProxySettings {
        rules: ProxyRules { proxy, except },
        secret_file,
    }))
}

/// How the provider of these keys is asked about tokens, if introspection is on.
///
/// Errors: this server's client identifier is not set, or a setting is invalid.
pub fn read_introspection(
    settings: &Settings,
    keys: &ProviderKeys,
) -> Result<Option<ProviderIntrospection>, Misconfigured> {
    if settings.text::<IntrospectionMode>(Text::Introspection)? == IntrospectionMode::Off {
        return Ok(None);
    }
    let PlainText(id) = settings.text(Text::ClientId)?;
    let method = settings.text(Text::ClientAuthMethod)?;
    if id.is_empty() && method != ClientAuthMethod::None {
        return Err(settings.invalid(Text::ClientId, "it is required for introspection"));
    }
    let file = |which| {
        settings
            .text(which)
            .map(|AbsolutePath(path): AbsolutePath| path)
    };
    let endpoint = endpoint(settings, Text::IntrospectionEndpoint)?;
    let mut http = keys.http.clone();
    if let (Some(bearer), Some(named)) = (&mut http.bearer, &endpoint) {
        bearer.for_servers_of.push(named.clone());
    }
    Ok(Some(ProviderIntrospection {
        issuer: keys.issuer.clone(),
        endpoint,
        client: ClientSettings {
            id,
            method,
            secret_file: file(Text::ClientSecretFile)?,
            key_file: file(Text::ClientKeyFile)?,
            cert_file: file(Text::ClientCertFile)?,
        },
        ttl: seconds(settings, Number::IntrospectionCacheTtl),
        metadata_limits: keys.limits,
        http,
        timeout: keys.timeout,
    }))
}

fn seconds(settings: &Settings, which: Number) -> Duration {
    Duration::from_secs(settings.number(which))
}

/// A URL setting. Plain http is as little allowed as in pg_hba.conf.
fn endpoint(settings: &Settings, which: Text) -> Result<Option<Endpoint>, Misconfigured> {
    let OptionalUrl(url) = settings.text(which)?;
    let allow_http = settings.switch(Switch::AllowHttp);
    url.map(|url| Endpoint::parse_allowing(&url, allow_http))
        .transpose()
        .map_err(|why| settings.invalid(which, why))
}
