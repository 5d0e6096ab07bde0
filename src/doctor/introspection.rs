//! What is wrong with asking the provider about tokens.

use oauth_core::{Printable, near_miss};

use crate::doctor::asking::Providers;
use crate::doctor::finding::{self, Finding};
use crate::doctor::line::LineSettings;
use crate::doctor::provider::Examined;

/// What came of asking about a token that was never issued, where logins ask about theirs, and whether that is where the
/// metadata says.
pub fn examine(line: &LineSettings<'_>, providers: &Providers) -> Examined {
    let introspection = match &line.introspection {
        Ok(Some(introspection)) => introspection,
        Ok(None) => return Examined::default(),
        Err(misconfigured) => {
            return Examined::of(Finding::of_failure(&misconfigured.clone().into()));
        }
    };
    let mut examined = match providers.probe_of(introspection) {
        None => Examined::default(),
        Some(Ok(true)) => Examined::of(
            finding::INTROSPECTION_SAYS_YES
                .with("The provider says that a token that was never issued is active."),
        ),
        Some(Err(failure)) => Examined::of(Finding::of_failure(failure)),
        Some(Ok(false)) => Examined {
            findings: Vec::new(),
            summary: Some("introspection answers about an unknown token; whether it shows active tokens to validator.client_id was not tried".to_owned()),
        },
    };
    let answer = line
        .keys
        .as_ref()
        .ok()
        .and_then(|keys| providers.keys_of(keys));
    let named = answer.map(|answer| answer.remarks.introspection_endpoints.as_slice());
    if let (Some(set), Some(named)) = (&introspection.endpoint, named) {
        examined.findings.extend(compare(set.as_str(), named));
    }
    examined
}

/// The endpoint as it is set, and as the metadata names it, for clients with certificates maybe in another way.
fn compare(set: &str, named: &[String]) -> Option<Finding> {
    let first = named.first()?;
    if named.iter().any(|named| named == set) {
        return None;
    }
    let near = named.iter().find_map(|named| near_miss(named, set));
    let near = near.map_or_else(String::new, |by| format!(" They differ only by {by}."));
    Some(finding::INTROSPECTION_ELSEWHERE.with(format!(
        "validator.introspection_endpoint is \"{}\", but the provider's metadata has \"{}\".{near}",
        Printable::new(set),
        Printable::new(first)
    )))
}
