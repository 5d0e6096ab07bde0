//! What an issuer's tokens must be like: built once, checked, then only read.

pub(crate) mod access_token_issuer;
pub(crate) mod catch_all_audience;
pub(crate) mod doubts;
pub(crate) mod identity_claims;
pub(crate) mod introspection_rules;
pub(crate) mod preset;
pub(crate) mod provider_rules;
pub(crate) mod required_claims;
pub(crate) mod values;

use std::time::Duration;

use crate::basics::claim_path::ClaimPath;
use crate::basics::setting::StringList;
use crate::failure::misconfigured::Misconfigured;
use crate::keys::algorithm::Algorithms;
use crate::policy::access_token_issuer::AccessTokenIssuer;
use crate::policy::identity_claims::IdentityClaims;
use crate::policy::introspection_rules::IntrospectionRules;
use crate::policy::preset::Preset;
use crate::policy::provider_rules::IssuerRule;
use crate::policy::required_claims::RequiredClaims;
use crate::policy::values::{
    IdentityCase, IdentityPrefix, IdentityRule, RoleSeparator, TokenTypes,
};
use crate::provider::issuer::Issuer;

/// The largest difference of clocks that a policy allows. More would not be a difference, but a longer life for tokens.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_secs(300);

/// Everything that a token of one issuer is judged by.
///
/// ```
/// use oauth_core::{Issuer, Policy};
/// let issuer = Issuer::parse("https://idp.example/realms/corp").unwrap();
/// let policy = Policy::builder(issuer)
///     .audience("https://pg.example/".parse().unwrap())
///     .required_scopes("openid postgres")
///     .build()
///     .unwrap();
/// assert_eq!(policy.issuer().identifier(), "https://idp.example/realms/corp");
/// ```
#[derive(Debug, Clone)]
pub struct Policy {
    issuer: Issuer,
    preset: Preset,
    access_token_issuer: AccessTokenIssuer,
    required_scopes: Vec<String>,
    optional_scopes: StringList,
    audience: StringList,
    algorithms: Algorithms,
    token_types: TokenTypes,
    identity_claim: IdentityClaims,
    identity_prefix: IdentityPrefix,
    identity_case: IdentityCase,
    required_claims: RequiredClaims,
    client_ids: StringList,
    clock_skew: Duration,
    max_token_age: Option<Duration>,
    max_token_size: usize,
    delegated: bool,
    mapped: bool,
    identity_rule: Option<IdentityRule>,
    role_claim: Option<ClaimPath>,
    role_separator: RoleSeparator,
    role_map: Option<String>,
    provisioned: bool,
    allow_superuser: bool,
    introspection: IntrospectionRules,
    require_bound_token: bool,
}

impl Policy {
    /// Starts a policy for tokens of `issuer`, with the defaults of [`Preset::GENERIC`] and no audience yet.
    pub fn builder(issuer: Issuer) -> PolicyBuilder {
        PolicyBuilder(Box::new(Policy {
            issuer,
            preset: Preset::GENERIC,
            access_token_issuer: AccessTokenIssuer::default(),
            required_scopes: Vec::new(),
            optional_scopes: StringList::default(),
            audience: StringList::default(),
            algorithms: Algorithms::default(),
            token_types: TokenTypes::default(),
            identity_claim: IdentityClaims::of("sub"),
            identity_prefix: IdentityPrefix::default(),
            identity_case: IdentityCase::default(),
            required_claims: RequiredClaims::default(),
            client_ids: StringList::default(),
            clock_skew: Duration::from_secs(30),
            max_token_age: None,
            max_token_size: 16 * 1024,
            delegated: false,
            mapped: false,
            identity_rule: None,
            role_claim: None,
            role_separator: RoleSeparator::default(),
            role_map: None,
            provisioned: false,
            allow_superuser: false,
            introspection: IntrospectionRules::default(),
            require_bound_token: false,
        }))
        .preset(Preset::GENERIC)
    }

    /// The issuer whose tokens are accepted.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The provider's conventions.
    pub fn preset(&self) -> Preset {
        self.preset
    }

    /// What `iss` of a token must be where the provider's access tokens do not name the issuer: as set, or else by the
    /// provider's convention. `None` inside: unknown, so that no token is accepted.
    pub fn access_token_issuer(&self) -> Option<AccessTokenIssuer> {
        let is_named = self.preset.rules().issuer == IssuerRule::OfAccessTokens;
        is_named.then(|| {
            let by_convention = || AccessTokenIssuer::of_adfs(self.issuer.identifier());
            self.access_token_issuer.clone().or(by_convention)
        })
    }

    /// The accepted audiences.
    pub fn audience(&self) -> &StringList {
        &self.audience
    }

    /// The accepted signature algorithms.
    pub fn algorithms(&self) -> &Algorithms {
        &self.algorithms
    }

    /// The accepted `typ` headers.
    pub fn token_types(&self) -> &TokenTypes {
        &self.token_types
    }

    /// The claims of which the first one that is there becomes the identity.
    pub fn identity_claim(&self) -> &IdentityClaims {
        &self.identity_claim
    }

    /// The claim that lists roles, if there is one.
    pub fn role_claim(&self) -> Option<&ClaimPath> {
        self.role_claim.as_ref()
    }

    /// What separates the values in a string of that claim; `None`: a string is one value. The setting goes before;
    /// otherwise `scope` (RFC 6749 §3.3) and `scp` alone are lists, by spaces.
    pub fn role_separator(&self) -> Option<char> {
        self.role_separator.as_char().or_else(|| {
            let claim = self.role_claim.as_ref()?;
            let is_scope = claim.is_top_level("scope") || claim.is_top_level("scp");
            is_scope.then_some(' ')
        })
    }

    /// The server's map from values of that claim to roles; without one, a value is a role's name.
    pub fn role_map(&self) -> Option<&str> {
        self.role_map.as_deref()
    }

    /// Whether the values of that claim are groups, by which the server gives the role its memberships.
    pub fn is_provisioned(&self) -> bool {
        self.provisioned
    }

    pub(crate) fn is_delegated(&self) -> bool {
        self.delegated
    }

    pub(crate) fn is_mapped(&self) -> bool {
        self.mapped
    }

    /// What this judgement demands of identity and role. `None`: the server itself checks them after it, or mapping is
    /// delegated.
    pub(crate) fn identity_rule(&self) -> Option<&IdentityRule> {
        self.identity_rule.as_ref().filter(|_| !self.delegated)
    }

    /// Whether this judgement has compared identity and role. Otherwise the server itself does so after it, or mapping is
    /// delegated.
    pub fn judges_identity(&self) -> bool {
        self.identity_rule().is_some()
    }

    /// Whether a token alone may give a role with power over the whole server.
    pub fn allows_superuser(&self) -> bool {
        self.allow_superuser
    }

    /// Which tokens the provider is asked about, and what its answers may lack.
    pub fn introspection(&self) -> &IntrospectionRules {
        &self.introspection
    }

    pub(crate) fn requires_bound_token(&self) -> bool {
        self.require_bound_token
    }

    /// Maximum size of a token, in bytes.
    pub fn max_token_size(&self) -> usize {
        self.max_token_size
    }

    pub(crate) fn identity_prefix(&self) -> &IdentityPrefix {
        &self.identity_prefix
    }

    pub(crate) fn identity_case(&self) -> IdentityCase {
        self.identity_case
    }

    /// The scopes that a token must carry: those of the HBA line without the optional ones.
    pub(crate) fn demanded_scopes(&self) -> impl Iterator<Item = &str> {
        self.required_scopes
            .iter()
            .map(String::as_str)
            .filter(|scope| !self.optional_scopes.contains(scope))
    }

    /// Whether the HBA line names a scope.
    pub(crate) fn names_scopes(&self) -> bool {
        !self.required_scopes.is_empty()
    }

    pub(crate) fn required_claims(&self) -> &RequiredClaims {
        &self.required_claims
    }

    pub(crate) fn client_ids(&self) -> &StringList {
        &self.client_ids
    }

    /// How far the clocks of issuer and server may differ.
    pub fn clock_skew(&self) -> Duration {
        self.clock_skew
    }

    pub(crate) fn max_token_age(&self) -> Option<Duration> {
        self.max_token_age
    }
}

/// Collects the parts of a [`Policy`], which stays in its place while it is handed on.
#[derive(Debug, Clone)]
pub struct PolicyBuilder(Box<Policy>);

impl PolicyBuilder {
    /// The provider's conventions: token types, algorithms, optional scopes and identity claim, which a later call can
    /// change; and how issuer, audience, client, scopes and an access token are told.
    pub fn preset(mut self, preset: Preset) -> Self {
        let rules = preset.rules();
        self.0.preset = preset;
        self.0.token_types = TokenTypes::of(rules.token_types);
        self.0.algorithms = rules
            .algorithms
            .map_or_else(Algorithms::default, Algorithms::of);
        self.0.optional_scopes = StringList::of(rules.optional_scopes);
        self.0.identity_claim = IdentityClaims::of(rules.identity_claim);
        self
    }

    /// The `iss` of access tokens, for a provider that does not name the issuer in them (AD FS), where its convention does
    /// not give it. Other providers' tokens name the issuer in any case.
    pub fn access_token_issuer(mut self, issuer: AccessTokenIssuer) -> Self {
        self.0.access_token_issuer = issuer;
        self
    }

    /// Values of `aud` of which a token must name one (RFC 7519 §4.1.3).
    pub fn audience(mut self, audience: StringList) -> Self {
        self.0.audience = audience;
        self
    }

    /// Scopes that a token must carry, separated by spaces (RFC 6749 §3.3).
    pub fn required_scopes(mut self, scopes: &str) -> Self {
        self.0.required_scopes = scopes.split_ascii_whitespace().map(str::to_owned).collect();
        self
    }

    /// Scopes that a token need not carry although they are required: otherwise `openid` and `offline_access`,
    /// which steer the provider and often do not appear in a token.
    pub fn optional_scopes(mut self, scopes: StringList) -> Self {
        self.0.optional_scopes = scopes;
        self
    }

    /// Accepted signature algorithms.
    pub fn algorithms(mut self, algorithms: Algorithms) -> Self {
        self.0.algorithms = algorithms;
        self
    }

    /// Accepted `typ` headers.
    pub fn token_types(mut self, token_types: TokenTypes) -> Self {
        self.0.token_types = token_types;
        self
    }

    /// The claims of which the first one that is there becomes the identity.
    pub fn identity_claim(mut self, claims: IdentityClaims) -> Self {
        self.0.identity_claim = claims;
        self
    }

    /// Text put before the identity, where its claim has no prefix of its own.
    pub fn identity_prefix(mut self, prefix: IdentityPrefix) -> Self {
        self.0.identity_prefix = prefix;
        self
    }

    /// How the letters of the identity are written.
    pub fn identity_case(mut self, case: IdentityCase) -> Self {
        self.0.identity_case = case;
        self
    }

    /// Claims that must hold.
    pub fn required_claims(mut self, claims: RequiredClaims) -> Self {
        self.0.required_claims = claims;
        self
    }

    /// Accepted `azp` and `client_id`; empty accepts every client.
    pub fn client_ids(mut self, client_ids: StringList) -> Self {
        self.0.client_ids = client_ids;
        self
    }

    /// How far the clocks of issuer and server may differ; five minutes at most.
    pub fn clock_skew(mut self, skew: Duration) -> Self {
        self.0.clock_skew = skew.min(MAX_CLOCK_SKEW);
        self
    }

    /// How long ago a token may have been issued; `None` for no limit.
    pub fn max_token_age(mut self, age: Option<Duration>) -> Self {
        self.0.max_token_age = age;
        self
    }

    /// Maximum size of a token, in bytes.
    pub fn max_token_size(mut self, bytes: usize) -> Self {
        self.0.max_token_size = bytes;
        self
    }

    /// Whether this judgement alone decides which identity may take which role (`delegate_ident_mapping=1`).
    pub fn delegated(mut self, delegated: bool) -> Self {
        self.0.delegated = delegated;
        self
    }

    /// Whether the server has a map from identities to roles (`map=`) that decides which identity may take which role.
    /// Otherwise the identity must equal the role.
    pub fn mapped(mut self, mapped: bool) -> Self {
        self.0.mapped = mapped;
        self
    }

    /// How identity and role are compared where the server does not do that after this judgement, as for a token that
    /// came as a password. `None`: the server does it.
    pub fn identity_rule(mut self, rule: Option<IdentityRule>) -> Self {
        self.0.mapped |= matches!(rule, Some(IdentityRule::ByMap(_)));
        self.0.identity_rule = rule;
        self
    }

    /// The claim that lists roles; where it is set, it must allow the requested role. Without one, the preset's is
    /// used where claims are asked for roles: under delegation, where roles are provisioned, and where there is a map for
    /// roles.
    pub fn role_claim(mut self, claim: Option<ClaimPath>) -> Self {
        self.0.role_claim = claim;
        self
    }

    /// What separates the values in a string of the role claim.
    pub fn role_separator(mut self, separator: RoleSeparator) -> Self {
        self.0.role_separator = separator;
        self
    }

    /// The server's map from values of the role claim to roles.
    pub fn role_map(mut self, map: Option<String>) -> Self {
        self.0.role_map = map;
        self
    }

    /// Whether the values of the role claim are groups, of which the server makes the role a member once the token has
    /// passed. The role itself, and its power, are then not judged here: whoever makes the memberships calls
    /// [`Grant::authorize_role`](crate::Grant::authorize_role) for a role that it leaves alone.
    pub fn provisioned(mut self, provisioned: bool) -> Self {
        self.0.provisioned = provisioned;
        self
    }

    /// Whether a token alone may give a role that has power over the whole server: under delegation, and without
    /// a map of identities.
    pub fn allow_superuser(mut self, allow: bool) -> Self {
        self.0.allow_superuser = allow;
        self
    }

    /// Which tokens the provider is asked about (RFC 7662), and what its answers may lack; otherwise none.
    pub fn introspection(mut self, rules: IntrospectionRules) -> Self {
        self.0.introspection = rules;
        self
    }

    /// Whether a token must be bound to the client's certificate (RFC 8705 §3).
    pub fn require_bound_token(mut self, require: bool) -> Self {
        self.0.require_bound_token = require;
        self
    }

    /// Checks that the parts allow a judgement.
    ///
    /// Errors: the first of [`faults`](Self::faults).
    pub fn build(mut self) -> Result<Policy, Misconfigured> {
        if let Some(fault) = self.faults().into_iter().next() {
            return Err(fault);
        }
        self.0.role_claim = self.role_claim_in_force();
        Ok(*self.0)
    }

    /// Everything that does not allow a judgement: `AudienceUnset` without an audience, since a token for any other
    /// service would be accepted; `RoleClaimUnset` under delegation, where nothing else limits the roles, and where roles
    /// are provisioned from its values;
    /// `RequiredClaimsUnset` where strangers get tokens of the same issuer, and nothing says whose are accepted.
    pub fn faults(&self) -> Vec<Misconfigured> {
        let pinned_by = self.0.preset.rules().pinned_by;
        let mut faults = Vec::new();
        if self.0.audience.is_empty() {
            faults.push(Misconfigured::AudienceUnset);
        }
        if (self.0.delegated || self.0.provisioned) && self.role_claim_in_force().is_none() {
            faults.push(Misconfigured::RoleClaimUnset);
        }
        if !pinned_by.is_empty() && !self.0.required_claims.pin_one_of(pinned_by) {
            faults.push(Misconfigured::RequiredClaimsUnset { one_of: pinned_by });
        }
        faults
    }

    fn role_claim_in_force(&self) -> Option<ClaimPath> {
        let claims_are_asked_for_roles =
            self.0.delegated || self.0.provisioned || self.0.role_map.is_some();
        self.0.role_claim.clone().or_else(|| {
            let of_preset = self.0.preset.rules().role_claim;
            of_preset
                .filter(|_| claims_are_asked_for_roles)
                .map(ClaimPath::of)
        })
    }

    /// What `iss` of a token must be, as [`Policy::access_token_issuer`] says it.
    pub fn expected_access_token_issuer(&self) -> Option<AccessTokenIssuer> {
        self.0.access_token_issuer()
    }

    pub(crate) fn parts(&self) -> &Policy {
        &self.0
    }
}
