//! The alerts: what they are about, and when they are raised.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rig::{Server, child, scratch};
use yaml_rust2::Yaml;

use crate::*;

const ALERTS: &str = include_str!("../../../contrib/monitoring/alerts.yml");
const ALERT_TESTS: &str = include_str!("../../../contrib/monitoring/alerts.test.yml");
const PAGE: &str = include_str!("../../../docs/monitoring.md");

/// The alerts, and how severe they are.
fn alerts() -> BTreeSet<(String, String)> {
    let document = document(ALERTS);
    let rules = document["groups"][0]["rules"].as_vec().expect("rules");
    let read = |rule: &Yaml| (text(&rule["alert"]), text(&rule["labels"]["severity"]));
    rules.iter().map(read).collect()
}

#[test]
fn alerts_are_about_metrics_that_there_are() {
    let known = metric_names();
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let document = document(ALERTS);
    let rules = document["groups"][0]["rules"].as_vec().expect("rules");
    assert_eq!(rules.len(), 7);
    for rule in rules {
        let expression = text(&rule["expr"]);
        let names: Vec<&str> = expression
            .split(|c| !is_part(c))
            .filter(|word| word.starts_with("validator_"))
            .collect();
        assert!(!names.is_empty(), "{expression}");
        for name in names {
            assert!(known.contains(name), "{name}");
        }
    }
}

#[test]
fn each_alert_is_tested_raised_and_not_raised() {
    let document = document(ALERT_TESTS);
    let tests = document["tests"].as_vec().expect("tests");
    let cases = tests.iter().flat_map(|test| {
        let cases = test["alert_rule_test"].as_vec().expect("a list");
        cases.iter().map(|case| {
            let alerts = case["exp_alerts"].as_vec().expect("a list");
            (text(&case["alertname"]), !alerts.is_empty())
        })
    });
    let cases: BTreeSet<(String, bool)> = cases.collect();
    for (alert, _) in alerts() {
        for is_raised in [true, false] {
            assert!(
                cases.contains(&(alert.clone(), is_raised)),
                "{alert} {is_raised}"
            );
        }
    }
}

#[test]
fn page_has_every_alert_and_every_metric() {
    let rows = PAGE.lines().filter_map(|line| {
        let (alert, rest) = line.strip_prefix("| `Validator")?.split_once('`')?;
        let severity = match rest.starts_with(" (critical) |") {
            true => "critical",
            false => "warning",
        };
        Some((format!("Validator{alert}"), severity.to_owned()))
    });
    assert_eq!(rows.collect::<BTreeSet<_>>(), alerts());
    for Query { name, metrics, .. } in queries() {
        for (column, _) in metrics {
            // Those after the first of a query are abbreviated.
            let is_there = [name.as_str(), "…"]
                .iter()
                .any(|start| PAGE.contains(&format!("`{start}_{column}`")));
            assert!(is_there, "{name}_{column}");
        }
    }
}

#[test]
fn prometheus_takes_the_alerts_and_raises_them_when_it_should() {
    let Some(promtool) = program("PROMTOOL", "promtool") else {
        return;
    };
    run(&promtool, &["check", "rules", "alerts.yml"]);
    run(&promtool, &["test", "rules", "alerts.test.yml"]);
}

/// Runs promtool in the folder of the alerts.
#[track_caller]
fn run(promtool: &Path, arguments: &[&str]) {
    let mut command = Command::new(promtool);
    command.args(arguments).current_dir(folder());
    let finished = child::run(command, Duration::from_secs(60));
    assert!(finished.status.success(), "{finished:?}");
}

/// Fails unless these are the alerts that Prometheus raises once the exporter has said this for a while.
#[track_caller]
fn assert_raised(promtool: &Path, page: &str, alerts: &[&str]) {
    let series = page.lines().filter(|line| line.starts_with("validator_"));
    let series = series.map(|line| {
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let value: f64 = value.parse().expect("a number");
        let values = vec![value.to_string(); 11].join(" ");
        format!("      - {{series: '{series}', values: '{values}'}}\n")
    });
    let series: String = series.collect();
    let raised = alerts
        .iter()
        .map(|alert| format!("          - {{labels: '{{alertname=\"{alert}\"}}', value: 1}}\n"));
    let raised: String = raised.collect();
    let test = format!(
        "rule_files: ['{}']\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n{series}    \
         promql_expr_test:\n      - expr: 'count by (alertname) (ALERTS{{alertstate=\"firing\"}})'\n        \
         eval_time: 10m\n        exp_samples:\n{raised}",
        folder().join("alerts.yml").display()
    );
    let file = scratch::new_folder("alerts").join("test.yml");
    fs::write(&file, &test).expect("a file");
    run(promtool, &["test", "rules", &file.display().to_string()]);
}

/// From an outage of the provider's to a server on which nobody can log in.
#[test]
fn alerts_are_raised_by_what_the_exporter_says_of_an_outage() {
    let (Some(exporter), Some(promtool)) = (
        program("POSTGRES_EXPORTER", "postgres_exporter"),
        program("PROMTOOL", "promtool"),
    ) else {
        return;
    };
    let raises = |server: &Server, alerts: &[&str]| {
        let page = exported(&exporter, server, "validator_keys_failing{");
        assert_raised(&promtool, &page, alerts);
    };
    let (_issuer, busy, _session) = busy_server();
    raises(&busy, &[]);
    let (issuer, server, _session) = outage();
    let expire_soon = ["ValidatorProviderFailing", "ValidatorKeysExpireSoon"];
    raises(&server, &expire_soon);
    server.reload_with(&[("validator.jwks_stale_ttl", "1d")]);
    raises(&server, &["ValidatorProviderFailing"]);
    let no_keys = ["ValidatorProviderFailing", "ValidatorNoUsableKeys"];
    server.reload_with(&[("validator.jwks_stale_ttl", "0")]);
    raises(&server, &no_keys);
    server.restart();
    let token = issuer.token("alice").encode();
    server.refuses("alice", &token, "provider_unavailable");
    raises(&server, &no_keys);
}
