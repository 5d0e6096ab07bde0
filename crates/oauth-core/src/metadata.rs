//! What a provider says about itself: OpenID Connect Discovery 1.0 §3, RFC 8414 §2.

use serde_json::Value;

use crate::issuer::{Endpoint, Issuer};
use crate::json;
use crate::printable::Printable;
use crate::reject::UnavailableCause;

/// The parts of the provider's metadata that are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderMetadata {
    jwks_uri: Endpoint,
}

impl ProviderMetadata {
    /// Parses the metadata document of `issuer`.
    ///
    /// Errors: not a JSON object; the document is another issuer's; `jwks_uri` is missing or may not be used.
    pub fn parse(bytes: &[u8], issuer: &Issuer) -> Result<Self, UnavailableCause> {
        let malformed = |why: &str| UnavailableCause::Malformed(Printable::new(why));
        let document = json::parse_object(bytes)
            .map_err(|_| malformed("the discovery document is not a JSON object"))?;
        // OpenID Connect Discovery 1.0 §4.3, RFC 8414 §3.3: the document's issuer must be the one asked for.
        let Some(Value::String(named)) = document.get("issuer") else {
            return Err(malformed("the discovery document has no \"issuer\" string"));
        };
        if named != issuer.identifier() {
            return Err(UnavailableCause::IssuerMismatch(Printable::new(named)));
        }
        let Some(Value::String(jwks_uri)) = document.get("jwks_uri") else {
            return Err(malformed(
                "the discovery document has no \"jwks_uri\" string",
            ));
        };
        let jwks_uri = issuer
            .endpoint(jwks_uri)
            .map_err(|_| UnavailableCause::BadUrl(Printable::new(jwks_uri)))?;
        Ok(ProviderMetadata { jwks_uri })
    }

    /// Where the provider's keys are.
    pub fn jwks_uri(&self) -> &Endpoint {
        &self.jwks_uri
    }
}
