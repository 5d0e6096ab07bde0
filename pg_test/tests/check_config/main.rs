//! `validator.check_config()`: finds what is wrong with a configuration, says where, and says nothing where nothing is.

mod introspection;
mod line;
mod maps;
mod order;
mod profiles;
mod provider;
mod provisioning;
mod server;
mod settings;

use rig::{Authority, Issuer, Server, ServerBuilder};

/// A row of its answer.
#[derive(Debug)]
struct Found {
    severity: String,
    file: String,
    line: String,
    code: String,
    detail: String,
    advice: String,
}

/// A line of pg_hba.conf as it should be.
fn good_line(issuer: &str) -> String {
    line("hostssl", issuer, Issuer::SCOPE, "")
}

/// The same, for clients that the first one does not match.
fn second_line(issuer: &str) -> String {
    good_line(issuer).replacen("10.0.0.0/8", "192.168.0.0/16", 1)
}

fn line(kind: &str, issuer: &str, scope: &str, options: &str) -> String {
    format!(
        "{kind} all all 10.0.0.0/8 oauth issuer=\"{issuer}\" scope=\"{scope}\" validator=validator {options}"
    )
}

/// A server with whose configuration nothing is wrong, if its lines of pg_hba.conf are right.
fn clinic() -> ServerBuilder {
    let authority = Authority::shared().file().display().to_string();
    Server::builder()
        .preload()
        .tls()
        .set("validator.audience", Issuer::AUDIENCE)
        .set("validator.ca_file", &authority)
}

/// The same, with a good provider.
fn healthy() -> (Issuer, ServerBuilder) {
    let issuer = Issuer::builder().https().start();
    let builder = clinic().hba(&good_line(issuer.url()));
    (issuer, builder)
}

/// Starts the server and lets the doctor look at it.
#[track_caller]
fn started(builder: ServerBuilder) -> Server {
    let server = builder.start();
    server.sql("CREATE EXTENSION validator");
    server
}

#[track_caller]
fn examine(server: &Server) -> Vec<Found> {
    let rows = server.sql(
        "SELECT severity, hba_file, hba_line, finding, detail, advice FROM validator.check_config()",
    );
    let rows = rows.into_iter().map(|row| {
        let mut values = row.into_iter().map(Option::unwrap_or_default);
        let mut next = || values.next().expect("six columns");
        Found {
            severity: next(),
            file: next(),
            line: next(),
            code: next(),
            detail: next(),
            advice: next(),
        }
    });
    rows.collect()
}

/// Fails if the doctor finds anything else, or in another order; returns the findings.
#[track_caller]
fn assert_findings(server: &Server, expected: &[&str]) -> Vec<Found> {
    let found = examine(server);
    let codes: Vec<String> = found
        .iter()
        .map(|row| format!("{} {}", row.severity, row.code))
        .collect();
    assert_eq!(codes, expected, "{found:#?}");
    for row in &found {
        assert!(row.detail.ends_with('.'), "a sentence: {row:?}");
        assert_eq!(row.advice.is_empty(), row.code == "ok", "{row:?}");
        assert_eq!(row.file.is_empty(), row.line.is_empty(), "{row:?}");
    }
    found
}

/// The detail of the only finding.
#[track_caller]
fn only_detail(server: &Server, expected: &str) -> String {
    let found = assert_findings(server, &[expected]);
    found.into_iter().map(|row| row.detail).collect()
}

#[test]
fn finds_nothing_where_nothing_is_wrong() {
    let (issuer, builder) = healthy();
    let server = started(builder);
    let found = assert_findings(&server, &["ok ok"]);
    assert!(found[0].file.ends_with("/pg_hba.conf"), "{found:?}");
    // Two lines let the rig in.
    assert_eq!(found[0].line, "3");
    assert!(found[0].detail.contains(issuer.url()), "{found:?}");
    for part in [
        "usable keys: 1",
        "Examined: the line, the lines before it, its settings and maps, the provider's metadata and keys.",
        "No token was tried: see validator.check_token() and validator.try_login().",
    ] {
        assert!(found[0].detail.contains(part), "{part}: {found:?}");
    }
}

#[test]
fn every_line_has_its_row_with_file_and_line() {
    let (issuer, builder) = healthy();
    let server = started(builder);
    std::fs::write(
        server.data_folder().join("more.conf"),
        format!("\n\n{}\n", line("host", issuer.url(), Issuer::SCOPE, "")),
    )
    .expect("a file can be written");
    server.set_hba(&[
        "host all all 10.0.0.1/32 trust",
        &good_line(issuer.url()),
        "include more.conf",
    ]);
    server.reload();
    let found = assert_findings(&server, &["ok ok", "notice tls_not_required"]);
    assert!(found[0].file.ends_with("/pg_hba.conf"), "{found:?}");
    assert_eq!(found[0].line, "4");
    assert!(found[1].file.ends_with("/more.conf"), "{found:?}");
    assert_eq!(found[1].line, "3");
    // One provider, asked once.
    assert_eq!(issuer.hits(rig::Endpoint::Jwks), 1);
}

#[test]
fn it_is_for_superusers_and_whom_they_grant_it_to() {
    let (_issuer, builder) = healthy();
    let server = started(builder.hba("host all alice 127.0.0.1/32 trust"));
    server.sql("GRANT pg_monitor TO alice");
    let mut alice = rig::Login::new(&server, "alice").run().session();
    let check = "SELECT finding FROM validator.check_config()";
    let denied = alice.query(check).expect_err("not granted");
    assert_eq!(denied.code(), "42501");
    server.sql("GRANT EXECUTE ON FUNCTION validator.check_config() TO alice");
    assert_eq!(alice.value(check), "ok");
    // With its owner's rights, but for its own purpose only.
    alice
        .query("SELECT * FROM pg_hba_file_rules")
        .expect_err("alice may not read it");
}

#[test]
fn it_works_on_a_standby() {
    let (_issuer, builder) = healthy();
    let server = started(builder.set("wal_level", "replica"));
    let standby = server.standby();
    assert_findings(&standby, &["ok ok"]);
}

#[test]
fn it_changes_nothing_that_logins_go_by() {
    let (issuer, builder) = healthy();
    let server = started(builder);
    examine(&server);
    examine(&server);
    // Always asked: what is cached does not matter, and nothing is cached by it.
    assert_eq!(issuer.hits(rig::Endpoint::Jwks), 2);
}

#[test]
fn every_finding_is_in_the_manual() {
    let code = include_str!("../../../src/doctor/finding.rs");
    let manual = include_str!("../../../docs/troubleshooting.md");
    let (_, section) = manual
        .split_once("\n## What check_config finds\n")
        .expect("a section");
    let section = section.split("\n## ").next().unwrap_or_default();
    // As the table in the code has them: NAME = "code", Severity,
    let mut in_code: Vec<&str> = code
        .lines()
        .filter_map(|line| line.trim().split_once(" = \"")?.1.split_once("\", "))
        .map(|(code, _)| code)
        .filter(|code| *code != "ok")
        .chain(OF_LOGINS)
        .collect();
    let mut in_manual: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(code, _)| code)
        .collect();
    assert!(in_code.len() > 15, "{in_code:?}");
    for codes in [&mut in_code, &mut in_manual] {
        codes.sort_unstable();
        codes.dedup();
    }
    assert_eq!(in_code, in_manual);
}

/// Findings under the code that a login would be refused with.
const OF_LOGINS: [&str; 15] = [
    "active_malformed",
    "audience_unset",
    "disabled",
    "introspection_forbidden",
    "introspection_unauthorized",
    "issuer_invalid",
    "issuer_mismatch",
    "issuer_unset",
    "no_usable_key",
    "pam_service_other",
    "provider_unavailable",
    "required_claims_unset",
    "role_claim_unset",
    "server_resources",
    "tls_no_authorities",
];
