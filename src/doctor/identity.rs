//! Whether two issuers can produce one identity.

use crate::doctor::finding::{self, Finding};
use crate::doctor::line::Line;

/// What is found at `line`, compared with all others.
pub fn examine(line: &Line<'_>, all: &[Line<'_>]) -> Option<Finding> {
    let own = line.issuer.as_ref()?;
    let other = all.iter().find_map(|other| {
        let issuer = other.issuer.as_ref()?;
        let is_other = issuer.identifier() != own.identifier();
        (is_other && can_meet(&line.identity_prefix, &other.identity_prefix))
            .then_some((other, issuer))
    });
    let (other, issuer) = other?;
    let detail = format!(
        "Issuer {} has the identity prefix \"{}\", and {} has \"{}\": they can produce the same identity.",
        own.identifier(),
        line.identity_prefix,
        issuer.identifier(),
        other.identity_prefix,
    );
    Some(finding::IDENTITY_SHARED.with(detail))
}

/// With prefixes of which one continues the other, what follows the shorter one can make up for the rest.
fn can_meet(a: &str, b: &str) -> bool {
    a.starts_with(b) || b.starts_with(a)
}
