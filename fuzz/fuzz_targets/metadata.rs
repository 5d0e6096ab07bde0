//! A provider's metadata document, and whatever status comes with it: an endpoint is taken only from the issuer's own
//! document, and only https is asked, or what a test has allowed.
#![no_main]

use http::{Response, StatusCode};
use libfuzzer_sys::{Corpus, fuzz_mutator, fuzz_target};
use oauth_core::{
    Endpoint, HttpClient, Issuer, ProviderMetadata, Unavailable, UnavailableCause,
    fetch_introspection_endpoint, fetch_jwk_set,
};
use oauth_core_fuzz::case::{ISSUER, Settings};
use oauth_core_fuzz::documents::assert_metadata_read_once;
use oauth_core_fuzz::mutator;
use oauth_core_fuzz::text::{assert_printable, object, without_mark};
use serde_json::Value;
use std::cell::RefCell;

fuzz_target!(|input: &[u8]| -> Corpus {
    let mut lines = input.splitn(2, |byte| *byte == b'\n');
    let (Some(settings), Some(document)) = (lines.next().and_then(Settings::parse), lines.next())
    else {
        return Corpus::Reject;
    };
    let allow_http = settings.is_on("allow_http");
    let Ok(issuer) = Issuer::parse_allowing(settings.text("issuer").unwrap_or(ISSUER), allow_http)
    else {
        return Corpus::Reject;
    };
    assert_asked(issuer.discovery(), allow_http);
    let status = settings
        .number("status")
        .and_then(|status| StatusCode::from_u16(u16::try_from(status).ok()?).ok());
    let provider = Provider {
        status: status.unwrap_or(StatusCode::OK),
        document,
        asked: RefCell::default(),
    };

    let parsed = ProviderMetadata::parse(document, &issuer);
    if let Ok(metadata) = &parsed {
        assert_of_issuer(
            document,
            &issuer,
            "jwks_uri",
            metadata.jwks_uri(),
            allow_http,
        );
    }
    // The document is no key set, so that the second request fails.
    let keys = fetch_jwk_set(&provider, &issuer, None);
    assert_unavailable(keys.as_ref().err());
    let asked = provider.asked.take();
    assert_eq!(asked.first(), Some(issuer.discovery()));
    let jwks_uri = parsed
        .as_ref()
        .ok()
        .filter(|_| provider.status == StatusCode::OK)
        .map(ProviderMetadata::jwks_uri);
    assert_eq!(asked.get(1), jwks_uri);

    for by_certificate in [false, true] {
        let endpoint = fetch_introspection_endpoint(&provider, &issuer, by_certificate);
        assert_unavailable(endpoint.as_ref().err());
        if let Ok((endpoint, _)) = endpoint {
            assert_eq!(provider.status, StatusCode::OK);
            let name = "introspection_endpoint";
            let aliases = object(without_mark(document))
                .and_then(|document| document.get("mtls_endpoint_aliases").cloned());
            let alias = aliases
                .and_then(|aliases| aliases.get(name).cloned())
                .filter(|alias| by_certificate && !alias.is_null());
            match alias {
                Some(alias) => assert_eq!(alias.as_str(), Some(endpoint.as_str())),
                None => assert_of_issuer(document, &issuer, name, &endpoint, allow_http),
            }
            assert_asked(&endpoint, allow_http);
        }
    }
    assert!(
        provider
            .asked
            .take()
            .iter()
            .all(|url| url == issuer.discovery())
    );
    Corpus::Keep
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutator::mutate(data, size, max_size, seed)
});

/// Answers every request with the document, and takes note of it.
struct Provider<'a> {
    status: StatusCode,
    document: &'a [u8],
    asked: RefCell<Vec<Endpoint>>,
}

impl HttpClient for Provider<'_> {
    fn get(&self, url: &Endpoint) -> Result<Response<Vec<u8>>, UnavailableCause> {
        self.asked.borrow_mut().push(url.clone());
        let mut response = Response::new(self.document.to_vec());
        *response.status_mut() = self.status;
        Ok(response)
    }
}

fn assert_of_issuer(
    document: &[u8],
    issuer: &Issuer,
    name: &str,
    endpoint: &Endpoint,
    allow_http: bool,
) {
    assert_metadata_read_once(document);
    let document = object(without_mark(document)).expect("metadata is a JSON object");
    assert_eq!(
        document.get("issuer").and_then(Value::as_str),
        Some(issuer.identifier())
    );
    assert_eq!(
        document.get(name).and_then(Value::as_str),
        Some(endpoint.as_str())
    );
    let is_http = issuer
        .identifier()
        .to_ascii_lowercase()
        .starts_with("http:");
    assert_asked(endpoint, allow_http && is_http);
}

/// A URL whose host can be told without doubt, over https, or http to this host where a test has allowed it.
fn assert_asked(endpoint: &Endpoint, allow_http: bool) {
    let lower = endpoint.as_str().to_ascii_lowercase();
    assert!(lower.bytes().all(|byte| byte.is_ascii_graphic()));
    let (scheme, rest) = lower.split_once("://").expect("an absolute URL");
    let authority = rest.split(['/', '?']).next().expect("an authority");
    assert!(
        !authority.is_empty() && !authority.contains(['@', '\\', '#']),
        "{lower}"
    );
    let local = ["localhost", "127.", "[::1]", "[::ffff:127.", "[::ffff:7f"]
        .iter()
        .any(|host| authority.starts_with(host));
    assert!(
        scheme == "https"
            || (scheme == "http" && allow_http && (local || authority.starts_with("[0"))),
        "{lower}"
    );
}

fn assert_unavailable(failure: Option<&Unavailable>) {
    let Some(failure) = failure else {
        return;
    };
    assert_printable(&failure.to_string());
    let packed = failure.pack();
    let unpacked =
        Unavailable::unpack(packed.code, &packed.url, &packed.message).expect("packed by us");
    assert_eq!(
        (unpacked.cause.code(), unpacked.to_string()),
        (failure.cause.code(), failure.to_string())
    );
}
