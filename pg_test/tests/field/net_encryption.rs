//! Tokens that others could have read on their way: refused, whatever the line of pg_hba.conf admits.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rig::environment::own_address;
use rig::{Endpoint, Issuer, Login, Server, ServerBuilder};

/// Admits every way to connect.
fn open_server(issuer: &Issuer) -> ServerBuilder {
    let line = |kind: &str| {
        format!(
            "{kind} oauth issuer=\"{}\" scope=\"{}\" validator=validator",
            issuer.url(),
            Issuer::SCOPE
        )
    };
    Server::trusting(issuer)
        .tls()
        .set("listen_addresses", "*")
        .hba(&line("host all all all"))
        .hba(&line("local all all"))
}

/// The address of a peer that is not at a loopback address, if this machine can be one.
fn other_host() -> Option<IpAddr> {
    let address = own_address();
    if address.is_none() {
        rig::skip("this machine has no address except loopback, so every client is a local one");
    }
    address
}

#[test]
fn token_over_plain_tcp_from_another_host_is_refused_before_it_is_read() {
    let Some(address) = other_host() else { return };
    let issuer = Issuer::builder().start();
    let server = open_server(&issuer).start();
    let token = issuer.token("alice").encode();
    let login = |token: &str| Login::new(&server, "alice").at(address).token(token);
    // Also one that is not a token at all.
    for sent in [token.as_str(), "made-up-nonsense"] {
        let verdict = server.refuses_login(login(sent), sent, "tls_required");
        for part in ["not encrypted", "HINT:  Have the client connect over TLS"] {
            assert!(verdict.log.contains(part), "{}", verdict.log);
        }
    }
    assert_eq!(
        issuer.hits(Endpoint::Discovery),
        0,
        "the provider was asked"
    );
    assert_eq!(issuer.hits(Endpoint::Jwks), 0, "the provider was asked");
    server.sql("CREATE EXTENSION validator");
    let count = "SELECT count FROM validator.refusals WHERE reason = 'tls_required'";
    assert_eq!(server.value(count), "2");

    let by_tls = Login::by_tls(&server, "alice", None).at(address);
    server.admits_login(by_tls.token(&token));
    server.refuses_login(login(&token), &token, "tls_required");

    server.reload_with(&[("validator.require_tls", "off")]);
    server.admits_login(login(&token));
    server.reload_with(&[("validator.require_tls", "on")]);
    server.refuses_login(login(&token), &token, "tls_required");
}

#[test]
fn what_stays_on_this_machine_needs_no_encryption() {
    let issuer = Issuer::builder().start();
    let server = open_server(&issuer).start();
    let token = issuer.token("alice").encode();
    server.admits_login(Login::by_socket(&server, "alice").token(&token));
    for address in [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::from([127, 200, 3, 4]),
        IpAddr::from(Ipv6Addr::LOCALHOST),
    ] {
        let login = Login::new(&server, "alice").at(address).token(&token);
        if address.is_ipv6() && std::net::TcpListener::bind((address, 0)).is_err() {
            rig::skip("this machine has no IPv6");
            continue;
        }
        server.admits_login(login);
    }
    server.admits_login(Login::by_tls(&server, "alice", None).token(&token));
}

#[test]
fn the_lines_of_pg_hba_conf_still_decide() {
    let Some(address) = other_host() else { return };
    let issuer = Issuer::builder().start();
    let server = open_server(&issuer)
        .set("validator.require_tls", "off")
        .start();
    let token = issuer.token("alice").encode();
    let line = rig::oauth_line(issuer.url(), "");
    server.set_hba(&[&line
        .replacen("host ", "hostssl ", 1)
        .replace("127.0.0.1/32", "all")]);
    server.reload();
    let plain = Login::new(&server, "alice").at(address).token(&token);
    let refusal = plain.run().refusal();
    assert!(!refusal.asked_for_token, "{refusal:?}");
    let by_tls = Login::by_tls(&server, "alice", None).at(address);
    server.admits_login(by_tls.token(&token));
}

#[test]
fn a_profile_may_do_without() {
    let Some(address) = other_host() else { return };
    let (strict, lax) = (Issuer::builder().start(), Issuer::builder().start());
    let server = open_server(&strict)
        .set("validator.profiles", "lax")
        .set("validator_lax.issuer", lax.url())
        .set("validator_lax.require_tls", "off")
        .start();
    let login = |token: &str| Login::new(&server, "alice").at(address).token(token);
    let token = strict.token("alice").encode();
    server.refuses_login(login(&token), &token, "tls_required");
    let line = rig::oauth_line(lax.url(), "").replace("127.0.0.1/32", "all");
    server.set_hba(&[&line]);
    server.reload();
    server.admits_login(login(&lax.token("alice").encode()));
}
