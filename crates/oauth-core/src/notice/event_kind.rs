//! What a security event demands, by its name.

/// What an event demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// CAEP: a session at the provider, or all of a user's, ended.
    SessionRevoked,
    /// CAEP, RISC: a user's credential was changed, must be changed, or was stolen.
    CredentialChange,
    /// RISC: an account was disabled or purged.
    AccountDisabled,
    /// Shared Signals Framework 1.0: the transmitter tries whether its events arrive.
    Verification,
    /// An event that says nothing about sessions.
    Other,
}

/// The events that are known, by their names.
const KINDS: [(&str, EventKind); 8] = [
    // OpenID Continuous Access Evaluation Profile 1.0 §3.1, §3.3.
    (
        "https://schemas.openid.net/secevent/caep/event-type/session-revoked",
        EventKind::SessionRevoked,
    ),
    (
        "https://schemas.openid.net/secevent/caep/event-type/credential-change",
        EventKind::CredentialChange,
    ),
    // OpenID RISC Profile 1.0 §2.
    (
        "https://schemas.openid.net/secevent/risc/event-type/account-credential-change-required",
        EventKind::CredentialChange,
    ),
    (
        "https://schemas.openid.net/secevent/risc/event-type/credential-compromise",
        EventKind::CredentialChange,
    ),
    (
        "https://schemas.openid.net/secevent/risc/event-type/account-disabled",
        EventKind::AccountDisabled,
    ),
    (
        "https://schemas.openid.net/secevent/risc/event-type/account-purged",
        EventKind::AccountDisabled,
    ),
    (
        "https://schemas.openid.net/secevent/risc/event-type/sessions-revoked",
        EventKind::SessionRevoked,
    ),
    // OpenID Shared Signals Framework 1.0 §8.1.4.
    (
        "https://schemas.openid.net/secevent/ssf/event-type/verification",
        EventKind::Verification,
    ),
];

impl EventKind {
    /// Of an event of this name.
    pub(super) fn of(name: &str) -> EventKind {
        let known = KINDS.iter().find(|(known, _)| *known == name);
        known.map_or(EventKind::Other, |(_, kind)| *kind)
    }
}
