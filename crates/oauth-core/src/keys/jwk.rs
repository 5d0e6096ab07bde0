//! The provider's keys: RFC 7517, with the key types of RFC 7518 §6 and RFC 8037 §2.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
    VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk as ParsedJwk, KeyOperations, PublicKeyUse,
};
use serde_json::Value;

use crate::basics::json;
use crate::basics::printable::Printable;
use crate::failure::reject::Reject;
use crate::failure::unavailable::UnavailableCause;
use crate::keys::algorithm::{Algorithm, Algorithms};
use crate::keys::ed25519::has_small_order;
use crate::keys::public_key::PublicKey;
use crate::keys::record::{KeyHead, select_key};

/// Keys that are considered of one set; providers publish two to ten.
const MAX_KEYS: usize = 256;
/// RFC 7518 §3.3: RSA keys have 2048 bits or more. The upper bound is what verification supports.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// Bytes of the longest RSA exponent; 65537 has three.
const MAX_RSA_EXPONENT_BYTES: usize = 4;

/// One key of a set, with what it may be used for.
///
/// A key that may not verify signatures (`use` is `enc`, `key_ops` without `verify`, type `oct`, too
/// short …) is kept by its `kid` alone, so that a token that names it is refused for the right reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwk {
    kid: Option<String>,
    alg: Option<Algorithm>,
    key: Option<PublicKey>,
}

impl Jwk {
    /// The key's identifier (RFC 7517 §4.5).
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The only algorithm that the key may be used with (RFC 7517 §4.4), if it names one.
    pub fn alg(&self) -> Option<Algorithm> {
        self.alg
    }

    /// The key itself; `None` if it may not verify signatures.
    pub fn public_key(&self) -> Option<&PublicKey> {
        self.key.as_ref()
    }

    fn parse(value: &Value) -> Self {
        let kid = value.get("kid").and_then(Value::as_str).map(str::to_owned);
        let usable = serde_json::from_value::<ParsedJwk>(value.clone())
            .ok()
            .filter(|_| !has_private_part(value))
            .and_then(|jwk| parse_verification_key(&jwk, value.get("alg")));
        let (alg, key) = match usable {
            Some((alg, key)) => (alg, Some(key)),
            None => (None, None),
        };
        Jwk { kid, alg, key }
    }

    /// RFC 7517 §4.4: whether the key may be used with this algorithm.
    fn fits(&self, alg: Algorithm) -> bool {
        let kind = self.key.as_ref().map(PublicKey::kind);
        kind == Some(alg.key_kind()) && self.alg.is_none_or(|named| named == alg)
    }

    /// The form that a cache keeps: the head, and the key's material.
    pub fn describe(&self) -> (KeyHead, Vec<u8>) {
        KeyHead::describe(self.kid(), self.alg, self.key.as_ref())
    }
}

/// The material and the algorithm of a key that may verify signatures.
fn parse_verification_key(
    jwk: &ParsedJwk,
    alg: Option<&Value>,
) -> Option<(Option<Algorithm>, PublicKey)> {
    // RFC 7517 §4.2: a key for another use must not verify signatures; an absent "use" allows it.
    if !matches!(
        jwk.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    ) {
        return None;
    }
    // RFC 7517 §4.3: where operations are listed, "verify" must be among them.
    if let Some(operations) = &jwk.common.key_operations
        && !operations.contains(&KeyOperations::Verify)
    {
        return None;
    }
    let key = parse_material(&jwk.algorithm)?;
    // RFC 7517 §4.4: a key that names an algorithm is for that one, which must fit its type.
    let alg = match alg {
        None => None,
        Some(named) => {
            let named = Algorithm::from_name(named.as_str()?);
            Some(named.filter(|alg| alg.key_kind() == key.kind())?)
        }
    };
    Some((alg, key))
}

/// A key whose private part is published signs for everyone (RFC 7518 §6.2.2, §6.3.2, RFC 8037 §2).
fn has_private_part(jwk: &Value) -> bool {
    jwk.get("d").is_some()
}

fn parse_material(parameters: &AlgorithmParameters) -> Option<PublicKey> {
    match parameters {
        AlgorithmParameters::RSA(rsa) => parse_rsa(&decode(&rsa.n)?, &decode(&rsa.e)?),
        AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
            EllipticCurve::P256 => parse_point(&ec.x, &ec.y, 32)
                .filter(|point| is_point(&ECDSA_P256_SHA256_FIXED, point))
                .map(PublicKey::P256),
            EllipticCurve::P384 => parse_point(&ec.x, &ec.y, 48)
                .filter(|point| is_point(&ECDSA_P384_SHA384_FIXED, point))
                .map(PublicKey::P384),
            _ => None,
        },
        AlgorithmParameters::OctetKeyPair(okp) if okp.curve == EllipticCurve::Ed25519 => {
            decode(&okp.x)
                .filter(|x| !has_small_order(x) && is_point(&ED25519, x))
                .map(PublicKey::Ed25519)
        }
        // A symmetric key in a public document is known to everyone.
        _ => None,
    }
}

fn parse_rsa(n: &[u8], e: &[u8]) -> Option<PublicKey> {
    let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
    let bits = n
        .len()
        .saturating_mul(8)
        .saturating_sub(n.first()?.leading_zeros() as usize);
    let odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
    let usable_exponent = e.len() <= MAX_RSA_EXPONENT_BYTES && odd(e) && e != [1];
    (RSA_BITS.contains(&bits) && odd(n) && usable_exponent).then(|| PublicKey::Rsa {
        n: n.to_vec(),
        e: e.to_vec(),
    })
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let start = number
        .iter()
        .position(|byte| *byte != 0)
        .unwrap_or(number.len());
    number.get(start..).unwrap_or_default()
}

/// RFC 7518 §6.2.1.2: each coordinate has the full size of the curve's field.
fn parse_point(x: &str, y: &str, field_bytes: usize) -> Option<Vec<u8>> {
    let (x, y) = (decode(x)?, decode(y)?);
    (x.len() == field_bytes && y.len() == field_bytes).then(|| [&[4], &x[..], &y[..]].concat())
}

/// Whether these bytes are a public key on the curve of `algorithm`.
fn is_point(algorithm: &'static dyn VerificationAlgorithm, point: &[u8]) -> bool {
    ParsedPublicKey::new(algorithm, point).is_ok()
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// A provider's key set (RFC 7517 §5).
///
/// ```
/// use oauth_core::{Algorithm, JwkSet};
/// let set = JwkSet::parse(br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a",
///     "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#).unwrap();
/// assert!(set.select(Some("a"), Algorithm::EdDSA).is_ok());
/// assert_eq!(set.select(Some("b"), Algorithm::EdDSA).unwrap_err().code(), "unknown_kid");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JwkSet {
    keys: Vec<Jwk>,
}

impl JwkSet {
    /// Parses a key set. Keys that cannot verify signatures do not affect the others; a document that is
    /// not a key set, or has no key that could verify a signature, is an error.
    pub fn parse(bytes: &[u8]) -> Result<Self, UnavailableCause> {
        let malformed = |why: &str| UnavailableCause::Malformed(Printable::new(why));
        let document =
            json::parse_object(bytes).map_err(|_| malformed("the key set is not a JSON object"))?;
        let Some(Value::Array(values)) = document.get("keys") else {
            return Err(malformed("the key set has no \"keys\" array"));
        };
        let keys: Vec<Jwk> = values.iter().take(MAX_KEYS).map(Jwk::parse).collect();
        if keys.iter().all(|jwk| jwk.key.is_none()) {
            return Err(UnavailableCause::NoUsableKey);
        }
        Ok(JwkSet { keys })
    }

    /// The keys, in the order of the document.
    pub fn keys(&self) -> &[Jwk] {
        &self.keys
    }

    /// Whether a signature by one of these algorithms could be verified with one of the keys.
    pub(crate) fn has_key_for(&self, accepted: &Algorithms) -> bool {
        Algorithm::ALL
            .into_iter()
            .filter(|alg| accepted.contains(*alg))
            .any(|alg| self.keys.iter().any(|jwk| jwk.fits(alg)))
    }

    /// The key that verifies a token with this `kid` and `alg` (RFC 7515 §6).
    ///
    /// Without a `kid`, exactly one key of the set must fit the algorithm.
    pub fn select(&self, kid: Option<&str>, alg: Algorithm) -> Result<&PublicKey, Reject> {
        let heads: Vec<KeyHead> = self.keys.iter().map(|jwk| jwk.describe().0).collect();
        let index = select_key(&heads, kid, alg)?;
        self.keys
            .get(index)
            .and_then(Jwk::public_key)
            .ok_or(Reject::KeyUnsuitable)
    }
}
