//! Attempts to become more than the directory says: by roles that exist, by groups that are none, and by changes between
//! two logins.

use rig::Outcome;
use serde_json::json;

use crate::{Directory, assert_unharmed, log_in_aside};

#[test]
fn a_role_that_is_not_managed_is_never_touched() {
    let directory = Directory::start();
    let server = &directory.server;
    server.sql("CREATE ROLE dba LOGIN SUPERUSER");
    let mark = server.log().mark();
    // As without provisioning: the claim must list the role, and power is not given by a token alone.
    directory.refuses("alice", &["analysts"], "role_not_granted");
    directory.refuses("dba", &["analysts"], "role_not_granted");
    directory.refuses("dba", &["analysts", "dba"], "role_too_powerful");
    directory.refuses("postgres", &["postgres"], "role_too_powerful");
    directory.refuses(
        "validator_manager",
        &["validator_manager", "analysts"],
        "role_too_powerful",
    );
    directory.admits("alice", &["analysts", "alice"]);
    let log = server.log().since(mark);
    assert!(log.contains("note=role_not_managed"), "{log}");
    for role in ["alice", "dba", "postgres"] {
        assert_eq!(directory.groups_of(role), "", "{role}");
    }
    assert_unharmed(server);
}

#[test]
fn groups_that_are_not_managed_are_ignored() {
    let directory = Directory::start();
    let server = &directory.server;
    server.sql("CREATE ROLE secret NOLOGIN; CREATE ROLE root NOLOGIN SUPERUSER");
    let named = [
        "analysts",
        "secret",
        "root",
        "postgres",
        "alice",
        "pg_read_all_data",
        "pg_execute_server_program",
        "validator_manager",
        "validator_managed",
        "public",
    ];
    directory.admits("zoe", &named);
    assert_eq!(directory.groups_of("zoe"), "analysts");
}

/// The manager has ADMIN on each role that it has created.
#[test]
fn a_person_is_not_a_group() {
    let directory = Directory::start();
    let server = &directory.server;
    directory.admits("victim", &["auditors"]);
    directory.admits("zoe", &["analysts", "victim"]);
    assert_eq!(directory.groups_of("zoe"), "analysts");
    // Neither once they are taken out of management, nor once they may not log in, nor after both.
    server.sql("REVOKE validator_managed FROM victim GRANTED BY validator_manager");
    directory.admits("zoe", &["analysts", "victim"]);
    server.sql("ALTER ROLE victim NOLOGIN");
    directory.admits("zoe", &["analysts", "victim"]);
    assert_eq!(directory.groups_of("zoe"), "analysts");
}

#[test]
fn a_group_that_became_powerful_admits_nobody() {
    let directory = Directory::start();
    let server = &directory.server;
    directory.admits("zoe", &["analysts", "auditors"]);
    server.sql("CREATE ROLE root NOLOGIN SUPERUSER; GRANT root TO analysts");
    // Who is in it, and who would be: at every login, and nothing is granted.
    for _ in 0..2 {
        directory.refuses("zoe", &["analysts", "auditors"], "role_too_powerful");
        directory.refuses("yves", &["analysts"], "role_too_powerful");
    }
    assert!(!directory.exists("yves"));
    // Who leaves it gets in.
    directory.admits("zoe", &["auditors"]);
    assert_eq!(directory.groups_of("zoe"), "auditors");
    directory.refuses("zoe", &["analysts"], "role_too_powerful");
    assert_eq!(directory.groups_of("zoe"), "auditors");
    // Power that the role has by itself.
    server.sql("ALTER ROLE zoe CREATEROLE");
    directory.refuses("zoe", &["auditors"], "role_too_powerful");
    server.sql("ALTER ROLE zoe NOCREATEROLE; REVOKE root FROM analysts");
    // By another's grant.
    server.sql("GRANT pg_write_all_data TO zoe");
    directory.refuses("zoe", &["auditors"], "role_too_powerful");
    server.sql("REVOKE pg_write_all_data FROM zoe");
    directory.admits("zoe", &["analysts"]);
}

#[test]
fn a_map_and_delegation_do_not_lift_the_guard() {
    let directory = Directory::start();
    let server = &directory.server;
    server.sql("CREATE ROLE root NOLOGIN SUPERUSER; GRANT root TO analysts");
    server.set_ident(&["people /^(.*)$ \\1"]);
    for options in ["map=people", "delegate_ident_mapping=1"] {
        directory.set_line(options);
        directory.refuses("zoe", &["analysts"], "role_too_powerful");
        assert!(!directory.exists("zoe"), "{options}");
    }
    // Under delegation no identity takes another's name.
    let token = directory.token("zoe", &["auditors", "yves"]);
    let verdict = server.refuses("yves", &token, "role_not_provisioned");
    crate::assert_cause(&verdict, "identity");
    assert!(!directory.exists("yves"));
}

#[test]
fn a_manager_that_became_superuser_does_nothing() {
    let directory = Directory::start();
    directory
        .server
        .sql("ALTER ROLE validator_manager SUPERUSER");
    directory.does_not_provision("zoe", &["analysts"], "manager");
    assert!(!directory.exists("zoe"));
    directory
        .server
        .sql("ALTER ROLE validator_manager NOSUPERUSER");
    directory.admits("zoe", &["analysts"]);
    assert_unharmed(&directory.server);
}

#[test]
fn a_thousand_groups_are_read_and_too_many_managed_ones_refused() {
    let directory = Directory::start();
    let server = &directory.server;
    let mut groups: Vec<String> = (0..999).map(|n| format!("g{n}")).collect();
    groups.push("analysts".to_owned());
    let token = directory.token_of("zoe", json!(groups));
    server.set("validator.max_token_size", "64kB");
    server.reload();
    server.admits("zoe", &token);
    assert_eq!(directory.groups_of("zoe"), "analysts");
    server.sql(
        "DO $$ BEGIN FOR n IN 0..128 LOOP EXECUTE format('CREATE ROLE g%s NOLOGIN', n); EXECUTE format(\
         'GRANT g%s TO validator_manager WITH ADMIN TRUE, INHERIT FALSE, SET FALSE', n); END LOOP; END $$",
    );
    let verdict = server.refuses("zoe", &token, "role_not_provisioned");
    crate::assert_cause(&verdict, "too_many_groups");
    assert_eq!(directory.groups_of("zoe"), "analysts");
    let most: Vec<&str> = groups.iter().take(128).map(String::as_str).collect();
    directory.admits("zoe", &most);
    assert_eq!(directory.groups_of("zoe").split(',').count(), 128);
}

#[test]
fn a_grant_by_an_administrator_stays() {
    let directory = Directory::start();
    let server = &directory.server;
    directory.admits("zoe", &["analysts", "auditors"]);
    server.sql("GRANT analysts TO zoe; CREATE ROLE extra NOLOGIN; GRANT extra TO zoe");
    directory.admits("zoe", &["auditors"]);
    assert_eq!(directory.groups_of("zoe"), "analysts,auditors,extra");
    let grantors = "SELECT string_agg(grantor::regrole::text, ',') FROM pg_auth_members \
         WHERE member = 'zoe'::regrole AND roleid = 'analysts'::regrole";
    assert_eq!(server.value(grantors), "postgres");
}

#[test]
fn an_option_that_somebody_added_and_used_does_not_hinder_a_revocation() {
    let directory = Directory::start();
    let server = &directory.server;
    directory.admits("zoe", &["analysts"]);
    server.sql("GRANT analysts TO zoe WITH ADMIN TRUE GRANTED BY validator_manager; SET ROLE zoe; GRANT analysts TO bob");
    directory.admits("zoe", &["auditors"]);
    assert_eq!(directory.groups_of("zoe"), "auditors");
    assert_eq!(directory.groups_of("bob"), "");
}

#[test]
fn a_role_that_was_renamed_or_taken_out_is_not_its_old_self() {
    let directory = Directory::start();
    let server = &directory.server;
    directory.admits("zoe", &["analysts"]);
    server.sql("ALTER ROLE zoe RENAME TO zoe_smith; CREATE ROLE zoe LOGIN SUPERUSER");
    directory.refuses("zoe", &["analysts", "auditors"], "role_not_granted");
    assert_eq!(directory.groups_of("zoe"), "");
    server.sql("DROP ROLE zoe");
    directory.admits("zoe", &["auditors"]);
    assert_eq!(directory.groups_of("zoe"), "auditors");
    directory.admits("zoe_smith", &["auditors"]);
    assert_eq!(directory.groups_of("zoe_smith"), "auditors");
    server.sql("REVOKE validator_managed FROM zoe GRANTED BY validator_manager");
    directory.refuses("zoe", &["analysts"], "role_not_granted");
    assert_eq!(directory.groups_of("zoe"), "auditors");
}

#[test]
fn two_tokens_of_one_person_at_once_leave_one_of_the_two() {
    let directory = Directory::start();
    for _ in 0..4 {
        let tokens = [
            directory.token("zoe", &["analysts"]),
            directory.token("zoe", &["auditors"]),
        ];
        let logins: Vec<_> = (0..6)
            .map(|n| log_in_aside(&directory.server, "zoe", &tokens[n % 2]))
            .collect();
        for login in logins {
            assert!(matches!(
                login.join().expect("no panic"),
                Outcome::Session(_)
            ));
        }
        let groups = directory.groups_of("zoe");
        assert!(["analysts", "auditors"].contains(&&*groups), "{groups}");
    }
    assert_unharmed(&directory.server);
}

#[test]
fn two_issuers_with_one_identity_are_two_roles_by_their_prefix() {
    let directory = Directory::start();
    let server = &directory.server;
    let partner = rig::Issuer::builder().path("/partner").start();
    server.set("validator.profiles", "partner");
    server.set("validator_partner.issuer", partner.url());
    server.set("validator_partner.identity_prefix", "partner:");
    let line = |issuer: &rig::Issuer, roles: &str| {
        let all = rig::oauth_line(issuer.url(), "");
        all.replacen("host all all", &format!("host all {roles}"), 1)
    };
    server.set_hba(&[
        &line(&partner, "/^partner:"),
        &line(&directory.issuer, "all"),
    ]);
    server.reload();
    directory.admits("zoe", &["analysts"]);
    let theirs = partner.token("zoe").claim("groups", json!(["auditors"]));
    server.admits("partner:zoe", &theirs.encode());
    assert_eq!(directory.groups_of("zoe"), "analysts");
    assert_eq!(directory.groups_of("partner:zoe"), "auditors");
    server.refuses("zoe", &theirs.encode(), "unknown_kid");
}

#[test]
fn a_refused_token_changes_nothing() {
    let directory = Directory::start();
    let server = &directory.server;
    directory.admits("zoe", &["analysts"]);
    let expired = directory
        .issuer
        .token("zoe")
        .claim("groups", json!(["auditors"]))
        .claim("exp", 1_000_000)
        .encode();
    server.refuses("zoe", &expired, "expired");
    let other = directory
        .issuer
        .token("zoe")
        .claim("groups", json!(["auditors"]));
    server.refuses("zoe", &other.claim("aud", "other").encode(), "aud_mismatch");
    server.refuses(
        "zoe",
        &directory.issuer.token("zoe").encode(),
        "role_claim_missing",
    );
    assert_eq!(directory.groups_of("zoe"), "analysts");
}

#[test]
fn a_manager_whose_name_another_role_has_does_nothing() {
    let directory = Directory::start();
    let server = &directory.server;
    server.sql(
        "ALTER ROLE validator_manager RENAME TO former; CREATE ROLE validator_manager NOLOGIN CREATEROLE; \
         GRANT validator_managed, analysts TO validator_manager WITH ADMIN TRUE, INHERIT FALSE, SET FALSE",
    );
    directory.does_not_provision("zoe", &["analysts"], "manager");
    assert!(!directory.exists("zoe"));
    let worker = crate::wait_for_worker(server);
    server.sql(&format!("SELECT pg_terminate_backend({worker})"));
    crate::eventually("another worker", || {
        crate::wait_for_worker(server) != worker
    });
    directory.admits("zoe", &["analysts"]);
}
