//! A public key: its material, and what it verifies.

use aws_lc_rs::signature::{ECDSA_P521_SHA512_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, crypto};

use crate::keys::algorithm::{Algorithm, KeyKind};

/// The raw public material of a key, of a kind that can verify signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicKey {
    /// RFC 7518 §6.3.1: modulus and exponent, big-endian without leading zeros.
    Rsa {
        /// The modulus.
        n: Vec<u8>,
        /// The exponent.
        e: Vec<u8>,
    },
    /// RFC 7518 §6.2.1: a point on P-256, uncompressed (`0x04 x y`).
    P256(Vec<u8>),
    /// RFC 7518 §6.2.1: a point on P-384, uncompressed (`0x04 x y`).
    P384(Vec<u8>),
    /// RFC 7518 §6.2.1: a point on P-521, uncompressed (`0x04 x y`).
    P521(Vec<u8>),
    /// RFC 8037 §2: an Ed25519 public key, 32 bytes.
    Ed25519(Vec<u8>),
}

impl PublicKey {
    /// What kind of key this is.
    pub fn kind(&self) -> KeyKind {
        match self {
            PublicKey::Rsa { .. } => KeyKind::Rsa,
            PublicKey::P256(_) => KeyKind::P256,
            PublicKey::P384(_) => KeyKind::P384,
            PublicKey::P521(_) => KeyKind::P521,
            PublicKey::Ed25519(_) => KeyKind::Ed25519,
        }
    }

    /// RFC 7517 §4.1: `kty`.
    pub fn kty(&self) -> &'static str {
        self.kind().names().0
    }

    /// What the private part belongs to: whoever has that can sign, with another exponent as well.
    pub(crate) fn modulus_or_point(&self) -> &[u8] {
        match self {
            PublicKey::Rsa { n, .. } => n,
            PublicKey::P256(point)
            | PublicKey::P384(point)
            | PublicKey::P521(point)
            | PublicKey::Ed25519(point) => point,
        }
    }

    /// Whether `signature`, base64url-encoded as in a token, is this key's over `input`. A key of the wrong kind, or one
    /// that is not a point of its curve, verifies nothing.
    pub fn verifies(&self, alg: Algorithm, input: &[u8], signature: &str) -> bool {
        let key = match self {
            PublicKey::Rsa { n, e } => DecodingKey::from_rsa_raw_components(n, e),
            PublicKey::P256(point) | PublicKey::P384(point) => DecodingKey::from_ec_der(point),
            PublicKey::P521(point) => {
                return alg == Algorithm::ES512 && verifies_es512(point, input, signature);
            }
            PublicKey::Ed25519(point) => DecodingKey::from_ed_der(point),
        };
        alg.to_jsonwebtoken()
            .is_some_and(|alg| crypto::verify(signature, input, &key, alg).unwrap_or(false))
    }
}

/// RFC 7518 §3.4: ECDSA on P-521 with SHA-512, which the crate for the other algorithms does not have. The signature is
/// two numbers of 66 bytes each.
fn verifies_es512(point: &[u8], input: &[u8], signature: &str) -> bool {
    let key = UnparsedPublicKey::new(&ECDSA_P521_SHA512_FIXED, point);
    URL_SAFE_NO_PAD
        .decode(signature)
        .is_ok_and(|signature| key.verify(input, &signature).is_ok())
}
