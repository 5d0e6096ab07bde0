//! Answers that are late, wrong, too large, or do not come at all.

use std::time::Duration;

use rig::{
    Authority, ConnectionFault, DeafPort, Endpoint, Fault, Identity, Issuer, Key, KeyKind,
    Response, Server, oauth_line,
};
use serde_json::json;

use crate::{
    TIMEOUT, assert_available, assert_unavailable, assert_unharmed, server_of, wait_for_provider,
};

#[test]
fn fault_of_either_document_is_told_by_its_cause() {
    for builder in [Issuer::builder(), Issuer::builder().https()] {
        let issuer = builder.start();
        let server = server_of(&issuer);
        let postmaster = server.postmaster_pid();
        for endpoint in [Endpoint::Discovery, Endpoint::Jwks] {
            let document = |text: &str| Fault::Answer(Response::new(200, "application/json", text));
            for (fault, cause) in [
                (Fault::Status(500), "http_status"),
                (Fault::Status(404), "http_status"),
                (Fault::Status(401), "http_status"),
                (Fault::Status(204), "http_status"),
                (Fault::Html, "malformed"),
                (Fault::Truncated, "malformed"),
                (document(""), "malformed"),
                (document("null"), "malformed"),
                (document("[]"), "malformed"),
                (document("{}"), "malformed"),
                (document("{\"keys\":{},\"issuer\":1}"), "malformed"),
                (document(&"[".repeat(100_000)), "malformed"),
                (Fault::Redirect(301), "redirect"),
                (Fault::Redirect(302), "redirect"),
                (Fault::Redirect(303), "redirect"),
                (Fault::Redirect(307), "redirect"),
                (Fault::Redirect(308), "redirect"),
                (Fault::Oversize(256 * 1024 + 1), "too_large"),
                (Fault::Oversize(10_000_000), "too_large"),
                (Fault::Endless, "too_large"),
                (Fault::Closed, "connection"),
                (Fault::ClosedInBody, "connection"),
            ] {
                issuer.fail(endpoint, fault.clone());
                let verdict = assert_unavailable(&issuer, &server, cause);
                let url = match endpoint {
                    Endpoint::Jwks => format!("url={}/jwks ", issuer.url()),
                    _ => format!("url={}/.well-known/openid-configuration ", issuer.url()),
                };
                assert!(verdict.log.contains(&url), "{fault:?}: {}", verdict.log);
            }
            issuer.heal();
            assert_available(&issuer, &server);
        }
        assert_eq!(
            issuer.hits(Endpoint::Redirected),
            0,
            "a redirect was followed"
        );
        assert_unharmed(&server, postmaster);
    }
}

#[test]
fn provider_that_hangs_is_given_up_in_time() {
    for builder in [Issuer::builder(), Issuer::builder().https()] {
        let issuer = builder.start();
        let server = server_of(&issuer);
        wait_for_provider(&server, TIMEOUT);
        let postmaster = server.postmaster_pid();
        issuer.fail_connections(ConnectionFault::Hang);
        let waited = assert_unavailable(&issuer, &server, "timeout")
            .refusal
            .elapsed;
        assert!(waited >= TIMEOUT, "given up after {waited:?}");
        issuer.heal();
        for endpoint in [Endpoint::Discovery, Endpoint::Jwks] {
            for fault in [
                Fault::Hang,
                Fault::HangInHeaders,
                Fault::HangInBody,
                Fault::Drip(Duration::from_millis(50)),
                Fault::Delay(TIMEOUT * 4),
            ] {
                issuer.fail(endpoint, fault);
                assert_unavailable(&issuer, &server, "timeout");
            }
            issuer.heal();
        }
        wait_for_provider(&server, TIMEOUT * 20);
        assert_available(&issuer, &server);
        assert_unharmed(&server, postmaster);
    }
}

#[test]
fn requests_of_one_login_share_the_time_allowed() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer);
    wait_for_provider(&server, TIMEOUT * 4);
    // Each alone would be in time.
    issuer.fail(Endpoint::Discovery, Fault::Delay(TIMEOUT * 5 / 2));
    assert_available(&issuer, &server);
    issuer.fail(Endpoint::Jwks, Fault::Delay(TIMEOUT * 5 / 2));
    assert_unavailable(&issuer, &server, "timeout");
}

#[test]
fn provider_that_is_late_but_in_time_is_waited_for() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer);
    issuer.fail(Endpoint::Discovery, Fault::Delay(TIMEOUT));
    issuer.fail(Endpoint::Jwks, Fault::Drip(Duration::from_millis(2)));
    assert_available(&issuer, &server);
}

#[test]
fn provider_that_is_down_is_told_and_logins_go_on_when_it_is_back() {
    for builder in [Issuer::builder(), Issuer::builder().https()] {
        let issuer = builder.start();
        let server = server_of(&issuer);
        issuer.go_down();
        let verdict = assert_unavailable(&issuer, &server, "connection");
        assert!(
            verdict
                .log
                .contains("The database server itself must be able to reach this URL"),
            "{}",
            verdict.log
        );
        issuer.come_up();
        assert_available(&issuer, &server);
        issuer.fail_connections(ConnectionFault::Close);
        assert_unavailable(&issuer, &server, "connection");
        issuer.heal();
        assert_available(&issuer, &server);
    }
}

#[test]
fn host_name_that_does_not_resolve_is_told() {
    let issuer = Issuer::builder().https().start();
    let server = server_of(&issuer);
    server.set_hba(&[&oauth_line("https://no-such-host.invalid/realms/corp", "")]);
    // Where there is no name service at all, it takes its time to say so.
    server.reload_with(&[("validator.http_timeout", "60s")]);
    let verdict = server.refuses(
        "alice",
        &issuer.token("alice").encode(),
        "provider_unavailable",
    );
    assert!(
        verdict
            .log
            .contains("cause=name_resolution url=https://no-such-host.invalid/"),
        "{}",
        verdict.log
    );
}

#[test]
fn documents_that_are_as_large_as_allowed_are_read() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer);
    issuer.fail(Endpoint::Discovery, Fault::Oversize(256 * 1024));
    issuer.fail(Endpoint::Jwks, Fault::Oversize(256 * 1024));
    assert_available(&issuer, &server);
}

#[test]
fn discovery_document_of_another_issuer_is_not_believed() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer);
    let url = issuer.url().to_owned();
    for named in [
        "https://evil.test".to_owned(),
        format!("{url}/"),
        url.to_uppercase(),
        format!("{url} "),
        String::new(),
    ] {
        issuer.fail(
            Endpoint::Discovery,
            Fault::altered(move |document| document["issuer"] = json!(named)),
        );
        let verdict = assert_unavailable(&issuer, &server, "issuer_mismatch");
        assert!(
            verdict
                .log
                .contains("must equal \"issuer\" in the discovery document, byte for byte"),
            "{}",
            verdict.log
        );
    }
    for named in [json!(null), json!(1), json!([url])] {
        issuer.fail(
            Endpoint::Discovery,
            Fault::altered(move |document| document["issuer"] = named.clone()),
        );
        assert_unavailable(&issuer, &server, "malformed");
    }
    assert_eq!(issuer.hits(Endpoint::Jwks), 0, "its keys were asked for");
}

#[test]
fn keys_are_fetched_by_https_from_a_provider_that_is_reached_by_https() {
    let (issuer, plain) = (Issuer::builder().https().start(), Issuer::builder().start());
    let server = server_of(&issuer);
    for jwks_uri in [
        format!("{}/jwks", plain.url()),
        "http://idp.test/jwks".to_owned(),
        "file:///etc/passwd".to_owned(),
        "/realms/corp/jwks".to_owned(),
        "https://user@idp.test/jwks".to_owned(),
        String::new(),
    ] {
        let change = Fault::altered(move |document| document["jwks_uri"] = json!(jwks_uri));
        issuer.fail(Endpoint::Discovery, change);
        assert_unavailable(&issuer, &server, "bad_url");
    }
    issuer.fail(
        Endpoint::Discovery,
        Fault::altered(|document| document["jwks_uri"] = json!(null)),
    );
    assert_unavailable(&issuer, &server, "malformed");
    assert_eq!(plain.requests().len(), 0, "the plain http server was asked");
}

#[test]
fn https_provider_is_not_left_for_plain_http_even_where_that_is_allowed() {
    let (issuer, plain) = (Issuer::builder().https().start(), Issuer::builder().start());
    let server = server_of(&issuer);
    server.reload_with(&[("validator.allow_http", "on")]);
    let loopback = format!("{}/jwks", plain.url());
    issuer.fail(
        Endpoint::Discovery,
        Fault::altered(move |document| document["jwks_uri"] = json!(loopback)),
    );
    assert_unavailable(&issuer, &server, "bad_url");
    assert_eq!(plain.requests().len(), 0, "the plain http server was asked");
}

#[test]
fn key_set_without_a_usable_key_is_told() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer);
    let rsa = issuer.signing_key();
    let weak = Key::new(KeyKind::WeakRsa);
    for keys in [
        vec![],
        vec![Key::new(KeyKind::Secret).jwk()],
        vec![rsa.jwk_with(json!({"use": "enc"})), weak.jwk()],
        vec![json!({}), json!(1), json!(null), json!("key")],
    ] {
        issuer.publish_only(&keys);
        assert_unavailable(&issuer, &server, "no_usable_key");
    }
    // Keys that nobody can use do not harm those that are good.
    issuer.publish_only(&[json!(null), json!({"kty": "new"}), weak.jwk(), rsa.jwk()]);
    assert_available(&issuer, &server);
}

#[test]
fn certificate_that_can_not_be_trusted_is_told() {
    let authority = Authority::shared();
    let certificates: [(&str, Identity); 3] = [
        ("tls_untrusted", Authority::new("stranger").server()),
        ("tls_expired", authority.expired_server()),
        ("tls_name_mismatch", authority.server_for(&["idp.test"])),
    ];
    for (cause, certificate) in certificates {
        let issuer = Issuer::builder().https_as(certificate).start();
        let server = server_of(&issuer);
        let verdict = assert_unavailable(&issuer, &server, cause);
        assert_eq!(issuer.requests().len(), 0, "{}", verdict.log);
    }
}

#[test]
fn proxies_that_the_environment_names_are_not_used() {
    let (issuer, proxy) = (Issuer::builder().start(), Issuer::builder().start());
    let mut builder = Server::trusting(&issuer);
    for name in [
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ] {
        builder = builder.environment(name, proxy.origin());
    }
    for name in ["no_proxy", "NO_PROXY"] {
        builder = builder.environment(name, "");
    }
    let server = builder.start();
    assert_available(&issuer, &server);
    assert_eq!((issuer.requests().len(), proxy.requests().len()), (2, 0));
}

#[test]
fn provider_is_told_no_more_than_it_needs() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer);
    let token = issuer.token("alice").encode();
    server.admits("alice", &token);
    for (_, request) in issuer.requests() {
        assert_eq!(
            (request.method.as_str(), request.header("accept")),
            (
                "GET",
                Some("application/json, application/jwk-set+json, */*;q=0.1")
            )
        );
        assert_eq!(request.header("accept-encoding"), Some("identity"));
        let agent = request.header("user-agent").unwrap_or_default();
        assert!(agent.starts_with("postgresql-validator/"), "{request:?}");
        for name in ["authorization", "cookie", "referer"] {
            assert!(request.header(name).is_none(), "{request:?}");
        }
        assert!(
            !format!("{request:?}").contains(&token[..20]),
            "{request:?}"
        );
    }
}

#[test]
fn provider_that_nobody_can_connect_to_is_given_up_in_time() {
    let (issuer, deaf) = (Issuer::builder().start(), DeafPort::new());
    let server = server_of(&issuer);
    wait_for_provider(&server, TIMEOUT);
    for scheme in ["http", "https"] {
        let url = format!("{scheme}://127.0.0.1:{}/realms/corp", deaf.port());
        server.set_hba(&[&oauth_line(&url, "")]);
        server.reload();
        assert_unavailable(&issuer, &server, "timeout");
    }
}

#[test]
fn port_that_speaks_another_protocol_is_no_provider() {
    let (plain, tls) = (Issuer::builder().start(), Issuer::builder().https().start());
    let server = server_of(&tls);
    server.set("validator.allow_http", "on");
    for (url, causes) in [
        (
            plain.url().replace("http:", "https:"),
            ["connection", "tls"],
        ),
        (
            tls.url().replace("https:", "http:"),
            ["connection", "malformed"],
        ),
    ] {
        server.set_hba(&[&oauth_line(&url, "")]);
        server.reload();
        let verdict = server.refuses(
            "alice",
            &plain.token("alice").encode(),
            "provider_unavailable",
        );
        let told = |cause: &&str| verdict.log.contains(&format!("cause={cause} url={url}"));
        assert!(causes.iter().any(told), "{}", verdict.log);
    }
}

#[test]
fn headers_that_are_too_large_are_not_read() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer);
    for (count, size, cause) in [
        (1, 64 * 1024, "too_large"),
        (100, 1_000, "too_large"),
        (10_000, 1, "malformed"),
    ] {
        let mut answer = Response::json(200, &json!({"issuer": issuer.url()}));
        answer
            .headers
            .extend((0..count).map(|n| (format!("X-{n}"), "x".repeat(size))));
        issuer.fail(Endpoint::Discovery, Fault::Answer(answer));
        assert_unavailable(&issuer, &server, cause);
    }
}
