//! The certified provider `oidc-provider` as the issuer: tokens that nobody here made.

use std::thread;
use std::time::Duration;

use rig::{
    Alg, Authority, DeviceLogin, DeviceOutcome, Issuer, Login, OidcProvider, Server, oauth_line,
    reasons,
};

fn start(provider: &OidcProvider) -> Server {
    Server::builder()
        .set("validator.audience", Issuer::AUDIENCE)
        .set("validator.allow_http", "on")
        .log_everything()
        .hba(&oauth_line(provider.issuer(), ""))
        .start()
}

fn log_in(server: &Server, provider: &OidcProvider, role: &str, user: &str) -> DeviceOutcome {
    DeviceLogin::new(server, role, provider.issuer())
        .sql("SELECT system_user || ' is ' || current_user")
        .run(|prompt| provider.approve(prompt, user))
}

#[track_caller]
fn assert_gets_in(alg: Alg) {
    let provider = OidcProvider::start(alg);
    let server = start(&provider);
    let mark = server.log().mark();
    let outcome = log_in(&server, &provider, "alice", "alice");
    let log = server.log().since(mark);
    assert_eq!(outcome.success(), "oauth:alice is alice", "{log}");
    rig::assert_silent_log(&log, outcome.access_token());
}

#[test]
fn psql_gets_in_with_rs256() {
    assert_gets_in(Alg::RS256);
}

#[test]
fn psql_gets_in_with_ps256() {
    assert_gets_in(Alg::PS256);
}

#[test]
fn psql_gets_in_with_es256() {
    assert_gets_in(Alg::ES256);
}

#[test]
fn psql_gets_in_with_eddsa() {
    assert_gets_in(Alg::EdDSA);
}

#[test]
fn keys_rotate_without_anyone_being_locked_out() {
    let provider = OidcProvider::start(Alg::ES256);
    let server = start(&provider);
    server.reload_with(&[("validator.jwks_refresh_cooldown", "1s")]);
    let first = log_in(&server, &provider, "alice", "alice");
    first.success();
    let old = first.access_token();

    // A key nobody has seen yet is accepted at once, and the old one for as long as it is published.
    provider.rotate();
    thread::sleep(Duration::from_secs(1));
    let second = log_in(&server, &provider, "bob", "bob");
    assert_eq!(second.success(), "oauth:bob is bob");
    let new = second.access_token();
    server.admits("alice", old);
    server.admits("bob", new);

    provider.retire_old_keys();
    server.forget_keys();
    server.refuses("alice", old, "unknown_kid");
    server.admits("bob", new);
    assert_eq!(
        log_in(&server, &provider, "carol", "carol").success(),
        "oauth:carol is carol"
    );
}

#[test]
fn token_of_a_stranger_at_the_same_provider_is_not_another_role() {
    let provider = OidcProvider::start(Alg::ES256);
    let server = start(&provider);
    let mark = server.log().mark();
    let outcome = log_in(&server, &provider, "alice", "mallory");
    assert!(!outcome.psql.status.success(), "{outcome:?}");
    let log = server.log().since(mark);
    assert!(
        log.contains(
            "provided user name (alice) and authenticated user name (mallory) do not match"
        ),
        "{log}"
    );
    // The token was accepted; our line after PostgreSQL's says who the bearer is.
    assert_eq!(
        reasons(&log).collect::<Vec<_>>(),
        ["identity_not_role"],
        "{log}"
    );
}

#[test]
fn id_token_of_the_same_login_is_refused() {
    let provider = OidcProvider::start(Alg::RS256);
    let server = start(&provider);
    let outcome = log_in(&server, &provider, "alice", "alice");
    outcome.success();
    let (_, rest) = outcome
        .psql
        .stderr
        .split_once(r#""id_token":""#)
        .expect("an ID token");
    let id_token = rest.split('"').next().unwrap_or_default();
    server.refuses("alice", id_token, "typ_not_allowed");
    // Even where its audience and type were accepted, it grants no scope.
    server.reload_with(&[
        ("validator.audience", "psql"),
        ("validator.token_types", "JWT, -"),
    ]);
    let mark = server.log().mark();
    let refusal = Login::new(&server, "alice").token(id_token).run().refusal();
    let log = server.log().since(mark);
    let reasons: Vec<_> = reasons(&log).collect();
    assert!(
        matches!(
            reasons[..],
            ["not_an_access_token"] | ["insufficient_scope"]
        ),
        "{log}"
    );
    rig::assert_silent_refusal(&refusal, reasons[0]);
}

#[test]
fn token_that_the_provider_binds_to_a_certificate_gets_in_with_it_only() {
    let provider = OidcProvider::start(Alg::ES256);
    let server = Server::builder()
        .set("validator.audience", Issuer::AUDIENCE)
        .set("validator.allow_http", "on")
        .set("validator.require_bound_token", "on")
        .client_certificates()
        .log_everything()
        .hba(&oauth_line(provider.issuer(), ""))
        .start();
    let authority = Authority::shared();
    let own = authority.client("alice");
    let token = provider.token_for(Some(&own)).expect("a token");
    let login = |identity| Login::by_tls(&server, "alice", identity).token(&token);
    let mut session = server.admits_login(login(Some(&own)));
    assert_eq!(session.value("SELECT system_user"), "oauth:alice");

    let (renewed, other) = (authority.renew(&own), authority.client("alice"));
    for stolen in [&renewed, &other] {
        server.refuses_login(login(Some(stolen)), &token, "certificate_mismatch");
    }
    server.refuses_login(login(None), &token, "certificate_missing");
    server.refuses("alice", &token, "certificate_missing");

    // The other certificate of the same client gets a token of its own, a stranger's none.
    let others = provider.token_for(Some(&other)).expect("a token");
    server.refuses_login(
        Login::by_tls(&server, "alice", Some(&own)).token(&others),
        &others,
        "certificate_mismatch",
    );
    server.admits_login(Login::by_tls(&server, "alice", Some(&other)).token(&others));
    let mallory = authority.client("mallory");
    for stranger in [Some(&mallory), None] {
        assert_eq!(
            provider.token_for(stranger),
            Err("invalid_client".to_owned())
        );
    }
    // The device flow's tokens, which libpq gets without a certificate, are bound to none.
    let outcome = log_in(&server, &provider, "alice", "alice");
    assert!(!outcome.psql.status.success(), "{outcome:?}");
    server.refuses("alice", outcome.access_token(), "token_not_bound");
}
