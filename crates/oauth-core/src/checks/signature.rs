//! From an unverified to a verified token: RFC 7515 §5.2, steps 7 and 8.

use crate::basics::json::{self, JsonError, Object};
use crate::checks::structure::UnverifiedToken;
use crate::failure::Failure;
use crate::failure::reject::Reject;
use crate::keys::source::{FoundKeys, KeySource};

/// The claims of a token whose signature is the issuer's. Only [`UnverifiedToken::verify`] makes one.
pub(crate) struct VerifiedToken {
    claims: Object,
}

impl UnverifiedToken<'_> {
    /// Verifies the signature by the keys that the source has, or else by newer ones, if it may ask for them.
    pub(crate) fn verify_by(
        &self,
        keys: &FoundKeys,
        source: &dyn KeySource,
    ) -> Result<VerifiedToken, Failure> {
        match self.verify(keys) {
            Err(Reject::BadSignature { .. }) => {
                let newer = source.find_newer_keys(&self.header.key_reference(), keys)?;
                Ok(self.verify(&newer)?)
            }
            verified => Ok(verified?),
        }
    }

    /// Verifies the signature by one of these keys, and only then reads the claims.
    fn verify(&self, keys: &FoundKeys) -> Result<VerifiedToken, Reject> {
        verify_signature(self, keys)?;
        let claims = json::parse_object(&self.payload).map_err(|error| match error {
            JsonError::Malformed => Reject::ClaimsMalformed,
            JsonError::Duplicate => Reject::DuplicateClaim,
        })?;
        Ok(VerifiedToken { claims })
    }
}

impl VerifiedToken {
    pub(crate) fn claims(&self) -> &Object {
        &self.claims
    }

    pub(crate) fn into_claims(self) -> Object {
        self.claims
    }
}

/// RFC 7515 §5.2, step 8; appendix D: where it is open which key it is, each is tried.
fn verify_signature(token: &UnverifiedToken<'_>, keys: &FoundKeys) -> Result<(), Reject> {
    let (alg, input) = (token.header.alg, token.signing_input.as_bytes());
    match keys
        .iter()
        .any(|key| key.verifies(alg, input, token.signature))
    {
        true => Ok(()),
        false => Err(Reject::BadSignature { again_in: None }),
    }
}
