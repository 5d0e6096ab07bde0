//! What the settings for a line ask of tokens, and what that lets in or keeps out.

use oauth_core::{Doubt, PolicyBuilder, Printable, near_miss};

use crate::doctor::finding::{self, Finding};

/// What no token can pass, and what too many can.
pub fn examine(policy: &PolicyBuilder, issuer: &str) -> Vec<Finding> {
    let faults = policy
        .faults()
        .into_iter()
        .map(|fault| Finding::of_failure(&fault.into()));
    let doubts = policy.doubts().into_iter().filter_map(examine_doubt);
    faults
        .chain(doubts)
        .chain(examine_audience(policy, issuer))
        .collect()
}

fn examine_doubt(doubt: Doubt) -> Option<Finding> {
    Some(match doubt {
        Doubt::NoTokenTypeOfProvider => finding::CONTRADICTS_PRESET
            .with("validator.token_types lists none of the types of the provider's access tokens (validator.provider)."),
        Doubt::NoAlgorithmOfProvider => finding::CONTRADICTS_PRESET
            .with("validator.algorithms lists none of the algorithms that validator.provider uses."),
        Doubt::ProviderNamesNoClient => finding::CONTRADICTS_PRESET
            .with("validator.client_ids is set, but tokens of validator.provider name no client, so all are refused."),
        Doubt::IdTokenMayPass => finding::ID_TOKEN_MAY_PASS
            .with("validator.token_types accepts the type of ID tokens, and validator.provider = generic has little else to distinguish them."),
        Doubt::NoScopeNamed => finding::SCOPE_EMPTY
            .with("The line's scope is empty, so a token for any purpose at this audience is accepted."),
        Doubt::AllScopesOptional => finding::SCOPE_EMPTY
            .with("All scopes of the line are in validator.optional_scopes, so a token for any purpose at this audience is accepted."),
        Doubt::IdentitiesMeet => finding::IDENTITY_AMBIGUOUS
            .with("Two claims of validator.identity_claim can give the same identity: one prefix is the beginning of the other."),
        _ => return None,
    })
}

/// Audiences that say little, or that are probably another value.
fn examine_audience(policy: &PolicyBuilder, issuer: &str) -> Vec<Finding> {
    let catch_all = policy.catch_all_audiences().map(|audience| {
        finding::AUDIENCE_CATCH_ALL.with(format!(
            "validator.audience lists \"{}\", which tokens have that are not meant for this server: every client that gets one can log in its users.",
            Printable::new(audience)
        ))
    });
    let of_clients = policy.audiences_of_clients().map(|audience| {
        finding::AUDIENCE_IS_CLIENT.with(format!(
            "\"{}\" is in validator.audience and in validator.client_ids: what this client gets for itself, such as its ID tokens, names it as well, whatever it is for.",
            Printable::new(audience)
        ))
    });
    let near = policy.audiences().filter_map(|audience| {
        let by = near_miss(audience, issuer)?;
        Some(finding::AUDIENCE_NEAR_MISS.with(format!(
            "validator.audience lists \"{}\", and the issuer is \"{}\": they differ only by {by}.",
            Printable::new(audience),
            Printable::new(issuer)
        )))
    });
    catch_all.chain(of_clients).chain(near).collect()
}
