//! A page of docs/providers: the settings and the line that it tells people to use, and a token of its shape.

use court::{Court, GRANTED, NOW};
use oauth_core::{Issuer, Policy, PolicyBuilder, ProviderMetadata};
use serde_json::{Value, json};

use crate::provider::{signing_key, token_of_parts};

/// The page, and a document and a token as it describes them.
pub struct Page {
    /// The page's text.
    pub text: &'static str,
    /// The keys' place below the issuer.
    pub keys: &'static str,
    /// The header besides `alg` and `kid`.
    pub header: Value,
    /// The claims besides `iss`, `iat` and `exp`.
    pub claims: Value,
}

impl Page {
    /// The first block below a heading.
    fn block(&self, heading: &str) -> &'static str {
        let heading = format!("\n## {heading}\n");
        let (_, section) = self.text.split_once(heading.as_str()).expect("a section");
        let (_, block) = section.split_once("```\n").expect("a block");
        block.split_once("```").expect("the end of a block").0
    }

    /// What an option of the page's line is.
    fn line(&self, option: &str) -> &'static str {
        let (_, value) = self
            .block("pg_hba.conf")
            .split_once(&format!("{option}=\""))
            .expect("an option");
        value.split_once('"').expect("a value in quotes").0
    }

    pub fn issuer(&self) -> &'static str {
        self.line("issuer")
    }

    /// The policy of the page's own settings.
    pub fn policy(&self) -> PolicyBuilder {
        let settings: Vec<(&str, &str)> = self
            .block("postgresql.conf")
            .lines()
            .filter_map(|line| {
                let (name, value) = line.strip_prefix("validator.")?.split_once(" = '")?;
                Some((name, value.split_once('\'')?.0))
            })
            .collect();
        let issuer = Issuer::parse(self.issuer()).unwrap();
        let mapped = self.block("pg_hba.conf").contains(" map=");
        let mut policy = Policy::builder(issuer)
            .required_scopes(self.line("scope"))
            .mapped(mapped);
        // What a preset sets comes first, as in the module.
        if let Some((_, preset)) = settings.iter().find(|(name, _)| *name == "provider") {
            policy = policy.preset(preset.parse().unwrap());
        }
        for (name, value) in settings {
            policy = match name {
                "provider" => policy,
                "audience" => policy.audience(value.parse().unwrap()),
                "token_types" => policy.token_types(value.parse().unwrap()),
                "identity_claim" => policy.identity_claim(value.parse().unwrap()),
                "required_claims" => policy.required_claims(value.parse().unwrap()),
                "client_ids" => policy.client_ids(value.parse().unwrap()),
                "role_claim" => policy.role_claim(Some(value.parse().unwrap())),
                other => panic!("the test does not know {other}"),
            };
        }
        policy
    }

    fn court(&self, role: &'static str) -> Court {
        Court::new()
            .policy_of(self.policy().build().unwrap())
            .keys(&[signing_key().jwk()])
            .role(role)
    }

    fn all_claims(&self) -> Value {
        let mut claims = self.claims.clone();
        let times = json!({"iss": self.issuer(), "iat": NOW, "exp": NOW + 300});
        merge(&mut claims, &times);
        claims
    }

    /// The verdict on the token with these members of header and claims in place of its own; `null` takes one out.
    pub fn verdict(&self, header: Value, claims: Value) -> &'static str {
        self.verdict_as("alice", header, claims)
    }

    /// The same, for another role.
    pub fn verdict_as(&self, role: &'static str, header: Value, claims: Value) -> &'static str {
        let (mut all, mut top) = (self.all_claims(), self.header.clone());
        merge(&mut all, &claims);
        merge(&mut top, &header);
        self.court(role).verdict(&token_of_parts(&top, &all))
    }

    /// The document and the token are accepted; the token is bound to issuer, audience and time.
    #[track_caller]
    pub fn check(&self, role: &'static str, identity: &str) {
        let token = token_of_parts(&self.header, &self.all_claims());
        let decision = self.court(role).judge(&token.encode());
        assert_eq!(court::verdict_of(&decision), GRANTED, "{}", self.issuer());
        assert_eq!(decision.authn_id(), Some(identity));

        let base = self.issuer().trim_end_matches('/');
        let jwks_uri = format!("{base}/{}", self.keys);
        let document = json!({"issuer": self.issuer(), "jwks_uri": jwks_uri}).to_string();
        let issuer = Issuer::parse(self.issuer()).unwrap();
        let metadata = ProviderMetadata::parse(document.as_bytes(), &issuer).unwrap();
        assert_eq!(metadata.jwks_uri().as_str(), jwks_uri);

        self.check_refused([
            (
                json!({}),
                json!({"iss": "https://other.example"}),
                "iss_mismatch",
            ),
            (
                json!({}),
                json!({"iss": format!("{}/x", self.issuer())}),
                "iss_mismatch",
            ),
            (
                json!({}),
                json!({"aud": "https://other.example/"}),
                "aud_mismatch",
            ),
            (json!({}), json!({"aud": null}), "aud_missing"),
            (json!({}), json!({"exp": NOW - 31}), "expired"),
            (json!({}), json!({"exp": null}), "exp_missing"),
        ]);
    }

    /// What is refused, and why.
    #[track_caller]
    pub fn check_refused<const N: usize>(&self, cases: [(Value, Value, &str); N]) {
        for (header, claims, reason) in cases {
            let verdict = self.verdict(header.clone(), claims.clone());
            assert_eq!(verdict, reason, "{header} {claims}");
        }
    }
}

fn merge(into: &mut Value, changes: &Value) {
    let members = into.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
}
