//! The signature algorithms that can be accepted (RFC 7518 §3.1, RFC 8037 §3.1).

use std::str::FromStr;

use crate::basics::printable::Printable;
use crate::basics::setting::{SettingError, parse_list};

/// An asymmetric signature algorithm. `none` and the HMAC family are not among them, so that no
/// setting can allow them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
    EdDSA,
}

/// The kind of key that an algorithm needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// An RSA key.
    Rsa,
    /// An elliptic curve key on P-256.
    P256,
    /// An elliptic curve key on P-384.
    P384,
    /// An elliptic curve key on P-521.
    P521,
    /// An Edwards curve key on Ed25519.
    Ed25519,
}

impl KeyKind {
    /// RFC 7517 §4.1, RFC 7518 §6.2.1.1, RFC 8037 §2: `kty`, and `crv` where there is one.
    pub(crate) fn names(self) -> (&'static str, Option<&'static str>) {
        match self {
            KeyKind::Rsa => ("RSA", None),
            KeyKind::P256 => ("EC", Some("P-256")),
            KeyKind::P384 => ("EC", Some("P-384")),
            KeyKind::P521 => ("EC", Some("P-521")),
            KeyKind::Ed25519 => ("OKP", Some("Ed25519")),
        }
    }
}

impl Algorithm {
    /// All of them, in the order of the documentation.
    pub const ALL: [Algorithm; 10] = [
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::ES512,
        Algorithm::EdDSA,
    ];

    /// The name in a JOSE header. Names are case-sensitive (RFC 7515 §4.1.1).
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::RS256 => "RS256",
            Algorithm::RS384 => "RS384",
            Algorithm::RS512 => "RS512",
            Algorithm::PS256 => "PS256",
            Algorithm::PS384 => "PS384",
            Algorithm::PS512 => "PS512",
            Algorithm::ES256 => "ES256",
            Algorithm::ES384 => "ES384",
            Algorithm::ES512 => "ES512",
            Algorithm::EdDSA => "EdDSA",
        }
    }

    /// The algorithm of that name, if it is one of these. RFC 9864 §2.2 calls EdDSA with this curve `Ed25519`.
    pub fn from_name(name: &str) -> Option<Algorithm> {
        if name == "Ed25519" {
            return Some(Algorithm::EdDSA);
        }
        Algorithm::ALL.into_iter().find(|alg| alg.name() == name)
    }

    /// The kind of key that verifies this algorithm's signatures.
    pub fn key_kind(self) -> KeyKind {
        match self {
            Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 => KeyKind::Rsa,
            Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512 => KeyKind::Rsa,
            Algorithm::ES256 => KeyKind::P256,
            Algorithm::ES384 => KeyKind::P384,
            Algorithm::ES512 => KeyKind::P521,
            Algorithm::EdDSA => KeyKind::Ed25519,
        }
    }

    /// The same algorithm in the words of the crate that verifies signatures; `None` if it does not have it.
    pub(crate) fn to_jsonwebtoken(self) -> Option<jsonwebtoken::Algorithm> {
        Some(match self {
            Algorithm::RS256 => jsonwebtoken::Algorithm::RS256,
            Algorithm::RS384 => jsonwebtoken::Algorithm::RS384,
            Algorithm::RS512 => jsonwebtoken::Algorithm::RS512,
            Algorithm::PS256 => jsonwebtoken::Algorithm::PS256,
            Algorithm::PS384 => jsonwebtoken::Algorithm::PS384,
            Algorithm::PS512 => jsonwebtoken::Algorithm::PS512,
            Algorithm::ES256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::ES384 => jsonwebtoken::Algorithm::ES384,
            Algorithm::ES512 => return None,
            Algorithm::EdDSA => jsonwebtoken::Algorithm::EdDSA,
        })
    }
}

/// The algorithms that a policy accepts: a non-empty set.
///
/// ```
/// use oauth_core::{Algorithm, Algorithms};
/// let accepted: Algorithms = "ES256, EdDSA".parse().unwrap();
/// assert!(accepted.contains(Algorithm::EdDSA) && !accepted.contains(Algorithm::RS256));
/// assert!("HS256".parse::<Algorithms>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Algorithms(Vec<Algorithm>);

impl Algorithms {
    pub(crate) fn of(algorithms: &[Algorithm]) -> Self {
        Algorithms(algorithms.to_vec())
    }

    /// Whether `alg` is accepted.
    pub fn contains(&self, alg: Algorithm) -> bool {
        self.0.contains(&alg)
    }

    /// The names, separated by commas, as the setting has them.
    pub fn names(&self) -> String {
        self.0
            .iter()
            .map(|alg| alg.name())
            .collect::<Vec<_>>()
            .join(", ")
    }
}

impl Default for Algorithms {
    fn default() -> Self {
        Algorithms(Algorithm::ALL.to_vec())
    }
}

impl FromStr for Algorithms {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let mut accepted = Vec::new();
        for name in parse_list(text)? {
            let alg = Algorithm::from_name(&name).ok_or_else(|| {
                SettingError::new(format!(
                    "\"{}\" is not a supported asymmetric signature algorithm; supported are {}",
                    Printable::new(&name),
                    Algorithms::default().names(),
                ))
            })?;
            if !accepted.contains(&alg) {
                accepted.push(alg);
            }
        }
        if accepted.is_empty() {
            return Err(SettingError::new("at least one algorithm is required"));
        }
        Ok(Algorithms(accepted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_accepts_every_supported_algorithm() {
        let accepted = Algorithms::default();
        assert!(Algorithm::ALL.into_iter().all(|alg| accepted.contains(alg)));
        assert_eq!(
            accepted.names().parse::<Algorithms>().as_ref(),
            Ok(&accepted)
        );
    }

    #[test]
    fn refuses_symmetric_unsigned_unknown_and_empty() {
        for text in [
            "HS256",
            "none",
            "None",
            "rs256",
            "ES521",
            "ES256K",
            "RS256 ES256",
            "",
            " , ",
            "RS256,",
        ] {
            assert!(text.parse::<Algorithms>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn names_are_case_sensitive() {
        assert_eq!(Algorithm::from_name("EdDSA"), Some(Algorithm::EdDSA));
        assert_eq!(Algorithm::from_name("eddsa"), None);
    }
}
