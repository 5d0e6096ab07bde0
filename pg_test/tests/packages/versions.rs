//! What a release must say of itself, in files that no tool compares.

use std::fs;
use std::path::Path;

use crate::VERSION;

/// Each `MAJOR.MINOR.PATCH` that stands behind one of these words.
fn versions_after(text: &str, words: &[&str]) -> Vec<String> {
    let after = words.iter().flat_map(|word| text.split(word).skip(1));
    let version = |rest: &str| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        rest[..end.unwrap_or(rest.len())]
            .trim_end_matches('.')
            .to_owned()
    };
    after
        .map(version)
        .filter(|version| version.split('.').filter(|part| !part.is_empty()).count() == 3)
        .collect()
}

#[test]
fn one_version_is_named_everywhere() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |name: &str| fs::read_to_string(source.join(name)).expect(name);
    let workspace = read("Cargo.toml");
    assert!(workspace.contains(&format!("[workspace.package]\nversion = \"{VERSION}\"")));
    let (_, members) = workspace.split_once("members = [").expect("members");
    let (members, _) = members.split_once(']').expect("their end");
    for member in members.split(", ").map(|member| member.trim_matches('"')) {
        let manifest = read(&format!("{member}/Cargo.toml"));
        assert!(
            manifest.contains("\nversion.workspace = true\n"),
            "{member}"
        );
    }

    // A workspace of its own.
    let manifest = read("crates/pam-validator/Cargo.toml");
    let named = format!("name = \"pam-validator\"\nversion = \"{VERSION}\"");
    assert!(manifest.contains(&named));

    let control = read("validator.control");
    assert!(control.contains(&format!("default_version = '{VERSION}'")));
    // The extension can be created at this version, or reach it from an older one.
    let scripts = fs::read_dir(source.join("sql")).expect("a folder");
    let scripts: Vec<_> = scripts
        .map(|script| {
            script
                .expect("a file")
                .file_name()
                .into_string()
                .expect("a name")
        })
        .collect();
    let whole = format!("validator--{VERSION}.sql");
    assert!(scripts.contains(&whole), "{scripts:?}");
    assert!(read(&format!("sql/{whole}")).starts_with(&format!("-- validator {VERSION}:")));

    // PGXN's index has the version twice, and the script's name.
    let index: serde_json::Value = serde_json::from_str(&read("META.json")).expect("JSON");
    let provided = &index["provides"]["validator"];
    assert_eq!(index["version"], VERSION);
    assert_eq!(provided["version"], VERSION);
    assert_eq!(provided["file"], format!("sql/{whole}").as_str());

    let changes = read("CHANGELOG.md");
    let newest = changes
        .lines()
        .filter_map(|line| line.strip_prefix("## ["))
        .find(|line| !line.starts_with("Unreleased]"));
    assert!(
        newest.is_some_and(|line| line.starts_with(&format!("{VERSION}]"))),
        "{newest:?}"
    );

    let mut named = 0;
    for page in ["README.md", "docs/install.md"] {
        let text = read(page);
        let words = ["validator_", "validator-", "validator:", "validator--"];
        for version in versions_after(&text, &words) {
            assert_eq!(version, VERSION, "{page}");
            named += 1;
        }
    }
    assert!(named >= 3, "{named}");
}

/// `cargo pgrx package` makes the extension's script from the code. One of its own would grant every function to everyone.
#[test]
fn cargo_pgrx_takes_the_script_with_the_grants() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src");
    let mut files = vec![source.clone()];
    let mut functions = 0;
    while let Some(file) = files.pop() {
        if file.is_dir() {
            let inside = fs::read_dir(file).expect("a folder");
            files.extend(inside.map(|entry| entry.expect("an entry").path()));
            continue;
        }
        let text = fs::read_to_string(&file).expect("a file");
        for attribute in text.split("#[pg_extern").skip(1) {
            assert!(attribute.starts_with("(sql = false"), "{}", file.display());
            functions += 1;
        }
    }
    assert!(functions > 10, "{functions}");
    let library = fs::read_to_string(source.join("lib.rs")).expect("lib.rs");
    let script = format!("extension_sql_file!(\"../sql/validator--{VERSION}.sql\"");
    assert!(library.contains(&script));
}
