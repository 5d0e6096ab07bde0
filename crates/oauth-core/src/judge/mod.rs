//! The judgement: the one place that grants.

pub(crate) mod decision;
pub(crate) mod explanation;
pub(crate) mod verified_claims;

use crate::basics::bearer::Bearer;
use crate::basics::clock::{Clock, Timestamp};
use crate::basics::json::Object;
use crate::basics::printable::Printable;
use crate::checks::confirmation::{Peer, validate_confirmation};
use crate::checks::identity::parse_identity;
use crate::checks::required_claims::validate_required_claims;
use crate::checks::roles::{RoleCatalog, authorize_role};
use crate::checks::scope::validate_scope;
use crate::checks::structure::{UnverifiedToken, is_opaque, validate_size};
use crate::checks::{access_token, claims, introspected};
use crate::failure::Failure;
use crate::failure::reject::Reject;
use crate::judge::decision::{Decision, Grant, Known};
use crate::judge::explanation::{
    StepReport, Steps, binding_fact, claim_fact, client_fact, expiry_fact, header_fact, key_fact,
    printed, role_fact, scope_fact, times_fact,
};
use crate::keys::source::KeySource;
use crate::policy::Policy;
use crate::policy::introspection_rules::IntrospectionMode;
use crate::provider::introspection::{IntrospectionResponse, Introspector};

/// What a client asks for when it logs in with a token.
pub struct LoginAttempt<'a> {
    /// The token.
    pub token: Bearer<'a>,
    /// The role that the client requests.
    pub role: &'a str,
    /// The client's end of the connection.
    pub peer: &'a dyn Peer,
    /// What the server knows of roles.
    pub catalog: &'a dyn RoleCatalog,
    /// Asks the provider about a token, if the policy requires it.
    pub introspector: &'a dyn Introspector,
}

/// Judges a token: structure, key and signature, then claims, then identity and role. Refused unless all holds.
pub fn judge(
    attempt: &LoginAttempt<'_>,
    policy: &Policy,
    keys: &dyn KeySource,
    clock: &dyn Clock,
) -> Decision {
    let mut judgement = Judgement {
        attempt,
        policy,
        keys,
        clock,
        known: Known::default(),
    };
    let outcome = judgement.outcome();
    Decision {
        outcome,
        known: judgement.known,
    }
}

/// The same judgement, reported step by step. The last step is the one that failed, if one did.
pub fn explain(
    attempt: &LoginAttempt<'_>,
    policy: &Policy,
    keys: &dyn KeySource,
    clock: &dyn Clock,
) -> (Decision, Vec<StepReport>) {
    let mut judgement = Judgement {
        attempt,
        policy,
        keys,
        clock,
        known: Known {
            steps: Steps::told(),
            ..Known::default()
        },
    };
    let outcome = judgement.outcome();
    let mut known = judgement.known;
    let steps = std::mem::take(&mut known.steps).into_reports();
    (Decision { outcome, known }, steps)
}

/// One judgement: what it depends on, and what has become known.
struct Judgement<'a> {
    attempt: &'a LoginAttempt<'a>,
    policy: &'a Policy,
    keys: &'a dyn KeySource,
    clock: &'a dyn Clock,
    known: Known,
}

/// What the checks of claims depend on in addition to the policy: the source of the claims.
struct Demands<'a> {
    /// Whether `iss`, `aud` and `exp` must be there. Where they are, they are checked in any case.
    iss: bool,
    aud: bool,
    exp: bool,
    /// What shows that the token is an access token.
    access_token: ShownBy,
    /// The JWT that the claims stand over: who it names, who the claims then do not name again, and its own claims.
    confirmed: Option<(&'a str, &'a Object)>,
    /// What the provider has answered, if these claims are that, or a JWT's with that over them.
    answer: Option<&'a Object>,
    /// Whether these claims prove who the bearer is, or the provider has yet to confirm them.
    authenticates: bool,
}

impl Demands<'_> {
    /// On the claims of a JWT.
    fn of_jwt(authenticates: bool) -> Self {
        Demands {
            iss: true,
            aud: true,
            exp: true,
            access_token: ShownBy::Jwt,
            confirmed: None,
            answer: None,
            authenticates,
        }
    }
}

/// What shows that a token is an access token.
enum ShownBy {
    /// The claims of a JWT, as the provider's rules for JWTs have it.
    Jwt,
    /// The answer about an opaque token, which must show it by itself.
    Answer,
    /// Both a JWT and the answer about it, which have been checked.
    Before,
}

/// What claims have shown that passed their checks.
struct Passed {
    expires_at: Timestamp,
    identity: String,
    /// Where roles are provisioned: the values of the role claim.
    groups: Vec<String>,
    client_id: Option<String>,
}

impl Judgement<'_> {
    /// Signed JWTs are judged here; other tokens only if the provider may be asked.
    fn outcome(&mut self) -> Result<Grant, Failure> {
        let token = &self.attempt.token;
        let mode = self.policy.introspection().mode;
        let is_opaque = || validate_size(token, self.policy).is_ok() && is_opaque(token);
        if mode != IntrospectionMode::Off && is_opaque() {
            return self.judge_opaque();
        }
        if mode == IntrospectionMode::Always {
            let (grant, identity) = self.judge_jwt(false)?;
            let answer = self.introspect()?;
            return self.judge_confirmed(&grant, &identity, &answer);
        }
        let (grant, _) = self.judge_jwt(true)?;
        Ok(grant)
    }

    /// The checks of a signed JWT in their order. Returns the grant and its identity.
    fn judge_jwt(&mut self, authenticates: bool) -> Result<(Grant, String), Failure> {
        let parsed = UnverifiedToken::parse(&self.attempt.token, self.policy);
        let token = self.step("structure", parsed, |token| header_fact(&token.header))?;
        self.known.evidence.kid = token.header.kid.as_deref().map(Printable::new);
        let found = self.keys.find_keys(&token.header.key_reference());
        let keys = self.step("key", found, key_fact)?;
        let verified = token.verify_by(&keys, self.keys);
        let verified = self.step("signature", verified, |_| String::new())?;
        let passed = self.check_claims(verified.claims(), &Demands::of_jwt(authenticates))?;
        let grant = Grant {
            expires_at: passed.expires_at,
            groups: passed.groups,
            client_id: passed.client_id,
            claims: verified.into_claims(),
        };
        Ok((grant, passed.identity))
    }

    /// RFC 7662 §2.2, §4: a token that only the provider can read. Its answer passes what the claims of a JWT pass.
    fn judge_opaque(&mut self) -> Result<Grant, Failure> {
        let valid = validate_size(&self.attempt.token, self.policy);
        self.step("structure", valid, |()| "not a signed JWT".to_owned())?;
        let answer = self.introspect()?;
        let rules = self.policy.introspection();
        let demands = Demands {
            // RFC 7662 §2.2: "iss" is optional; the provider was asked at the issuer's own endpoint.
            iss: false,
            aud: rules.audience_required,
            exp: rules.exp_required,
            access_token: ShownBy::Answer,
            confirmed: None,
            answer: Some(answer.claims()),
            authenticates: true,
        };
        let claims = introspected::with_answer(&Object::new(), answer.claims(), self.policy);
        let passed = self.check_claims(&claims, &demands)?;
        Ok(Grant {
            expires_at: passed.expires_at,
            groups: passed.groups,
            client_id: passed.client_id,
            claims: answer.into_claims(&self.attempt.token),
        })
    }

    /// RFC 7662: what a JWT grants is granted only if the provider confirms the token, and what it says of the token now
    /// passes the same checks as the JWT's own claims. All that is one step.
    fn judge_confirmed(
        &mut self,
        grant: &Grant,
        identity: &str,
        answer: &IntrospectionResponse,
    ) -> Result<Grant, Failure> {
        let steps = std::mem::take(&mut self.known.steps);
        let passed = self.check_answer(&grant.claims, identity, answer);
        self.known.steps = steps;
        let (passed, claims) = self.step("confirmed", passed, |_| String::new())?;
        Ok(Grant {
            expires_at: passed.expires_at,
            groups: passed.groups,
            client_id: passed.client_id,
            claims,
        })
    }

    /// Returns also the claims that have passed: those are the ones that are true now, and that the session has.
    fn check_answer(
        &mut self,
        jwt: &Object,
        identity: &str,
        answer: &IntrospectionResponse,
    ) -> Result<(Passed, Object), Failure> {
        introspected::validate_is_not_another_kind(answer.claims())?;
        let claims = introspected::overlay(jwt, answer, self.policy)?;
        let demands = Demands {
            access_token: ShownBy::Before,
            confirmed: Some((identity, jwt)),
            answer: Some(answer.claims()),
            ..Demands::of_jwt(true)
        };
        let passed = self.check_claims(&claims, &demands)?;
        Ok((passed, claims))
    }

    fn introspect(&mut self) -> Result<IntrospectionResponse, Failure> {
        let token = &self.attempt.token;
        let answer = self.attempt.introspector.introspect(token);
        let answer = answer.map(|answer| answer.judged(token));
        self.step("introspection", answer, |_| "active".to_owned())
    }

    /// The checks of claims in their order, wherever the claims come from.
    fn check_claims(&mut self, claims: &Object, demands: &Demands<'_>) -> Result<Passed, Failure> {
        let policy = self.policy;
        let must_check = |demanded: bool, name: &str| demanded || claims.contains_key(name);
        let client_id = claims::client_id(claims, demands.answer, policy);
        if demands.confirmed.is_none() {
            self.known.note_verified(claims, client_id);
        }
        if must_check(demands.iss, "iss") {
            let valid = claims::validate_issuer(claims, policy);
            self.step("issuer", valid, |()| claim_fact(claims, "iss"))?;
        }
        if must_check(demands.aud, "aud") {
            let valid = claims::validate_audience(claims, policy);
            self.step("audience", valid, |()| claim_fact(claims, "aud"))?;
        }
        let identity = match demands.confirmed {
            Some((identity, _)) => Ok(identity.to_owned()),
            None => parse_identity(claims, policy),
        };
        self.known.note_named(&identity);

        // Asked only now: a fetch of keys, or a question to the provider, may have taken a while.
        let now = self.clock.now();
        let expires_at = match must_check(demands.exp, "exp") {
            true => validate_expiry(claims, demands, policy, now),
            false => Ok(Timestamp::FOREVER),
        };
        let expires_at = self.step("expiry", expires_at, |exp| expiry_fact(*exp, now))?;
        let valid = validate_times(claims, policy, now);
        self.step("times", valid, |()| times_fact(claims))?;
        let valid = validate_kind(claims, demands, policy);
        self.step("access_token", valid, |()| String::new())?;
        let (identity, groups) = self.authorize(claims, identity, demands)?;
        Ok(Passed {
            expires_at,
            identity,
            groups,
            client_id: client_id.map(str::to_owned),
        })
    }

    /// What the bearer is allowed: client, scopes, required claims and certificate binding, who the bearer is, and the
    /// role that is asked for. Gives the identity, which becomes known as authenticated once nothing but the role is open,
    /// and the groups that the role is to be made a member of.
    fn authorize(
        &mut self,
        claims: &Object,
        identity: Result<String, Reject>,
        demands: &Demands<'_>,
    ) -> Result<(String, Vec<String>), Failure> {
        let (attempt, policy) = (self.attempt, self.policy);
        let valid = claims::validate_client(claims, demands.answer, policy);
        let client_id = || claims::client_id(claims, demands.answer, policy);
        self.step("client", valid, |()| client_fact(client_id()))?;
        let valid = validate_scope(claims, policy);
        self.step("scope", valid, |()| scope_fact(claims))?;
        let valid = validate_required_claims(claims, policy);
        self.step("required_claims", valid, |()| String::new())?;
        let valid = validate_confirmation(claims, policy, attempt.peer);
        self.step("confirmation", valid, |()| binding_fact(claims))?;
        let identity = self.step("identity", identity, |identity| printed(identity))?;
        if demands.authenticates {
            self.known.authn_id = Some(identity.clone());
        }
        let allowed = authorize_role(claims, &identity, policy, attempt.role, attempt.catalog);
        let groups = self.step("role", allowed, |_| role_fact(claims, policy))?;
        Ok((identity, groups))
    }

    /// Passes the outcome of a step on, and records it if steps are reported. `fact` returns what was found.
    fn step<T, E: Into<Failure>>(
        &mut self,
        name: &'static str,
        outcome: Result<T, E>,
        fact: impl FnOnce(&T) -> String,
    ) -> Result<T, Failure> {
        self.known.steps.take(name, outcome, fact)
    }
}

/// When the claims expire, and the JWT that they stand over: it may have ended while the provider was asked.
fn validate_expiry(
    claims: &Object,
    demands: &Demands<'_>,
    policy: &Policy,
    now: Timestamp,
) -> Result<Timestamp, Reject> {
    let expires_at = claims::validate_expiry(claims, policy, now)?;
    match demands.confirmed {
        Some((_, jwt)) => Ok(expires_at.min(claims::validate_expiry(jwt, policy, now)?)),
        None => Ok(expires_at),
    }
}

fn validate_times(claims: &Object, policy: &Policy, now: Timestamp) -> Result<(), Reject> {
    claims::validate_not_before(claims, policy, now)?;
    claims::validate_issued_at(claims, policy, now)
}

fn validate_kind(claims: &Object, demands: &Demands<'_>, policy: &Policy) -> Result<(), Reject> {
    match demands.access_token {
        ShownBy::Jwt => access_token::validate_is_access_token(claims, policy),
        ShownBy::Answer => {
            introspected::validate_is_not_another_kind(claims)?;
            introspected::validate_shows_access_token(claims, policy)
        }
        ShownBy::Before => Ok(()),
    }
}
