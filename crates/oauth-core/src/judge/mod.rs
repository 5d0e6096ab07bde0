//! The judgement: the one place that grants.

pub(crate) mod explanation;
pub(crate) mod verified_claims;

use crate::basics::bearer::Bearer;
use crate::basics::clock::{Clock, Timestamp};
use crate::basics::json::Object;
use crate::basics::printable::Printable;
use crate::checks::access_token::validate_is_access_token;
use crate::checks::claims;
use crate::checks::confirmation::{Peer, validate_confirmation};
use crate::checks::identity::parse_identity;
use crate::checks::introspected;
use crate::checks::roles::{RoleCatalog, authorize_role};
use crate::checks::scope::validate_scope;
use crate::checks::structure::{UnverifiedToken, is_opaque, validate_size};
use crate::failure::Failure;
use crate::failure::reject::Reject;
use crate::judge::explanation::{
    StepReport, Steps, binding, client, printed, role, scopes, shown, times, until,
};
use crate::judge::verified_claims::VerifiedClaims;
use crate::keys::source::KeySource;
use crate::policy::Policy;
use crate::policy::introspection_rules::IntrospectionMode;
use crate::provider::introspection::{IntrospectionResponse, Introspector};

/// What a client asks for when it logs in with a token.
pub struct LoginAttempt<'a> {
    /// The token.
    pub token: Bearer<'a>,
    /// The role that the client wants to be.
    pub role: &'a str,
    /// The client's end of the connection.
    pub peer: &'a dyn Peer,
    /// What the server knows of roles.
    pub catalog: &'a dyn RoleCatalog,
    /// Who asks the provider about a token, where the policy says so.
    pub introspector: &'a dyn Introspector,
}

/// The outcome of a judgement, and what the log may say about it.
#[derive(Debug)]
pub struct Decision {
    outcome: Result<Grant, Failure>,
    known: Known,
}

/// What becomes known of a token on the way, however the way ends.
#[derive(Debug, Default)]
struct Known {
    authn_id: Option<String>,
    evidence: Evidence,
    steps: Steps,
}

/// What a token that passed every check is good for.
#[derive(Debug)]
pub struct Grant {
    expires_at: Timestamp,
    claims: Object,
}

/// What is known of a token, accepted or not. Nothing in here is secret.
#[derive(Debug, Default, Clone)]
pub struct Evidence {
    /// The key that the header names; the sender may have put anything there.
    pub kid: Option<Printable>,
    /// The client that the token was issued to; from a verified token only.
    pub client_id: Option<Printable>,
    /// The token's identifier (RFC 7519 §4.1.7); from a verified token only.
    pub jti: Option<Printable>,
    /// Whom the token names: from a verified token of the issuer for this audience, which may be expired, of another
    /// kind, or stolen. See [`Decision::authn_id`] for who was authenticated.
    pub identity: Option<Printable>,
}

impl Decision {
    /// Whether the token opens the session.
    pub fn is_authorized(&self) -> bool {
        self.outcome.is_ok()
    }

    /// Who the bearer is: once everything holds but the role, which may yet be refused.
    pub fn authn_id(&self) -> Option<&str> {
        self.known.authn_id.as_deref()
    }

    /// The grant, or why there is none.
    pub fn outcome(&self) -> Result<&Grant, &Failure> {
        self.outcome.as_ref()
    }

    /// What the log may say about the token.
    pub fn evidence(&self) -> &Evidence {
        &self.known.evidence
    }

    /// The claims of the token, if it was accepted.
    pub fn into_claims(self) -> Option<VerifiedClaims> {
        self.outcome.ok().map(|grant| VerifiedClaims(grant.claims))
    }

    /// A refusal of a token that was not even looked at.
    pub fn refused(failure: impl Into<Failure>) -> Self {
        Decision {
            outcome: Err(failure.into()),
            known: Known::default(),
        }
    }
}

impl Grant {
    /// When the token expires (`exp`); [`Timestamp::FOREVER`] if nobody says, and the policy allows that.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// The client that the token was issued to, where a claim says so (RFC 9068 §2.2, and the provider's ways).
    pub fn client_id(&self, policy: &Policy) -> Option<&str> {
        claims::client_id(&self.claims, policy)
    }

    /// The token's identifier (RFC 7519 §4.1.7).
    pub fn jti(&self) -> Option<&str> {
        self.claims.get("jti")?.as_str()
    }

    /// The bearer's session at the provider (OpenID Connect Front-Channel Logout 1.0 §3), which a logout there names.
    pub fn sid(&self) -> Option<&str> {
        self.claims.get("sid")?.as_str()
    }

    /// The verified claims.
    pub fn claims(&self) -> &serde_json::Map<String, serde_json::Value> {
        &self.claims
    }
}

/// Judges a token: structure, key and signature, then claims, then identity and role. Refused unless all holds.
pub fn judge(
    attempt: &LoginAttempt<'_>,
    policy: &Policy,
    keys: &dyn KeySource,
    clock: &dyn Clock,
) -> Decision {
    let mut known = Known::default();
    let outcome = run_checks(attempt, policy, keys, clock, &mut known);
    Decision { outcome, known }
}

/// The same judgement, told step by step. The last step is the one that failed, if one did.
pub fn explain(
    attempt: &LoginAttempt<'_>,
    policy: &Policy,
    keys: &dyn KeySource,
    clock: &dyn Clock,
) -> (Decision, Vec<StepReport>) {
    let mut known = Known {
        steps: Steps::told(),
        ..Known::default()
    };
    let outcome = run_checks(attempt, policy, keys, clock, &mut known);
    let steps = std::mem::take(&mut known.steps).into_reports();
    (Decision { outcome, known }, steps)
}

/// Signed JWTs are judged here, and whatever else only where the provider may be asked.
fn run_checks(
    attempt: &LoginAttempt<'_>,
    policy: &Policy,
    keys: &dyn KeySource,
    clock: &dyn Clock,
    known: &mut Known,
) -> Result<Grant, Failure> {
    let mode = policy.introspection().mode;
    let is_opaque = || validate_size(&attempt.token, policy).is_ok() && is_opaque(&attempt.token);
    if mode != IntrospectionMode::Off && is_opaque() {
        return judge_opaque(attempt, policy, clock, known);
    }
    if mode == IntrospectionMode::Always {
        let (grant, identity) = judge_jwt(attempt, policy, keys, clock, known, Proof::Pending)?;
        let answer = introspect(attempt, &mut known.steps)?;
        let confirmed = confirm(grant, identity, &answer, attempt, policy, clock, known);
        return known.steps.take("confirmed", confirmed, |_| String::new());
    }
    let (grant, _) = judge_jwt(attempt, policy, keys, clock, known, Proof::Complete)?;
    Ok(grant)
}

/// Whether a token that passes its checks has proven who its bearer is, or the provider has yet to confirm it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Proof {
    Pending,
    Complete,
}

/// The checks of a signed JWT in their order. Gives what it grants, and to whom.
fn judge_jwt(
    attempt: &LoginAttempt<'_>,
    policy: &Policy,
    keys: &dyn KeySource,
    clock: &dyn Clock,
    known: &mut Known,
    proof: Proof,
) -> Result<(Grant, String), Failure> {
    let parsed = UnverifiedToken::parse(&attempt.token, policy);
    let token = known
        .steps
        .take("structure", parsed, |token| token.header.describe())?;
    known.evidence.kid = token.header.kid.as_deref().map(Printable::new);
    let found = keys.find_key(token.header.kid.as_deref(), token.header.alg);
    let key = known.steps.take("key", found, |key| key.kty().to_owned())?;

    let verified = token.verify(&key);
    let verified = known.steps.take("signature", verified, |_| String::new())?;
    known.note_verified(verified.claims(), policy);
    let claims = verified.claims();

    let valid = claims::validate_issuer(claims, policy);
    known
        .steps
        .take("issuer", valid, |()| shown(claims, "iss"))?;
    let valid = claims::validate_audience(claims, policy);
    known
        .steps
        .take("audience", valid, |()| shown(claims, "aud"))?;
    let identity = parse_identity(claims, policy);
    known.note_named(&identity);

    // Asked only now: a fetch of keys may have taken a while.
    let now = clock.now();
    let expires_at = claims::validate_expiry(claims, policy, now);
    let expires_at = known
        .steps
        .take("expiry", expires_at, |exp| until(*exp, now))?;
    let valid = validate_times(claims, policy, now);
    known.steps.take("times", valid, |()| times(claims))?;
    let valid = validate_is_access_token(claims, policy);
    known
        .steps
        .take("access_token", valid, |()| String::new())?;
    let identity = authorize(claims, identity, attempt, policy, known, proof)?;
    let grant = Grant {
        expires_at,
        claims: verified.into_claims(),
    };
    Ok((grant, identity))
}

/// RFC 7662 §2.2, §4: a token that only the provider can read. Its word passes what the claims of a JWT pass.
fn judge_opaque(
    attempt: &LoginAttempt<'_>,
    policy: &Policy,
    clock: &dyn Clock,
    known: &mut Known,
) -> Result<Grant, Failure> {
    let valid = validate_size(&attempt.token, policy);
    known
        .steps
        .take("structure", valid, |()| "not a signed JWT".to_owned())?;
    let answer = introspect(attempt, &mut known.steps)?;
    let claims = answer.claims();
    known.note_verified(claims, policy);

    let rules = policy.introspection();
    // RFC 7662 §2.2: "iss" is optional; the provider was asked at the issuer's own endpoint.
    if claims.contains_key("iss") {
        let valid = claims::validate_issuer(claims, policy);
        known
            .steps
            .take("issuer", valid, |()| shown(claims, "iss"))?;
    }
    if rules.audience_required || claims.contains_key("aud") {
        let valid = claims::validate_audience(claims, policy);
        known
            .steps
            .take("audience", valid, |()| shown(claims, "aud"))?;
    }
    let identity = parse_identity(claims, policy);
    known.note_named(&identity);

    let now = clock.now();
    let expires_at = if rules.exp_required || claims.contains_key("exp") {
        claims::validate_expiry(claims, policy, now)
    } else {
        Ok(Timestamp::FOREVER)
    };
    let expires_at = known
        .steps
        .take("expiry", expires_at, |exp| until(*exp, now))?;
    let valid = validate_times(claims, policy, now);
    known.steps.take("times", valid, |()| times(claims))?;
    let valid = introspected::validate_is_access_token(claims)
        .and_then(|()| introspected::validate_shows_access_token(claims, policy));
    known
        .steps
        .take("access_token", valid, |()| String::new())?;
    authorize(claims, identity, attempt, policy, known, Proof::Complete)?;
    Ok(Grant {
        expires_at,
        claims: answer.into_claims(&attempt.token),
    })
}

fn introspect(
    attempt: &LoginAttempt<'_>,
    steps: &mut Steps,
) -> Result<IntrospectionResponse, Failure> {
    let answer = attempt.introspector.introspect(&attempt.token);
    steps.take("introspection", answer, |_| "active".to_owned())
}

/// RFC 7662: what a JWT grants is granted only if the provider confirms the token, and what it says of the token now
/// passes the same checks as the JWT's own claims.
fn confirm(
    grant: Grant,
    identity: String,
    answer: &IntrospectionResponse,
    attempt: &LoginAttempt<'_>,
    policy: &Policy,
    clock: &dyn Clock,
    known: &mut Known,
) -> Result<Grant, Failure> {
    introspected::validate_is_access_token(answer.claims())?;
    let claims = &introspected::overlay(&grant.claims, answer, policy)?;
    claims::validate_issuer(claims, policy)?;
    claims::validate_audience(claims, policy)?;
    let now = clock.now();
    let confirmed_until = claims::validate_expiry(claims, policy, now)?;
    // The token may have ended while the provider was asked.
    let expires_at = claims::validate_expiry(&grant.claims, policy, now)?;
    validate_times(claims, policy, now)?;
    validate_authority(claims, policy, attempt, &mut Steps::default())?;
    let identity = known.authn_id.insert(identity);
    authorize_role(claims, identity, policy, attempt.role, attempt.catalog)?;
    Ok(Grant {
        expires_at: expires_at.min(confirmed_until),
        ..grant
    })
}

fn validate_times(claims: &Object, policy: &Policy, now: Timestamp) -> Result<(), Reject> {
    claims::validate_not_before(claims, policy, now)?;
    claims::validate_issued_at(claims, policy, now)
}

/// What the bearer is allowed: the token's authority, who the bearer is, and the role that is asked for. Gives the
/// identity, which becomes known as authenticated once nothing but the role is open.
fn authorize(
    claims: &Object,
    identity: Result<String, Reject>,
    attempt: &LoginAttempt<'_>,
    policy: &Policy,
    known: &mut Known,
    proof: Proof,
) -> Result<String, Failure> {
    validate_authority(claims, policy, attempt, &mut known.steps)?;
    let identity = known
        .steps
        .take("identity", identity, |identity| printed(identity))?;
    if proof == Proof::Complete {
        known.authn_id = Some(identity.clone());
    }
    let allowed = authorize_role(claims, &identity, policy, attempt.role, attempt.catalog);
    known
        .steps
        .take("role", allowed, |()| role(claims, policy))?;
    Ok(identity)
}

/// To whom, for what, and to whose hands the token was given.
fn validate_authority(
    claims: &Object,
    policy: &Policy,
    attempt: &LoginAttempt<'_>,
    steps: &mut Steps,
) -> Result<(), Failure> {
    let valid = claims::validate_client(claims, policy);
    steps.take("client", valid, |()| client(claims, policy))?;
    let valid = validate_scope(claims, policy);
    steps.take("scope", valid, |()| scopes(claims))?;
    let valid = claims::validate_required_claims(claims, policy);
    steps.take("required_claims", valid, |()| String::new())?;
    let valid = validate_confirmation(claims, policy, attempt.peer);
    steps.take("confirmation", valid, |()| binding(claims))
}

impl Known {
    /// `claims`: of a verified JWT, or of the provider's word.
    fn note_verified(&mut self, claims: &Object, policy: &Policy) {
        self.evidence.client_id = claims::client_id(claims, policy).map(Printable::new);
        self.evidence.jti = claims
            .get("jti")
            .and_then(|jti| jti.as_str())
            .map(Printable::new);
    }

    /// `identity`: of a token by this issuer, for this audience.
    fn note_named(&mut self, identity: &Result<String, Reject>) {
        self.evidence.identity = identity.as_deref().ok().map(Printable::new);
    }
}
