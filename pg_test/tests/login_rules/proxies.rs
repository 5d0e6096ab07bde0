//! Lines for proxies with certificates beside lines for people with tokens, as docs/migration.md has them.

use rig::{Authority, Identity, Issuer, Login, Server};

/// A server that asks for certificates, a group of people, and a proxy's certificate.
fn start() -> (Issuer, Server, Identity) {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .client_certificates()
        .log_everything()
        .ident("proxies pgbouncer +oauth_users")
        .start();
    server.sql(
        "CREATE ROLE oauth_users; GRANT oauth_users TO alice; \
         CREATE ROLE proxy_roles; CREATE ROLE pool LOGIN IN ROLE proxy_roles",
    );
    (issuer, server, Authority::shared().client("pgbouncer"))
}

fn set_lines(server: &Server, lines: &[&str]) {
    server.set_hba(lines);
    server.reload();
}

fn oauth(issuer: &Issuer) -> String {
    rig::oauth_line(issuer.url(), "").replace("host all all", "hostssl all +oauth_users")
}

/// The login of whoever has this certificate, or none, and no token.
#[track_caller]
fn refuse(server: &Server, role: &str, identity: Option<&Identity>) {
    let outcome = Login::by_tls(server, role, identity).run();
    assert!(!outcome.is_session(), "{role} is let in");
}

#[test]
fn a_proxy_is_told_by_its_address() {
    let (issuer, server, proxy) = start();
    let token = issuer.token("alice").encode();
    let with_token = |identity| Login::by_tls(&server, "alice", identity).token(&token);
    // The proxy is elsewhere: its line matches nobody here.
    let elsewhere = "hostssl all +oauth_users 192.0.2.10/32 cert map=proxies";
    set_lines(&server, &[elsewhere, &oauth(&issuer)]);
    let mut session = server.admits_login(with_token(None));
    assert_eq!(session.value("SELECT system_user"), "oauth:alice");
    refuse(&server, "alice", Some(&proxy));

    // Here it is at the address of the client, and may be each member of the group, and nobody else.
    let here = "hostssl all +oauth_users 127.0.0.1/32 cert map=proxies";
    set_lines(&server, &[here, &oauth(&issuer)]);
    let mut session = Login::by_tls(&server, "alice", Some(&proxy))
        .run()
        .session();
    assert_eq!(session.value("SELECT system_user"), "cert:CN=pgbouncer");
    for role in ["bob", "postgres", "pool"] {
        refuse(&server, role, Some(&proxy));
    }
    let stranger = Authority::shared().client("mallory");
    refuse(&server, "alice", Some(&stranger));
    // The first line that matches decides: whoever has a token and no certificate is refused at the proxy's address.
    let outcome = with_token(None).run();
    assert!(!outcome.is_session());
}

#[test]
fn a_proxy_is_told_by_its_roles() {
    let (issuer, server, proxy) = start();
    server.set_ident(&["proxies pgbouncer +proxy_roles"]);
    let line = "hostssl all +proxy_roles all cert map=proxies";
    set_lines(&server, &[line, &oauth(&issuer)]);
    let mut session = Login::by_tls(&server, "pool", Some(&proxy)).run().session();
    assert_eq!(session.value("SELECT system_user"), "cert:CN=pgbouncer");
    let token = issuer.token("alice").encode();
    for identity in [None, Some(&proxy)] {
        let login = Login::by_tls(&server, "alice", identity).token(&token);
        let mut session = server.admits_login(login);
        assert_eq!(session.value("SELECT system_user"), "oauth:alice");
    }
    refuse(&server, "alice", Some(&proxy));
    refuse(&server, "pool", None);
    refuse(&server, "postgres", Some(&proxy));
}
