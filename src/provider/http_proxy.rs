//! The way through an HTTP proxy: CONNECT (RFC 9110 §9.3.6), so that the proxy passes on TLS between this server and the
//! provider, and can read or change nothing of it. The provider's name is resolved by the proxy.
//!
//! What goes wrong before the tunnel is open is the proxy's fault, and is said to be.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use http_cause::{cause, to_error};
use oauth_core::{
    Misconfigured, ProxyRules, SecretText, UnavailableCause, basic_credentials,
    parse_connect_status,
};
use ureq::Error;
use ureq::config::Config;
use ureq::http::{StatusCode, Uri};
use ureq::unversioned::transport::time::{Duration, Instant};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, RustlsConnector, Transport,
    TransportAdapter,
};

use crate::provider::secret_file::Secret;
use crate::settings;
use crate::settings::provider::ProxySettings;

/// Bytes of the longest header of an answer to CONNECT.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// A proxy, and what a request through it needs.
pub struct Route {
    rules: ProxyRules,
    /// The value of `Proxy-Authorization`.
    credentials: Option<SecretText>,
    /// By which the proxy itself is asked: without the certificate that is for the provider.
    config: Config,
}

impl Route {
    /// Reads the credentials.
    ///
    /// Errors: the file cannot be read, has group or world access, or does not contain user and password.
    pub fn new(proxy: &ProxySettings, config: Config) -> Result<Self, Misconfigured> {
        let credentials = proxy.secret_file.as_ref().map(|file| {
            let secret = Secret::read(file, "http_proxy_secret_file")?;
            basic_credentials(secret.expose()).ok_or_else(|| {
                let why = "the file does not contain user:password in one line";
                settings::invalid("validator.http_proxy_secret_file", why)
            })
        });
        Ok(Route {
            rules: proxy.rules.clone(),
            credentials: credentials.transpose()?,
            config,
        })
    }

    /// Where to connect to for this URL: its own host, or the proxy.
    pub fn server_of<'a>(&'a self, url: &'a Uri) -> &'a Uri {
        match self.rules.applies_to(url) {
            true => self.rules.proxy.uri(),
            false => url,
        }
    }

    /// The same error; if this URL is asked for through the proxy, as the proxy's.
    pub fn blame(&self, url: &Uri, error: Error) -> Error {
        match self.rules.applies_to(url) {
            true => self.fault(error),
            false => error,
        }
    }

    fn fault(&self, error: Error) -> Error {
        let proxy = self.rules.proxy.printable();
        to_error(cause(error).of_proxy(proxy))
    }

    /// A fault of the provider's, as seen through the proxy.
    pub fn describe(&self, url: &Uri, cause: UnavailableCause) -> UnavailableCause {
        match self.rules.applies_to(url) {
            true => cause.through_proxy(&self.rules.proxy.printable()),
            false => cause,
        }
    }
}

/// Opens the tunnel over a connection to the proxy; any other connection is left as it is.
#[derive(Debug)]
pub struct ThroughProxy {
    route: Option<Arc<Route>>,
    tls: RustlsConnector,
}

impl ThroughProxy {
    pub fn new(route: Option<Arc<Route>>) -> Self {
        let tls = RustlsConnector::default();
        ThroughProxy { route, tls }
    }
}

impl<In: Transport> Connector<In> for ThroughProxy {
    type Out = Either<In, Tunnel>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(connection) = chained else {
            return Ok(None);
        };
        let route = self.route.as_ref();
        let Some(route) = route.filter(|route| route.rules.applies_to(details.uri)) else {
            return Ok(Some(Either::A(connection)));
        };
        let tunnel = self.open(route, details, connection);
        tunnel
            .map(|tunnel| Some(Either::B(tunnel)))
            .map_err(|error| route.fault(error))
    }
}

impl ThroughProxy {
    fn open(
        &self,
        route: &Route,
        details: &ConnectionDetails,
        connection: impl Transport,
    ) -> Result<Tunnel, Error> {
        let proxy = &route.rules.proxy;
        let connection = match proxy.is_tls() {
            false => connection.boxed(),
            true => {
                let to_proxy = ConnectionDetails {
                    uri: proxy.uri(),
                    addrs: details.addrs.clone(),
                    config: &route.config,
                    request_level: false,
                    resolver: details.resolver,
                    now: details.now,
                    timeout: details.timeout,
                    current_time: details.current_time.clone(),
                    run_connector: details.run_connector.clone(),
                    register_shutdown: details.register_shutdown.clone(),
                };
                let secured = self.tls.connect(&to_proxy, Some(connection))?;
                secured.ok_or(Error::ConnectionFailed)?.boxed()
            }
        };
        let mut stream = TransportAdapter::new(connection, details.current_time.clone());
        stream.set_timeout(NextTimeout {
            after: time_left(details),
            ..details.timeout
        });
        let request = route.connect_request(details.uri)?;
        stream.write_all(request.expose().as_bytes())?;
        match read_status(&mut stream)? {
            status if status.is_success() => Ok(Tunnel(stream.into_inner())),
            status => Err(Error::StatusCode(status.as_u16())),
        }
    }
}

impl Route {
    /// RFC 9112 §3.2.3: the target is host and port.
    fn connect_request(&self, url: &Uri) -> Result<SecretText, Error> {
        let host = url.host().ok_or(Error::HostNotFound)?;
        let target = format!("{host}:{}", url.port_u16().unwrap_or(443));
        let mut request = SecretText::default();
        request.push_str(&format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"));
        if let Some(credentials) = &self.credentials {
            request.push_str("Proxy-Authorization: ");
            request.push_str(credentials.expose());
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        Ok(request)
    }
}

/// The status of the answer, of which not a byte more than its header is read: what follows is the provider's.
fn read_status(stream: &mut impl Read) -> Result<StatusCode, Error> {
    let mut header = Vec::new();
    let mut byte = [0];
    while !header.ends_with(b"\r\n\r\n") && !header.ends_with(b"\n\n") {
        if header.len() >= MAX_HEADER_BYTES {
            return Err(garbage("its answer to CONNECT is too large"));
        }
        if stream.read(&mut byte)? == 0 {
            let why = "it closed the connection instead of answering CONNECT";
            return Err(garbage(why));
        }
        header.extend_from_slice(&byte);
        // Seen at once, so that no one waits for the end of what is not HTTP.
        const START: &[u8] = b"HTTP/1.";
        if !START.starts_with(header.get(..START.len()).unwrap_or(&header)) {
            break;
        }
    }
    parse_connect_status(&header).ok_or_else(|| garbage("its answer to CONNECT is not HTTP/1"))
}

fn garbage(why: &str) -> Error {
    Error::Io(io::Error::other(why.to_owned()))
}

/// Of the time for connecting, of which a part went by.
fn time_left(details: &ConnectionDetails) -> Duration {
    match (details.timeout.after, details.now, (details.current_time)()) {
        (Duration::Exact(limit), Instant::Exact(start), Instant::Exact(now)) => {
            Duration::Exact(limit.saturating_sub(now.saturating_duration_since(start)))
        }
        (limit, ..) => limit,
    }
}

/// What the proxy passes on. It is not TLS yet, even if the connection to the proxy is.
#[derive(Debug)]
pub struct Tunnel(Box<dyn Transport>);

impl Transport for Tunnel {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.0.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.0.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }
}

/// Without the credentials.
impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
