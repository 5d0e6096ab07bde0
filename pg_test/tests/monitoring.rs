//! What contrib/monitoring has for Prometheus: its queries on a real server, and its files in the programs that read them.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rig::{Browser, Issuer, Server, Session, skip};
use yaml_rust2::{Yaml, YamlLoader};

const QUERIES: &str = include_str!("../../contrib/monitoring/postgres_exporter.yml");
const COLLECTOR: &str = include_str!("../../contrib/monitoring/sql_exporter.collector.yml");
const ALERTS: &str = include_str!("../../contrib/monitoring/alerts.yml");

/// A query, and what is made of its columns.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone)]
struct Query {
    name: String,
    sql: String,
    labels: BTreeSet<String>,
    /// Column, and whether it counts up.
    metrics: BTreeSet<(String, bool)>,
}

fn document(text: &str) -> Yaml {
    let mut documents = YamlLoader::load_from_str(text).expect("YAML");
    documents.pop().expect("a document")
}

fn text(yaml: &Yaml) -> String {
    yaml.as_str()
        .unwrap_or_else(|| panic!("text: {yaml:?}"))
        .to_owned()
}

/// By the format of postgres_exporter's custom queries.
fn queries() -> BTreeSet<Query> {
    let document = document(QUERIES);
    let queries = document.as_hash().expect("a map of queries");
    let read = |(name, query): (&Yaml, &Yaml)| {
        let mut labels = BTreeSet::new();
        let mut metrics = BTreeSet::new();
        for column in query["metrics"].as_vec().expect("a list of columns") {
            let (name, column) = column
                .as_hash()
                .and_then(|map| map.iter().next())
                .expect("a column");
            assert!(text(&column["description"]).len() > 10, "{name:?}");
            match column["usage"].as_str() {
                Some("LABEL") => labels.insert(text(name)),
                Some("COUNTER") => metrics.insert((text(name), true)),
                Some("GAUGE") => metrics.insert((text(name), false)),
                usage => panic!("{name:?} is used as {usage:?}"),
            };
        }
        Query {
            name: text(name),
            sql: text(&query["query"]).trim().to_owned(),
            labels,
            metrics,
        }
    };
    queries.iter().map(read).collect()
}

/// By the format of sql_exporter's collector files.
fn collector_queries() -> BTreeSet<Query> {
    let document = document(COLLECTOR);
    assert_eq!(text(&document["collector_name"]), "validator");
    let metrics = document["metrics"].as_vec().expect("a list of metrics");
    let read = |query: &Yaml| {
        let name = text(&query["query_name"]);
        let mut labels = BTreeSet::new();
        let mut columns = BTreeSet::new();
        for metric in metrics
            .iter()
            .filter(|metric| text(&metric["query_ref"]) == name)
        {
            let [value] = metric["values"].as_vec().expect("a list").as_slice() else {
                panic!("one value: {metric:?}");
            };
            let value = text(value);
            assert_eq!(text(&metric["metric_name"]), format!("{name}_{value}"));
            assert!(text(&metric["help"]).len() > 10, "{metric:?}");
            labels.extend(
                metric["key_labels"]
                    .as_vec()
                    .expect("a list")
                    .iter()
                    .map(text),
            );
            columns.insert((value, text(&metric["type"]) == "counter"));
        }
        Query {
            sql: text(&query["query"]).trim().to_owned(),
            name,
            labels,
            metrics: columns,
        }
    };
    let queries = document["queries"].as_vec().expect("a list of queries");
    queries.iter().map(read).collect()
}

fn metric_names() -> BTreeSet<String> {
    let names = queries().into_iter().flat_map(|query| {
        let columns = query.metrics.into_iter();
        columns.map(move |(column, _)| format!("{}_{column}", query.name))
    });
    names.collect()
}

/// A server with one accepted and two refused logins behind it, and the session of the first.
fn busy_server() -> (Issuer, Server, Session) {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).preload().start();
    // Above the other: exporters have no tokens.
    let line = rig::oauth_line(issuer.url(), "");
    server.set_hba(&["host all monitor 127.0.0.1/32 trust", &line]);
    server.reload();
    server.sql("CREATE EXTENSION validator; CREATE ROLE monitor LOGIN IN ROLE pg_monitor");
    let session = server.admits("alice", &issuer.token("alice").encode());
    for _ in 0..2 {
        let other = issuer.token("alice").claim("aud", "api://other").encode();
        server.refuses("alice", &other, "aud_mismatch");
    }
    (issuer, server, session)
}

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
    let query = queries()
        .into_iter()
        .find(|query| query.name == "validator_keys");
    server.sql(&format!(
        "CREATE VIEW public.k AS {}",
        query.expect("a query").sql
    ));
    let refresh = |server: &Server| {
        server.sql(&format!(
            "DO $$BEGIN PERFORM validator.refresh_keys('{}'); EXCEPTION WHEN OTHERS THEN END$$",
            issuer.url()
        ));
        server.value("SELECT failing FROM k")
    };
    issuer.go_down();
    assert_eq!(refresh(&server), "1");
    issuer.come_up();
    assert_eq!(refresh(&server), "0");
}

#[test]
fn alerts_are_about_metrics_that_there_are() {
    let known = metric_names();
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let document = document(ALERTS);
    let rules = document["groups"][0]["rules"].as_vec().expect("rules");
    assert_eq!(rules.len(), 3);
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

/// A program that `make test` provides where it can, by the variable that names it.
fn program(variable: &str, what: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).filter(|path| !path.is_empty());
    if path.is_none() {
        skip(&format!("{what} is not available here ({variable})"));
    }
    path.map(PathBuf::from)
}

fn folder() -> &'static Path {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../contrib/monitoring"
    ))
}

#[test]
fn prometheus_takes_the_alerts_and_raises_them_when_it_should() {
    let Some(promtool) = program("PROMTOOL", "promtool") else {
        return;
    };
    for arguments in [
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts.test.yml"],
    ] {
        let output = Command::new(&promtool)
            .args(arguments)
            .current_dir(folder())
            .output()
            .expect("promtool can be run");
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }
}

/// A program that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// All that the exporter says, once it says a thing of ours.
fn scrape(port: u16) -> String {
    let start = Instant::now();
    loop {
        let url = format!("http://127.0.0.1:{port}/metrics");
        let page = Browser::new().request("GET", &url, "");
        let page = page.map_or_else(|_| String::new(), |page| page.text);
        if page.contains("\nvalidator_sessions_open{") {
            return page;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{page}");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn postgres_exporter_serves_the_metrics() {
    let Some(exporter) = program("POSTGRES_EXPORTER", "postgres_exporter") else {
        return;
    };
    let (issuer, server, _session) = busy_server();
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        listener.local_addr().expect("an address").port()
    };
    let mut command = Command::new(exporter);
    command
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .args(["--disable-default-metrics", "--disable-settings-metrics"])
        .arg("--extend.query-path")
        .arg(folder().join("postgres_exporter.yml"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .env(
            "DATA_SOURCE_NAME",
            format!(
                "postgresql://monitor@127.0.0.1:{}/postgres?sslmode=disable",
                server.port()
            ),
        );
    let _running = Running(command.spawn().expect("postgres_exporter can be started"));
    let page = scrape(port);
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
