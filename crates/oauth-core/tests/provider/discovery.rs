//! Asking the provider: OpenID Connect Discovery 1.0 §4, RFC 8414 §3; and what causes no request at all.

use crate::network::{DISCOVERY, JWKS, Network};
use court::*;
use oauth_core::{
    Endpoint, Failure, FoundKeys, Issuer, KeyReference, KeySource, MAX_RESPONSE_BYTES, Printable,
    Unavailable, UnavailableCause, fetch_jwk_set,
};
use serde_json::json;

/// A key source that asks the network each time.
struct Fetching(Network);

impl KeySource for Fetching {
    fn find_keys(&self, wanted: &KeyReference<'_>) -> Result<FoundKeys, Failure> {
        self.0.fetch()?.find_keys(wanted)
    }
}

#[test]
fn asks_for_the_metadata_and_then_for_the_keys() {
    let network = Network::sound();
    assert_eq!(network.fetch().unwrap(), key_set(&[signing_key().jwk()]));
    assert_eq!(*network.asked.borrow(), [DISCOVERY, JWKS]);
}

#[test]
fn metadata_may_be_elsewhere_and_must_be_of_the_issuer() {
    const ELSEWHERE: &str = "https://proxy.example/metadata";
    let issuer = Issuer::parse(ISSUER)
        .unwrap()
        .with_discovery(Endpoint::parse(ELSEWHERE).unwrap());
    let answer = |issuer: &str| json!({"issuer": issuer, "jwks_uri": JWKS}).to_string();
    let network = Network::sound().answering(ELSEWHERE, 200, answer(ISSUER));
    assert!(fetch_jwk_set(&network, &issuer, None).is_ok());
    assert_eq!(*network.asked.borrow(), [ELSEWHERE, JWKS]);
    let other = "https://proxy.example";
    let network = network.answering(ELSEWHERE, 200, answer(other));
    assert_eq!(
        fetch_jwk_set(&network, &issuer, None).unwrap_err().cause,
        UnavailableCause::IssuerMismatch(Printable::new(other))
    );
}

#[test]
fn asks_where_the_line_of_pg_hba_conf_says() {
    for (line, identifier, discovery) in [
        (
            "https://a.example",
            "https://a.example",
            "https://a.example/.well-known/openid-configuration",
        ),
        (
            "https://a.example/",
            "https://a.example/",
            "https://a.example/.well-known/openid-configuration",
        ),
        (
            "https://a.example/x",
            "https://a.example/x",
            "https://a.example/x/.well-known/openid-configuration",
        ),
        (
            "https://a.example/x/",
            "https://a.example/x/",
            "https://a.example/x/.well-known/openid-configuration",
        ),
        (
            "https://a.example/.well-known/oauth-authorization-server/x",
            "https://a.example/x",
            "https://a.example/.well-known/oauth-authorization-server/x",
        ),
        (
            "https://a.example/x/.well-known/openid-configuration",
            "https://a.example/x",
            "https://a.example/x/.well-known/openid-configuration",
        ),
    ] {
        let issuer = Issuer::parse(line).unwrap();
        let answer = |issuer: &str| json!({"issuer": issuer, "jwks_uri": JWKS}).to_string();
        let network = Network::sound().answering(discovery, 200, answer(identifier));
        assert!(fetch_jwk_set(&network, &issuer, None).is_ok(), "{line}");
        assert_eq!(*network.asked.borrow(), [discovery, JWKS]);
        // One slash more or less is another issuer.
        let other = match identifier.strip_suffix('/') {
            Some(shorter) => shorter.to_owned(),
            None => format!("{identifier}/"),
        };
        let network = network.answering(discovery, 200, answer(&other));
        let error = fetch_jwk_set(&network, &issuer, None).unwrap_err();
        assert_eq!(
            error.cause,
            UnavailableCause::IssuerMismatch(Printable::new(&other)),
            "{line}"
        );
    }
}

#[test]
fn only_status_200_is_an_answer() {
    for (status, code) in [
        (201, "http_status"),
        (202, "http_status"),
        (204, "http_status"),
        (206, "http_status"),
        (300, "redirect"),
        (301, "redirect"),
        (302, "redirect"),
        (303, "redirect"),
        (307, "redirect"),
        (308, "redirect"),
        (400, "http_status"),
        (401, "http_status"),
        (403, "http_status"),
        (404, "http_status"),
        (429, "http_status"),
        (500, "http_status"),
        (503, "http_status"),
        (599, "http_status"),
    ] {
        let metadata = json!({"issuer": ISSUER, "jwks_uri": JWKS}).to_string();
        let network = Network::sound().answering(DISCOVERY, status, metadata);
        assert_eq!(network.fault(), (DISCOVERY.into(), code, 1), "{status}");
        let network = Network::sound().answering(JWKS, status, document(&[signing_key().jwk()]));
        assert_eq!(network.fault(), (JWKS.into(), code, 2), "{status}");
    }
}

#[test]
fn document_may_have_256_kb_and_no_byte_more() {
    let padded = |bytes: usize| {
        let mut keys = document(&[signing_key().jwk()]);
        keys.resize(bytes, b' ');
        Network::sound().answering(JWKS, 200, keys)
    };
    assert!(padded(MAX_RESPONSE_BYTES).fetch().is_ok());
    let fault = padded(MAX_RESPONSE_BYTES + 1).fault();
    assert_eq!(fault, (JWKS.into(), "too_large", 2));
}

#[test]
fn faults_of_the_network_are_passed_on_with_the_url() {
    for cause in [
        UnavailableCause::Timeout,
        UnavailableCause::NameResolution,
        UnavailableCause::Connection(Printable::new("refused")),
        UnavailableCause::Tls(Printable::new("unknown issuer")),
        UnavailableCause::TooLarge,
    ] {
        for (url, requests) in [(DISCOVERY, 1), (JWKS, 2)] {
            let network = Network::sound().failing(url, cause.clone());
            let expected = Unavailable {
                url: Printable::new(url),
                cause: cause.clone(),
            };
            assert_eq!(network.fetch().unwrap_err(), expected);
            assert_eq!(network.asked.borrow().len(), requests);
            let decision = Court::new()
                .key_source(Fetching(network))
                .judge(&good_token().encode());
            assert_eq!(
                decision.outcome().unwrap_err(),
                &Failure::Unavailable(expected)
            );
            assert_eq!(
                (verdict_of(&decision), decision.authn_id()),
                ("provider_unavailable", None)
            );
        }
    }
}

#[test]
fn a_key_set_without_usable_keys_is_a_fault_of_the_provider() {
    for keys in [
        vec![],
        vec![Key::new(KeyKind::Secret).jwk()],
        vec![signing_key().jwk_with(json!({"use": "enc"}))],
    ] {
        let network = Network::sound().answering(JWKS, 200, document(&keys));
        assert_eq!(network.fault(), (JWKS.into(), "no_usable_key", 2));
    }
}

#[test]
fn a_good_token_costs_one_request_each_for_metadata_and_keys() {
    let network = Network::sound();
    let court = Court::new().key_source(Fetching(network.clone()));
    assert_eq!(court.verdict(&good_token()), GRANTED);
    assert_eq!(*network.asked.borrow(), [DISCOVERY, JWKS]);
    assert_eq!(
        court.verdict(&good_token().header("kid", "other")),
        "unknown_kid"
    );
    assert_eq!(network.asked.borrow().len(), 4);
}

#[test]
fn a_malformed_token_or_one_of_a_refused_algorithm_or_type_causes_no_request() {
    let court = Court::new()
        .key_source(NoKeysAsked)
        .policy(|policy| policy.algorithms("EdDSA".parse().unwrap()));
    let text = good_token().encode();
    for (text, expected) in [
        (String::new(), "not_a_jwt"),
        ("opaque".to_owned(), "not_a_jwt"),
        ("a.b.c.d.e".to_owned(), "not_a_jwt"),
        (format!("{text}="), "bad_encoding"),
        (format!("{text}."), "malformed_jwt"),
        ("x".repeat(20_000), "token_too_large"),
        (
            good_token().claim("pad", "x".repeat(16_000)).encode(),
            "token_too_large",
        ),
        (good_token().raw_header("{}").encode(), "alg_not_allowed"),
        (good_token().raw_header("[]").encode(), "header_malformed"),
        (
            good_token().header("pad", "x".repeat(8192)).encode(),
            "header_too_large",
        ),
        (
            good_token().header("alg", "none").encode(),
            "alg_not_allowed",
        ),
        (
            good_token().header("alg", "HS256").encode(),
            "alg_not_allowed",
        ),
        (
            good_token().header("alg", "RS256").encode(),
            "alg_not_allowed",
        ),
        (
            good_token().header("crit", json!(["exp"])).encode(),
            "crit_unsupported",
        ),
        (
            good_token().header("typ", "JWT").encode(),
            "typ_not_allowed",
        ),
        (
            good_token().without_header("typ").encode(),
            "typ_not_allowed",
        ),
        (
            good_token().header("kid", json!(["key-1"])).encode(),
            "header_malformed",
        ),
    ] {
        assert_eq!(court.verdict_on_text(&text), expected);
    }
}

#[test]
fn servers_are_the_same_if_scheme_host_and_port_are() {
    let endpoint = |url| Endpoint::parse_allowing(url, true).unwrap();
    let own = endpoint("https://idp.example.com/realms/corp");
    for same in [
        "https://idp.example.com",
        "https://idp.example.com:443/keys?x=1",
        "HTTPS://IDP.Example.COM/",
    ] {
        assert!(endpoint(same).has_origin_of(&own), "{same}");
        assert!(own.has_origin_of(&endpoint(same)), "{same}");
    }
    for other in [
        "https://idp.example.com:8443/realms/corp",
        "https://idp.example.com.evil.test/realms/corp",
        "https://example.com/realms/corp",
        "https://evil.test/idp.example.com",
        "https://idp.example.com./realms/corp",
        "https://evil.test/?https://idp.example.com/",
    ] {
        assert!(!endpoint(other).has_origin_of(&own), "{other}");
    }
    let plain = endpoint("http://127.0.0.1/");
    assert!(plain.has_origin_of(&endpoint("http://127.0.0.1:80/keys")));
    assert!(!plain.has_origin_of(&endpoint("https://127.0.0.1/")));
    assert!(!plain.has_origin_of(&endpoint("http://localhost/")));
}
