//! What a login costs where ten thousand people have roles, with and without a map of groups.

use std::time::{Duration, Instant};

use rig::{Issuer, Server};
use serde_json::json;

use crate::measure::tell;

const PEOPLE: usize = 10_000;
const LOGINS: usize = 101;

/// The median of some logins that change nothing.
fn median(server: &Server, token: &str) -> Duration {
    let mut times: Vec<Duration> = (0..LOGINS)
        .map(|_| {
            let start = Instant::now();
            drop(server.admits("zoe", token));
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[LOGINS / 2]
}

/// As the worker makes them, but for the time that this takes: the catalog is written to directly.
fn create_people(server: &Server) {
    for from in (1..=PEOPLE).step_by(1000) {
        let to = from + 999;
        server.sql(&format!(
            "DO $$ BEGIN FOR n IN {from}..{to} LOOP EXECUTE format('CREATE ROLE person%s LOGIN', n);
                 EXECUTE format('COMMENT ON ROLE person%s IS %L', n,
                     'validator: {{\"issuer\":\"x\",\"identity\":\"person' || n || '\",\"created_at\":0}}'); END LOOP; END $$"
        ));
    }
    server.sql(
        "SET allow_system_table_mods = on;
         CREATE TEMP TABLE person AS
             SELECT oid, 'validator_manager'::regrole::oid AS manager FROM pg_roles WHERE rolname ~ '^person';
         INSERT INTO pg_auth_members (oid, roleid, member, grantor, admin_option, inherit_option, set_option)
         SELECT 1000000000 + row_number() OVER (), roleid, member, grantor, admin, false, false FROM (
             SELECT oid AS roleid, manager AS member, 10::oid AS grantor, true AS admin FROM person
             UNION ALL SELECT oid, manager, manager, false FROM person
             UNION ALL SELECT 'staff'::regrole::oid, oid, manager, false FROM person
             UNION ALL SELECT 'validator_managed'::regrole::oid, oid, manager, false FROM person) AS made",
    );
    server.sql("VACUUM ANALYZE pg_authid, pg_auth_members, pg_shdescription");
}

#[test]
#[ignore = "long: make test-long"]
fn login_among_ten_thousand_roles_costs_what_the_manual_says() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .preload()
        .set("validator.role_claim", "groups")
        .start();
    server.sql(
        "CREATE ROLE staff NOLOGIN; CREATE EXTENSION validator; \
         CREATE ROLE validator_manager NOLOGIN CREATEROLE; CREATE ROLE validator_managed NOLOGIN; \
         GRANT validator_managed, staff TO validator_manager WITH ADMIN TRUE, INHERIT FALSE, SET FALSE",
    );
    server.set("validator.provision", "roles");
    server.set("validator.provision_role", "validator_manager");
    server.restart();
    server.wait_for_backend("backend_type = 'validator roles' AND wait_event_type = 'Extension'");
    server.set_ident(&["groups staff staff"]);
    let token = issuer
        .token("zoe")
        .claim("groups", json!(["staff"]))
        .encode();
    server.admits("zoe", &token);

    let measure = || {
        server.reload_with(&[("validator.role_map", "groups")]);
        let with_map = median(&server, &token);
        server.reload_with(&[("validator.role_map", "")]);
        (with_map, median(&server, &token))
    };
    let few = measure();
    create_people(&server);
    let many = measure();
    let start = Instant::now();
    let disabled = server.value("SELECT validator.disable_role('x', 'person5000')");
    let took = start.elapsed();
    assert_eq!(disabled, "{person5000}");
    let listing = Instant::now();
    let listed = server.value("SELECT count(*) FROM validator.provisioned_roles");
    let listing = listing.elapsed();
    assert_eq!(listed, (PEOPLE + 1).to_string());
    let mark = server.log().mark();
    let start = Instant::now();
    server.admits(
        "yves",
        &issuer
            .token("yves")
            .claim("groups", json!(["staff"]))
            .encode(),
    );
    let first_login = start.elapsed();
    assert!(!server.log().since(mark).contains("refused"));
    let told = format!(
        "a login among few roles: {:?} (with a map {:?}); among {PEOPLE}: {:?} (with a map {:?}); a first login there {first_login:?}; \
         disable_role {took:?}, provisioned_roles {listing:?}",
        few.1, few.0, many.1, many.0
    );
    tell(&told);
    // On a busy machine, too: without a map, nothing depends on how many there are.
    assert!(many.1 < few.1 * 3 + Duration::from_millis(20), "{told}");
    assert!(many.0 < Duration::from_secs(2), "{told}");
}
