//! Why a token does not open a session, and whose fault that is.
//!
//! Every cause has a variant of its own and a stable code: the code appears in the server's log,
//! in statistics, in the troubleshooting page and in the tests, so it never changes its meaning.

use std::fmt;

use crate::basics::printable::Printable;

/// Anything that keeps a token from being accepted, sorted by whose fault it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The token (or who sent it) is at fault: it is not good for this session.
    Reject(Reject),
    /// The identity provider is at fault: what is needed to judge the token can not be had.
    Unavailable(Unavailable),
    /// The administrator is at fault: the settings do not allow a judgement.
    Misconfigured(Misconfigured),
    /// We are at fault: something that can not happen did.
    Internal(Internal),
}

impl Failure {
    /// How many codes there are.
    pub const CODE_COUNT: usize = Reject::CODES.len() + Misconfigured::CODES.len() + 2;

    /// Every code, always in the same order.
    pub fn codes() -> impl Iterator<Item = &'static str> {
        let others = ["provider_unavailable", "internal_error"];
        Reject::CODES
            .iter()
            .copied()
            .chain(Misconfigured::CODES)
            .chain(others)
    }

    /// The stable code of this failure, such as `aud_mismatch`.
    pub fn code(&self) -> &'static str {
        match self {
            Failure::Reject(reject) => reject.code(),
            Failure::Unavailable(_) => "provider_unavailable",
            Failure::Misconfigured(misconfigured) => misconfigured.code(),
            Failure::Internal(_) => "internal_error",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Reject(reject) => reject.fmt(f),
            Failure::Unavailable(unavailable) => unavailable.fmt(f),
            Failure::Misconfigured(misconfigured) => misconfigured.fmt(f),
            Failure::Internal(internal) => internal.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Reject> for Failure {
    fn from(reject: Reject) -> Self {
        Failure::Reject(reject)
    }
}

impl From<Unavailable> for Failure {
    fn from(unavailable: Unavailable) -> Self {
        Failure::Unavailable(unavailable)
    }
}

impl From<Misconfigured> for Failure {
    fn from(misconfigured: Misconfigured) -> Self {
        Failure::Misconfigured(misconfigured)
    }
}

impl From<Internal> for Failure {
    fn from(internal: Internal) -> Self {
        Failure::Internal(internal)
    }
}

/// Declares [`Reject`]: the variant, its stable code, its primary message.
macro_rules! rejects {
    ($($(#[$doc:meta])+ $variant:ident $({ $($(#[$field_doc:meta])+ $field:ident : $type:ty),+ $(,)? })?
        = $code:literal, $message:literal;)+) => {
        /// A fault of the token: one variant for each cause.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Reject {
            $($(#[$doc])+ $variant $({ $($(#[$field_doc])+ $field: $type),+ })?,)+
        }

        impl Reject {
            /// Every code that a token can be refused with, in the order of the checks.
            pub const CODES: &'static [&'static str] = &[$($code),+];

            /// The stable code of this cause, such as `aud_mismatch`.
            pub fn code(&self) -> &'static str {
                match self {
                    $(Reject::$variant { .. } => $code,)+
                }
            }

            /// The cause in a few words, without anything that came with the token.
            pub fn message(&self) -> &'static str {
                match self {
                    $(Reject::$variant { .. } => $message,)+
                }
            }
        }
    };
}

rejects! {
    // --- structure of the token -----------------------------------------------------------------
    /// The token has more bytes than the policy allows.
    TokenTooLarge {
        /// Bytes of the token.
        size: usize,
    } = "token_too_large", "token is too large";
    /// RFC 7515 §7.1: a signed JWT has three parts, separated by dots.
    NotAJwt = "not_a_jwt", "token is not a signed JWT";
    /// RFC 7515 §7.1, RFC 7516 §7.1: the token has a JOSE header, but not the parts that belong to one.
    MalformedJwt = "malformed_jwt", "token is a malformed JWT";
    /// RFC 7516 §7.1: a header with `enc` and five parts are an encrypted JWT, which cannot be verified here.
    Encrypted = "encrypted_jwt", "token is an encrypted JWT";
    /// RFC 7515 §2: each part is base64url without padding.
    BadEncoding = "bad_encoding", "token is not base64url-encoded";
    /// RFC 7515 §4: the header is one JSON object, without repeated members, of a bounded size.
    HeaderMalformed = "header_malformed", "JOSE header is malformed";
    /// RFC 7515 §4.1.1: the algorithm is not one that the policy accepts (or none is named).
    AlgNotAllowed {
        /// What the header names; absent if it names nothing.
        alg: Option<Printable>,
    } = "alg_not_allowed", "signature algorithm is not accepted";
    /// RFC 7515 §4.1.11: an extension that must be understood is not.
    CritUnsupported = "crit_unsupported", "token demands an extension that is not supported";
    /// RFC 9068 §4, RFC 8725 §3.11: the type of the token is not one that the policy accepts.
    TypNotAllowed {
        /// What the header names; absent if it names nothing.
        typ: Option<Printable>,
    } = "typ_not_allowed", "token type is not accepted";

    // --- key and signature ----------------------------------------------------------------------
    /// RFC 7515 §4.1.4: no key of the provider has the token's `kid`.
    UnknownKid = "unknown_kid", "signing key is not one of the provider's";
    /// The token names no key, and no key of the provider fits its algorithm.
    NoFittingKey = "no_fitting_key", "no key of the provider fits the token's algorithm";
    /// More than one key of the provider fits: which one is meant can not be told.
    AmbiguousKey = "ambiguous_key", "more than one key of the provider fits the token";
    /// RFC 7517 §4.2, §4.3, §4.4: the key is for another use, operation, algorithm or curve, or too weak.
    KeyUnsuitable = "key_unsuitable", "signing key may not be used for this token";
    /// RFC 7515 §5.2: the signature is not the key's over this header and payload.
    BadSignature = "bad_signature", "signature does not verify";

    // --- claims ---------------------------------------------------------------------------------
    /// RFC 7519 §7.2: the payload is one JSON object of bounded depth.
    ClaimsMalformed = "claims_malformed", "claims are not one JSON object";
    /// RFC 7519 §4: a claim appears more than once.
    DuplicateClaim = "duplicate_claim", "a claim appears more than once";
    /// RFC 9068 §2.2: `iss` is required.
    IssMissing = "iss_missing", "issuer is missing";
    /// RFC 7519 §4.1.1: `iss` is a string.
    IssMalformed = "iss_malformed", "issuer is not a string";
    /// RFC 9068 §4: `iss` is not exactly the issuer of the HBA line.
    IssMismatch {
        /// What the token names.
        iss: Printable,
    } = "iss_mismatch", "issuer does not match";
    /// Microsoft Entra ID: `tid` is not the tenant of the issuer.
    TenantMismatch = "tenant_mismatch", "tenant does not match";
    /// RFC 9068 §2.2: `aud` is required.
    AudMissing = "aud_missing", "audience is missing";
    /// RFC 7519 §4.1.3: `aud` is a string or an array of strings.
    AudMalformed = "aud_malformed", "audience is neither a string nor an array of strings";
    /// RFC 7519 §4.1.3: a principal that is not named by `aud` must refuse the token.
    AudMismatch {
        /// What the token names.
        named: Printable,
    } = "aud_mismatch", "audience does not match";
    /// RFC 9068 §2.2: `exp` is required.
    ExpMissing = "exp_missing", "expiration time is missing";
    /// RFC 7519 §4.1.4: `exp` is a number.
    ExpMalformed = "exp_malformed", "expiration time is not a number";
    /// RFC 7519 §4.1.4: the token has expired.
    Expired {
        /// Seconds since then.
        seconds_ago: u64,
    } = "expired", "token has expired";
    /// RFC 7519 §4.1.5: `nbf` is a number.
    NbfMalformed = "nbf_malformed", "not-before time is not a number";
    /// RFC 7519 §4.1.5: the token is not valid yet.
    NotYetValid {
        /// Seconds until then.
        seconds_ahead: u64,
    } = "not_yet_valid", "token is not valid yet";
    /// RFC 7519 §4.1.6: `iat` is a number.
    IatMalformed = "iat_malformed", "issue time is not a number";
    /// The token says that it was issued in the future.
    IssuedInFuture {
        /// Seconds until then.
        seconds_ahead: u64,
    } = "issued_in_future", "token was issued in the future";
    /// A limit on age is set, and the token does not say when it was issued.
    IatMissing = "iat_missing", "issue time is missing";
    /// The token was issued longer ago than the policy allows.
    TooOld {
        /// Seconds since it was issued.
        seconds_old: u64,
    } = "too_old", "token is older than allowed";
    /// RFC 8725 §3.12: an ID token (or another kind of JWT) is no access token.
    NotAnAccessToken {
        /// What shows it: the name of a claim.
        claim: &'static str,
    } = "not_an_access_token", "token is not an access token";
    /// RFC 8725 §3.12: the provider's access tokens have a claim that this token has not.
    AccessTokenUnproven {
        /// The name of the claim.
        claim: &'static str,
    } = "access_token_unproven", "token is not shown to be an access token";
    /// The policy lists clients, and the token names none.
    ClientMissing = "client_missing", "token does not name its client";
    /// RFC 8693 §4.3: the client's identifier is a string.
    ClientMalformed = "client_malformed", "client identifier is not a string";
    /// The client is not one that the policy lists.
    ClientNotAllowed {
        /// What the token names.
        client: Printable,
    } = "client_not_allowed", "client is not accepted";
    /// RFC 8693 §4.2: scopes are a string, or an array of strings.
    ScopeMalformed = "scope_malformed", "scope is neither a string nor an array of strings";
    /// RFC 6750 §3.1: the token lacks a scope that the HBA line demands.
    InsufficientScope {
        /// The scopes that are missing.
        missing: Printable,
    } = "insufficient_scope", "token lacks a required scope";
    /// A claim that the policy requires is missing.
    RequiredClaimMissing {
        /// The name of the claim, as the setting has it.
        claim: Printable,
    } = "required_claim_missing", "a required claim is missing";
    /// A claim that the policy requires has another value.
    RequiredClaimMismatch {
        /// The name of the claim, as the setting has it.
        claim: Printable,
    } = "required_claim_mismatch", "a required claim has another value";

    // --- confirmation (proof of possession) -------------------------------------------------------
    /// RFC 8705 §3: the policy takes only tokens that are bound to a certificate, and this one is to nothing.
    TokenNotBound = "token_not_bound", "token is not bound to a client certificate";
    /// RFC 7800 §3.1: `cnf` is an object that names one way to prove possession.
    CnfMalformed = "cnf_malformed", "confirmation claim is malformed";
    /// RFC 9449 §7.2: the token is bound to a key whose possession can not be proven here.
    CnfUnsupported {
        /// The confirmation method, such as `jkt`.
        method: Printable,
    } = "cnf_unsupported", "token is bound in a way that can not be proven here";
    /// RFC 8705 §3: the token is bound to a certificate, and the connection presented none.
    CertificateMissing = "certificate_missing", "token is bound to a client certificate, and there is none";
    /// RFC 8705 §3: the token is bound to another certificate.
    CertificateMismatch = "certificate_mismatch", "token is bound to another client certificate";

    // --- identity and role ------------------------------------------------------------------------
    /// The claim that gives the identity is missing.
    IdentityMissing = "identity_missing", "identity claim is missing";
    /// The claim that gives the identity is not a string, or an empty one.
    IdentityMalformed = "identity_malformed", "identity claim is not a non-empty string";
    /// The identity has more than 255 bytes (with its prefix).
    IdentityTooLong = "identity_too_long", "identity is too long";
    /// The identity has control or invisible characters, which must not reach a log or a map.
    IdentityUnprintable = "identity_unprintable", "identity has control or invisible characters";
    /// The claim that lists roles is missing.
    RoleClaimMissing = "role_claim_missing", "claim that lists roles is missing";
    /// The claim that lists roles is neither a string nor an array of strings, or has control characters.
    RoleClaimMalformed = "role_claim_malformed", "claim that lists roles is neither a string nor an array of strings";
    /// The claim that lists roles has more than 1,000 values, or 64 kB.
    RoleClaimTooLarge = "role_claim_too_large", "claim that lists roles is too large";
    /// The provider has left the groups out, and says where they can be asked for.
    RoleClaimElsewhere = "role_claim_elsewhere", "provider has left the groups out of the token";
    /// No value of the claim allows the requested role.
    RoleNotGranted {
        /// The values.
        values: Printable,
    } = "role_not_granted", "token does not grant the requested role";
    /// There is no such role.
    RoleUnknown = "role_unknown", "requested role does not exist";
    /// The role has power over the whole server, which a token alone must not give.
    RoleTooPowerful {
        /// The power, as the end of a sentence that begins with "The role".
        power: Printable,
    } = "role_too_powerful", "requested role has power over the whole server";

    // --- the provider's word (introspection) -----------------------------------------------------
    /// RFC 7662 §2.2: the provider says that the token is not active: expired, revoked, or never issued.
    TokenInactive = "token_inactive", "provider says that the token is not active";
    /// The provider answers about this token with an error instead of "active".
    IntrospectionRefused = "introspection_refused", "provider refuses to answer for the token";
    /// The provider's answer is about another token, or another user, than the JWT says.
    IntrospectionMismatch {
        /// What differs: the name of a claim.
        claim: &'static str,
    } = "introspection_mismatch", "provider's answer is not about this token";
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Reject {}

/// A fault of the identity provider, or of the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// What was asked for: the URL.
    pub url: Printable,
    /// What went wrong.
    pub cause: UnavailableCause,
}

/// What went wrong in asking the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnavailableCause {
    /// No answer within the time allowed.
    Timeout,
    /// The host name did not resolve.
    NameResolution,
    /// No connection, or it broke.
    Connection(Printable),
    /// This server could start no thread to ask.
    NoThread(Printable),
    /// The TLS handshake failed, or the certificate is not trusted.
    Tls(Printable),
    /// RFC 9110 §15.4: a redirect, which is not followed.
    Redirect(u16),
    /// An HTTP status other than 200.
    Status(u16),
    /// The answer is larger than allowed.
    TooLarge,
    /// The answer is not the JSON document that was asked for.
    Malformed(Printable),
    /// OpenID Connect Discovery 1.0 §4.3, RFC 8414 §3.3: the document is another issuer's.
    IssuerMismatch(Printable),
    /// A URL in the document that may not be used (not https, or not a URL).
    BadUrl(Printable),
    /// The key set holds no key that could verify a signature.
    NoUsableKey,
    /// RFC 7662 §2.3: the provider does not accept our client's authentication.
    ClientUnauthorized,
    /// The provider does not let our client ask about tokens.
    ClientForbidden,
    /// RFC 7662 §2.2: an answer whose `active` is missing, or not a boolean.
    ActiveMalformed,
    /// Another login has asked, and this is how it failed.
    Reported {
        /// The code of its cause.
        code: &'static str,
        /// Its message.
        message: Printable,
    },
}

impl UnavailableCause {
    /// Whether the endpoint does not answer at all, whatever it is asked about. Other failures may be about what was
    /// asked: an endpoint that answers 500 to one token answers the next one.
    pub fn is_outage(&self) -> bool {
        matches!(
            self,
            UnavailableCause::Timeout
                | UnavailableCause::NameResolution
                | UnavailableCause::Connection(_)
                | UnavailableCause::Tls(_)
                // RFC 9110 §15.6, RFC 6585 §4: what is before the provider's server, or asks for a pause.
                | UnavailableCause::Status(429 | 502 | 503 | 504)
        )
    }

    /// The stable code of this cause, such as `timeout`.
    pub fn code(&self) -> &'static str {
        match self {
            UnavailableCause::Timeout => "timeout",
            UnavailableCause::NameResolution => "name_resolution",
            UnavailableCause::Connection(_) => "connection",
            UnavailableCause::NoThread(_) => "no_thread",
            UnavailableCause::Tls(_) => "tls",
            UnavailableCause::Redirect(_) => "redirect",
            UnavailableCause::Status(_) => "http_status",
            UnavailableCause::TooLarge => "too_large",
            UnavailableCause::Malformed(_) => "malformed",
            UnavailableCause::IssuerMismatch(_) => "issuer_mismatch",
            UnavailableCause::BadUrl(_) => "bad_url",
            UnavailableCause::NoUsableKey => "no_usable_key",
            UnavailableCause::ClientUnauthorized => "introspection_unauthorized",
            UnavailableCause::ClientForbidden => "introspection_forbidden",
            UnavailableCause::ActiveMalformed => "active_malformed",
            UnavailableCause::Reported { code, .. } => code,
        }
    }
}

/// A failure as plain data, by which one process tells others how its request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedUnavailable {
    /// Not zero; stands for the code of the cause.
    pub code: u8,
    /// The URL, printable.
    pub url: String,
    /// The message, printable.
    pub message: String,
}

impl Unavailable {
    /// Every code of a cause.
    pub const CAUSES: [&'static str; 15] = [
        "timeout",
        "name_resolution",
        "connection",
        "tls",
        "redirect",
        "http_status",
        "too_large",
        "malformed",
        "issuer_mismatch",
        "bad_url",
        "no_usable_key",
        "introspection_unauthorized",
        "introspection_forbidden",
        "active_malformed",
        "no_thread",
    ];

    /// The failure as plain data.
    pub fn pack(&self) -> PackedUnavailable {
        let code = Self::CAUSES
            .iter()
            .position(|code| *code == self.cause.code());
        PackedUnavailable {
            code: code
                .and_then(|code| u8::try_from(code).ok()?.checked_add(1))
                .unwrap_or(1),
            url: self.url.to_string(),
            message: self.cause.to_string(),
        }
    }

    /// The failure that another process packed, with this code, URL and message.
    pub fn unpack(code: u8, url: &str, message: &str) -> Option<Self> {
        let code = *Self::CAUSES.get(usize::from(code.checked_sub(1)?))?;
        let message = Printable::from_printed(message);
        Some(Unavailable {
            url: Printable::from_printed(url),
            cause: UnavailableCause::Reported { code, message },
        })
    }
}

impl fmt::Display for UnavailableCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnavailableCause::Timeout => f.write_str("no answer in time"),
            UnavailableCause::NameResolution => f.write_str("host name does not resolve"),
            UnavailableCause::Connection(text) => write!(f, "connection failed: {text}"),
            UnavailableCause::NoThread(text) => {
                write!(f, "this server can start no thread to ask it: {text}")
            }
            UnavailableCause::Tls(text) => write!(f, "TLS failed: {text}"),
            UnavailableCause::Redirect(status) => {
                write!(
                    f,
                    "answered with a redirect ({status}), which is not followed"
                )
            }
            UnavailableCause::Status(status) => write!(f, "answered with HTTP status {status}"),
            UnavailableCause::TooLarge => f.write_str("answer is too large"),
            UnavailableCause::Malformed(text) => write!(f, "answer is malformed: {text}"),
            UnavailableCause::IssuerMismatch(issuer) => {
                write!(f, "discovery document is of another issuer: \"{issuer}\"")
            }
            UnavailableCause::BadUrl(url) => {
                write!(
                    f,
                    "discovery document names a URL that may not be used: \"{url}\""
                )
            }
            UnavailableCause::NoUsableKey => {
                f.write_str("key set has no key that could verify a signature")
            }
            UnavailableCause::ClientUnauthorized => {
                f.write_str("it does not accept this server's client credentials")
            }
            UnavailableCause::ClientForbidden => {
                f.write_str("it does not let this server's client ask about tokens")
            }
            UnavailableCause::ActiveMalformed => {
                f.write_str("introspection answer does not say whether the token is active")
            }
            UnavailableCause::Reported { message, .. } => message.fmt(f),
        }
    }
}

impl std::error::Error for UnavailableCause {}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "provider is not available: {}", self.cause)
    }
}

impl std::error::Error for Unavailable {}

/// A fault of the settings, or of the server: no token can be judged until an administrator fixes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misconfigured {
    /// The kill switch is off.
    Disabled,
    /// No audience is set: without one, a token meant for any other service would do.
    AudienceUnset,
    /// The HBA line names no issuer, or something that is not an issuer's URL.
    IssuerInvalid {
        /// Why.
        why: &'static str,
    },
    /// A setting has a value that can not be used.
    SettingInvalid {
        /// The setting's name.
        setting: Printable,
        /// What is wrong with it.
        why: Printable,
    },
    /// Mapping is delegated to the validator, and no claim is set that could list roles.
    RoleClaimUnset,
    /// The issuer serves strangers too, and no required claim says which of its tokens are ours.
    RequiredClaimsUnset {
        /// The names of claims of which one must be required.
        one_of: &'static [&'static str],
    },
    /// The token is bound to a client certificate, and this server can not tell what certificate a client has.
    CertificatesUnsupported {
        /// Why.
        why: &'static str,
    },
    /// The server has run out of something that a login needs: shared memory, memory, files.
    ServerResources {
        /// What it says about it.
        what: Printable,
    },
    /// More issuers are in use than the cache of keys has room for.
    KeyCacheFull {
        /// How many it has room for.
        issuers: usize,
    },
    /// A standby has ended the login's look at the catalog, which was in the way of recovery.
    RecoveryConflict {
        /// What it says about it.
        what: Printable,
    },
}

impl Misconfigured {
    /// Every code.
    pub const CODES: [&'static str; 10] = [
        "disabled",
        "audience_unset",
        "issuer_invalid",
        "setting_invalid",
        "role_claim_unset",
        "required_claims_unset",
        "certificates_unsupported",
        "server_resources",
        "key_cache_full",
        "recovery_conflict",
    ];

    /// The stable code of this cause, such as `audience_unset`.
    pub fn code(&self) -> &'static str {
        match self {
            Misconfigured::Disabled => "disabled",
            Misconfigured::AudienceUnset => "audience_unset",
            Misconfigured::IssuerInvalid { .. } => "issuer_invalid",
            Misconfigured::SettingInvalid { .. } => "setting_invalid",
            Misconfigured::RoleClaimUnset => "role_claim_unset",
            Misconfigured::RequiredClaimsUnset { .. } => "required_claims_unset",
            Misconfigured::CertificatesUnsupported { .. } => "certificates_unsupported",
            Misconfigured::ServerResources { .. } => "server_resources",
            Misconfigured::KeyCacheFull { .. } => "key_cache_full",
            Misconfigured::RecoveryConflict { .. } => "recovery_conflict",
        }
    }
}

impl fmt::Display for Misconfigured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misconfigured::Disabled => f.write_str("validation is switched off"),
            Misconfigured::AudienceUnset => f.write_str("no audience is configured"),
            Misconfigured::IssuerInvalid { why } => write!(f, "issuer is not valid: {why}"),
            Misconfigured::SettingInvalid { setting, why } => {
                write!(f, "setting \"{setting}\" can not be used: {why}")
            }
            Misconfigured::RoleClaimUnset => f.write_str("no claim is configured that lists roles"),
            Misconfigured::RequiredClaimsUnset { one_of } => {
                write!(f, "no claim is required of {}", one_of.join(", "))
            }
            Misconfigured::CertificatesUnsupported { why } => {
                write!(f, "client certificates can not be checked: {why}")
            }
            Misconfigured::ServerResources { what } => {
                write!(f, "server lacks resources: {what}")
            }
            Misconfigured::KeyCacheFull { issuers } => {
                write!(
                    f,
                    "the keys of {issuers} issuers are cached, and there is no room for more"
                )
            }
            Misconfigured::RecoveryConflict { what } => {
                write!(f, "login conflicts with recovery: {what}")
            }
        }
    }
}

impl std::error::Error for Misconfigured {}

/// A fault of ours. It carries no text of the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Internal(
    /// What happened, for the log.
    pub Printable,
);

impl fmt::Display for Internal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "internal error: {}", self.0)
    }
}

impl std::error::Error for Internal {}

/// Checks that the text of a macro-made list can be relied on.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_plain() {
        let mut seen = std::collections::HashSet::new();
        for code in Reject::CODES {
            assert!(seen.insert(code), "{code} appears twice");
            assert!(
                code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{code}"
            );
        }
    }

    #[test]
    fn a_failure_survives_the_way_to_another_process() {
        for code in Unavailable::CAUSES {
            let message = Printable::new("a \"b\"");
            let cause = UnavailableCause::Reported { code, message };
            let failure = Unavailable {
                url: Printable::new("https://a.example"),
                cause,
            };
            let packed = failure.pack();
            let unpacked = Unavailable::unpack(packed.code, &packed.url, &packed.message);
            assert_eq!(unpacked, Some(failure));
        }
        assert_eq!(Unavailable::unpack(0, "", ""), None);
        assert_eq!(Unavailable::unpack(200, "", ""), None);
    }

    #[test]
    fn every_cause_has_its_code_in_the_list() {
        let text = || Printable::new("");
        for cause in [
            UnavailableCause::Timeout,
            UnavailableCause::NameResolution,
            UnavailableCause::Connection(text()),
            UnavailableCause::Tls(text()),
            UnavailableCause::Redirect(302),
            UnavailableCause::Status(500),
            UnavailableCause::TooLarge,
            UnavailableCause::Malformed(text()),
            UnavailableCause::IssuerMismatch(text()),
            UnavailableCause::BadUrl(text()),
            UnavailableCause::NoUsableKey,
            UnavailableCause::ClientUnauthorized,
            UnavailableCause::ClientForbidden,
            UnavailableCause::ActiveMalformed,
        ] {
            assert!(Unavailable::CAUSES.contains(&cause.code()), "{cause:?}");
        }
    }

    #[test]
    fn every_code_is_counted() {
        assert_eq!(Failure::codes().count(), Failure::CODE_COUNT);
        let distinct: std::collections::HashSet<_> = Failure::codes().collect();
        assert_eq!(distinct.len(), Failure::CODE_COUNT);
        let unavailable = Unavailable {
            url: Printable::new(""),
            cause: UnavailableCause::Timeout,
        };
        let internal = Internal(Printable::new(""));
        for failure in [Failure::from(unavailable), internal.into()] {
            assert!(distinct.contains(failure.code()), "{failure:?}");
        }
    }

    #[test]
    fn every_fault_of_the_settings_has_its_code_in_the_list() {
        let text = || Printable::new("");
        for fault in [
            Misconfigured::Disabled,
            Misconfigured::AudienceUnset,
            Misconfigured::IssuerInvalid { why: "" },
            Misconfigured::SettingInvalid {
                setting: text(),
                why: text(),
            },
            Misconfigured::RoleClaimUnset,
            Misconfigured::RequiredClaimsUnset { one_of: &[] },
            Misconfigured::CertificatesUnsupported { why: "" },
            Misconfigured::ServerResources { what: text() },
            Misconfigured::KeyCacheFull { issuers: 16 },
            Misconfigured::RecoveryConflict { what: text() },
        ] {
            assert!(Misconfigured::CODES.contains(&fault.code()), "{fault:?}");
        }
    }

    #[test]
    fn code_of_an_algorithm_refusal_is_stable() {
        let reject = Reject::AlgNotAllowed { alg: None };
        assert_eq!(Failure::from(reject).code(), "alg_not_allowed");
    }
}
