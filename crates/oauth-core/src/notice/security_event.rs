//! RFC 8417: security event tokens, of which those of CAEP and RISC tell that a session or an account is not trusted any
//! more.

use std::time::Duration;

use serde_json::Value;

use crate::basics::bearer::Bearer;
use crate::basics::clock::Clock;
use crate::basics::json::Object;
use crate::basics::printable::Printable;
use crate::basics::setting::StringList;
use crate::failure::misconfigured::Misconfigured;
use crate::failure::notice_fault::NoticeFault;
use crate::keys::algorithm::Algorithms;
use crate::keys::source::KeySource;
use crate::notice::event_kind::EventKind;
use crate::notice::subject::{Who, parse_subject};
use crate::notice::{NoticeError, policy, verify};
use crate::policy::Policy;
use crate::provider::issuer::Issuer;

/// RFC 8417 §2.3: `secevent+jwt`, and nothing else, since nothing else tells such a token from other JWTs.
const TOKEN_TYPES: &[&str] = &["secevent+jwt"];

/// Events of one token that are read.
const MAX_EVENTS: usize = 16;

/// A security event token that has passed every check. Only [`SecurityEventToken::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityEventToken {
    jti: String,
    events: Vec<SecurityEvent>,
}

/// One event of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityEvent {
    /// What it demands.
    pub kind: EventKind,
    /// Its name.
    pub name: Printable,
    /// Whom it is about: each of these names the same user or session. Empty if the event demands nothing.
    pub who: Vec<Who>,
}

impl SecurityEventToken {
    /// What the tokens of this transmitter are judged by. They must be for one of these audiences. RFC 8417 §2.2 wants them
    /// without `exp`, so that only their age keeps a copy from being sent for ever.
    pub fn policy(
        transmitter: Issuer,
        audience: StringList,
        algorithms: Algorithms,
        max_age: Duration,
    ) -> Result<Policy, Misconfigured> {
        policy(
            transmitter,
            audience,
            algorithms,
            TOKEN_TYPES,
            Some(max_age),
        )
    }

    /// RFC 8417 §2, RFC 8935 §2.2: all checks of such a token but whether it has been seen before. `users_of` is the issuer
    /// whose users the transmitter may tell of.
    pub fn verify(
        token: &Bearer<'_>,
        policy: &Policy,
        keys: &dyn KeySource,
        users_of: &Issuer,
        clock: &dyn Clock,
    ) -> Result<SecurityEventToken, NoticeError> {
        let notice = verify(token, policy, keys, clock)?;
        let events = notice.events()?;
        if events.len() > MAX_EVENTS {
            return Err(NoticeFault::EventsMalformed.into());
        }
        let events = events.iter().map(|(name, event)| {
            let kind = EventKind::of(name);
            let who = match kind {
                EventKind::Verification | EventKind::Other => Vec::new(),
                _ => {
                    let subject = subject_of(&notice.claims, event);
                    let subject = subject.ok_or(NoticeFault::SubjectMissing)?;
                    parse_subject(subject, kind, users_of.identifier())?
                }
            };
            Ok(SecurityEvent {
                kind,
                name: Printable::new(name),
                who,
            })
        });
        let events = events.collect::<Result<_, NoticeFault>>()?;
        Ok(SecurityEventToken {
            jti: notice.jti,
            events,
        })
    }

    /// RFC 8417 §2.2: the token's identifier, which is the same if it is sent again.
    pub fn jti(&self) -> &str {
        &self.jti
    }

    /// What has happened, and to whom.
    pub fn events(&self) -> &[SecurityEvent] {
        &self.events
    }
}

/// RFC 9493 §4.1: the subject of all events. In the drafts each event has its own, and some transmitters still send that.
fn subject_of<'a>(claims: &'a Object, event: &'a Value) -> Option<&'a Value> {
    claims.get("sub_id").or_else(|| event.get("subject"))
}
