//! RFC 9493: how security events name whom they are about.

use serde_json::Value;

use crate::basics::json::Object;
use crate::basics::printable::Printable;
use crate::failure::notice_fault::NoticeFault;
use crate::notice::event_kind::EventKind;
use crate::notice::parse_name;

/// Identifiers of one subject that are read (RFC 9493 §3.2.8).
const MAX_ALIASES: usize = 16;

/// Whom a notice is about: who is all that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Who {
    /// The user's `sub`.
    pub sub: Option<String>,
    /// A session at the provider.
    pub sid: Option<String>,
    /// The user's address.
    pub email: Option<String>,
}

impl Who {
    fn user(sub: String) -> Who {
        Who {
            sub: Some(sub),
            ..Who::default()
        }
    }

    fn session(sid: String) -> Who {
        Who {
            sid: Some(sid),
            ..Who::default()
        }
    }
}

/// RFC 9493 §3: the subject of an event of this kind. It is each of those that are returned: they are names of one user, or
/// of one session.
///
/// `issuer` is the issuer whose users may be named.
pub(super) fn parse_subject(
    subject: &Value,
    kind: EventKind,
    issuer: &str,
) -> Result<Vec<Who>, NoticeFault> {
    let subject = subject.as_object().ok_or(NoticeFault::SubjectMalformed)?;
    match format(subject)? {
        Some("complex") | None => parse_complex(subject, kind, issuer),
        Some(_) => parse_named(subject, kind, issuer),
    }
}

/// A subject that is named in one way, or in several.
fn parse_named(subject: &Object, kind: EventKind, issuer: &str) -> Result<Vec<Who>, NoticeFault> {
    match format(subject)? {
        Some("aliases") => parse_aliases(subject, kind, issuer),
        _ => parse_simple(subject, kind, issuer),
    }
}

/// RFC 9493 §3.2.8: identifiers of one subject, which are not nested. Those in formats that name nobody here, such as a
/// telephone number, are left out, unless all are. One that is malformed, or of another issuer, casts doubt on the others.
fn parse_aliases(subject: &Object, kind: EventKind, issuer: &str) -> Result<Vec<Who>, NoticeFault> {
    let aliases = subject.get("identifiers").and_then(Value::as_array);
    let aliases = aliases.ok_or(NoticeFault::SubjectMalformed)?;
    if aliases.is_empty() || aliases.len() > MAX_ALIASES {
        return Err(NoticeFault::SubjectMalformed);
    }
    let (mut named, mut unsupported) = (Vec::new(), None);
    for alias in aliases {
        let alias = alias.as_object().ok_or(NoticeFault::SubjectMalformed)?;
        match parse_simple(alias, kind, issuer) {
            Ok(who) => named.extend(who),
            Err(fault @ NoticeFault::SubjectUnsupported { .. }) => {
                unsupported.get_or_insert(fault);
            }
            Err(fault) => return Err(fault),
        }
    }
    match unsupported {
        Some(fault) if named.is_empty() => Err(fault),
        _ => Ok(named),
    }
}

/// OpenID Shared Signals Framework 1.0 §3.2: members that each are a subject. Where the event is about a session, and one
/// is named, it is that session; otherwise it is the user.
fn parse_complex(subject: &Object, kind: EventKind, issuer: &str) -> Result<Vec<Who>, NoticeFault> {
    let member = |name: &str| {
        let member = subject.get(name)?;
        Some(member.as_object().ok_or(NoticeFault::SubjectMalformed))
    };
    if let Some(session) = member("session").filter(|_| kind == EventKind::SessionRevoked) {
        let session = session?;
        return match format(session)? {
            Some("opaque") => Ok(vec![Who::session(text(session, "id")?)]),
            other => Err(unsupported(other)),
        };
    }
    match member("user") {
        Some(user) => parse_named(user?, kind, issuer),
        None => Err(NoticeFault::SubjectMissing),
    }
}

fn parse_simple(subject: &Object, kind: EventKind, issuer: &str) -> Result<Vec<Who>, NoticeFault> {
    match format(subject)? {
        // RFC 9493 §3.2.3; "iss-sub" in the drafts, which some transmitters still send.
        Some("iss_sub" | "iss-sub") => {
            let iss = text(subject, "iss")?;
            if iss != issuer {
                return Err(NoticeFault::SubjectOfAnother {
                    iss: Printable::new(&iss),
                });
            }
            Ok(vec![Who::user(text(subject, "sub")?)])
        }
        // RFC 9493 §3.2.4: what it identifies is up to the transmitter. An event about a session may name it like that.
        Some("opaque") => {
            let id = text(subject, "id")?;
            let user = Who::user(id.clone());
            Ok(match kind {
                EventKind::SessionRevoked => vec![Who::session(id), user],
                _ => vec![user],
            })
        }
        // RFC 9493 §3.2.2.
        Some("email") => Ok(vec![Who {
            email: Some(text(subject, "email")?),
            ..Who::default()
        }]),
        other => Err(unsupported(other)),
    }
}

/// RFC 9493 §3: how the subject is named; `subject_type` in the drafts.
fn format(subject: &Object) -> Result<Option<&str>, NoticeFault> {
    match subject
        .get("format")
        .or_else(|| subject.get("subject_type"))
    {
        None => Ok(None),
        Some(Value::String(format)) => Ok(Some(format)),
        Some(_) => Err(NoticeFault::SubjectMalformed),
    }
}

fn text(subject: &Object, name: &str) -> Result<String, NoticeFault> {
    parse_name(subject.get(name).unwrap_or(&Value::Null))
}

fn unsupported(format: Option<&str>) -> NoticeFault {
    match format {
        Some(format) => NoticeFault::SubjectUnsupported {
            format: Printable::new(format),
        },
        None => NoticeFault::SubjectMalformed,
    }
}
