//! How this server shows the provider who it is when it asks about a token: RFC 6749 §2.3, RFC 7523, RFC 8705.

use std::str::FromStr;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use crate::basics::bearer::Bearer;
use crate::basics::clock::Timestamp;
use crate::basics::secret_text::{SecretText, overwrite};
use crate::basics::setting::SettingError;

/// RFC 7523 §3: how long an assertion may be used; a request takes no longer.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);

/// How the client that asks is authenticated: names of RFC 7591 §2, RFC 8705 §2.1.1, and one of our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuthMethod {
    /// RFC 6749 §2.3.1: in the header, form-encoded.
    #[default]
    ClientSecretBasic,
    /// The same without the form-encoding, for providers that do not decode it.
    ClientSecretBasicRaw,
    /// RFC 6749 §2.3.1: in the body.
    ClientSecretPost,
    /// RFC 7523 §2.2: an assertion signed by a key of the client's.
    PrivateKeyJwt,
    /// RFC 8705 §2: the client's certificate.
    TlsClientAuth,
    /// No authentication.
    None,
}

impl ClientAuthMethod {
    const NAMES: [(&'static str, ClientAuthMethod); 6] = [
        ("client_secret_basic", ClientAuthMethod::ClientSecretBasic),
        (
            "client_secret_basic_raw",
            ClientAuthMethod::ClientSecretBasicRaw,
        ),
        ("client_secret_post", ClientAuthMethod::ClientSecretPost),
        ("private_key_jwt", ClientAuthMethod::PrivateKeyJwt),
        ("tls_client_auth", ClientAuthMethod::TlsClientAuth),
        ("none", ClientAuthMethod::None),
    ];
}

impl FromStr for ClientAuthMethod {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let found = Self::NAMES.iter().find(|(name, _)| *name == text);
        found.map(|(_, method)| *method).ok_or_else(|| {
            let names: Vec<&str> = Self::NAMES.iter().map(|(name, _)| *name).collect();
            SettingError::new(format!("it must be one of {}", names.join(", ")))
        })
    }
}

/// The proof that goes with one request. It holds secrets, so it can be neither printed nor copied.
pub enum ClientProof<'a> {
    /// Form-encoded in the header.
    SecretBasic(&'a str),
    /// In the header as it is.
    SecretBasicRaw(&'a str),
    /// In the body.
    SecretPost(&'a str),
    /// A signed assertion.
    Assertion(String),
    /// The connection's, or none: the client is only named.
    NameOnly,
    /// RFC 6750 §2.1: a token of the server's own; the client is not named.
    Bearer(&'a str),
}

/// A POST of a form (RFC 7662 §2.1). It holds a token and secrets, so it can be neither printed nor copied.
pub struct FormRequest {
    /// `application/x-www-form-urlencoded`.
    pub body: SecretText,
    /// The value of the header `Authorization`.
    pub authorization: Option<SecretText>,
}

impl FormRequest {
    /// RFC 7662 §2.1: asks about a token in the name of a client.
    pub fn introspect(token: &Bearer<'_>, client_id: &str, proof: &ClientProof<'_>) -> Self {
        let mut body = SecretText::of(&["token="]);
        push_form_encoded(&mut body, token.expose());
        body.push_str("&token_type_hint=access_token");
        let mut add = |name: &str, value: &str| {
            body.push_str("&");
            body.push_str(name);
            body.push_str("=");
            push_form_encoded(&mut body, value);
        };
        let authorization = match proof {
            ClientProof::SecretBasic(secret) => {
                let mut credentials = SecretText::default();
                push_form_encoded(&mut credentials, client_id);
                credentials.push_str(":");
                push_form_encoded(&mut credentials, secret);
                Some(basic(&credentials))
            }
            ClientProof::SecretBasicRaw(secret) => {
                Some(basic(&SecretText::of(&[client_id, ":", secret])))
            }
            ClientProof::SecretPost(secret) => {
                add("client_id", client_id);
                add("client_secret", secret);
                None
            }
            ClientProof::Assertion(assertion) => {
                add("client_id", client_id);
                add(
                    "client_assertion_type",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                );
                add("client_assertion", assertion);
                None
            }
            // RFC 8705 §2: the certificate proves who the client is that is named here.
            ClientProof::NameOnly => {
                if !client_id.is_empty() {
                    add("client_id", client_id);
                }
                None
            }
            ClientProof::Bearer(token) => Some(SecretText::of(&["Bearer ", token])),
        };
        FormRequest {
            body,
            authorization,
        }
    }
}

/// RFC 7617 §2: what `Authorization` or `Proxy-Authorization` says of `user:password`.
pub(crate) fn basic(credentials: &SecretText) -> SecretText {
    // base64 writes into a text of its own: of full size from the start, it leaves nothing behind.
    let encoded = STANDARD.encode(credentials.expose());
    let header = SecretText::of(&["Basic ", &encoded]);
    overwrite(encoded.into_bytes());
    header
}

/// RFC 6749 appendix B: `application/x-www-form-urlencoded`.
fn push_form_encoded(out: &mut SecretText, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut push = |c: char| out.push_str(c.encode_utf8(&mut [0; 4]));
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                push(char::from(byte));
            }
            b' ' => push('+'),
            _ => {
                let digit =
                    |nibble: u8| HEX.get(usize::from(nibble)).map_or('0', |d| char::from(*d));
                ['%', digit(byte >> 4), digit(byte & 15)]
                    .into_iter()
                    .for_each(&mut push);
            }
        }
    }
}

/// A private key that signs assertions. It can be neither printed nor copied.
pub struct AssertionKey(PrivateKey);

enum PrivateKey {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl AssertionKey {
    /// From the DER of a private key: PKCS #8, PKCS #1 or SEC 1. `None`: it is not an RSA, P-256 or Ed25519 key.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        let p256 = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let rsa = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der));
        if let Ok(key) = rsa {
            return Some(AssertionKey(PrivateKey::Rsa(key)));
        }
        let ec = EcdsaKeyPair::from_pkcs8(p256, der)
            .or_else(|_| EcdsaKeyPair::from_private_key_der(p256, der));
        if let Ok(key) = ec {
            return Some(AssertionKey(PrivateKey::P256(key)));
        }
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok()?;
        Some(AssertionKey(PrivateKey::Ed25519(key)))
    }

    /// RFC 7523 §3: an assertion by `client_id` for `audience`, which is the provider's identifier. `jti` is
    /// different each time. `None`: the key does not sign.
    pub fn assertion(
        &self,
        client_id: &str,
        audience: &str,
        jti: &str,
        now: Timestamp,
    ) -> Option<String> {
        let alg = match &self.0 {
            PrivateKey::Rsa(_) => "RS256",
            PrivateKey::P256(_) => "ES256",
            PrivateKey::Ed25519(_) => "EdDSA",
        };
        let header = json!({"alg": alg, "typ": "JWT"});
        let claims = json!({
            "iss": client_id, "sub": client_id, "aud": audience, "jti": jti,
            "iat": now.unix_seconds(), "exp": now.plus(ASSERTION_LIFETIME).unix_seconds(),
        });
        let encode = |part: &str| URL_SAFE_NO_PAD.encode(part);
        let input = format!(
            "{}.{}",
            encode(&header.to_string()),
            encode(&claims.to_string())
        );
        let signature = self.sign(input.as_bytes())?;
        Some(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn sign(&self, input: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match &self.0 {
            PrivateKey::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, input, &mut signature)
                    .ok()?;
                Some(signature)
            }
            PrivateKey::P256(key) => Some(key.sign(&random, input).ok()?.as_ref().to_vec()),
            PrivateKey::Ed25519(key) => Some(key.sign(input).as_ref().to_vec()),
        }
    }

    /// The public key, for tests and for registration at the provider.
    pub fn public_key(&self) -> Vec<u8> {
        match &self.0 {
            PrivateKey::Rsa(key) => key.public_key().as_ref().to_vec(),
            PrivateKey::P256(key) => key.public_key().as_ref().to_vec(),
            PrivateKey::Ed25519(key) => key.public_key().as_ref().to_vec(),
        }
    }
}
