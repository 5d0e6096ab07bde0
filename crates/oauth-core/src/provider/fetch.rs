//! Asking the provider for its keys. The network itself is passed in.

use http::header::{CONTENT_ENCODING, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::basics::printable::Printable;
use crate::failure::unavailable::{Document, Unavailable, UnavailableCause};
use crate::keys::jwk::JwkSet;
use crate::provider::cache_control::parse_seconds;
use crate::provider::issuer::{Endpoint, Issuer};
use crate::provider::metadata::{self, ProviderMetadata};

/// Bytes of the largest answer that a client may return.
pub const MAX_RESPONSE_BYTES: usize = 256 * 1024;

/// RFC 9110 §12.5.1: the media types that a request for metadata or keys accepts. Some providers have only the one that
/// RFC 7517 §8.5.2 registers for key sets; of the others, the document itself shows what it is.
pub const ACCEPT_DOCUMENT: &str = "application/json, application/jwk-set+json, */*;q=0.1";

/// Sends HTTP requests.
pub trait HttpClient {
    /// Asks for `url` by GET, with [`ACCEPT_DOCUMENT`] as `Accept` and `Accept-Encoding: identity`.
    ///
    /// Follows no redirect, bounds its time, and returns at most [`MAX_RESPONSE_BYTES`] of body; a larger
    /// one is an error. An answer of any status is an answer. A date in `Retry-After` is replaced by the seconds until then.
    fn get(&self, url: &Endpoint) -> Result<Response<Vec<u8>>, UnavailableCause>;
}

/// An issuer's keys, as they came.
#[derive(Debug, Clone)]
pub struct FetchedKeys {
    /// The keys.
    pub keys: JwkSet,
    /// The header of the answer that had them, which tells how long they may be cached.
    pub headers: HeaderMap,
    /// AD FS: what the metadata says of `iss` in access tokens, if the metadata was asked.
    pub access_token_issuer: Option<String>,
}

/// Fetches the issuer's keys: from `jwks_uri`, if that is given, else from the URL in the issuer's metadata.
pub fn fetch_jwk_set(
    http: &dyn HttpClient,
    issuer: &Issuer,
    jwks_uri: Option<&Endpoint>,
) -> Result<FetchedKeys, Unavailable> {
    let metadata;
    let (jwks_uri, access_token_issuer) = match jwks_uri {
        Some(given) => (given, None),
        None => {
            metadata = fetch(http, issuer.discovery(), Document::Metadata, |_, body| {
                ProviderMetadata::parse(body, issuer)
            })?;
            (metadata.jwks_uri(), metadata.access_token_issuer())
        }
    };
    fetch(http, jwks_uri, Document::Keys, |headers, body| {
        Ok(FetchedKeys {
            keys: JwkSet::parse(body)?,
            headers: headers.clone(),
            access_token_issuer: access_token_issuer.map(str::to_owned),
        })
    })
}

/// Asks the issuer's metadata where it can be asked about a token, by a client that presents a certificate or by one
/// that does not. Also returns the header of the answer, which tells how long that may be cached.
pub fn fetch_introspection_endpoint(
    http: &dyn HttpClient,
    issuer: &Issuer,
    by_certificate: bool,
) -> Result<(Endpoint, HeaderMap), Unavailable> {
    fetch(
        http,
        issuer.discovery(),
        Document::Metadata,
        |headers, body| {
            let endpoint = metadata::parse_introspection_endpoint(body, issuer, by_certificate)?;
            Ok((endpoint, headers.clone()))
        },
    )
}

/// One request, and the parsing of its answer.
fn fetch<T>(
    http: &dyn HttpClient,
    url: &Endpoint,
    document: Document,
    parse: impl FnOnce(&HeaderMap, &[u8]) -> Result<T, UnavailableCause>,
) -> Result<T, Unavailable> {
    http.get(url)
        .and_then(|response| {
            validate_answer(&response, url, document)?;
            if response.body().len() > MAX_RESPONSE_BYTES {
                return Err(UnavailableCause::TooLarge);
            }
            validate_coding(response.headers())?;
            parse(response.headers(), response.body())
        })
        .map_err(|cause| Unavailable {
            url: Printable::new(url.as_str()),
            cause,
        })
}

/// RFC 9110 §8.4: an answer in a content coding has other bytes than the document. None was accepted.
pub fn validate_coding(headers: &HeaderMap) -> Result<(), UnavailableCause> {
    let codings: Vec<String> = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    let codings = codings.join(", ");
    let is_coded = codings
        .split(',')
        .map(str::trim)
        .any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"));
    if is_coded {
        return Err(UnavailableCause::ContentCoding(Printable::new(&codings)));
    }
    Ok(())
}

/// RFC 8414 §3.2: a successful answer has status 200. Of another, what it says about where or when to ask instead.
pub fn validate_answer<B>(
    answer: &Response<B>,
    url: &Endpoint,
    document: Document,
) -> Result<(), UnavailableCause> {
    let header = |name| {
        let value: Option<&HeaderValue> = answer.headers().get(name);
        value.map(|value| String::from_utf8_lossy(value.as_bytes()))
    };
    match answer.status() {
        StatusCode::OK => Ok(()),
        status if status.is_redirection() => {
            let to = header(LOCATION).map(|to| url.resolve(to.trim()));
            let status = status.as_u16();
            Err(UnavailableCause::redirect(status, to.as_deref(), document))
        }
        status => Err(match retry_after(header(RETRY_AFTER).as_deref()) {
            // RFC 6585 §4, RFC 9110 §15.6.4.
            Some(seconds) if [429, 503].contains(&status.as_u16()) => UnavailableCause::Busy {
                status: status.as_u16(),
                seconds,
            },
            _ => UnavailableCause::Status(status.as_u16()),
        }),
    }
}

/// RFC 9110 §10.2.3: the seconds of `Retry-After`; none if it is not a number, or zero.
fn retry_after(value: Option<&str>) -> Option<u64> {
    parse_seconds(value?.trim()).filter(|seconds| *seconds > 0)
}
