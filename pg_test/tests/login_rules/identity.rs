//! Who the bearer is, and whether PostgreSQL lets that identity be the role it asks for.

use rig::{
    Issuer, Login, Server, Token, assert_silent_log, assert_silent_refusal, explanations, facts,
    oauth_line, reasons,
};
use serde_json::{Value, json};

/// A server that logs everything, with these settings, where whoever has a good token may be alice.
fn start(settings: &[(&str, &str)]) -> (Issuer, Server) {
    let issuer = Issuer::builder().start();
    let mut builder = Server::trusting(&issuer)
        .log_everything()
        .ident("anyone /^.*$ alice");
    for (name, value) in settings {
        builder = builder.set(name, value);
    }
    let server = builder.start();
    server.set_hba(&[&oauth_line(issuer.url(), "map=anyone")]);
    server.reload();
    (issuer, server)
}

#[track_caller]
fn assert_identity(server: &Server, token: &Token, identity: &str) {
    let mut session = server.admits("alice", &token.encode());
    assert_eq!(
        session.value("SELECT system_user"),
        format!("oauth:{identity}")
    );
    assert_eq!(session.value("SELECT current_user"), "alice");
}

/// A login with a good token for a role that PostgreSQL does not let the identity be. The module says why in the log; what
/// PostgreSQL logs, it does not tell the client.
#[track_caller]
fn assert_other_role_is_refused(server: &Server, role: &str, token: &Token) -> String {
    let token = token.encode();
    let mark = server.log().mark();
    let refusal = Login::new(server, role).token(&token).run().refusal();
    let log = server.log().since(mark);
    let reasons: Vec<&str> = reasons(&log).collect();
    assert!(
        matches!(reasons[..], ["identity_not_role" | "identity_not_mapped"]),
        "{log}"
    );
    assert_silent_log(&log, &token);
    assert_silent_refusal(&refusal, "do not match");
    log
}

#[test]
fn identity_is_the_subject() {
    let (issuer, server) = start(&[]);
    for sub in [
        "alice",
        "5b4d3c2e-8a97-4a0f-9d3e-0c1f2b3a4d5e",
        "Zoë 李",
        "a b",
        "O'Brien; DROP TABLE x --",
        "\"x\\y\"",
    ] {
        assert_identity(&server, &issuer.token(sub), sub);
    }
    let named = issuer
        .token("alice")
        .claim("preferred_username", "root")
        .claim("email", "root@corp.example");
    assert_identity(&server, &named, "alice");
}

#[test]
fn identity_can_be_another_claim() {
    let (issuer, server) = start(&[("validator.identity_claim", "preferred_username")]);
    let token = issuer.token("0815").claim("preferred_username", "alice");
    assert_identity(&server, &token, "alice");
    server.refuses("alice", &issuer.token("alice").encode(), "identity_missing");
    // A name with dots or slashes is a name.
    server.reload_with(&[("validator.identity_claim", "https://corp.example/user.name")]);
    let token = issuer
        .token("0815")
        .claim("https://corp.example/user.name", "bob");
    assert_identity(&server, &token, "bob");
    server.refuses(
        "alice",
        &issuer.token("alice").claim("https:", "x").encode(),
        "identity_missing",
    );
}

#[test]
fn identity_can_be_at_a_json_pointer() {
    let (issuer, server) = start(&[("validator.identity_claim", "/accounts/1/login~1name")]);
    let token = |accounts: Value| issuer.token("0815").claim("accounts", accounts);
    let accounts = json!([{"login/name": "first"}, {"login/name": "second"}]);
    assert_identity(&server, &token(accounts), "second");
    let accounts = json!({"1": {"login/name": "by name"}});
    assert_identity(&server, &token(accounts), "by name");
    for accounts in [
        json!([{"login/name": "first"}]),
        json!([]),
        json!("second"),
        json!([1, {"login~1name": "x"}]),
    ] {
        server.refuses("alice", &token(accounts).encode(), "identity_missing");
    }
    server.refuses("alice", &issuer.token("alice").encode(), "identity_missing");
    server.refuses(
        "alice",
        &token(json!([1, {"login/name": 2}])).encode(),
        "identity_malformed",
    );
}

#[test]
fn identity_gets_its_prefix() {
    let (issuer, server) = start(&[("validator.identity_prefix", "corp:")]);
    assert_identity(&server, &issuer.token("alice"), "corp:alice");
    assert_identity(&server, &issuer.token("corp:alice"), "corp:corp:alice");
    // A prefix is no identity.
    server.refuses("alice", &issuer.token("").encode(), "identity_malformed");
    // Without a map, the prefixed identity is no role.
    server.set_hba(&[&oauth_line(issuer.url(), "")]);
    server.reload();
    assert_other_role_is_refused(&server, "alice", &issuer.token("alice"));
}

#[test]
fn identity_is_a_non_empty_string() {
    let (issuer, server) = start(&[]);
    let good = issuer.token("alice");
    let verdict = server.refuses(
        "alice",
        &good.clone().without_claim("sub").encode(),
        "identity_missing",
    );
    let hint = "HINT:  Set validator.identity_claim to a string claim of the provider's access tokens. It is currently \"sub\".";
    assert!(verdict.log.contains(hint), "{}", verdict.log);
    for sub in [
        json!(""),
        json!(1),
        Value::Null,
        json!(true),
        json!(["alice"]),
        json!({"sub": "alice"}),
    ] {
        server.refuses(
            "alice",
            &good.clone().claim("sub", sub).encode(),
            "identity_malformed",
        );
    }
}

#[test]
fn identity_has_at_most_255_bytes() {
    let (issuer, server) = start(&[]);
    assert_identity(&server, &issuer.token(&"x".repeat(255)), &"x".repeat(255));
    server.refuses(
        "alice",
        &issuer.token(&"x".repeat(256)).encode(),
        "identity_too_long",
    );
    // Bytes, not characters.
    server.refuses(
        "alice",
        &issuer.token(&"é".repeat(128)).encode(),
        "identity_too_long",
    );
    server.refuses(
        "alice",
        &issuer.token(&"x".repeat(9_000)).encode(),
        "identity_too_long",
    );
    server.reload_with(&[("validator.identity_prefix", "corp:")]);
    assert_identity(
        &server,
        &issuer.token(&"x".repeat(250)),
        &format!("corp:{}", "x".repeat(250)),
    );
    server.refuses(
        "alice",
        &issuer.token(&"x".repeat(251)).encode(),
        "identity_too_long",
    );
}

#[test]
fn identity_has_no_control_characters() {
    let (issuer, server) = start(&[]);
    for sub in [
        "alice\0",
        "\0alice",
        "alice\0postgres",
        "alice\n",
        "a\rb",
        "\u{1b}[2J",
        "a\u{7f}",
        "a\u{85}b",
        "\t",
    ] {
        let verdict = server.refuses("alice", &issuer.token(sub).encode(), "identity_unprintable");
        assert!(
            !verdict.log.contains("connection authenticated"),
            "{}",
            verdict.log
        );
    }
}

#[test]
fn role_must_equal_the_identity_where_there_is_no_map() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).log_everything().start();
    server.admits("alice", &issuer.token("alice").encode());
    for (role, sub) in [
        ("bob", "alice"),
        ("alice", "Alice"),
        ("alice", "alice "),
        ("alice", "alice@corp.example"),
        ("alice", "/^.*$"),
        ("alice", "all"),
        ("postgres", "alice"),
        ("nobody_at_all", "alice"),
    ] {
        let log = assert_other_role_is_refused(&server, role, &issuer.token(sub));
        assert!(
            log.contains(&format!(
                "connection authenticated: identity=\"{sub}\" method=oauth"
            )),
            "{log}"
        );
    }
}

#[test]
fn map_with_regular_expressions_gives_roles_to_identities() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .log_everything()
        .ident(r"people /^([a-z]+)@corp\.example$ \1")
        .ident("people boss@corp.example postgres")
        .start();
    server.set_hba(&[&oauth_line(issuer.url(), "map=people")]);
    server.reload();
    let mut session = server.admits("alice", &issuer.token("alice@corp.example").encode());
    assert_eq!(
        session.value("SELECT system_user || ' ' || current_user"),
        "oauth:alice@corp.example alice"
    );
    server.admits("bob", &issuer.token("bob@corp.example").encode());
    server.admits("postgres", &issuer.token("boss@corp.example").encode());
    for (role, sub) in [
        ("bob", "alice@corp.example"),
        ("postgres", "alice@corp.example"),
        ("alice", "alice@evil.example"),
        ("alice", "alice@corp.example.evil"),
        ("alice", "alice"),
        ("alice", "alice@corp-example"),
    ] {
        let log = assert_other_role_is_refused(&server, role, &issuer.token(sub));
        assert!(log.contains("no match in usermap \"people\""), "{log}");
    }
}

#[test]
fn a_refused_token_names_somebody_in_our_line_and_nobody_in_postgresqls() {
    let (issuer, server) = start(&[("validator.client_ids", "psql")]);
    let bob = || issuer.token("bob");
    for (token, reason) in [
        (bob().claim("exp", 1), "expired"),
        (bob().claim("nbf", 4_000_000_000_i64), "not_yet_valid"),
        (bob().claim("token_use", "id"), "not_an_access_token"),
        (bob().claim("client_id", "x"), "client_not_allowed"),
        (bob().claim("scope", "x"), "insufficient_scope"),
        (
            bob().claim("cnf", serde_json::json!({"x5t#S256": "A".repeat(43)})),
            "certificate_missing",
        ),
    ] {
        let verdict = server.refuses("alice", &token.encode(), reason);
        let log = &verdict.log;
        let facts = log.lines().find_map(|line| line.split_once("DETAIL:  "));
        let (_, facts) = facts.expect("a line with the facts");
        assert!(facts.split(' ').any(|fact| fact == "identity=bob"), "{log}");
        assert!(!log.contains("connection authenticated"), "{log}");
    }
    for (token, reason) in [
        (bob().claim("aud", "x"), "aud_mismatch"),
        (bob().claim("iss", "x"), "iss_mismatch"),
        (bob().header("kid", "x"), "unknown_kid"),
    ] {
        let verdict = server.refuses("alice", &token.encode(), reason);
        assert!(!verdict.log.contains("bob"), "{}", verdict.log);
    }
}

/// Texts that try to end a fact and begin others.
const FORGED: [&str; 5] = [
    "x client_id=psql identity=alice",
    "x\" client_id=psql identity=\"alice",
    "x\\\" identity=alice \\",
    "x identity='alice' reason=expired",
    "",
];

fn values(facts: &[(String, String)], name: &str) -> Vec<String> {
    let found = facts.iter().filter(|(n, _)| n == name);
    found.map(|(_, value)| value.clone()).collect()
}

#[test]
fn no_text_of_a_token_passes_for_another_fact_of_the_log() {
    let (issuer, server) = start(&[("validator.log_accepted", "on")]);
    for forged in FORGED {
        // What anybody may put into a header, where an empty kid is none.
        let kid = format!("{forged} x");
        let token = issuer.token("bob").header("kid", kid.clone()).encode();
        let verdict = server.refuses("alice", &token, "unknown_kid");
        let detail = explanations(&verdict.log).next().expect("a refusal");
        let found = facts(&format!("reason={detail}"));
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["reason", "hba_line", "line_issuer", "kid", "keys_fetched"],
            "{detail}"
        );
        // It is read as what it was, but for backslashes that escape nothing.
        assert_eq!(values(&found, "kid"), [kid], "{detail}");

        // What users and clients may choose at a provider.
        let token = || {
            let token = issuer.token(&format!("bob{forged}"));
            token.claim("client_id", forged).claim("jti", forged)
        };
        let expired = token().claim("exp", 1).encode();
        let verdict = server.refuses("alice", &expired, "expired");
        let detail = explanations(&verdict.log).next().expect("a refusal");
        let refused = facts(&format!("reason={detail}"));
        let mark = server.log().mark();
        server.admits("alice", &token().encode());
        let log = server.log().since(mark);
        let (_, line) = log
            .split_once("OAuth token accepted for user \"alice\": ")
            .expect("a line");
        let accepted = facts(line.lines().next().expect("a line"));
        for found in [refused, accepted] {
            for (name, value) in [
                ("client_id", forged),
                ("jti", forged),
                ("identity", &format!("bob{forged}")),
            ] {
                assert_eq!(values(&found, name), [value], "{found:?}");
            }
        }
    }
}

#[test]
fn whoever_only_lacks_the_role_is_authenticated() {
    let (issuer, server) = start(&[("validator.role_claim", "groups")]);
    let known = "connection authenticated: identity=\"bob\" method=oauth";
    let token = issuer.token("bob").claim("groups", "carol");
    let verdict = server.refuses("bob", &token.encode(), "role_not_granted");
    assert!(verdict.log.contains(known), "{}", verdict.log);
    // No second refusal line of another check, and the certificate would have been asked for first.
    let expired = token.claim("exp", 1);
    let verdict = server.refuses("bob", &expired.encode(), "expired");
    assert!(!verdict.log.contains(known), "{}", verdict.log);
}

#[test]
fn delegated_mapping_lets_nobody_in_without_a_claim_that_lists_roles() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).log_everything().start();
    server.set_hba(&[&oauth_line(issuer.url(), "delegate_ident_mapping=1")]);
    server.reload();
    for role in ["alice", "bob", "postgres"] {
        let verdict = server.refuses(role, &issuer.token("alice").encode(), "role_claim_unset");
        assert!(
            verdict.log.contains("use map=... in pg_hba.conf instead"),
            "{}",
            verdict.log
        );
    }
    assert_eq!(issuer.requests().len(), 0, "the provider was asked");
}
