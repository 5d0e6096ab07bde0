//! A proxy that fails: the login is refused in time, the log says that it was the proxy, and nothing is lost.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use rig::{DeafPort, Endpoint, Login, Proxy, ProxyFault};

use crate::net_proxy::{hidden_issuer, refuses, server_behind};

/// Far more than it takes on a busy machine, far less than a login would wait.
const MARGIN: Duration = Duration::from_secs(5);

#[test]
fn proxy_that_fails_is_told_from_the_provider() {
    let proxy = Proxy::start();
    let issuer = hidden_issuer(&proxy);
    let server = server_behind(&proxy, &issuer)
        .set("validator.http_timeout", "20s")
        .start();
    let answer = |text: &str| ProxyFault::Answer(text.as_bytes().to_vec());
    let endless = format!(
        "HTTP/1.1 200 OK\r\n{}",
        "X-Filler: 0123456789\r\n".repeat(2000)
    );
    for (fault, why) in [
        (answer("HTTP/1.1 403 Forbidden\r\n\r\n"), "HTTP status 403"),
        (
            answer("HTTP/1.1 503 Busy\r\nRetry-After: 1\r\n\r\n"),
            "HTTP status 503",
        ),
        (
            answer("HTTP/1.1 302 Found\r\nLocation: https://x.invalid/\r\n\r\n"),
            "HTTP status 302",
        ),
        (answer("SSH-2.0-OpenSSH_9.2\r\n"), "is not HTTP/1"),
        (answer("HTTP/1.1 2000 OK\r\n\r\n"), "is not HTTP/1"),
        (
            answer("HTTP/1.1 200 OK\r\nX: half"),
            "closed the connection",
        ),
        (
            answer("\u{15}\u{3}\u{3}\u{0}\u{2}\u{2}\u{28}"),
            "is not HTTP/1",
        ),
        (answer(&endless), "is too large"),
        (ProxyFault::Cut, "closed the connection"),
    ] {
        proxy.fail(Some(fault.clone()));
        let start = Instant::now();
        let message = format!("proxy {} failed: ", proxy.url());
        let parts = ["cause=proxy_failed", &message, why, "HINT:  The proxy of"];
        refuses(&server, &issuer, "provider_unavailable", &parts);
        assert!(start.elapsed() < MARGIN, "{fault:?}: {:?}", start.elapsed());
    }
    assert_eq!(issuer.requests().len(), 0, "the provider was asked");
    // What follows an open tunnel may be the provider's fault.
    proxy.fail(Some(ProxyFault::CutTunnel));
    let through = format!("(through proxy {})", proxy.url());
    let parts = ["cause=connection", &through];
    refuses(&server, &issuer, "provider_unavailable", &parts);

    proxy.fail(Some(ProxyFault::Answer(b"HTTP/1.0 204\n\n".to_vec())));
    refuses(
        &server,
        &issuer,
        "provider_unavailable",
        &["cause=connection"],
    );
    proxy.fail(None);
    server.forget_keys();
    server.admits("alice", &issuer.token("alice").encode());
    assert_eq!(issuer.hits(Endpoint::Jwks), 1);
}

#[test]
fn proxy_that_cannot_be_reached_is_named() {
    let proxy = Proxy::start();
    let issuer = hidden_issuer(&proxy);
    let server = server_behind(&proxy, &issuer)
        .set("validator.http_timeout", "2s")
        .start();
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let refused = format!("http://{}", closed.local_addr().expect("an address"));
    drop(closed);
    let deaf = DeafPort::new();
    let silent = format!("http://127.0.0.1:{}", deaf.port());
    for (url, why) in [
        (refused.as_str(), "Connection refused"),
        (&silent, "no answer in time"),
        ("http://proxy.invalid:3128", "host name does not resolve"),
        (
            &proxy.url().replacen("http:", "https:", 1),
            // It waits for the end of a request that it does not understand.
            "no answer in time",
        ),
    ] {
        server.reload_with(&[("validator.http_proxy", url)]);
        let message = format!("proxy {url} failed: ");
        let parts = ["cause=proxy_failed", &message, why];
        refuses(&server, &issuer, "provider_unavailable", &parts);
    }
    server.reload_with(&[("validator.http_proxy", &proxy.url())]);
    server.forget_keys();
    server.admits("alice", &issuer.token("alice").encode());
}

#[test]
fn proxy_that_hangs_holds_a_login_for_http_timeout_at_most() {
    let proxy = Proxy::start();
    let issuer = hidden_issuer(&proxy);
    let server = server_behind(&proxy, &issuer)
        .set("validator.http_timeout", "700ms")
        .start();
    let drip = b"HTTP/1.1 200 Connection established, slowly\r\n\r\n".to_vec();
    for fault in [
        ProxyFault::Hang,
        ProxyFault::Drip(drip, Duration::from_millis(100)),
    ] {
        proxy.fail(Some(fault));
        let start = Instant::now();
        let parts = ["cause=proxy_failed", "no answer in time"];
        refuses(&server, &issuer, "provider_unavailable", &parts);
        assert!(start.elapsed() < MARGIN, "{:?}", start.elapsed());
    }
}

#[test]
fn cancel_ends_a_login_that_waits_for_the_proxy() {
    let proxy = Proxy::start();
    let issuer = hidden_issuer(&proxy);
    let server = server_behind(&proxy, &issuer)
        .set("validator.http_timeout", "60s")
        .start();
    let token = issuer.token("alice").encode();
    for order in ["pg_cancel_backend", "pg_terminate_backend"] {
        proxy.fail(Some(ProxyFault::Hang));
        let before = proxy.requests().len();
        let login = Login::new(&server, "alice").token(&token);
        let waiting = thread::spawn(move || login.run());
        let pid = server.wait_for_backend("wait_event = 'ValidatorFetch'");
        while proxy.requests().len() == before {
            thread::sleep(Duration::from_millis(5));
        }
        let start = Instant::now();
        server.sql(&format!("SELECT {order}({pid})"));
        assert!(!waiting.join().expect("no panic").is_session());
        assert!(start.elapsed() < MARGIN, "{order}: {:?}", start.elapsed());
        proxy.fail(None);
        server.admits("alice", &token);
        server.forget_keys();
    }
}

#[test]
fn cached_keys_open_sessions_while_the_proxy_is_down() {
    let proxy = Proxy::start();
    let issuer = hidden_issuer(&proxy);
    let server = server_behind(&proxy, &issuer).start();
    let token = issuer.token("alice").encode();
    server.admits("alice", &token);
    proxy.fail(Some(ProxyFault::Cut));
    server.admits("alice", &token);
}
