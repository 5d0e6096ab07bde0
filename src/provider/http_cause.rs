//! What went wrong with a request: ureq's and rustls' errors, sorted by what an administrator would do about them.

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
        ureq::Error::Rustls(error) => UnavailableCause::Tls(text(&error)),
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
        return UnavailableCause::Tls(Printable::new(&error.to_string()));
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
