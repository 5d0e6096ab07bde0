//! Hints by what a refused token says of itself: whose it is, and what kind. None of that is verified, and is said so.

use oauth_core::{Misspelt, Policy, Printable, Reject, TokenKind, near_miss};

use crate::log::circumstances::Circumstances;

/// A hint that is more to the point than that of the check which failed. `None`: the token seems to be an access token
/// of the line's issuer.
pub fn token_hint(reject: &Reject, policy: &Policy, known: &Circumstances<'_>) -> Option<String> {
    if !may_be_meant_for_another(reject) {
        return None;
    }
    other_issuer_hint(policy, known)
        .or_else(|| other_kind_hint(policy, known))
        .or_else(|| comma_hint(reject))
        .or_else(|| misspelt_hint(reject, policy, known))
}

/// A scope that is several, by mistake.
fn comma_hint(reject: &Reject) -> Option<String> {
    let Reject::InsufficientScope { missing } = reject else {
        return None;
    };
    let mut scopes = missing.as_str().split(", ");
    let one = scopes.find(|scope| scope.contains(','))?;
    Some(format!(
        "\"{one}\" in scope= of the HBA line is one scope, since a comma does not separate scopes. Separate them by \
            spaces: scope=\"{}\".",
        one.replace(',', " ")
    ))
}

/// Is it what is demanded, in another spelling?
fn misspelt_hint(reject: &Reject, policy: &Policy, known: &Circumstances<'_>) -> Option<String> {
    let Misspelt { named, wanted, by } = known.sketch?.misspelt(reject, policy)?;
    let place = match reject {
        Reject::AudMismatch { .. } => "validator.audience",
        Reject::ClientNotAllowed { .. } => "validator.client_ids",
        _ => "scope= of the HBA line",
    };
    Some(format!(
        "The token names \"{named}\", and {place} has \"{wanted}\". They differ only by {by}, but must be equal: \
            correct the one that is wrong."
    ))
}

/// Whether a token for something else, or of another kind, fails in this way. What fails later has been told apart.
fn may_be_meant_for_another(reject: &Reject) -> bool {
    matches!(
        reject,
        Reject::AlgNotAllowed { .. }
            | Reject::TypNotAllowed { .. }
            | Reject::CritUnsupported
            | Reject::UnknownKid { .. }
            | Reject::NoFittingKey { .. }
            | Reject::KeySetTooLarge { .. }
            | Reject::AmbiguousKey { .. }
            | Reject::KeyUnsuitable { .. }
            | Reject::BadSignature { .. }
            | Reject::IssMismatch { .. }
            | Reject::AudMissing
            | Reject::AudMismatch { .. }
            | Reject::AccessTokenUnproven { .. }
            | Reject::ClientMissing
            | Reject::ClientNotAllowed { .. }
            | Reject::InsufficientScope { .. }
    )
}

/// Whose token is it?
fn other_issuer_hint(policy: &Policy, known: &Circumstances<'_>) -> Option<String> {
    let named = known.sketch?.other_issuer()?;
    let own = policy.issuer().identifier();
    let line = match known.hba_line {
        Some(number) => format!("line {number} of pg_hba.conf, which matched,"),
        None => "the line of pg_hba.conf".to_owned(),
    };
    let mut hint = format!(
        "The token says that it is from \"{}\" (unverified); {line} is for \"{}\".",
        Printable::new(named),
        Printable::new(own),
    );
    if let Some(near) = near_miss(named, own) {
        hint += &format!(
            " They differ only by {near}, but must be equal: use the issuer exactly as the provider's discovery document \
                has it."
        );
    } else if let Some(other) = known.other_line {
        hint += &format!(
            " Line {other} is for the token's issuer: PostgreSQL uses the first line whose type, database, role and \
                address match. Check why the other one matched, for example by a membership of the role."
        );
    } else {
        hint += " Configure the client to get its token from the line's issuer, or add a line for the token's.";
    }
    Some(hint)
}

/// What kind of token is it?
fn other_kind_hint(policy: &Policy, known: &Circumstances<'_>) -> Option<String> {
    let send = "Configure the client to send the access token.";
    Some(match known.sketch?.kind.as_ref()? {
        // Its access tokens have the form of ID tokens.
        TokenKind::IdToken { .. } if policy.preset().name() == "dex" => return None,
        // Other hints know more about it.
        TokenKind::IdToken { claim: "at_hash" } => return None,
        TokenKind::IdToken { claim } => {
            format!("This is an ID token, as its claim \"{claim}\" shows (unverified). {send}")
        }
        TokenKind::RefreshToken => {
            format!("This is a refresh token, by what it says of itself (unverified). {send}")
        }
        TokenKind::LogoutToken => {
            format!("This is a logout token, by what it says of itself (unverified). {send}")
        }
        TokenKind::MicrosoftGraph => "The token is for Microsoft Graph, by what it says of itself (unverified), and only \
            Microsoft can verify it. Configure the client to request a scope of your own application, such as \
            api://API_ID/postgres, which the HBA line should name."
            .to_owned(),
    })
}
