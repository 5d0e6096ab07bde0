//! From an unverified to a verified token: RFC 7515 §5.2, steps 7 and 8.

use jsonwebtoken::crypto;

use crate::json::{self, JsonError, Object};
use crate::jwk::PublicKey;
use crate::reject::Reject;
use crate::token::UnverifiedToken;

/// The claims of a token whose signature is the issuer's. Only [`UnverifiedToken::verify`] makes one.
pub(crate) struct VerifiedToken {
    claims: Object,
}

impl UnverifiedToken<'_> {
    /// Verifies the signature, and only then reads the claims.
    pub(crate) fn verify(self, key: &PublicKey) -> Result<VerifiedToken, Reject> {
        verify_signature(&self, key)?;
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

/// RFC 7515 §5.2, step 8. A key of the wrong kind, or one that is no point of its curve, verifies nothing.
fn verify_signature(token: &UnverifiedToken<'_>, key: &PublicKey) -> Result<(), Reject> {
    let verified = crypto::verify(
        token.signature,
        token.signing_input.as_bytes(),
        &key.to_decoding_key(),
        token.header.alg.to_jsonwebtoken(),
    );
    match verified {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(Reject::BadSignature),
    }
}
