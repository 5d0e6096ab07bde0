//! What an administrator can do about a failure.

use oauth_core::{
    Document, Failure, MAX_CANDIDATES, MAX_KEYS, Misconfigured, Policy, Printable, Reject,
    UnavailableCause,
};

use crate::log::circumstances::Circumstances;
use crate::log::password_hints::{self, password_hint};
use crate::log::provider_hints::{any_provider_hint, provider_hint};
use crate::log::token_hints::token_hint;

/// What the administrator can do about it: what is known of the login is looked at before what the failed check says.
pub fn hint(failure: &Failure, known: &Circumstances<'_>) -> Option<String> {
    let policy = known.policy;
    match failure {
        Failure::Reject(reject) => policy
            .and_then(|policy| provider_hint(reject, policy))
            .or_else(|| token_hint(reject, policy?, known))
            .or_else(|| any_provider_hint(reject, policy?, known.evidence))
            .or_else(|| password_hint(reject, policy, known))
            .or_else(|| reject_hint(reject, policy)),
        Failure::Unavailable(unavailable) => Some(unavailable_hint(&unavailable.cause)),
        Failure::Misconfigured(misconfigured) => Some(
            password_hints::misconfigured_hint(misconfigured)
                .unwrap_or_else(|| misconfigured_hint(misconfigured)),
        ),
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
        Misconfigured::IssuerInvalid { .. } => "Set issuer=\"...\" in pg_hba.conf to the provider's https URL, \
            exactly as its discovery document has it."
            .to_owned(),
        Misconfigured::SettingInvalid { setting, .. } => {
            format!("Correct {setting} and reload. If the module is preloaded, removing the setting takes effect only \
                after a restart.")
        }
        Misconfigured::RoleClaimUnset => "With delegate_ident_mapping=1 the token alone decides who may take which \
            role. Set validator.role_claim to the claim that lists roles, or use map=... in pg_hba.conf instead."
            .to_owned(),
        Misconfigured::RequiredClaimsUnset { one_of } => format!(
            "The provider issues tokens to strangers, too. Set validator.required_claims to your own value of one of {}.",
            one_of.join(", ")
        ),
        Misconfigured::CertificatesUnsupported { .. } => {
            "Use a server that is built with OpenSSL, or configure the provider to issue tokens that are not bound."
                .to_owned()
        }
        Misconfigured::ServerResources { .. } => "If shared memory is exhausted, enlarge /dev/shm, or preload the \
            module, so that its memory is reserved at server start. If files are exhausted, raise \
            their limit for the server's processes (ulimit -n, LimitNOFILE of systemd). Logins work again as soon as \
            there is room."
            .to_owned(),
        Misconfigured::KeyCacheFull { .. } => "Set validator.jwks_cache_issuers to at least the number of issuers in \
            pg_hba.conf, and restart the server."
            .to_owned(),
        Misconfigured::LoadedTwice => "Name the module by one file name only in pg_hba.conf, \
            oauth_validator_libraries and the lists of libraries to preload."
            .to_owned(),
        Misconfigured::RecoveryConflict { .. } => "The client may try again. If it happens often, \
            see max_standby_streaming_delay and max_standby_archive_delay."
            .to_owned(),
        _ => "Correct the settings and reload.".to_owned(),
    }
}

/// By the code, which also a failure has that another login has reported.
fn unavailable_hint(cause: &UnavailableCause) -> String {
    if let UnavailableCause::Status(401 | 403) = cause {
        return "The provider does not serve this URL publicly. See validator.http_bearer_file."
            .to_owned();
    }
    if let UnavailableCause::Redirect {
        to: Some(to),
        document,
        ..
    } = cause
    {
        return redirect_hint(to, *document);
    }
    match cause.code() {
        "timeout" | "name_resolution" | "connection" => {
            "The database server itself must be able to reach this URL. Check the name, routes and firewalls from \
                there, and validator.http_timeout. If it can only be reached through a proxy, set validator.http_proxy."
        }
        "proxy_failed" => {
            "The proxy of validator.http_proxy failed, not the provider. Check its URL, that it lets the database server \
                connect to this URL's host and port, and validator.ca_file if it speaks TLS. validator.no_proxy names hosts \
                that are reached without it."
        }
        "proxy_unauthorized" => {
            "Write user:password for the proxy of validator.http_proxy into a file, and name that in \
                validator.http_proxy_secret_file. Only Basic authentication is supported."
        }
        "no_thread" => {
            "Raise the limit on processes and threads of the server's user (ulimit -u), its service (TasksMax of \
                systemd) or its container (pids.max)."
        }
        "tls_untrusted" => {
            "If a private authority issued the provider's certificate, set validator.ca_file to a file with that \
                authority's certificate. If a public one did, the provider may not send the certificates between, or \
                something on the way presents its own."
        }
        "tls_no_authorities" => {
            "Install the package ca-certificates, or set validator.ca_file to a file with the certificate of the \
                provider's authority."
        }
        "tls_ca_certificate" => {
            "Give the provider a certificate of its own, with CA:FALSE, that this authority has issued; the authority's \
                stays in validator.ca_file. docs/operations.md has the commands."
        }
        "tls_certificate_version" => {
            "Give the provider a certificate of version 3, with the host in subjectAltName. docs/operations.md has the \
                commands."
        }
        "tls_name_missing" => {
            "Give the provider a certificate that has the host of this URL in subjectAltName; the common name does not \
                count. docs/operations.md has the commands."
        }
        "tls_name_mismatch" => {
            "Use a host that the certificate names, or give the provider a certificate that has the host of this URL in \
                subjectAltName."
        }
        "tls_expired" | "tls_not_yet_valid" => {
            "Renew the provider's certificate, or one of those between it and the authority. If they are good, set the \
                clock of this server."
        }
        "tls_incompatible" => {
            "The provider, or what stands before it, must offer TLS 1.2 with ECDHE and AEAD (such as \
                ECDHE-RSA-AES128-GCM-SHA256), or TLS 1.3. If it demands a client's certificate, see \
                validator.client_auth_method."
        }
        "tls" => "Check the provider's certificate, and what it offers of TLS, with openssl s_client.",
        "redirect" => {
            "If the document is where the redirect leads, set validator.discovery_url (metadata), validator.jwks_uri \
                (keys) or validator.introspection_endpoint to that URL."
        }
        "busy" => {
            "The provider limits requests, or is under maintenance. It is left alone for as long as it asks, but for a \
                minute at most."
        }
        "issuer_mismatch" => {
            "The issuer in pg_hba.conf must equal \"issuer\" in the discovery document, byte for byte. Check for a \
                trailing slash."
        }
        "bad_url" => {
            "The provider must name https URLs as \"jwks_uri\" and \"introspection_endpoint\"."
        }
        "introspection_unauthorized" => {
            "Check validator.client_id, validator.client_auth_method and the file with the secret or key. If the \
                secret has special characters, also try client_secret_basic_raw."
        }
        "introspection_forbidden" => {
            "Configure the provider to allow validator.client_id to introspect tokens."
        }
        "active_malformed" => "validator.introspection_endpoint must be an RFC 7662 endpoint.",
        "no_usable_key" => {
            "The provider's key set must have a signature key that is RSA of 2048 bits or more, \
             P-256, P-384, P-521 or Ed25519."
        }
        "content_coding" => {
            "Configure the provider, or the proxy in front of it, to send this URL uncompressed to clients that send \
                \"Accept-Encoding: identity\"."
        }
        "http_status" | "too_large" | "malformed" => {
            "Check what this URL returns: it should be a JSON document with status 200."
        }
        _ => "Check what this URL returns.",
    }
    .to_owned()
}

fn redirect_hint(to: &Printable, document: Document) -> String {
    match document {
        Document::Metadata => format!(
            "If that is where the provider has its metadata, set validator.discovery_url = '{to}'. The issuer in \
                pg_hba.conf stays as \"issuer\" in that document."
        ),
        Document::Keys => format!(
            "If that is where the provider has its keys, set validator.jwks_uri = '{to}', or have the provider name it \
                as \"jwks_uri\" in its metadata."
        ),
        Document::Introspection => format!(
            "Tokens are not sent elsewhere. If that is the provider's introspection endpoint, set \
                validator.introspection_endpoint = '{to}'."
        ),
    }
}

fn reject_hint(reject: &Reject, policy: Option<&Policy>) -> Option<String> {
    use Reject as R;
    let list = |values: &oauth_core::StringList| Printable::list(values.iter());
    let hint = match reject {
        R::TlsRequired => "Have the client connect over TLS (sslmode=verify-full), or have a pooler or load balancer that \
            connects for it do so, and use hostssl in pg_hba.conf. The token may have been read on its way: a new one \
            is safer. See validator.require_tls."
            .to_owned(),
        R::TokenTooLarge { size } => {
            let limit = policy.map_or(0, Policy::max_token_size);
            format!("The token has {size} bytes; validator.max_token_size allows {limit}.")
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
        R::AlgNotAllowed { alg } => format!(
            "The token names {}; validator.algorithms accepts {}.",
            quoted(alg),
            policy.map_or_else(String::new, |policy| policy.algorithms().names()),
        ),
        R::TypNotAllowed { typ: None } => "The token's header has no \"typ\". If the provider's access tokens have \
            none, add \"-\" to validator.token_types."
            .to_owned(),
        R::TypNotAllowed { typ: Some(typ) } => format!(
            "The token's header has \"typ\" \"{typ}\". If the provider's access tokens have this type, add it to \
                validator.token_types. If this is an ID token, configure the client to send the access token."
        ),
        R::UnknownKid {
            again_in: Some(seconds),
        }
        | R::NoFittingKey {
            again_in: Some(seconds),
        } => format!(
            "The cached key set does not have this key. If the token is newer than the cached keys, it is accepted \
                once they are fetched again, {}. Otherwise it is from another issuer, or older than the provider's last key \
                rotation.",
            fetched_again(*seconds),
        ),
        R::UnknownKid { again_in: None } | R::NoFittingKey { again_in: None } => {
            "The provider's key set does not have this key. The token is from another issuer, or older than the \
                provider's last key rotation."
                .to_owned()
        }
        R::KeySetTooLarge { left_out } => key_set_hint(*left_out),
        R::AmbiguousKey => format!(
            "More than {MAX_CANDIDATES} keys of the provider's key set fit the token, and at most {MAX_CANDIDATES} of them are tried. \
                Configure the provider to put \"kid\" into its tokens, or to publish fewer keys of one \"kid\"."
        ),
        R::KeyUnsuitable => "Check the provider's key set: the token's \"kid\" must name \
            a signature key for its \"alg\"."
            .to_owned(),
        R::BadSignature {
            again_in: Some(seconds),
        } => format!(
            "The token was altered or forged, or its key was replaced under the same \"kid\". The keys are fetched again \
                {}.",
            fetched_again(*seconds),
        ),
        R::BadSignature { again_in: None } => {
            "The token was altered or forged, or signed with a key that the provider has replaced since under the same \
                \"kid\"."
                .to_owned()
        }
        R::IssMismatch { iss } => format!(
            "The token names \"{iss}\"; the issuer in pg_hba.conf must equal it, byte for byte."
        ),
        R::AudMissing => "Configure the provider to put an audience for this server into its access tokens, and set \
            validator.audience to it."
            .to_owned(),
        R::AudMismatch { named } => format!(
            "The token names \"{named}\"; validator.audience accepts \"{}\". Configure the provider to add the \
                audience, or add the value to validator.audience if such tokens are meant for this server.",
            policy.map_or_else(|| Printable::new(""), |policy| list(policy.audience())),
        ),
        R::Expired { seconds_ago } => format!(
            "The token expired {seconds_ago} s ago. The client must get a new one; if it just did, compare the clocks \
                of provider and server."
        ),
        R::NotYetValid { seconds_ahead } | R::IssuedInFuture { seconds_ahead } => format!(
            "The token becomes valid in {seconds_ahead} s. Compare the clocks of provider and server, and see \
                validator.clock_skew."
        ),
        R::TooOld { seconds_old } => {
            format!("The token was issued {seconds_old} s ago; see validator.max_token_age.")
        }
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
                "The token was issued to \"{client}\", which validator.client_ids does not list."
            )
        }
        R::InsufficientScope { missing } => format!(
            "The token lacks \"{missing}\" of the HBA line's scope. Configure the provider to grant it to the client \
                and the user; a scope that never appears in tokens belongs in validator.optional_scopes."
        ),
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
                Configure the provider to issue tokens without DPoP for this client."
        ),
        R::CertificateMissing => "The client must connect over TLS with the certificate that it used to get the token \
            (sslcert, sslkey), and ssl_ca_file must be set so that the server requests it."
            .to_owned(),
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
            "The role {power}. Use map= with a line of pg_ident.conf that names who may take this role, or set \
                validator.allow_superuser = on if the provider alone may decide about such roles."
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

/// When keys that are held back now are fetched, as the end of a sentence.
fn fetched_again(seconds: u64) -> String {
    format!(
        "for a token that comes in {seconds} s or later (validator.jwks_refresh_cooldown), or at once by \
            validator.refresh_keys() or validator.flush_cache()"
    )
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
