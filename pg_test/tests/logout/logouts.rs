//! OpenID Connect Back-Channel Logout 1.0.

use std::thread;
use std::time::Duration;

use rig::{Alg, Endpoint, Fault, Hook, Issuer, Key, KeyKind, Server, now};
use serde_json::json;

use crate::*;

#[test]
fn session_at_the_provider_ends_its_sessions_only() {
    let issuer = Issuer::builder().start();
    let server = server(&issuer);
    let hook = hook(&issuer, &server);
    let mut first = log_in(&server, &issuer, "alice", "s1");
    let mut second = log_in(&server, &issuer, "alice", "s2");
    let mut bob = log_in(&server, &issuer, "bob", "s3");
    let token = logout_token(&issuer)
        .claim("sid", "s1")
        .claim("sub", "alice");
    let answer = hook.log_out(&token.encode());
    assert_status(&answer, 200);
    assert_eq!(answer.body, "");
    assert_ended(&mut first);
    assert_open(&mut second);
    let log = hook.log();
    assert!(
        log.contains("logout sub=\"alice\" sid=\"s1\" issuer="),
        "{log}"
    );
    assert!(log.contains(": primary: 1 ended\n"), "{log}");
    // By the subject alone: all that are left.
    let token = logout_token(&issuer).claim("sub", "alice").encode();
    assert_status(&hook.log_out(&token), 200);
    assert_ended(&mut second);
    assert_open(&mut bob);
    assert!(!hook.log().contains(&token));
}

/// The provider knows nothing of what `identity_claim` and its kin make of its users.
#[test]
fn subject_is_found_where_the_identity_is_another_claim() {
    let issuer = Issuer::builder().start();
    let server = start(
        Server::trusting(&issuer)
            .set("validator.identity_claim", "preferred_username")
            .set("validator.identity_prefix", "corp:")
            .ident(r"m /^corp:(.*)$ \1"),
    );
    server.set_hba(&[
        &rig::oauth_line(issuer.url(), "map=m"),
        &format!("local postgres {ROLE} trust"),
    ]);
    server.reload();
    let hook = hook(&issuer, &server);
    let token = |user: &str, sub: &str| {
        let token = issuer.token(user).claim("preferred_username", user);
        token.claim("sub", sub).encode()
    };
    let mut alice = server.admits("alice", &token("alice", "0b8f-17"));
    let mut bob = server.admits("bob", &token("bob", "0b8f-18"));
    let logout = logout_token(&issuer).claim("sub", "0b8f-17").encode();
    assert_status(&hook.log_out(&logout), 200);
    assert_ended(&mut alice);
    assert_open(&mut bob);
}

#[test]
fn token_is_used_once() {
    let issuer = Issuer::builder().start();
    let server = server(&issuer);
    let hook = hook(&issuer, &server);
    let token = logout_token(&issuer).claim("sub", "alice").encode();
    assert_status(&hook.log_out(&token), 200);
    let mut session = log_in(&server, &issuer, "alice", "s1");
    let again = hook.log_out(&token);
    assert_status(&again, 400);
    let told: serde_json::Value = serde_json::from_str(&again.body).expect("JSON");
    assert_eq!(
        told,
        json!({"error": "invalid_request", "error_description": "the token was used before"})
    );
    assert!(
        again.head.contains("content-type: application/json"),
        "{again:?}"
    );
    // Many at once: one is acted on, the others are refused, or told to wait for its end.
    let token = logout_token(&issuer).claim("sub", "alice").encode();
    let statuses: Vec<u16> = thread::scope(|scope| {
        let all: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| hook.log_out(&token).status))
            .collect();
        all.into_iter()
            .map(|one| one.join().expect("no panic"))
            .collect()
    });
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        1,
        "{statuses:?}"
    );
    assert!(
        statuses
            .iter()
            .all(|status| [200, 400, 503].contains(status)),
        "{statuses:?}"
    );
    assert_ended(&mut session);
}

#[test]
fn logout_that_ends_nothing_says_why() {
    let issuer = Issuer::builder().start();
    let server = server(&issuer);
    let hook = hook(&issuer, &server);
    let mut session = log_in(&server, &issuer, "alice", "s1");
    for (claim, value) in [("sid", "s2"), ("sub", "Alice"), ("sub", "' OR true --")] {
        let token = logout_token(&issuer).claim(claim, value).encode();
        assert_status(&hook.log_out(&token), 200);
        let why = format!(
            "ended no session, since no server has one of this issuer with this {claim}: primary: 0 ended"
        );
        hook.wait_for(&why, SOON);
    }
    assert_open(&mut session);
}

#[test]
fn what_is_no_logout_token_for_this_program_is_refused_and_ends_nobody() {
    let issuer = Issuer::builder().start();
    let other = Issuer::builder().start();
    let server = server(&issuer);
    let hook = hook(&issuer, &server);
    let mut session = log_in(&server, &issuer, "alice", "s1");
    let good = || logout_token(&issuer).claim("sub", "alice");
    let stranger = Key::new(KeyKind::P256).with_kid("stranger");
    let unsigned = {
        let token = good().header("alg", "none").encode();
        let (input, _) = token.rsplit_once('.').expect("a signature");
        format!("{input}.")
    };
    for (token, reason) in [
        (unsigned, "reason=alg_not_allowed"),
        (
            good().header("alg", "HS256").encode(),
            "reason=alg_not_allowed",
        ),
        (good().claim("aud", "other").encode(), "reason=aud_mismatch"),
        (
            good().claim("aud", Issuer::AUDIENCE).encode(),
            "reason=aud_mismatch",
        ),
        (good().claim("exp", now() - 40).encode(), "reason=expired"),
        (good().without_claim("exp").encode(), "reason=exp_missing"),
        (good().without_claim("iat").encode(), "reason=iat_missing"),
        (good().without_claim("jti").encode(), "reason=jti_missing"),
        (
            good().claim("nonce", "n").encode(),
            "reason=nonce_prohibited",
        ),
        (
            good().without_claim("events").encode(),
            "reason=events_missing",
        ),
        (
            good().claim("events", json!({"x": {}})).encode(),
            "reason=not_a_logout",
        ),
        (
            good().without_claim("sub").encode(),
            "reason=subject_missing",
        ),
        (
            good().claim("sub", "a\0").encode(),
            "reason=subject_malformed",
        ),
        (
            good().header("typ", "at+jwt").encode(),
            "reason=typ_not_allowed",
        ),
        (issuer.token("alice").encode(), "reason=typ_not_allowed"),
        (
            good().signature_by(&stranger, Alg::ES256).encode(),
            "reason=bad_signature",
        ),
        (
            good().claim("iss", other.url()).encode(),
            "refused: the token is not of an issuer that is configured",
        ),
        (
            logout_token(&other).claim("sub", "alice").encode(),
            "refused: the token is not of an issuer that is configured",
        ),
        (
            "x".to_owned(),
            "refused: the token is not of an issuer that is configured",
        ),
    ] {
        let lines = hook.log().lines().count();
        let mut answer = hook.log_out(&token);
        // Whoever sends bad signatures does not hold logouts up for longer than it says.
        if reason.ends_with("bad_signature") && answer.status == 503 {
            thread::sleep(Duration::from_secs(11));
            answer = hook.log_out(&token);
        }
        assert_status(&answer, 400);
        assert!(answer.body.contains("invalid_request"), "{answer:?}");
        let log = hook.log();
        let new: Vec<&str> = log.lines().skip(lines).collect();
        assert!(
            new.iter().any(|line| line.contains(reason)),
            "{reason}: {new:?}"
        );
        assert!(!log.contains(&token) || token.len() < 10, "{log}");
    }
    assert_open(&mut session);
    assert_eq!(other.hits(Endpoint::Jwks), 0);
}

#[test]
fn unreachable_keys_are_an_outage_and_not_the_tokens_fault() {
    let issuer = Issuer::builder().start();
    let server = server(&issuer);
    let mut session = log_in(&server, &issuer, "alice", "s1");
    let hook = hook(&issuer, &server);
    let token = logout_token(&issuer).claim("sub", "alice").encode();
    issuer.fail(Endpoint::Jwks, Fault::Status(500));
    for _ in 0..2 {
        let answer = hook.log_out(&token);
        assert_status(&answer, 503);
        assert!(answer.head.contains("retry-after: "), "{answer:?}");
    }
    let log = hook.wait_for("cannot be verified, and may be sent again", SOON);
    assert!(log.contains(issuer.url()) && log.contains("500"), "{log}");
    assert_open(&mut session);
    issuer.heal();
    // As soon as the pause after failures is over.
    let answer = (0..20)
        .map(|_| {
            thread::sleep(Duration::from_millis(500));
            hook.log_out(&token)
        })
        .find(|answer| answer.status != 503)
        .expect("an answer");
    assert_status(&answer, 200);
    assert_ended(&mut session);
}

#[test]
fn keys_are_cached_and_a_new_one_is_found() {
    let issuer = Issuer::builder().start();
    let server = server(&issuer);
    let hook = hook(&issuer, &server);
    let before = fetches(&issuer);
    for _ in 0..3 {
        let token = logout_token(&issuer).claim("sub", "alice").encode();
        assert_status(&hook.log_out(&token), 200);
    }
    assert_eq!(fetches(&issuer), before + 1);
    issuer.rotate();
    let token = logout_token(&issuer).claim("sub", "alice").encode();
    assert_status(&hook.log_out(&token), 200);
    assert_eq!(fetches(&issuer), before + 2);
    // A second unknown key is an outage for the time of the cooldown: it may be a new one, too.
    let stranger = Key::new(KeyKind::P256).with_kid("stranger");
    let token = logout_token(&issuer)
        .claim("sub", "alice")
        .signed_by(&stranger, Alg::ES256);
    let answer = hook.log_out(&token.encode());
    assert_status(&answer, 503);
    assert!(answer.head.contains("retry-after: "), "{answer:?}");
    assert_eq!(fetches(&issuer), before + 2);
    hook.wait_for("the provider is not asked for its keys again within", SOON);
}

#[test]
fn provider_behind_a_private_authority_is_trusted_by_its_file() {
    let issuer = Issuer::builder().https().start();
    let server = server(&issuer);
    let mut session = log_in(&server, &issuer, "alice", "s1");
    let authority = rig::Authority::shared().file().display().to_string();
    let table = issuer_table(&issuer, &format!("ca_file = \"{authority}\""));
    let hook = Hook::start(&format!(
        "{table}{}",
        Hook::server_table("primary", &server, ROLE)
    ));
    let token = logout_token(&issuer).claim("sub", "alice").encode();
    assert_status(&hook.log_out(&token), 200);
    assert_ended(&mut session);
}
