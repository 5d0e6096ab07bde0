//! What a provider says about itself: OpenID Connect Discovery 1.0 §3, RFC 8414 §2.

use serde_json::Value;

use crate::basics::json::{self, Object};
use crate::basics::printable::Printable;
use crate::failure::unavailable::UnavailableCause;
use crate::provider::issuer::{Endpoint, Issuer};

/// The members that are read.
const MEMBERS: json::Members<'static> = &[
    &[
        "issuer",
        "jwks_uri",
        INTROSPECTION_ENDPOINT,
        ALIASES,
        "access_token_issuer",
    ],
    &[INTROSPECTION_ENDPOINT],
];
const INTROSPECTION_ENDPOINT: &str = "introspection_endpoint";
const ALIASES: &str = "mtls_endpoint_aliases";

/// The parts of the provider's metadata that are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderMetadata {
    jwks_uri: Endpoint,
    access_token_issuer: Option<String>,
}

impl ProviderMetadata {
    /// Parses the metadata document of `issuer`.
    ///
    /// Errors: not a JSON object; the document is another issuer's; `jwks_uri` is missing or may not be used.
    pub fn parse(bytes: &[u8], issuer: &Issuer) -> Result<Self, UnavailableCause> {
        let document = parse_document(bytes, issuer)?;
        let jwks_uri = parse_endpoint(&document, "jwks_uri", issuer)?;
        let access_token_issuer = document.get("access_token_issuer").and_then(Value::as_str);
        let access_token_issuer = access_token_issuer.filter(|name| !name.is_empty());
        Ok(ProviderMetadata {
            jwks_uri,
            access_token_issuer: access_token_issuer.map(str::to_owned),
        })
    }

    /// Where the provider's keys are.
    pub fn jwks_uri(&self) -> &Endpoint {
        &self.jwks_uri
    }

    /// AD FS: `iss` of its access tokens, which is not the issuer. It is a name, not a URL that may be asked. `None`:
    /// the document does not name one, or not as a non-empty string.
    pub fn access_token_issuer(&self) -> Option<&str> {
        self.access_token_issuer.as_deref()
    }
}

/// What the metadata says that no login goes by, and that shows whether settings fit it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetadataRemarks {
    /// RFC 8414 §2, RFC 8705 §5: where tokens can be asked about, with and without a client's certificate.
    pub introspection_endpoints: Vec<String>,
    /// RFC 8705 §3.3: the provider can bind access tokens to the certificates of clients.
    pub binds_tokens: bool,
}

impl MetadataRemarks {
    /// What a metadata document says. Of a document that cannot be read, or says one of this twice, nothing is known.
    pub fn parse(bytes: &[u8]) -> Self {
        const BINDS: &str = "tls_client_certificate_bound_access_tokens";
        const NAME: &str = INTROSPECTION_ENDPOINT;
        const READ: json::Members<'static> = &[&[NAME, ALIASES, BINDS], &[NAME]];
        let Ok(document) = json::parse_document(bytes, READ) else {
            return MetadataRemarks::default();
        };
        let alias = document.get(ALIASES).and_then(|aliases| aliases.get(NAME));
        let named = [document.get(NAME), alias].into_iter().flatten();
        MetadataRemarks {
            introspection_endpoints: named
                .filter_map(|url| url.as_str().map(str::to_owned))
                .collect(),
            binds_tokens: document.get(BINDS) == Some(&Value::Bool(true)),
        }
    }
}

/// RFC 8414 §2: where the provider can be asked about a token (RFC 7662). A provider of opaque tokens need not have
/// keys, so nothing else is checked. RFC 8705 §5: a client that presents a certificate goes to the alias for such
/// clients, where there is one.
pub(crate) fn parse_introspection_endpoint(
    bytes: &[u8],
    issuer: &Issuer,
    by_certificate: bool,
) -> Result<Endpoint, UnavailableCause> {
    const NAME: &str = INTROSPECTION_ENDPOINT;
    let document = parse_document(bytes, issuer)?;
    let aliases = document.get(ALIASES);
    match aliases.and_then(Value::as_object) {
        Some(aliases) if by_certificate && aliases.get(NAME).is_some_and(|url| !url.is_null()) => {
            parse_endpoint(aliases, NAME, issuer)
        }
        _ => parse_endpoint(&document, NAME, issuer),
    }
}

fn parse_document(bytes: &[u8], issuer: &Issuer) -> Result<Object, UnavailableCause> {
    let document = json::parse_document(bytes, MEMBERS)
        .map_err(|error| malformed(&format!("the discovery document {}", error.describe())))?;
    // OpenID Connect Discovery 1.0 §4.3, RFC 8414 §3.3: the document's issuer must be the one asked for.
    let Some(Value::String(named)) = document.get("issuer") else {
        return Err(malformed("the discovery document has no \"issuer\" string"));
    };
    if named != issuer.identifier() {
        return Err(UnavailableCause::IssuerMismatch(Printable::new(named)));
    }
    Ok(document)
}

fn parse_endpoint(
    document: &Object,
    name: &str,
    issuer: &Issuer,
) -> Result<Endpoint, UnavailableCause> {
    let Some(Value::String(url)) = document.get(name) else {
        return Err(malformed(&format!(
            "the discovery document has no \"{name}\" string"
        )));
    };
    issuer
        .endpoint(url)
        .map_err(|_| UnavailableCause::BadUrl(Printable::new(url)))
}

fn malformed(why: &str) -> UnavailableCause {
    UnavailableCause::Malformed(Printable::new(why))
}
