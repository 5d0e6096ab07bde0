//! psql itself, from a code to a session, with the rig's issuer.

use rig::{
    Authority, DeviceLogin, DeviceOutcome, Endpoint, Issuer, IssuerBuilder, Server, reasons,
};
use serde_json::json;

const WHO: &str = "SELECT system_user || ' is ' || current_user";

/// psql logs in as alice; its person enters the code and is `user`.
fn log_in(server: &Server, issuer: &Issuer, user: &str) -> DeviceOutcome {
    let mut login = DeviceLogin::new(server, "alice", issuer.url()).sql(WHO);
    if issuer.url().starts_with("https:") {
        login = login.ca_file(Authority::shared().file());
    }
    login.run(|prompt| issuer.approve(&prompt.user_code, user))
}

#[track_caller]
fn assert_gets_in(builder: IssuerBuilder) {
    let issuer = builder.interval(0).start();
    let server = Server::trusting(&issuer).log_everything().start();
    let mark = server.log().mark();
    let outcome = log_in(&server, &issuer, "alice");
    assert_eq!(
        outcome.success(),
        "oauth:alice is alice",
        "{}",
        server.log().since(mark)
    );
    let log = server.log().since(mark);
    assert!(
        log.contains("connection authenticated: identity=\"alice\" method=oauth"),
        "{log}"
    );
    assert!(!log.contains("eyJ"), "the log has a token: {log}");
    assert_eq!(issuer.hits(Endpoint::Unknown), 0);
}

#[test]
fn psql_gets_in_with_an_http_issuer() {
    assert_gets_in(Issuer::builder());
}

#[test]
fn psql_gets_in_with_an_https_issuer_of_a_private_authority() {
    assert_gets_in(Issuer::builder().https());
}

#[test]
fn psql_gets_in_with_an_issuer_without_a_path() {
    assert_gets_in(Issuer::builder().path(""));
}

#[test]
fn psql_gets_in_with_an_issuer_that_ends_with_a_slash() {
    assert_gets_in(Issuer::builder().path("/realms/corp/"));
    assert_gets_in(Issuer::builder().path("/").https());
}

#[test]
fn psql_waits_as_the_provider_tells_it() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).start();
    issuer.answer_polls_with(&["authorization_pending"]);
    assert_eq!(
        log_in(&server, &issuer, "alice").success(),
        "oauth:alice is alice"
    );
    assert!(issuer.hits(Endpoint::Token) >= 2);
}

#[test]
fn psql_presents_nothing_when_approval_is_denied() {
    let issuer = Issuer::builder().interval(0).start();
    let server = Server::trusting(&issuer).start();
    let mark = server.log().mark();
    let outcome = DeviceLogin::new(&server, "alice", issuer.url())
        .run(|prompt| issuer.deny(&prompt.user_code));
    assert!(!outcome.psql.status.success(), "{outcome:?}");
    assert!(outcome.psql.stderr.contains("access_denied"), "{outcome:?}");
    let log = server.log().since(mark);
    assert_eq!(reasons(&log).count(), 0, "{log}");
    assert!(!log.contains("connection authenticated"), "{log}");
    assert_eq!(issuer.hits(Endpoint::Jwks), 0);
}

#[test]
fn psql_tells_its_person_nothing_about_why_a_token_is_refused() {
    let issuer = Issuer::builder().interval(0).start();
    let server = Server::trusting(&issuer).log_everything().start();
    issuer.alter_tokens(|token| token.claim("aud", json!(["account"])));
    let mark = server.log().mark();
    let outcome = log_in(&server, &issuer, "alice");
    assert!(!outcome.psql.status.success(), "{outcome:?}");
    let log = server.log().since(mark);
    assert_eq!(reasons(&log).collect::<Vec<_>>(), ["aud_mismatch"], "{log}");
    let messages = outcome.messages().join("\n");
    assert!(
        messages.contains("OAuth bearer authentication failed for user \"alice\""),
        "{outcome:?}"
    );
    assert!(
        !messages.contains("aud") && !messages.contains("HINT"),
        "{messages}"
    );
}

#[test]
fn psql_can_not_be_another_role_than_its_person() {
    let issuer = Issuer::builder().interval(0).start();
    let server = Server::trusting(&issuer).start();
    let mark = server.log().mark();
    let outcome = log_in(&server, &issuer, "bob");
    assert!(!outcome.psql.status.success(), "{outcome:?}");
    let log = server.log().since(mark);
    assert!(
        log.contains("provided user name (alice) and authenticated user name (bob) do not match"),
        "{log}"
    );
}
