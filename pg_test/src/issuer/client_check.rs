//! How an issuer tells the clients that may introspect (RFC 7662 §2.1) from all others.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use token_minter::{base64url, from_base64url, now};

use crate::net::http::Request;

/// What a client has to show. A client that shows anything else is not known, nor one that shows more than this.
#[derive(Clone)]
pub enum ClientCheck {
    /// RFC 6749 §2.3.1: identifier and secret in the header, form-encoded.
    SecretBasic(String, String),
    /// The same, taken as they are.
    SecretBasicRaw(String, String),
    /// RFC 6749 §2.3.1: identifier and secret in the body.
    SecretPost(String, String),
    /// RFC 7523 §3: an assertion by this client for this audience, with this `alg`, which this key verifies.
    Assertion {
        /// The client.
        id: String,
        /// The issuer's own identifier.
        audience: String,
        /// RFC 7518 §3.1.
        alg: &'static str,
        /// The signature's algorithm.
        algorithm: &'static dyn VerificationAlgorithm,
        /// The public key, as that algorithm takes it.
        key: Vec<u8>,
    },
    /// RFC 8705 §2.2: identifier, and the thumbprint of the client's certificate.
    Certificate(String, String),
    /// RFC 6750 §2.1: a token of the client's.
    Bearer(String),
    /// Nothing but its identifier.
    Name(String),
}

/// What a client has shown.
#[derive(PartialEq, Debug, Default)]
struct Shown {
    authorization: Option<String>,
    id: Option<String>,
    secret: Option<String>,
    assertion_type: Option<String>,
}

impl ClientCheck {
    /// Whether the request is from the client. `used` are the `jti` of all assertions so far.
    pub(crate) fn accepts(&self, request: &Request, used: &mut Vec<String>) -> bool {
        let shown = Shown {
            authorization: request.header("authorization").map(str::to_owned),
            id: request.form("client_id"),
            secret: request.form("client_secret"),
            assertion_type: request.form("client_assertion_type"),
        };
        let nothing = Shown::default();
        let named = |id: &str| Shown {
            id: Some(id.to_owned()),
            ..Shown::default()
        };
        match self {
            ClientCheck::SecretBasic(id, secret) => {
                basic(request).is_some_and(|credentials| {
                    let (own_id, own_secret) = credentials.split_once(':').unwrap_or_default();
                    (decoded(own_id), decoded(own_secret)) == (id.clone(), secret.clone())
                }) && shown.without_authorization() == nothing
            }
            ClientCheck::SecretBasicRaw(id, secret) => {
                basic(request) == Some(format!("{id}:{secret}"))
                    && shown.without_authorization() == nothing
            }
            ClientCheck::SecretPost(id, secret) => {
                let secret = Some(secret.clone());
                shown
                    == Shown {
                        secret,
                        ..named(id)
                    }
            }
            ClientCheck::Assertion { id, .. } => {
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                let assertion_type = Some(kind.to_owned());
                let expected = Shown {
                    assertion_type,
                    ..named(id)
                };
                let assertion = request.form("client_assertion").unwrap_or_default();
                shown == expected && self.verifies(&assertion, used).is_some()
            }
            ClientCheck::Certificate(id, thumbprint) => {
                let own = request.client_certificate.as_ref();
                let own = own.map(|der| base64url(digest::digest(&digest::SHA256, der)));
                shown == named(id) && own.as_ref() == Some(thumbprint)
            }
            ClientCheck::Bearer(token) => {
                shown.authorization == Some(format!("Bearer {token}"))
                    && shown.without_authorization() == nothing
            }
            ClientCheck::Name(id) => shown == named(id),
        }
    }

    /// RFC 7523 §3: `iss`, `sub`, `aud`, `exp`, and a `jti` that is not used twice.
    fn verifies(&self, assertion: &str, used: &mut Vec<String>) -> Option<()> {
        let ClientCheck::Assertion {
            id,
            audience,
            alg,
            algorithm,
            key,
        } = self
        else {
            return None;
        };
        let (input, signature) = assertion.rsplit_once('.')?;
        let (header, claims) = input.split_once('.')?;
        let read = |part| serde_json::from_slice::<Value>(&from_base64url(part)?).ok();
        let (header, claims) = (read(header)?, read(claims)?);
        let signature = from_base64url(signature)?;
        UnparsedPublicKey::new(*algorithm, key)
            .verify(input.as_bytes(), &signature)
            .ok()?;
        let jti = claims["jti"].as_str()?.to_owned();
        let life = claims["exp"].as_i64()? - now();
        let right = header["alg"] == *alg
            && claims["iss"] == **id
            && claims["sub"] == **id
            && claims["aud"] == **audience
            && (1..=60).contains(&life)
            && !used.contains(&jti);
        used.push(jti);
        right.then_some(())
    }
}

impl Shown {
    fn without_authorization(self) -> Shown {
        Shown {
            authorization: None,
            ..self
        }
    }
}

/// RFC 7617 §2: the identifier and the secret, with a colon between them.
pub(crate) fn basic(request: &Request) -> Option<String> {
    let encoded = request.header("authorization")?.strip_prefix("Basic ")?;
    String::from_utf8(STANDARD.decode(encoded).ok()?).ok()
}

fn decoded(part: &str) -> String {
    let fields = form_urlencoded::parse(part.as_bytes());
    fields.map(|(name, _)| name).collect()
}
