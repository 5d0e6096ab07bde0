//! Which tokens the provider is asked about (RFC 7662), and what its answers may lack.

use std::str::FromStr;

use crate::basics::setting::SettingError;

/// Which tokens the provider is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IntrospectionMode {
    /// None.
    #[default]
    Off,
    /// Tokens that cannot be judged here because they are not signed JWTs.
    Opaque,
    /// All: signed JWTs too, after every check that can be made here.
    Always,
}

impl FromStr for IntrospectionMode {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        match text {
            "off" => Ok(IntrospectionMode::Off),
            "opaque" => Ok(IntrospectionMode::Opaque),
            "always" => Ok(IntrospectionMode::Always),
            _ => Err(SettingError::new("it must be one of off, opaque, always")),
        }
    }
}

/// What of an answer may be missing; everything that is there is always checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntrospectionRules {
    /// Which tokens the provider is asked about.
    pub mode: IntrospectionMode,
    /// Whether an answer must have `aud`.
    pub audience_required: bool,
    /// Whether an answer must have `exp`.
    pub exp_required: bool,
}

impl Default for IntrospectionRules {
    fn default() -> Self {
        IntrospectionRules {
            mode: IntrospectionMode::Off,
            audience_required: true,
            exp_required: true,
        }
    }
}
