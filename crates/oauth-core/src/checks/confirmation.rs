//! Proof that the bearer is the one the token was given to: RFC 7800, RFC 8705.

use aws_lc_rs::constant_time;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::basics::digest::sha256;
use crate::basics::json::Object;
use crate::basics::printable::Printable;
use crate::failure::Failure;
use crate::failure::misconfigured::Misconfigured;
use crate::failure::reject::Reject;
use crate::policy::Policy;

/// RFC 8705 §3.1: the SHA-256 of the certificate's DER.
const CERTIFICATE_METHOD: &str = "x5t#S256";

/// What is known of the client's end of the connection.
pub trait Peer {
    /// The DER of the certificate that the client presented by TLS, if it did. Asked only for tokens
    /// that are bound to a certificate.
    ///
    /// Errors: the server cannot determine whether the client has one.
    fn certificate_der(&self) -> Result<Option<Vec<u8>>, Misconfigured>;
}

/// A client that presented no certificate.
#[derive(Debug, Clone, Copy)]
pub struct NoCertificate;

impl Peer for NoCertificate {
    fn certificate_der(&self) -> Result<Option<Vec<u8>>, Misconfigured> {
        Ok(None)
    }
}

/// RFC 7800 §3.1: a token with `cnf` is valid only with its proof. A binding that cannot be proven here is refused.
/// A token without `cnf` works for anyone who has it; the policy may refuse such tokens.
pub(crate) fn validate_confirmation(
    claims: &Object,
    policy: &Policy,
    peer: &dyn Peer,
) -> Result<(), Failure> {
    let methods = match claims.get("cnf") {
        None if policy.requires_bound_token() => return Err(Reject::TokenNotBound.into()),
        None => return Ok(()),
        Some(Value::Object(methods)) => methods,
        Some(_) => return Err(Reject::CnfMalformed.into()),
    };
    if let Some(other) = methods.keys().find(|method| *method != CERTIFICATE_METHOD) {
        let method = Printable::new(other);
        return Err(Reject::CnfUnsupported { method }.into());
    }
    let bound_to = methods
        .get(CERTIFICATE_METHOD)
        .and_then(Value::as_str)
        .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .filter(|digest| digest.len() == 32)
        .ok_or(Reject::CnfMalformed)?;
    let presented = peer.certificate_der()?.ok_or(Reject::CertificateMissing)?;
    constant_time::verify_slices_are_equal(&bound_to, &sha256(&[&presented]))
        .map_err(|_| Reject::CertificateMismatch.into())
}
