//! A JWT does not become opaque by a changed form: what this server would refuse, no lenient provider lets in.

use std::ops::Range;

use rig::{Alg, Issuer, Key, KeyKind, Server, base64url};
use serde_json::json;

use crate::{BOTH, asked, server_of};

/// Good tokens but for what only this server looks at: the algorithm, the type, the key, and the binding.
fn spoiled(issuer: &Issuer) -> [(String, &'static str); 4] {
    let secret = Key::secret(b"a secret that only the provider has");
    let stranger = Key::new(KeyKind::OtherRsa).with_kid(issuer.signing_key().kid().expect("a kid"));
    [
        (
            issuer
                .token("alice")
                .signed_by(&secret, Alg::HS256)
                .encode(),
            "alg_not_allowed",
        ),
        (
            issuer.token("alice").header("typ", "JWT").encode(),
            "typ_not_allowed",
        ),
        (
            issuer
                .token("alice")
                .signed_by(&stranger, Alg::RS256)
                .encode(),
            "bad_signature",
        ),
        (
            issuer
                .token("alice")
                .claim("cnf", json!({"jkt": "x"}))
                .encode(),
            "cnf_unsupported",
        ),
    ]
}

/// The provider says yes to the token in this form, as one does that splits leniently; nobody may ask.
#[track_caller]
fn refuses_unasked(server: &Server, issuer: &Issuer, text: &str, reason: &str) {
    issuer.say(text, issuer.word_on("alice"));
    let before = asked(issuer).1;
    server.refuses("alice", text, reason);
    assert_eq!(asked(issuer).1, before, "the provider was asked: {text}");
}

#[test]
fn jwt_with_a_changed_form_is_refused_and_the_provider_is_not_asked() {
    for (mode, preload) in [("opaque", false), ("opaque", true), ("always", false)] {
        let issuer = Issuer::builder().start();
        let server = server_of(&issuer, mode, preload).start();
        for (token, reason) in spoiled(&issuer) {
            refuses_unasked(&server, &issuer, &token, reason);
            let part = |range: Range<usize>| {
                let parts: Vec<_> = token.split('.').collect();
                parts[range].join(".")
            };
            for text in [
                format!("{token}."),
                format!("{token}.."),
                format!("{token}...."),
                format!(".{token}"),
                format!("..{token}"),
                format!("{token}.x"),
                format!("{token}.x.y"),
                format!("x.{token}"),
                format!("~.{token}"),
                format!("{}..{}", part(0..1), part(1..3)),
                format!("{token}.="),
                format!("{token}~.~"),
                part(0..2),
                part(0..1),
            ] {
                refuses_unasked(&server, &issuer, &text, "malformed_jwt");
            }
            for text in [
                format!("{token}="),
                format!("{token}~"),
                format!("~{token}"),
            ] {
                refuses_unasked(&server, &issuer, &text, "bad_encoding");
            }
        }
        // The same server asks about what is opaque.
        server.admits("alice", &issuer.opaque_token("alice"));
    }
}

#[test]
fn tokens_of_other_forms_are_still_opaque() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = server_of(&issuer, "opaque", preload).start();
        let jwe = base64url(json!({"alg": "dir", "enc": "A256GCM"}).to_string());
        for token in [
            "mF_9.B5f-4.1JqM",
            "v2.local.97TTOvgwIxNGvV80XKiGZg_kD3tsXM_-qB4dZGHOeN1cTkgQ4PnW8888l802W8d9AvEGnoNBY3Bnq",
            "ory_at_2YotnFZFEjr1zCsicMWpAA.1JqM_B5f-4mF_9tGzv3JOkF0XG5Qx2TlKWIA",
            "gho_16C7e42F292c6912E7710c838347Ae178B4a",
            "MDAxY2xvY2F0aW9uIGh0dHBzOi8vaWRwLnRlc3QKMDAxYWlkZW50aWZpZXIgYWxpY2UK==",
            &format!("{jwe}..AAAAAAAAAAAAAAAA.c2VjcmV0LWNsYWltcw.AAAAAAAAAAAAAAAAAAAAAA"),
        ] {
            let before = asked(&issuer).1;
            issuer.say(token, issuer.word_on("alice"));
            server.admits("alice", token);
            assert_eq!(asked(&issuer).1, before + 1, "{token}");
        }
        let split = format!("{jwe}..AAAAAAAAAAAAAAAA.c2VjcmV0LWNsYWltcw.AAAAAAAAAAAAAAAAAAAAAA.");
        refuses_unasked(&server, &issuer, &split, "malformed_jwt");
    }
}
