//! A token of another issuer than the line's.

use rig::{Issuer, Server, oauth_line};

use crate::{explain, server_for};

#[test]
fn token_of_another_issuer_is_said_to_be_of_another_whatever_check_failed() {
    let (issuer, other) = (Issuer::builder().start(), Issuer::builder().start());
    let server = server_for(&issuer).start();
    // By key, by type, by algorithm: the first check that fails says little.
    let token = other.token("alice");
    for (reason, token) in [
        ("unknown_kid", token.clone().encode()),
        (
            "typ_not_allowed",
            token.clone().header("typ", "JWT").encode(),
        ),
        ("iss_mismatch", {
            let key = issuer.signing_key();
            token.signed_by(&key, key.default_alg()).encode()
        }),
    ] {
        explain(&server, "alice", &token, reason)
            .has_fact("hba_line=3")
            .has_fact(&format!("line_issuer={}", issuer.url()))
            .has_fact(&format!("token_issuer={}", other.url()))
            .says(&[
                &format!("it is from \"{}\" (unverified)", other.url()),
                &format!(
                    "line 3 of pg_hba.conf, which matched, is for \"{}\"",
                    issuer.url()
                ),
                "add a line for the token's",
            ])
            .loosens_nothing();
    }
}

#[test]
fn line_for_the_tokens_issuer_further_down_is_named() {
    let (issuer, other) = (Issuer::builder().start(), Issuer::builder().start());
    let server = server_for(&issuer)
        .hba(&oauth_line(other.url(), ""))
        .start();
    let token = other.token("alice").encode();
    explain(&server, "alice", &token, "unknown_kid")
        .says(&[
            "Line 4 is for the token's issuer",
            "by a membership of the role",
        ])
        .loosens_nothing();
}

#[test]
fn issuers_that_differ_by_spelling_are_said_to() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer).start();
    let url = issuer.url();
    for (named, near) in [
        (format!("{url}/"), "a slash at the end"),
        (url.to_uppercase(), "capital letters"),
        (url.replace("http://", "https://"), "http for https"),
        (format!("{url} "), "white space"),
    ] {
        let token = issuer.token("alice").claim("iss", named).encode();
        explain(&server, "alice", &token, "iss_mismatch")
            .says(&[&format!("They differ only by {near}")])
            .loosens_nothing();
    }
}

#[test]
fn what_a_stranger_writes_as_issuer_is_bounded_and_escaped() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer).start();
    let forged = format!("x\" reason=none\nLOG:  {}", "a".repeat(500));
    let token = issuer.token("alice").claim("iss", forged).encode();
    let explained = explain(&server, "alice", &token, "iss_mismatch");
    explained.says(&["x\\\" reason=none\\u{a}LOG:  aaaa", "…"]);
    assert!(explained.hint.len() < 600, "{}", explained.hint);
    explained.has_fact("token_issuer=\"x\\\" reason=none\\u{a}");
}

#[test]
fn matching_profile_is_named() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .log_everything()
        .set("validator.profiles", "corp")
        .set("validator_corp.issuer", issuer.url())
        .start();
    let token = issuer.token("alice").claim("aud", "other").encode();
    explain(&server, "alice", &token, "aud_mismatch").has_fact("hba_line=3 profile=corp");
}

#[test]
fn issuer_that_access_tokens_do_not_name_is_not_called_another() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer)
        .set("validator.provider", "adfs")
        .set(
            "validator.access_token_issuer",
            "http://fs.corp.example/adfs/services/trust",
        )
        .start();
    let token = issuer.token("alice").encode();
    let hint = explain(&server, "alice", &token, "typ_not_allowed").hint;
    assert!(!hint.contains("says that it is from"), "{hint}");
}
