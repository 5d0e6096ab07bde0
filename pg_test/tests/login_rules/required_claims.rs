//! Conditions on claims: any of several values, patterns, presence, absence.

use rig::{Issuer, Server, Token};
use serde_json::{Value, json};

const CONDITIONS: &str =
    r#"acr in (phr, phrh), ref like "refs/*/main", /org/unit present, act absent"#;

fn start() -> (Issuer, Server, Token) {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .log_everything()
        .set("validator.required_claims", CONDITIONS)
        .start();
    let good = issuer
        .token("alice")
        .claim("acr", "phrh")
        .claim("ref", "refs/heads/main")
        .claim("org", json!({"unit": "dba"}));
    (issuer, server, good)
}

#[test]
fn every_condition_must_hold_and_the_log_names_the_one_that_does_not() {
    let (_issuer, server, good) = start();
    server.admits("alice", &good.encode());
    let others = [("acr", json!(["x", "phr"])), ("ref", json!("refs//main"))];
    for (claim, value) in others {
        server.admits("alice", &good.clone().claim(claim, value).encode());
    }
    for (claim, value, reason, condition) in [
        (
            "acr",
            json!("low"),
            "required_claim_mismatch",
            "acr in (phr, phrh)",
        ),
        (
            "acr",
            json!("phr, phrh"),
            "required_claim_mismatch",
            "acr in (phr, phrh)",
        ),
        (
            "acr",
            Value::Null,
            "required_claim_mismatch",
            "acr in (phr, phrh)",
        ),
        (
            "ref",
            json!("refs/heads/main2"),
            "required_claim_mismatch",
            "ref like",
        ),
        (
            "ref",
            json!("xrefs/heads/main"),
            "required_claim_mismatch",
            "ref like",
        ),
        (
            "ref",
            json!({"refs/heads/main": 1}),
            "required_claim_mismatch",
            "ref like",
        ),
        (
            "org",
            json!({}),
            "required_claim_missing",
            "/org/unit present",
        ),
        (
            "org",
            json!({"unit": null}),
            "required_claim_mismatch",
            "/org/unit present",
        ),
        (
            "act",
            json!({"sub": "admin"}),
            "forbidden_claim",
            "act absent",
        ),
        ("act", Value::Null, "forbidden_claim", "act absent"),
    ] {
        let token = good.clone().claim(claim, value).encode();
        let verdict = server.refuses("alice", &token, reason);
        let hint = format!("HINT:  See \"{condition}");
        assert!(verdict.log.contains(&hint), "{}", verdict.log);
    }
    for claim in ["acr", "ref", "org"] {
        let token = good.clone().without_claim(claim).encode();
        server.refuses("alice", &token, "required_claim_missing");
    }
}

#[test]
fn a_mistake_lets_nobody_in_and_is_told_with_its_place() {
    let (_issuer, server, good) = start();
    server.reload_with(&[("validator.required_claims", "act absnt")]);
    let verdict = server.refuses("alice", &good.encode(), "setting_invalid");
    assert!(verdict.log.contains("t character 5: "), "{}", verdict.log);
    server.reload_with(&[("validator.required_claims", "act absent")]);
    server.admits("alice", &good.encode());
}
