//! What contrib/monitoring has for Prometheus: its queries on a real server, and its files in the programs that read them.

mod alerts;
mod queries;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rig::{Browser, Issuer, Server, Session, skip};
use yaml_rust2::{Yaml, YamlLoader};

const QUERIES: &str = include_str!("../../../contrib/monitoring/postgres_exporter.yml");
const COLLECTOR: &str = include_str!("../../../contrib/monitoring/sql_exporter.collector.yml");

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

/// A server with a session whose provider has failed since, and whose cached keys are stale. How long they are used depends
/// on `validator.jwks_stale_ttl` alone.
fn outage() -> (Issuer, Server, Session) {
    let issuer = Issuer::builder().start();
    let line = rig::oauth_line(issuer.url(), "");
    let server = Server::trusting(&issuer)
        .set("validator.jwks_min_ttl", "1s")
        .set("validator.jwks_max_ttl", "1s")
        .set("validator.jwks_stale_ttl", "1h")
        .start();
    server.set_hba(&["host all monitor 127.0.0.1/32 trust", &line]);
    server.reload();
    server.sql("CREATE EXTENSION validator; CREATE ROLE monitor LOGIN IN ROLE pg_monitor");
    let session = server.admits("alice", &issuer.token("alice").encode());
    issuer.go_down();
    thread::sleep(Duration::from_millis(1100));
    refresh_keys(&server, &issuer);
    (issuer, server, session)
}

/// Makes a view `k` of a query.
fn create_view(server: &Server, name: &str) {
    let query = queries().into_iter().find(|query| query.name == name);
    let sql = query.expect("a query").sql;
    server.sql(&format!("CREATE VIEW public.k AS {sql}"));
}

fn refresh_keys(server: &Server, issuer: &Issuer) {
    server.sql(&format!(
        "DO $$BEGIN PERFORM validator.refresh_keys('{}'); EXCEPTION WHEN OTHERS THEN END$$",
        issuer.url()
    ));
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

/// A program that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// All that postgres_exporter says of a server, once it says this.
fn exported(exporter: &Path, server: &Server, needle: &str) -> String {
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
    let start = Instant::now();
    loop {
        let url = format!("http://127.0.0.1:{port}/metrics");
        let page = Browser::new().request("GET", &url, "");
        let page = page.map_or_else(|_| String::new(), |page| page.text);
        if page.contains(&format!("\n{needle}")) {
            return page;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{page}");
        thread::sleep(Duration::from_millis(100));
    }
}
