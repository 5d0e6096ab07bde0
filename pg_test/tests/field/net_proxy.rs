//! Providers that the server reaches only through an HTTP proxy.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use rig::{Authority, Endpoint, Issuer, Proxy, Server, ServerBuilder};

/// A host that only the proxy can resolve.
const HOST: &str = "idp.corp.invalid";
const CREDENTIALS: &str = "pg:s3cret pass:word";
/// RFC 7617 §2.
const BASIC: &str = "Basic cGc6czNjcmV0IHBhc3M6d29yZA==";

/// An issuer that no one reaches but the proxy.
pub fn hidden_issuer(proxy: &Proxy) -> Issuer {
    let issuer = Issuer::builder().named(HOST).start();
    proxy.knows(HOST, issuer.port());
    issuer
}

pub fn server_behind(proxy: &Proxy, issuer: &Issuer) -> ServerBuilder {
    Server::trusting(issuer)
        .log_everything()
        .set("validator.http_proxy", &proxy.url())
}

#[track_caller]
fn admits(server: &Server, issuer: &Issuer) {
    server.forget_keys();
    server.admits("alice", &issuer.token("alice").encode());
}

/// The login is refused; the log has these parts, and never the credentials.
#[track_caller]
pub fn refuses(server: &Server, issuer: &Issuer, reason: &str, parts: &[&str]) -> String {
    server.forget_keys();
    let token = issuer.token("alice").encode();
    let log = server.refuses("alice", &token, reason).log;
    for part in parts {
        assert!(log.contains(part), "no {part:?} in: {log}");
    }
    for secret in [CREDENTIALS, BASIC] {
        assert!(!server.log().text().contains(secret), "{secret} is logged");
    }
    log
}

#[test]
fn metadata_and_keys_come_through_the_proxy_which_resolves_the_name() {
    for preload in [true, false] {
        let proxy = Proxy::start();
        let issuer = hidden_issuer(&proxy);
        let builder = server_behind(&proxy, &issuer);
        let server = if preload { builder.preload() } else { builder }.start();
        admits(&server, &issuer);
        let requests = proxy.requests();
        let expected = format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n");
        assert!(!requests.is_empty(), "the proxy was not asked");
        for request in &requests {
            assert_eq!(*request, expected);
        }
        assert_eq!(issuer.hits(Endpoint::Jwks), 1);

        server.reload_with(&[("validator.http_proxy", "")]);
        refuses(
            &server,
            &issuer,
            "provider_unavailable",
            &["cause=name_resolution"],
        );
    }
}

#[test]
fn credentials_come_from_a_file_and_are_read_at_each_request() {
    let proxy = Proxy::start();
    proxy.demand(BASIC);
    let issuer = hidden_issuer(&proxy);
    let server = server_behind(&proxy, &issuer).start();
    let not_accepted = format!(
        "proxy {} does not accept this server's credentials",
        proxy.url()
    );
    let unauthorized = [
        "cause=proxy_unauthorized",
        &not_accepted,
        "HINT:  Write user:password",
    ];
    refuses(&server, &issuer, "provider_unavailable", &unauthorized);
    let file = server.private_file("proxy", "pg:wrong\n");
    let path = file.to_str().expect("UTF-8");
    server.reload_with(&[("validator.http_proxy_secret_file", path)]);
    refuses(&server, &issuer, "provider_unavailable", &unauthorized);
    server.private_file("proxy", &format!("{CREDENTIALS}\n"));
    admits(&server, &issuer);

    // What cannot be used is the administrator's fault, and the proxy is not asked.
    let requests = proxy.requests().len();
    for text in ["", "no colon", ":password", "user:two\nlines", "user:\u{7}"] {
        server.private_file("proxy", text);
        let parts = ["\"validator.http_proxy_secret_file\" cannot be used"];
        refuses(&server, &issuer, "setting_invalid", &parts);
    }
    server.private_file("proxy", CREDENTIALS);
    let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode));
    mode(0o644).expect("the mode can be set");
    let parts = ["validator.http_proxy_secret_file", "group or world access"];
    refuses(&server, &issuer, "setting_invalid", &parts);
    server.reload_with(&[("validator.http_proxy_secret_file", "/nowhere/proxy")]);
    let parts = ["validator.http_proxy_secret_file", "No such file"];
    refuses(&server, &issuer, "setting_invalid", &parts);
    assert_eq!(proxy.requests().len(), requests, "the proxy was asked");
    mode(0o600).expect("the mode can be set");
    server.reload_with(&[("validator.http_proxy_secret_file", path)]);
    admits(&server, &issuer);
}

#[test]
fn proxy_may_speak_tls_and_learns_nothing_that_is_for_the_provider() {
    let authority = Authority::new("proxy CA");
    let proxy = Proxy::start_tls(&authority.server());
    proxy.demand(BASIC);
    let issuer = hidden_issuer(&proxy);
    let server = server_behind(&proxy, &issuer).start();
    let file = server.private_file("proxy", CREDENTIALS);
    let own = Authority::shared().client("pg");
    let certificate = server.private_file("client.crt", own.certificate_pem());
    let key = server.private_file("client.key", &own.key_pem());
    let path = |file: &std::path::Path| file.to_str().expect("UTF-8").to_owned();
    server.reload_with(&[("validator.http_proxy_secret_file", &path(&file))]);
    let parts = ["cause=proxy_failed", "failed: TLS failed: "];
    refuses(&server, &issuer, "provider_unavailable", &parts);

    let both = [authority.file(), Authority::shared().file()]
        .map(|file| fs::read_to_string(file).expect("an authority's file"));
    let both = path(&server.private_file("ca.pem", &both.concat()));
    server.reload_with(&[("validator.ca_file", &both)]);
    admits(&server, &issuer);
    // The certificate by which this server proves itself to the provider is not for the proxy.
    server.reload_with(&[
        ("validator.introspection", "opaque"),
        ("validator.client_id", "pg"),
        ("validator.client_auth_method", "tls_client_auth"),
        ("validator.client_cert_file", &path(&certificate)),
        ("validator.client_key_file", &path(&key)),
    ]);
    let before = issuer.hits(Endpoint::Introspection);
    server.admits("alice", &issuer.opaque_token("alice"));
    assert_eq!(issuer.hits(Endpoint::Introspection), before + 1);
    assert_eq!(proxy.client_certificates(), 0);
    for request in proxy.requests() {
        assert!(request.starts_with("CONNECT "), "{request}");
        assert!(!request.contains("opaque"), "{request}");
    }
}

#[test]
fn introspection_goes_through_the_proxy_with_its_circuit_breaker() {
    let proxy = Proxy::start();
    let issuer = hidden_issuer(&proxy);
    let server = server_behind(&proxy, &issuer)
        .asks_about_opaque_tokens()
        .start();
    server.admits("alice", &issuer.opaque_token("alice"));
    proxy.demand(BASIC);
    let token = issuer.opaque_token("alice");
    let log = server.refuses("alice", &token, "provider_unavailable").log;
    assert!(log.contains("cause=proxy_unauthorized"), "{log}");
    // While that is known, no login asks the proxy; a new secret counts at once.
    let requests = proxy.requests().len();
    let log = server.refuses("alice", &token, "provider_unavailable").log;
    for part in ["cause=proxy_unauthorized", "HINT:  Write user:password"] {
        assert!(log.contains(part), "{log}");
    }
    assert_eq!(proxy.requests().len(), requests, "the proxy was asked");
    let file = server.private_file("proxy", CREDENTIALS);
    let path = file.to_str().expect("UTF-8");
    server.reload_with(&[("validator.http_proxy_secret_file", path)]);
    server.admits("alice", &token);
}

#[test]
fn hosts_of_the_list_are_reached_without_the_proxy() {
    let proxy = Proxy::start();
    let issuer = Issuer::builder().https().start();
    let server = server_behind(&proxy, &issuer).start();
    admits(&server, &issuer);
    let requests = proxy.requests().len();
    assert_ne!(requests, 0, "the proxy was not asked");
    for list in ["localhost", "*", ".example, LOCALHOST"] {
        server.reload_with(&[("validator.no_proxy", list)]);
        admits(&server, &issuer);
    }
    assert_eq!(proxy.requests().len(), requests, "the proxy was asked");
    for list in ["", ".localhost", "127.0.0.0/8"] {
        server.reload_with(&[("validator.no_proxy", list)]);
        let before = proxy.requests().len();
        admits(&server, &issuer);
        assert_ne!(proxy.requests().len(), before, "{list}: not asked");
    }
}

#[test]
fn plain_http_is_for_this_machine_and_never_goes_through_a_proxy() {
    let proxy = Proxy::start();
    let issuer = Issuer::builder().start();
    let server = server_behind(&proxy, &issuer).start();
    admits(&server, &issuer);
    assert_eq!(proxy.requests(), [""; 0]);
}

#[test]
fn environment_has_no_influence() {
    let (proxy, environments) = (Proxy::start(), Proxy::start());
    let issuer = hidden_issuer(&proxy);
    let variables = [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "https_proxy",
        "all_proxy",
    ];
    let mut builder = server_behind(&proxy, &issuer);
    for variable in variables {
        builder = builder.environment(variable, &environments.url());
    }
    let server = builder
        .environment("NO_PROXY", "*")
        .environment("no_proxy", "*")
        .start();
    admits(&server, &issuer);
    assert_ne!(proxy.requests(), [""; 0]);
    server.reload_with(&[("validator.http_proxy", "")]);
    refuses(
        &server,
        &issuer,
        "provider_unavailable",
        &["cause=name_resolution"],
    );
    assert_eq!(environments.requests(), [""; 0]);
}

#[test]
fn profile_has_a_proxy_of_its_own() {
    let (proxy, of_profile) = (Proxy::start(), Proxy::start());
    let issuer = hidden_issuer(&of_profile);
    let server = server_behind(&proxy, &issuer)
        .set("validator.profiles", "corp")
        .set("validator_corp.issuer", issuer.url())
        .set("validator_corp.http_proxy", &of_profile.url())
        .start();
    admits(&server, &issuer);
    assert_eq!(proxy.requests(), [""; 0]);
}

#[test]
fn what_cannot_be_used_is_refused_at_the_reload() {
    let proxy = Proxy::start();
    let issuer = hidden_issuer(&proxy);
    let server = server_behind(&proxy, &issuer).preload().start();
    for (name, value, why) in [
        (
            "http_proxy",
            "http://pg:secret@proxy.example:3128",
            "user information",
        ),
        (
            "http_proxy",
            "socks5://proxy.example:1080",
            "http:// or https://",
        ),
        ("http_proxy", "proxy.example:3128", "http:// or https://"),
        (
            "http_proxy",
            "http://proxy.example:3128/path",
            "nothing behind host and port",
        ),
        ("http_proxy_secret_file", "proxy", "absolute path"),
        ("no_proxy", "10.0.0.0/33", "is not a network"),
        ("no_proxy", "idp.example:443", "is neither a host"),
    ] {
        let name = format!("validator.{name}");
        let log = server.reload_with(&[(&name, value)]);
        let message = format!("invalid value for parameter \"{name}\"");
        assert!(
            log.contains(&message) && log.contains(why),
            "{value}: {log}"
        );
        match name.ends_with("http_proxy") {
            true => server.set(&name, &proxy.url()),
            false => server.unset(&name),
        }
        server.reload();
    }
    admits(&server, &issuer);
}

#[test]
fn doctor_names_the_proxy() {
    let proxy = Proxy::start();
    let issuer = hidden_issuer(&proxy);
    let line = rig::oauth_line(issuer.url(), "").replacen("host ", "hostssl ", 1);
    let server = server_behind(&proxy, &issuer).preload().tls().start();
    server.set_hba(&[&line]);
    server.reload();
    server.sql("CREATE EXTENSION validator");
    let detail = "SELECT finding || ' ' || detail FROM validator.check_config()";
    let found = server.value(detail);
    let expected = format!("usable keys: 1, through proxy {}", proxy.url());
    assert!(
        found.starts_with("ok ") && found.contains(&expected),
        "{found}"
    );
    server.reload_with(&[("validator.no_proxy", HOST)]);
    let found = server.value(detail);
    assert!(
        found.starts_with("provider_unavailable ") && !found.contains("proxy"),
        "{found}"
    );

    // A port at which nobody listens.
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}", closed.local_addr().expect("an address"));
    drop(closed);
    server.reload_with(&[("validator.no_proxy", ""), ("validator.http_proxy", &url)]);
    let found = server.value(detail);
    let expected = format!("proxy {url} failed: Connection refused");
    assert!(
        found.starts_with("provider_unavailable ") && found.contains(&expected),
        "{found}"
    );
}
