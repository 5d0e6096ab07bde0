//! Settings that are valid but contradict each other: for a check of the configuration, not for the judgement.

use crate::keys::algorithm::Algorithm;
use crate::keys::jwk::JwkSet;
use crate::policy::catch_all_audience::is_catch_all_audience;
use crate::policy::preset::Preset;
use crate::policy::provider_rules::{AudienceRule, ProviderRules, ScopeRule};
use crate::policy::{Policy, PolicyBuilder};

/// Something in a policy that is probably not what was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Doubt {
    /// None of the `typ` headers that the provider's access tokens have is accepted.
    NoTokenTypeOfProvider,
    /// None of the provider's signature algorithms is accepted.
    NoAlgorithmOfProvider,
    /// Clients are listed, and the provider's tokens name none.
    ProviderNamesNoClient,
    /// RFC 8725 §3.11: `JWT` is accepted where nothing but the type tells an access token from an ID token.
    IdTokenMayPass,
    /// No scope is required: the HBA line names none.
    NoScopeNamed,
    /// No scope is required: all that the HBA line names are optional.
    AllScopesOptional,
    /// Two claims that can become the identity can give the same one.
    IdentitiesMeet,
}

impl PolicyBuilder {
    /// Accepted audiences that tokens have although they are not meant for this server.
    pub fn catch_all_audiences(&self) -> impl Iterator<Item = &str> {
        let audience = self.parts().audience().iter();
        audience.filter(|audience| is_catch_all_audience(audience))
    }

    /// Accepted audiences that are also listed as clients: what such a client gets for itself names them, whatever it is
    /// for. Not of providers that always name the client in access tokens.
    pub fn audiences_of_clients(&self) -> impl Iterator<Item = &str> {
        let policy = self.parts();
        let is_usual = names_client_as_audience(policy.preset());
        let audience = policy.audience().iter();
        audience.filter(move |audience| !is_usual && policy.client_ids().contains(audience))
    }

    /// Accepted audiences.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        self.parts().audience().iter()
    }

    /// What is probably not meant.
    pub fn doubts(&self) -> Vec<Doubt> {
        let policy = self.parts();
        let rules = policy.preset().rules();
        [
            (
                accepts_no_type_of(policy, rules),
                Doubt::NoTokenTypeOfProvider,
            ),
            (
                accepts_no_algorithm_of(policy, rules),
                Doubt::NoAlgorithmOfProvider,
            ),
            (
                !policy.client_ids().is_empty() && rules.client_claims.is_empty(),
                Doubt::ProviderNamesNoClient,
            ),
            (
                policy.preset() == Preset::GENERIC && accepts_plain_type(policy),
                Doubt::IdTokenMayPass,
            ),
            (!policy.names_scopes(), Doubt::NoScopeNamed),
            (
                policy.names_scopes() && demands_no_scope(policy, &rules.scope),
                Doubt::AllScopesOptional,
            ),
            (identities_meet(policy), Doubt::IdentitiesMeet),
        ]
        .into_iter()
        .filter_map(|(holds, doubt)| holds.then_some(doubt))
        .collect()
    }

    /// Whether a token that one of these keys has signed could be accepted.
    pub fn accepts_a_key_of(&self, keys: &JwkSet) -> bool {
        keys.has_key_for(self.parts().algorithms())
    }
}

/// Amazon Cognito and authentik know no other audience.
fn names_client_as_audience(preset: Preset) -> bool {
    preset.rules().audience == AudienceRule::AudOrClientId || preset.name() == "authentik"
}

fn accepts_no_type_of(policy: &Policy, rules: &ProviderRules) -> bool {
    // Only RFC 9068 requires a type; nothing else is known of a provider without a preset.
    if policy.preset() == Preset::GENERIC {
        return false;
    }
    let accepted = policy.token_types();
    !rules
        .token_types
        .iter()
        .any(|name| accepted.accept((*name != "-").then_some(*name)))
}

fn accepts_no_algorithm_of(policy: &Policy, rules: &ProviderRules) -> bool {
    let of_provider = rules.algorithms.unwrap_or(&Algorithm::ALL);
    !of_provider
        .iter()
        .any(|alg| policy.algorithms().contains(*alg))
}

fn accepts_plain_type(policy: &Policy) -> bool {
    policy.token_types().accept(Some("JWT")) || policy.token_types().accept(None)
}

/// Whether one of the prefixes continues another, so that what follows the shorter one can make up for the rest.
fn identities_meet(policy: &Policy) -> bool {
    let prefixes = policy.identity_claim().prefixes(policy.identity_prefix());
    let prefixes: Vec<&str> = prefixes.collect();
    prefixes.iter().enumerate().any(|(at, one)| {
        let others = prefixes.iter().skip(at.saturating_add(1));
        others
            .into_iter()
            .any(|other| one.starts_with(other) || other.starts_with(one))
    })
}

/// If the provider's tokens carry no scopes, none can be required.
fn demands_no_scope(policy: &Policy, rule: &ScopeRule) -> bool {
    !rule.may_lack && policy.demanded_scopes().next().is_none()
}
