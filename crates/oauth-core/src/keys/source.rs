//! Where keys come from: passed in, so that a judgement needs no network.

use crate::failure::Failure;
use crate::keys::algorithm::Algorithm;
use crate::keys::jwk::JwkSet;
use crate::keys::public_key::PublicKey;

/// Finds the key that verifies a token. Asked only for tokens whose structure and header are acceptable.
pub trait KeySource {
    /// The key of the policy's issuer for a token with this `kid` (`None`: it names none) and `alg`.
    ///
    /// Errors: a `Reject` if the issuer has no such key, `Unavailable` if its keys are not available.
    fn find_key(&self, kid: Option<&str>, alg: Algorithm) -> Result<PublicKey, Failure>;
}

/// A key set that is available in memory.
impl KeySource for JwkSet {
    fn find_key(&self, kid: Option<&str>, alg: Algorithm) -> Result<PublicKey, Failure> {
        self.select(kid, alg).cloned().map_err(Failure::from)
    }
}
