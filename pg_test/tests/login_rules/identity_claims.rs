//! Several claims that can become the identity, each with a prefix of its own.

use rig::{Issuer, Server, oauth_line};
use serde_json::json;

const CLAIMS: &str = "preferred_username=person:, client_id=service:";

#[test]
fn people_and_services_of_one_issuer_have_identities_of_their_own() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .log_everything()
        .set("validator.identity_claim", CLAIMS)
        .ident(r"all /^person:(.*)$ \1")
        .ident("all service:etl bob")
        .start();
    server.set_hba(&[&oauth_line(issuer.url(), "map=all")]);
    server.reload();
    let service = issuer.token("0815").claim("client_id", "etl");
    let person = service.clone().claim("preferred_username", "alice");
    let mut session = server.admits("alice", &person.encode());
    assert_eq!(session.value("SELECT system_user"), "oauth:person:alice");
    let mut session = server.admits("bob", &service.encode());
    assert_eq!(session.value("SELECT system_user"), "oauth:service:etl");
    // Whoever spoils the first claim is not the service.
    for name in [json!(null), json!(""), json!(7), json!(["alice"])] {
        let spoilt = service.clone().claim("preferred_username", name);
        let verdict = server.refuses("bob", &spoilt.encode(), "identity_malformed");
        assert!(
            verdict.log.contains("the first one that is there counts"),
            "{}",
            verdict.log
        );
    }
    let hidden = service.clone().claim("preferred_username", "etl\u{200b}");
    server.refuses("bob", &hidden.encode(), "identity_unprintable");
    let nobody = service.without_claim("client_id").encode();
    server.refuses("bob", &nobody, "identity_missing");
}

#[test]
fn a_directorys_name_can_be_a_role_in_lower_case() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .log_everything()
        .set("validator.identity_claim", "email")
        .ident(r"mail /^(.*)@corp\.example$ \1")
        .start();
    server.set_hba(&[&oauth_line(issuer.url(), "map=mail")]);
    server.reload();
    let token = issuer
        .token("0815")
        .claim("email", "Alice@Corp.example")
        .encode();
    let outcome = rig::Login::new(&server, "alice").token(&token).run();
    assert!(!outcome.is_session(), "case is not ignored by default");
    server.reload_with(&[("validator.identity_case", "lower")]);
    let mut session = server.admits("alice", &token);
    assert_eq!(
        session.value("SELECT system_user"),
        "oauth:alice@corp.example"
    );
}
