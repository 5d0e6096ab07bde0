//! What the tests share: an issuer, a policy, a good token, and the verdict on a token.

use std::sync::OnceLock;

use oauth_core::{
    Bearer, Decision, Failure, FoundKeys, Introspector, Issuer, JwkSet, KeyReference, KeySource,
    LoginAttempt, Misconfigured, NoCatalog, NoIntrospection, Peer, Policy, PolicyBuilder,
    RoleCatalog, StepReport, Timestamp, explain, judge,
};
use serde_json::{Value, json};

// Keys and tokens come from the minter: this line names the crate that it lives in.
pub use token_minter::{Alg, Key, KeyKind, SignatureFault, Token, base64url, from_base64url};

pub const ISSUER: &str = "https://issuer.example/realm";
pub const AUDIENCE: &str = "https://pg.example/";
pub const CLIENT: &str = "psql";
pub const SCOPES: &str = "openid postgres";
pub const SUBJECT: &str = "alice";
/// The time of every judgement that does not say otherwise.
pub const NOW: i64 = 1_800_000_000;
/// The verdict on a token that opens the session.
pub const GRANTED: &str = "granted";

/// The issuer's key, where it does not matter which kind it is.
pub fn signing_key() -> Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| Key::new(KeyKind::Ed25519).with_kid("key-1"))
        .clone()
}

/// A token that [`Court::new`] accepts.
pub fn good_token() -> Token {
    token_by(&signing_key())
}

/// The same, signed by this key.
pub fn token_by(key: &Key) -> Token {
    Token::new(key, ISSUER, SUBJECT, AUDIENCE, CLIENT, SCOPES)
        .claim("iat", NOW)
        .claim("exp", NOW + 300)
        .claim("jti", "token-1")
}

/// The token with each member of this object as a claim.
pub fn with_claims(token: Token, claims: Value) -> Token {
    let claims = claims.as_object().expect("an object").clone();
    claims
        .into_iter()
        .fold(token, |token, (name, value)| token.claim(&name, value))
}

/// The policy that the good token meets.
pub fn policy() -> PolicyBuilder {
    Policy::builder(Issuer::parse(ISSUER).expect("an issuer"))
        .audience(AUDIENCE.parse().expect("an audience"))
        .required_scopes("postgres")
}

/// A key set document of these keys.
pub fn document(jwks: &[Value]) -> Vec<u8> {
    json!({ "keys": jwks }).to_string().into_bytes()
}

/// A key set of these keys.
pub fn key_set(jwks: &[Value]) -> JwkSet {
    JwkSet::parse(&document(jwks)).expect("a key set")
}

/// A whole number of seconds.
pub fn seconds(seconds: u64) -> std::time::Duration {
    std::time::Duration::from_secs(seconds)
}

/// Everything but the token that a judgement depends on.
pub struct Court {
    policy: Policy,
    keys: Box<dyn KeySource>,
    role: &'static str,
    peer: Box<dyn Peer>,
    catalog: Box<dyn RoleCatalog>,
    introspector: Box<dyn Introspector>,
    now: Timestamp,
}

impl Default for Court {
    /// The policy of [`policy`], the key of [`signing_key`], a client that must not be asked for a
    /// certificate, at [`NOW`].
    fn default() -> Court {
        Court {
            policy: policy().build().expect("a policy"),
            keys: Box::new(key_set(&[signing_key().jwk()])),
            role: SUBJECT,
            peer: Box::new(NobodyAsked),
            catalog: Box::new(NoCatalog),
            introspector: Box::new(NoIntrospection),
            now: Timestamp::from_unix_seconds(NOW),
        }
    }
}

impl Court {
    /// What accepts [`good_token`].
    pub fn new() -> Court {
        Court::default()
    }

    /// Changes the policy.
    pub fn policy(mut self, change: impl FnOnce(PolicyBuilder) -> PolicyBuilder) -> Court {
        self.policy = change(policy()).build().expect("a policy");
        self
    }

    /// Takes another issuer's policy.
    pub fn policy_of(mut self, policy: Policy) -> Court {
        self.policy = policy;
        self
    }

    /// The issuer's keys.
    pub fn keys(self, jwks: &[Value]) -> Court {
        self.key_source(key_set(jwks))
    }

    /// Where keys come from.
    pub fn key_source(mut self, keys: impl KeySource + 'static) -> Court {
        self.keys = Box::new(keys);
        self
    }

    /// The client's end of the connection.
    pub fn peer(mut self, peer: impl Peer + 'static) -> Court {
        self.peer = Box::new(peer);
        self
    }

    /// The role that the client wants to be.
    pub fn role(mut self, role: &'static str) -> Court {
        self.role = role;
        self
    }

    /// What the server knows of roles.
    pub fn catalog(mut self, catalog: impl RoleCatalog + 'static) -> Court {
        self.catalog = Box::new(catalog);
        self
    }

    /// Who asks the provider about a token.
    pub fn introspector(mut self, introspector: impl Introspector + 'static) -> Court {
        self.introspector = Box::new(introspector);
        self
    }

    /// The time.
    pub fn at(mut self, now: Timestamp) -> Court {
        self.now = now;
        self
    }

    /// The whole decision on a token's text.
    pub fn judge(&self, text: &str) -> Decision {
        let attempt = self.attempt(text);
        judge(&attempt, &self.policy, self.keys.as_ref(), &self.now)
    }

    /// The same, told step by step.
    pub fn explain(&self, text: &str) -> (Decision, Vec<StepReport>) {
        let attempt = self.attempt(text);
        explain(&attempt, &self.policy, self.keys.as_ref(), &self.now)
    }

    fn attempt<'a>(&'a self, text: &'a str) -> LoginAttempt<'a> {
        LoginAttempt {
            token: Bearer::new(text),
            role: self.role,
            peer: self.peer.as_ref(),
            catalog: self.catalog.as_ref(),
            introspector: self.introspector.as_ref(),
        }
    }

    /// `granted`, or the code of the refusal.
    pub fn verdict(&self, token: &Token) -> &'static str {
        self.verdict_on_text(&token.encode())
    }

    /// The same of a token's text.
    pub fn verdict_on_text(&self, text: &str) -> &'static str {
        verdict_of(&self.judge(text))
    }
}

/// `granted`, or the code of the refusal.
pub fn verdict_of(decision: &Decision) -> &'static str {
    assert_eq!(decision.is_authorized(), decision.outcome().is_ok());
    decision.outcome().map_or_else(Failure::code, |_| GRANTED)
}

/// The verdict of [`Court::new`].
pub fn verdict(token: &Token) -> &'static str {
    Court::new().verdict(token)
}

/// The verdict of [`Court::new`] on a token's text.
pub fn verdict_on_text(text: &str) -> &'static str {
    Court::new().verdict_on_text(text)
}

/// The verdict on a good token of this key, where the issuer's set is these keys.
pub fn verdict_with_set(key: &Key, jwks: &[Value]) -> &'static str {
    Court::new().keys(jwks).verdict(&token_by(key))
}

/// Whether a key is one that may verify signatures, and how a token that names it fares.
///
/// A good key beside it shows that it does no harm, and makes the set one that can be parsed.
pub fn verdict_with_jwk(key: &Key, jwk: Value) -> &'static str {
    let beside = Key::new(KeyKind::P384).with_kid("beside");
    let jwks = [jwk, beside.jwk()];
    assert_eq!(verdict_with_set(&beside, &jwks), GRANTED);
    verdict_with_set(key, &jwks)
}

/// Whether a key set of this key alone has one that may verify signatures.
pub fn usable(jwk: &Value) -> bool {
    match JwkSet::parse(&document(std::slice::from_ref(jwk))) {
        Ok(set) => set.keys().iter().all(|jwk| jwk.public_key().is_some()),
        Err(cause) => {
            assert_eq!(cause.code(), "no_usable_key", "{jwk}");
            false
        }
    }
}

/// One value of every JSON type but `string`.
pub fn all_but_strings() -> [Value; 6] {
    [
        json!(null),
        json!(true),
        json!(1),
        json!(1.5),
        json!(["a"]),
        json!({"a": "b"}),
    ]
}

/// One value of every JSON type but `number`.
pub fn all_but_numbers() -> [Value; 7] {
    [
        json!(null),
        json!(false),
        json!(true),
        json!("1800000300"),
        json!(""),
        json!([1_800_000_300]),
        json!({"a": 1}),
    ]
}

/// A key source that fails the test when it is asked.
pub struct NoKeysAsked;

impl KeySource for NoKeysAsked {
    fn find_keys(&self, wanted: &KeyReference<'_>) -> Result<FoundKeys, Failure> {
        panic!("asked for {wanted:?}");
    }
}

/// A client's end that fails the test when it is asked for a certificate.
pub struct NobodyAsked;

impl Peer for NobodyAsked {
    fn certificate_der(&self) -> Result<Option<Vec<u8>>, Misconfigured> {
        panic!("asked for a certificate although the token is not bound to one");
    }
}

/// A client that presented a certificate of this DER.
pub struct Certificate(pub Vec<u8>);

impl Peer for Certificate {
    fn certificate_der(&self) -> Result<Option<Vec<u8>>, Misconfigured> {
        Ok(Some(self.0.clone()))
    }
}

/// A server that cannot tell whether a client has a certificate.
pub struct NoTls;

impl Peer for NoTls {
    fn certificate_der(&self) -> Result<Option<Vec<u8>>, Misconfigured> {
        Err(Misconfigured::CertificatesUnsupported { why: "no TLS" })
    }
}
