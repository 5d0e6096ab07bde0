//! Attempts to become more than one is, where a claim decides about roles: by forging it, by another issuer's word, and
//! by memberships that do not look like power.

use pg_test::{Alg, Issuer, Key, KeyKind, Server, SignatureFault, oauth_line};
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

#[test]
fn every_predefined_role_with_power_over_the_server_counts_however_it_is_granted() {
    let (issuer, server) = start();
    server.sql("CREATE ROLE boss LOGIN SUPERUSER");
    let powers = [
        "pg_execute_server_program",
        "pg_write_server_files",
        "pg_read_server_files",
        "pg_write_all_data",
        "pg_read_all_data",
        "boss",
    ];
    for power in powers {
        for (number, options) in [
            "",
            // Not in force before a SET ROLE, or before one grants it to oneself.
            "WITH INHERIT FALSE, SET TRUE",
            "WITH INHERIT FALSE, SET FALSE, ADMIN TRUE",
        ]
        .iter()
        .enumerate()
        {
            let role = format!("{power}_{number}").replace("pg_", "has_");
            server.sql(&format!(
                "CREATE ROLE {role} LOGIN; GRANT {power} TO {role} {options}"
            ));
            let wanted = token(&issuer, "zoe", json!([role]));
            let verdict = server.refuses(&role, &wanted, "role_too_powerful");
            assert!(verdict.log.contains("member of"), "{}", verdict.log);
        }
    }
    // Over two groups in between.
    server.sql(
        "CREATE ROLE outer_group; CREATE ROLE inner_group; CREATE ROLE far LOGIN; \
         GRANT pg_read_server_files TO inner_group; GRANT inner_group TO outer_group; \
         GRANT outer_group TO far",
    );
    server.refuses(
        "far",
        &token(&issuer, "zoe", json!(["far"])),
        "role_too_powerful",
    );
    // What has no such power is no obstacle.
    server.sql("GRANT pg_monitor TO alice");
    server.admits("alice", &token(&issuer, "zoe", json!(["alice"])));
    // What is granted later counts at the next login.
    server.sql("GRANT pg_write_all_data TO alice");
    server.refuses(
        "alice",
        &token(&issuer, "zoe", json!(["alice"])),
        "role_too_powerful",
    );
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
