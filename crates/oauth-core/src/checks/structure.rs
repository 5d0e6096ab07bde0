//! From text to an unverified token: RFC 7515 §5.2, steps 1 to 6.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::basics::bearer::Bearer;
use crate::basics::json::{self, Object};
use crate::basics::printable::Printable;
use crate::checks::shape::{MAX_HEADER_BYTES, Shape};
use crate::failure::reject::Reject;
use crate::keys::algorithm::Algorithm;
use crate::keys::certificate_tags::CertificateTags;
use crate::keys::source::KeyReference;
use crate::policy::Policy;

/// Whether a token cannot be judged here at all, so that only the provider can. One that only looks malformed to us is
/// not opaque.
pub(crate) fn is_opaque(token: &Bearer<'_>) -> bool {
    matches!(Shape::of(token), Shape::Opaque | Shape::Encrypted)
}

/// A token whose structure and header are acceptable, and of which nothing is proven yet.
pub(crate) struct UnverifiedToken<'a> {
    pub(crate) header: JoseHeader,
    /// RFC 7515 §5.2: what the signature is over, `header "." payload` as sent.
    pub(crate) signing_input: &'a str,
    /// The decoded payload; nothing reads it before the signature is verified.
    pub(crate) payload: Vec<u8>,
    /// The signature as sent, known to be base64url.
    pub(crate) signature: &'a str,
}

/// What is used of the JOSE header (RFC 7515 §4.1). Keys and key locations in it (`jwk`, `jku`,
/// `x5c`, `x5u`) are chosen by the sender and never read.
pub(crate) struct JoseHeader {
    pub(crate) alg: Algorithm,
    pub(crate) kid: Option<String>,
    /// What names the key where there is no `kid`.
    pub(crate) certificate: CertificateTags,
}

impl<'a> UnverifiedToken<'a> {
    /// Checks size, structure, encoding and header. Nothing is fetched for a token that fails here.
    pub(crate) fn parse(token: &Bearer<'a>, policy: &Policy) -> Result<Self, Reject> {
        let text = token.expose();
        validate_size(token, policy)?;
        let (signing_input, header, payload, signature) =
            split(text).ok_or_else(|| match Shape::of(token) {
                Shape::Opaque => Reject::NotAJwt,
                Shape::Encrypted => Reject::Encrypted,
                Shape::Signed => Reject::MalformedJwt,
            })?;
        let header = decode(header)?;
        let payload = decode(payload)?;
        decode(signature)?;
        Ok(UnverifiedToken {
            header: JoseHeader::parse(&header, policy)?,
            signing_input,
            payload,
            signature,
        })
    }
}

/// Larger tokens are rejected without being parsed.
pub(crate) fn validate_size(token: &Bearer<'_>, policy: &Policy) -> Result<(), Reject> {
    let size = token.expose().len();
    if size > policy.max_token_size() {
        return Err(Reject::TokenTooLarge { size });
    }
    Ok(())
}

/// RFC 7515 §7.1: three parts.
fn split(text: &str) -> Option<(&str, &str, &str, &str)> {
    let (signing_input, signature) = text.rsplit_once('.')?;
    let (header, payload) = signing_input.split_once('.')?;
    (!payload.contains('.')).then_some((signing_input, header, payload, signature))
}

/// RFC 7515 §2: base64url without padding, white space or stray bits.
fn decode(part: &str) -> Result<Vec<u8>, Reject> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| Reject::BadEncoding)
}

impl JoseHeader {
    /// What it says about the key.
    pub(crate) fn key_reference(&self) -> KeyReference<'_> {
        KeyReference {
            certificate: self.certificate,
            ..KeyReference::new(self.kid.as_deref(), self.alg)
        }
    }

    fn parse(bytes: &[u8], policy: &Policy) -> Result<Self, Reject> {
        if bytes.len() > MAX_HEADER_BYTES {
            return Err(Reject::HeaderTooLarge {
                size: bytes.len(),
                limit: MAX_HEADER_BYTES,
            });
        }
        let header = json::parse_object(bytes).map_err(|_| Reject::HeaderMalformed)?;
        let alg = parse_alg(&header, policy)?;
        // RFC 7515 §4.1.11: we understand no extension, so any "crit" is a refusal.
        if header.contains_key("crit") {
            return Err(Reject::CritUnsupported);
        }
        validate_typ(&header, policy)?;
        let kid = parse_kid(&header)?.map(str::to_owned);
        let certificate = match kid {
            Some(_) => CertificateTags::NONE,
            None => parse_thumbprints(&header)?,
        };
        Ok(JoseHeader {
            alg,
            kid,
            certificate,
        })
    }
}

/// RFC 8725 §3.1: only algorithms that the policy lists are ever used.
fn parse_alg(header: &Object, policy: &Policy) -> Result<Algorithm, Reject> {
    let name = string_member(header, "alg")?;
    name.and_then(Algorithm::from_name)
        .filter(|alg| policy.algorithms().contains(*alg))
        .ok_or_else(|| Reject::AlgNotAllowed {
            alg: name.map(Printable::new),
        })
}

/// RFC 9068 §4: the type must be one that the policy lists.
fn validate_typ(header: &Object, policy: &Policy) -> Result<(), Reject> {
    let typ = string_member(header, "typ")?;
    if policy.token_types().accept(typ) {
        Ok(())
    } else {
        Err(Reject::TypNotAllowed {
            typ: typ.map(Printable::new),
        })
    }
}

/// RFC 7515 §4.1.4: the key is named, or not.
fn parse_kid(header: &Object) -> Result<Option<&str>, Reject> {
    name_member(header, "kid")
}

/// RFC 7515 §4.1.7, §4.1.8: what names the key's certificate; a text that is not a thumbprint names none. The certificate
/// itself (`x5c`) is never read.
fn parse_thumbprints(header: &Object) -> Result<CertificateTags, Reject> {
    let thumbprint = |name: &str| {
        let text = name_member(header, name)?;
        Ok(text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()))
    };
    Ok(CertificateTags::new(
        thumbprint("x5t")?,
        thumbprint("x5t#S256")?,
    ))
}

/// A member that names the key. Some providers write `null` or an empty string where it is not named.
fn name_member<'a>(header: &'a Object, name: &str) -> Result<Option<&'a str>, Reject> {
    match header.get(name) {
        Some(Value::Null) => Ok(None),
        _ => Ok(string_member(header, name)?.filter(|text| !text.is_empty())),
    }
}

/// A member that must be a string if it is there.
fn string_member<'a>(header: &'a Object, name: &str) -> Result<Option<&'a str>, Reject> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Reject::HeaderMalformed),
    }
}
