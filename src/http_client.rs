//! HTTP by ureq and rustls: https with the system's trust roots, no redirects, no proxies of the
//! environment, bounded in time and size. Calls no PostgreSQL function: it runs on a thread of its own.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use oauth_core::{
    Endpoint, HttpClient, MAX_RESPONSE_BYTES, Misconfigured, Printable, UnavailableCause,
};
use ureq::Agent;
use ureq::http::Response;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// Bytes of the largest response header.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// What a request needs of the settings.
#[derive(Clone)]
pub struct HttpSettings {
    /// Certificates to trust besides the system's, in a PEM file.
    pub ca_file: Option<PathBuf>,
}

/// Sends requests until a point in time.
pub struct UreqClient {
    agent: Agent,
    deadline: Instant,
}

impl UreqClient {
    /// Reads the trust roots.
    ///
    /// Errors: `ca_file` can not be read, or has no certificate.
    pub fn new(settings: &HttpSettings, deadline: Instant) -> Result<Self, Misconfigured> {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&trust_roots(settings)?))
            .unversioned_rustls_crypto_provider(Arc::new(
                rustls::crypto::aws_lc_rs::default_provider(),
            ))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(MAX_HEADER_BYTES)
            .max_idle_connections(1)
            .user_agent(concat!("postgresql-validator/", env!("CARGO_PKG_VERSION")))
            .accept("application/json")
            .build();
        Ok(UreqClient {
            agent: config.new_agent(),
            deadline,
        })
    }
}

impl HttpClient for UreqClient {
    fn get(&self, url: &Endpoint) -> Result<Response<Vec<u8>>, UnavailableCause> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(UnavailableCause::Timeout);
        }
        let request = self
            .agent
            .get(url.as_str())
            .config()
            .timeout_global(Some(left))
            .build();
        let (parts, mut body) = request.call().map_err(cause)?.into_parts();
        let body = body
            .with_config()
            .limit(MAX_RESPONSE_BYTES as u64)
            .read_to_vec()
            .map_err(cause)?;
        Ok(Response::from_parts(parts, body))
    }
}

/// The system's roots and those of `ca_file`.
fn trust_roots(settings: &HttpSettings) -> Result<Vec<Certificate<'static>>, Misconfigured> {
    let system = rustls_native_certs::load_native_certs().certs;
    let mut roots: Vec<_> = system
        .iter()
        .map(|der| Certificate::from_der(der).to_owned())
        .collect();
    if let Some(path) = &settings.ca_file {
        let invalid = |why: &str| Misconfigured::SettingInvalid {
            setting: Printable::new("validator.ca_file"),
            why: Printable::new(why),
        };
        let pem = fs::read(path).map_err(|error| invalid(&error.to_string()))?;
        let before = roots.len();
        for item in parse_pem(&pem) {
            match item.map_err(|_| invalid("the file is not PEM"))? {
                PemItem::Certificate(certificate) => roots.push(certificate),
                _ => return Err(invalid("the file holds something that is no certificate")),
            }
        }
        if roots.len() == before {
            return Err(invalid("the file has no certificate"));
        }
    }
    Ok(roots)
}

/// Sorts ureq's errors by what an administrator would do about them.
fn cause(error: ureq::Error) -> UnavailableCause {
    let text = |error: &dyn std::error::Error| Printable::new(&error.to_string());
    match error {
        ureq::Error::Timeout(_) => UnavailableCause::Timeout,
        ureq::Error::HostNotFound => UnavailableCause::NameResolution,
        ureq::Error::BodyExceedsLimit(_) | ureq::Error::LargeResponseHeader(..) => {
            UnavailableCause::TooLarge
        }
        ureq::Error::Rustls(error) => UnavailableCause::Tls(text(&error)),
        ureq::Error::Tls(why) => UnavailableCause::Tls(Printable::new(why)),
        ureq::Error::Io(error) => io_cause(&error),
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
    // What the standard library says of every failure of the resolver; it has no kind of its own.
    if message.starts_with("failed to lookup address information") {
        return UnavailableCause::NameResolution;
    }
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => UnavailableCause::Timeout,
        _ => UnavailableCause::Connection(Printable::new(&message)),
    }
}
