//! HTTP by ureq and rustls: https with the system's trust roots, no redirects, no proxies of the
//! environment, bounded in time and size. Calls no PostgreSQL function: it runs on a thread of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http_cause::cause;
use oauth_core::{
    ACCEPT_DOCUMENT, Endpoint, FormRequest, HttpClient, MAX_RESPONSE_BYTES, Misconfigured,
    SecretText, UnavailableCause,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use ureq::config::ConfigBuilder;
use ureq::http::header::RETRY_AFTER;
use ureq::http::{HeaderMap, HeaderValue, Response};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use ureq::typestate::AgentScope;
use ureq::{Agent, Body};

use crate::provider::http_proxy::Route;
use crate::provider::http_transport;
use crate::provider::secret_file::Secret;
use crate::provider::trust_roots::{SystemRoots, trust_roots};
use crate::settings;
use crate::settings::provider::{BearerFile, HttpSettings};

/// Bytes of the largest response header.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Of each buffer, of which a request over TLS has four: ureq's own size would cost a login 100 page faults more.
const BUFFER_BYTES: usize = MAX_HEADER_BYTES + 4 * 1024;

impl HttpSettings {
    /// What an answer depends on, of which a cache has to make a difference.
    pub fn cache_parts(&self) -> [&str; 6] {
        fn path(file: Option<&PathBuf>) -> &str {
            file.and_then(|file| file.to_str()).unwrap_or_default()
        }
        let proxy = self.proxy.as_ref();
        let secret_file = proxy.and_then(|proxy| proxy.secret_file.as_ref());
        let [url, except] = proxy.map_or([""; 2], |proxy| proxy.rules.cache_parts());
        [
            path(self.ca_file.as_ref()),
            if self.ca_file_only { "only" } else { "" },
            path(self.bearer.as_ref().map(|bearer| &bearer.file)),
            url,
            except,
            path(secret_file),
        ]
    }

    /// For the thread that sends requests. To be called in the main thread: a thread that was left behind must not read the
    /// environment while PostgreSQL may change it.
    pub fn prepare(&self) -> PreparedHttp {
        PreparedHttp {
            settings: self.clone(),
            system_roots: (!self.ca_file_only).then(SystemRoots::locate),
            config: new_config(),
            proxy_config: self.proxy.as_ref().map(|_| new_config()),
        }
    }
}

/// To be called in the main thread: even the start of ureq's configuration looks for proxies in the environment.
fn new_config() -> ConfigBuilder<AgentScope> {
    Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(MAX_HEADER_BYTES)
        .input_buffer_size(BUFFER_BYTES)
        .output_buffer_size(BUFFER_BYTES)
        .max_idle_connections(1)
        .user_agent(concat!("postgresql-validator/", env!("CARGO_PKG_VERSION")))
        .accept("application/json")
        // RFC 9110 §12.5.3: where a request does not say, a server may choose.
        .accept_encoding("identity")
}

/// Settings, and what else a request needs of this process.
pub struct PreparedHttp {
    settings: HttpSettings,
    /// `None`: not trusted.
    system_roots: Option<SystemRoots>,
    config: ConfigBuilder<AgentScope>,
    /// For the connection to the proxy, if there is one.
    proxy_config: Option<ConfigBuilder<AgentScope>>,
}

impl BearerFile {
    /// Whether this URL's server may get the token.
    pub fn is_for(&self, url: &Endpoint) -> bool {
        self.for_servers_of
            .iter()
            .any(|server| url.has_origin_of(server))
    }

    /// Errors: the file cannot be read, has group or world access, or does not contain a token.
    pub fn read(&self) -> Result<Secret, Misconfigured> {
        let token = Secret::read(&self.file, "http_bearer_file")?;
        // RFC 6750 §2.1: what a token may consist of.
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
        match token.expose().bytes().all(is_token) {
            true => Ok(token),
            false => Err(Self::invalid()),
        }
    }

    fn read_header(&self) -> Result<HeaderValue, Misconfigured> {
        let text = SecretText::of(&["Bearer ", self.read()?.expose()]);
        let value = HeaderValue::from_str(text.expose());
        let mut value = value.map_err(|_| Self::invalid())?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn invalid() -> Misconfigured {
        settings::invalid(
            "validator.http_bearer_file",
            "the file does not contain a bearer token",
        )
    }
}

/// A certificate and its private key. It can be neither printed nor copied.
pub struct ClientIdentity(ClientCert);

impl ClientIdentity {
    /// From PEM. `None`: the certificate or the key is missing, or they do not belong together.
    pub fn parse(certificates: &[u8], key: &str) -> Option<Self> {
        let certificates: Vec<_> = parse_pem(certificates)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        let key = private_key(key)?;
        ensure_pair(&certificates, &key)?;
        Some(ClientIdentity(ClientCert::new_with_certs(
            &certificates,
            key,
        )))
    }
}

/// ureq takes for granted what rustls would refuse.
fn ensure_pair(certificates: &[Certificate<'static>], key: &PrivateKey<'static>) -> Option<()> {
    let chain: Vec<_> = certificates
        .iter()
        .map(|certificate| CertificateDer::from(certificate.der()).into_owned())
        .collect();
    let key = PrivateKeyDer::try_from(key.der()).ok()?.clone_key();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let pair = CertifiedKey::from_der(chain, key, &provider).ok()?;
    pair.end_entity_cert().ok().map(drop)
}

/// The first private key of a PEM text.
pub fn private_key(pem: &str) -> Option<PrivateKey<'static>> {
    PrivateKey::from_pem(pem.as_bytes()).ok()
}

/// Sends requests until a point in time.
pub struct UreqClient {
    agent: Agent,
    /// For GET requests, and the servers that get it.
    bearer: Option<(HeaderValue, BearerFile)>,
    route: Option<Arc<Route>>,
    /// Whether any certificate could be good.
    trusts_anyone: bool,
    deadline: Instant,
}

impl UreqClient {
    /// For metadata and keys. Reads the trust roots, and the token by which to ask.
    ///
    /// Errors: a file cannot be read, or has invalid contents.
    pub fn new(http: PreparedHttp, deadline: Instant) -> Result<Self, Misconfigured> {
        let bearer = match &http.settings.bearer {
            Some(bearer) => Some((bearer.read_header()?, bearer.clone())),
            None => None,
        };
        let client = Self::presenting(http, None, deadline)?;
        Ok(UreqClient { bearer, ..client })
    }

    /// For introspection, maybe with a certificate of its own to present (RFC 8705 §2). Reads the trust roots.
    ///
    /// Errors: `ca_file` cannot be read, or has no certificate.
    pub fn presenting(
        http: PreparedHttp,
        identity: Option<ClientIdentity>,
        deadline: Instant,
    ) -> Result<Self, Misconfigured> {
        let ca_file = http.settings.ca_file.as_deref();
        let roots = trust_roots(http.system_roots.as_ref(), ca_file)?;
        let tls = |identity: Option<ClientIdentity>| {
            TlsConfig::builder()
                .client_cert(identity.map(|identity| identity.0))
                .root_certs(roots.clone())
                .unversioned_rustls_crypto_provider(Arc::new(
                    rustls::crypto::aws_lc_rs::default_provider(),
                ))
                .build()
        };
        let route = match (&http.settings.proxy, http.proxy_config) {
            (Some(proxy), Some(config)) => {
                let config = config.tls_config(tls(None)).build();
                Some(Arc::new(Route::new(proxy, config)?))
            }
            _ => None,
        };
        let config = http.config.tls_config(tls(identity)).build();
        Ok(UreqClient {
            agent: http_transport::new_agent(config, route.clone()),
            route,
            trusts_anyone: !matches!(&roots, RootCerts::Specific(roots) if roots.is_empty()),
            bearer: None,
            deadline,
        })
    }
}

impl HttpClient for UreqClient {
    fn get(&self, url: &Endpoint) -> Result<Response<Vec<u8>>, UnavailableCause> {
        let request = self.agent.get(url.as_str()).config();
        let request = request.accept(ACCEPT_DOCUMENT);
        let mut request = request.timeout_global(Some(self.time_left()?)).build();
        if let Some((header, file)) = &self.bearer
            && file.is_for(url)
        {
            request = request.header("Authorization", header);
        }
        self.read(url, request.call())
    }
}

impl UreqClient {
    /// Sends a form by POST. Follows no redirect, which would send a token and secrets elsewhere.
    pub fn post(
        &self,
        url: &Endpoint,
        form: &FormRequest,
    ) -> Result<Response<Vec<u8>>, UnavailableCause> {
        let request = self.agent.post(url.as_str()).config();
        let mut request = request
            .timeout_global(Some(self.time_left()?))
            .build()
            .content_type("application/x-www-form-urlencoded");
        if let Some(authorization) = &form.authorization {
            request = request.header("Authorization", authorization.expose());
        }
        self.read(url, request.send(form.body.expose()))
    }

    fn read(
        &self,
        url: &Endpoint,
        answer: Result<Response<Body>, ureq::Error>,
    ) -> Result<Response<Vec<u8>>, UnavailableCause> {
        read(answer).map_err(|error| {
            let cause = match cause(error) {
                UnavailableCause::TlsUntrusted if !self.trusts_anyone => {
                    UnavailableCause::TlsNoAuthorities
                }
                cause => cause,
            };
            match (&self.route, url.as_str().parse()) {
                (Some(route), Ok(url)) => route.describe(&url, cause),
                _ => cause,
            }
        })
    }

    fn time_left(&self) -> Result<Duration, UnavailableCause> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(UnavailableCause::Timeout);
        }
        Ok(left)
    }
}

/// The whole answer, if it is not too large.
fn read(answer: Result<Response<Body>, ureq::Error>) -> Result<Response<Vec<u8>>, ureq::Error> {
    let (mut parts, mut body) = answer?.into_parts();
    let body = body
        .with_config()
        .limit(MAX_RESPONSE_BYTES as u64)
        .read_to_vec()?;
    tell_seconds(&mut parts.headers);
    Ok(Response::from_parts(parts, body))
}

/// RFC 9110 §10.2.3: `Retry-After` may be a date, by the clocks of both sides.
fn tell_seconds(headers: &mut HeaderMap) {
    let value = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    if let Some(date) = value.and_then(|value| httpdate::parse_http_date(value).ok()) {
        let left = date.duration_since(SystemTime::now()).unwrap_or_default();
        // A second that has begun counts.
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() != 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
}
