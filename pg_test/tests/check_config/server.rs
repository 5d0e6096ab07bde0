//! Findings about the server.

use rig::Issuer;

use crate::{assert_findings, clinic, good_line, healthy, only_detail, second_line, started};

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
    let other =
        second_line("http://other.example").replace("validator=validator", "validator=other");
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
    // A line without that demand matches, and then the token is refused.
    let (issuer, _) = healthy();
    let host = good_line(issuer.url()).replacen("hostssl", "host", 1);
    server.set_hba(&[&host]);
    server.reload();
    let found = assert_findings(&server, &["notice tls_not_required", "error tls_off"]);
    assert!(
        found[1].detail.contains("validator.require_tls"),
        "{found:?}"
    );
    server.set_hba(&[&host.replacen("10.0.0.0/8", "127.0.0.1/32", 1)]);
    server.reload();
    assert_findings(&server, &["notice tls_not_required"]);
    server.set_hba(&[&host]);
    server.reload_with(&[("validator.require_tls", "off")]);
    assert_findings(&server, &["warning tls_not_required"]);
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

#[test]
fn there_are_more_issuers_than_room_for_their_keys() {
    let (_issuer, builder) = healthy();
    let server = started(builder.set("validator.jwks_cache_issuers", "16"));
    assert_findings(&server, &["ok ok"]);
    let issuers: Vec<_> = (0..16).map(|n| format!("https://idp{n}.invalid")).collect();
    let mut lines: Vec<_> = issuers.iter().map(|url| good_line(url)).collect();
    // The same one twice takes one place.
    lines.push(good_line(&issuers[0]));
    set_lines(&server, &lines);
    let counted = || {
        let found = crate::examine(&server);
        let found = found.into_iter().filter(|f| f.code == "too_many_issuers");
        found.map(|f| f.detail).collect::<Vec<_>>()
    };
    assert_eq!(counted().len(), 0);
    lines.push(good_line("https://idp16.invalid"));
    set_lines(&server, &lines);
    let details = counted();
    assert!(details[0].contains("have 17 issuers, but"), "{details:?}");
    assert!(details[0].contains("keys of 16 only:"), "{details:?}");
}

fn set_lines(server: &rig::Server, lines: &[String]) {
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    server.set_hba(&lines);
    server.reload();
}

#[test]
fn sizes_of_memory_were_changed_since_it_was_made() {
    let (_issuer, builder) = healthy();
    let server = started(builder);
    server.reload_with(&[
        ("validator.jwks_cache_issuers", "33"),
        ("validator.introspection_cache_entries", "2048"),
    ]);
    let changed = ["notice restart_pending", "notice restart_pending", "ok ok"];
    let found = assert_findings(&server, &changed);
    assert!(found[0].detail.contains("is 48, but"), "{found:?}");
    assert!(found[0].detail.contains("sized for 32"), "{found:?}");
    assert!(found[1].detail.contains("is 2048, but"), "{found:?}");
    server.restart();
    assert_findings(&server, &["ok ok"]);
}

#[test]
fn there_is_no_room_for_the_modules_memory() {
    let (_issuer, builder) = healthy();
    let server = started(builder.set("shared_preload_libraries", ""));
    server.limit_segments(Some(512 * 1024));
    let findings = ["notice not_preloaded", "error server_resources", "ok ok"];
    // An error that is a finding is undone, and what is found next has nothing to do with it.
    for _ in 0..2 {
        let mark = server.log().mark();
        let found = assert_findings(&server, &findings);
        assert!(found[1].advice.contains("/dev/shm"), "{found:?}");
        let log = server.log().since(mark);
        assert!(!log.contains("WARNING:"), "{log}");
    }
    server.limit_segments(None);
    assert_findings(&server, &["notice not_preloaded", "ok ok"]);
}
