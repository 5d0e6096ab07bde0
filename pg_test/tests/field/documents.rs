//! How providers serve metadata and keys: media types, codings, framing, byte order marks, repeated members.

use std::fs;

use rig::{Endpoint, Fault, Issuer, Request, Response, Server, scratch};

use crate::{admits, refuses, start};

const DOCUMENTS: [Endpoint; 2] = [Endpoint::Discovery, Endpoint::Jwks];

/// Whether a request's `Accept` names this type, or any.
fn accepts(request: &Request, media_type: &str) -> bool {
    let accept = request.header("accept").unwrap_or("*/*");
    accept
        .split(',')
        .filter_map(|range| range.split(';').next())
        .any(|range| [media_type, "*/*"].contains(&range.trim()))
}

/// A provider that has the right answer in this type only.
fn only_as(media_type: &'static str) -> Fault {
    Fault::negotiated(move |request, right| match accepts(request, media_type) {
        true => Response::new(200, media_type, right.body),
        false => Response::new(406, "text/plain", "Not Acceptable"),
    })
}

#[test]
fn document_may_be_of_any_media_type() {
    let (issuer, server) = start();
    let token = issuer.token("alice").encode();
    for endpoint in DOCUMENTS {
        for media_type in [
            "application/json",
            "application/jwk-set+json",
            "text/plain; charset=utf-8",
            "application/octet-stream",
        ] {
            issuer.fail(endpoint, only_as(media_type));
            admits(&server, &token);
        }
        issuer.fail(endpoint, Fault::Html);
        let log = refuses(&server, &token, "provider_unavailable");
        assert!(log.contains("cause=malformed"), "{log}");
        issuer.fail(endpoint, Fault::Status(406));
        let log = refuses(&server, &token, "provider_unavailable");
        assert!(log.contains("HTTP status 406"), "{log}");
        issuer.heal();
    }
}

/// A provider that compresses unless it is told not to, or even then.
fn compressing(always: bool) -> Fault {
    Fault::negotiated(move |request, mut right| {
        if always || request.header("accept-encoding") != Some("identity") {
            let coding = ("Content-Encoding".to_owned(), "gzip".to_owned());
            right.headers.push(coding);
            right.body = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03".to_vec();
        }
        right
    })
}

#[test]
fn provider_is_told_not_to_compress_and_the_cause_names_a_coding_that_comes_nevertheless() {
    let (issuer, server) = start();
    let token = issuer.token("alice").encode();
    for endpoint in DOCUMENTS {
        issuer.fail(endpoint, compressing(false));
        admits(&server, &token);
        issuer.fail(endpoint, compressing(true));
        let log = refuses(&server, &token, "provider_unavailable");
        for told in ["cause=content_coding", "content coding \"gzip\""] {
            assert!(log.contains(told), "{log}");
        }
        issuer.heal();
    }
}

#[test]
fn introspection_response_is_not_compressed_either() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .set("validator.introspection", "opaque")
        .set("validator.introspection_cache_ttl", "0")
        .set("validator.client_id", "postgres")
        .set("validator.client_auth_method", "none")
        .start();
    let token = issuer.opaque_token("alice");
    issuer.fail(Endpoint::Introspection, compressing(false));
    server.admits("alice", &token);
    issuer.fail(
        Endpoint::Introspection,
        Fault::negotiated(|_, right| {
            let marked = ["\u{feff}".as_bytes(), &right.body].concat();
            Response::new(200, "application/json", marked)
        }),
    );
    server.admits("alice", &token);
    server.refuses("alice", "opaque-and-unknown", "token_inactive");
    issuer.fail(Endpoint::Introspection, compressing(true));
    let verdict = server.refuses("alice", &token, "provider_unavailable");
    assert!(verdict.log.contains("content_coding"), "{}", verdict.log);
}

/// Status line and headers that say nothing of the length, and the rest of the answer.
fn answer(head: &str, rest: &[u8]) -> Vec<u8> {
    [head.as_bytes(), b"\r\n\r\n", rest].concat()
}

/// A body in chunks of 100 bytes, with extensions and trailers (RFC 9112 §7.1).
fn chunked(body: &[u8]) -> Vec<u8> {
    let mut chunks = Vec::new();
    for chunk in body.chunks(100) {
        let size = format!("{:x};a=\"b\";c\r\n", chunk.len());
        chunks.extend([size.as_bytes(), chunk, b"\r\n"].concat());
    }
    chunks.extend(b"0;last\r\nX-Checksum: 1\r\nX-Other: 2\r\n\r\n");
    chunks
}

#[test]
fn answer_may_be_framed_in_every_way_of_http() {
    let (issuer, server) = start();
    let token = issuer.token("alice").encode();
    let padded = |right: Response| [b" \r\n\t\n", &right.body[..], b"\n \n"].concat();
    let framings = [
        Fault::bytes(|right| {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\
                Trailer: X-Checksum";
            answer(head, &chunked(&right.body))
        }),
        Fault::bytes(|right| {
            answer(
                "HTTP/1.0 200 OK\r\nContent-Type: application/json",
                &right.body,
            )
        }),
        Fault::bytes(|right| answer("HTTP/1.1 200 OK\r\nConnection: close", &right.body)),
        Fault::bytes(move |right| answer("HTTP/1.0 200", &padded(right))),
        Fault::negotiated(move |_, right| Response::new(200, "text/plain", padded(right))),
    ];
    for endpoint in DOCUMENTS {
        for framing in &framings {
            issuer.fail(endpoint, framing.clone());
            admits(&server, &token);
        }
        // A body that ends within a chunk is not whole.
        issuer.fail(
            endpoint,
            Fault::bytes(|right| {
                let whole = chunked(&right.body);
                let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close";
                answer(head, &whole[..whole.len() / 2])
            }),
        );
        refuses(&server, &token, "provider_unavailable");
        issuer.heal();
    }
}

/// The right document, as text that is written otherwise.
fn rewritten(change: impl Fn(&str) -> String + Send + Sync + 'static) -> Fault {
    Fault::negotiated(move |_, right| {
        let text = String::from_utf8(right.body).expect("JSON is text");
        Response::new(right.status, "application/json", change(&text))
    })
}

#[test]
fn byte_order_mark_before_a_document_is_ignored() {
    let (issuer, server) = start();
    let token = issuer.token("alice").encode();
    for endpoint in DOCUMENTS {
        issuer.fail(endpoint, rewritten(|text| format!("\u{feff}{text}")));
        admits(&server, &token);
        issuer.fail(
            endpoint,
            rewritten(|text| format!("\u{feff}\u{feff}{text}")),
        );
        refuses(&server, &token, "provider_unavailable");
        issuer.heal();
    }
}

#[test]
fn byte_order_mark_before_a_key_file_is_ignored() {
    let issuer = Issuer::builder().start();
    let path = scratch::new_folder("jwks").join("keys.json");
    let keys = format!("{{\"keys\":[{}]}}", issuer.signing_key().jwk());
    fs::write(&path, format!("\u{feff}{keys}")).expect("the file can be written");
    let server = Server::trusting(&issuer)
        .set("validator.jwks_file", &path.display().to_string())
        .start();
    let token = issuer.token("alice").encode();
    admits(&server, &token);
    fs::write(&path, format!("\u{feff}\u{feff}{keys}")).expect("the file can be written");
    refuses(&server, &token, "setting_invalid");
    assert_eq!(issuer.requests().len(), 0);
}

#[test]
fn repeated_member_counts_only_where_it_is_read() {
    let (issuer, server) = start();
    let token = issuer.token("alice").encode();
    let with = |members: &'static str| {
        rewritten(move |text| text.replacen('{', &format!("{{{members},"), 1))
    };
    let in_key = |members: &'static str| {
        rewritten(move |text| text.replacen("\"kty\"", &format!("{members},\"kty\""), 1))
    };
    for (endpoint, fault) in [
        (
            Endpoint::Discovery,
            with(r#""claims_supported":["sub"],"claims_supported":[]"#),
        ),
        (Endpoint::Discovery, with(r#""x":{"issuer":1,"issuer":2}"#)),
        (Endpoint::Jwks, with(r#""x":1,"x":2"#)),
        (Endpoint::Jwks, in_key(r#""x5c":[],"x5c":["AA"]"#)),
    ] {
        issuer.fail(endpoint, fault);
        admits(&server, &token);
        issuer.heal();
    }
    for (endpoint, fault) in [
        (
            Endpoint::Discovery,
            with(r#""issuer":"https://attacker.example""#),
        ),
        (
            Endpoint::Discovery,
            with(r#""jwks_uri":"https://attacker.example""#),
        ),
        (Endpoint::Jwks, with(r#""keys":[]"#)),
        (Endpoint::Jwks, in_key(r#""kty":"RSA""#)),
        (Endpoint::Jwks, in_key(r#""use":"sig","use":"sig""#)),
    ] {
        issuer.fail(endpoint, fault);
        let log = refuses(&server, &token, "provider_unavailable");
        assert!(log.contains("has a member twice"), "{log}");
        issuer.heal();
    }
    admits(&server, &token);
}
