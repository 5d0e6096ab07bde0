//! Roles that come and go with Keycloak's people and groups: what docs/roles.md promises to an administrator who has set up
//! provisioning, introspection and `validator-hook`.

use std::thread;
use std::time::{Duration, Instant};

use rig::{Ending, Hook, Issuer, Keycloak, Realm, Server};

use super::{HOOK_LINE, ask_about_all, give_secret, preset, start_hook};
use crate::{WHO, admits, psql, refuses};

/// How long anything may take on a machine that does other things as well; what it took is printed.
const LIMIT: Duration = Duration::from_secs(10);
const GROUPS: &str = "SELECT string_agg(g, ',' ORDER BY g) FROM unnest(ARRAY['analysts', 'auditors']) g \
     WHERE pg_has_role(g, 'USAGE')";

/// A realm with a person whom no server knows, and a server and a hook as an administrator sets them up.
fn set_up() -> (Realm, Server, Hook) {
    let realm = Keycloak::shared().realm("directory");
    realm.add_groups_mapper();
    realm.add_user("zoe");
    let builder = ask_about_all(&realm, preset(), Issuer::AUDIENCE)
        .preload()
        .set("validator.role_claim", "groups");
    let issuer = realm.issuer();
    // For all roles: one that does not exist is a member of nothing.
    let line = format!(
        "hostssl all all 127.0.0.1/32 oauth issuer=\"{issuer}\" scope=\"{}\" validator=validator",
        Issuer::SCOPE
    );
    let server = builder.hba(HOOK_LINE).hba(&line).start();
    give_secret(&server);
    server.sql("CREATE EXTENSION validator");
    let statements = "SELECT validator.provision_setup(ARRAY['analysts', 'auditors'])";
    for statement in server.sql(statements).into_iter().flatten().flatten() {
        server.sql(&statement);
    }
    server.restart();
    server.wait_for_backend("backend_type = 'validator roles' AND wait_event_type = 'Extension'");
    let hook = start_hook(&realm, &server, true);
    (realm, server, hook)
}

/// zoe logs in by the device flow; what psql prints of her groups, and her token.
#[track_caller]
fn zoe_logs_in(realm: &Realm, server: &Server) -> (String, String) {
    let mark = server.log().mark();
    let outcome = psql(server, "zoe", &realm.issuer(), "")
        .sql(&format!("{WHO}; {GROUPS}"))
        .run(|prompt| realm.approve(prompt, "zoe"));
    let printed = outcome.success();
    let groups = printed.strip_prefix("oauth:zoe is zoe");
    let groups = groups.unwrap_or_else(|| panic!("{printed}")).trim();
    rig::assert_silent_log(&server.log().since(mark), outcome.access_token());
    (groups.to_owned(), outcome.access_token().to_owned())
}

/// Logs zoe out at Keycloak while psql runs a query of hers, which must end.
#[allow(clippy::print_stdout)] // How long it took is for whoever runs it with --nocapture.
fn log_out_in_the_midst_of_a_query(realm: &Realm, server: &Server, hook: &Hook) {
    let issuer = realm.issuer();
    thread::scope(|scope| {
        let query = scope.spawn(|| {
            let outcome = psql(server, "zoe", &issuer, "")
                .sql("SELECT pg_sleep(50)")
                .run(|prompt| realm.approve(prompt, "zoe"));
            (outcome, Instant::now())
        });
        server.wait_for_backend("usename = 'zoe' AND wait_event = 'PgSleep'");
        let start = Instant::now();
        realm.log_out("zoe");
        let answered = start.elapsed();
        let (outcome, end) = query.join().expect("psql has ended");
        let ended = end.duration_since(start);
        println!(
            "zoe was logged out at Keycloak within {answered:?}, and psql had ended after {ended:?}"
        );
        assert!(ended < LIMIT, "{ended:?}");
        let messages = &outcome.psql.stderr;
        let why = "terminating connection due to administrator command";
        assert!(messages.contains(why), "{messages}");
    });
    hook.wait_for(": primary: 1 ended\n", LIMIT);
}

#[test]
fn roles_come_and_go_with_the_people_of_keycloak() {
    let (realm, server, hook) = set_up();
    let analysts = realm.add_to_group("zoe", "analysts");
    let auditors = realm.add_to_group("zoe", "auditors");

    // The first login: a person whom only Keycloak knows.
    let exists = "SELECT count(*) FROM pg_roles WHERE rolname = 'zoe'";
    assert_eq!(server.value(exists), "0");
    let (groups, _) = zoe_logs_in(&realm, &server);
    assert_eq!(groups, "analysts,auditors");
    let whose = "SELECT concat_ws(' ', issuer, identity, groups) FROM validator.provisioned_roles";
    let issuer = realm.issuer();
    assert_eq!(
        server.value(whose),
        format!("{issuer} zoe {{analysts,auditors}}")
    );
    // Somebody else's login does not give her role, nor is one made for whoever is in no group.
    let mallory = realm.access_token("mallory");
    for role in ["zoe", "mallory"] {
        refuses(&server, role, &mallory, "role_claim_missing");
    }

    // A group that an administrator of Keycloak takes away is lost at the next login.
    realm.remove_from_group("zoe", &auditors);
    let mark = server.log().mark();
    let (groups, _) = zoe_logs_in(&realm, &server);
    assert_eq!(groups, "analysts");
    let log = server.log().since(mark);
    assert!(log.contains("identity=zoe role=zoe lost=auditors"), "{log}");

    log_out_in_the_midst_of_a_query(&realm, &server, &hook);
    let (_, token) = zoe_logs_in(&realm, &server);

    // Keycloak gives no token to whoever is disabled. It tells nobody, so the session goes on, and the answer is cached.
    let mut session = admits(&server, "zoe", &token);
    realm.enable("zoe", false);
    let page = realm.page_after_sign_in("zoe");
    assert!(page.text.contains("Account is disabled"), "{page:?}");
    assert_eq!(session.value(WHO), "oauth:zoe is zoe");
    // What docs/roles.md says to do.
    let disabled = format!("SELECT validator.disable_role('{issuer}', 'zoe')");
    assert_eq!(server.value(&disabled), "{zoe}");
    let ended = format!("SELECT validator.end_sessions('{issuer}', identity => 'zoe')");
    assert_eq!(server.value(&ended), "1");
    let (ending, words) = session.wait_for_end(LIMIT);
    assert_eq!(ending, Ending::Closed, "{words:?}");
    // Her last token: Keycloak no longer vouches for it, and where nobody asks Keycloak, the role cannot log in.
    server.sql(&format!("SELECT validator.flush_answers('{issuer}')"));
    refuses(&server, "zoe", &token, "token_inactive");
    server.reload_with(&[("validator.introspection", "off")]);
    let verdict = refuses(&server, "zoe", &token, "role_not_provisioned");
    assert!(
        verdict.log.contains("cause=role_disabled "),
        "{}",
        verdict.log
    );

    // Enabled again, at both.
    realm.enable("zoe", true);
    server.sql("ALTER ROLE zoe LOGIN");
    assert_eq!(zoe_logs_in(&realm, &server).0, "analysts");
    // Keycloak names no groups at all for whoever has lost the last one: nothing is known then, and nothing is changed.
    realm.remove_from_group("zoe", &analysts);
    let groupless = realm.access_token("zoe");
    refuses(&server, "zoe", &groupless, "role_claim_missing");
    assert_eq!(server.value(whose), format!("{issuer} zoe {{analysts}}"));
}
