//! What the tokens of each provider look like: the table behind [`Preset`](crate::Preset).
//!
//! Where a row accepts what `GENERIC` refuses, such as a header `typ` that ID tokens have too, its own proofs of an
//! access token make up for it. docs/providers/ names the provider's documents for each row.

use crate::keys::algorithm::Algorithm;

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ProviderRules {
    /// The name in the setting.
    pub(crate) name: &'static str,
    /// Accepted `typ` headers; `-` stands for none.
    pub(crate) token_types: &'static [&'static str],
    /// Accepted algorithms, where the provider's document names fewer than we support.
    pub(crate) algorithms: Option<&'static [Algorithm]>,
    /// Scopes of the HBA line that never appear in a token.
    pub(crate) optional_scopes: &'static [&'static str],
    /// The claim that becomes the identity: one that users cannot choose for themselves.
    pub(crate) identity_claim: &'static str,
    /// The claim that lists roles, where claims are asked for roles and no other is set.
    pub(crate) role_claim: Option<&'static str>,
    /// The claims that name the client, each of which counts.
    pub(crate) client_claims: &'static [&'static str],
    pub(crate) issuer: IssuerRule,
    pub(crate) audience: AudienceRule,
    pub(crate) scope: ScopeRule,
    /// What shows that a token is an access token.
    pub(crate) proofs: &'static [Proof],
    /// Claims of which `required_claims` must name one, since the issuer serves strangers too.
    pub(crate) pinned_by: &'static [&'static str],
}

/// Which `iss` is the issuer's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum IssuerRule {
    /// RFC 9068 §4: the identifier, byte for byte.
    Exact,
    /// Microsoft Entra ID: the identifier, or the tenant's name in tokens of version 1.0.
    EntraTenant,
    /// AD FS: another name, which the policy gives; not the identifier, which its ID tokens have.
    OfAccessTokens,
}

/// What names the audience.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AudienceRule {
    /// RFC 7519 §4.1.3: `aud`.
    Aud,
    /// Amazon Cognito: `aud`, or in an access token without one, `client_id`.
    AudOrClientId,
}

/// Where scopes are, and what they look like.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ScopeRule {
    /// The claims that carry them.
    pub(crate) claims: &'static [&'static str],
    /// The claims that stand for them in a token without any of those.
    pub(crate) instead: &'static [&'static str],
    pub(crate) names: ScopeNames,
    /// Whether the provider's tokens have no such claim; if one has it, it counts nevertheless.
    pub(crate) may_lack: bool,
}

/// How a scope of the HBA line is named in a token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ScopeNames {
    /// As in the HBA line.
    Same,
    /// Microsoft Entra ID, AD FS: without the resource.
    WithoutResource,
}

/// What shows that a token of a provider is an access token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// All of these claims are there.
    AllOf(&'static [&'static str]),
    /// One of these claims is there.
    AnyOf(&'static [&'static str]),
    /// None of these claims is there.
    NoneOf(&'static [&'static str]),
    /// None of these claims is present, unless scopes are, which an ID token does not have.
    NoneOfWithoutScope(&'static [&'static str]),
    /// The claim is this string.
    Equals(&'static str, &'static str),
    /// The claim is a string with this beginning.
    StartsWith(&'static str, &'static str),
    /// OpenID Connect Core 1.0 §2: the audience of an ID token is its client; this token's is not.
    AudienceIsNotClient,
    /// No audience ends in this.
    AudienceNotUnder(&'static str),
    /// `email`, if it is there, is verified.
    EmailVerified,
    /// Kubernetes: `sub` is the service account that the claim `kubernetes.io` describes.
    ServiceAccount,
}

const STANDARD_SCOPES: ScopeRule = ScopeRule {
    claims: &["scope", "scp"],
    instead: &[],
    names: ScopeNames::Same,
    may_lack: false,
};

/// Workload tokens, and the providers whose tokens have no scopes.
const NO_SCOPES: ScopeRule = ScopeRule {
    may_lack: true,
    ..STANDARD_SCOPES
};

/// OpenID Connect Core 1.0 §2, §3.3.2.11: claims that only an ID token has.
const OF_ID_TOKENS: Proof = Proof::NoneOf(&["nonce", "at_hash", "c_hash", "s_hash"]);

pub(crate) const GENERIC: ProviderRules = ProviderRules {
    name: "generic",
    token_types: &["at+jwt"],
    algorithms: None,
    optional_scopes: &["openid", "offline_access"],
    identity_claim: "sub",
    role_claim: None,
    client_claims: &["client_id", "azp"],
    issuer: IssuerRule::Exact,
    audience: AudienceRule::Aud,
    scope: STANDARD_SCOPES,
    // The hint of a refusal for "at_hash", the last one, relies on the others being absent.
    proofs: &[Proof::NoneOfWithoutScope(&[
        "nonce", "c_hash", "s_hash", "at_hash",
    ])],
    pinned_by: &[],
};

pub(crate) const KEYCLOAK: ProviderRules = ProviderRules {
    name: "keycloak",
    token_types: &["JWT", "at+jwt"],
    identity_claim: "preferred_username",
    role_claim: Some("/realm_access/roles"),
    client_claims: &["azp", "client_id"],
    proofs: &[Proof::Equals("typ", "Bearer")],
    ..GENERIC
};

pub(crate) const ENTRA: ProviderRules = ProviderRules {
    name: "entra",
    token_types: &["JWT"],
    optional_scopes: &["openid", "offline_access", "profile", "email"],
    identity_claim: "oid",
    role_claim: Some("roles"),
    client_claims: &["azp", "appid"],
    issuer: IssuerRule::EntraTenant,
    scope: ScopeRule {
        claims: &["scp"],
        // Access token claims reference, `roles`: in a token of an application, which has no `scp`.
        instead: &["roles"],
        names: ScopeNames::WithoutResource,
        may_lack: false,
    },
    // An ID token can have "roles" and the audience of the API, but names no client in addition.
    proofs: &[
        Proof::AnyOf(&["azp", "appid"]),
        Proof::AnyOf(&["scp", "roles"]),
        OF_ID_TOKENS,
    ],
    ..GENERIC
};

pub(crate) const OKTA: ProviderRules = ProviderRules {
    name: "okta",
    // Not "application/okta-internal-at+jwt": those are meant for Okta's own services.
    token_types: &["-", "JWT", "at+jwt"],
    role_claim: Some("groups"),
    client_claims: &["cid"],
    scope: ScopeRule {
        claims: &["scp"],
        ..STANDARD_SCOPES
    },
    proofs: &[Proof::AllOf(&["cid", "scp"]), OF_ID_TOKENS],
    ..GENERIC
};

pub(crate) const AUTH0: ProviderRules = ProviderRules {
    name: "auth0",
    token_types: &["JWT", "at+jwt"],
    role_claim: Some("permissions"),
    client_claims: &["azp", "client_id"],
    proofs: &[
        Proof::AnyOf(&["azp", "client_id"]),
        Proof::AudienceIsNotClient,
        OF_ID_TOKENS,
    ],
    ..GENERIC
};

pub(crate) const COGNITO: ProviderRules = ProviderRules {
    name: "cognito",
    token_types: &["-"],
    role_claim: Some("cognito:groups"),
    client_claims: &["client_id"],
    audience: AudienceRule::AudOrClientId,
    proofs: &[
        Proof::Equals("token_use", "access"),
        Proof::AllOf(&["client_id"]),
    ],
    ..GENERIC
};

pub(crate) const GOOGLE: ProviderRules = ProviderRules {
    name: "google",
    token_types: &["JWT"],
    identity_claim: "email",
    client_claims: &["azp"],
    scope: NO_SCOPES,
    // Only ID tokens are JWTs: those that a service account gets for an audience of its choice are accepted,
    // those of people, whose audience is an OAuth client, are not.
    proofs: &[
        Proof::AllOf(&["azp"]),
        Proof::AudienceIsNotClient,
        Proof::AudienceNotUnder(".apps.googleusercontent.com"),
        Proof::EmailVerified,
        OF_ID_TOKENS,
    ],
    ..GENERIC
};

pub(crate) const GITLAB: ProviderRules = ProviderRules {
    name: "gitlab",
    token_types: &["JWT"],
    client_claims: &[],
    scope: NO_SCOPES,
    // Tokens of a job; the ID tokens of people come from the same issuer.
    proofs: &[Proof::AllOf(&["project_path", "pipeline_id", "job_id"])],
    pinned_by: &[
        "project_path",
        "project_id",
        "namespace_path",
        "namespace_id",
        "sub",
        "iss",
    ],
    ..GENERIC
};

pub(crate) const GITHUB_ACTIONS: ProviderRules = ProviderRules {
    name: "github-actions",
    token_types: &["JWT"],
    client_claims: &[],
    scope: NO_SCOPES,
    proofs: &[Proof::AllOf(&["repository", "repository_owner", "run_id"])],
    pinned_by: &[
        "repository",
        "repository_id",
        "repository_owner",
        "repository_owner_id",
        "enterprise",
        "enterprise_id",
        "sub",
    ],
    ..GENERIC
};

pub(crate) const KUBERNETES: ProviderRules = ProviderRules {
    name: "kubernetes",
    token_types: &["-", "JWT"],
    client_claims: &[],
    scope: NO_SCOPES,
    proofs: &[Proof::ServiceAccount],
    ..GENERIC
};

pub(crate) const AUTHENTIK: ProviderRules = ProviderRules {
    name: "authentik",
    token_types: &["JWT", "at+jwt"],
    identity_claim: "preferred_username",
    role_claim: Some("groups"),
    client_claims: &["azp"],
    scope: NO_SCOPES,
    // Access and ID token have the same audience (the client) and the same other claims.
    proofs: &[Proof::AllOf(&["azp", "uid"])],
    ..GENERIC
};

pub(crate) const ZITADEL: ProviderRules = ProviderRules {
    name: "zitadel",
    token_types: &["JWT", "at+jwt", "-"],
    client_claims: &["azp", "client_id"],
    scope: NO_SCOPES,
    // Access and ID token have the same audience; only the access token has "jti".
    proofs: &[
        Proof::AllOf(&["jti"]),
        Proof::NoneOf(&["nonce", "at_hash", "c_hash", "auth_time", "amr", "acr"]),
    ],
    ..GENERIC
};

pub(crate) const PING: ProviderRules = ProviderRules {
    name: "ping",
    token_types: &["at+jwt", "-"],
    proofs: &[Proof::AllOf(&["client_id", "scope"]), OF_ID_TOKENS],
    client_claims: &["client_id"],
    ..GENERIC
};

pub(crate) const SPIFFE: ProviderRules = ProviderRules {
    name: "spiffe",
    token_types: &["-", "JWT", "JOSE"],
    // JWT-SVID §2.1.
    algorithms: Some(&[
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::ES512,
    ]),
    client_claims: &[],
    scope: NO_SCOPES,
    // JWT-SVID §3.1.
    proofs: &[Proof::StartsWith("sub", "spiffe://"), OF_ID_TOKENS],
    ..GENERIC
};

pub(crate) const DEX: ProviderRules = ProviderRules {
    name: "dex",
    token_types: &["-"],
    role_claim: Some("groups"),
    // Only where a token has several audiences, of which one is its client.
    client_claims: &["azp"],
    scope: NO_SCOPES,
    // An access token is an ID token by its form, with the hash of a random value. ID tokens of the interactive flows
    // have "c_hash" or "nonce"; those of a refresh or a password cannot be told apart.
    proofs: &[
        Proof::NoneOf(&["nonce", "c_hash", "s_hash"]),
        Proof::AllOf(&["at_hash"]),
    ],
    ..GENERIC
};

pub(crate) const ADFS: ProviderRules = ProviderRules {
    name: "adfs",
    token_types: &["JWT"],
    optional_scopes: &[
        "openid",
        "offline_access",
        "profile",
        "email",
        "allatclaims",
    ],
    identity_claim: "upn",
    role_claim: Some("group"),
    client_claims: &["appid"],
    issuer: IssuerRule::OfAccessTokens,
    scope: ScopeRule {
        claims: &["scp"],
        instead: &[],
        names: ScopeNames::WithoutResource,
        may_lack: false,
    },
    // An ID token has "appid" and "scp", too, but the client as its audience, and the issuer as "iss".
    proofs: &[
        Proof::AllOf(&["appid", "apptype"]),
        Proof::AudienceIsNotClient,
        OF_ID_TOKENS,
    ],
    ..GENERIC
};
