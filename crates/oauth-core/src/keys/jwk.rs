//! The provider's keys: RFC 7517, with the key types of RFC 7518 §6 and RFC 8037 §2.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    ParsedPublicKey, VerificationAlgorithm,
};
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk as ParsedJwk, KeyOperations, PublicKeyUse,
};
use serde_json::Value;

use crate::basics::json::{self, Object};
use crate::basics::printable::Printable;
use crate::failure::Failure;
use crate::failure::reject::Reject;
use crate::failure::unavailable::UnavailableCause;
use crate::keys::algorithm::{Algorithm, Algorithms};
use crate::keys::certificate_tags::CertificateTags;
use crate::keys::ed25519::has_small_order;
use crate::keys::fault::{self, KeyFault, UnusableKey};
use crate::keys::numbers::{bits, decode, is_exponent, is_odd, without_leading_zeros};
use crate::keys::public_key::PublicKey;
use crate::keys::record::{KeyHead, select_keys};
use crate::keys::source::{FoundKeys, KeyReference, KeySource};

/// Keys that are kept of one set, and others that cannot verify. Providers publish two to ten; federations, more.
pub const MAX_KEYS: usize = 128;
/// RFC 7518 §3.3: RSA keys have 2048 bits or more. The upper bound is what verification supports.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Unusable keys that are told one by one, and in a message that other processes pass on.
const TOLD: usize = 10;
const TOLD_AT_ONCE: usize = 3;

/// The members that are read of a set, and of its keys.
const MEMBERS: json::Members<'static> = &[
    &["keys"],
    &[
        "kty", "kid", "use", "key_ops", "alg", "n", "e", "crv", "x", "y", "d", "p", "q", "dp",
        "dq", "qi", "oth", "x5t", "x5t#S256",
    ],
];
/// RFC 7518 §6.2.2, §6.3.2, RFC 8037 §2: what only a private key has. A prime factor alone gives away the rest.
const PRIVATE_MEMBERS: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];
/// RFC 7518 §6.2.1, §6.3.1, RFC 8037 §2: what a public key consists of.
const PUBLIC_MEMBERS: [&str; 6] = ["kty", "crv", "n", "e", "x", "y"];
/// RFC 7517 §4.3, RFC 7518 §6.3.2.7: lists. Some providers write an empty one for a member that a key does not have.
const LISTS: [&str; 2] = ["key_ops", "oth"];

/// One key of a set, with what it may be used for.
///
/// A key that may not verify signatures (`use` is `enc`, `key_ops` without `verify`, type `oct`, too
/// short …) is kept by its `kid` alone, so that a token that names it is refused for the right reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwk {
    kid: Option<String>,
    certificate: CertificateTags,
    alg: Option<Algorithm>,
    key: Option<PublicKey>,
    fault: Option<KeyFault>,
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
        let mut members = value.as_object().map(present_members).unwrap_or_default();
        // A thumbprint is a name only: one that cannot be read makes no key unusable.
        let mut thumbprint = |name: &str| decode(members.remove(name)?.as_str()?);
        let certificate = CertificateTags::new(thumbprint("x5t"), thumbprint("x5t#S256"));
        let kid = members.get("kid").and_then(Value::as_str);
        let kid = kid.map(str::to_owned);
        let alg = members.get("alg").cloned();
        let is_private = PRIVATE_MEMBERS
            .iter()
            .any(|name| members.contains_key(*name));
        let usable = serde_json::from_value::<ParsedJwk>(Value::Object(members.clone()))
            .ok()
            // A key whose private part is published signs for everyone.
            .filter(|_| !is_private)
            .and_then(|jwk| parse_verification_key(&jwk, alg.as_ref()));
        let (alg, key, fault) = match usable {
            Some((alg, key)) => (alg, Some(key), None),
            None => {
                let fault = KeyFault::find(&members, &PRIVATE_MEMBERS);
                (None, None, Some(fault))
            }
        };
        Jwk {
            kid,
            certificate,
            alg,
            key,
            fault,
        }
    }

    /// RFC 7517 §4.4: whether the key may be used with this algorithm.
    fn fits(&self, alg: Algorithm) -> bool {
        let kind = self.key.as_ref().map(PublicKey::kind);
        kind == Some(alg.key_kind()) && self.alg.is_none_or(|named| named == alg)
    }

    /// The form that a cache keeps: the head, and the key's material.
    pub fn describe(&self) -> (KeyHead, Vec<u8>) {
        let (head, material) =
            KeyHead::describe(self.kid(), self.certificate, self.alg, self.key.as_ref());
        (head.with_fault(self.fault.as_ref()), material)
    }
}

/// A key whose private part is published signs for everyone, also where the set has it once more without that part. So each
/// entry with that key has the fault of the one that publishes it.
fn withdraw_published(jwks: &mut [Jwk], values: &[Value]) {
    let entries = jwks.iter().zip(values);
    let published: BTreeMap<Vec<u8>, KeyFault> = entries
        .filter_map(|(jwk, value)| {
            let fault = jwk.fault.clone().filter(KeyFault::is_private)?;
            Some((parse_published(value)?.modulus_or_point().to_vec(), fault))
        })
        .collect();
    for jwk in jwks {
        let key = jwk.key.as_ref();
        if let Some(fault) = key.and_then(|key| published.get(key.modulus_or_point())) {
            jwk.fault = Some(fault.clone());
            (jwk.alg, jwk.key) = (None, None);
        }
    }
}

/// The public part of a key that is unusable, whatever else the entry has.
fn parse_published(value: &Value) -> Option<PublicKey> {
    let mut members = present_members(value.as_object()?);
    members.retain(|name, _| PUBLIC_MEMBERS.contains(&name.as_str()));
    let jwk: ParsedJwk = serde_json::from_value(Value::Object(members)).ok()?;
    parse_material(&jwk.algorithm)
}

/// The members that have a value: some providers write `null`, or an empty list, for one that a key does not have.
fn present_members(jwk: &Object) -> Object {
    let is_empty_list = |name: &str, value: &Value| {
        LISTS.contains(&name) && value.as_array().is_some_and(Vec::is_empty)
    };
    jwk.iter()
        .filter(|(name, value)| !value.is_null() && !is_empty_list(name, value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
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
            EllipticCurve::P521 => parse_point(&ec.x, &ec.y, 66)
                .filter(|point| is_point(&ECDSA_P521_SHA512_FIXED, point))
                .map(PublicKey::P521),
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
    let usable = RSA_BITS.contains(&bits(n)) && is_odd(n) && is_exponent(e);
    usable.then(|| PublicKey::Rsa {
        n: n.to_vec(),
        e: e.to_vec(),
    })
}

fn parse_point(x: &str, y: &str, field_bytes: usize) -> Option<Vec<u8>> {
    let x = parse_coordinate(&decode(x)?, field_bytes)?;
    let y = parse_coordinate(&decode(y)?, field_bytes)?;
    Some([&[4], &x[..], &y[..]].concat())
}

/// RFC 7518 §6.2.1.2: a coordinate has the full size of the curve's field. Some providers write it as a number of their
/// language: without zeros in front, or with one more for the sign.
fn parse_coordinate(bytes: &[u8], field_bytes: usize) -> Option<Vec<u8>> {
    let number = match bytes {
        [] => return None,
        [0, number @ ..] => number,
        number => number,
    };
    let missing = field_bytes.checked_sub(number.len())?;
    Some([&vec![0; missing], number].concat())
}

/// Whether these bytes are a public key on the curve of `algorithm`.
fn is_point(algorithm: &'static dyn VerificationAlgorithm, point: &[u8]) -> bool {
    ParsedPublicKey::new(algorithm, point).is_ok()
}

/// A provider's key set (RFC 7517 §5).
///
/// ```
/// use oauth_core::{Algorithm, JwkSet, KeyReference};
/// let set = JwkSet::parse(br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a",
///     "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#).unwrap();
/// assert!(set.select(&KeyReference::new(Some("a"), Algorithm::EdDSA)).is_ok());
/// let other = KeyReference::new(Some("b"), Algorithm::EdDSA);
/// assert_eq!(set.select(&other).unwrap_err().code(), "unknown_kid");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JwkSet {
    keys: Vec<Jwk>,
    left_out: usize,
    unusable: Vec<UnusableKey>,
}

impl JwkSet {
    /// Parses a key set, of which the first [`MAX_KEYS`] that can verify signatures are kept. Keys that cannot verify signatures do not affect the others; a document that is
    /// not a key set, or has no key that could verify a signature, is an error.
    pub fn parse(bytes: &[u8]) -> Result<Self, UnavailableCause> {
        let malformed = |why: &str| UnavailableCause::Malformed(Printable::new(why));
        let document = json::parse_document(bytes, MEMBERS)
            .map_err(|error| malformed(&format!("the key set {}", error.describe())))?;
        let Some(Value::Array(values)) = document.get("keys") else {
            return Err(malformed("the key set has no \"keys\" array"));
        };
        let mut set = JwkSet::default();
        let mut jwks: Vec<Jwk> = values.iter().map(Jwk::parse).collect();
        withdraw_published(&mut jwks, values);
        let (mut usable, mut other) = (0_usize, 0_usize);
        for (number, jwk) in (1..).zip(jwks) {
            let is_usable = jwk.key.is_some();
            if let Some(fault) = jwk.fault.clone().filter(|_| set.unusable.len() < MAX_KEYS) {
                let kid = jwk.kid.clone();
                set.unusable.push(UnusableKey { kid, number, fault });
            }
            let kept = if is_usable { &mut usable } else { &mut other };
            if *kept < MAX_KEYS {
                *kept = kept.saturating_add(1);
                set.keys.push(jwk);
            } else if is_usable {
                set.left_out = set.left_out.saturating_add(1);
            }
        }
        match usable {
            0 => {
                let told = fault::list(&set.unusable, TOLD_AT_ONCE);
                let why = if told.is_empty() {
                    "it is empty"
                } else {
                    &told
                };
                Err(UnavailableCause::NoUsableKey(Printable::from_printed(why)))
            }
            _ => Ok(set),
        }
    }

    /// Keys that can verify signatures, and are not kept.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// The first keys that cannot verify signatures, and why.
    pub fn unusable(&self) -> &[UnusableKey] {
        &self.unusable
    }

    /// The same in words, for the first of them; empty if there are none.
    pub fn unusable_in_words(&self) -> String {
        fault::list(&self.unusable, TOLD)
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

    /// The keys that a token with this header may be signed with (RFC 7515 §6): of those that fit its algorithm the one
    /// that it names, by `kid` or else by certificate, or, if it names none, the few that there are.
    pub fn select(&self, wanted: &KeyReference<'_>) -> Result<FoundKeys, Reject> {
        let heads: Vec<KeyHead> = self.keys.iter().map(|jwk| jwk.describe().0).collect();
        let candidates =
            select_keys(&heads, wanted).map_err(|reject| reject.of_a_set_without(self.left_out))?;
        let places = candidates.places().iter();
        let keys = places.filter_map(|place| self.keys.get(*place)?.public_key().cloned());
        FoundKeys::one_of(keys).ok_or(Reject::KeyUnsuitable { again_in: None })
    }
}

/// A key set that is available in memory.
impl KeySource for JwkSet {
    fn find_keys(&self, wanted: &KeyReference<'_>) -> Result<FoundKeys, Failure> {
        self.select(wanted).map_err(Failure::from)
    }
}
