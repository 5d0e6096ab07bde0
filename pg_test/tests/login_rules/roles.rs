//! Which role a token grants: `role_claim`, `role_map`, and delegation.

use rig::{Issuer, Server, oauth_line};
use serde_json::{Value, json};

/// A server that logs everything, with `role_claim = 'groups'` and these settings, on a line with these options.
fn start(options: &str, settings: &[(&str, &str)], ident: &[&str]) -> (Issuer, Server) {
    let issuer = Issuer::builder().start();
    let mut builder = Server::trusting(&issuer)
        .log_everything()
        .set("validator.role_claim", "groups");
    for (name, value) in settings {
        builder = builder.set(name, value);
    }
    for line in ident {
        builder = builder.ident(line);
    }
    let server = builder.start();
    server.set_hba(&[&oauth_line(issuer.url(), options)]);
    server.reload();
    (issuer, server)
}

const DELEGATED: &str = "delegate_ident_mapping=1";

fn token(issuer: &Issuer, user: &str, groups: Value) -> String {
    issuer.token(user).claim("groups", groups).encode()
}

#[test]
fn under_delegation_a_group_is_a_role_and_the_person_stays_known() {
    let (issuer, server) = start(DELEGATED, &[], &[]);
    server.sql("CREATE ROLE reporting LOGIN");
    for groups in [json!(["staff", "reporting"]), json!("reporting")] {
        let mut session = server.admits("reporting", &token(&issuer, "zoe", groups));
        assert_eq!(session.value("SELECT system_user"), "oauth:zoe");
        assert_eq!(session.value("SELECT current_user"), "reporting");
    }
    let verdict = server.refuses(
        "bob",
        &token(&issuer, "zoe", json!(["staff", "reporting"])),
        "role_not_granted",
    );
    assert!(
        verdict.log.contains("lists \"staff, reporting\""),
        "{}",
        verdict.log
    );
}

#[test]
fn forged_and_mistyped_groups_grant_nothing() {
    let (issuer, server) = start(DELEGATED, &[], &[]);
    for groups in [
        json!(["Alice"]),
        json!("alice,bob"),
        json!("former alice"),
        json!([" alice"]),
        json!([]),
        json!(""),
    ] {
        server.refuses("alice", &token(&issuer, "zoe", groups), "role_not_granted");
    }
    for groups in [
        json!(null),
        json!(7),
        json!({"alice": 1}),
        json!(["alice", 7]),
        json!("alice\n"),
    ] {
        server.refuses(
            "alice",
            &token(&issuer, "zoe", groups),
            "role_claim_malformed",
        );
    }
    let none = issuer.token("alice").without_claim("groups").encode();
    server.refuses("alice", &none, "role_claim_missing");
    let elsewhere = issuer
        .token("alice")
        .without_claim("groups")
        .claim("_claim_names", json!({"groups": "src1"}))
        .encode();
    let verdict = server.refuses("alice", &elsewhere, "role_claim_elsewhere");
    assert!(verdict.log.contains("overage"), "{}", verdict.log);
    server.refuses(
        "alice",
        &token(&issuer, "zoe", Value::from(vec!["alice"; 1001])),
        "role_claim_too_large",
    );
    server.admits(
        "alice",
        &token(&issuer, "zoe", Value::from(vec!["alice"; 1000])),
    );
}

#[test]
fn a_string_is_one_group_unless_a_separator_is_set() {
    let ident = [r#"groups "Domain Admins" bob"#, "groups alice alice"];
    let (issuer, server) = start(DELEGATED, &[], &ident);
    let former = token(&issuer, "zoe", json!("former alice"));
    let verdict = server.refuses("alice", &former, "role_not_granted");
    assert!(
        verdict.log.contains("validator.role_separator"),
        "{}",
        verdict.log
    );
    for (separator, groups) in [
        (" ", "former alice"),
        (",", "staff, alice"),
        (";", "staff;alice"),
    ] {
        server.reload_with(&[("validator.role_separator", separator)]);
        server.admits("alice", &token(&issuer, "zoe", json!(groups)));
        let listed = token(&issuer, "zoe", json!([groups]));
        server.refuses("alice", &listed, "role_not_granted");
    }
    // Active Directory sends one group as a string, and several as an array.
    server.reload_with(&[
        ("validator.role_separator", ""),
        ("validator.role_map", "groups"),
    ]);
    for groups in [
        json!("Domain Admins"),
        json!(["Domain Users", "Domain Admins"]),
    ] {
        server.admits("bob", &token(&issuer, "zoe", groups));
    }
    server.refuses("alice", &former, "role_not_granted");
    // Scopes are a list by their specification.
    server.reload_with(&[
        ("validator.role_claim", "scope"),
        ("validator.role_map", ""),
    ]);
    let scopes = issuer.token("zoe").claim("scope", "openid postgres alice");
    server.admits("alice", &scopes.encode());
}

#[test]
fn without_delegation_both_the_claim_and_the_map_of_identities_must_allow_the_role() {
    let (issuer, server) = start("map=people", &[], &["people zoe alice", "people zoe bob"]);
    server.admits("alice", &token(&issuer, "zoe", json!(["alice"])));
    server.refuses(
        "bob",
        &token(&issuer, "zoe", json!(["alice"])),
        "role_not_granted",
    );
    // The claim allows carol, pg_ident.conf does not.
    let carol = token(&issuer, "zoe", json!(["carol"]));
    let mark = server.log().mark();
    let outcome = rig::Login::new(&server, "carol").token(&carol).run();
    assert!(!outcome.is_session());
    assert!(
        server
            .log()
            .since(mark)
            .contains("no match in usermap \"people\"")
    );
}

#[test]
fn a_map_of_pg_ident_conf_turns_groups_into_roles() {
    let ident = [
        r"groups /^db-(.*)$ \1",
        "groups dba +admins",
        "groups auditor all",
        "groups /^(.*)@corp$ bob",
    ];
    let (issuer, server) = start(DELEGATED, &[("validator.role_map", "groups")], &ident);
    server.sql("CREATE ROLE admins NOLOGIN; GRANT admins TO carol");
    server.admits(
        "alice",
        &token(&issuer, "zoe", json!(["staff", "db-alice"])),
    );
    server.admits("carol", &token(&issuer, "zoe", json!(["dba"])));
    server.admits("bob", &token(&issuer, "zoe", json!(["auditor"])));
    server.admits("bob", &token(&issuer, "zoe", json!(["zoe@corp"])));
    let verdict = server.refuses(
        "alice",
        &token(&issuer, "zoe", json!(["dba", "db-bob", "zoe@corp"])),
        "role_not_granted",
    );
    assert!(
        verdict.log.contains("map \"groups\" of pg_ident.conf"),
        "{}",
        verdict.log
    );
    // PostgreSQL's own line for each value that does not match is held back.
    assert!(
        !verdict.log.contains("no match in usermap"),
        "{}",
        verdict.log
    );
    // A group that equals the role's name grants nothing while a map is set.
    server.refuses(
        "alice",
        &token(&issuer, "zoe", json!(["alice"])),
        "role_not_granted",
    );
    // A map without a line refuses everyone.
    server.reload_with(&[("validator.role_map", "nothing")]);
    server.refuses(
        "alice",
        &token(&issuer, "zoe", json!(["db-alice"])),
        "role_not_granted",
    );
}

#[test]
fn under_delegation_no_claim_gives_power_over_the_whole_server() {
    let (issuer, server) = start(DELEGATED, &[], &[]);
    server.sql(
        "CREATE ROLE boss LOGIN SUPERUSER; CREATE ROLE deputy LOGIN; GRANT boss TO deputy; \
         CREATE ROLE copier LOGIN REPLICATION; \
         CREATE ROLE shell LOGIN; GRANT pg_execute_server_program TO shell; \
         CREATE ROLE writers NOLOGIN; GRANT pg_write_server_files TO writers; \
         CREATE ROLE writer LOGIN; GRANT writers TO writer",
    );
    let cases = [
        ("boss", "is a superuser"),
        ("deputy", "is a member of boss, which is a superuser"),
        ("copier", "may replicate"),
        ("shell", "is a member of pg_execute_server_program"),
        ("writer", "is a member of pg_write_server_files"),
    ];
    for (role, power) in cases {
        let verdict = server.refuses(
            role,
            &token(&issuer, "zoe", json!([role])),
            "role_too_powerful",
        );
        assert!(verdict.log.contains(power), "{}", verdict.log);
        assert!(
            verdict.log.contains("validator.allow_superuser"),
            "{}",
            verdict.log
        );
    }
    server.refuses(
        "nobody",
        &token(&issuer, "zoe", json!(["nobody"])),
        "role_unknown",
    );
    server.admits("alice", &token(&issuer, "zoe", json!(["alice"])));
    server.reload_with(&[("validator.allow_superuser", "on")]);
    for (role, _) in cases {
        server.admits(role, &token(&issuer, "zoe", json!([role])));
    }
}

#[test]
fn without_delegation_pg_ident_conf_may_give_a_superuser() {
    let (issuer, server) = start("map=people", &[], &["people zoe boss"]);
    server.sql("CREATE ROLE boss LOGIN SUPERUSER");
    server.admits("boss", &token(&issuer, "zoe", json!(["boss"])));
    server.refuses(
        "boss",
        &token(&issuer, "zoe", json!(["alice"])),
        "role_not_granted",
    );
}

#[test]
fn delegation_without_a_role_claim_refuses_everyone() {
    let (issuer, server) = start(DELEGATED, &[], &[]);
    server.unset("validator.role_claim");
    server.reload();
    let verdict = server.refuses(
        "alice",
        &token(&issuer, "alice", json!(["alice"])),
        "role_claim_unset",
    );
    assert!(
        verdict.log.contains("validator.role_claim"),
        "{}",
        verdict.log
    );
}

#[test]
fn row_level_security_sees_the_person_behind_a_shared_role() {
    let (issuer, server) = start(DELEGATED, &[], &[]);
    server.sql(
        "CREATE ROLE reporting LOGIN; CREATE TABLE note (owner text, body text); \
         INSERT INTO note VALUES ('oauth:zoe', 'hers'), ('oauth:yan', 'his'); \
         GRANT SELECT ON note TO reporting; ALTER TABLE note ENABLE ROW LEVEL SECURITY; \
         CREATE POLICY own ON note USING (owner = system_user)",
    );
    for (user, body) in [("zoe", "hers"), ("yan", "his")] {
        let mut session = server.admits("reporting", &token(&issuer, user, json!(["reporting"])));
        assert_eq!(
            session.value("SELECT string_agg(body, ',') FROM note"),
            body
        );
    }
}
