//! Judges OAuth 2.0 bearer tokens: does this token open a session for this bearer, here and now?
//!
//! This crate holds every judgement that the PostgreSQL module `validator` makes, and nothing of
//! PostgreSQL, so that a connection pooler or a proxy can make the same one. Time, keys and network are
//! passed in ([`Clock`], [`KeySource`], [`HttpClient`]), and nothing is granted except by [`judge`].
//!
//! A token passes, in this order: size and structure (RFC 7515 §5.2), header (RFC 7515 §4, RFC 8725),
//! key (RFC 7517) and signature, then the claims of an access token (RFC 7519 §4.1, RFC 9068 §4), its
//! scopes (RFC 6750 §3.1), its binding to a certificate (RFC 8705), the identity that it gives, and the role that
//! it grants.
//! Each cause of a refusal is one variant of [`Reject`] with a stable code.
//!
//! # Example
//!
//! The access token of RFC 9068 §3, signed with the Ed25519 key of RFC 8037 appendix A.1:
//!
//! ```
//! use oauth_core::{Bearer, Issuer, JwkSet, LoginAttempt, NoCatalog, NoCertificate, NoIntrospection, Policy, Timestamp, judge};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let keys = JwkSet::parse(br#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "RjEwOwOA",
//!     "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#)?;
//! let token = concat!(
//!     "eyJ0eXAiOiJhdCtKV1QiLCJhbGciOiJFZERTQSIsImtpZCI6IlJqRXdPd09BIn0.",
//!     "eyJpc3MiOiJodHRwczovL2F1dGhvcml6YXRpb24tc2VydmVyLmV4YW1wbGUuY29tLyIsInN1YiI6IjViYTU1",
//!     "MmQ2NyIsImF1ZCI6Imh0dHBzOi8vcnMuZXhhbXBsZS5jb20vIiwiZXhwIjoxNjM5NTI4OTEyLCJpYXQiOjE2",
//!     "MTgzNTQwOTAsImp0aSI6ImRiZTM5YmYzYTNiYTQyMzhhNTEzZjUxZDZlMTY5MWM0IiwiY2xpZW50X2lkIjoi",
//!     "czZCaGRSa3F0MyIsInNjb3BlIjoib3BlbmlkIHByb2ZpbGUgcmVhZGVtYWlsIn0.",
//!     "BTUD1qqEgl-SkmcBDSUlMrCPrxgfPZabHnbfUvb0KmQYx5iAx7DbW48qCVrvNZZATlWiMSFbm_F20hzP-HWpCg",
//! );
//!
//! let issuer = Issuer::parse("https://authorization-server.example.com/")?;
//! let policy = Policy::builder(issuer)
//!     .audience("https://rs.example.com/".parse()?)
//!     .required_scopes("openid profile")
//!     .build()?;
//! let attempt = LoginAttempt {
//!     token: Bearer::new(token),
//!     role: "alice",
//!     peer: &NoCertificate,
//!     catalog: &NoCatalog,
//!     introspector: &NoIntrospection,
//! };
//!
//! let in_time = Timestamp::from_unix_seconds(1_618_354_100);
//! let decision = judge(&attempt, &policy, &keys, &in_time);
//! assert!(decision.is_authorized());
//! assert_eq!(decision.authn_id(), Some("5ba552d67"));
//!
//! let too_late = Timestamp::from_unix_seconds(1_639_528_912 + 30);
//! let decision = judge(&attempt, &policy, &keys, &too_late);
//! assert_eq!(decision.outcome().unwrap_err().code(), "expired");
//! # Ok(())
//! # }
//! ```

// Each folder imports only those below it:
//   diagnosis  what helps to explain a refusal, and decides nothing
//   judge      the list of checks, and the one place that grants
//   notice     what a provider tells unasked: logouts and other security events
//   checks     what a token has to pass, one concern a file
//   policy     what an issuer's tokens must be like, and what is known of each provider's
//   provider   how the provider is asked, what it answers, and how long answers are used
//   keys       the provider's keys, and what they verify
//   failure    why a token is refused, and whose fault that is
//   basics     what everything else is made of
// core_layout is the digest of what they keep in memory.
mod basics;
mod checks;
mod core_layout;
mod diagnosis;
mod failure;
mod judge;
mod keys;
mod notice;
mod policy;
mod provider;

pub use basics::bearer::Bearer;
pub use basics::claim_path::ClaimPath;
pub use basics::clock::{Clock, SystemClock, Timestamp};
pub use basics::digest::cache_key;
pub use basics::json::ascii_json;
pub use basics::layout::LayoutDigest;
pub use basics::printable::Printable;
pub use basics::secret_text::{SecretText, overwrite};
pub use basics::setting::{SettingError, StringList};
pub use checks::confirmation::{NoCertificate, Peer};
pub use checks::password::is_token;
pub use checks::provisioning::{
    HeldMembership, MAX_GROUPS, MembershipPlan, RoleNumber, name_fault, named_groups,
};
pub use checks::roles::{NoCatalog, RoleCatalog};
pub use diagnosis::likely_preset::likely_preset;
pub use diagnosis::near_miss::{NearMiss, near_miss};
pub use diagnosis::sketch::{Misspelt, Sketch, TokenKind};
pub use failure::misconfigured::Misconfigured;
pub use failure::notice_fault::NoticeFault;
pub use failure::provisioning_cause::ProvisioningCause;
pub use failure::reject::Reject;
pub use failure::unavailable::{Document, PackedUnavailable, Unavailable, UnavailableCause};
pub use failure::{Failure, Internal};
pub use judge::decision::{Decision, Evidence, Grant};
pub use judge::explanation::StepReport;
pub use judge::verified_claims::VerifiedClaims;
pub use judge::{LoginAttempt, explain, judge};
pub use keys::algorithm::{Algorithm, Algorithms, KeyKind};
pub use keys::certificate_tags::CertificateTags;
pub use keys::fault::{KeyFault, UnusableKey};
pub use keys::jwk::{Jwk, JwkSet, MAX_KEYS};
pub use keys::public_key::PublicKey;
pub use keys::record::{Candidates, KeyHead, MAX_CANDIDATES, select_keys};
pub use keys::source::{FoundKeys, KeyReference, KeySource};
pub use keys::warm_up::warm_up;
pub use notice::event_kind::EventKind;
pub use notice::logout_token::LogoutToken;
pub use notice::security_event::{SecurityEvent, SecurityEventToken};
pub use notice::subject::Who;
pub use notice::{NoticeError, claimed_issuer};
pub use policy::access_token_issuer::AccessTokenIssuer;
pub use policy::catch_all_audience::is_catch_all_audience;
pub use policy::doubts::Doubt;
pub use policy::identity_claims::IdentityClaims;
pub use policy::introspection_rules::{IntrospectionMode, IntrospectionRules};
pub use policy::preset::Preset;
pub use policy::required_claims::RequiredClaims;
pub use policy::values::{IdentityCase, IdentityPrefix, IdentityRule, RoleSeparator, TokenTypes};
pub use policy::{MAX_CLOCK_SKEW, Policy, PolicyBuilder};
pub use provider::cache_control::freshness_lifetime;
pub use provider::client_auth::{AssertionKey, ClientAuthMethod, ClientProof, FormRequest};
pub use provider::fetch::{
    ACCEPT_DOCUMENT, FetchedKeys, HttpClient, MAX_RESPONSE_BYTES, fetch_introspection_endpoint,
    fetch_jwk_set, validate_answer, validate_coding,
};
pub use provider::freshness::{CacheLimits, FetchId, Freshness, Plan};
pub use provider::introspection::{
    IntrospectionResponse, Introspector, NoIntrospection, NotActive,
};
pub use provider::issuer::{Endpoint, Issuer};
pub use provider::key_cache::KeyCache;
pub use provider::metadata::{MetadataRemarks, ProviderMetadata};
pub use provider::proxy::{NoProxy, Proxy, ProxyRules, basic_credentials, parse_connect_status};
