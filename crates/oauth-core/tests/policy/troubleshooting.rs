//! The manual's page on refusals has every code that the code has, and no other.

use oauth_core::{Misconfigured, ProvisioningCause, Reject, Unavailable};

const PAGE: &str = include_str!("../../../../docs/troubleshooting.md");

const ROLES: &str = include_str!("../../../../docs/roles.md");

/// The codes in the first column of all tables of the page's section on reasons whose head is `column`.
fn codes_of_tables(column: &str) -> Vec<&'static str> {
    codes_of_section(PAGE, "Reasons in the log", column)
}

/// The same for the rest of a page below this heading.
fn codes_of_section(page: &'static str, heading: &str, column: &str) -> Vec<&'static str> {
    let (_, section) = page
        .split_once(&format!("\n## {heading}\n"))
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

#[test]
fn every_cause_of_a_role_that_is_not_provisioned_is_explained_once() {
    assert_same(
        codes_of_section(ROLES, "When a login is refused", "cause"),
        ProvisioningCause::CODES.to_vec(),
    );
}
