//! The HTTP proxy between this server and the provider (RFC 9110 §9.3.6), and the hosts that are reached without it.

use std::net::IpAddr;
use std::str::FromStr;

use http::uri::Scheme;
use http::{StatusCode, Uri};

use crate::basics::printable::Printable;
use crate::basics::secret_text::SecretText;
use crate::basics::setting::{SettingError, parse_list};
use crate::provider::client_auth::basic;
use crate::provider::issuer::Endpoint;

/// Bytes of the longest URL of a proxy.
const MAX_URL_BYTES: usize = 512;

/// A proxy: `http://host:port`, or `https://host:port` if it is reached over TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    text: String,
    uri: Uri,
}

impl Proxy {
    /// As the setting has it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The same, parsed.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Whether the connection to the proxy itself is TLS.
    pub fn is_tls(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }

    /// For messages.
    pub fn printable(&self) -> Printable {
        Printable::new(self.text.trim_end_matches('/'))
    }
}

impl FromStr for Proxy {
    type Err = &'static str;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        if url.len() > MAX_URL_BYTES {
            return Err("the URL is too long");
        }
        let uri: Uri = url.parse().map_err(|_| "it is not a URL")?;
        let is_supported = |scheme: &Scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme);
        if !uri.scheme().is_some_and(is_supported) {
            return Err("the URL of a proxy must begin with http:// or https://");
        }
        let authority = uri.authority().ok_or("the URL has no host")?;
        if authority.as_str().contains('@') {
            return Err("the URL has user information, which belongs in http_proxy_secret_file");
        }
        let rest = authority.as_str().strip_prefix(authority.host());
        let is_port = |port: &str| {
            port.bytes().all(|byte| byte.is_ascii_digit())
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        };
        match rest {
            _ if authority.host().is_empty() => return Err("the URL has no host"),
            Some("") => {}
            Some(rest) if rest.strip_prefix(':').is_some_and(is_port) => {}
            _ => return Err("the URL has an invalid port"),
        }
        if !uri.path().trim_start_matches('/').is_empty()
            || uri.query().is_some()
            || url.contains('#')
        {
            return Err("the URL of a proxy has nothing behind host and port");
        }
        Ok(Proxy {
            text: url.to_owned(),
            uri,
        })
    }
}

/// Hosts that are reached without the proxy. The default is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoProxy {
    text: String,
    exceptions: Vec<Exception>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Exception {
    /// `*`: every host.
    All,
    /// This host.
    Host(String),
    /// `.corp.example`: every host whose name ends so.
    Suffix(String),
    /// Addresses whose first bits are these.
    Network(IpAddr, u8),
}

impl NoProxy {
    /// As the setting has it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether this URL's host is one of them. A name is not resolved: an address matches only where the URL has one.
    pub fn has(&self, url: &Uri) -> bool {
        let host = url.host().unwrap_or_default();
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let address = parse_address(&host);
        self.exceptions.iter().any(|exception| match exception {
            Exception::All => true,
            Exception::Host(name) => *name == host,
            Exception::Suffix(suffix) => address.is_none() && host.ends_with(suffix.as_str()),
            Exception::Network(network, bits) => {
                address.is_some_and(|address| is_in_network(address, *network, *bits))
            }
        })
    }
}

impl FromStr for NoProxy {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let items = parse_list(text)?;
        let exceptions = items.iter().map(|item| parse_exception(item));
        Ok(NoProxy {
            text: text.to_owned(),
            exceptions: exceptions.collect::<Result<_, _>>()?,
        })
    }
}

fn parse_exception(item: &str) -> Result<Exception, SettingError> {
    let invalid = |why: &str| SettingError::new(format!("\"{}\" {why}", Printable::new(item)));
    if item == "*" {
        return Ok(Exception::All);
    }
    if let Some((address, bits)) = item.split_once('/') {
        let why = "is not a network: an IP address, \"/\", and how many of its bits count";
        let network = parse_address(address).ok_or_else(|| invalid(why))?;
        let length = if network.is_ipv4() { 32 } else { 128 };
        let bits = bits.parse().ok().filter(|bits: &u8| *bits <= length);
        return Ok(Exception::Network(
            network,
            bits.ok_or_else(|| invalid(why))?,
        ));
    }
    if let Some(address) = parse_address(item) {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        return Ok(Exception::Network(address, bits));
    }
    let name = item.strip_prefix('*').unwrap_or(item);
    let is_suffix = name.starts_with('.');
    if name.len() != item.len() && !is_suffix {
        return Err(invalid("may have an asterisk only before a dot, or alone"));
    }
    let bare = name.strip_prefix('.').unwrap_or(name).trim_end_matches('.');
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if bare.is_empty() || bare.starts_with('.') || !bare.bytes().all(is_plain) {
        return Err(invalid(
            "is neither a host, nor a suffix that begins with a dot, nor an address, nor a network",
        ));
    }
    let bare = bare.to_ascii_lowercase();
    Ok(match is_suffix {
        true => Exception::Suffix(format!(".{bare}")),
        false => Exception::Host(bare),
    })
}

/// An address as a URL or a list has it. One of IPv4 that is written as IPv6 is of IPv4.
fn parse_address(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let address: IpAddr = bare.parse().ok()?;
    Some(address.to_canonical())
}

fn is_in_network(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let shift = |length: u32| length.saturating_sub(bits.into());
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            (a.to_bits() ^ b.to_bits())
                .checked_shr(shift(32))
                .unwrap_or(0)
                == 0
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            (a.to_bits() ^ b.to_bits())
                .checked_shr(shift(128))
                .unwrap_or(0)
                == 0
        }
        _ => false,
    }
}

/// Where and how requests leave this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyRules {
    /// The proxy.
    pub proxy: Proxy,
    /// What is reached without it.
    pub except: NoProxy,
}

impl ProxyRules {
    /// The proxy by which this URL is asked for. Plain http, which is for a loopback address of this very machine, has
    /// none: the proxy's is another, and whoever stands between could replace the provider's keys.
    pub fn proxy_for(&self, url: &Endpoint) -> Option<&Proxy> {
        let uri: Uri = url.as_str().parse().ok()?;
        self.applies_to(&uri).then_some(&self.proxy)
    }

    /// What a cache has to make a difference of.
    pub fn cache_parts(&self) -> [&str; 2] {
        [self.proxy.as_str(), self.except.as_str()]
    }

    /// Whether this URL is asked for through the proxy.
    pub fn applies_to(&self, url: &Uri) -> bool {
        url.scheme() == Some(&Scheme::HTTPS) && !self.except.has(url)
    }
}

/// RFC 7617 §2: what `Proxy-Authorization` says of `user:password`. `None`: it is something else, or has control characters.
pub fn basic_credentials(secret: &str) -> Option<SecretText> {
    let (user, _) = secret.split_once(':')?;
    let is_plain = !user.is_empty() && !secret.chars().any(char::is_control);
    is_plain.then(|| basic(&SecretText::of(&[secret])))
}

/// RFC 9112 §4: the status of an answer to CONNECT, of which this is the beginning. `None`: it is not HTTP/1.
pub fn parse_connect_status(answer: &[u8]) -> Option<StatusCode> {
    let [
        b'H',
        b'T',
        b'T',
        b'P',
        b'/',
        b'1',
        b'.',
        minor,
        b' ',
        rest @ ..,
    ] = answer
    else {
        return None;
    };
    let (status, rest) = rest.split_at_checked(3)?;
    let ends = matches!(rest.first(), Some(b' ' | b'\r' | b'\n'));
    let status = (minor.is_ascii_digit() && ends).then(|| StatusCode::from_bytes(status))?;
    status.ok()
}
