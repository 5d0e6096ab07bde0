//! Which rows a run has.

use std::path::{Path, PathBuf};

use rig::{Key, KeyKind};
use serde::{Deserialize, Serialize};

use crate::scenario::Scenario;

/// One row of the table: what a server is like.
#[derive(Clone)]
pub struct Row {
    pub name: String,
    pub mode: Mode,
    pub kind: Kind,
}

/// When the validator is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// There is no validator.
    #[serde(rename = "built in")]
    BuiltIn,
    /// At each login.
    #[serde(rename = "on demand")]
    OnDemand,
    /// At the server's start.
    #[serde(rename = "preloaded")]
    Preloaded,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Mode::BuiltIn => "built in",
            Mode::OnDemand => "on demand",
            Mode::Preloaded => "preloaded",
        }
    }

    /// Of the accept-all validator that this one is compared to.
    pub fn of_floor(self) -> Mode {
        match self {
            Mode::BuiltIn => Mode::OnDemand,
            mode => mode,
        }
    }
}

/// What lets the client in.
#[derive(Clone)]
pub enum Kind {
    Trust,
    Scram,
    Floor,
    /// The module, with keys of this kind.
    Ours(KeyKind, Scenario),
    /// The module, which asks the provider about the token.
    Introspected(Asked),
    /// Another library, with RSA keys.
    Other(PathBuf),
}

/// Which token the provider is asked about, and when.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Once; then the answer is cached.
    Opaque,
    /// At each login, over TLS, where the system's authorities and one more are trusted.
    OpaqueUncached,
    /// Once; its signature is verified, too.
    Jwt,
}

/// The accept-all validator's name.
pub const FLOOR: &str = "floor";

/// A row's name as a page shows it: nearly all rows are of this module.
pub fn short_name(name: &str) -> &str {
    name.strip_prefix("validator ").unwrap_or(name)
}

/// Rows that are measured together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// What a login costs, by the kind of token.
    Tokens,
    /// What it costs where there is much of something.
    Scale,
}

impl Group {
    /// All rows of the group: the floors, those of this module, and one in each mode for each of the libraries in `compare`.
    /// `only` selects rows by words of their names; floors and other libraries, which are named to be measured, are always
    /// among them.
    pub fn rows(self, compare: &[PathBuf], only: &[String]) -> Vec<Row> {
        let mut rows = Vec::new();
        if self == Group::Tokens {
            rows.push(row("trust", Mode::BuiltIn, Kind::Trust));
            rows.push(row("scram-sha-256", Mode::BuiltIn, Kind::Scram));
        }
        for mode in [Mode::OnDemand, Mode::Preloaded] {
            rows.push(row(FLOOR, mode, Kind::Floor));
            match self {
                Group::Tokens => rows.extend(tokens(mode)),
                Group::Scale => rows.extend(scale(mode)),
            }
            let other = |library: &PathBuf| {
                let name = library.display().to_string();
                row(&name, mode, Kind::Other(library.clone()))
            };
            rows.extend(compare.iter().map(other));
        }
        rows.retain(|row| row.is_chosen(only));
        rows
    }

    /// Where the results go.
    pub fn file(self) -> &'static Path {
        Path::new(match self {
            Group::Tokens => "target/bench.json",
            Group::Scale => "target/bench-scale.json",
        })
    }
}

impl Row {
    /// The module with RS256, as most providers sign.
    pub fn rs256(mode: Mode) -> Row {
        signed(KeyKind::Rsa, mode)
    }

    pub fn floor(mode: Mode) -> Row {
        row(FLOOR, mode, Kind::Floor)
    }

    fn is_chosen(&self, only: &[String]) -> bool {
        let name = format!("{} {}", self.name, self.mode.name());
        matches!(self.kind, Kind::Floor | Kind::Other(_))
            || only.is_empty()
            || only.iter().any(|word| name.contains(word))
    }
}

fn row(name: &str, mode: Mode, kind: Kind) -> Row {
    Row {
        name: name.to_owned(),
        mode,
        kind,
    }
}

fn signed(key: KeyKind, mode: Mode) -> Row {
    let alg = Key::new(key).default_alg().name();
    let kind = Kind::Ours(key, Scenario::Plain);
    row(&format!("validator {alg}"), mode, kind)
}

fn tokens(mode: Mode) -> impl Iterator<Item = Row> {
    let keys = [KeyKind::Rsa, KeyKind::P256, KeyKind::Ed25519];
    let asked = [
        ("validator opaque", Asked::Opaque),
        ("validator opaque uncached", Asked::OpaqueUncached),
        ("validator RS256 asked", Asked::Jwt),
    ];
    let asked = asked.map(|(name, asked)| row(name, mode, Kind::Introspected(asked)));
    let mapped = Scenario::Map;
    let mapped = row(
        &format!("validator {}", mapped.name()),
        mode,
        Kind::Ours(KeyKind::Rsa, mapped),
    );
    let signed = keys.map(|key| signed(key, mode)).into_iter();
    signed.chain([mapped]).chain(asked)
}

/// The first is what the others are compared to: one issuer with one key, a small token, no profile, and sessions without
/// an end. On demand there are the largest of each kind only.
fn scale(mode: Mode) -> impl Iterator<Item = Row> {
    let scenarios = [
        Scenario::Issuers(16),
        Scenario::Issuers(128),
        Scenario::Keys(32),
        Scenario::Keys(128),
        Scenario::Claims(1),
        Scenario::Claims(12),
        Scenario::Profiles(64),
        Scenario::SessionExpiry,
    ];
    let few = [
        Scenario::Issuers(16),
        Scenario::Keys(32),
        Scenario::Claims(1),
    ];
    let scenarios = scenarios
        .into_iter()
        .filter(move |scenario| mode == Mode::Preloaded || !few.contains(scenario));
    let scenarios = scenarios.map(move |scenario| {
        let name = format!("validator {}", scenario.name());
        row(&name, mode, Kind::Ours(KeyKind::Rsa, scenario))
    });
    [KeyKind::Rsa, KeyKind::P521]
        .map(|key| signed(key, mode))
        .into_iter()
        .chain(scenarios)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(group: Group, compare: &[&str], only: &[&str]) -> Vec<String> {
        let compare: Vec<PathBuf> = compare.iter().map(PathBuf::from).collect();
        let only: Vec<String> = only.iter().map(|word| (*word).to_owned()).collect();
        let rows = group.rows(&compare, &only).into_iter();
        rows.map(|row| format!("{}, {}", row.name, row.mode.name()))
            .collect()
    }

    #[test]
    fn words_choose_rows_and_floors_always_remain() {
        assert_eq!(
            names(Group::Tokens, &[], &["ES256 on demand", "trust"]),
            [
                "trust, built in",
                "floor, on demand",
                "validator ES256, on demand",
                "floor, preloaded",
            ]
        );
    }

    #[test]
    fn other_libraries_remain_when_words_choose_rows() {
        assert_eq!(
            names(Group::Tokens, &["/old/validator.so"], &["EdDSA preloaded"]),
            [
                "floor, on demand",
                "/old/validator.so, on demand",
                "floor, preloaded",
                "validator EdDSA, preloaded",
                "/old/validator.so, preloaded",
            ]
        );
    }

    #[test]
    fn no_two_rows_of_a_group_have_the_same_name_and_mode() {
        for group in [Group::Tokens, Group::Scale] {
            let mut rows = names(group, &["/a.so", "/b.so"], &[]);
            let count = rows.len();
            rows.sort();
            rows.dedup();
            assert_eq!(rows.len(), count);
        }
    }

    #[test]
    fn scale_has_the_largest_of_each_kind_in_both_modes() {
        let rows = names(Group::Scale, &[], &[]);
        for name in [
            "128 issuers",
            "128 keys",
            "12 kB of claims",
            "64 profiles",
            "session_expiry",
            "ES512",
        ] {
            for mode in ["on demand", "preloaded"] {
                assert!(
                    rows.contains(&format!("validator {name}, {mode}")),
                    "{name}"
                );
            }
        }
        assert!(!rows.contains(&"validator 16 issuers, on demand".to_owned()));
        assert!(rows.contains(&"validator 16 issuers, preloaded".to_owned()));
    }
}
