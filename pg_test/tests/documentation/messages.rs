//! The messages of PostgreSQL that docs/troubleshooting.md explains.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rig::skip;

use crate::page;

/// The programs and libraries that can say them.
fn speakers() -> Vec<(PathBuf, String)> {
    let pg_config = std::env::var_os("PG_CONFIG").expect("`make test` sets PG_CONFIG");
    let ask = |what: &str| {
        let output = Command::new(&pg_config).arg(what).output();
        let output = output.expect("pg_config can be run");
        PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
    };
    let mut files = vec![ask("--bindir").join("postgres")];
    for folder in [ask("--libdir"), ask("--pkglibdir")] {
        let entries = fs::read_dir(&folder).expect("a folder of PostgreSQL's");
        files.extend(
            entries
                .map(|entry| entry.expect("an entry").path())
                .filter(|path| is_libpq(path)),
        );
    }
    let read = |file: PathBuf| {
        let bytes = fs::read(&file).expect("a file of PostgreSQL's can be read");
        (file, String::from_utf8_lossy(&bytes).into_owned())
    };
    files.into_iter().map(read).collect()
}

fn is_libpq(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("libpq-oauth") || name.starts_with("libpq.so.5.")
}

/// The messages of a section's table: those that it explains, and those that the explanations quote.
fn quoted_in<'a>(page: &'a str, section: &str) -> Vec<&'a str> {
    let (_, section) = page
        .split_once(&format!("\n## {section}\n"))
        .unwrap_or_else(|| panic!("no section {section}"));
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    // The third column says what to do.
    rows.flat_map(|row| row.split('|').skip(1).take(2))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .filter(|quoted| quoted.contains(' '))
        .collect()
}

#[test]
fn every_message_is_one_of_postgresqls() {
    let pages = page::all();
    let page = pages
        .iter()
        .find(|page| page.path.ends_with("docs/troubleshooting.md"));
    let page = &page.expect("the page").text;
    let mut messages = quoted_in(page, "What the client says");
    messages.extend(quoted_in(page, "What PostgreSQL's log says"));
    assert!(messages.len() > 20, "{messages:?}");
    let speakers = speakers();
    let has_device_flow = speakers
        .iter()
        .any(|(file, _)| file.to_string_lossy().contains("libpq-oauth"));
    if !has_device_flow {
        return skip("libpq-oauth, whose messages are compared, is not installed");
    }
    for message in messages {
        // Where something varies the format has a directive.
        let said = speakers.iter().any(|(_, text)| {
            let mut parts = message.split('…');
            parts.all(|part| text.contains(part.trim_end()))
        });
        assert!(said, "nobody says: {message}");
    }
}
