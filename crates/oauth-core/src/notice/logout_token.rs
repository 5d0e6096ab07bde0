//! OpenID Connect Back-Channel Logout 1.0: the provider says that a user, or one of a user's sessions, was logged out.

use crate::basics::bearer::Bearer;
use crate::basics::clock::{Clock, Timestamp};
use crate::basics::setting::StringList;
use crate::failure::misconfigured::Misconfigured;
use crate::failure::notice_fault::NoticeFault;
use crate::failure::reject::Reject;
use crate::keys::algorithm::Algorithms;
use crate::keys::source::KeySource;
use crate::notice::subject::Who;
use crate::notice::{NoticeError, parse_name, policy, verify};
use crate::policy::Policy;
use crate::provider::issuer::Issuer;

/// §2.4: the event that a logout token has.
const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// §2.4: `typ` should be `logout+jwt`; providers from before that was written leave it out, or have what all JWTs have.
const TOKEN_TYPES: &[&str] = &["logout+jwt", "JWT", "-"];

/// A logout token that has passed every check. Only [`LogoutToken::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoutToken {
    jti: String,
    usable_until: Timestamp,
    who: Who,
}

impl LogoutToken {
    /// What logout tokens of this issuer are judged by. They must be for one of these clients.
    pub fn policy(
        issuer: Issuer,
        client_ids: StringList,
        algorithms: Algorithms,
    ) -> Result<Policy, Misconfigured> {
        policy(issuer, client_ids, algorithms, TOKEN_TYPES, None)
    }

    /// §2.6: all checks of a logout token but whether it has been seen before.
    pub fn verify(
        token: &Bearer<'_>,
        policy: &Policy,
        keys: &dyn KeySource,
        clock: &dyn Clock,
    ) -> Result<LogoutToken, NoticeError> {
        let notice = verify(token, policy, keys, clock)?;
        // §2.4: "exp" is required.
        let usable_until = notice.expires_at(policy).ok_or(Reject::ExpMissing)?;
        // §2.6, step 5.
        if !notice.events()?.contains_key(LOGOUT) {
            return Err(NoticeFault::NotALogout.into());
        }
        // §2.6, step 6.
        if notice.claims.contains_key("nonce") {
            return Err(NoticeFault::NonceProhibited.into());
        }
        // §2.6, step 4.
        let name = |claim: &str| notice.claims.get(claim).map(parse_name).transpose();
        let who = Who {
            sub: name("sub")?,
            sid: name("sid")?,
            email: None,
        };
        if who.sub.is_none() && who.sid.is_none() {
            return Err(NoticeFault::SubjectMissing.into());
        }
        Ok(LogoutToken {
            jti: notice.jti,
            usable_until,
            who,
        })
    }

    /// §2.6, step 7: the token's identifier, which the issuer uses once.
    pub fn jti(&self) -> &str {
        &self.jti
    }

    /// When the token will not be accepted any more, so that its identifier can be forgotten.
    pub fn usable_until(&self) -> Timestamp {
        self.usable_until
    }

    /// Whom it logs out: the user (`sub`), one session at the provider (`sid`), or one session of the user.
    pub fn who(&self) -> &Who {
        &self.who
    }
}
