//! How ureq reaches a server: the parts of it that are not as ureq has them.
//!
//! ureq's own resolver starts a thread, and panics where it gets none; ours asks in the thread of the request, which is
//! one that may be left behind. ureq gives up at an address that is prohibited; ours goes on to the next.

use std::sync::Arc;
use std::time::Instant;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::time::Duration;
use ureq::unversioned::transport::{
    ConnectionDetails, Connector, NextTimeout, RustlsConnector, TcpConnector, Transport,
};
use ureq::{Agent, Error};

use crate::provider::http_proxy::{Route, ThroughProxy};

/// An agent of ureq's that resolves names in the thread of the request, tries every address, and goes by a proxy where
/// the route has one.
pub fn new_agent(config: Config, route: Option<Arc<Route>>) -> Agent {
    let tcp = EveryAddress {
        tcp: TcpConnector::default(),
        route: route.clone(),
    };
    let connector =
        ().chain(tcp)
            .chain(ThroughProxy::new(route.clone()))
            .chain(RustlsConnector::default());
    Agent::with_parts(config, connector, InThisThread(route))
}

/// Asks the C library, which may take any time: the backend that waits for the thread has its own limit.
///
/// Of a URL that is asked for through a proxy, the proxy's name is resolved.
#[derive(Debug)]
struct InThisThread(Option<Arc<Route>>);

impl Resolver for InThisThread {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let start = Instant::now();
        // With a time limit it would start a thread.
        let unlimited = NextTimeout {
            after: Duration::NotHappening,
            ..timeout
        };
        let route = self.0.as_deref();
        let server = route.map_or(uri, |route| route.server_of(uri));
        let found = DefaultResolver::default()
            .resolve(server, config, unlimited)
            .map_err(|error| blame(route, uri, error))?;
        // The backend no longer waits, so no request is sent.
        match time_left(timeout, start) {
            None => Err(Error::Timeout(timeout.reason)),
            Some(_) => Ok(found),
        }
    }
}

/// RFC 8305 §5: tries the next address after any failure to connect: refused, unreachable, prohibited or silent.
#[derive(Debug)]
struct EveryAddress {
    tcp: TcpConnector,
    route: Option<Arc<Route>>,
}

impl<In: Transport> Connector<In> for EveryAddress {
    type Out = <TcpConnector as Connector<In>>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        self.connect_to_one::<In>(details)
            .map_err(|error| blame(self.route.as_deref(), details.uri, error))
    }
}

impl EveryAddress {
    fn connect_to_one<In: Transport>(
        &self,
        details: &ConnectionDetails,
    ) -> Result<Option<<TcpConnector as Connector<In>>::Out>, Error> {
        let start = Instant::now();
        let mut failure = Error::HostNotFound;
        let mut addresses = details.addrs.iter().peekable();
        while let Some(address) = addresses.next() {
            let Some(left) = time_left(details.timeout, start) else {
                return Err(Error::Timeout(details.timeout.reason));
            };
            let mut alone = details.resolver.empty();
            alone.push(*address);
            let attempt = ConnectionDetails {
                addrs: alone,
                now: (details.current_time)(),
                timeout: NextTimeout {
                    // A silent one leaves half of the time to the others.
                    after: match addresses.peek() {
                        Some(_) => left / 2,
                        None => left,
                    },
                    ..details.timeout
                },
                uri: details.uri,
                config: details.config,
                request_level: details.request_level,
                resolver: details.resolver,
                current_time: details.current_time.clone(),
                run_connector: details.run_connector.clone(),
                register_shutdown: details.register_shutdown.clone(),
            };
            match Connector::<In>::connect(&self.tcp, &attempt, None) {
                Err(error) => failure = error,
                connected => return connected,
            }
        }
        Err(failure)
    }
}

/// Whoever is connected to is at fault.
fn blame(route: Option<&Route>, url: &Uri, error: Error) -> Error {
    match route {
        Some(route) => route.blame(url, error),
        None => error,
    }
}

/// Of a time limit that counts from `start`. `None`: nothing.
fn time_left(limit: NextTimeout, start: Instant) -> Option<Duration> {
    match limit.after {
        Duration::NotHappening => Some(Duration::NotHappening),
        Duration::Exact(limit) => {
            let left = limit.checked_sub(start.elapsed())?;
            (!left.is_zero()).then_some(Duration::Exact(left))
        }
    }
}
