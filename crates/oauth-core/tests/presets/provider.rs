//! A provider of a documented shape: its metadata, a token of it, and the preset that is to accept that token.

use std::sync::OnceLock;

use oauth_core::{Issuer, Policy, PolicyBuilder, Preset, ProviderMetadata};
use serde_json::{Map, Value, json};

use court::{Court, GRANTED, Key, KeyKind, NOW, Token};

/// What a provider publishes and issues. The values are invented; the shape is the documented one.
pub struct Provider {
    pub preset: &'static str,
    /// The issuer of the HBA line.
    pub issuer: &'static str,
    /// The scope of the HBA line.
    pub scope: &'static str,
    pub audience: &'static str,
    pub required_claims: &'static str,
    /// The metadata, as far as it matters.
    pub metadata: Value,
    /// The header besides `alg` and `kid`.
    pub header: Value,
    /// The claims besides `iat` and `exp`.
    pub claims: Value,
}

impl Provider {
    /// The policy of the preset, with the settings that every page of docs/providers asks for.
    pub fn policy(&self) -> PolicyBuilder {
        Policy::builder(Issuer::parse(self.issuer).unwrap())
            .preset(Preset::by_name(self.preset).unwrap())
            .audience(self.audience.parse().unwrap())
            .required_scopes(self.scope)
            .required_claims(self.required_claims.parse().unwrap())
    }

    /// A court with that policy.
    pub fn court(&self) -> Court {
        self.court_of(self.policy())
    }

    /// A court with another policy.
    pub fn court_of(&self, policy: PolicyBuilder) -> Court {
        Court::new()
            .policy_of(policy.build().unwrap())
            .keys(&[signing_key().jwk()])
    }

    /// The documented token with these claims in place of its own; `null` takes one out.
    pub fn token(&self, changes: Value) -> Token {
        let mut claims = in_time(&self.claims);
        for (name, value) in object(&changes) {
            match value {
                Value::Null => claims.remove(&name),
                value => claims.insert(name, value),
            };
        }
        self.token_with_header(claims)
    }

    /// A token with the documented header and these claims.
    pub fn token_of(&self, claims: Value) -> Token {
        self.token_with_header(in_time(&claims))
    }

    fn token_with_header(&self, claims: Map<String, Value>) -> Token {
        token_of_parts(&self.header, &Value::Object(claims))
    }

    /// The verdict of the preset on the documented token with these changes.
    pub fn verdict(&self, changes: Value) -> &'static str {
        self.court().verdict(&self.token(changes))
    }

    /// The verdict of the preset on a token of these claims.
    pub fn verdict_on(&self, claims: Value) -> &'static str {
        self.court().verdict(&self.token_of(claims))
    }

    /// The documented token and metadata are accepted, and the token is bound to issuer, audience and time.
    #[track_caller]
    pub fn check(&self) {
        assert_eq!(self.verdict(json!({})), GRANTED, "{}", self.preset);
        let issuer = Issuer::parse(self.issuer).unwrap();
        let document = self.metadata.to_string();
        let metadata = ProviderMetadata::parse(document.as_bytes(), &issuer).unwrap();
        let jwks_uri = self.metadata.get("jwks_uri").unwrap();
        assert_eq!(jwks_uri, metadata.jwks_uri().as_str());

        let others = json!({"iss": "https://other.example"});
        assert_eq!(self.verdict(others), "iss_mismatch");
        assert_eq!(self.verdict(json!({"exp": NOW - 31})), "expired");
        assert_eq!(self.verdict(json!({"exp": null})), "exp_missing");
        assert_eq!(self.verdict(json!({"iss": null})), "iss_missing");
        // A token of this kind is good for nothing under another kind's rules.
        let strict = self.policy().preset(Preset::GENERIC);
        assert_ne!(
            self.court_of(strict).verdict(&self.token(json!({}))),
            GRANTED
        );
    }

    /// The verdict on the documented token with each of these changes.
    #[track_caller]
    pub fn check_changes<const N: usize>(&self, changes: [(Value, &str); N]) {
        for (changes, expected) in changes {
            assert_eq!(self.verdict(changes.clone()), expected, "{changes}");
        }
    }

    /// The identity that the documented token gives.
    pub fn identity(&self) -> Option<String> {
        let decision = self.court().judge(&self.token(json!({})).encode());
        decision.authn_id().map(str::to_owned)
    }
}

/// A token of this header, besides `alg` and `kid`, and these claims.
pub fn token_of_parts(header: &Value, claims: &Value) -> Token {
    let token = Token::new(&signing_key(), "", "", "", "", "")
        .without_header("typ")
        .raw_claims(claims.to_string());
    object(header)
        .into_iter()
        .fold(token, |token, (name, value)| token.header(&name, value))
}

/// Most of the providers sign with RS256.
pub fn signing_key() -> Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| Key::new(KeyKind::Rsa).with_kid("rsa-1"))
        .clone()
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// These claims, with the times of a token of five minutes.
fn in_time(claims: &Value) -> Map<String, Value> {
    let mut all = object(claims);
    all.insert("iat".to_owned(), json!(NOW));
    all.insert("exp".to_owned(), json!(NOW + 300));
    all
}
