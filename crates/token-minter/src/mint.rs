//! Tokens of every shape, good and bad.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand;
use serde_json::{Map, Value, json};

use crate::encoding::base64url;
use crate::key::{Alg, Key};

/// Seconds since 1970, the unit of `exp`, `nbf` and `iat`.
pub fn now() -> i64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is after 1970");
    i64::try_from(elapsed.as_secs()).expect("it is before the end of time")
}

/// What can be wrong with a signature.
#[derive(Clone, Debug)]
pub enum SignatureFault {
    /// One bit is flipped.
    FlippedBit,
    /// The last byte is missing.
    Truncated,
    /// There is nothing after the last dot.
    Empty,
    /// ECDSA as DER instead of two fixed-size numbers.
    Der,
    /// These bytes instead.
    Bytes(Vec<u8>),
}

/// A JWT that is being described; [`encode`](Token::encode) signs it.
///
/// It starts as a good RFC 9068 access token; every part can be changed.
#[derive(Clone)]
#[must_use]
pub struct Token {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    raw_header: Option<Vec<u8>>,
    raw_claims: Option<Vec<u8>>,
    key: Key,
    alg: Alg,
    fault: Option<SignatureFault>,
}

impl Token {
    /// An access token of five minutes: `iss`, `sub`, `aud`, `client_id` and `scope` are given, the
    /// other claims of RFC 9068 §2.2 are added.
    pub fn new(key: &Key, iss: &str, sub: &str, aud: &str, client_id: &str, scope: &str) -> Token {
        let mut header = Map::new();
        header.insert("typ".to_owned(), json!("at+jwt"));
        let mut claims = Map::new();
        for (name, value) in [
            ("iss", json!(iss)),
            ("sub", json!(sub)),
            ("aud", json!(aud)),
            ("client_id", json!(client_id)),
            ("scope", json!(scope)),
            ("iat", json!(now())),
            ("exp", json!(now() + 300)),
            ("jti", json!(random_text())),
        ] {
            claims.insert(name.to_owned(), value);
        }
        let alg = key.default_alg();
        let token = Token {
            header,
            claims,
            raw_header: None,
            raw_claims: None,
            key: key.clone(),
            alg,
            fault: None,
        };
        token.signed_by(key, alg)
    }

    /// Signs with this key and algorithm; the header's `alg` and `kid` follow.
    pub fn signed_by(mut self, key: &Key, alg: Alg) -> Token {
        self.header.insert("alg".to_owned(), json!(alg.name()));
        match key.kid() {
            Some(kid) => self.header.insert("kid".to_owned(), json!(kid)),
            None => self.header.remove("kid"),
        };
        self.signature_by(key, alg)
    }

    /// Signs with this key and algorithm; the header stays as it is.
    pub fn signature_by(mut self, key: &Key, alg: Alg) -> Token {
        self.key = key.clone();
        self.alg = alg;
        self
    }

    /// Spoils the signature.
    pub fn signature_fault(mut self, fault: SignatureFault) -> Token {
        self.fault = Some(fault);
        self
    }

    /// Sets a member of the header.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Token {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Takes a member out of the header.
    pub fn without_header(mut self, name: &str) -> Token {
        self.header.remove(name);
        self
    }

    /// Sets a claim.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Token {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Takes a claim out.
    pub fn without_claim(mut self, name: &str) -> Token {
        self.claims.remove(name);
        self
    }

    /// Uses these bytes as the header, JSON or not.
    pub fn raw_header(mut self, bytes: impl Into<Vec<u8>>) -> Token {
        self.raw_header = Some(bytes.into());
        self
    }

    /// Uses these bytes as the payload, JSON or not.
    pub fn raw_claims(mut self, bytes: impl Into<Vec<u8>>) -> Token {
        self.raw_claims = Some(bytes.into());
        self
    }

    /// The header as JSON text.
    pub fn header_json(&self) -> Vec<u8> {
        self.raw_header
            .clone()
            .unwrap_or_else(|| Value::Object(self.header.clone()).to_string().into())
    }

    /// The payload as JSON text.
    pub fn claims_json(&self) -> Vec<u8> {
        self.raw_claims
            .clone()
            .unwrap_or_else(|| Value::Object(self.claims.clone()).to_string().into())
    }

    /// RFC 7515 §3.1: the token in its compact form.
    pub fn encode(&self) -> String {
        let header = base64url(self.header_json());
        let claims = base64url(self.claims_json());
        let signature = self.sign(format!("{header}.{claims}").as_bytes());
        format!("{header}.{claims}.{}", base64url(signature))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = match &self.fault {
            Some(SignatureFault::Bytes(bytes)) => return bytes.clone(),
            Some(SignatureFault::Empty) => return Vec::new(),
            Some(SignatureFault::Der) => return self.key.sign_der(message),
            Some(SignatureFault::FlippedBit | SignatureFault::Truncated) | None => {
                self.key.sign(self.alg, message)
            }
        };
        match &self.fault {
            Some(SignatureFault::FlippedBit) => signature[7] ^= 1,
            Some(SignatureFault::Truncated) => signature.truncate(signature.len() - 1),
            _ => {}
        }
        signature
    }
}

/// 128 random bits as text: a `jti`, a device code.
pub fn random_text() -> String {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).expect("random bytes");
    base64url(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::from_base64url;
    use crate::key::KeyKind;
    use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

    fn token(key: &Key) -> Token {
        Token::new(
            key,
            "https://issuer.test",
            "alice",
            "https://pg.test",
            "psql",
            "postgres",
        )
    }

    /// Verifies an EC or OKP token with nothing but its JWK.
    fn verifies(jwk: &Value, algorithm: &'static dyn VerificationAlgorithm, token: &str) -> bool {
        let (message, signature) = token.rsplit_once('.').unwrap();
        let part = |name: &str| from_base64url(jwk[name].as_str().unwrap_or_default()).unwrap();
        let public = match jwk["kty"].as_str() {
            Some("EC") => [vec![4], part("x"), part("y")].concat(),
            _ => part("x"),
        };
        let signature = from_base64url(signature).unwrap();
        UnparsedPublicKey::new(algorithm, public)
            .verify(message.as_bytes(), &signature)
            .is_ok()
    }

    #[test]
    fn token_verifies_with_the_jwk_of_its_key() {
        let p256 = Key::new(KeyKind::P256);
        let p384 = Key::new(KeyKind::P384);
        let ed25519 = Key::new(KeyKind::Ed25519);
        let es256: &'static dyn VerificationAlgorithm = &signature::ECDSA_P256_SHA256_FIXED;
        assert!(verifies(&p256.jwk(), es256, &token(&p256).encode()));
        assert!(verifies(
            &p384.jwk(),
            &signature::ECDSA_P384_SHA384_FIXED,
            &token(&p384).encode()
        ));
        let p521 = Key::new(KeyKind::P521);
        assert!(verifies(
            &p521.jwk(),
            &signature::ECDSA_P521_SHA512_FIXED,
            &token(&p521).encode()
        ));
        assert!(verifies(
            &ed25519.jwk(),
            &signature::ED25519,
            &token(&ed25519).encode()
        ));
        let other = token(&p256)
            .signature_by(&Key::new(KeyKind::P256), Alg::ES256)
            .encode();
        assert!(!verifies(&p256.jwk(), es256, &other));
        let der = token(&p256).signature_fault(SignatureFault::Der).encode();
        assert!(!verifies(&p256.jwk(), es256, &der));
        assert!(verifies(
            &p256.jwk(),
            &signature::ECDSA_P256_SHA256_ASN1,
            &der
        ));
        for fault in [
            SignatureFault::FlippedBit,
            SignatureFault::Truncated,
            SignatureFault::Empty,
        ] {
            let spoiled = token(&p256).signature_fault(fault).encode();
            assert!(!verifies(&p256.jwk(), es256, &spoiled));
        }
    }

    #[test]
    fn rsa_tokens_verify_with_the_jwk_of_their_key() {
        let key = Key::new(KeyKind::Rsa);
        let jwk = key.jwk();
        let part = |name: &str| from_base64url(jwk[name].as_str().unwrap()).unwrap();
        let public = signature::RsaPublicKeyComponents {
            n: part("n"),
            e: part("e"),
        };
        let algorithms: [(Alg, &signature::RsaParameters); 6] = [
            (Alg::RS256, &signature::RSA_PKCS1_2048_8192_SHA256),
            (Alg::RS384, &signature::RSA_PKCS1_2048_8192_SHA384),
            (Alg::RS512, &signature::RSA_PKCS1_2048_8192_SHA512),
            (Alg::PS256, &signature::RSA_PSS_2048_8192_SHA256),
            (Alg::PS384, &signature::RSA_PSS_2048_8192_SHA384),
            (Alg::PS512, &signature::RSA_PSS_2048_8192_SHA512),
        ];
        for (alg, parameters) in algorithms {
            let text = token(&key).signed_by(&key, alg).encode();
            let (message, signature) = text.rsplit_once('.').unwrap();
            let signature = from_base64url(signature).unwrap();
            let verified = public.verify(parameters, message.as_bytes(), &signature);
            assert!(verified.is_ok(), "{}", alg.name());
        }
    }

    #[test]
    fn weak_rsa_key_has_1024_bits_and_signs() {
        let key = Key::new(KeyKind::WeakRsa);
        let n = from_base64url(key.jwk()["n"].as_str().unwrap()).unwrap();
        assert_eq!(n.len(), 128);
        let text = token(&key).encode();
        let (message, signature) = text.rsplit_once('.').unwrap();
        let e = from_base64url(key.jwk()["e"].as_str().unwrap()).unwrap();
        signature::RsaPublicKeyComponents { n, e }
            .verify(
                &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
                message.as_bytes(),
                &from_base64url(signature).unwrap(),
            )
            .expect("the signature is right");
    }

    #[test]
    fn changes_reach_header_and_claims() {
        let key = Key::new(KeyKind::P256);
        let token = token(&key)
            .header("crit", json!(["x"]))
            .without_claim("aud")
            .claim("exp", 1.5);
        let header: Value = serde_json::from_slice(&token.header_json()).unwrap();
        let claims: Value = serde_json::from_slice(&token.claims_json()).unwrap();
        assert_eq!(
            header,
            json!({"alg": "ES256", "kid": key.kid(), "typ": "at+jwt", "crit": ["x"]})
        );
        assert_eq!((claims.get("aud"), &claims["exp"]), (None, &json!(1.5)));
        assert_eq!(token.raw_claims("x").claims_json(), b"x");
    }
}
