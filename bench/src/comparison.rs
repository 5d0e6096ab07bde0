//! Two runs, row by row. Page faults are compared as they are; CPU and times as multiples of the floor's in the same run,
//! because they are longer on a machine that does something else as well.

use crate::markdown::table;
use crate::results::{Measured, Results};
use crate::rows::short_name;

/// What a row is compared by: its name, how it is read from a row and the floor of that, and digits to show.
type Column = (&'static str, fn(&Measured, &Measured) -> Option<f64>, usize);

const COLUMNS: [Column; 4] = [
    ("faults", |row, _| Some(row.minor_faults), 1),
    ("CPU × floor", |row, _| row.cpu_ratio_to_floor, 2),
    (
        "p50 × floor",
        |row, floor| Some(row.p50_millis / floor.p50_millis),
        2,
    ),
    (
        "p99 × floor",
        |row, floor| Some(row.p99_millis / floor.p99_millis),
        2,
    ),
];

/// A table of the rows that both runs have, and the names of the others.
pub fn compare(old: &Results, new: &Results) -> String {
    let mut head = vec!["row", "loaded"];
    for (name, ..) in COLUMNS {
        head.extend([name, "new", "ratio"]);
    }
    let mut rows = Vec::new();
    for row in &new.logins {
        let Some(before) = find(old, row) else {
            continue;
        };
        let mut cells = vec![
            short_name(&row.name).to_owned(),
            row.loaded.name().to_owned(),
        ];
        for (_, value, digits) in COLUMNS {
            let value = |results: &Results, row: &Measured| {
                let floor = results.floor(row.loaded)?;
                value(row, floor).filter(|value| value.is_finite())
            };
            cells.extend(compared(value(old, before), value(new, row), digits));
        }
        rows.push(cells);
    }
    let name = |results: &Results| {
        let commit = results.commit.as_deref().unwrap_or("an unknown commit");
        commit.to_owned()
    };
    let (old_name, new_name) = (name(old), name(new));
    format!(
        "{old_name}, and then (\"new\") {new_name}:\n\n{}{}{}",
        table(&head, &rows),
        missing(old, new, "only in the old run"),
        missing(new, old, "only in the new run"),
    )
}

/// The old value, the new one, and how many times the old one that is.
fn compared(old: Option<f64>, new: Option<f64>, digits: usize) -> [String; 3] {
    let show =
        |value: Option<f64>| value.map_or("?".to_owned(), |value| format!("{value:.digits$}"));
    let ratio = old.zip(new).filter(|(old, _)| *old != 0.0);
    let ratio = ratio.map_or("?".to_owned(), |(old, new)| format!("{:.3}", new / old));
    [show(old), show(new), ratio]
}

/// The rows of one run that another one does not have.
fn missing(of: &Results, other: &Results, what: &str) -> String {
    let rows = of.logins.iter().filter(|row| find(other, row).is_none());
    let names = rows.map(|row| format!("{}, {}", short_name(&row.name), row.loaded.name()));
    let names: Vec<String> = names.collect();
    match names.is_empty() {
        true => String::new(),
        false => format!("{what}: {}\n", names.join("; ")),
    }
}

fn find<'a>(results: &'a Results, wanted: &Measured) -> Option<&'a Measured> {
    let mut rows = results.logins.iter();
    rows.find(|row| row.name == wanted.name && row.loaded == wanted.loaded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::{results, row};
    use crate::rows::{FLOOR, Mode};

    #[test]
    fn rows_of_both_runs_are_compared_and_the_others_named() {
        let old = Results {
            commit: Some("aaaa".to_owned()),
            ..results(vec![
                row(FLOOR, Mode::OnDemand, 550.0, 1.0),
                row("validator RS256", Mode::OnDemand, 650.0, 1.25),
                row("validator ES256", Mode::OnDemand, 640.0, 1.25),
            ])
        };
        let mut new = results(vec![
            row(FLOOR, Mode::OnDemand, 550.0, 1.0),
            row(FLOOR, Mode::Preloaded, 540.0, 1.0),
            row("validator RS256", Mode::OnDemand, 637.0, 1.0),
            row("validator RS256", Mode::Preloaded, 594.0, 1.1),
        ]);
        // A machine that is half as fast: the floor, too, takes twice the time.
        for row in &mut new.logins {
            row.p50_millis *= 2.0;
            row.p99_millis *= 2.0;
        }
        let text = compare(&old, &new);
        let mut lines = text.lines();
        assert_eq!(
            lines.next(),
            Some("aaaa, and then (\"new\") an unknown commit:")
        );
        let line = lines.find(|line| line.contains("RS256")).unwrap();
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        assert_eq!(
            cells[1..15],
            [
                "RS256",
                "on demand",
                "650.0",
                "637.0",
                "0.980",
                "1.25",
                "1.00",
                "0.800",
                "1.25",
                "1.00",
                "0.800",
                "1.25",
                "1.00",
                "0.800"
            ]
        );
        assert_eq!(lines.next(), Some("only in the old run: ES256, on demand"));
        assert_eq!(
            lines.next(),
            Some("only in the new run: floor, preloaded; RS256, preloaded")
        );
        assert_eq!(lines.next(), None);
    }

    #[test]
    fn value_that_one_run_cannot_tell_is_left_open() {
        let old = results(vec![row("validator RS256", Mode::OnDemand, 650.0, 1.25)]);
        let new = results(vec![
            row(FLOOR, Mode::OnDemand, 550.0, 1.0),
            row("validator RS256", Mode::OnDemand, 637.0, 1.0),
        ]);
        let text = compare(&old, &new);
        let line = text.lines().find(|line| line.contains("RS256")).unwrap();
        assert!(line.contains("? |"), "{line}");
        assert_eq!(
            compared(Some(0.0), Some(3.0), 1),
            ["0.0", "3.0", "?"].map(str::to_owned)
        );
    }
}
