//! The settings as a login sees them: read into a policy, and into where the provider's keys are.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use oauth_core::{CacheLimits, ClaimPath, Endpoint, Issuer, Misconfigured, Policy, SettingError};

use crate::gucs::{self, Number, Switch, Text};
use crate::hba::HbaLine;
use crate::http_client::HttpSettings;
use crate::key_source::{KeyLocation, ProviderKeys};

/// Everything that the settings say about logins through one HBA line.
pub struct LoginSettings {
    /// What a token must be like.
    pub policy: Policy,
    /// Where the keys come from.
    pub keys: ProviderKeys,
}

/// Reads the settings for a login through `line`.
///
/// Errors: what is set, or not set, allows no judgement.
pub fn read(line: &HbaLine) -> Result<LoginSettings, Misconfigured> {
    if !gucs::switch(Switch::Enabled) {
        return Err(Misconfigured::Disabled);
    }
    gucs::ensure_none_was_refused()?;
    let keys = provider_keys(&line.issuer)?;
    let max_token_age = gucs::number(Number::MaxTokenAge);
    let OptionalClaimPath(role_claim) = gucs::text(Text::RoleClaim)?;
    let MapName(role_map) = gucs::text(Text::RoleMap)?;
    let policy = Policy::builder(keys.issuer.clone())
        .required_scopes(&line.scope)
        .delegated(line.delegated)
        .audience(gucs::text(Text::Audience)?)
        .algorithms(gucs::text(Text::Algorithms)?)
        .token_types(gucs::text(Text::TokenTypes)?)
        .identity_claim(gucs::text(Text::IdentityClaim)?)
        .identity_prefix(gucs::text(Text::IdentityPrefix)?)
        .required_claims(gucs::text(Text::RequiredClaims)?)
        .client_ids(gucs::text(Text::ClientIds)?)
        .optional_scopes(gucs::text(Text::OptionalScopes)?)
        .clock_skew(seconds(Number::ClockSkew))
        .max_token_age((max_token_age > 0).then(|| Duration::from_secs(max_token_age)))
        .role_claim(role_claim)
        .role_map(role_map)
        .allow_superuser(gucs::switch(Switch::AllowSuperuser))
        .max_token_size(usize::try_from(gucs::number(Number::MaxTokenSize)).unwrap_or(0))
        .build()?;
    Ok(LoginSettings { policy, keys })
}

/// Where the keys of the issuer come from that pg_hba.conf names by `url`.
pub fn provider_keys(url: &str) -> Result<ProviderKeys, Misconfigured> {
    let mut issuer = Issuer::parse_allowing(url, gucs::switch(Switch::AllowHttp))?;
    if let Some(discovery) = endpoint(Text::DiscoveryUrl)? {
        issuer = issuer.with_discovery(discovery);
    }
    let AbsolutePath(file) = gucs::text(Text::JwksFile)?;
    let location = match (file, endpoint(Text::JwksUri)?) {
        (Some(file), _) => KeyLocation::File(file),
        (None, Some(jwks_uri)) => KeyLocation::JwksUri(jwks_uri),
        (None, None) => KeyLocation::Metadata,
    };
    let AbsolutePath(ca_file) = gucs::text(Text::CaFile)?;
    Ok(ProviderKeys {
        issuer,
        url: url.to_owned(),
        location,
        limits: CacheLimits {
            min_ttl: seconds(Number::JwksMinTtl),
            max_ttl: seconds(Number::JwksMaxTtl),
            stale_ttl: seconds(Number::JwksStaleTtl),
            refresh_cooldown: seconds(Number::JwksRefreshCooldown),
        },
        http: HttpSettings { ca_file },
        timeout: http_timeout(),
    })
}

/// How long a login may wait for the provider.
pub fn http_timeout() -> Duration {
    Duration::from_millis(gucs::number(Number::HttpTimeout))
}

fn seconds(which: Number) -> Duration {
    Duration::from_secs(gucs::number(which))
}

/// A URL setting. Plain http is as little allowed as in pg_hba.conf.
fn endpoint(which: Text) -> Result<Option<Endpoint>, Misconfigured> {
    let OptionalUrl(url) = gucs::text(which)?;
    let allow_http = gucs::switch(Switch::AllowHttp);
    url.map(|url| Endpoint::parse_allowing(&url, allow_http))
        .transpose()
        .map_err(|why| gucs::invalid(which, why))
}

/// Where a claim is found. Empty: none.
pub struct OptionalClaimPath(pub Option<ClaimPath>);

impl FromStr for OptionalClaimPath {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = (!text.is_empty()).then(|| text.parse()).transpose()?;
        Ok(OptionalClaimPath(path))
    }
}

/// The name of a map in pg_ident.conf. Empty: none.
pub struct MapName(pub Option<String>);

impl FromStr for MapName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" => Ok(MapName(None)),
            name if name.chars().any(|c| c.is_control() || c.is_whitespace()) => {
                Err("the name of a map has no space in it")
            }
            name => Ok(MapName(Some(name.to_owned()))),
        }
    }
}

/// A path that does not depend on the server's working directory. Empty: none.
pub struct AbsolutePath(pub Option<PathBuf>);

impl FromStr for AbsolutePath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" => Ok(AbsolutePath(None)),
            path if path.starts_with('/') => Ok(AbsolutePath(Some(PathBuf::from(path)))),
            _ => Err("an absolute path is needed"),
        }
    }
}

/// A URL that may be asked where plain http is allowed. Empty: none.
pub struct OptionalUrl(pub Option<String>);

impl FromStr for OptionalUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" => Ok(OptionalUrl(None)),
            url => Endpoint::parse_allowing(url, true).map(|_| OptionalUrl(Some(url.to_owned()))),
        }
    }
}
