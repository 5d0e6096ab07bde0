//! Keys of every kind that a token can be signed with, and their JWKs.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use aws_lc_rs::{hmac, rand};
use serde_json::{Map, Value, json};

use crate::encoding::base64url;

/// Signature algorithms (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Alg {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
    EdDSA,
    HS256,
    None,
}

impl Alg {
    /// The algorithms that a resource server may accept.
    pub const ASYMMETRIC: [Alg; 10] = [
        Alg::RS256,
        Alg::RS384,
        Alg::RS512,
        Alg::PS256,
        Alg::PS384,
        Alg::PS512,
        Alg::ES256,
        Alg::ES384,
        Alg::ES512,
        Alg::EdDSA,
    ];

    /// What a header's `alg` says.
    pub fn name(self) -> &'static str {
        match self {
            Alg::RS256 => "RS256",
            Alg::RS384 => "RS384",
            Alg::RS512 => "RS512",
            Alg::PS256 => "PS256",
            Alg::PS384 => "PS384",
            Alg::PS512 => "PS512",
            Alg::ES256 => "ES256",
            Alg::ES384 => "ES384",
            Alg::ES512 => "ES512",
            Alg::EdDSA => "EdDSA",
            Alg::HS256 => "HS256",
            Alg::None => "none",
        }
    }
}

/// Kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA of 2048 bits; made once per process, because that takes a while.
    Rsa,
    /// Another RSA key of 2048 bits.
    OtherRsa,
    /// RSA of 1024 bits, too weak to be used.
    WeakRsa,
    /// The curve of ES256.
    P256,
    /// The curve of ES384.
    P384,
    /// The curve of ES512.
    P521,
    /// The curve of EdDSA.
    Ed25519,
    /// A shared secret of 32 random bytes (`oct`).
    Secret,
}

/// A key that can sign; cheap to clone.
#[derive(Clone)]
pub struct Key {
    kid: Option<String>,
    material: Arc<Material>,
}

enum Material {
    Rsa(RsaKeyPair),
    WeakRsa,
    Ec {
        fixed: EcdsaKeyPair,
        der: EcdsaKeyPair,
        crv: &'static str,
    },
    Ed25519(Ed25519KeyPair),
    Secret(Vec<u8>),
}

impl Key {
    /// A key of this kind, with a `kid` of its own. RSA keys of one kind share their material.
    pub fn new(kind: KeyKind) -> Key {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Key {
            kid: Some(format!("{kind:?}-{number}").to_lowercase()),
            material: material(kind),
        }
    }

    /// A shared secret of these bytes.
    pub fn secret(bytes: &[u8]) -> Key {
        Key {
            kid: None,
            material: Arc::new(Material::Secret(bytes.to_vec())),
        }
    }

    /// The same key under another `kid`.
    pub fn with_kid(&self, kid: &str) -> Key {
        Key {
            kid: Some(kid.to_owned()),
            material: self.material.clone(),
        }
    }

    /// The same key without a `kid`.
    pub fn without_kid(&self) -> Key {
        Key {
            kid: None,
            material: self.material.clone(),
        }
    }

    /// The key's `kid`.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The algorithm that such a key is mostly used with.
    pub fn default_alg(&self) -> Alg {
        match self.material.as_ref() {
            Material::Rsa(_) | Material::WeakRsa => Alg::RS256,
            Material::Ec { crv: "P-384", .. } => Alg::ES384,
            Material::Ec { crv: "P-521", .. } => Alg::ES512,
            Material::Ec { .. } => Alg::ES256,
            Material::Ed25519(_) => Alg::EdDSA,
            Material::Secret(_) => Alg::HS256,
        }
    }

    /// The public key (of a secret: the secret) as a JWK with `kid` and `use`, without `alg`.
    pub fn jwk(&self) -> Value {
        let mut jwk = match self.material.as_ref() {
            Material::Rsa(pair) => {
                let public = signature::RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "n": base64url(public.n), "e": base64url(public.e)})
            }
            Material::WeakRsa => weak_rsa_jwk(),
            Material::Ec { fixed, crv, .. } => {
                // SEC 1 §2.3.3: 0x04, then both coordinates at full length.
                let point = fixed.public_key().as_ref();
                let (x, y) = point[1..].split_at((point.len() - 1) / 2);
                json!({"kty": "EC", "crv": crv, "x": base64url(x), "y": base64url(y)})
            }
            Material::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key())})
            }
            Material::Secret(secret) => json!({"kty": "oct", "k": base64url(secret)}),
        };
        jwk["use"] = json!("sig");
        if let Some(kid) = &self.kid {
            jwk["kid"] = json!(kid);
        }
        jwk
    }

    /// The JWK with other members: a null takes a member away.
    pub fn jwk_with(&self, changes: Value) -> Value {
        let Value::Object(mut jwk) = self.jwk() else {
            unreachable!("a JWK is an object")
        };
        for (name, value) in changes.as_object().unwrap_or(&Map::new()) {
            match value {
                Value::Null => jwk.remove(name),
                _ => jwk.insert(name.clone(), value.clone()),
            };
        }
        Value::Object(jwk)
    }

    /// The public key as DER (SubjectPublicKeyInfo); what an attacker would use as a secret.
    pub fn public_der(&self) -> Vec<u8> {
        let Material::Rsa(pair) = self.material.as_ref() else {
            panic!("only of RSA keys")
        };
        let der = AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(pair.public_key());
        der.expect("a public key has a DER form").as_ref().to_vec()
    }

    /// Signs as RFC 7518 says; an algorithm that does not fit the key fails the test.
    #[track_caller]
    pub fn sign(&self, alg: Alg, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match (self.material.as_ref(), alg) {
            (_, Alg::None) => Vec::new(),
            (Material::Rsa(pair), _) => {
                let padding: &'static dyn signature::RsaEncoding = match alg {
                    Alg::RS256 => &signature::RSA_PKCS1_SHA256,
                    Alg::RS384 => &signature::RSA_PKCS1_SHA384,
                    Alg::RS512 => &signature::RSA_PKCS1_SHA512,
                    Alg::PS256 => &signature::RSA_PSS_SHA256,
                    Alg::PS384 => &signature::RSA_PSS_SHA384,
                    Alg::PS512 => &signature::RSA_PSS_SHA512,
                    _ => panic!("{} is not for RSA keys", alg.name()),
                };
                let mut signed = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signed)
                    .expect("RSA signs");
                signed
            }
            (Material::WeakRsa, Alg::RS256) => weak_rsa_sign(message),
            (
                Material::Ec {
                    fixed,
                    crv: "P-256",
                    ..
                },
                Alg::ES256,
            )
            | (
                Material::Ec {
                    fixed,
                    crv: "P-384",
                    ..
                },
                Alg::ES384,
            )
            | (
                Material::Ec {
                    fixed,
                    crv: "P-521",
                    ..
                },
                Alg::ES512,
            ) => fixed
                .sign(&random, message)
                .expect("ECDSA signs")
                .as_ref()
                .to_vec(),
            (Material::Ed25519(pair), Alg::EdDSA) => pair.sign(message).as_ref().to_vec(),
            (Material::Secret(secret), Alg::HS256) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                hmac::sign(&key, message).as_ref().to_vec()
            }
            _ => panic!("{} does not fit the key {:?}", alg.name(), self.kid),
        }
    }

    /// An ECDSA signature as X.509 has it (DER), which a JWS must not have (RFC 7518 §3.4).
    pub fn sign_der(&self, message: &[u8]) -> Vec<u8> {
        let Material::Ec { der, .. } = self.material.as_ref() else {
            panic!("only of EC keys")
        };
        der.sign(&SystemRandom::new(), message)
            .expect("ECDSA signs")
            .as_ref()
            .to_vec()
    }
}

fn material(kind: KeyKind) -> Arc<Material> {
    static RSA: OnceLock<Arc<Material>> = OnceLock::new();
    static OTHER_RSA: OnceLock<Arc<Material>> = OnceLock::new();
    let rsa = || {
        Arc::new(Material::Rsa(
            RsaKeyPair::generate(KeySize::Rsa2048).expect("RSA key"),
        ))
    };
    match kind {
        KeyKind::Rsa => RSA.get_or_init(rsa).clone(),
        KeyKind::OtherRsa => OTHER_RSA.get_or_init(rsa).clone(),
        KeyKind::WeakRsa => Arc::new(Material::WeakRsa),
        KeyKind::P256 => Arc::new(ec(
            &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
            "P-256",
        )),
        KeyKind::P384 => Arc::new(ec(
            &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
            &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
            "P-384",
        )),
        KeyKind::P521 => Arc::new(ec(
            &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
            &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
            "P-521",
        )),
        KeyKind::Ed25519 => Arc::new(Material::Ed25519(
            Ed25519KeyPair::generate().expect("Ed25519 key"),
        )),
        KeyKind::Secret => {
            let mut secret = vec![0; 32];
            rand::fill(&mut secret).expect("random bytes");
            Arc::new(Material::Secret(secret))
        }
    }
}

fn ec(
    fixed: &'static signature::EcdsaSigningAlgorithm,
    der: &'static signature::EcdsaSigningAlgorithm,
    crv: &'static str,
) -> Material {
    let pair = EcdsaKeyPair::generate(fixed).expect("EC key");
    let document = pair.to_pkcs8v1().expect("an EC key has a PKCS #8 form");
    let twin = EcdsaKeyPair::from_pkcs8(der, document.as_ref()).expect("the same key again");
    Material::Ec {
        fixed: pair,
        der: twin,
        crv,
    }
}

/// Made by `openssl genrsa -traditional 1024`; it protects nothing.
const WEAK_RSA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/rsa-1024.pem");

/// aws-lc-rs refuses to sign with 1024 bits, so node does it.
fn weak_rsa_sign(message: &[u8]) -> Vec<u8> {
    let script = "process.stdout.write(crypto.sign('sha256', Buffer.from(process.argv[2], 'base64url'), \
                  fs.readFileSync(process.argv[1])).toString('base64url'))";
    let signature = run_node(script, &[WEAK_RSA, &base64url(message)]);
    crate::encoding::from_base64url(&signature).expect("node prints base64url")
}

fn weak_rsa_jwk() -> Value {
    let script = "process.stdout.write(JSON.stringify(crypto.createPublicKey(\
                  fs.readFileSync(process.argv[1])).export({format: 'jwk'})))";
    serde_json::from_str(&run_node(script, &[WEAK_RSA])).expect("node prints a JWK")
}

fn run_node(script: &str, arguments: &[&str]) -> String {
    let node = std::env::var_os("NODE").expect("NODE names a node (`make test` sets it)");
    let output = Command::new(node)
        .arg("-e")
        .arg(script)
        .args(arguments)
        .output();
    let output = output.expect("node can be started");
    assert!(
        output.status.success(),
        "node: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("node prints UTF-8")
}
