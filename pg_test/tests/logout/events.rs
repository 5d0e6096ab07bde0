//! Security event tokens by push: RFC 8417, RFC 8935, RFC 9493, CAEP and RISC.

use std::fs;

use rig::{Hook, Issuer, Server, Token, scratch};
use serde_json::{Value, json};

use crate::*;

const HOOK: &str = "https://hook.example/events";
pub const SESSION_REVOKED: &str =
    "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
const CREDENTIAL: &str = "https://schemas.openid.net/secevent/caep/event-type/credential-change";
pub const DISABLED: &str = "https://schemas.openid.net/secevent/risc/event-type/account-disabled";

pub fn event_of(issuer: &Issuer, name: &str, subject: Value) -> Token {
    issuer
        .token("alice")
        .header("typ", "secevent+jwt")
        .without_claim("client_id")
        .without_claim("scope")
        .without_claim("sub")
        .without_claim("exp")
        .claim("aud", HOOK)
        .claim("sub_id", subject)
        .claim("events", json!({name: {"event_timestamp": rig::now()}}))
}

fn configuration(issuer: &Issuer, server: &Server, more: &str, of_events: &str) -> String {
    let server = Hook::server_table("primary", server, ROLE);
    configuration_for(issuer, &server, more, of_events)
}

/// `servers`: their tables.
pub fn configuration_for(issuer: &Issuer, servers: &str, more: &str, of_events: &str) -> String {
    let events = format!("{more}\n[issuer.events]\naudience = [\"{HOOK}\"]\n{of_events}\n");
    format!("{}{servers}", issuer_table(issuer, &events))
}

#[test]
fn events_of_caep_and_risc_end_the_sessions_of_their_subjects() {
    let issuer = Issuer::builder().start();
    let server = server(&issuer);
    let hook = Hook::start(&configuration(&issuer, &server, "", ""));
    let alice = || json!({"format": "iss_sub", "iss": issuer.url(), "sub": "alice"});
    let mut bob = log_in(&server, &issuer, "bob", "s9");
    for (name, subject) in [
        (SESSION_REVOKED, alice()),
        (SESSION_REVOKED, json!({"format": "opaque", "id": "s1"})),
        (
            SESSION_REVOKED,
            json!({"format": "complex", "user": alice(), "session": {"format": "opaque", "id": "s1"}}),
        ),
        (CREDENTIAL, alice()),
        (CREDENTIAL, json!({"format": "opaque", "id": "alice"})),
        (DISABLED, alice()),
        (
            DISABLED,
            json!({"format": "aliases", "identifiers": [alice()]}),
        ),
    ] {
        let mut session = log_in(&server, &issuer, "alice", "s1");
        let token = event_of(&issuer, name, subject.clone()).encode();
        let answer = hook.tell(&token, "");
        assert_status(&answer, 202);
        assert_eq!(answer.body, "", "{subject}");
        assert_ended(&mut session);
        // RFC 8935 §2: one that is sent again is acknowledged again.
        let mut session = log_in(&server, &issuer, "alice", "s1");
        assert_status(&hook.tell(&token, ""), 202);
        assert_open(&mut session);
        assert!(!hook.log().contains(&token));
    }
    assert!(hook.log().contains("sent again, and acted on before"));
    let verification = "https://schemas.openid.net/secevent/ssf/event-type/verification";
    for name in [verification, "urn:other"] {
        let token = event_of(&issuer, name, json!({"format": "opaque", "id": "bob"}));
        assert_status(&hook.tell(&token.encode(), ""), 202);
    }
    hook.wait_for("urn:other issuer=", SOON);
    assert_open(&mut bob);
}

#[test]
fn address_names_the_user_whose_identity_it_is() {
    let issuer = Issuer::builder().start();
    let server = start(
        Server::trusting(&issuer)
            .set("validator.identity_claim", "email")
            .set("validator.identity_prefix", "corp:")
            .set("validator.identity_case", "lower")
            .ident(r"m /^corp:(.*)@corp.example$ \1"),
    );
    server.set_hba(&[
        &rig::oauth_line(issuer.url(), "map=m"),
        &format!("local postgres {ROLE} trust"),
    ]);
    server.reload();
    let mut session = server.admits(
        "alice",
        &issuer
            .token("5f2")
            .claim("email", "Alice@Corp.Example")
            .encode(),
    );
    let address = json!({"format": "email", "email": "alice@corp.EXAMPLE"});
    let token = event_of(&issuer, DISABLED, address.clone()).encode();
    let deaf = Hook::start(&configuration(&issuer, &server, "", ""));
    let answer = deaf.tell(&token, "");
    assert_status(&answer, 400);
    assert!(answer.body.contains("e-mail address"), "{answer:?}");
    assert_open(&mut session);
    let rule = "identity_claim = \"email\"\nidentity_prefix = \"corp:\"\nidentity_case = \"lower\"";
    let hook = Hook::start(&configuration(&issuer, &server, rule, ""));
    assert_status(&hook.tell(&token, ""), 202);
    assert_ended(&mut session);
}

/// Of two events in one token: a refusal would not be sent again, and what has failed for a while would be lost.
#[test]
fn event_that_may_be_sent_again_counts_before_one_that_is_refused() {
    let issuer = Issuer::builder().start();
    let server = server(&issuer);
    let hook = Hook::start(&configuration(&issuer, &server, "", ""));
    let mut session = log_in(&server, &issuer, "alice", "s1");
    let alice = json!({"format": "iss_sub", "iss": issuer.url(), "sub": "alice"});
    let address = json!({"format": "email", "email": "alice@corp.example"});
    let function = "FUNCTION validator.end_sessions(text, text, text, text, text)";
    // Whichever is the first of them.
    let tokens = [[&alice, &address], [&address, &alice]].map(|[first, second]| {
        let events = json!({SESSION_REVOKED: {"subject": first}, DISABLED: {"subject": second}});
        let token = event_of(&issuer, DISABLED, alice.clone()).without_claim("sub_id");
        token.claim("events", events).encode()
    });
    server.sql(&format!("REVOKE EXECUTE ON {function} FROM {ROLE}"));
    for token in &tokens {
        assert_status(&hook.tell(token, ""), 503);
    }
    assert_open(&mut session);
    server.sql(&format!("GRANT EXECUTE ON {function} TO {ROLE}"));
    for token in &tokens {
        assert_status(&hook.tell(token, ""), 400);
        assert_ended(&mut session);
        session = log_in(&server, &issuer, "alice", "s1");
    }
}

#[test]
fn refusals_have_the_codes_of_rfc_8935() {
    let issuer = Issuer::builder().start();
    let server = server(&issuer);
    let hook = Hook::start(&configuration(&issuer, &server, "", ""));
    let mut session = log_in(&server, &issuer, "alice", "s1");
    let alice = json!({"format": "iss_sub", "iss": issuer.url(), "sub": "alice"});
    let stranger = json!({"format": "iss_sub", "iss": "https://other.example", "sub": "alice"});
    let good = || event_of(&issuer, SESSION_REVOKED, alice.clone());
    for (token, code) in [
        (
            good().claim("iss", "https://other.example"),
            "invalid_issuer",
        ),
        (good().claim("aud", CLIENT), "invalid_audience"),
        (good().without_claim("aud"), "invalid_audience"),
        (
            good().signature_fault(rig::SignatureFault::Empty),
            "invalid_key",
        ),
        (good().header("typ", "JWT"), "invalid_request"),
        (good().header("typ", "logout+jwt"), "invalid_request"),
        (good().claim("exp", rig::now() - 40), "invalid_request"),
        (good().claim("sub_id", stranger), "invalid_request"),
        (good().without_claim("sub_id"), "invalid_request"),
        (good().raw_claims("{}"), "invalid_issuer"),
        (
            logout_token(&issuer).claim("sub", "alice"),
            "invalid_request",
        ),
    ] {
        let answer = hook.tell(&token.encode(), "");
        assert_status(&answer, 400);
        let told: Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(told["err"], code, "{told}");
        assert!(answer.head.contains("content-language: en"), "{answer:?}");
    }
    // Neither endpoint takes the other's tokens.
    assert_status(&hook.log_out(&good().encode()), 400);
    assert_open(&mut session);
}

#[test]
fn transmitter_must_send_the_header_that_was_agreed_on() {
    let issuer = Issuer::builder().start();
    let server = server(&issuer);
    let file = scratch::new_folder("authorization").join("header");
    fs::write(&file, "Bearer s3cret-transmitter\n").expect("a file");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&file, mode).expect("a mode");
    let more = format!("authorization_file = \"{}\"", file.display());
    let hook = Hook::start(&configuration(&issuer, &server, "", &more));
    let mut session = log_in(&server, &issuer, "alice", "s1");
    let subject = json!({"format": "iss_sub", "iss": issuer.url(), "sub": "alice"});
    let token = event_of(&issuer, SESSION_REVOKED, subject).encode();
    let before = fetches(&issuer);
    for header in [
        "",
        "Authorization: Bearer other\r\n",
        "Authorization: s3cret-transmitter\r\n",
    ] {
        let answer = hook.tell(&token, header);
        assert_status(&answer, 401);
        assert!(answer.body.contains("authentication_failed"), "{answer:?}");
        assert!(
            answer.head.contains("www-authenticate: Bearer"),
            "{answer:?}"
        );
    }
    // Nothing was fetched for whom is not the transmitter.
    assert_eq!(fetches(&issuer), before);
    assert_open(&mut session);
    assert_status(
        &hook.tell(&token, "Authorization: Bearer s3cret-transmitter\r\n"),
        202,
    );
    assert_ended(&mut session);
    assert!(!hook.log().contains("s3cret"));
}

/// A transmitter of its own tells of the users of the issuer, and of no others.
#[test]
fn transmitter_may_be_another_issuer_than_the_users() {
    let issuer = Issuer::builder().start();
    let transmitter = Issuer::builder().start();
    let server = server(&issuer);
    let more = format!("transmitter = \"{}\"", transmitter.url());
    let hook = Hook::start(&configuration(&issuer, &server, "", &more));
    let mut session = log_in(&server, &issuer, "alice", "s1");
    let of = |iss: &str| json!({"format": "iss_sub", "iss": iss, "sub": "alice"});
    let own = event_of(&transmitter, SESSION_REVOKED, of(transmitter.url()));
    assert_status(&hook.tell(&own.encode(), ""), 400);
    let by_issuer = event_of(&issuer, SESSION_REVOKED, of(issuer.url()));
    assert_status(&hook.tell(&by_issuer.encode(), ""), 400);
    assert_open(&mut session);
    let token = event_of(&transmitter, SESSION_REVOKED, of(issuer.url()));
    assert_status(&hook.tell(&token.encode(), ""), 202);
    assert_ended(&mut session);
}

/// A copy of an event cannot be sent for ever, whatever the program remembers.
#[test]
fn old_event_is_refused() {
    let issuer = Issuer::builder().start();
    let server = server(&issuer);
    let subject = json!({"format": "iss_sub", "iss": issuer.url(), "sub": "alice"});
    let aged = |age: i64| {
        let token = event_of(&issuer, SESSION_REVOKED, subject.clone());
        token.claim("iat", rig::now() - age).encode()
    };
    let day = 24 * 3600;
    for (more, too_old, good) in [
        ("", 7 * day + 60, 7 * day - 60),
        ("max_event_age = \"36h\"", 37 * 3600, 35 * 3600),
    ] {
        let hook = Hook::start(&configuration(&issuer, &server, "", more));
        let mut session = log_in(&server, &issuer, "alice", "s1");
        let answer = hook.tell(&aged(too_old), "");
        assert_status(&answer, 400);
        let told: Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(told["err"], "invalid_request", "{told}");
        hook.wait_for("reason=too_old", SOON);
        assert_open(&mut session);
        assert_status(&hook.tell(&aged(good), ""), 202);
        assert_ended(&mut session);
    }
}

#[test]
fn check_warns_of_events_that_anyone_may_send_again() {
    let issuer = Issuer::builder().start();
    let server = server(&issuer);
    let checked = Hook::check(&configuration(&issuer, &server, "", ""));
    let what = format!(
        "warn: events of \"{}\": without authorization_file",
        issuer.url()
    );
    assert!(checked.success().contains(&what), "{checked:?}");
}
