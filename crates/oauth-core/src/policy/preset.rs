//! The conventions of well-known providers, by name. An administrator chooses a preset; it is never guessed from a
//! host name.

use std::fmt;
use std::str::FromStr;

use crate::basics::setting::SettingError;
use crate::policy::provider_rules::{self as rules, ProviderRules};

/// The conventions of one provider.
///
/// ```
/// use oauth_core::Preset;
/// let okta: Preset = "okta".parse().unwrap();
/// assert_eq!(okta.default_of("role_claim").as_deref(), Some("groups"));
/// assert!("https://corp.okta.com".parse::<Preset>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Preset(&'static ProviderRules);

impl Preset {
    /// RFC 9068, and nothing else.
    pub const GENERIC: Preset = Preset(&rules::GENERIC);

    /// Every preset.
    pub const ALL: [Preset; 16] = [
        Preset::GENERIC,
        Preset(&rules::KEYCLOAK),
        Preset(&rules::ENTRA),
        Preset(&rules::OKTA),
        Preset(&rules::AUTH0),
        Preset(&rules::COGNITO),
        Preset(&rules::GOOGLE),
        Preset(&rules::GITLAB),
        Preset(&rules::GITHUB_ACTIONS),
        Preset(&rules::KUBERNETES),
        Preset(&rules::AUTHENTIK),
        Preset(&rules::ZITADEL),
        Preset(&rules::PING),
        Preset(&rules::SPIFFE),
        Preset(&rules::DEX),
        Preset(&rules::ADFS),
    ];

    /// The preset of this name.
    pub fn by_name(name: &str) -> Option<Preset> {
        Preset::ALL.into_iter().find(|preset| preset.name() == name)
    }

    /// The name.
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// The preset's default for a setting, as that setting's text; `None` if it has none.
    pub fn default_of(&self, setting: &str) -> Option<String> {
        match setting {
            "token_types" => Some(self.0.token_types.join(", ")),
            "algorithms" => self.0.algorithms.map(|list| {
                list.iter()
                    .map(|alg| alg.name())
                    .collect::<Vec<_>>()
                    .join(", ")
            }),
            "optional_scopes" => Some(self.0.optional_scopes.join(", ")),
            "identity_claim" => Some(self.0.identity_claim.to_owned()),
            "role_claim" => self.0.role_claim.map(str::to_owned),
            _ => None,
        }
    }

    /// The claims that name the client, the one that counts first.
    pub fn client_claims(&self) -> &'static [&'static str] {
        self.0.client_claims
    }

    /// The claims that carry scopes; none if the provider's tokens have no such claim.
    pub fn scope_claims(&self) -> &'static [&'static str] {
        match self.0.scope.may_lack {
            true => &[],
            false => self.0.scope.claims,
        }
    }

    pub(crate) fn rules(&self) -> &'static ProviderRules {
        self.0
    }
}

impl Default for Preset {
    fn default() -> Self {
        Preset::GENERIC
    }
}

impl fmt::Debug for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Preset({})", self.name())
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        Preset::by_name(text).ok_or_else(|| {
            let names: Vec<&str> = Preset::ALL.iter().map(Preset::name).collect();
            SettingError::new(format!("it must be one of {}", names.join(", ")))
        })
    }
}
