//! What an administrator can do about a failure.

use oauth_core::{Failure, Misconfigured, Policy, Printable, Reject, UnavailableCause};

/// What the administrator can do about it.
pub fn hint(failure: &Failure, policy: Option<&Policy>) -> Option<String> {
    match failure {
        Failure::Reject(reject) => reject_hint(reject, policy),
        Failure::Unavailable(unavailable) => Some(unavailable_hint(&unavailable.cause)),
        Failure::Misconfigured(misconfigured) => Some(misconfigured_hint(misconfigured)),
        Failure::Internal(_) => {
            Some("This is a defect of the validator module; please report it.".to_owned())
        }
    }
}

fn misconfigured_hint(misconfigured: &Misconfigured) -> String {
    match misconfigured {
        Misconfigured::Disabled => "Set validator.enabled = on to accept tokens again.".to_owned(),
        Misconfigured::AudienceUnset => "Set validator.audience to the value that the provider \
            puts into \"aud\" of tokens meant for this server."
            .to_owned(),
        Misconfigured::IssuerInvalid { .. } => "Give the provider's https URL as issuer=\"...\" \
            in pg_hba.conf, exactly as its discovery document has it."
            .to_owned(),
        Misconfigured::SettingInvalid { setting, .. } => {
            format!("Correct {setting} and reload; a preloaded module needs a value, or a restart.")
        }
        Misconfigured::RoleClaimUnset => "With delegate_ident_mapping=1 the token alone decides \
            who may be which role: set validator.role_claim to the claim that lists roles, or use \
            map=... in pg_hba.conf instead."
            .to_owned(),
        Misconfigured::RequiredClaimsUnset { one_of } => format!(
            "The provider issues tokens to strangers, too: have validator.required_claims name one of \
             {} that is yours.",
            one_of.join(", ")
        ),
        Misconfigured::CertificatesUnsupported { .. } => {
            "Use a server that is built with OpenSSL, or \
            have the provider issue tokens that are not bound."
                .to_owned()
        }
        Misconfigured::ServerResources { .. } => "If it is shared memory that is missing, make /dev/shm \
            larger, or preload the module, which then has its memory from the server's start. Logins \
            work again as soon as there is room."
            .to_owned(),
        Misconfigured::KeyCacheFull { .. } => "Set validator.jwks_cache_issuers to as many issuers as \
            pg_hba.conf names, or more, and restart the server."
            .to_owned(),
        Misconfigured::RecoveryConflict { .. } => "The client may try again. If it happens often, \
            see max_standby_streaming_delay and max_standby_archive_delay."
            .to_owned(),
        _ => "Correct the settings and reload.".to_owned(),
    }
}

fn unavailable_hint(cause: &UnavailableCause) -> String {
    match cause {
        UnavailableCause::Timeout
        | UnavailableCause::NameResolution
        | UnavailableCause::Connection(_) => {
            "The database server itself must reach this URL: check the name, routes and firewalls \
             from there, and validator.http_timeout."
        }
        UnavailableCause::NoThread(_) => {
            "A limit on processes and threads is reached: that of the server's user (ulimit -u), of its service (TasksMax \
             of systemd) or of its container (pids.max)."
        }
        UnavailableCause::Tls(_) => {
            "If the provider's certificate is of a private authority, name that authority's \
             certificate in validator.ca_file."
        }
        UnavailableCause::Redirect(_) => {
            "Give the final URL as issuer in pg_hba.conf; it must equal \"issuer\" in the \
             discovery document."
        }
        UnavailableCause::IssuerMismatch(_) => {
            "The issuer in pg_hba.conf must equal \"issuer\" in the discovery document, byte for \
             byte; mind a trailing slash."
        }
        UnavailableCause::BadUrl(_) => {
            "The provider must name https URLs as \"jwks_uri\" and \"introspection_endpoint\"."
        }
        UnavailableCause::ClientUnauthorized => {
            "Check validator.client_id, validator.client_auth_method and the file of the secret or \
             key; for a secret with special characters also try client_secret_basic_raw."
        }
        UnavailableCause::ClientForbidden => {
            "Have the provider allow validator.client_id to introspect tokens."
        }
        UnavailableCause::ActiveMalformed => {
            "validator.introspection_endpoint must be an endpoint of RFC 7662."
        }
        UnavailableCause::NoUsableKey => {
            "The provider's key set must have a signature key that is RSA of 2048 bits or more, \
             P-256, P-384 or Ed25519."
        }
        UnavailableCause::Status(401 | 403) => {
            "The provider does not show this URL to everybody: see validator.http_bearer_file."
        }
        UnavailableCause::Status(_)
        | UnavailableCause::TooLarge
        | UnavailableCause::Malformed(_) => {
            "Look at what this URL returns: it should be a JSON document with status 200."
        }
        _ => "Look at what this URL returns.",
    }
    .to_owned()
}

fn reject_hint(reject: &Reject, policy: Option<&Policy>) -> Option<String> {
    use Reject as R;
    let list = |values: &oauth_core::StringList| Printable::list(values.iter());
    let hint = match reject {
        R::TokenTooLarge { size } => {
            let limit = policy.map_or(0, Policy::max_token_size);
            format!("The token has {size} bytes; validator.max_token_size allows {limit}.")
        }
        R::NotAJwt => "The provider issues opaque tokens, or the client sent something else. Have \
            the provider issue JWT access tokens for this audience, or see validator.introspection."
            .to_owned(),
        R::MalformedJwt => {
            "The client changed the token on its way, or somebody wants it to pass for an \
            opaque one."
                .to_owned()
        }
        R::Encrypted => "Have the provider sign, and not encrypt, its access tokens.".to_owned(),
        R::AlgNotAllowed { alg } => format!(
            "The token names {}; validator.algorithms accepts {}.",
            quoted(alg),
            policy.map_or_else(String::new, |policy| policy.algorithms().names()),
        ),
        R::TypNotAllowed { typ: None } => "The token's header has no \"typ\". If the provider's \
            access tokens are like this, add \"-\" to validator.token_types."
            .to_owned(),
        R::TypNotAllowed { typ: Some(typ) } => format!(
            "The token's header has \"typ\" \"{typ}\". If the provider's access tokens are like \
             this, add it to validator.token_types; if this is an ID token, have the client send \
             the access token."
        ),
        R::UnknownKid | R::NoFittingKey => "The provider's key set does not have this key: the \
            token is of another issuer, or older than the provider's last rotation of keys."
            .to_owned(),
        R::AmbiguousKey | R::KeyUnsuitable => "Look at the provider's key set: the token's \
            \"kid\" must name one signature key that fits its \"alg\"."
            .to_owned(),
        R::BadSignature => "The token was altered or forged, or its key was replaced under the \
            same \"kid\"."
            .to_owned(),
        R::IssMismatch { iss } => format!(
            "The token names \"{iss}\"; the issuer in pg_hba.conf must equal it, byte for byte."
        ),
        R::AudMissing => "Have the provider put an audience for this server into its access \
            tokens, and name it in validator.audience."
            .to_owned(),
        R::AudMismatch { named } => format!(
            "The token names \"{named}\"; validator.audience accepts \"{}\". Have the provider \
             add the audience, or add the value to validator.audience if such tokens are meant \
             for this server.",
            policy.map_or_else(|| Printable::new(""), |policy| list(policy.audience())),
        ),
        R::Expired { seconds_ago } => format!(
            "The token expired {seconds_ago} s ago: the client must get a new one. If it did, \
             compare the clocks of provider and server."
        ),
        R::NotYetValid { seconds_ahead } | R::IssuedInFuture { seconds_ahead } => format!(
            "The token's time is {seconds_ahead} s ahead: compare the clocks of provider and \
             server, and see validator.clock_skew."
        ),
        R::TooOld { seconds_old } => {
            format!("The token was issued {seconds_old} s ago; see validator.max_token_age.")
        }
        R::IatMissing => "validator.max_token_age needs tokens with \"iat\".".to_owned(),
        R::NotAnAccessToken { claim } => format!(
            "Its claim \"{claim}\" shows an ID token or another kind of token: have the client \
             send the access token."
        ),
        R::ClientMissing => "validator.client_ids needs tokens that name their client, by \
            \"client_id\", \"azp\" or what the provider uses."
            .to_owned(),
        R::AccessTokenUnproven { claim } if *claim == "token_type" => "The provider's answer names neither \
            the type nor an audience of the token, so it may be about a refresh token. Have the provider name \
            one, or have the line of pg_hba.conf demand a scope that only access tokens for this server have."
            .to_owned(),
        R::AccessTokenUnproven { claim } => format!(
            "An access token of this provider (validator.provider) has a fitting claim \"{claim}\": \
             have the client send the access token, and not the ID token."
        ),
        R::TenantMismatch => {
            "The token is of another tenant than the issuer in pg_hba.conf.".to_owned()
        }
        R::ClientNotAllowed { client } => {
            format!(
                "The token was issued to \"{client}\", which validator.client_ids does not list."
            )
        }
        R::InsufficientScope { missing } => format!(
            "The token lacks \"{missing}\" of the HBA line's scope. Have the provider grant it to \
             the client and the user; a scope that never appears in tokens belongs into \
             validator.optional_scopes."
        ),
        R::RequiredClaimMissing { claim } | R::RequiredClaimMismatch { claim } => {
            format!("See \"{claim}\" in validator.required_claims.")
        }
        R::TokenNotBound => {
            "validator.require_bound_token is on: have the provider bind this client's \
            access tokens to its certificate (\"cnf\" with \"x5t#S256\", RFC 8705)."
                .to_owned()
        }
        R::CnfUnsupported { method } => format!(
            "The token is bound by \"{method}\"; only \"x5t#S256\" (client certificates) can be \
             proven to PostgreSQL. Have the provider issue tokens without DPoP for this client."
        ),
        R::CertificateMissing => "The client must connect by TLS with the certificate that it \
            got the token with (sslcert, sslkey), and ssl_ca_file must be set so that the server \
            asks for it."
            .to_owned(),
        R::CertificateMismatch => "The client must connect with the same certificate that it got \
            the token with; otherwise the token may be stolen."
            .to_owned(),
        R::IdentityMissing | R::IdentityMalformed => format!(
            "Set validator.identity_claim to a string claim of the provider's access tokens; it \
             is \"{}\".",
            Printable::new(policy.map_or("", |policy| policy.identity_claim().as_str())),
        ),
        R::RoleClaimMissing | R::RoleClaimMalformed | R::RoleClaimTooLarge => format!(
            "validator.role_claim is \"{}\": have the provider put it into its access tokens, as a \
             string or an array of strings, and limit it to the groups that matter here.",
            role_claim(policy),
        ),
        R::RoleClaimElsewhere => "The user is in more groups than the provider puts into a token \
            (\"overage\"): limit the groups claim to those assigned to the application, or use \
            application roles."
            .to_owned(),
        R::RoleNotGranted { values } => match policy.and_then(Policy::role_map) {
            Some(map) => format!(
                "The token's \"{}\" lists \"{values}\"; map \"{map}\" of pg_ident.conf lets none \
                 of them be this role.",
                role_claim(policy),
            ),
            None => format!(
                "The token's \"{}\" lists \"{values}\"; without validator.role_map one of them \
                 must be the role's name.",
                role_claim(policy),
            ),
        },
        R::RoleUnknown => {
            "Create the role, or correct the name that the client asks for.".to_owned()
        }
        R::RoleTooPowerful { power } => format!(
            "The role {power}. Say in pg_ident.conf who may be this role (map=), or set \
             validator.allow_superuser = on if the provider alone may decide about such roles."
        ),
        R::TokenInactive => "The token has expired or was revoked, or is of another provider: the \
            client must get a new one."
            .to_owned(),
        R::IntrospectionRefused => "The provider answered with status 401 for this token and not \
            for the client: as some do for a revoked one."
            .to_owned(),
        R::IntrospectionMismatch { claim } => {
            format!("The provider's answer differs from the JWT in \"{claim}\".")
        }
        _ => return None,
    };
    Some(hint)
}

fn role_claim(policy: Option<&Policy>) -> Printable {
    let claim = policy.and_then(Policy::role_claim);
    Printable::new(claim.map_or("", |claim| claim.as_str()))
}

fn quoted(text: &Option<Printable>) -> String {
    text.as_ref()
        .map_or_else(|| "nothing".to_owned(), |text| format!("\"{text}\""))
}
