//! The issuer of tokens, and the URL of its metadata.
//!
//! RFC 8414 §2 and OpenID Connect Discovery 1.0 §3: an issuer is an https URL without query or fragment.

use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;

use crate::failure::misconfigured::Misconfigured;

/// Bytes of the longest URL.
const MAX_URL_BYTES: usize = 2048;
/// Where well-known URIs start (RFC 8615 §3).
const WELL_KNOWN: &str = "/.well-known/";
/// The documents that can describe an issuer: OpenID Connect Discovery 1.0 §4, RFC 8414 §3.
const DOCUMENTS: [&str; 2] = ["openid-configuration", "oauth-authorization-server"];

/// A URL that may be asked: https, or http to a loopback host where that is allowed for a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// Checks an absolute https URL.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        Self::parse_allowing(url, false)
    }

    /// Checks an absolute URL: https, or http to a loopback host if `allow_http` is set.
    pub fn parse_allowing(url: &str, allow_http: bool) -> Result<Self, &'static str> {
        if url.len() > MAX_URL_BYTES {
            return Err("the URL is too long");
        }
        // RFC 3986 §2: what a URL may consist of, without the "#" of a fragment.
        if url
            .bytes()
            .any(|byte| !byte.is_ascii_graphic() || b"#\"<>\\^`{|}".contains(&byte))
        {
            return Err("the URL has a fragment or characters that need to be percent-encoded");
        }
        let uri: Uri = url.parse().map_err(|_| "it is not a URL")?;
        let host = uri
            .host()
            .filter(|host| !host.is_empty())
            .ok_or("the URL has no host")?;
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let is_port = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_digit())
                && text.parse::<u16>().is_ok_and(|port| port > 0)
        };
        match authority.strip_prefix(host) {
            Some("") => {}
            Some(rest) if rest.strip_prefix(':').is_some_and(is_port) => {}
            _ => return Err("the URL has user information or an invalid port"),
        }
        match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => Ok(Endpoint(url.to_owned())),
            Some(scheme) if *scheme == Scheme::HTTP && allow_http => {
                if is_loopback(host) {
                    Ok(Endpoint(url.to_owned()))
                } else {
                    Err("http is allowed only for a loopback host")
                }
            }
            _ => Err("the URL is not https"),
        }
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// RFC 6454 §5: whether both have the same scheme, host and port, so that what is meant for one server may be sent to
    /// the other.
    pub fn has_origin_of(&self, other: &Endpoint) -> bool {
        matches!((self.origin(), other.origin()), (Some(own), Some(others)) if own == others)
    }

    /// RFC 3986 §5.2.2: what a reference from this URL leads to, if it is a path or a URL. Any other is left as it is, which
    /// is good enough to be shown.
    pub(crate) fn resolve(&self, reference: &str) -> String {
        let is_path = reference.starts_with('/') && !reference.starts_with("//");
        let after_scheme = self.0.find("://").map_or(0, |at| at.saturating_add(3));
        let host = self.0.get(after_scheme..).unwrap_or_default();
        let host = host.split(['/', '?']).next().unwrap_or_default();
        match is_path {
            true => {
                let end = after_scheme.saturating_add(host.len());
                format!("{}{reference}", self.0.get(..end).unwrap_or_default())
            }
            false => reference.to_owned(),
        }
    }

    /// Scheme, host in lower case, and port.
    fn origin(&self) -> Option<(String, String, u16)> {
        let uri: Uri = self.0.parse().ok()?;
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let default_port = match scheme.as_str() {
            "https" => 443,
            _ => 80,
        };
        let host = uri.host()?.to_ascii_lowercase();
        Some((scheme, host, uri.port_u16().unwrap_or(default_port)))
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// An issuer, and the location of the document that describes it.
///
/// An administrator may name the issuer itself or its well-known URI; libpq takes both, and so do we:
///
/// ```
/// use oauth_core::Issuer;
/// let issuer = Issuer::parse("https://idp.example/.well-known/oauth-authorization-server/corp").unwrap();
/// assert_eq!(issuer.identifier(), "https://idp.example/corp");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    identifier: String,
    discovery: Endpoint,
}

impl Issuer {
    /// From the issuer's identifier or its well-known URI, over https.
    pub fn parse(url: &str) -> Result<Self, Misconfigured> {
        Self::parse_allowing(url, false)
    }

    /// The same; `allow_http` also takes plain http to a loopback host, for demos and tests.
    pub fn parse_allowing(url: &str, allow_http: bool) -> Result<Self, Misconfigured> {
        let invalid = |why| Misconfigured::IssuerInvalid { why };
        let endpoint = Endpoint::parse_allowing(url, allow_http).map_err(invalid)?;
        if url.contains('?') {
            return Err(invalid("the URL has a query"));
        }
        if url.contains(WELL_KNOWN) {
            let identifier = identifier_of_well_known_uri(url).map_err(invalid)?;
            return Ok(Issuer {
                identifier,
                discovery: endpoint,
            });
        }
        // OpenID Connect Discovery 1.0 §4.1: a terminating "/" is removed before the suffix is added.
        let base = url.strip_suffix('/').unwrap_or(url);
        Ok(Issuer {
            identifier: url.to_owned(),
            discovery: Endpoint(format!("{base}/.well-known/openid-configuration")),
        })
    }

    /// The identifier, which `iss` and the discovery document must equal byte for byte.
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    /// Where the issuer's metadata is.
    pub fn discovery(&self) -> &Endpoint {
        &self.discovery
    }

    /// The same issuer, with its metadata at another URL.
    pub fn with_discovery(self, discovery: Endpoint) -> Self {
        Issuer { discovery, ..self }
    }

    /// Checks a URL that the issuer's metadata names. Only an issuer that is plain http itself, which a test
    /// has allowed, may name plain http.
    pub fn endpoint(&self, url: &str) -> Result<Endpoint, &'static str> {
        let scheme = self.identifier.get(..5).unwrap_or_default();
        let is_http = scheme.eq_ignore_ascii_case("http:");
        Endpoint::parse_allowing(url, is_http)
    }
}

/// Removes the well-known part, as libpq does: OpenID Connect puts it after the issuer's path,
/// RFC 8414 §3.1 before it. A terminating "/" of the path stays.
fn identifier_of_well_known_uri(url: &str) -> Result<String, &'static str> {
    let misplaced = "the well-known part is neither before nor after the path";
    let (_, after_scheme) = url.split_once("://").ok_or("it is not a URL")?;
    let (before, after) = url.split_once(WELL_KNOWN).ok_or(misplaced)?;
    // What is left must be an issuer's identifier, whose own metadata is not elsewhere again.
    if after.contains(WELL_KNOWN) {
        return Err("the URL has two well-known parts");
    }
    let path_before_it = after_scheme
        .split_once(WELL_KNOWN)
        .is_some_and(|(b, _)| b.contains('/'));
    let path = DOCUMENTS
        .iter()
        .find_map(|document| after.strip_prefix(document))
        .filter(|path| path.is_empty() || path.starts_with('/'))
        .ok_or("the well-known document is neither that of OpenID Connect nor that of RFC 8414")?;
    if !path.is_empty() && path_before_it {
        return Err(misplaced);
    }
    Ok(format!("{before}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Option<(String, String)> {
        let issuer = Issuer::parse(url).ok()?;
        Some((
            issuer.identifier().to_owned(),
            issuer.discovery().as_str().to_owned(),
        ))
    }

    #[track_caller]
    fn assert_issuer(url: &str, identifier: &str, discovery: &str) {
        assert_eq!(
            parse(url),
            Some((identifier.to_owned(), discovery.to_owned())),
            "{url}"
        );
    }

    #[test]
    fn redirect_leads_to_a_path_of_the_same_server_or_elsewhere() {
        for (url, reference, target) in [
            ("https://a.example/x/y", "/z?q", "https://a.example/z?q"),
            ("https://a.example:8443?q", "/", "https://a.example:8443/"),
            ("https://[::1]:1/x", "/z", "https://[::1]:1/z"),
            (
                "https://a.example/x",
                "https://b.example/",
                "https://b.example/",
            ),
            ("https://a.example/x", "//b.example/", "//b.example/"),
            ("https://a.example/x", "z", "z"),
            ("https://a.example/x", "", ""),
        ] {
            let url = Endpoint::parse(url).expect(url);
            assert_eq!(url.resolve(reference), target);
        }
    }

    #[test]
    fn derives_discovery_from_an_identifier() {
        assert_issuer(
            "https://a.example",
            "https://a.example",
            "https://a.example/.well-known/openid-configuration",
        );
        assert_issuer(
            "https://a.example/",
            "https://a.example/",
            "https://a.example/.well-known/openid-configuration",
        );
        assert_issuer(
            "https://a.example/x",
            "https://a.example/x",
            "https://a.example/x/.well-known/openid-configuration",
        );
        assert_issuer(
            "https://a.example:8443/x/",
            "https://a.example:8443/x/",
            "https://a.example:8443/x/.well-known/openid-configuration",
        );
    }

    #[test]
    fn derives_the_identifier_from_a_well_known_uri() {
        let openid = "https://a.example/x/.well-known/openid-configuration";
        assert_issuer(openid, "https://a.example/x", openid);
        let openid_slash = "https://a.example/x//.well-known/openid-configuration";
        assert_issuer(openid_slash, "https://a.example/x/", openid_slash);
        let openid_infix = "https://a.example/.well-known/openid-configuration/x";
        assert_issuer(openid_infix, "https://a.example/x", openid_infix);
        let oauth = "https://a.example/.well-known/oauth-authorization-server/x/y/";
        assert_issuer(oauth, "https://a.example/x/y/", oauth);
        let oauth_root = "https://a.example/.well-known/oauth-authorization-server";
        assert_issuer(oauth_root, "https://a.example", oauth_root);
        let oauth_suffix = "https://a.example/x/.well-known/oauth-authorization-server";
        assert_issuer(oauth_suffix, "https://a.example/x", oauth_suffix);
    }

    #[test]
    fn refuses_what_libpq_refuses() {
        for url in [
            "https://a.example/.well-known/openid-configuration-bad",
            "https://a.example/.well-known/security.txt",
            "https://a.example/x/.well-known/openid-configuration/y",
            "https://a.example/.well-known/",
            "https://a.example/.well-known/openid-configuration?x=y",
            "https://a.example/.well-known/openid-configuration#x",
        ] {
            assert_eq!(parse(url), None, "{url}");
        }
    }

    #[test]
    fn refuses_two_well_known_parts() {
        for url in [
            "https://a.example/.well-known/openid-configuration/.well-known/openid-configuration",
            "https://a.example/.well-known/oauth-authorization-server/x/.well-known/openid-configuration",
            "https://a.example/.well-known/openid-configuration/.well-known/",
        ] {
            assert_eq!(parse(url), None, "{url}");
        }
    }

    #[test]
    fn refuses_what_is_no_issuer() {
        for url in [
            "",
            "a.example",
            "/x",
            "ftp://a.example",
            "https://",
            "https:///x",
            "http://a.example",
            "https://u@a.example",
            "https://u:p@a.example",
            "https://a.example?x",
            "https://a.example#x",
            "https://a.example/ x",
            "https://a.example/\n",
            "https://a.example:port",
            "HTTPS//a.example",
        ] {
            assert_eq!(parse(url), None, "{url}");
        }
        assert_eq!(
            parse(&format!("https://a.example/{}", "x".repeat(MAX_URL_BYTES))),
            None
        );
    }

    #[test]
    fn plain_http_is_for_loopback_only_and_on_demand() {
        for url in [
            "http://127.0.0.1:80/x",
            "http://localhost:8080",
            "http://[::1]:8080",
            "http://127.9.9.9",
        ] {
            assert!(Issuer::parse_allowing(url, true).is_ok(), "{url}");
            assert!(Issuer::parse(url).is_err(), "{url}");
        }
        for url in [
            "http://a.example",
            "http://localhost.a.example",
            "http://127.0.0.1.a.example",
            "http://10.0.0.1",
            "http://0.0.0.0",
            "http://[::]",
            "http://2130706433",
            "http://localhost@a.example",
        ] {
            assert!(Issuer::parse_allowing(url, true).is_err(), "{url}");
        }
    }
}
