//! Hints for tokens that came as passwords: what is set up otherwise than for a line of the method `oauth`.

use oauth_core::{IntrospectionMode, Misconfigured, Policy, Reject};

use crate::log::circumstances::Circumstances;

/// What to do about settings.
pub fn misconfigured_hint(misconfigured: &Misconfigured) -> Option<String> {
    Some(match misconfigured {
        Misconfigured::IssuerUnset { service } if !may_be_profile(service.as_str()) => format!(
            "Set validator.issuer, or name a PAM service of lower-case letters, digits and underscores as \
                pamservice=... in pg_hba.conf, which can be the name of a profile; \"{service}\" cannot."
        ),
        Misconfigured::IssuerUnset { service } => format!(
            "Add \"{service}\" to validator.profiles and set validator_{service}.issuer, or set validator.issuer. If \
                another PAM service is meant, name it as pamservice=... in pg_hba.conf."
        ),
        Misconfigured::PamServiceOther => "libpam adds the modules of \"other\" to services that have no file, or lack \
            a group of modules. Give the PAM file another name, and name it as pamservice=... in pg_hba.conf."
            .to_owned(),
        _ => return None,
    })
}

/// What to do about a token. `None`: the same as if it had come otherwise.
pub fn password_hint(
    reject: &Reject,
    policy: Option<&Policy>,
    known: &Circumstances<'_>,
) -> Option<String> {
    if !known.is_password {
        return None;
    }
    Some(match reject {
        Reject::TlsRequired => "Have the client connect over TLS (sslmode=verify-full) and use hostssl in pg_hba.conf. \
            The client was not asked for its token. See validator.password_requires_tls."
            .to_owned(),
        Reject::NotAJwt if !takes_opaque(policy) => {
            "The client sent a password that is not a signed JWT, and the provider was not asked about it. Configure \
                the client to send an access token as its password. For a provider whose access tokens are opaque, see \
                validator.introspection; what people then type as a password is sent to the provider."
                .to_owned()
        }
        Reject::MalformedJwt | Reject::BadEncoding => "A part of the token is missing, or has other characters. Something on its way may have cut it: \
            docs/passwords.md has the limits of clients and poolers."
            .to_owned(),
        Reject::BadSignature { again_in: None } => "The token was altered, forged, or cut on its way: docs/passwords.md has the limits \
            of clients and poolers. Or it is signed with a key that the provider has replaced since under the same \"kid\"."
            .to_owned(),
        Reject::IssMismatch { iss } => format!(
            "The token names \"{iss}\"; validator.issuer, or that of the profile, must equal it, byte for byte."
        ),
        Reject::IdentityNotRole { identity } => format!(
            "The identity is \"{identity}\". Have the client request the role of this name, or set \
                validator.password_map to a map of pg_ident.conf, or validator.role_claim to a claim that lists roles. \
                Which claim is the identity, validator.identity_claim says."
        ),
        Reject::IdentityNotMapped { identity, map } => format!(
            "The identity is \"{identity}\". Add a line for it and the role to the map \"{map}\" in pg_ident.conf, or \
                have the client request a role that the map gives it."
        ),
        Reject::RoleTooPowerful { power } => format!(
            "The role {power}. Set validator.password_map to a map of pg_ident.conf with a line that names who may \
                take this role. validator.allow_superuser = on would let whoever manages users at the provider take any \
                such role."
        ),
        _ => return None,
    })
}

fn takes_opaque(policy: Option<&Policy>) -> bool {
    policy.is_some_and(|policy| policy.introspection().mode == IntrospectionMode::Opaque)
}

/// Whether `validator.profiles` can have this name.
fn may_be_profile(name: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    !name.is_empty() && name.len() <= 32 && name.bytes().all(is_plain)
}
