//! Faults of the token, or of who sent it.

use crate::basics::printable::Printable;
use crate::failure::causes::causes;

causes! {
    /// A fault of the token: one variant for each cause, in the order of the checks. The texts have nothing that came
    /// with the token.
    pub enum Reject {
        // --- the connection that it came over -------------------------------------------------------
        /// RFC 6750 §5.3: a bearer token must not be sent over a connection that others can read.
        TlsRequired = "tls_required", "token came over a connection that is not encrypted";

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
        /// The header has more bytes than are read.
        HeaderTooLarge {
            /// Bytes of the decoded header.
            size: usize,
            /// Bytes that it may have.
            limit: usize,
        } = "header_too_large", "JOSE header is too large";
        /// RFC 7515 §4: the header is one JSON object, without repeated members.
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
        UnknownKid {
            /// Seconds until the provider may be asked for its keys again, if that is why it was not asked.
            again_in: Option<u64>,
        } = "unknown_kid", "signing key is unknown to the provider";
        /// None of the keys that are kept of the provider's set is the token's, but the set has more of them.
        KeySetTooLarge {
            /// Keys that are not kept.
            left_out: usize,
        } = "key_set_too_large", "signing key is not among those that are kept of the provider";
        /// The token names no key, and no key of the provider fits its algorithm.
        NoFittingKey {
            /// Seconds until the provider may be asked for its keys again, if that is why it was not asked.
            again_in: Option<u64>,
        } = "no_fitting_key", "no key of the provider fits the token's algorithm";
        /// RFC 7515 appendix D: more keys of the provider fit than are tried, and the token does not tell them apart.
        AmbiguousKey {
            /// Seconds until the provider may be asked for its keys again, if that is why it was not asked.
            again_in: Option<u64>,
        } = "ambiguous_key", "too many keys of the provider fit the token";
        /// RFC 7517 §4.2, §4.3, §4.4: the key is for another use, operation, algorithm or curve, or too weak.
        KeyUnsuitable {
            /// Seconds until the provider may be asked for its keys again, if that is why it was not asked.
            again_in: Option<u64>,
        } = "key_unsuitable", "signing key may not be used for this token";
        /// RFC 7515 §5.2: the signature is not the key's over this header and payload.
        BadSignature {
            /// Seconds until the provider may be asked for its keys again, if that is why it was not asked.
            again_in: Option<u64>,
        } = "bad_signature", "signature does not verify";

        // --- claims ---------------------------------------------------------------------------------
        /// RFC 7519 §7.2: the payload is one JSON object of bounded depth.
        ClaimsMalformed = "claims_malformed", "claims are not a JSON object";
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
        /// RFC 8725 §3.12: an ID token (or another kind of JWT) is not an access token.
        NotAnAccessToken {
            /// What shows it: the name of a claim.
            claim: &'static str,
        } = "not_an_access_token", "token is not an access token";
        /// RFC 8725 §3.12: the token lacks a claim that the provider's access tokens have.
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
        /// RFC 6750 §3.1: the token lacks a scope that the HBA line requires.
        InsufficientScope {
            /// The scopes that are missing.
            missing: Printable,
        } = "insufficient_scope", "token lacks a required scope";
        /// A claim that the policy requires is missing.
        RequiredClaimMissing {
            /// The condition that it is for, as written in the setting.
            condition: Printable,
        } = "required_claim_missing", "a required claim is missing";
        /// A claim that the policy requires has another value.
        RequiredClaimMismatch {
            /// The condition that does not hold, as written in the setting.
            condition: Printable,
        } = "required_claim_mismatch", "a required claim has a different value";
        /// A claim that the policy forbids is there.
        ForbiddenClaim {
            /// The condition that does not hold, as written in the setting.
            condition: Printable,
        } = "forbidden_claim", "token has a claim that it must not have";

        // --- confirmation (proof of possession) -------------------------------------------------------
        /// RFC 8705 §3: the policy takes only tokens that are bound to a certificate, and this one is to nothing.
        TokenNotBound = "token_not_bound", "token is not bound to a client certificate";
        /// RFC 7800 §3.1: `cnf` is an object that names one way to prove possession.
        CnfMalformed = "cnf_malformed", "confirmation claim is malformed";
        /// RFC 9449 §7.2: the token is bound to a key whose possession cannot be proven here.
        CnfUnsupported {
            /// The confirmation method, such as `jkt`.
            method: Printable,
        } = "cnf_unsupported", "token is bound in a way that cannot be proven here";
        /// RFC 8705 §3: the token is bound to a certificate, and the connection presented none.
        CertificateMissing = "certificate_missing", "token is bound to a client certificate, but the client presented none";
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
        /// Nothing maps identities to roles, and the identity is not the role's name.
        IdentityNotRole {
            /// The identity.
            identity: Printable,
        } = "identity_not_role", "identity is not the requested role";
        /// The server's map does not give the role to the identity.
        IdentityNotMapped {
            /// The identity.
            identity: Printable,
            /// The map's name.
            map: Printable,
        } = "identity_not_mapped", "no line of the map gives the requested role to the identity";
        /// The role does not exist.
        RoleUnknown = "role_unknown", "requested role does not exist";
        /// The role has power over the whole server, which a token alone must not give.
        RoleTooPowerful {
            /// The power, as the end of a sentence that begins with "The role".
            power: Printable,
        } = "role_too_powerful", "requested role has power over the whole server";

        // --- introspection response -----------------------------------------------------
        /// RFC 7662 §2.2: the provider says that the token is not active: expired, revoked, or never issued.
        TokenInactive = "token_inactive", "provider says that the token is not active";
        /// The provider answers about this token with an error instead of "active".
        IntrospectionRefused = "introspection_refused", "provider refuses to answer about the token";
        /// The provider's answer is about another token, or another user, than the JWT says.
        IntrospectionMismatch {
            /// What differs: the name of a claim.
            claim: &'static str,
        } = "introspection_mismatch", "introspection response is not about this token";
    }
}

impl Reject {
    /// The refusal by keys that are not the newest, since the provider may not be asked for so many seconds.
    pub fn held_back(self, seconds: u64) -> Reject {
        let again_in = Some(seconds);
        match self {
            Reject::UnknownKid { .. } => Reject::UnknownKid { again_in },
            Reject::NoFittingKey { .. } => Reject::NoFittingKey { again_in },
            Reject::AmbiguousKey { .. } => Reject::AmbiguousKey { again_in },
            Reject::KeyUnsuitable { .. } => Reject::KeyUnsuitable { again_in },
            Reject::BadSignature { .. } => Reject::BadSignature { again_in },
            other => other,
        }
    }

    /// The refusal by a set of which so many keys were left out: the token's may be one of them.
    pub fn of_a_set_without(self, left_out: usize) -> Reject {
        match self {
            Reject::UnknownKid { .. } | Reject::NoFittingKey { .. } if left_out != 0 => {
                Reject::KeySetTooLarge { left_out }
            }
            other => other,
        }
    }
}
