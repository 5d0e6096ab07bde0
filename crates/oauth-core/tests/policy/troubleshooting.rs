//! The manual's page on refusals has every code that the code has, and no other.

use oauth_core::{Misconfigured, Reject, Unavailable};

const PAGE: &str = include_str!("../../../../docs/troubleshooting.md");

/// The codes in the first column of all tables below `heading` whose head is `column`.
fn codes_of_tables(column: &str) -> Vec<&'static str> {
    let (_, section) = PAGE
        .split_once("\n## Reasons in the log\n")
        .expect("a section about reasons");
    let mut in_table = false;
    let mut codes = Vec::new();
    for line in section.lines() {
        if let Some(head) = line.strip_prefix("| ").filter(|_| !line.starts_with("| `")) {
            in_table = head.starts_with(&format!("{column} |"));
        } else if in_table && line.starts_with("| `") {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
            assert_eq!(cells.len(), 3, "cause and cure: {line}");
            assert!(cells.iter().all(|cell| cell.trim().len() > 2), "{line}");
            // Several codes may share a row.
            codes.extend(
                cells
                    .iter()
                    .take(1)
                    .flat_map(|cell| cell.split('`').skip(1).step_by(2)),
            );
        }
    }
    codes
}

#[track_caller]
fn assert_same(mut in_page: Vec<&str>, mut in_code: Vec<&str>) {
    in_page.sort_unstable();
    in_code.sort_unstable();
    assert_eq!(in_page, in_code);
}

#[test]
fn every_reason_is_explained_once() {
    let of_others = ["provider_unavailable", "internal_error"];
    let in_code = Reject::CODES.iter().chain(Misconfigured::CODES);
    assert_same(
        codes_of_tables("reason"),
        in_code.copied().chain(of_others).collect(),
    );
}

#[test]
fn every_cause_of_an_unavailable_provider_is_explained_once() {
    assert_same(codes_of_tables("cause"), Unavailable::CAUSES.to_vec());
}
