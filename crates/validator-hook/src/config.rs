//! The configuration: one TOML file, and what it names.

mod doubts;
mod period;

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use oauth_core::{Algorithms, Endpoint, IdentityCase, IdentityPrefix, Issuer, StringList};
use serde::Deserialize;

use crate::config::period::Period;
use crate::secret::Secret;

/// The file, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: SocketAddr,
    tls_certificate_file: Option<PathBuf>,
    tls_key_file: Option<PathBuf>,
    #[serde(default)]
    issuer: Vec<IssuerTable>,
    #[serde(default)]
    server: Vec<ServerTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerTable {
    url: String,
    #[serde(default)]
    client_ids: Vec<String>,
    jwks_uri: Option<String>,
    ca_file: Option<PathBuf>,
    algorithms: Option<String>,
    identity_claim: Option<String>,
    #[serde(default)]
    identity_prefix: String,
    identity_case: Option<String>,
    #[serde(default)]
    disable_roles: bool,
    #[serde(default)]
    allow_http: bool,
    events: Option<EventsTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsTable {
    audience: Vec<String>,
    transmitter: Option<String>,
    jwks_uri: Option<String>,
    authorization_file: Option<PathBuf>,
    max_event_age: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerTable {
    name: String,
    connection: String,
    password_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    tls: Option<bool>,
    timeout_seconds: Option<u64>,
}

/// What is configured, checked, with secrets read.
pub struct Config {
    pub listen: SocketAddr,
    pub tls: Option<TlsFiles>,
    pub issuers: Vec<IssuerConfig>,
    pub servers: Vec<ServerConfig>,
}

/// The certificate that the program presents, and its key.
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// An issuer whose users' sessions are ended.
pub struct IssuerConfig {
    pub issuer: Issuer,
    /// Whom its logout tokens are for; empty: none are taken.
    pub client_ids: StringList,
    pub jwks_uri: Option<Endpoint>,
    pub ca_file: Option<PathBuf>,
    pub algorithms: Algorithms,
    pub identity: IdentityRule,
    /// Whether the role of a disabled account is disabled, too.
    pub disable_roles: bool,
    pub events: Option<EventsConfig>,
}

/// How the servers' `validator.identity_claim` and its kin make the identity.
pub struct IdentityRule {
    claim: String,
    prefix: IdentityPrefix,
    case: IdentityCase,
}

/// From whom security events about the issuer's users are taken.
pub struct EventsConfig {
    pub audience: StringList,
    pub transmitter: Issuer,
    pub jwks_uri: Option<Endpoint>,
    /// The value of the header `Authorization` that the transmitter must send.
    pub authorization: Option<Secret>,
    /// How old an event may be, since it has no end of its own.
    pub max_age: Duration,
}

/// A server on which sessions are ended.
pub struct ServerConfig {
    pub name: String,
    pub connection: tokio_postgres::Config,
    pub ca_file: Option<PathBuf>,
    pub tls: bool,
    pub timeout: Duration,
}

impl IdentityRule {
    /// The claim that makes identities.
    pub fn claim(&self) -> &str {
        &self.claim
    }

    /// The identity of the user whose claim of this name has this value, if it is the claim that makes identities.
    pub fn identity_by(&self, claim: &str, value: &str) -> Option<String> {
        (self.claim == claim).then(|| {
            let prefix = self.prefix.as_str();
            match self.case {
                IdentityCase::Lower => format!("{prefix}{}", value.to_ascii_lowercase()),
                _ => format!("{prefix}{value}"),
            }
        })
    }
}

impl Config {
    /// Errors: what is wrong, with the place in the file.
    pub fn read(path: &Path) -> Result<Config, String> {
        let text = fs::read_to_string(path)
            .map_err(|error| format!("cannot read \"{}\": {error}", path.display()))?;
        Config::parse(&text, &Folder::of(path))
            .map_err(|error| format!("\"{}\": {error}", path.display()))
    }

    fn parse(text: &str, folder: &Folder) -> Result<Config, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let tls = match (file.tls_certificate_file, file.tls_key_file) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(TlsFiles {
                certificate: folder.path(&certificate),
                key: folder.path(&key),
            }),
            _ => {
                return Err("tls_certificate_file and tls_key_file must be set together".to_owned());
            }
        };
        if tls.is_none() && !file.listen.ip().is_loopback() {
            return Err(format!(
                "listen: {} can be reached by others, which takes tls_certificate_file and tls_key_file; behind a proxy \
                 on this machine, listen on 127.0.0.1",
                file.listen
            ));
        }
        let issuers = file.issuer.into_iter().map(|table| {
            let url = table.url.clone();
            IssuerConfig::of(table, folder).map_err(|error| format!("issuer \"{url}\": {error}"))
        });
        let issuers: Vec<IssuerConfig> = issuers.collect::<Result<_, String>>()?;
        let servers = file.server.into_iter().map(|table| {
            let name = table.name.clone();
            ServerConfig::of(table, folder).map_err(|error| format!("server \"{name}\": {error}"))
        });
        let servers: Vec<ServerConfig> = servers.collect::<Result<_, String>>()?;
        if issuers.is_empty() {
            return Err("there is no [[issuer]]".to_owned());
        }
        if servers.is_empty() {
            return Err("there is no [[server]]".to_owned());
        }
        if let Some(twice) = repeated(issuers.iter().map(|one| one.issuer.identifier())) {
            return Err(format!("issuer \"{twice}\" is there twice"));
        }
        let transmitters = issuers.iter().filter_map(|one| one.events.as_ref());
        if let Some(twice) = repeated(transmitters.map(|events| events.transmitter.identifier())) {
            return Err(format!("transmitter \"{twice}\" is there twice"));
        }
        if let Some(twice) = repeated(servers.iter().map(|one| one.name.as_str())) {
            return Err(format!("server \"{twice}\" is there twice"));
        }
        Ok(Config {
            listen: file.listen,
            tls,
            issuers,
            servers,
        })
    }
}

fn repeated<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    let twice = names
        .windows(2)
        .find(|pair| matches!(pair, [a, b] if a == b))?;
    twice.first().copied()
}

impl IssuerConfig {
    fn of(table: IssuerTable, folder: &Folder) -> Result<IssuerConfig, String> {
        let issuer = |url: &str| {
            Issuer::parse_allowing(url, table.allow_http).map_err(|error| error.to_string())
        };
        let endpoint = |url: Option<&String>| {
            let parse = |url: &String| Endpoint::parse_allowing(url, table.allow_http);
            let parsed = url.map(parse).transpose();
            parsed.map_err(|why| format!("jwks_uri: {why}"))
        };
        let events = match &table.events {
            None => None,
            Some(events) if events.audience.is_empty() => {
                return Err("events: audience is empty".to_owned());
            }
            Some(events) => Some(EventsConfig {
                audience: list("events: audience", &events.audience)?,
                transmitter: issuer(events.transmitter.as_ref().unwrap_or(&table.url))?,
                jwks_uri: endpoint(events.jwks_uri.as_ref())?,
                authorization: match &events.authorization_file {
                    None => None,
                    Some(file) => Some(Secret::read(&folder.path(file))?),
                },
                max_age: optional::<Period>("max_event_age", events.max_event_age.as_deref())?.0,
            }),
        };
        if events.is_none() && table.client_ids.is_empty() {
            return Err(
                "without client_ids and [issuer.events], nothing can be received".to_owned(),
            );
        }
        Ok(IssuerConfig {
            issuer: issuer(&table.url)?,
            client_ids: list("client_ids", &table.client_ids)?,
            jwks_uri: endpoint(table.jwks_uri.as_ref())?,
            ca_file: table.ca_file.as_deref().map(|file| folder.path(file)),
            algorithms: optional("algorithms", table.algorithms.as_deref())?,
            identity: IdentityRule {
                claim: table.identity_claim.unwrap_or_else(|| "sub".to_owned()),
                prefix: optional("identity_prefix", Some(&table.identity_prefix))?,
                case: optional("identity_case", table.identity_case.as_deref())?,
            },
            disable_roles: table.disable_roles,
            events,
        })
    }
}

impl ServerConfig {
    fn of(table: ServerTable, folder: &Folder) -> Result<ServerConfig, String> {
        let mut connection: tokio_postgres::Config = table.connection.parse().map_err(
            |error: tokio_postgres::Error| {
                // The cause names the keyword; it does not quote the value, which may be a password.
                let cause = std::error::Error::source(&error);
                let cause = cause.map_or_else(|| error.to_string(), ToString::to_string);
                format!("connection: {cause} (passwords and certificates have settings of their own: password_file, ca_file)")
            },
        )?;
        if connection.get_password().is_some() {
            return Err(
                "connection: put the password into a file, and name it as password_file".to_owned(),
            );
        }
        if connection.get_hosts().len() != 1 {
            return Err(
                "connection: it must name one host; each server has sessions of its own".to_owned(),
            );
        }
        if let Some(file) = &table.password_file {
            connection.password(Secret::read(&folder.path(file))?.expose());
        }
        let is_local = matches!(
            connection.get_hosts().first(),
            Some(tokio_postgres::config::Host::Unix(_))
        );
        let timeout = Duration::from_secs(table.timeout_seconds.unwrap_or(5).clamp(1, 60));
        let tls = table.tls.unwrap_or(!is_local) && !is_local;
        connection
            .application_name("validator-hook")
            .connect_timeout(timeout)
            .ssl_mode(match tls {
                true => tokio_postgres::config::SslMode::Require,
                false => tokio_postgres::config::SslMode::Disable,
            });
        Ok(ServerConfig {
            name: table.name,
            connection,
            ca_file: table.ca_file.as_deref().map(|file| folder.path(file)),
            tls,
            timeout,
        })
    }
}

/// A list of names, as the settings of the module have it, but written as a list.
fn list(name: &str, items: &[String]) -> Result<StringList, String> {
    let quoted = items
        .iter()
        .map(|item| format!("\"{}\"", item.replace('"', "\"\"")));
    let quoted: Vec<String> = quoted.collect();
    optional(name, Some(&quoted.join(", ")))
}

fn optional<T>(name: &str, text: Option<&str>) -> Result<T, String>
where
    T: FromStr<Err: std::fmt::Display> + Default,
{
    match text {
        None => Ok(T::default()),
        Some(text) => text.parse().map_err(|error| format!("{name}: {error}")),
    }
}

/// What relative paths are relative to: the credentials that systemd passes, if the file is there, or else the folder of the
/// configuration file.
struct Folder {
    credentials: Option<PathBuf>,
    configuration: PathBuf,
}

impl Folder {
    fn of(file: &Path) -> Folder {
        Folder {
            credentials: env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
            configuration: file.parent().unwrap_or(Path::new(".")).to_owned(),
        }
    }

    fn path(&self, path: &Path) -> PathBuf {
        let credential = self.credentials.as_ref().map(|folder| folder.join(path));
        match credential.filter(|file| file.exists()) {
            Some(file) => file,
            None => self.configuration.join(path),
        }
    }
}

#[cfg(test)]
mod tests;
