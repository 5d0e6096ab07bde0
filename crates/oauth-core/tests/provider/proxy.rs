//! The proxy of the settings: which URLs it is for, and what may be written.

use http::Uri;
use oauth_core::{
    Endpoint, NoProxy, Proxy, ProxyRules, SecretText, basic_credentials, parse_connect_status,
};

fn rules(except: &str) -> ProxyRules {
    ProxyRules {
        proxy: "http://proxy.example:3128".parse().expect("a proxy"),
        except: except.parse().expect("a list"),
    }
}

#[track_caller]
fn applies(except: &str, url: &str) -> bool {
    let uri: Uri = url.parse().expect("a URL");
    rules(except).applies_to(&uri)
}

#[test]
fn url_of_a_proxy_has_scheme_host_and_port() {
    for (url, shown, is_tls) in [
        ("http://proxy.example", "http://proxy.example", false),
        (
            "http://proxy.example:3128",
            "http://proxy.example:3128",
            false,
        ),
        (
            "http://proxy.example:3128/",
            "http://proxy.example:3128",
            false,
        ),
        ("https://10.1.2.3:8443", "https://10.1.2.3:8443", true),
        ("http://[fd00::1]:3128", "http://[fd00::1]:3128", false),
    ] {
        let proxy: Proxy = url.parse().expect(url);
        assert_eq!(proxy.printable().as_str(), shown);
        assert_eq!(proxy.is_tls(), is_tls, "{url}");
        assert_eq!(proxy.as_str(), url);
        assert_eq!(proxy.uri().to_string().trim_end_matches('/'), shown);
    }
    let of_length = |bytes: usize| format!("http://{}.example", "a".repeat(bytes - 15));
    assert!(of_length(512).parse::<Proxy>().is_ok());
    assert!(of_length(513).parse::<Proxy>().is_err());
    let long = format!("http://{}.example", "a".repeat(600));
    for (url, why) in [
        ("", "not a URL"),
        ("proxy.example:3128", "must begin with"),
        ("proxy.example", "must begin with"),
        ("socks5://proxy.example:1080", "must begin with"),
        ("http://", "not a URL"),
        ("http://:3128", "no host"),
        ("http://user@proxy.example", "user information"),
        (
            "http://user:password@proxy.example:3128",
            "user information",
        ),
        ("http://proxy.example:0", "invalid port"),
        ("http://proxy.example:65536", "invalid port"),
        ("http://proxy.example:", "invalid port"),
        ("http://proxy.example/path", "nothing behind"),
        ("http://proxy.example/?a=b", "nothing behind"),
        ("http://proxy.example/#a", "nothing behind"),
        ("http://proxy example", "not a URL"),
        (&long, "too long"),
    ] {
        let refused = url.parse::<Proxy>().expect_err(url);
        assert!(refused.contains(why), "{url}: {refused}");
    }
}

#[test]
fn a_cache_tells_rules_apart_by_both_settings() {
    let except = ".corp.example, 10.0.0.0/8";
    assert_eq!(except.parse::<NoProxy>().expect("a list").as_str(), except);
    let parts = ["http://proxy.example:3128", except];
    assert_eq!(rules(except).cache_parts(), parts);
}

#[test]
fn everything_over_https_goes_through_the_proxy_unless_the_list_names_it() {
    assert!(applies("", "https://idp.example/x"));
    assert!(applies("", "https://localhost/x"));
    // Plain http is for this machine.
    assert!(!applies("", "http://127.0.0.1:8080/x"));
    for (list, named, others) in [
        (
            "*",
            &["https://idp.example", "https://10.0.0.1"][..],
            &[][..],
        ),
        (
            "idp.example",
            &[
                "https://idp.example",
                "https://IDP.example:8443",
                "https://idp.example.",
            ],
            &[
                "https://a.idp.example",
                "https://xidp.example",
                "https://idp.example.com",
            ],
        ),
        (
            ".corp.example",
            &[
                "https://idp.corp.example",
                "https://a.b.Corp.Example:8443/x",
            ],
            &[
                "https://corp.example",
                "https://xcorp.example",
                "https://idp.corp.example.com",
            ],
        ),
        (
            "*.corp.example, Localhost",
            &["https://idp.corp.example", "https://localhost:8443"],
            &["https://corp.example", "https://a.localhost"],
        ),
        (
            "10.1.2.3",
            &[
                "https://10.1.2.3",
                "https://10.1.2.3:8443",
                "https://[::ffff:10.1.2.3]",
            ],
            &["https://10.1.2.30", "https://10.1.2.3.example"],
        ),
        (
            "10.20.0.0/15",
            &["https://10.20.0.0", "https://10.21.255.255"],
            &[
                "https://10.22.0.0",
                "https://10.19.255.255",
                "https://[fd00::1]",
            ],
        ),
        (
            "fd00::/8, ::1",
            &[
                "https://[fd00::1]",
                "https://[fdff::1]:8443",
                "https://[::1]",
            ],
            &["https://[fe00::1]", "https://[::2]", "https://10.0.0.1"],
        ),
        (
            "0.0.0.0/0",
            &["https://10.0.0.1"],
            &["https://[fd00::1]", "https://idp.example"],
        ),
        ("::/0", &["https://[fd00::1]"], &["https://10.0.0.1"]),
        // A suffix is of names.
        (".0.0.1", &[], &["https://10.0.0.1"]),
    ] {
        for url in named {
            assert!(!applies(list, url), "{list}: {url}");
        }
        for url in others {
            assert!(applies(list, url), "{list}: {url}");
        }
    }
}

#[test]
fn list_of_exceptions_has_nothing_else() {
    for list in [
        "idp.example,",
        "https://idp.example",
        "idp.example:8443",
        "[::1]:8443",
        "10.0.0.0/33",
        "::/129",
        "10.0.0.0/",
        "10.0.0/8",
        "10.0.0.0/-1",
        "idp.example/8",
        "idp.*.example",
        "*idp.example",
        "**",
        ".",
        "*.",
        "..corp.example",
        "idp example",
        "idp.exämple",
    ] {
        assert!(list.parse::<NoProxy>().is_err(), "{list}");
    }
    assert_eq!("".parse(), Ok(NoProxy::default()));
}

#[test]
fn proxy_of_an_endpoint() {
    let url = Endpoint::parse("https://idp.example/keys").expect("a URL");
    assert!(rules("").proxy_for(&url).is_some());
    assert!(rules("idp.example").proxy_for(&url).is_none());
    let near = Endpoint::parse_allowing("http://127.0.0.1/keys", true).expect("a URL");
    assert!(rules("").proxy_for(&near).is_none());
}

#[test]
fn credentials_are_user_and_password() {
    // RFC 7617 §2.
    assert_eq!(
        basic_credentials("Aladdin:open sesame")
            .as_ref()
            .map(SecretText::expose),
        Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
    );
    assert!(basic_credentials("user:").is_some());
    assert!(basic_credentials("user:a:b").is_some());
    for not in ["", "user", ":password", "user:pass\r\nX: y", "user:pass\0"] {
        assert!(basic_credentials(not).is_none(), "{not}");
    }
}

#[test]
fn status_of_an_answer_to_connect() {
    for (answer, status) in [
        ("HTTP/1.1 200 Connection established\r\n\r\n", 200),
        ("HTTP/1.0 200 OK\r\n", 200),
        ("HTTP/1.1 407\r\n", 407),
        ("HTTP/1.1 204 \n", 204),
    ] {
        let parsed = parse_connect_status(answer.as_bytes()).expect(answer);
        assert_eq!(parsed.as_u16(), status);
    }
    for answer in [
        "",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1 20",
        "HTTP/1.1 200",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 099 OK",
        "HTTP/1.1 abc OK",
        "HTTP/1.x 200 OK",
        "HTTP/2 200 OK",
        "HTTP/2.0 200 OK",
        "http/1.1 200 OK",
        " HTTP/1.1 200 OK",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\u{0}\u{1}\u{2}",
    ] {
        assert_eq!(parse_connect_status(answer.as_bytes()), None, "{answer}");
    }
}
