//! What a provider says about itself: OpenID Connect Discovery 1.0 §3 and §4.3, RFC 8414 §2 and §3.3.

use crate::network::{DISCOVERY, JWKS, Network};
use court::*;
use oauth_core::{
    Issuer, MetadataRemarks, ProviderMetadata, UnavailableCause, fetch_introspection_endpoint,
};
use serde_json::{Value, json};

/// The cause that a metadata document is refused for.
fn metadata_fault(document: impl AsRef<[u8]>) -> &'static str {
    let issuer = Issuer::parse(ISSUER).unwrap();
    ProviderMetadata::parse(document.as_ref(), &issuer)
        .map_or_else(|cause| cause.code(), |_| "none")
}

fn metadata_with_jwks_uri(jwks_uri: impl Into<Value>) -> String {
    json!({"issuer": ISSUER, "jwks_uri": jwks_uri.into()}).to_string()
}

#[test]
fn the_metadata_must_be_of_the_issuer() {
    for issuer in [
        "",
        "https://issuer.example/realm/",
        "https://issuer.example",
        "https://ISSUER.example/realm",
        "https://attacker.example",
        "https://issuer.example/realm\u{0}",
        "https://issuer.example/{tenantid}",
        DISCOVERY,
    ] {
        let document = json!({"issuer": issuer, "jwks_uri": JWKS}).to_string();
        assert_eq!(metadata_fault(&document), "issuer_mismatch", "{issuer:?}");
        let network = Network::sound().answering(DISCOVERY, 200, document);
        assert_eq!(network.fault(), (DISCOVERY.into(), "issuer_mismatch", 1));
    }
    for issuer in all_but_strings() {
        let document = json!({"issuer": issuer, "jwks_uri": JWKS}).to_string();
        assert_eq!(metadata_fault(document), "malformed", "{issuer}");
    }
    assert_eq!(
        metadata_fault(json!({"jwks_uri": JWKS}).to_string()),
        "malformed"
    );
}

#[test]
fn the_keys_may_be_elsewhere_but_by_https() {
    for uri in [
        JWKS,
        "https://other.example/",
        "https://other.example",
        "https://issuer.example:8443/a?b=c&d=%20",
        "https://[::1]/jwks",
    ] {
        let issuer = Issuer::parse(ISSUER).unwrap();
        let metadata =
            ProviderMetadata::parse(metadata_with_jwks_uri(uri).as_bytes(), &issuer).unwrap();
        assert_eq!(metadata.jwks_uri().as_str(), uri);
    }
    for uri in [
        "",
        "/jwks",
        "jwks",
        "//keys.example/jwks",
        "http://keys.example/jwks",
        "http://127.0.0.1/jwks",
        "ftp://keys.example/",
        "file:///etc/passwd",
        "data:application/json,{}",
        "https://",
        "https:///jwks",
        "https://keys.example/#x",
        "https://user@keys.example/",
        "https://user:password@keys.example/",
        "https://keys.example:0/",
        "https://keys.example/\r\nX: y",
        "https://keys.example/ x",
        " https://keys.example/",
        "https://keys.example:port/",
        "unix:/tmp/x",
        "https://a\\b/",
    ] {
        let network = Network::sound().answering(DISCOVERY, 200, metadata_with_jwks_uri(uri));
        assert_eq!(network.fault(), (DISCOVERY.into(), "bad_url", 1), "{uri:?}");
    }
    for uri in all_but_strings() {
        assert_eq!(
            metadata_fault(metadata_with_jwks_uri(uri.clone())),
            "malformed",
            "{uri}"
        );
    }
    assert_eq!(
        metadata_fault(json!({"issuer": ISSUER}).to_string()),
        "malformed"
    );
}

#[test]
fn issuer_of_access_tokens_is_told_as_it_is_written() {
    let named = |member: &str| {
        let document = format!(r#"{{"issuer":"{ISSUER}","jwks_uri":"{JWKS}"{member}}}"#);
        let issuer = Issuer::parse(ISSUER).unwrap();
        ProviderMetadata::parse(document.as_bytes(), &issuer)
            .map(|metadata| metadata.access_token_issuer().map(str::to_owned))
    };
    let name = "http://fs.corp.example/adfs/services/trust";
    let member = format!(r#","access_token_issuer":"{name}""#);
    assert_eq!(named(&member), Ok(Some(name.to_owned())));
    assert_eq!(named(""), Ok(None));
    for value in all_but_strings().into_iter().chain([json!("")]) {
        let member = format!(r#","access_token_issuer":{value}"#);
        assert_eq!(named(&member), Ok(None), "{value}");
    }
    // It is read, so that it must not be repeated.
    let twice = format!(r#"{member},"access_token_issuer":"https://attacker.example""#);
    assert_eq!(named(&twice).unwrap_err().code(), "malformed");
    // The document's own issuer is compared as before.
    let document = json!({"issuer": name, "jwks_uri": JWKS, "access_token_issuer": ISSUER});
    assert_eq!(metadata_fault(document.to_string()), "issuer_mismatch");
}

#[test]
fn remarks_are_read_where_they_are_plain_and_never_refuse_a_document() {
    const BINDS: &str = "tls_client_certificate_bound_access_tokens";
    let told = |document: &str| MetadataRemarks::parse(document.as_bytes());
    let nothing = MetadataRemarks::default();
    assert!(!nothing.binds_tokens && nothing.introspection_endpoints.is_empty());
    let full = json!({
        "introspection_endpoint": "https://a.example/i",
        "mtls_endpoint_aliases": {"introspection_endpoint": "https://b.example/i"},
        BINDS: true,
    });
    let found = told(&full.to_string());
    assert!(found.binds_tokens);
    assert_eq!(
        found.introspection_endpoints,
        ["https://a.example/i", "https://b.example/i"]
    );
    for value in all_but_strings().into_iter().filter(|value| *value != true) {
        let odd = json!({
            "introspection_endpoint": value,
            "mtls_endpoint_aliases": value,
            BINDS: value,
        });
        assert_eq!(told(&odd.to_string()), nothing, "{value}");
    }
    assert!(!told(&json!({BINDS: "true"}).to_string()).binds_tokens);
    for broken in ["", "[]", "{", "null"] {
        assert_eq!(told(broken), nothing, "{broken}");
    }
    // Nothing is known of what is said twice, and a login reads the document all the same.
    let twice =
        format!(r#"{{"issuer":"{ISSUER}","jwks_uri":"{JWKS}","{BINDS}":true,"{BINDS}":false}}"#);
    assert_eq!(told(&twice), nothing);
    assert_eq!(metadata_fault(&twice), "none");
}

#[test]
fn plain_http_to_loopback_is_for_issuers_that_allow_it() {
    let issuer = Issuer::parse_allowing("http://127.0.0.1:8080", true).unwrap();
    let parse = |uri: &str| {
        let document = json!({"issuer": "http://127.0.0.1:8080", "jwks_uri": uri}).to_string();
        ProviderMetadata::parse(document.as_bytes(), &issuer)
            .map_or_else(|cause| cause.code(), |_| "none")
    };
    for (uri, expected) in [
        ("http://127.0.0.1:8080/jwks", "none"),
        ("http://localhost:1/jwks", "none"),
        ("http://[::1]/jwks", "none"),
        ("https://keys.example/jwks", "none"),
        ("http://keys.example/jwks", "bad_url"),
        ("http://10.0.0.1/jwks", "bad_url"),
        ("http://169.254.169.254/latest", "bad_url"),
        ("http://localhost.attacker.example/", "bad_url"),
        ("http://127.0.0.1@attacker.example/", "bad_url"),
        ("http://0.0.0.0/", "bad_url"),
    ] {
        assert_eq!(parse(uri), expected, "{uri}");
    }
}

#[test]
fn documents_that_are_no_json_object_are_malformed() {
    let good = metadata_with_jwks_uri(JWKS);
    for document in [
        "".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        format!("[{good}]"),
        "<!DOCTYPE html><html><body>Sign in</body></html>".to_owned(),
        good[..good.len() / 2].to_owned(),
        good[..good.len() - 1].to_owned(),
        format!("{good}{good}"),
        format!("\u{feff}\u{feff}{good}"),
        format!("{{\"issuer\":\"{ISSUER}\",{}", &good[1..]),
        format!(
            "{{\"x\":{}{},{}",
            "[".repeat(64),
            "]".repeat(64),
            &good[1..]
        ),
        "{\"a\":".repeat(40_000),
    ] {
        let shown: String = document.chars().take(60).collect();
        let network = Network::sound().answering(DISCOVERY, 200, document.clone());
        assert_eq!(
            network.fault(),
            (DISCOVERY.into(), "malformed", 1),
            "{shown}"
        );
        let network = Network::sound().answering(JWKS, 200, document);
        assert_eq!(network.fault(), (JWKS.into(), "malformed", 2), "{shown}");
    }
    let invalid_utf8 = [good.trim_end_matches('}').as_bytes(), b",\"x\":\"\xff\"}"].concat();
    assert_eq!(metadata_fault(invalid_utf8), "malformed");
}

#[test]
fn other_members_of_the_metadata_are_of_no_interest() {
    let document = json!({
        "issuer": ISSUER, "jwks_uri": JWKS, "jwks": {"keys": []}, "id_token_signing_alg_values_supported": ["none"],
        "token_endpoint": 7, "": null,
    });
    assert_eq!(metadata_fault(document.to_string()), "none");
}

#[test]
fn what_is_not_read_of_the_metadata_may_be_repeated_and_what_is_read_may_not() {
    const INTROSPECT: &str = "https://issuer.example/introspect";
    let fault = |members: &str| {
        let document = format!(
            "{{\"issuer\":\"{ISSUER}\",\"jwks_uri\":\"{JWKS}\",\"introspection_endpoint\":\"{INTROSPECT}\",\
             \"mtls_endpoint_aliases\":{{\"introspection_endpoint\":\"{INTROSPECT}\"}},{members}}}"
        );
        let network = Network::default().answering(DISCOVERY, 200, document.clone());
        let issuer = Issuer::parse(ISSUER).unwrap();
        for by_certificate in [false, true] {
            let endpoint = fetch_introspection_endpoint(&network, &issuer, by_certificate);
            let code = endpoint.map_or_else(|failure| failure.cause.code(), |_| "none");
            assert_eq!(code, metadata_fault(&document), "{members}");
        }
        metadata_fault(document)
    };
    for members in [
        r#""claims_supported":["sub"],"claims_supported":["sub","aud"]"#,
        r#""x":1,"\u0078":2"#,
        r#""x":{"issuer":1,"issuer":2}"#,
        r#""x":[{"jwks_uri":1,"jwks_uri":2}]"#,
    ] {
        assert_eq!(fault(members), "none", "{members}");
    }
    for members in [
        r#""issuer":"https://issuer.example/realm""#,
        r#""issuer":null"#,
        r#""\u0069ssuer":"https://attacker.example""#,
        r#""jwks_uri":"https://keys.example/jwks""#,
        r#""jwks_uri":"https://attacker.example/""#,
        r#""introspection_endpoint":null"#,
        r#""mtls_endpoint_aliases":{}"#,
    ] {
        assert_eq!(fault(members), "malformed", "{members}");
    }
    let aliases = r#"{"introspection_endpoint":1,"introspection_endpoint":2}"#;
    let document = format!(
        "{{\"issuer\":\"{ISSUER}\",\"jwks_uri\":\"{JWKS}\",\"mtls_endpoint_aliases\":{aliases}}}"
    );
    assert_eq!(metadata_fault(document), "malformed");
}

#[test]
fn a_byte_order_mark_before_either_document_is_ignored() {
    let mark = |document: &[u8]| ["\u{feff}".as_bytes(), document].concat();
    let network = Network::sound()
        .answering(
            DISCOVERY,
            200,
            mark(metadata_with_jwks_uri(JWKS).as_bytes()),
        )
        .answering(JWKS, 200, mark(&document(&[signing_key().jwk()])));
    let keys = network.fetch().unwrap();
    assert_eq!(
        Court::new().key_source(keys).verdict(&good_token()),
        GRANTED
    );
    let other = json!({"issuer": "https://attacker.example", "jwks_uri": JWKS}).to_string();
    assert_eq!(metadata_fault(mark(other.as_bytes())), "issuer_mismatch");
}

#[test]
fn an_answer_in_a_content_coding_is_refused_for_that() {
    let fault = |codings: &[&'static str]| {
        let mut network = Network::sound();
        network.headers = codings
            .iter()
            .map(|coding| ("content-encoding", *coding))
            .collect();
        network
            .fetch()
            .err()
            .map(|failure| failure.cause.to_string())
    };
    for codings in [&[][..], &["identity"], &["IDENTITY", " identity ,"], &[""]] {
        assert_eq!(fault(codings), None, "{codings:?}");
    }
    for (codings, told) in [
        (&["gzip"][..], "gzip"),
        (&["X-GZIP"], "X-GZIP"),
        (&["br"], "br"),
        (&["identity", "zstd"], "identity, zstd"),
        (&["deflate, gzip"], "deflate, gzip"),
        (&["un\u{f6}known"], "un\u{f6}known"),
    ] {
        let told = format!("answer has the content coding \"{told}\", which was not asked for");
        assert_eq!(fault(codings), Some(told));
    }
    // What the status says is more than the coding of the page that comes with it.
    let mut network = Network::sound().answering(JWKS, 503, "");
    network.headers = vec![("content-encoding", "gzip")];
    assert_eq!(network.fault(), (DISCOVERY.into(), "content_coding", 1));
    let network = Network {
        headers: network.headers,
        ..Network::sound().answering(DISCOVERY, 503, "")
    };
    assert_eq!(network.fault(), (DISCOVERY.into(), "http_status", 1));
}

#[test]
fn an_unusable_url_is_told_in_printable_form() {
    let network = Network::sound().answering(
        DISCOVERY,
        200,
        metadata_with_jwks_uri("https://a\nLOG: \"x\""),
    );
    let UnavailableCause::BadUrl(url) = network.fetch().unwrap_err().cause else {
        panic!("not bad_url");
    };
    assert_eq!(url.as_str(), r#"https://a\u{a}LOG: \"x\""#);
}

/// Where this metadata sends a client that introspects; else the cause of the failure.
fn introspection_endpoint(members: Value, by_certificate: bool) -> Result<String, &'static str> {
    let mut document = json!({"issuer": ISSUER});
    let all = document.as_object_mut().unwrap();
    all.extend(members.as_object().unwrap().clone());
    let network = Network::default().answering(DISCOVERY, 200, document.to_string());
    fetch_introspection_endpoint(&network, &Issuer::parse(ISSUER).unwrap(), by_certificate)
        .map(|(endpoint, _)| endpoint.as_str().to_owned())
        .map_err(|failure| failure.cause.code())
}

#[test]
fn the_introspection_endpoint_may_be_another_for_a_client_with_a_certificate() {
    const PLAIN: &str = "https://issuer.example/introspect";
    const ALIAS: &str = "https://mtls.issuer.example/introspect";
    let both = json!({
        "introspection_endpoint": PLAIN,
        "mtls_endpoint_aliases": {"introspection_endpoint": ALIAS},
    });
    assert_eq!(
        introspection_endpoint(both.clone(), false),
        Ok(PLAIN.into())
    );
    assert_eq!(introspection_endpoint(both.clone(), true), Ok(ALIAS.into()));
    for aliases in [
        json!(null),
        json!(1),
        json!({}),
        json!({"token_endpoint": ALIAS}),
        json!({"introspection_endpoint": null}),
    ] {
        let mut metadata = both.clone();
        metadata["mtls_endpoint_aliases"] = aliases;
        assert_eq!(introspection_endpoint(metadata, true), Ok(PLAIN.into()));
    }
    // What cannot be used is not replaced by where the certificate would not be asked for.
    for (alias, fault) in [
        (json!("http://mtls.issuer.example/introspect"), "bad_url"),
        (json!(1), "malformed"),
    ] {
        let mut metadata = both.clone();
        metadata["mtls_endpoint_aliases"]["introspection_endpoint"] = alias;
        assert_eq!(introspection_endpoint(metadata, true), Err(fault));
    }
    assert_eq!(introspection_endpoint(json!({}), false), Err("malformed"));
    assert_eq!(
        introspection_endpoint(
            json!({"introspection_endpoint": "http://issuer.example/"}),
            false
        ),
        Err("bad_url")
    );
}
