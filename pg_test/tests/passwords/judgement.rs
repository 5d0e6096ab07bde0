//! The same judgement as for other tokens, and what is demanded of passwords in addition.

use rig::{
    Ending, Endpoint, Fault, FirstResponse, Issuer, Login, Server, SignatureFault, Verdict, now,
};
use serde_json::json;

use crate::{start, start_with, system_user};

fn login(server: &Server, role: &str, token: &str) -> Login {
    Login::by_tls(server, role, None).token(token)
}

#[track_caller]
fn refuses(server: &Server, role: &str, token: &str, reason: &str) -> Verdict {
    let verdict = server.refuses_login(login(server, role, token), token, reason);
    assert!(verdict.refusal.asked_for_password, "{verdict:?}");
    assert!(verdict.log.contains("HINT:  "), "{}", verdict.log);
    verdict
}

#[track_caller]
fn identity(server: &Server, role: &str, token: &str) -> String {
    let mut session = server.admits_login(login(server, role, token));
    system_user(server, &mut session)
}

#[test]
fn bad_tokens_are_refused_for_the_reason_that_they_have() {
    let Some((issuer, server)) = start() else {
        return;
    };
    let good = || issuer.token("alice");
    for (token, reason) in [
        (good().claim("exp", now() - 3600), "expired"),
        (
            good().signature_fault(SignatureFault::FlippedBit),
            "bad_signature",
        ),
        (
            good().claim("aud", "https://other.example/"),
            "aud_mismatch",
        ),
        (
            good().claim("iss", "https://other.example/"),
            "iss_mismatch",
        ),
        (good().claim("scope", "openid"), "insufficient_scope"),
        (good().claim("sub", "bob"), "identity_not_role"),
        (good().claim("sub", "Alice"), "identity_not_role"),
        (good().claim("sub", json!(7)), "identity_malformed"),
    ] {
        let verdict = refuses(&server, "alice", &token.encode(), reason);
        assert!(verdict.log.contains(" hba_line=3 "), "{}", verdict.log);
    }
    assert_eq!(identity(&server, "alice", &good().encode()), "pam:alice");
}

#[test]
fn client_over_an_open_connection_is_not_asked() {
    let Some((issuer, server)) = start() else {
        return;
    };
    let token = issuer.token("alice").encode();
    let open = || Login::new(&server, "alice").token(&token);
    let verdict = server.refuses_login(open(), &token, "tls_required");
    assert!(!verdict.refusal.asked_for_password, "{verdict:?}");
    assert!(
        verdict.log.contains("password_requires_tls"),
        "{}",
        verdict.log
    );
    // Not even a request for the keys.
    assert_eq!(issuer.requests().len(), 0);
    server.reload_with(&[("validator.password_requires_tls", "off")]);
    let mut session = server.admits_login(open());
    assert_eq!(system_user(&server, &mut session), "pam:alice");
}

#[test]
fn unix_socket_needs_no_encryption() {
    let started = start_with(|builder| builder.hba("local all all pam pamservice=tokens"));
    let Some((issuer, server)) = started else {
        return;
    };
    let token = issuer.token("alice").encode();
    let mut session = server.admits_login(Login::by_socket(&server, "alice").token(&token));
    assert_eq!(system_user(&server, &mut session), "pam:alice");
}

#[test]
fn client_is_not_asked_where_tokens_are_switched_off() {
    let Some((issuer, server)) = start() else {
        return;
    };
    let token = issuer.token("alice").encode();
    server.reload_with(&[("validator.enabled", "off")]);
    let verdict = server.refuses_login(login(&server, "alice", &token), &token, "disabled");
    assert!(!verdict.refusal.asked_for_password, "{verdict:?}");
}

#[test]
fn token_that_was_cut_is_malformed_or_forged() {
    let Some((issuer, server)) = start() else {
        return;
    };
    let token = issuer.token("alice").encode();
    let payload = token.rfind('.').expect("a signature");
    for (length, reason) in [
        (token.len() / 4, "malformed_jwt"),
        (payload - 10, "malformed_jwt"),
        (payload, "malformed_jwt"),
        (payload + 5, "bad_signature"),
        (payload + 6, "bad_encoding"),
        (payload + 201, "bad_signature"),
    ] {
        refuses(&server, "alice", &token[..length], reason);
    }
}

#[test]
fn large_token_is_accepted_and_too_large_one_refused_unseen() {
    let Some((issuer, server)) = start() else {
        return;
    };
    let of = |bytes: usize| {
        let token = issuer
            .token("alice")
            .claim("padding", "x".repeat(bytes * 3 / 4));
        token.encode()
    };
    let large = of(10_000);
    assert!(large.len() > 10_000);
    assert_eq!(identity(&server, "alice", &large), "pam:alice");
    let verdict = refuses(&server, "alice", &of(48_000), "token_too_large");
    assert!(verdict.log.contains("max_token_size"), "{}", verdict.log);
    // PostgreSQL's own limit for a password.
    let enormous = of(90_000);
    let outcome = login(&server, "alice", &enormous).run().refusal();
    assert_ne!(outcome.ending, Ending::TimedOut, "{outcome:?}");
    assert_eq!(identity(&server, "alice", &large), "pam:alice");
}

/// What people choose, and what may be mistaken for a token.
const PASSWORDS: [&str; 7] = [
    "hunter2-hunter2",
    "correct horse battery staple",
    "a.b.c",
    "p\u{e4}ssw\u{f6}rter.und.mehr",
    "{\"alg\":\"none\"}.password.of.mine",
    "................",
    "Zm9vYmFyYmF6.cXV4cXV4cXV4.cGFzc3dvcmRz",
];

#[test]
fn password_of_a_person_never_reaches_the_provider() {
    for mode in ["off", "always"] {
        let started = start_with(|builder| {
            builder
                .asks_about_opaque_tokens()
                .set("validator.introspection", mode)
        });
        let Some((issuer, server)) = started else {
            return;
        };
        for password in PASSWORDS {
            refuses(&server, "alice", password, "not_a_jwt");
        }
        let not_utf8 = login(&server, "alice", "").first(FirstResponse::Bytes(vec![0xff; 20]));
        server.refuses_login(not_utf8, "\u{fffd}\u{fffd}", "bad_encoding");
        assert_eq!(issuer.requests().len(), 0, "introspection = {mode}");
    }
}

#[test]
fn provider_is_asked_about_signed_tokens_where_it_must_confirm_them() {
    let started = start_with(|builder| {
        builder
            .asks_about_opaque_tokens()
            .set("validator.introspection", "always")
    });
    let Some((issuer, server)) = started else {
        return;
    };
    let token = issuer.token("alice").encode();
    issuer.say(&token, issuer.word_on("alice"));
    assert_eq!(identity(&server, "alice", &token), "pam:alice");
    assert_eq!(issuer.hits(Endpoint::Introspection), 1);
    issuer.revoke(&token);
    server.forget_keys();
    refuses(&server, "alice", &token, "token_inactive");
}

#[test]
fn opaque_tokens_are_introspected_if_the_profile_takes_them() {
    let started = start_with(|builder| builder.asks_about_opaque_tokens());
    let Some((issuer, server)) = started else {
        return;
    };
    let token = issuer.opaque_token("alice");
    assert_eq!(identity(&server, "alice", &token), "pam:alice");
    assert_eq!(issuer.hits(Endpoint::Introspection), 1);
    // What the manual warns of.
    refuses(&server, "alice", "hunter2-hunter2", "token_inactive");
    assert_eq!(issuer.hits(Endpoint::Introspection), 2);
    // But not what no token can be.
    refuses(
        &server,
        "alice",
        "correct horse battery staple",
        "not_a_jwt",
    );
    assert_eq!(issuer.hits(Endpoint::Introspection), 2);
}

#[test]
fn map_gives_roles_to_identities() {
    let started = start_with(|builder| {
        builder
            .set("validator.password_map", "people")
            .ident("people /^(.+)@corp\\.example$ \\1")
            .ident("people root@corp.example postgres")
    });
    let Some((issuer, server)) = started else {
        return;
    };
    server.sql("CREATE ROLE \"we\"\"ird; O'Neil\" LOGIN");
    let of = |name: &str| issuer.token(&format!("{name}@corp.example")).encode();
    assert_eq!(
        identity(&server, "alice", &of("alice")),
        "pam:alice@corp.example"
    );
    assert_eq!(
        identity(&server, "we\"ird; O'Neil", &of("we\"ird; O'Neil")),
        "pam:we\"ird; O'Neil@corp.example"
    );
    assert_eq!(
        identity(&server, "postgres", &of("root")),
        "pam:root@corp.example"
    );
    for (role, name) in [("bob", "alice"), ("postgres", "alice")] {
        let verdict = refuses(&server, role, &of(name), "identity_not_mapped");
        assert!(verdict.log.contains("password_map") || verdict.log.contains("map \"people\""));
    }
    let own = issuer.token("alice").encode();
    refuses(&server, "alice", &own, "identity_not_mapped");
    server.reload_with(&[("validator.password_map", "nobodys")]);
    refuses(&server, "alice", &of("alice"), "identity_not_mapped");
}

#[test]
fn claim_alone_gives_roles_where_it_is_set_and_no_map_is() {
    let started = start_with(|builder| builder.set("validator.role_claim", "groups"));
    let Some((issuer, server)) = started else {
        return;
    };
    server.sql("CREATE ROLE analysts LOGIN");
    let token = issuer
        .token("some-subject")
        .claim("groups", json!(["analysts", "postgres"]));
    let token = token.encode();
    assert_eq!(identity(&server, "analysts", &token), "pam:some-subject");
    refuses(&server, "alice", &token, "role_not_granted");
    let log = refuses(&server, "postgres", &token, "role_too_powerful").log;
    let map = log.find("Set validator.password_map to a map of pg_ident.conf");
    let switch = log.find("validator.allow_superuser = on would let whoever manages users");
    assert!(map.is_some() && map < switch, "{log}");
    let without = issuer.token("alice").encode();
    refuses(&server, "alice", &without, "role_claim_missing");
    // With a map, both must allow it.
    server.set_ident(&["people some-subject analysts", "people other alice"]);
    server.reload_with(&[("validator.password_map", "people")]);
    assert_eq!(identity(&server, "analysts", &token), "pam:some-subject");
    let other = issuer
        .token("other")
        .claim("groups", json!(["analysts"]))
        .encode();
    refuses(&server, "analysts", &other, "identity_not_mapped");
    refuses(&server, "alice", &other, "role_not_granted");
}

#[test]
fn role_is_the_one_of_the_connection() {
    let Some((issuer, server)) = start() else {
        return;
    };
    // An account may be named as it likes; the identity must be the role, byte for byte.
    refuses(
        &server,
        "bob",
        &issuer.token("alice").encode(),
        "identity_not_role",
    );
    // PostgreSQL refuses a role that does not exist only after that.
    let nobody = issuer.token("nobody-at-all").encode();
    refuses(&server, "nobody-at-all", &nobody, "role_unknown");
}

#[test]
fn profile_is_chosen_by_the_name_of_the_service() {
    let other = Issuer::builder().start();
    let module = rig::pam_file("");
    let started = start_with(|builder| {
        builder
            .set("validator.profiles", "corp, partner")
            .pam_service("partner", &module)
            .set("validator_partner.issuer", other.url())
            .set("validator_partner.identity_prefix", "partner:")
            .set("validator_partner.password_map", "partners")
            .ident("partners partner:alice carol")
            .pam_service("unknown", &module)
    });
    let Some((issuer, server)) = started else {
        return;
    };
    server.set_hba(&[
        "hostssl all carol 127.0.0.1/32 pam pamservice=partner",
        &rig::pam_line(),
    ]);
    server.reload();
    let (own, others) = (
        issuer.token("alice").encode(),
        other.token("alice").encode(),
    );
    assert_eq!(identity(&server, "alice", &own), "pam:alice");
    assert_eq!(identity(&server, "carol", &others), "pam:partner:alice");
    let verdict = refuses(&server, "carol", &own, "unknown_kid");
    assert!(verdict.log.contains("profile=partner"), "{}", verdict.log);
    refuses(&server, "alice", &others, "unknown_kid");
}

#[test]
fn service_without_a_profile_and_issuer_is_refused_and_told_what_to_do() {
    let started = start_with(|builder| {
        builder
            .set("validator.profiles", "corp")
            .set("validator.issuer", "")
            .pam_service("other", &rig::pam_file(""))
    });
    let Some((issuer, server)) = started else {
        return;
    };
    let token = issuer.token("alice").encode();
    let verdict = server.refuses_login(login(&server, "alice", &token), &token, "issuer_unset");
    assert!(!verdict.refusal.asked_for_password, "{verdict:?}");
    for word in ["validator_tokens.issuer", "validator.profiles"] {
        assert!(verdict.log.contains(word), "{}", verdict.log);
    }
    // libpam takes names in lower case, and without folders.
    for service in ["Other", "pam.d/other", "tokens/"] {
        server.set_hba(&[&format!(
            "hostssl all all 127.0.0.1/32 pam pamservice={service}"
        )]);
        server.reload_with(&[("validator.issuer", issuer.url())]);
        let mark = server.log().mark();
        let refusal = login(&server, "alice", &token).run().refusal();
        assert!(!refusal.asked_for_password, "{refusal:?}");
        // Perhaps twice, since libpam applies the file as the service's, and as that of all services.
        let log = server.log().since(mark);
        let reasons: Vec<_> = rig::reasons(&log).collect();
        assert!(!reasons.is_empty(), "{service}: {log}");
        assert!(
            reasons.iter().all(|reason| *reason == "pam_service_other"),
            "{service}: {log}"
        );
    }
}

#[test]
fn hints_name_the_setting_that_has_the_issuer() {
    for fault in [
        Fault::altered(|document| document["issuer"] = json!("https://other.example")),
        Fault::Redirect(302),
    ] {
        let Some((issuer, server)) = start() else {
            return;
        };
        issuer.fail(Endpoint::Discovery, fault);
        let token = issuer.token("alice").encode();
        let log = refuses(&server, "alice", &token, "provider_unavailable").log;
        assert!(
            log.contains("issuer that validator.issuer or the profile names"),
            "{log}"
        );
        assert!(!log.contains("in pg_hba.conf"), "{log}");
    }
}
