//! What went wrong with a request: ureq's and rustls' errors, sorted by what an administrator would do about them. The module
//! and `validator-hook` log the same codes and texts by it.

use std::fmt;
use std::io;

use oauth_core::{Printable, UnavailableCause};

/// Sorts ureq's errors by what an administrator would do about them.
pub fn cause(error: ureq::Error) -> UnavailableCause {
    let text = |error: &dyn std::error::Error| Printable::new(&error.to_string());
    match error {
        ureq::Error::Timeout(_) => UnavailableCause::Timeout,
        ureq::Error::HostNotFound => UnavailableCause::NameResolution,
        ureq::Error::BodyExceedsLimit(_) | ureq::Error::LargeResponseHeader(..) => {
            UnavailableCause::TooLarge
        }
        ureq::Error::Rustls(error) => tls_cause(&error),
        ureq::Error::Tls(why) => UnavailableCause::Tls(Printable::new(why)),
        // Of a proxy: of a provider's answer, that is no error.
        ureq::Error::StatusCode(status) => UnavailableCause::Status(status),
        ureq::Error::Io(error) => io_cause(&error),
        ureq::Error::Other(error) => {
            let found = found_cause(error.as_ref());
            found.unwrap_or_else(|| UnavailableCause::Connection(text(error.as_ref())))
        }
        ureq::Error::Protocol(error) => UnavailableCause::Malformed(text(&error)),
        error => UnavailableCause::Connection(text(&error)),
    }
}

fn io_cause(error: &io::Error) -> UnavailableCause {
    let inner = error.get_ref();
    if let Some(error) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return tls_cause(error);
    }
    let message = error.to_string();
    // The standard library's text for every failure of the resolver, which has no error kind of its own.
    if message.starts_with("failed to lookup address information") {
        return UnavailableCause::NameResolution;
    }
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => UnavailableCause::Timeout,
        _ => UnavailableCause::Connection(Printable::new(&message)),
    }
}

/// Each cause that needs something else done about it.
fn tls_cause(error: &rustls::Error) -> UnavailableCause {
    use rustls::{AlertDescription as Alert, CertificateError as Certificate, Error};
    let other = || UnavailableCause::Tls(Printable::new(&error.to_string()));
    match error {
        Error::InvalidCertificate(certificate) => match certificate {
            Certificate::UnknownIssuer => UnavailableCause::TlsUntrusted,
            Certificate::ExpiredContext { time, not_after } => UnavailableCause::TlsExpired {
                seconds_ago: time.as_secs().saturating_sub(not_after.as_secs()),
            },
            Certificate::NotValidYetContext { time, not_before } => {
                UnavailableCause::TlsNotYetValid {
                    seconds_ahead: not_before.as_secs().saturating_sub(time.as_secs()),
                }
            }
            Certificate::NotValidForNameContext { presented, .. } if presented.is_empty() => {
                UnavailableCause::TlsNameMissing
            }
            Certificate::NotValidForNameContext {
                expected,
                presented,
            } => {
                let names = presented.iter().map(|name| bare_name(name));
                UnavailableCause::name_mismatch(&expected.to_str(), names)
            }
            // What rustls has no name for, by the name that its verifier has.
            Certificate::Other(error) => match error.to_string().as_str() {
                "CaUsedAsEndEntity" => UnavailableCause::TlsAuthorityAsServer,
                "UnsupportedCertVersion" => UnavailableCause::TlsVersion,
                _ => other(),
            },
            _ => other(),
        },
        Error::AlertReceived(
            Alert::HandshakeFailure | Alert::ProtocolVersion | Alert::InsufficientSecurity,
        )
        | Error::PeerIncompatible(_) => {
            UnavailableCause::TlsIncompatible(Printable::new(&error.to_string()))
        }
        _ => other(),
    }
}

/// A name as an administrator knows it: rustls has `DnsName("idp.example")`.
fn bare_name(name: &str) -> &str {
    let bare = name
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    bare.map_or(name, |bare| bare.trim_matches('"'))
}

/// A cause that is found in the middle of ureq, on its way through it.
#[derive(Debug)]
struct Found(UnavailableCause);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Found {}

/// For a connector, from which ureq takes nothing but its own errors.
pub fn to_error(cause: UnavailableCause) -> ureq::Error {
    ureq::Error::Other(Box::new(Found(cause)))
}

/// The cause that such an error carries.
fn found_cause(error: &(dyn std::error::Error + 'static)) -> Option<UnavailableCause> {
    error.downcast_ref::<Found>().map(|found| found.0.clone())
}
