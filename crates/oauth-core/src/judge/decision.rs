//! What comes of a judgement.

use crate::basics::clock::Timestamp;
use crate::basics::json::Object;
use crate::basics::printable::Printable;
use crate::checks::roles::{RoleCatalog, judge_role};
use crate::failure::Failure;
use crate::failure::reject::Reject;
use crate::judge::explanation::Steps;
use crate::judge::verified_claims::VerifiedClaims;
use crate::policy::Policy;

/// The outcome of a judgement, and what the log may say about it.
#[derive(Debug)]
pub struct Decision {
    pub(super) outcome: Result<Grant, Failure>,
    pub(super) known: Known,
}

/// What a token that passed every check grants.
#[derive(Debug)]
pub struct Grant {
    pub(super) expires_at: Timestamp,
    /// Where roles are provisioned: the values of the role claim.
    pub(super) groups: Vec<String>,
    pub(super) client_id: Option<String>,
    pub(super) claims: Object,
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
    /// The identity that the token names. The token is verified, of the issuer and for this audience, but may be
    /// expired, of another kind, or stolen. See [`Decision::authn_id`] for the authenticated identity.
    pub identity: Option<Printable>,
}

impl Decision {
    /// Whether the token opens the session.
    pub fn is_authorized(&self) -> bool {
        self.outcome.is_ok()
    }

    /// The authenticated identity, set once all checks but that of the role have passed; the role may still be refused.
    pub fn authn_id(&self) -> Option<&str> {
        self.known.authn_id.as_deref()
    }

    /// The grant, or why the token was refused.
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

    /// The same, refused after all: by what the server does with a grant.
    pub fn overruled(self, failure: impl Into<Failure>) -> Self {
        Decision {
            outcome: Err(failure.into()),
            known: self.known,
        }
    }

    /// A refusal without parsing the token.
    pub fn refused(failure: impl Into<Failure>) -> Self {
        Decision {
            outcome: Err(failure.into()),
            known: Known::default(),
        }
    }
}

impl Grant {
    /// When the token expires (`exp`); [`Timestamp::FOREVER`] if that is unknown and the policy allows it.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// When the token was issued (RFC 7519 §4.1.6), if it says so.
    pub fn issued_at(&self) -> Option<Timestamp> {
        Timestamp::from_numeric_date(self.claims.get("iat")?)
    }

    /// The client that the token was issued to, if a claim names it (RFC 9068 §2.2, and the provider's conventions).
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// The token's identifier (RFC 7519 §4.1.7).
    pub fn jti(&self) -> Option<&str> {
        self.claims.get("jti")?.as_str()
    }

    /// The bearer's session at the provider (OpenID Connect Front-Channel Logout 1.0 §3), which a logout there names.
    pub fn sid(&self) -> Option<&str> {
        self.claims.get("sid")?.as_str()
    }

    /// The bearer's name at the provider (RFC 7519 §4.1.2), which a logout there names, whatever claim is the identity.
    pub fn sub(&self) -> Option<&str> {
        self.claims.get("sub")?.as_str()
    }

    /// Where roles are provisioned ([`Policy::is_provisioned`]): the values of the role claim, by which the role is made a
    /// member of groups. Otherwise none.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// Where roles are provisioned, the judgement leaves the role open. This is what it does elsewhere, for a role that is
    /// left alone: the role claim must allow it, and it must not have power over the whole server.
    ///
    /// Errors: as a judgement has them; [`Reject::RoleUnknown`](crate::Reject::RoleUnknown).
    pub fn authorize_role(
        &self,
        identity: &str,
        policy: &Policy,
        role: &str,
        catalog: &dyn RoleCatalog,
    ) -> Result<(), Failure> {
        let values: Vec<&str> = self.groups.iter().map(String::as_str).collect();
        let has_claim = policy.role_claim().is_some();
        let values = has_claim.then_some(&*values);
        judge_role(values, identity, policy, role, catalog)
    }

    /// The verified claims.
    pub fn claims(&self) -> &serde_json::Map<String, serde_json::Value> {
        &self.claims
    }
}

/// What becomes known of a token during the judgement, whatever its outcome.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) authn_id: Option<String>,
    pub(super) evidence: Evidence,
    pub(super) steps: Steps,
}

impl Known {
    /// `claims`: of a verified JWT, or of the provider's answer. `client_id`: the client that they name.
    pub(super) fn note_verified(&mut self, claims: &Object, client_id: Option<&str>) {
        self.evidence.client_id = client_id.map(Printable::new);
        self.evidence.jti = claims
            .get("jti")
            .and_then(|jti| jti.as_str())
            .map(Printable::new);
    }

    /// `identity`: of a token by this issuer, for this audience.
    pub(super) fn note_named(&mut self, identity: &Result<String, Reject>) {
        self.evidence.identity = identity.as_deref().ok().map(Printable::new);
    }
}
