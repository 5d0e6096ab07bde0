//! Findings about asking the provider about tokens.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use rig::{ClientCheck, Endpoint, Fault, Issuer, Response, Server};
use serde_json::json;

use crate::{assert_findings, good_line, healthy, only_detail, second_line, started};

const SECRET: &str = "correct horse battery staple";

/// A server that asks as the client `pg`, with the right secret.
fn patient() -> (Issuer, Server) {
    let (issuer, builder) = healthy();
    issuer.introspection_only_for(ClientCheck::SecretBasic("pg".into(), SECRET.into()));
    let server = started(
        builder
            .set("validator.introspection", "opaque")
            .set("validator.client_id", "pg"),
    );
    set_secret(&server, SECRET);
    (issuer, server)
}

fn set_secret(server: &Server, secret: &str) {
    let file = server.private_file("secret", secret);
    server.reload_with(&[("validator.client_secret_file", &file.display().to_string())]);
}

#[test]
fn everything_is_right() {
    let (issuer, server) = patient();
    let detail = only_detail(&server, "ok ok");
    assert!(detail.contains("was not tried"), "{detail}");
    assert_eq!(issuer.hits(Endpoint::Introspection), 1);
    server.reload_with(&[("validator.introspection", "off")]);
    let detail = only_detail(&server, "ok ok");
    assert!(!detail.contains("introspection"), "{detail}");
    assert_eq!(issuer.hits(Endpoint::Introspection), 1);
}

#[test]
fn client_is_not_set() {
    let (_issuer, server) = patient();
    server.unset("validator.client_id");
    server.reload();
    let detail = only_detail(&server, "error setting_invalid");
    assert!(detail.contains("\"validator.client_id\""), "{detail}");
}

#[test]
fn secret_is_not_set_or_open_to_others() {
    let (issuer, server) = patient();
    let file = server.private_file("secret", SECRET);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("the mode can be set");
    let detail = only_detail(&server, "error setting_invalid");
    for part in [
        "validator.client_secret_file",
        "group or world access",
        "0600",
    ] {
        assert!(detail.contains(part), "{detail}");
    }
    server.unset("validator.client_secret_file");
    server.reload();
    let detail = only_detail(&server, "error setting_invalid");
    assert!(detail.contains("it is not set"), "{detail}");
    assert_eq!(issuer.hits(Endpoint::Introspection), 0);
}

#[test]
fn secret_is_wrong() {
    let (_issuer, server) = patient();
    set_secret(&server, "a wrong one");
    let found = assert_findings(&server, &["error introspection_unauthorized"]);
    assert!(found[0].detail.contains("/introspect"), "{found:?}");
    assert!(found[0].advice.contains("validator.client_id"), "{found:?}");
    let told = format!("{found:?}{}", server.log().text());
    assert!(!told.contains("a wrong one"));
}

#[test]
fn endpoint_does_not_answer_as_it_should() {
    let (issuer, server) = patient();
    let answer = |status, document| Fault::Answer(Response::json(status, &document));
    for (fault, code) in [
        (answer(403, json!({})), "introspection_forbidden"),
        (answer(200, json!({})), "active_malformed"),
        (answer(200, json!({"active": "false"})), "active_malformed"),
        (
            answer(200, json!({"active": true})),
            "introspection_says_yes",
        ),
        (Fault::Status(500), "provider_unavailable"),
        (Fault::Closed, "provider_unavailable"),
    ] {
        issuer.fail(Endpoint::Introspection, fault);
        only_detail(&server, &format!("error {code}"));
    }
    issuer.heal();
    assert_findings(&server, &["ok ok"]);
}

#[test]
fn endpoint_is_not_known() {
    let (issuer, server) = patient();
    issuer.fail(
        Endpoint::Discovery,
        Fault::altered(|document| {
            let members = document.as_object_mut().expect("an object");
            members.remove("introspection_endpoint");
        }),
    );
    let detail = only_detail(&server, "error provider_unavailable");
    assert!(detail.contains("introspection_endpoint"), "{detail}");
    let endpoint = format!("{}/introspect", issuer.url());
    server.reload_with(&[("validator.introspection_endpoint", &endpoint)]);
    assert_findings(&server, &["ok ok"]);
}

#[test]
fn endpoint_is_another_than_the_metadata_has() {
    let (issuer, server) = patient();
    let endpoint = format!("{}/introspect", issuer.url());
    let named = |plain: serde_json::Value, alias: serde_json::Value| {
        issuer.fail(
            Endpoint::Discovery,
            Fault::altered(move |document| {
                document["introspection_endpoint"] = plain.clone();
                document["mtls_endpoint_aliases"] = json!({"introspection_endpoint": alias});
            }),
        );
    };
    server.reload_with(&[("validator.introspection_endpoint", &endpoint)]);
    assert_findings(&server, &["ok ok"]);
    named(json!("https://other.example/introspect"), json!(null));
    let found = assert_findings(&server, &["warning introspection_elsewhere"]);
    for part in [&endpoint, "has \"https://other.example/introspect\"."] {
        assert!(found[0].detail.contains(part), "{found:?}");
    }
    named(json!(format!("{endpoint}/")), json!(null));
    let detail = only_detail(&server, "warning introspection_elsewhere");
    assert!(
        detail.contains("differ only by a slash at the end"),
        "{detail}"
    );
    // For clients that present a certificate.
    named(json!("https://other.example/"), json!(endpoint));
    assert_findings(&server, &["ok ok"]);
    // Nothing to compare it with.
    named(json!(["https://other.example/"]), json!(1));
    assert_findings(&server, &["ok ok"]);
    let hostile = format!("https://x\n\u{202e}{}", "y".repeat(1000));
    named(json!(hostile), json!(null));
    let detail = only_detail(&server, "warning introspection_elsewhere");
    assert!(detail.contains("https://x\\u{a}\\u{202e}yyy"), "{detail}");
    assert!(detail.len() < 500, "{detail}");
    // Where the endpoint is the metadata's, there are no two.
    issuer.heal();
    server.unset("validator.introspection_endpoint");
    server.reload();
    assert_findings(&server, &["ok ok"]);
}

/// One after the other, they would take three timeouts.
#[test]
fn endpoints_that_hang_are_asked_at_the_same_time() {
    let (issuer, server) = patient();
    let other = Issuer::builder().https().start();
    other.fail(Endpoint::Discovery, Fault::Hang);
    issuer.fail(Endpoint::Introspection, Fault::Hang);
    server.set_hba(&[&good_line(issuer.url()), &second_line(other.url())]);
    server.reload_with(&[
        ("validator.http_timeout", "4s"),
        ("validator.identity_prefix", "x:"),
    ]);
    let start = Instant::now();
    let found = crate::examine(&server);
    let took = start.elapsed();
    let late = found
        .iter()
        .filter(|row| row.detail.contains("no answer in time"));
    assert_eq!(late.count(), 3, "{found:#?}");
    assert!(took < Duration::from_millis(7500), "{took:?}");
}

#[test]
fn lines_with_one_endpoint_and_client_ask_once() {
    let (issuer, server) = patient();
    server.set_hba(&[&good_line(issuer.url()), &second_line(issuer.url())]);
    server.reload();
    assert_findings(&server, &["ok ok", "ok ok"]);
    assert_eq!(issuer.hits(Endpoint::Introspection), 1);
}

#[test]
fn a_provider_of_opaque_tokens_need_not_have_keys() {
    let (issuer, server) = patient();
    issuer.publish_only(&[]);
    only_detail(&server, "warning no_usable_key");
    server.reload_with(&[("validator.introspection", "always")]);
    only_detail(&server, "error no_usable_key");
}
