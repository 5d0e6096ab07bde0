//! `validator.http_bearer_file`: metadata and keys that the provider does not show to everybody, as in Kubernetes.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use rig::{Endpoint, Fault, Issuer, Server, ServerBuilder, Verdict};
use serde_json::json;

const READER: &str = "reader-eyJhbGciOiJub25lIn0.e30.x";
const ROTATED: &str = "rotated+and/other~characters_0==";

fn both_modes(test: impl Fn(fn(ServerBuilder) -> ServerBuilder)) {
    test(|builder| builder);
    test(ServerBuilder::preload);
}

/// An issuer that wants to see this token, and a server that has the token in a file.
fn start(mode: fn(ServerBuilder) -> ServerBuilder) -> (Issuer, Server) {
    let issuer = Issuer::builder().start();
    issuer.show_only_to(READER);
    let server = mode(Server::trusting(&issuer).log_everything()).start();
    let file = server.private_file("bearer", &format!("{READER}\n"));
    let file = file.to_str().expect("UTF-8");
    server.reload_with(&[("validator.http_bearer_file", file)]);
    (issuer, server)
}

fn admits(server: &Server, issuer: &Issuer) {
    server.admits("alice", &issuer.token("alice").encode());
}

fn refuses(server: &Server, issuer: &Issuer, reason: &str) -> Verdict {
    server.refuses("alice", &issuer.token("alice").encode(), reason)
}

/// The log, with every line that there is, has no part of the tokens.
fn assert_silent(server: &Server) {
    let log = server.log().text();
    for part in READER
        .split('.')
        .chain([ROTATED])
        .filter(|part| part.len() > 3)
    {
        assert!(!log.contains(part), "the log has {part}");
    }
}

/// What the issuer was sent at its endpoints.
fn sent(issuer: &Issuer, endpoint: Endpoint) -> Vec<Option<String>> {
    let requests = issuer.requests().into_iter();
    requests
        .filter(|(asked, _)| *asked == endpoint)
        .map(|(_, request)| request.header("authorization").map(str::to_owned))
        .collect()
}

#[test]
fn metadata_and_keys_are_asked_for_with_the_token() {
    both_modes(|mode| {
        let (issuer, server) = start(mode);
        admits(&server, &issuer);
        for endpoint in [Endpoint::Discovery, Endpoint::Jwks] {
            assert_eq!(sent(&issuer, endpoint), [Some(format!("Bearer {READER}"))]);
        }
        assert_silent(&server);
        // Without it, the hint names the setting.
        server.unset("validator.http_bearer_file");
        server.reload();
        let verdict = refuses(&server, &issuer, "provider_unavailable");
        assert!(
            verdict.log.contains("see validator.http_bearer_file"),
            "{}",
            verdict.log
        );
    });
}

#[test]
fn a_rotated_token_is_noticed_at_the_next_fetch() {
    both_modes(|mode| {
        let (issuer, server) = start(mode);
        admits(&server, &issuer);
        issuer.show_only_to(ROTATED);
        server.private_file("bearer", ROTATED);
        server.forget_keys();
        admits(&server, &issuer);
        assert_eq!(
            sent(&issuer, Endpoint::Jwks).last(),
            Some(&Some(format!("Bearer {ROTATED}")))
        );
        assert_silent(&server);
    });
}

#[test]
fn a_file_that_others_can_read_or_that_has_no_token_refuses_what_needs_a_fetch() {
    both_modes(|mode| {
        let (issuer, server) = start(mode);
        admits(&server, &issuer);
        let file = server.private_file("bearer", READER);
        let requests = issuer.requests().len();
        let refuse = |why: &str| {
            // Cached keys are good without it.
            admits(&server, &issuer);
            server.forget_keys();
            let log = refuses(&server, &issuer, "setting_invalid").log;
            assert!(
                log.contains("validator.http_bearer_file") && log.contains(why),
                "{log}"
            );
            assert_eq!(issuer.requests().len(), requests, "the provider was asked");
            assert_silent(&server);
        };
        let mode_of =
            |mode| fs::set_permissions(&file, Permissions::from_mode(mode)).expect("it is ours");
        mode_of(0o644);
        refuse("it has group or world access");
        mode_of(0o600);
        server.forget_keys();
        admits(&server, &issuer);
    });
}

#[test]
fn a_file_with_something_else_is_never_sent() {
    let (issuer, server) = start(|builder| builder);
    for text in [
        "",
        "two words",
        "token\r\nHost: elsewhere",
        "\u{fc}bergang",
        "a\0b",
        "{\"token\": 1}",
    ] {
        server.private_file("bearer", text);
        let log = refuses(&server, &issuer, "setting_invalid").log;
        assert!(
            log.contains("validator.http_bearer_file"),
            "{text:?}: {log}"
        );
    }
    assert_eq!(issuer.requests().len(), 0);
    server.private_file("bearer", READER);
    admits(&server, &issuer);
}

#[test]
fn no_server_gets_the_token_that_only_the_metadata_names() {
    let (issuer, server) = start(|builder| builder);
    // Another server, which shows its keys to everybody, and the metadata that sends us there.
    let elsewhere = Issuer::builder().path("/keys").start();
    elsewhere.publish_only(&[issuer.signing_key().jwk()]);
    let jwks_uri = format!("{}/jwks", elsewhere.url());
    let uri = jwks_uri.clone();
    let elsewhere_named = Fault::altered(move |document| document["jwks_uri"] = json!(uri));
    issuer.fail(Endpoint::Discovery, elsewhere_named);
    admits(&server, &issuer);
    assert_eq!(sent(&elsewhere, Endpoint::Jwks), [None]);
    assert_eq!(
        sent(&issuer, Endpoint::Discovery),
        [Some(format!("Bearer {READER}"))]
    );
    // The administrator's own word is another matter.
    server.reload_with(&[("validator.jwks_uri", &jwks_uri)]);
    admits(&server, &issuer);
    assert_eq!(
        sent(&elsewhere, Endpoint::Jwks),
        [None, Some(format!("Bearer {READER}"))]
    );
}

#[test]
fn the_provider_is_asked_about_others_tokens_with_it_only_where_nothing_else_authenticates() {
    let (issuer, server) = start(|builder| builder);
    server.reload_with(&[
        ("validator.introspection", "opaque"),
        ("validator.client_id", "pg"),
        ("validator.client_auth_method", "none"),
    ]);
    server.admits("alice", &issuer.opaque_token("alice"));
    let secret = server
        .private_file("secret", "a secret")
        .display()
        .to_string();
    server.reload_with(&[
        ("validator.client_auth_method", "client_secret_post"),
        ("validator.client_secret_file", &secret),
    ]);
    server.admits("alice", &issuer.opaque_token("alice"));
    assert_eq!(
        sent(&issuer, Endpoint::Introspection),
        [Some(format!("Bearer {READER}")), None]
    );
    let metadata = sent(&issuer, Endpoint::Discovery);
    assert_eq!(metadata, vec![Some(format!("Bearer {READER}")); 2]);
}
