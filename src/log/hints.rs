//! What an administrator can do about a failure.

use oauth_core::{
    Algorithms, Failure, MAX_CANDIDATES, MAX_KEYS, Misconfigured, Policy, Preset, Printable,
    Reject, TokenTypes, likely_preset,
};

use crate::log::answer_hints::answer_hint;
use crate::log::circumstances::{Circumstances, NoCertificate};
use crate::log::key_hints::{changed_keys_note, fetched_again, key_hint};
use crate::log::password_hints::{self, password_hint};
use crate::log::provider_hints::{any_provider_hint, provider_hint};
use crate::log::provisioning_hints::provisioning_hint;
use crate::log::settings_hints::{invalid_setting_hint, meant_profile_hint, other_profile_note};
use crate::log::time_hints::time_hint;
use crate::log::token_hints::token_hint;
use crate::log::unavailable_hints::unavailable_hint;

/// What to do where there is no room for the keys of all issuers. Those of tokens as passwords are in settings.
pub const RAISE_CACHED_ISSUERS: &str = if cfg!(oauth) {
    "Set validator.jwks_cache_issuers to at least the number of issuers in pg_hba.conf and, for tokens as passwords, of \
        validator.issuer and the profiles (validator_PROFILE.issuer), and restart the server."
} else {
    "Set validator.jwks_cache_issuers to at least the number of issuers of validator.issuer and the profiles \
        (validator_PROFILE.issuer), and restart the server."
};

/// What the administrator can do about it: what is known of the login is looked at before what the failed check says.
pub fn hint(failure: &Failure, known: &Circumstances<'_>) -> Option<String> {
    if let Some(hint) = meant_profile_hint(failure, known) {
        return Some(hint);
    }
    let hint = first_hint(failure, known)?;
    Some(hint + &other_profile_note(failure, known))
}

/// The most specific one that there is.
fn first_hint(failure: &Failure, known: &Circumstances<'_>) -> Option<String> {
    let policy = known.policy;
    match failure {
        Failure::Reject(reject) => policy
            .and_then(|policy| provider_hint(reject, policy))
            .or_else(|| token_hint(reject, policy?, known))
            .or_else(|| key_hint(reject, known))
            .or_else(|| time_hint(reject, known))
            .or_else(|| answer_hint(reject, known))
            .or_else(|| any_provider_hint(reject, policy?))
            .or_else(|| password_hint(reject, policy, known))
            .or_else(|| reject_hint(reject, known)),
        Failure::Unavailable(unavailable) => Some(unavailable_hint(&unavailable.cause, known)),
        Failure::Misconfigured(misconfigured) => Some(
            password_hints::misconfigured_hint(misconfigured)
                .unwrap_or_else(|| misconfigured_hint(misconfigured, known)),
        ),
        Failure::Internal(_) => {
            Some("This is a defect of the validator module; please report it.".to_owned())
        }
    }
}

fn misconfigured_hint(misconfigured: &Misconfigured, known: &Circumstances<'_>) -> String {
    match misconfigured {
        Misconfigured::Disabled => "Somebody has switched tokens off on purpose: find out why. Set validator.enabled = on to \
            accept them again."
            .to_owned(),
        Misconfigured::AudienceUnset => "Set validator.audience to the value that the provider \
            puts into \"aud\" of tokens meant for this server."
            .to_owned(),
        Misconfigured::IssuerInvalid { .. } => "Set issuer=\"...\" in pg_hba.conf to the provider's https URL, \
            exactly as its discovery document has it."
            .to_owned(),
        Misconfigured::SettingInvalid { setting, .. } => {
            invalid_setting_hint(setting, known)
        }
        Misconfigured::RoleClaimUnset => "With delegate_ident_mapping=1 the token alone decides who may take which \
            role, and with validator.provision which groups a role has. Set validator.role_claim to the claim that lists \
            them, or use map=... in pg_hba.conf instead, with validator.provision = off."
            .to_owned(),
        Misconfigured::RequiredClaimsUnset { one_of } => format!(
            "The provider issues tokens to strangers, too. Set validator.required_claims to your own value of one of {}.",
            one_of.join(", ")
        ),
        Misconfigured::CertificatesUnsupported { .. } => {
            "Use a server that is built with OpenSSL, or configure the provider to issue tokens that are not bound, which are \
                good for whoever has them."
                .to_owned()
        }
        Misconfigured::ServerResources { .. } => "If shared memory is exhausted, enlarge /dev/shm, or preload the \
            module, so that its memory is reserved at server start. If files are exhausted, raise \
            their limit for the server's processes (ulimit -n, LimitNOFILE of systemd). Logins work again as soon as \
            there is room."
            .to_owned(),
        Misconfigured::KeyCacheFull { .. } => RAISE_CACHED_ISSUERS.to_owned(),
        Misconfigured::LoadedTwice if cfg!(not(oauth)) => {
            "Name the module by one file name only in the lists of libraries to preload.".to_owned()
        }
        Misconfigured::LoadedTwice => "Name the module by one file name only in pg_hba.conf, \
            oauth_validator_libraries and the lists of libraries to preload."
            .to_owned(),
        Misconfigured::RecoveryConflict { .. } => "The client may try again. If it happens often, \
            see max_standby_streaming_delay and max_standby_archive_delay."
            .to_owned(),
        Misconfigured::RoleNotProvisioned { cause, .. } => provisioning_hint(cause).to_owned(),
        _ => "Correct the settings and reload.".to_owned(),
    }
}

fn reject_hint(reject: &Reject, known: &Circumstances<'_>) -> Option<String> {
    use Reject as R;
    let policy = known.policy;
    let list = |values: &oauth_core::StringList| Printable::list(values.iter());
    let hint = match reject {
        R::TlsRequired => "Have the client connect over TLS (sslmode=verify-full), or have a pooler or load balancer that \
            connects for it do so, and use hostssl in pg_hba.conf. The token may have been read on its way: a new one \
            is safer."
            .to_owned(),
        R::TokenTooLarge { size } => {
            let limit = policy.map_or(0, Policy::max_token_size);
            format!("The token has {size} bytes; validator.max_token_size allows {limit}. Configure the provider to put less into it, \
                such as fewer groups, or raise the setting (to 65536 at most).")
        }
        R::HeaderTooLarge { size, limit } => format!(
            "The token's header has {size} bytes; at most {limit} are read. Configure the provider to leave the \
                certificate chain (\"x5c\") out of it."
        ),
        R::NotAJwt => "The provider issues opaque tokens, or the client sent something else. Configure the provider \
            to issue JWT access tokens for this audience, or see validator.introspection."
            .to_owned(),
        R::MalformedJwt => {
            "The client altered the token, or someone is trying to pass it off as an opaque token."
                .to_owned()
        }
        R::Encrypted => "Configure the provider to sign its access tokens instead of encrypting them.".to_owned(),
        R::AlgNotAllowed { alg } => algorithm_hint(alg, policy),
        R::TypNotAllowed { typ } => type_hint(typ.as_ref(), policy),
        R::UnknownKid {
            again_in: Some(seconds),
        }
        | R::NoFittingKey {
            again_in: Some(seconds),
        } => format!(
            "The cached key set does not have this key. If the token is newer than the cached keys, it is accepted \
                once they are fetched again, {}. Otherwise it is from another issuer, or older than the provider's last key \
                rotation.",
            fetched_again(*seconds, known),
        ),
        R::UnknownKid { again_in: None } | R::NoFittingKey { again_in: None } => {
            "The provider's key set does not have this key. The token is from another issuer, or older than the \
                provider's last key rotation."
                .to_owned()
        }
        R::KeySetTooLarge { left_out } => key_set_hint(*left_out),
        R::AmbiguousKey { again_in } => format!(
            "More than {MAX_CANDIDATES} keys of the provider's key set fit the token, and at most {MAX_CANDIDATES} of them are tried. \
                Configure the provider to put \"kid\" into its tokens, or to publish fewer keys of one \"kid\".{}",
            changed_keys_note(*again_in, known)
        ),
        R::KeyUnsuitable { again_in } => format!(
            "Check the provider's key set: the token's \"kid\" must name a signature key for its \"alg\".{}",
            changed_keys_note(*again_in, known)
        ),
        R::BadSignature {
            again_in: Some(seconds),
        } => format!(
            "The token was altered or forged, or its key was replaced under the same \"kid\". The keys are fetched again \
                {}.",
            fetched_again(*seconds, known),
        ),
        R::BadSignature { again_in: None } => {
            "The token was altered or forged, or signed with a key that the provider has replaced since under the same \
                \"kid\"."
                .to_owned()
        }
        R::IssMismatch { iss } => format!(
            "The token names \"{iss}\", which must be the issuer of the HBA line, byte for byte. Use the issuer as the provider's \
                discovery document has it; a token of another issuer is not for this line."
        ),
        R::AudMissing => "Configure the provider to put an audience for this server into its access tokens, and set \
            validator.audience to it."
            .to_owned(),
        R::AudMismatch { named } => format!(
            "The token names \"{named}\"; validator.audience accepts \"{}\". Configure the provider to add the \
                audience. Only if tokens with the other value are issued for nothing but this server, add it to \
                validator.audience: whoever has one can then log in.",
            policy.map_or_else(|| Printable::new(""), |policy| list(policy.audience())),
        ),
        R::TooOld { seconds_old } => format!(
            "The token was issued {seconds_old} s ago, which is longer than validator.max_token_age allows. The client must \
                get a new one."
        ),
        R::IatMissing => "validator.max_token_age requires tokens with \"iat\".".to_owned(),
        R::NotAnAccessToken { claim } => format!(
            "The claim \"{claim}\" shows that this is an ID token or another kind of token. Configure the client to \
                send the access token."
        ),
        R::ClientMissing => "validator.client_ids requires tokens that name their client, in \"client_id\", \"azp\" \
            or the provider's own claim."
            .to_owned(),
        R::AccessTokenUnproven { claim } if *claim == "token_type" => "The introspection response names neither type \
            nor audience of the token, so it may be about a refresh token. Configure the provider to name one, or require a scope in pg_hba.conf that only access tokens for this server have."
            .to_owned(),
        R::AccessTokenUnproven { claim } => format!(
            "Access tokens of this provider (validator.provider) have a suitable claim \"{claim}\". Configure the \
                client to send the access token, not the ID token."
        ),
        R::TenantMismatch => {
            "The token is from another tenant than that of the issuer in pg_hba.conf.".to_owned()
        }
        R::ClientNotAllowed { client } => {
            format!(
                "The token was issued to \"{client}\", which validator.client_ids does not list. Have the user log in with a \
                    client that it lists. To add this one lets everybody in for whom it gets tokens."
            )
        }
        R::InsufficientScope { missing } => scope_hint(missing, known),
        R::RequiredClaimMissing { condition }
        | R::RequiredClaimMismatch { condition }
        | R::ForbiddenClaim { condition } => {
            format!("See \"{condition}\" in validator.required_claims.")
        }
        R::TokenNotBound => {
            "validator.require_bound_token is on. Configure the provider to bind this client's access tokens to its \
                certificate (\"cnf\" with \"x5t#S256\", RFC 8705)."
                .to_owned()
        }
        R::CnfUnsupported { method } => format!(
            "The token is bound by \"{method}\"; only \"x5t#S256\" (client certificates) can be proven to PostgreSQL. \
                Configure the provider to bind this client's tokens to its certificate (RFC 8705), or not at all: then they are \
                good for whoever has them."
        ),
        R::CertificateMissing => certificate_hint(known).to_owned(),
        R::CertificateMismatch => "The client must connect with the certificate that it used to get the token. If it \
            did, the token may be stolen."
            .to_owned(),
        R::IdentityMissing | R::IdentityMalformed => {
            let claim = policy.map_or("", |policy| policy.identity_claim().as_str());
            let order = match claim.contains(',') {
                true => " Of several claims, the first one that is there counts.",
                false => "",
            };
            format!(
                "Set validator.identity_claim to a string claim of the provider's access tokens. It is currently \"{}\".{order}",
                Printable::new(claim),
            )
        }
        R::RoleClaimMissing | R::RoleClaimMalformed | R::RoleClaimTooLarge => format!(
            "validator.role_claim is \"{}\". Configure the provider to put it into its access tokens, as a string or \
                an array of strings, limited to the groups that matter here.",
            role_claim(policy),
        ),
        R::RoleClaimElsewhere => "The user is in more groups than the provider puts into a token (\"overage\"). Limit \
            the groups claim to those assigned to the application, or use application roles."
            .to_owned(),
        R::RoleNotGranted { values } => match policy.and_then(Policy::role_map) {
            _ if may_be_a_list(values, policy) => format!(
                "The token's \"{}\" is one string, and so one value: \"{values}\". If it lists several, set \
                    validator.role_separator to what separates them.",
                role_claim(policy),
            ),
            Some(map) => format!(
                "The token's \"{}\" lists \"{values}\"; map \"{map}\" of pg_ident.conf does not map any of them to \
                    this role.",
                role_claim(policy),
            ),
            None => format!(
                "The token's \"{}\" lists \"{values}\"; without validator.role_map one of them \
                 must be the role's name.",
                role_claim(policy),
            ),
        },
        R::RoleUnknown => {
            "Create the role, or correct the name that the client requests.".to_owned()
        }
        R::RoleTooPowerful { power } => format!(
            "The role {power}. Use map= with a line of pg_ident.conf that names who may take this role. \
                validator.allow_superuser = on would let whoever manages users at the provider take any such role."
        ),
        R::TokenInactive => "The token has expired, was revoked, or is from another provider. The client must get a \
            new one."
            .to_owned(),
        R::IntrospectionRefused => "The provider answered with status 401 about this token, not about the client. \
            Some providers do so for a revoked token; the client must get a new one."
            .to_owned(),
        R::IntrospectionMismatch { claim } => {
            format!("The provider's answer differs from the JWT in \"{claim}\".")
        }
        _ => return None,
    };
    Some(hint)
}

fn certificate_hint(known: &Circumstances<'_>) -> &'static str {
    match known.findings.and_then(|findings| findings.no_certificate) {
        Some(NoCertificate::NotRequested) => {
            "The server requests no certificate, since ssl_ca_file is not set. Set it to the authority of the clients' \
                certificates, with ssl = on, and reload. The client must connect over TLS with the certificate that it \
                used to get the token (sslcert, sslkey)."
        }
        Some(NoCertificate::NoTls) => {
            "The client must connect over TLS (sslmode=verify-full, hostssl in pg_hba.conf), with the certificate that it \
                used to get the token (sslcert, sslkey): this connection is not encrypted by TLS."
        }
        Some(NoCertificate::NotSent) => {
            "The client must connect with the certificate that it used to get the token (sslcert, sslkey): the server \
                requested one, and the client sent none. A pooler or proxy that connects for it has to present it, too."
        }
        None => {
            "The client must connect over TLS with the certificate that it used to get the token (sslcert, sslkey), and \
                ssl_ca_file must be set so that the server requests it."
        }
    }
}

/// A type that is not listed: of another kind of token, or by the conventions of a provider.
fn type_hint(typ: Option<&Printable>, policy: Option<&Policy>) -> String {
    let told = match typ {
        Some(typ) => format!("The token's header has \"typ\" \"{typ}\"."),
        None => "The token's header has no \"typ\".".to_owned(),
    };
    let send = "If this is an ID token, configure the client to send the access token.";
    let preset = policy
        .filter(|policy| policy.preset().name() == "generic")
        .and_then(|policy| likely_preset(policy.issuer().identifier()))
        .filter(|preset| knows_type(preset, typ));
    match preset {
        Some(preset) => format!(
            "{told} {send} If it is an access token: by its issuer, the provider may be one for which there is a preset. \
                validator.provider = '{preset}' knows the types of its tokens, and what tells them from ID tokens."
        ),
        None => format!(
            "{told} {send} If there is a preset for the provider, such as 'dex' for Dex, set validator.provider to it. Only if \
                its access tokens are of this type, and no preset fits, add \"{}\" to validator.token_types: then nothing but \
                their claims may tell its ID tokens apart.",
            typ.map_or("-", Printable::as_str),
        ),
    }
}

/// Whether access tokens of a preset's provider have this type.
fn knows_type(preset: &str, typ: Option<&Printable>) -> bool {
    let types = Preset::by_name(preset).and_then(|preset| preset.default_of("token_types"));
    types
        .and_then(|types| types.parse::<TokenTypes>().ok())
        .is_some_and(|types| types.accept(typ.map(Printable::as_str)))
}

/// An algorithm that is not listed may be one that can be.
fn algorithm_hint(alg: &Option<Printable>, policy: Option<&Policy>) -> String {
    let can_be_listed = alg
        .as_ref()
        .is_some_and(|alg| alg.as_str().parse::<Algorithms>().is_ok());
    let advice = match can_be_listed {
        true => {
            "If the provider signs its access tokens with it, add it, or configure the provider to use another."
        }
        false => {
            "It cannot be accepted: configure the provider to sign its access tokens with RS256 or ES256. If it already does, \
                somebody else made this token."
        }
    };
    format!(
        "The token names {}; validator.algorithms accepts {}. {advice}",
        quoted(alg),
        policy.map_or_else(String::new, |policy| policy.algorithms().names()),
    )
}

/// Scopes by which a client steers the provider (OpenID Connect Core 1.0 §5.4, §11), and which many do not put into tokens.
const STEERING: [&str; 6] = [
    "openid",
    "offline_access",
    "profile",
    "email",
    "address",
    "phone",
];

/// A scope that is demanded to keep people out must not be made optional.
fn scope_hint(missing: &Printable, known: &Circumstances<'_>) -> String {
    let scopes = known.sketch.map(|sketch| &sketch.scopes);
    let told = match scopes {
        Some(scopes) if scopes.is_empty() => "The token has no scope at all".to_owned(),
        Some(scopes) => format!(
            "The token has \"{}\"",
            Printable::list(scopes.iter().map(String::as_str))
        ),
        None => "The token has others".to_owned(),
    };
    let place = match known.is_password {
        true => "validator.password_scope",
        false => "the HBA line's scope",
    };
    let advice = format!(
        "{told}, and lacks \"{missing}\" of {place}. Configure the provider to grant it to the client and the \
            user, and to put it into the token."
    );
    match missing
        .as_str()
        .split(", ")
        .all(|scope| STEERING.contains(&scope))
    {
        true => format!(
            "{advice} If this provider never puts it into tokens, add it to validator.optional_scopes: it is then not demanded."
        ),
        false => advice,
    }
}

/// Whether the values are probably one string in which a provider has written several.
fn may_be_a_list(values: &Printable, policy: Option<&Policy>) -> bool {
    let is_split = policy.is_some_and(|policy| policy.role_separator().is_some());
    let text = values.as_str();
    !is_split && !text.contains(", ") && text.contains([' ', ',', ';'])
}

/// What to do about a key set of which so many keys are not kept.
pub fn key_set_hint(left_out: usize) -> String {
    format!(
        "The provider's key set has {left_out} signature keys more than the {MAX_KEYS} that are kept of an issuer. \
            Configure the provider to publish fewer, or have validator.jwks_file or validator.jwks_uri name a set of \
            those that sign tokens for this server."
    )
}

fn role_claim(policy: Option<&Policy>) -> Printable {
    let claim = policy.and_then(Policy::role_claim);
    Printable::new(claim.map_or("", |claim| claim.as_str()))
}

fn quoted(text: &Option<Printable>) -> String {
    text.as_ref()
        .map_or_else(|| "nothing".to_owned(), |text| format!("\"{text}\""))
}
