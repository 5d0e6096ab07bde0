//! The fenced blocks: what each is can be told from its first line, and what a machine can check of it is checked.

use std::fs;

use rig::{Server, reasons};

use crate::page::{self, Block, Page};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// A part of postgresql.conf.
    Settings,
    /// A part of pg_hba.conf.
    Hba,
    /// A part of pg_ident.conf.
    Ident,
    Sql,
    /// What somebody types.
    Shell,
    /// A part of the server's log.
    Log,
    /// For another program.
    Foreign,
}

/// Commands that need what only their reader has: a provider, an account, root.
const NOT_HERE: [&str; 8] = [
    "openssl",
    "curl",
    "spire-agent",
    "PGHOST=/var/run/postgresql",
    "apt-get",
    "sha256sum",
    "skopeo",
    "kubectl",
];

fn kind(block: &Block) -> Option<Kind> {
    let first = block
        .text
        .lines()
        .find(|line| !line.starts_with(['#', ' ']))?;
    let word = first.split_whitespace().next()?;
    let is_name = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_lowercase() || b"_.".contains(&b))
    };
    match block.language.as_str() {
        "sql" => return Some(Kind::Sql),
        "sh" => return Some(Kind::Shell),
        "" => {}
        _ => return Some(Kind::Foreign),
    }
    Some(match word {
        "local" | "host" | "hostssl" | "hostnossl" | "include" => Kind::Hba,
        "LOG:" | "WARNING:" => Kind::Log,
        "make" | "psql" => Kind::Shell,
        _ if NOT_HERE.contains(&word) => Kind::Shell,
        _ if first
            .split_once(" = ")
            .is_some_and(|(name, _)| is_name(name)) =>
        {
            Kind::Settings
        }
        _ if word.len() > 2 && word.bytes().all(|b| b.is_ascii_uppercase()) => Kind::Sql,
        _ if is_name(&word.replace(|c: char| c.is_ascii_digit(), "")) && first.contains("  ") => {
            Kind::Ident
        }
        _ => return None,
    })
}

/// The pages that tell people what to type.
fn manual() -> Vec<Page> {
    let is_manual = |page: &Page| page.path.starts_with("docs") || page.path.ends_with("README.md");
    page::all().into_iter().filter(is_manual).collect()
}

fn blocks(wanted: Kind) -> Vec<Block> {
    let blocks = manual().into_iter().flat_map(|page| page.blocks());
    blocks.filter(|block| kind(block) == Some(wanted)).collect()
}

#[test]
fn every_block_is_of_a_kind_that_is_known() {
    for block in manual().iter().flat_map(Page::blocks) {
        assert!(
            kind(&block).is_some(),
            "{}: name its language behind the fence:\n{}",
            block.place,
            block.text
        );
    }
}

#[test]
fn settings_are_taken_by_a_server() {
    let server = Server::builder()
        .preload()
        .set("include_if_exists", "block.conf")
        .start();
    server.sql("CREATE EXTENSION validator");
    let blocks = blocks(Kind::Settings);
    assert!(blocks.len() > 15, "{}", blocks.len());
    let file = server.data_folder().join("block.conf");
    for block in blocks {
        fs::write(&file, &block.text).expect("a file");
        let refused =
            server.sql("SELECT name, error FROM pg_file_settings WHERE error IS NOT NULL");
        assert!(
            refused.is_empty(),
            "{}: {refused:?}\n{}",
            block.place,
            block.text
        );
        // Names of profiles exist once the server has read the file; it must find the module, though.
        let lines = block.text.lines().filter(|line| !line.contains("_path = "));
        fs::write(&file, lines.collect::<Vec<_>>().join("\n")).expect("a file");
        server.reload();
        let wrong = server.sql(
            "SELECT finding, detail FROM validator.check_config() \
             WHERE finding IN ('setting_invalid', 'setting_unknown', 'profile_unknown')",
        );
        assert!(
            wrong.is_empty(),
            "{}: {wrong:?}\n{}",
            block.place,
            block.text
        );
    }
}

/// Fails unless the view reads each line of the blocks from a file of this name without an error.
fn assert_lines_are_read(server: &Server, file: &str, view: &str, blocks: Vec<Block>) {
    assert!(blocks.len() > 10, "{}", blocks.len());
    for block in blocks {
        fs::write(server.data_folder().join(file), &block.text).expect("a file");
        let lines = block.text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let rows = server.sql(&format!(
            "SELECT line_number, error FROM {view} WHERE file_name LIKE '%/{file}'"
        ));
        assert_eq!(rows.len(), lines.count(), "{}: {rows:?}", block.place);
        assert!(
            rows.iter().all(|row| row[1].is_none()),
            "{}: {rows:?}\n{}",
            block.place,
            block.text
        );
    }
}

#[test]
fn lines_of_pg_hba_are_read_by_a_server() {
    let server = Server::builder().tls().start();
    server.set_hba(&["include_if_exists block_hba.conf"]);
    server.reload();
    let mut blocks = blocks(Kind::Hba);
    if server.value("SELECT current_setting('server_version_num')::int < 190000") == "t" {
        // Settings on a line are for PostgreSQL 19.
        blocks.retain(|block| !block.text.contains(" validator."));
    }
    assert_lines_are_read(&server, "block_hba.conf", "pg_hba_file_rules", blocks);
}

#[test]
fn lines_of_pg_ident_are_read_by_a_server() {
    let server = Server::builder().start();
    server.set_ident(&["include_if_exists block_ident.conf"]);
    server.reload();
    assert_lines_are_read(
        &server,
        "block_ident.conf",
        "pg_ident_file_mappings",
        blocks(Kind::Ident),
    );
}

/// What the reader of a page has before its first statement.
const AT_HAND: &str = "CREATE EXTENSION validator; CREATE TABLE note (owner text, body text); CREATE ROLE app; \
    CREATE ROLE analysts; CREATE ROLE auditors";

#[test]
fn statements_run() {
    let mut run = 0;
    for page in manual() {
        let blocks: Vec<Block> = page
            .blocks()
            .into_iter()
            .filter(|block| kind(block) == Some(Kind::Sql))
            .collect();
        if blocks.is_empty() {
            continue;
        }
        let server = Server::builder()
            .preload()
            .set("validator.provision_role", "validator_manager")
            .start();
        server.sql(AT_HAND);
        for block in blocks {
            run_by_psql(&server, &block);
            run += 1;
        }
    }
    assert!(run > 4, "{run}");
}

/// As the reader does.
#[track_caller]
fn run_by_psql(server: &Server, block: &Block) {
    let script = server.private_file("script.sql", &block.text);
    let ended = server.psql_script(&script);
    assert!(
        ended.status.success(),
        "{}: {}\n{}",
        block.place,
        ended.stderr,
        block.text
    );
}

#[test]
fn commands_are_ones_that_there_are() {
    let makefile = fs::read_to_string(page::root().join("Makefile")).expect("a Makefile");
    let server = Server::builder().start();
    let mut checked = 0;
    for block in blocks(Kind::Shell) {
        for line in block.text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("make") => {
                    let target = words.find(|word| !word.contains('=')).unwrap_or("help");
                    assert!(
                        makefile.contains(&format!("\n{target}:")),
                        "{}: {line}",
                        block.place
                    );
                }
                Some("psql") => {
                    let conninfo = line.split('"').nth(1).unwrap_or_default();
                    let mut psql = server.psql_command();
                    // It would connect to nobody, once it has understood everything.
                    psql.arg(format!("{conninfo} host=127.0.0.1 port=1"));
                    let output = psql.output().expect("psql can be run");
                    let said = String::from_utf8_lossy(&output.stderr);
                    assert!(
                        said.contains("Connection refused"),
                        "{}: {said}",
                        block.place
                    );
                }
                _ => continue,
            }
            checked += 1;
        }
    }
    assert!(checked > 8, "{checked}");
}

#[test]
fn log_entries_have_reasons_that_there_are() {
    let blocks = blocks(Kind::Log);
    assert!(!blocks.is_empty());
    for block in blocks {
        for reason in reasons(&block.text) {
            // The log of a session that ends is another entry.
            let is_known = oauth_core::Reject::CODES.contains(&reason)
                || ["session_expired", "session_revoked"].contains(&reason);
            assert!(is_known, "{}: {reason}", block.place);
        }
    }
}
