//! Findings about the server.

use pg_test::Issuer;

use crate::{assert_findings, clinic, good_line, healthy, only_detail, started};

#[test]
fn module_is_not_preloaded() {
    let (_issuer, builder) = healthy();
    let server = started(builder.set("shared_preload_libraries", ""));
    assert_findings(&server, &["notice not_preloaded", "ok ok"]);
    server.set("shared_preload_libraries", "auto_explain, \"validator\"");
    server.restart();
    assert_findings(&server, &["ok ok"]);
}

#[test]
fn preloaded_module_has_no_worker() {
    let (_issuer, builder) = healthy();
    // PostgreSQL's own worker for logical replication takes the only place.
    let server = started(builder.set("max_worker_processes", "1"));
    let found = assert_findings(&server, &["warning worker_missing", "ok ok"]);
    assert!(found[0].advice.contains("max_worker_processes"));
    server.set("max_worker_processes", "2");
    server.restart();
    assert_findings(&server, &["ok ok"]);
}

#[test]
fn no_line_uses_the_module() {
    let server = started(clinic());
    only_detail(&server, "warning no_hba_line");
}

#[test]
fn lines_of_other_methods_and_modules_are_left_alone() {
    let (issuer, builder) = healthy();
    let server = started(builder.set("oauth_validator_libraries", "other, validator"));
    let other = good_line("http://other.example").replace("validator=validator", "validator=other");
    server.set_hba(&[
        "host all all 10.0.0.1/32 scram-sha-256",
        &other,
        &good_line(issuer.url()),
    ]);
    server.reload();
    assert_findings(&server, &["ok ok"]);
}

#[test]
fn module_is_not_listed_among_the_libraries() {
    let (_issuer, builder) = healthy();
    let server = started(builder);
    server.reload_with(&[("oauth_validator_libraries", "other")]);
    let found = assert_findings(
        &server,
        &[
            "error library_not_listed",
            "warning no_hba_line",
            "error hba_invalid",
        ],
    );
    assert!(found[0].detail.contains("\"other\""), "{found:?}");
    assert!(found[2].detail.contains("not permitted by"), "{found:?}");
    assert_eq!(found[2].line, "3");
}

#[test]
fn a_line_can_not_be_read() {
    let (issuer, builder) = healthy();
    let server = started(builder);
    server.set_hba(&[
        &good_line(issuer.url()),
        "hostssl all all 10.0.0.1/32 oauth issuer=\"x\"",
    ]);
    server.reload();
    let found = assert_findings(&server, &["error hba_invalid", "ok ok"]);
    assert_eq!((&*found[0].line, &*found[1].line), ("4", "3"));
    assert!(found[0].detail.contains("requires argument"), "{found:?}");
}

#[test]
fn a_line_for_tls_on_a_server_without_it_never_matches() {
    let (_issuer, builder) = healthy();
    let server = started(builder);
    server.reload_with(&[("ssl", "off")]);
    let detail = only_detail(&server, "error tls_off");
    assert!(detail.contains("ssl is off"), "{detail}");
}

#[test]
fn the_kill_switch_is_off() {
    let (_issuer, builder) = healthy();
    let server = started(builder.set("validator.enabled", "off"));
    assert_findings(&server, &["error disabled", "ok ok"]);
}

#[test]
fn it_can_be_called_before_anybody_has_logged_in_and_with_the_module_loaded_on_demand() {
    let issuer = Issuer::builder().https().start();
    let server = started(
        clinic()
            .hba(&good_line(issuer.url()))
            .set("shared_preload_libraries", ""),
    );
    assert_findings(&server, &["notice not_preloaded", "ok ok"]);
}
