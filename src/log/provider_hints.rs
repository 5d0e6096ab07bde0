//! What an administrator can do about a refusal whose cause is a known convention of a provider.

use oauth_core::{Policy, Printable, Reject, StringList, is_catch_all_audience};

/// A hint that is more to the point than the one for all providers.
pub fn provider_hint(reject: &Reject, policy: &Policy) -> Option<String> {
    let preset = policy.preset().name();
    match preset {
        "dex" => dex_hint(reject),
        "adfs" => adfs_hint(reject, policy),
        "generic" => generic_hint(reject, policy),
        _ => None,
    }
}

fn dex_hint(reject: &Reject) -> Option<String> {
    match reject {
        Reject::NotAnAccessToken { claim: "nonce" } => Some(
            "Dex puts the \"nonce\" of an authorization request into the ID token and the access token, so that they \
                cannot be told apart. Configure the client to use the device flow, or to send no \"nonce\"."
                .to_owned(),
        ),
        _ => None,
    }
}

/// AD FS has one name in its metadata and its ID tokens, and another one in its access tokens.
fn adfs_hint(reject: &Reject, policy: &Policy) -> Option<String> {
    let Reject::IssMismatch { iss } = reject else {
        return None;
    };
    if iss.as_str() == policy.issuer().identifier() {
        return Some(format!(
            "The token names \"{iss}\", as ID tokens of AD FS do. Configure the client to send the access token. If \
                \"access_token_issuer\" of the discovery document is the same, set validator.access_token_issuer to it."
        ));
    }
    let expected = policy.access_token_issuer();
    let expected = expected.as_ref().and_then(|expected| expected.as_str());
    let accepted = expected.map_or_else(
        || "nothing is accepted, because the issuer is not https://HOST/adfs".to_owned(),
        |expected| format!("\"{}\" is accepted", Printable::new(expected)),
    );
    Some(format!(
        "The token names \"{iss}\"; {accepted}. Set validator.access_token_issuer to the value that the discovery document has \
            as \"access_token_issuer\": if that is not what the token names, the token is from elsewhere."
    ))
}

/// Where no provider is named, what shows which one it may be.
fn generic_hint(reject: &Reject, policy: &Policy) -> Option<String> {
    match reject {
        // No other claim of an ID token is there, and a header without "typ" is accepted.
        Reject::NotAnAccessToken { claim: "at_hash" } if policy.token_types().accept(None) => Some(
            "The claim \"at_hash\" shows that this is an ID token, unless the provider is Dex, whose access tokens have \
                it, too. For Dex, set validator.provider = 'dex'; otherwise configure the client to send the access token."
                .to_owned(),
        ),
        Reject::IssMismatch { iss } if iss.as_str().ends_with("/adfs/services/trust") => Some(format!(
            "The token names \"{iss}\", as access tokens of AD FS do. For AD FS, set validator.provider = 'adfs', and \
                leave the issuer in pg_hba.conf as \"issuer\" of the discovery document."
        )),
        _ => None,
    }
}

/// A hint by a convention that several providers have.
pub fn any_provider_hint(reject: &Reject, policy: &Policy) -> Option<String> {
    let accepted = |values: &StringList| Printable::list(values.iter());
    match reject {
        Reject::AudMismatch { named } => {
            let catch_all = named
                .as_str()
                .split(", ")
                .find(|aud| is_catch_all_audience(aud))?;
            Some(format!(
                "The token names \"{named}\"; validator.audience accepts \"{}\". Configure the provider to add the \
                    audience. Do not accept \"{catch_all}\" instead: tokens that are not meant for this server have it, too.",
                accepted(policy.audience()),
            ))
        }
        _ => None,
    }
}
