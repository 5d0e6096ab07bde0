//! The lines of programs that docs/password-clients.md shows are lines of programs that the suite `drivers` runs.

use std::fs;
use std::path::PathBuf;

use crate::page;

/// The languages of those programs; what is shown in others is not run.
const LANGUAGES: [&str; 4] = ["java", "js", "python", "rust"];

/// All programs, by their folders.
fn programs() -> Vec<(PathBuf, String)> {
    let root = page::root().join("pg_test/tests/drivers");
    let mut programs = Vec::new();
    for folder in ["java", "node", "python", "rust/src"] {
        let entries = fs::read_dir(root.join(folder)).expect("a folder of programs");
        for path in entries.map(|entry| entry.expect("an entry").path()) {
            let extension = path.extension().unwrap_or_default();
            if ["java", "mjs", "py", "rs"].iter().any(|e| extension == *e) {
                let text = fs::read_to_string(&path).expect("a program is text");
                programs.push((path, text));
            }
        }
    }
    programs
}

/// Whether lines follow each other in a text, each the same but for its indent.
fn has_lines(text: &str, lines: &[&str]) -> bool {
    let text: Vec<&str> = text.lines().map(str::trim).collect();
    text.windows(lines.len()).any(|window| window == lines)
}

#[test]
fn shown_lines_are_lines_of_programs_that_are_run() {
    let pages = page::all();
    let page = pages
        .iter()
        .find(|page| page.path.ends_with("docs/password-clients.md"))
        .expect("the page");
    let programs = programs();
    let mut shown = Vec::new();
    for block in page.blocks() {
        if !LANGUAGES.contains(&block.language.as_str()) {
            continue;
        }
        let lines: Vec<&str> = block.text.lines().map(str::trim).collect();
        let program = programs.iter().find(|(_, text)| has_lines(text, &lines));
        let (path, _) = program
            .unwrap_or_else(|| panic!("{}: no program has this:\n{}", block.place, block.text));
        shown.push(path.clone());
    }
    assert!(shown.len() > 12, "{shown:?}");
    // Each program is there to be shown, but for what several of them share.
    for (path, _) in &programs {
        let is_shared = path.ends_with("main.rs") || path.ends_with("TokenCommand.java");
        assert!(is_shared || shown.contains(path), "{}", path.display());
    }
}
