//! A judgement that is described by lines of JSON: the settings and the server, the claims, the provider's answer.

use std::sync::OnceLock;
use std::time::Duration;

use http::StatusCode;
use oauth_core::{
    Bearer, Decision, Failure, IdentityRule, Internal, IntrospectionResponse, IntrospectionRules,
    Introspector, Issuer, JwkSet, LoginAttempt, Misconfigured, NotActive, Peer, Policy, Printable,
    RoleCatalog, StepReport, Timestamp, Unavailable, explain, judge,
};
use serde_json::{Value, json};
use token_minter::{Key, KeyKind, Token};

use crate::text::{Object, object};

/// The issuer, where the settings name none.
pub const ISSUER: &str = "https://issuer.example/realm";
/// The audience, where the settings name none.
pub const AUDIENCE: &str = "https://pg.example/";
/// The time of a judgement, where the settings name none.
pub const NOW: i64 = 1_800_000_000;
/// A token that only the provider can judge. Nothing else has this text in it.
pub const OPAQUE_TOKEN: &str = "opaque-token-7QzKzW";

/// The first line, as an administrator and a client would have it.
pub struct Settings(pub Object);

impl Settings {
    /// Settings that are such a line.
    pub fn parse(line: &[u8]) -> Option<Settings> {
        object(line).map(Settings)
    }

    /// A setting that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A setting that is on or off.
    pub fn is_on(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Value::Bool(true))
    }

    /// A setting that is a number that is not negative.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.as_u64()
    }

    /// The time of the judgement.
    pub fn now(&self) -> Timestamp {
        let now = self.0.get("now").and_then(Value::as_i64);
        Timestamp::from_unix_seconds(now.unwrap_or(NOW))
    }

    /// How identity and role must belong together, where the server leaves that to the judgement.
    pub fn identity_rule(&self) -> Option<IdentityRule> {
        Some(match self.text("identity_rule")? {
            "" => IdentityRule::EqualsRole,
            map => IdentityRule::ByMap(map.to_owned()),
        })
    }

    /// The policy that these settings make; `None` where an administrator would be told of a fault.
    pub fn policy(&self) -> Option<Policy> {
        let issuer = Issuer::parse(self.text("issuer").unwrap_or(ISSUER)).ok()?;
        let mut policy = Policy::builder(issuer);
        if let Some(name) = self.text("preset") {
            policy = policy.preset(name.parse().ok()?);
        }
        policy = policy.audience(self.text("audience").unwrap_or(AUDIENCE).parse().ok()?);
        if let Some(iss) = self.text("access_token_issuer") {
            policy = policy.access_token_issuer(iss.parse().ok()?);
        }
        if let Some(scopes) = self.text("scopes") {
            policy = policy.required_scopes(scopes);
        }
        if let Some(scopes) = self.text("optional_scopes") {
            policy = policy.optional_scopes(scopes.parse().ok()?);
        }
        if let Some(algorithms) = self.text("algorithms") {
            policy = policy.algorithms(algorithms.parse().ok()?);
        }
        if let Some(types) = self.text("token_types") {
            policy = policy.token_types(types.parse().ok()?);
        }
        if let Some(claim) = self.text("identity_claim") {
            policy = policy.identity_claim(claim.parse().ok()?);
        }
        if let Some(prefix) = self.text("identity_prefix") {
            policy = policy.identity_prefix(prefix.parse().ok()?);
        }
        if let Some(case) = self.text("identity_case") {
            policy = policy.identity_case(case.parse().ok()?);
        }
        if let Some(claims) = self.text("required_claims") {
            policy = policy.required_claims(claims.parse().ok()?);
        }
        if let Some(clients) = self.text("client_ids") {
            policy = policy.client_ids(clients.parse().ok()?);
        }
        if let Some(seconds) = self.number("clock_skew") {
            policy = policy.clock_skew(Duration::from_secs(seconds));
        }
        if let Some(bytes) = self.number("max_token_size") {
            policy = policy.max_token_size(usize::try_from(bytes).ok()?);
        }
        if let Some(claim) = self.text("role_claim") {
            policy = policy.role_claim(Some(claim.parse().ok()?));
        }
        if let Some(separator) = self.text("role_separator") {
            policy = policy.role_separator(separator.parse().ok()?);
        }
        let rules = IntrospectionRules {
            mode: self.text("introspection").unwrap_or("off").parse().ok()?,
            audience_required: !self.0.contains_key("audience_required")
                || self.is_on("audience_required"),
            exp_required: !self.0.contains_key("exp_required") || self.is_on("exp_required"),
        };
        policy
            .max_token_age(self.number("max_token_age").map(Duration::from_secs))
            .delegated(self.is_on("delegated"))
            .mapped(self.is_on("mapped"))
            .identity_rule(self.identity_rule())
            .provisioned(self.is_on("provisioned"))
            .role_map(self.text("role_map").map(str::to_owned))
            .allow_superuser(self.is_on("allow_superuser"))
            .introspection(rules)
            .require_bound_token(self.is_on("require_bound_token"))
            .build()
            .ok()
    }
}

/// All that a judgement depends on.
pub struct Case {
    /// The first line.
    pub settings: Settings,
    /// What they make.
    pub policy: Policy,
    /// The payload of the token, as sent.
    pub payload: Vec<u8>,
    /// The provider's answer about the token.
    pub answer: Vec<u8>,
    /// The token, as sent.
    pub token: String,
}

impl Case {
    /// Settings, claims and answer, a line each. The token is signed by a key of the issuer's, or opaque.
    pub fn parse(input: &[u8]) -> Option<Case> {
        let mut lines = input.splitn(3, |byte| *byte == b'\n');
        let settings = Settings::parse(lines.next()?)?;
        let policy = settings.policy()?;
        let payload = lines.next()?.to_vec();
        let answer = lines.next().unwrap_or_default().to_vec();
        let token = if settings.is_on("opaque") {
            OPAQUE_TOKEN.to_owned()
        } else {
            let mut header = json!({"alg": "EdDSA", "kid": "key-1", "typ": "at+jwt"});
            if let Some(typ) = settings.0.get("typ") {
                header["typ"] = typ.clone();
            }
            Token::new(signing_key(), "", "", "", "", "")
                .raw_header(header.to_string())
                .raw_claims(payload.clone())
                .encode()
        };
        Some(Case {
            settings,
            policy,
            payload,
            answer,
            token,
        })
    }

    /// The decision, and the same told step by step.
    pub fn judge(&self) -> (Decision, Decision, Vec<StepReport>) {
        let (keys, now) = (issuer_keys(), self.settings.now());
        let attempt = self.attempt();
        let decision = judge(&attempt, &self.policy, keys, &now);
        let (explained, steps) = explain(&attempt, &self.policy, keys, &now);
        (decision, explained, steps)
    }

    /// The role that the client asks for.
    pub fn role(&self) -> &str {
        self.settings.text("role").unwrap_or("alice")
    }

    fn attempt(&self) -> LoginAttempt<'_> {
        LoginAttempt {
            token: Bearer::new(&self.token),
            role: self.role(),
            peer: self,
            catalog: self,
            introspector: self,
        }
    }
}

/// The client presents the certificate that the settings name.
impl Peer for Case {
    fn certificate_der(&self) -> Result<Option<Vec<u8>>, Misconfigured> {
        Ok(self
            .settings
            .text("certificate")
            .map(|der| der.as_bytes().to_vec()))
    }
}

/// The map `m` lets the value `v=r` be the role `r`; the settings say what power the role has.
impl RoleCatalog for Case {
    fn map_allows(&self, _map: &str, value: &str, role: &str) -> Result<bool, Failure> {
        Ok(maps_to(value, role))
    }

    fn server_wide_power(&self, _role: &str) -> Result<Option<Printable>, Failure> {
        Ok(self.settings.text("power").map(Printable::new))
    }
}

/// The groups of which this server makes roles members, where they are provisioned.
pub fn managed_groups() -> [(u32, String); 3] {
    [(1, "staff"), (2, "alice"), (3, "psql")].map(|(number, name)| (number, name.to_owned()))
}

/// What every map of this server says.
pub fn maps_to(value: &str, role: &str) -> bool {
    value
        .split_once('=')
        .is_some_and(|(_, right)| right == role)
}

impl Introspector for Case {
    fn introspect(&self, _token: &Bearer<'_>) -> Result<IntrospectionResponse, Failure> {
        if self.answer.is_empty() {
            return Err(Internal(Printable::new("nobody answers")).into());
        }
        IntrospectionResponse::parse(StatusCode::OK, &self.answer).map_err(|no| match no {
            NotActive::Reject(reject) => reject.into(),
            NotActive::Unavailable(cause) => Unavailable {
                url: Printable::new(ISSUER),
                cause,
            }
            .into(),
        })
    }
}

/// A key of each kind that is made within a moment, and one of RSA.
pub fn keys() -> &'static [Key; 5] {
    static KEYS: OnceLock<[Key; 5]> = OnceLock::new();
    KEYS.get_or_init(|| {
        [
            KeyKind::Ed25519,
            KeyKind::P256,
            KeyKind::P384,
            KeyKind::P521,
            KeyKind::Rsa,
        ]
        .map(|kind| Key::new(kind).with_kid("key-1"))
    })
}

fn signing_key() -> &'static Key {
    &keys()[0]
}

/// The set of these keys.
pub fn issuer_keys() -> &'static JwkSet {
    static SET: OnceLock<JwkSet> = OnceLock::new();
    SET.get_or_init(|| {
        let jwks: Vec<Value> = keys().iter().map(Key::jwk).collect();
        JwkSet::parse(json!({ "keys": jwks }).to_string().as_bytes()).expect("good keys")
    })
}
