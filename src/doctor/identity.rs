//! Whether two issuers can produce one identity.

use crate::doctor::finding::{self, Finding};
use crate::doctor::line::Line;

/// What is found at `line`, compared with all others.
pub fn examine(line: &Line<'_>, all: &[Line<'_>]) -> Option<Finding> {
    let own = line.issuer.as_ref()?;
    let met = all.iter().find_map(|other| {
        let issuer = other.issuer.as_ref()?;
        let is_other = issuer.identifier() != own.identifier();
        let pairs = line.identity_prefixes.iter().flat_map(|prefix| {
            let others = other.identity_prefixes.iter();
            others.map(move |other| (prefix, other))
        });
        let mut meeting = pairs.filter(|(prefix, other)| is_other && can_meet(prefix, other));
        meeting
            .next()
            .map(|(prefix, other)| (prefix, issuer, other))
    });
    let (prefix, issuer, other) = met?;
    let detail = format!(
        "Issuer {} has the identity prefix \"{prefix}\", and {} has \"{other}\": they can produce the same identity.",
        own.identifier(),
        issuer.identifier(),
    );
    Some(finding::IDENTITY_SHARED.with(detail))
}

/// With prefixes of which one continues the other, what follows the shorter one can make up for the rest.
fn can_meet(a: &str, b: &str) -> bool {
    a.starts_with(b) || b.starts_with(a)
}
