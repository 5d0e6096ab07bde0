//! The provider's keys, by HTTPS.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::BuildHasher as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_cause::cause;
use oauth_core::{
    ACCEPT_DOCUMENT, CacheLimits, Endpoint, HttpClient, Issuer, KeyCache, MAX_RESPONSE_BYTES,
    SystemClock, UnavailableCause,
};
use ureq::http::Response;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

/// As the module has them by default.
const LIMITS: CacheLimits = CacheLimits {
    min_ttl: Duration::from_secs(60),
    max_ttl: Duration::from_secs(86_400),
    stale_ttl: Duration::from_secs(86_400),
    refresh_cooldown: Duration::from_secs(10),
};
/// Of one request; [`KeyCache`] gives up a fetch, which is up to two, after ten seconds.
const REQUEST_TIME: Duration = Duration::from_secs(4);
/// Bytes of the largest response header.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// The keys of one issuer, cached.
pub type ProviderKeys = KeyCache<UreqClient, SystemClock>;

/// Nothing is fetched yet.
///
/// Errors: `ca_file` cannot be read, or has no certificate.
pub fn provider_keys(
    issuer: &Issuer,
    jwks_uri: Option<&Endpoint>,
    ca_file: Option<&Path>,
) -> Result<ProviderKeys, String> {
    let http = UreqClient::new(ca_file)?;
    let jitter = || RandomState::new().hash_one(()) as u32;
    Ok(KeyCache::new(
        issuer.clone(),
        jwks_uri.cloned(),
        http,
        SystemClock,
        LIMITS,
        jitter,
    ))
}

/// ureq with rustls: the system's trust roots and those of a file, no redirects, no proxies of the environment, bounded in
/// time and size.
pub struct UreqClient(Agent);

impl UreqClient {
    fn new(ca_file: Option<&Path>) -> Result<Self, String> {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(trust_roots(ca_file)?)))
            .unversioned_rustls_crypto_provider(Arc::new(
                rustls::crypto::aws_lc_rs::default_provider(),
            ))
            .build();
        let config = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(MAX_HEADER_BYTES)
            .max_idle_connections(0)
            .user_agent(concat!("validator-hook/", env!("CARGO_PKG_VERSION")))
            .accept(ACCEPT_DOCUMENT)
            .accept_encoding("identity")
            .timeout_global(Some(REQUEST_TIME))
            .tls_config(tls)
            .build();
        Ok(UreqClient(config.new_agent()))
    }
}

impl HttpClient for UreqClient {
    fn get(&self, url: &Endpoint) -> Result<Response<Vec<u8>>, UnavailableCause> {
        read(self.0.get(url.as_str()).call()).map_err(cause)
    }
}

/// The whole answer, if it is not too large.
fn read(answer: Result<Response<Body>, ureq::Error>) -> Result<Response<Vec<u8>>, ureq::Error> {
    let (parts, mut body) = answer?.into_parts();
    let body = body
        .with_config()
        .limit(MAX_RESPONSE_BYTES as u64)
        .read_to_vec()?;
    Ok(Response::from_parts(parts, body))
}

fn trust_roots(ca_file: Option<&Path>) -> Result<Vec<Certificate<'static>>, String> {
    let system = rustls_native_certs::load_native_certs().certs;
    let mut roots: Vec<_> = system
        .iter()
        .map(|der| Certificate::from_der(der).to_owned())
        .collect();
    if let Some(file) = ca_file {
        let invalid = |why: &dyn std::fmt::Display| format!("\"{}\": {why}", file.display());
        let pem = fs::read(file).map_err(|error| invalid(&error))?;
        let before = roots.len();
        roots.extend(parse_pem(&pem).filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        }));
        if roots.len() == before {
            return Err(invalid(&"it has no certificate"));
        }
    }
    Ok(roots)
}
