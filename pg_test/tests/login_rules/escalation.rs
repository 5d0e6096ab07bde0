//! Attempts to become more than one is, where a claim decides about roles: by forging it, by another issuer's word, and
//! by memberships that do not look like power.

use std::thread;
use std::time::Duration;

use rig::{Alg, Endpoint, Fault, Issuer, Key, KeyKind, Server, SignatureFault, oauth_line};
use serde_json::{Value, json};

const DELEGATED: &str = "delegate_ident_mapping=1";

/// A server where `groups` alone decides who may be which role.
fn start() -> (Issuer, Server) {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .log_everything()
        .set("validator.role_claim", "groups")
        .start();
    server.set_hba(&[&oauth_line(issuer.url(), DELEGATED)]);
    server.reload();
    (issuer, server)
}

fn token(issuer: &Issuer, user: &str, groups: Value) -> String {
    issuer.token(user).claim("groups", groups).encode()
}

/// The parts of a token.
fn parts(token: &str) -> Vec<String> {
    token.split('.').map(str::to_owned).collect()
}

#[test]
fn groups_that_the_issuer_has_not_signed_give_nothing() {
    let (issuer, server) = start();
    let own = token(&issuer, "zoe", json!(["alice"]));
    server.admits("alice", &own);
    // The claims of a token that says more, under the signature of one's own.
    let more = token(&issuer, "zoe", json!(["alice", "bob"]));
    let [own, more] = [parts(&own), parts(&more)];
    let spliced = [&*own[0], &*more[1], &*own[2]].join(".");
    server.refuses("bob", &spliced, "bad_signature");
    let wants_bob = || issuer.token("zoe").claim("groups", json!(["bob"]));
    // Signed by a key of one's own that has the issuer's kid, or is named in the header.
    let issuers = issuer.signing_key();
    let kid = issuers.kid().expect("it has a kid").to_owned();
    let mine = Key::new(KeyKind::OtherRsa).with_kid(&kid);
    let alg = issuers.default_alg();
    let forged = wants_bob().signed_by(&mine, alg);
    server.refuses("bob", &forged.encode(), "bad_signature");
    let named = wants_bob().signed_by(&mine, alg).header("jwk", mine.jwk());
    server.refuses("bob", &named.encode(), "bad_signature");
    // By the issuer's public key as if it were a secret.
    let secret = Key::secret(&issuers.public_der()).with_kid(&kid);
    let confused = wants_bob().signed_by(&secret, Alg::HS256);
    server.refuses("bob", &confused.encode(), "alg_not_allowed");
    let unsigned = wants_bob().signature_fault(SignatureFault::Empty);
    server.refuses("bob", &unsigned.encode(), "bad_signature");
    // Twice: one for the check, one for the use.
    let claims = String::from_utf8(wants_bob().claims_json()).expect("JSON is UTF-8");
    let twice = claims.replacen('{', "{\"groups\":[\"alice\"],", 1);
    server.refuses(
        "bob",
        &wants_bob().raw_claims(twice).encode(),
        "duplicate_claim",
    );
    // Beside the claim.
    let beside = issuer.token("zoe").claim("groups", json!(["alice"]));
    let beside = beside
        .claim("roles", json!(["bob"]))
        .claim("realm_access", json!({"groups": ["bob"]}))
        .claim("Groups", json!(["bob"]));
    server.refuses("bob", &beside.encode(), "role_not_granted");
}

#[test]
fn another_issuers_groups_give_nothing_here() {
    let (corp, server) = start();
    let partner = Issuer::builder().path("/partner").start();
    let line = |issuer: &Issuer, roles: &str| {
        let roles = format!("host all {roles}");
        oauth_line(issuer.url(), DELEGATED).replacen("host all all", &roles, 1)
    };
    server.set_hba(&[&line(&corp, "alice,bob"), &line(&partner, "carol")]);
    server.reload();
    let all = json!(["alice", "bob", "carol"]);
    server.admits("alice", &token(&corp, "zoe", all.clone()));
    server.admits("carol", &token(&partner, "zoe", all.clone()));
    server.refuses("alice", &token(&partner, "zoe", all.clone()), "unknown_kid");
    server.refuses("carol", &token(&corp, "zoe", all.clone()), "unknown_kid");
    // It calls itself the other one, by its own key.
    let lie = partner
        .token("zoe")
        .claim("groups", all)
        .claim("iss", corp.url());
    server.refuses("alice", &lie.encode(), "unknown_kid");
    server.refuses("carol", &lie.encode(), "iss_mismatch");
}

/// What a role may have of its own, and how the log calls it.
const ATTRIBUTES: [(&str, &str); 4] = [
    ("SUPERUSER", "is a superuser"),
    ("REPLICATION", "may replicate"),
    ("BYPASSRLS", "bypasses row-level security"),
    ("CREATEROLE", "may create roles"),
];

/// A membership is power in each of these forms: what is not inherited can be had by SET ROLE, or after one has granted
/// it to oneself.
const MEMBERSHIPS: [&str; 3] = [
    "",
    "WITH INHERIT FALSE, SET TRUE",
    "WITH INHERIT FALSE, SET FALSE, ADMIN TRUE",
];

/// Predefined roles that give no such power.
const HARMLESS: [&str; 4] = [
    "pg_monitor",
    "pg_read_all_settings",
    "pg_read_all_stats",
    "pg_stat_scan_tables",
];

/// PostgreSQL keeps the rows of what it must read at every login in this file, and removes it now and then: without it,
/// most of the catalog cannot be read during a login.
fn forget_critical_relations(server: &Server) {
    let file = server.data_folder().join("global/pg_internal.init");
    let removed = std::fs::remove_file(&file);
    assert!(removed.is_ok() || !file.exists(), "{removed:?}");
}

#[test]
fn every_attribute_with_power_over_the_server_counts_own_or_of_a_group() {
    let (issuer, server) = start();
    for (attribute, does) in ATTRIBUTES {
        let power = attribute.to_lowercase();
        server.sql(&format!("CREATE ROLE {power} LOGIN {attribute}"));
        forget_critical_relations(&server);
        let wanted = token(&issuer, "zoe", json!([power]));
        let verdict = server.refuses(&power, &wanted, "role_too_powerful");
        let hint = format!("HINT:  The role {does}. ");
        assert!(verdict.log.contains(&hint), "{}", verdict.log);
        for (number, options) in MEMBERSHIPS.iter().enumerate() {
            let role = format!("{power}_{number}");
            server.sql(&format!(
                "CREATE ROLE {role} LOGIN; GRANT {power} TO {role} {options}"
            ));
            forget_critical_relations(&server);
            let wanted = token(&issuer, "zoe", json!([role]));
            let verdict = server.refuses(&role, &wanted, "role_too_powerful");
            let hint = format!("HINT:  The role is a member of {power}, which {does}. ");
            assert!(verdict.log.contains(&hint), "{}", verdict.log);
        }
    }
    // A role that makes databases has power over those alone; what it cannot do is no power either.
    server.sql("ALTER ROLE alice CREATEDB NOINHERIT CONNECTION LIMIT 5");
    forget_critical_relations(&server);
    server.admits("alice", &token(&issuer, "zoe", json!(["alice"])));
}

#[test]
fn every_predefined_role_but_the_monitors_counts_however_it_is_granted() {
    let (issuer, server) = start();
    // Whichever this version has.
    let predefined = server.sql(
        "SELECT rolname FROM pg_roles WHERE oid < 16384 AND rolname LIKE 'pg\\_%' \
         AND rolname <> 'pg_database_owner' ORDER BY 1",
    );
    let predefined: Vec<String> = predefined.into_iter().flatten().flatten().collect();
    assert!(predefined.len() >= 15, "{predefined:?}");
    for group in &predefined {
        for (number, options) in MEMBERSHIPS.iter().enumerate() {
            let role = format!("{group}_{number}").replace("pg_", "has_");
            server.sql(&format!(
                "CREATE ROLE {role} LOGIN; GRANT {group} TO {role} {options}"
            ));
            let wanted = token(&issuer, "zoe", json!([role]));
            if number == 0 {
                forget_critical_relations(&server);
            }
            if HARMLESS.contains(&group.as_str()) {
                server.admits(&role, &wanted);
                continue;
            }
            let verdict = server.refuses(&role, &wanted, "role_too_powerful");
            let hint = format!("HINT:  The role is a member of {group}. ");
            assert!(verdict.log.contains(&hint), "{}", verdict.log);
        }
    }
}

#[test]
fn power_counts_over_any_number_of_groups_and_as_soon_as_it_is_granted() {
    let (issuer, server) = start();
    server.sql(
        "CREATE ROLE outer_group; CREATE ROLE inner_group; CREATE ROLE far LOGIN; \
         GRANT pg_read_server_files TO inner_group; GRANT inner_group TO outer_group; \
         GRANT outer_group TO far",
    );
    forget_critical_relations(&server);
    server.refuses(
        "far",
        &token(&issuer, "zoe", json!(["far"])),
        "role_too_powerful",
    );
    // A hundred groups in a row, each of which is also a member of one that all share.
    server.sql("CREATE ROLE shared; CREATE ROLE g0; GRANT g0 TO alice");
    for n in 1..100 {
        let before = n - 1;
        server.sql(&format!(
            "CREATE ROLE g{n}; GRANT g{n}, shared TO g{before}"
        ));
    }
    let alice = token(&issuer, "zoe", json!(["alice"]));
    server.admits("alice", &alice);
    server.sql("GRANT pg_maintain TO g99");
    forget_critical_relations(&server);
    server.refuses("alice", &alice, "role_too_powerful");
    server.sql("REVOKE pg_maintain FROM g99; ALTER ROLE shared REPLICATION");
    server.refuses("alice", &alice, "role_too_powerful");
    server.sql("ALTER ROLE shared NOREPLICATION");
    server.admits("alice", &alice);
}

#[test]
fn what_a_role_reaches_by_replication_cannot_be_reached_by_a_claim() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .log_everything()
        .set("validator.role_claim", "groups")
        .set("wal_level", "logical")
        .start();
    server.set_hba(&[&oauth_line(issuer.url(), DELEGATED)]);
    server.reload();
    server
        .sql("CREATE ROLE copiers REPLICATION; GRANT copiers TO bob; CREATE TABLE secret (x text)");
    let bob = token(&issuer, "zoe", json!(["bob"]));
    server.refuses("bob", &bob, "role_too_powerful");
    // What it would have been good for.
    server.reload_with(&[("validator.allow_superuser", "on")]);
    let mut session = server.admits("bob", &bob);
    session
        .query("SELECT * FROM secret")
        .expect_err("not granted");
    session.query("SET ROLE copiers").expect("a member");
    session
        .query("SELECT pg_create_logical_replication_slot('s', 'test_decoding')")
        .expect("it may replicate");
    server.sql("SET synchronous_commit = on; INSERT INTO secret VALUES ('hidden')");
    let changes = session
        .value("SELECT string_agg(data, ' ') FROM pg_logical_slot_get_changes('s', NULL, NULL)");
    assert!(changes.contains("hidden"), "{changes}");
    session
        .query("SELECT pg_drop_replication_slot('s')")
        .expect("it may");
}

/// PostgreSQL reads roles and memberships to find the line, before the client sends its token.
#[test]
fn power_that_a_role_gets_while_its_login_waits_counts() {
    for change in [
        "ALTER ROLE alice SUPERUSER",
        "GRANT pg_read_all_data TO alice",
    ] {
        let issuer = Issuer::builder().start();
        let server = Server::trusting(&issuer).log_everything().start();
        server.sql("CREATE ROLE people; GRANT people TO alice");
        let line = oauth_line(issuer.url(), "").replacen("all all", "all +people", 1);
        server.set_hba(&[&line]);
        server.reload();
        issuer.fail(Endpoint::Jwks, Fault::Delay(Duration::from_secs(2)));
        let token = issuer.token("alice").encode();
        thread::scope(|scope| {
            let login = scope.spawn(|| server.refuses("alice", &token, "role_too_powerful"));
            while issuer.hits(Endpoint::Jwks) == 0 {
                thread::sleep(Duration::from_millis(5));
            }
            server.sql(change);
            login.join().expect("the login is refused");
        });
    }
}

#[test]
fn without_a_map_no_identity_becomes_a_powerful_role_by_its_name() {
    for preload in [false, true] {
        let issuer = Issuer::builder().start();
        let builder = Server::trusting(&issuer).log_everything();
        let server = match preload {
            true => builder.preload(),
            false => builder,
        }
        .start();
        server.sql("GRANT pg_read_all_data TO bob");
        let postgres = issuer.token("postgres").encode();
        let bob = issuer.token("bob").encode();
        for options in ["", "map=\"\""] {
            server.set_hba(&[&oauth_line(issuer.url(), options)]);
            server.reload();
            forget_critical_relations(&server);
            let verdict = server.refuses("postgres", &postgres, "role_too_powerful");
            assert!(verdict.log.contains("pg_ident.conf"), "{}", verdict.log);
            forget_critical_relations(&server);
            server.refuses("bob", &bob, "role_too_powerful");
            forget_critical_relations(&server);
            server.admits("alice", &issuer.token("alice").encode());
        }
        let nobody = issuer.token("nobody_at_all").encode();
        server.refuses("nobody_at_all", &nobody, "role_unknown");
        // The administrator has said so: for all lines, or for one identity in a map.
        server.reload_with(&[("validator.allow_superuser", "on")]);
        server.admits("postgres", &postgres);
        server.reload_with(&[("validator.allow_superuser", "off")]);
        server.set_ident(&["people postgres postgres", "people /^b.*$ bob"]);
        server.set_hba(&[&oauth_line(issuer.url(), "map=people")]);
        server.reload();
        server.admits("postgres", &postgres);
        server.admits("bob", &bob);
    }
}

#[test]
fn a_group_named_as_the_superuser_gives_nothing() {
    let (issuer, server) = start();
    let groups = json!(["postgres", "all", "+admins", "/.*", "*", "pg_read_all_data"]);
    let token = token(&issuer, "zoe", groups);
    let line = oauth_line(issuer.url(), DELEGATED);
    server.set_hba(&[&line]);
    server.reload();
    server.refuses("postgres", &token, "role_too_powerful");
    // A value is a name, no pattern.
    for role in ["alice", "bob"] {
        server.refuses(role, &token, "role_not_granted");
    }
}
