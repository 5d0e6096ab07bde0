//! The steps of a judgement, one by one, to explain why a token is refused.

use crate::basics::clock::Timestamp;
use crate::basics::json::Object;
use crate::basics::printable::Printable;
use crate::checks::structure::JoseHeader;
use crate::failure::Failure;
use crate::keys::public_key::PublicKey;
use crate::keys::source::FoundKeys;
use crate::policy::Policy;
use crate::policy::values::IdentityRule;

/// One step of a judgement, and how it ended.
#[derive(Debug)]
pub struct StepReport {
    /// What was checked, such as `audience`.
    pub name: &'static str,
    /// `Ok`: what was found, printable and without secrets; empty if there is nothing to report. `Err`: why the
    /// judgement ended here.
    pub outcome: Result<String, Failure>,
}

/// Records steps, or not: a login that is not to be explained pays nothing for it.
#[derive(Debug, Default)]
pub(crate) struct Steps(Option<Vec<StepReport>>);

impl Steps {
    pub(crate) fn told() -> Self {
        Steps(Some(Vec::new()))
    }

    pub(crate) fn into_reports(self) -> Vec<StepReport> {
        self.0.unwrap_or_default()
    }

    /// Passes the outcome of a step on, and records it. `fact` returns what was found.
    pub(crate) fn take<T, E: Into<Failure>>(
        &mut self,
        name: &'static str,
        outcome: Result<T, E>,
        fact: impl FnOnce(&T) -> String,
    ) -> Result<T, Failure> {
        let outcome = outcome.map_err(E::into);
        if let Some(reports) = &mut self.0 {
            let outcome = outcome.as_ref().map(fact).map_err(Failure::clone);
            reports.push(StepReport { name, outcome });
        }
        outcome
    }
}

pub(crate) fn header_fact(header: &JoseHeader) -> String {
    let alg = header.alg.name();
    match &header.kid {
        Some(kid) => format!("alg={alg} kid={}", Printable::new(kid).to_fact()),
        None if header.certificate.is_none() => format!("alg={alg}, no kid"),
        None => format!("alg={alg}, key named by the thumbprint of its certificate"),
    }
}

pub(crate) fn key_fact(keys: &FoundKeys) -> String {
    let kinds: Vec<&str> = keys.iter().map(PublicKey::kty).collect();
    match kinds.as_slice() {
        [kty, _, ..] => format!("{kty}, one of {} keys", kinds.len()),
        one => one.concat(),
    }
}

pub(crate) fn printed(text: &str) -> String {
    Printable::new(text).to_string()
}

/// A claim as `name=value`.
pub(crate) fn claim_fact(claims: &Object, name: &str) -> String {
    match claims.get(name) {
        None => format!("no {name}"),
        Some(serde_json::Value::String(text)) => fact(name, text),
        Some(value) => fact(name, &value.to_string()),
    }
}

pub(crate) fn expiry_fact(exp: Timestamp, now: Timestamp) -> String {
    match exp {
        Timestamp::FOREVER => "does not expire".to_owned(),
        exp if exp >= now => format!("{} s left", exp.seconds_since(now)),
        exp => format!("{} s ago, within the clock skew", now.seconds_since(exp)),
    }
}

pub(crate) fn times_fact(claims: &Object) -> String {
    format!(
        "{}, {}",
        claim_fact(claims, "nbf"),
        claim_fact(claims, "iat")
    )
}

pub(crate) fn client_fact(client: Option<&str>) -> String {
    client.map_or_else(|| "it names no client".to_owned(), printed)
}

pub(crate) fn scope_fact(claims: &Object) -> String {
    let name = if claims.contains_key("scp") {
        "scp"
    } else {
        "scope"
    };
    claim_fact(claims, name)
}

pub(crate) fn binding_fact(claims: &Object) -> String {
    match claims.contains_key("cnf") {
        true => "bound to the client certificate".to_owned(),
        false => "not bound to a certificate".to_owned(),
    }
}

pub(crate) fn role_fact(claims: &Object, policy: &Policy) -> String {
    let Some(claim) = policy.role_claim() else {
        return match policy.identity_rule() {
            None => "pg_ident.conf decides".to_owned(),
            Some(IdentityRule::EqualsRole) => "the identity equals the role".to_owned(),
            Some(IdentityRule::ByMap(map)) => fact("map", map),
        };
    };
    let value = claim.find(claims).map(ToString::to_string);
    fact(claim.as_str(), value.as_deref().unwrap_or_default())
}

fn fact(name: &str, value: &str) -> String {
    let (name, value) = (Printable::new(name), Printable::new(value));
    format!("{}={}", name.to_fact(), value.to_fact())
}
