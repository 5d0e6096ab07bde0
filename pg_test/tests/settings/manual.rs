//! The tables of docs/configuration.md say of each setting what the server says.

use crate::preloaded;

/// What the manual says of a setting: the columns behind its name.
fn row_of<'a>(manual: &'a str, name: &str) -> (&'a str, &'a str) {
    let begin = format!("| `{name}` | ");
    let mut rows = manual.lines().filter_map(|line| line.strip_prefix(&begin));
    let row = rows.next().unwrap_or_else(|| panic!("no row for {name}"));
    assert_eq!(rows.next(), None, "a second row for {name}");
    row.split_once(" | ").expect("three columns")
}

/// How many of the base unit (ms, s, B) a unit has.
fn factor(base: &str, unit: &str) -> i64 {
    match (base, unit) {
        (_, "") => 1,
        ("ms", "ms") | ("s", "s") | ("B", "B") => 1,
        ("ms", "s") => 1000,
        ("s", "hour") => 3600,
        ("s", "d" | "day" | "days") => 86_400,
        ("B", "kB") => 1024,
        _ => panic!("{unit} of {base}"),
    }
}

/// `5s`, `16 kB`, `1 day`: the number, and its unit, if it has one.
fn number_and_unit(text: &str) -> (i64, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    (number.parse().expect(text), unit.trim())
}

/// `100 ms to 60 s: …`, in base units. A unit that stands once is that of both.
fn range(base: &str, meaning: &str) -> (i64, i64) {
    let (low, rest) = meaning.split_once(" to ").expect(meaning);
    let end = rest.find([':', ';', ',']).unwrap_or(rest.len());
    let (high, high_unit) = number_and_unit(&rest[..end]);
    let (low, low_unit) = number_and_unit(low);
    // Of `16 to 1024 issuers whose …`, what follows is no unit.
    let high_unit = if base.is_empty() { "" } else { high_unit };
    let low_unit = if low_unit.is_empty() {
        high_unit
    } else {
        low_unit
    };
    (low * factor(base, low_unit), high * factor(base, high_unit))
}

#[test]
fn the_manual_names_the_settings_that_a_profile_cannot_have() {
    let manual = include_str!("../../../docs/configuration.md");
    let (_issuer, builder) = preloaded();
    let server = builder.set("validator.profiles", "corp").start();
    let of_server_only = server.sql(
        "SELECT name FROM (SELECT replace(name, 'validator.', '') AS name FROM pg_settings WHERE name LIKE 'validator.%') s \
         WHERE NOT EXISTS (SELECT FROM pg_settings p WHERE p.name = 'validator_corp.' || s.name)",
    );
    let mut of_server_only: Vec<String> = of_server_only.into_iter().flatten().flatten().collect();
    of_server_only.sort();
    let (_, meaning) = row_of(manual, "validator_PROFILE.NAME");
    let named = meaning.split('`').skip(1).step_by(2);
    let mut named: Vec<String> = named
        .flat_map(|name| match name.split_once('*') {
            Some((begin, end)) => ["min", "max", "stale"]
                .map(|one| format!("{begin}{one}{end}"))
                .to_vec(),
            None => vec![name.to_owned()],
        })
        .collect();
    named.sort();
    assert_eq!(named, of_server_only);
}

#[test]
fn every_setting_is_in_the_manual_with_its_default_and_range() {
    let manual = include_str!("../../../docs/configuration.md");
    let (_issuer, builder) = preloaded();
    let server = builder.start();
    let settings = server.sql(
        "SELECT name, vartype, coalesce(unit, ''), boot_val, coalesce(min_val, '0')::bigint, coalesce(max_val, '0')::bigint \
         FROM pg_settings WHERE name LIKE 'validator.%'",
    );
    assert!(settings.len() > 40, "{}", settings.len());
    for row in settings {
        let row: Vec<String> = row.into_iter().map(Option::unwrap_or_default).collect();
        let [name, kind, unit, default, min, max] = &row[..] else {
            panic!("{row:?}")
        };
        let (written, meaning) = row_of(manual, name);
        let quoted = written
            .strip_prefix('`')
            .and_then(|rest| rest.split_once('`'));
        match (kind.as_str(), quoted) {
            ("integer", Some((written, ""))) => {
                let (number, written_unit) = number_and_unit(written);
                let number = number * factor(unit, written_unit);
                assert_eq!(number.to_string(), *default, "{name}");
                let (low, high) = range(unit, meaning);
                let said = (low.to_string(), high.to_string());
                assert_eq!(said, (min.clone(), max.clone()), "{name}");
            }
            (_, Some((written, ""))) => assert_eq!(written, default, "{name}"),
            // "none", or what the provider or its metadata says.
            (_, _) => assert_eq!(
                default, "",
                "{name} has a default, and the manual says: {written}"
            ),
        }
    }
}
