//! What the settings say about one issuer's provider: plain data, which `provider/` acts on.

use std::path::PathBuf;
use std::time::Duration;

use oauth_core::{CacheLimits, ClientAuthMethod, Endpoint, Issuer, ProxyRules};

/// Where an issuer's keys are read from.
#[derive(Clone)]
pub enum KeyLocation {
    /// From the URL in the issuer's metadata.
    Metadata,
    /// From this URL; the metadata is not asked for.
    JwksUri(Endpoint),
    /// From this file; the network is not used.
    File(PathBuf),
}

/// The keys of one issuer.
pub struct ProviderKeys {
    pub issuer: Issuer,
    /// The issuer as written in pg_hba.conf.
    pub url: String,
    pub location: KeyLocation,
    pub limits: CacheLimits,
    pub http: HttpSettings,
    /// How long a login may wait for the provider.
    pub timeout: Duration,
}

/// How one issuer's provider is asked about tokens.
pub struct ProviderIntrospection {
    pub issuer: Issuer,
    /// `None`: the URL in the issuer's metadata.
    pub endpoint: Option<Endpoint>,
    pub client: ClientSettings,
    /// How long an answer is used without asking again.
    pub ttl: Duration,
    /// How long the metadata is.
    pub metadata_limits: CacheLimits,
    pub http: HttpSettings,
    /// How long a login may wait for the provider.
    pub timeout: Duration,
}

/// How this server shows the provider who it is.
pub struct ClientSettings {
    pub id: String,
    pub method: ClientAuthMethod,
    pub secret_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    pub cert_file: Option<PathBuf>,
}

/// What a request needs of the settings.
#[derive(Clone)]
pub struct HttpSettings {
    /// Certificates to trust in addition to the system's, in a PEM file.
    pub ca_file: Option<PathBuf>,
    /// The system's are not trusted.
    pub ca_file_only: bool,
    /// This server's bearer token for a provider that does not serve metadata and keys publicly.
    pub bearer: Option<BearerFile>,
    /// What stands between this server and the provider.
    pub proxy: Option<ProxySettings>,
}

/// The way out of this server's network.
#[derive(Clone)]
pub struct ProxySettings {
    pub rules: ProxyRules,
    /// This server's user and password at the proxy.
    pub secret_file: Option<PathBuf>,
}

/// A token of this server's own.
#[derive(Clone)]
pub struct BearerFile {
    pub file: PathBuf,
    /// URLs that the administrator has named. No other server than theirs gets the token.
    pub for_servers_of: Vec<Endpoint>,
}
