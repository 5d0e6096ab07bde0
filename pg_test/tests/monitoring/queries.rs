//! The queries on a real server, and in postgres_exporter.

use std::collections::BTreeSet;
use std::fs;

use rig::{Endpoint, Fault, Issuer, Server, scratch};

use crate::*;

#[test]
fn both_exporters_get_the_same() {
    assert_eq!(queries(), collector_queries());
    assert!(metric_names().len() > 12);
}

#[test]
fn every_query_runs_as_a_monitor_and_gives_what_is_made_of_it() {
    let (issuer, server, _session) = busy_server();
    for query in queries() {
        let Query { name, sql, .. } = &query;
        server.sql(&format!("CREATE VIEW public.{name} AS {sql}"));
        let columns = server.sql(&format!(
            "SELECT attname, atttypid::regtype FROM pg_attribute WHERE attrelid = 'public.{name}'::regclass"
        ));
        let mut labels = BTreeSet::new();
        let mut metrics = BTreeSet::new();
        for column in columns {
            let [Some(name), Some(kind)] = &column[..] else {
                panic!("{column:?}");
            };
            match kind.as_str() {
                "text" => labels.insert(name.clone()),
                "bigint" | "integer" | "double precision" => metrics.insert(name.clone()),
                other => panic!("{name} is {other}"),
            };
        }
        let wanted: BTreeSet<String> = query.metrics.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!((&labels, metrics), (&query.labels, wanted), "{name}");
        let rows = server.sql(&format!("SET ROLE monitor; {sql}"));
        assert!(!rows.is_empty(), "{name}");
        // Exporters refuse two rows with the same labels.
        let labels = labels.into_iter().collect::<Vec<_>>().join(", ");
        let repeated = server.sql(&format!(
            "SELECT {labels} FROM public.{name} GROUP BY {labels} HAVING count(*) > 1"
        ));
        assert!(repeated.is_empty(), "{name}: {repeated:?}");
    }
    let value = |sql: &str| server.value(&format!("{sql} WHERE issuer = '{}'", issuer.url()));
    assert_eq!(value("SELECT accepted_total FROM validator_login"), "1");
    assert_eq!(value("SELECT refused_total FROM validator_login"), "2");
    assert_eq!(value("SELECT total FROM validator_refusals"), "2");
    assert_eq!(
        value("SELECT reason FROM validator_refusals"),
        "aud_mismatch"
    );
    assert_eq!(value("SELECT fetches_total FROM validator_provider"), "1");
    assert_eq!(
        value("SELECT fetch_failures_total FROM validator_provider"),
        "0"
    );
    assert_eq!(
        value("SELECT (roles_created_total, failures_total) = (0, 0) FROM validator_provision"),
        "t"
    );
    assert_eq!(value("SELECT usable FROM validator_keys"), "1");
    assert_eq!(value("SELECT failing FROM validator_keys"), "0");
    assert_eq!(
        value("SELECT usable_seconds_left > 80000 FROM validator_keys"),
        "t"
    );
    let kid = issuer.signing_key().kid().map(str::to_owned);
    assert_eq!(Some(value("SELECT kid FROM validator_key")), kid);
    assert_eq!(value("SELECT usable FROM validator_key"), "1");
    assert_eq!(value("SELECT open FROM validator_sessions"), "1");
}

#[test]
fn a_failing_provider_is_seen_and_forgotten() {
    let (issuer, server, _session) = busy_server();
    create_view(&server, "validator_keys");
    let refresh = |server: &Server| {
        refresh_keys(server, &issuer);
        server.value("SELECT failing FROM k")
    };
    issuer.go_down();
    assert_eq!(refresh(&server), "1");
    issuer.come_up();
    assert_eq!(refresh(&server), "0");
}

/// Alerts tell by them that nobody can log in.
#[test]
fn keys_that_cannot_be_used_do_not_count() {
    let (issuer, server, _session) = outage();
    create_view(&server, "validator_keys");
    let keys =
        || server.value("SELECT concat_ws(',', usable, failing, usable_seconds_left > 0) FROM k");
    assert_eq!(keys(), "1,1,t");
    server.reload_with(&[("validator.jwks_stale_ttl", "0")]);
    assert_eq!(keys(), "0,1,f");
    server.reload_with(&[("validator.jwks_stale_ttl", "1h")]);
    assert_eq!(keys(), "1,1,t");
    server.sql("SELECT validator.flush_cache()");
    assert_eq!(keys(), "0,0");
    // As after a restart.
    let token = issuer.token("alice").encode();
    server.refuses("alice", &token, "provider_unavailable");
    assert_eq!(keys(), "0,1");
    issuer.come_up();
    refresh_keys(&server, &issuer);
    assert_eq!(keys(), "1,0,t");
}

/// Keys from a file do not expire.
#[test]
fn keys_from_a_file_count_although_no_time_is_left() {
    let issuer = Issuer::builder().start();
    let file = scratch::new_folder("keys").join("jwks.json");
    let keys = serde_json::json!({"keys": [issuer.signing_key().jwk()]});
    fs::write(&file, keys.to_string()).expect("a file");
    let server = Server::trusting(&issuer)
        .set("validator.jwks_file", &file.display().to_string())
        .start();
    server.sql("CREATE EXTENSION validator");
    create_view(&server, "validator_keys");
    server.admits("alice", &issuer.token("alice").encode());
    let keys = server.value("SELECT concat_ws(',', usable, failing, usable_seconds_left) FROM k");
    assert_eq!(keys, "1,0");
}

/// Alerts tell by that.
#[test]
fn outage_of_an_introspection_endpoint_is_counted_as_long_as_it_lasts() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).asks_about_opaque_tokens().start();
    server.sql("CREATE EXTENSION validator");
    create_view(&server, "validator_provider");
    let counted = || {
        server.value(
            "SELECT concat_ws(',', introspections_total, introspection_failures_total) FROM k",
        )
    };
    server.admits("alice", &issuer.opaque_token("alice"));
    assert_eq!(counted(), "1,0");
    issuer.fail(Endpoint::Introspection, Fault::Status(503));
    // The first one finds out that it is down; after a pause, others find that it still is.
    for (pause, wanted) in [(0, "2,1"), (1300, "3,2"), (2600, "4,3")] {
        thread::sleep(Duration::from_millis(pause));
        let token = issuer.opaque_token("alice");
        server.refuses("alice", &token, "provider_unavailable");
        assert_eq!(counted(), wanted);
    }
    issuer.heal();
    thread::sleep(Duration::from_millis(5100));
    server.admits("alice", &issuer.opaque_token("alice"));
    assert_eq!(counted(), "5,3");
}

#[test]
fn changes_of_roles_and_their_failures_are_counted() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .preload()
        .set("validator.role_claim", "groups")
        .start();
    server.sql(
        "CREATE ROLE validator_manager NOLOGIN CREATEROLE;
         CREATE ROLE validator_managed NOLOGIN;
         GRANT validator_managed TO validator_manager WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
         CREATE ROLE analysts NOLOGIN;
         GRANT analysts TO validator_manager WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
         CREATE EXTENSION validator",
    );
    server.set("validator.provision", "roles");
    server.set("validator.provision_role", "validator_manager");
    server.restart();
    server.wait_for_backend("backend_type = 'validator roles' AND wait_event_type = 'Extension'");
    create_view(&server, "validator_provision");
    let token = |user: &str, groups: &[&str]| issuer.token(user).claim("groups", groups).encode();
    let counted = || {
        server.value(
            "SELECT concat_ws(',', roles_created_total, memberships_granted_total, memberships_revoked_total,
                 failures_total) FROM k",
        )
    };
    server.admits("zoe", &token("zoe", &["analysts"]));
    assert_eq!(counted(), "1,1,0,0");
    server.admits("zoe", &token("zoe", &[]));
    assert_eq!(counted(), "1,1,1,0");
    server.sql("ALTER ROLE validator_manager NOCREATEROLE");
    let yan = token("yan", &["analysts"]);
    server.refuses("yan", &yan, "role_not_provisioned");
    assert_eq!(counted(), "1,1,1,1");
}

#[test]
fn postgres_exporter_serves_the_metrics() {
    let Some(exporter) = program("POSTGRES_EXPORTER", "postgres_exporter") else {
        return;
    };
    let (issuer, server, _session) = busy_server();
    let page = exported(&exporter, &server, "validator_sessions_open{");
    for name in metric_names() {
        assert!(page.contains(&format!("\n{name}{{")), "{name}\n{page}");
    }
    let refused = page
        .lines()
        .find(|line| line.starts_with("validator_refusals_total{"));
    let refused = refused.expect("refusals");
    for part in ["reason=\"aud_mismatch\"", issuer.url(), "} 2"] {
        assert!(refused.contains(part), "{refused}");
    }
    assert!(
        page.contains("# TYPE validator_refusals_total counter"),
        "{page}"
    );
}
