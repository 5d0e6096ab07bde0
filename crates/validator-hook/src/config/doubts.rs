//! What a configuration allows, and should not: it works, and is less safe than it could be, or than it seems.

use tokio_postgres::config::Host;

use crate::config::{Config, ServerConfig};

impl Config {
    /// What is in doubt, and why.
    pub fn doubts(&self) -> Vec<(String, String)> {
        let events = self
            .issuers
            .iter()
            .filter_map(|issuer| issuer.events.as_ref());
        let open = events.filter(|events| events.authorization.is_none());
        let open = open.map(|events| {
            (
                format!("events of \"{}\"", events.transmitter.identifier()),
                "without authorization_file, anyone who has seen an event can send it again after a restart of this \
                 program, until it is older than max_event_age"
                    .to_owned(),
            )
        });
        let readable = self
            .servers
            .iter()
            .filter(|server| server.is_readable_by_others());
        let readable = readable.map(|server| {
            (
                format!("server \"{}\"", server.name),
                "with tls = false towards another machine, others can read the password, and answer in the server's place"
                    .to_owned(),
            )
        });
        let nameless = self.issuers.iter().filter(|issuer| {
            // By these claims events name users.
            issuer.disable_roles && !["sub", "email"].contains(&issuer.identity.claim())
        });
        let nameless = nameless.map(|issuer| {
            (
                format!("issuer \"{}\"", issuer.issuer.identifier()),
                format!(
                    "disable_roles has no effect with identity_claim = \"{}\": events name users by \"sub\" or \"email\" \
                     only. Sessions are ended, but an administrator has to disable the roles",
                    issuer.identity.claim()
                ),
            )
        });
        open.chain(readable).chain(nameless).collect()
    }
}

impl ServerConfig {
    /// Whether what is sent leaves this machine, and is not encrypted.
    fn is_readable_by_others(&self) -> bool {
        if self.tls {
            return false;
        }
        // An address, if it is given, is what is connected to.
        if let Some(address) = self.connection.get_hostaddrs().first() {
            return !address.is_loopback();
        }
        match self.connection.get_hosts().first() {
            Some(Host::Unix(_)) => false,
            Some(Host::Tcp(name)) => {
                let address = name.parse::<std::net::IpAddr>();
                !name.eq_ignore_ascii_case("localhost")
                    && !address.is_ok_and(|address| address.is_loopback())
            }
            None => true,
        }
    }
}
