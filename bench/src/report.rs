//! What is printed of a run: the tables of docs/performance.md, and what is said in words there.

use crate::judgement::Judgement;
use crate::markdown::table;
use crate::results::{Measured, Results};
use crate::rows::{Mode, short_name};

/// All of it.
pub fn report(results: &Results) -> String {
    let mut parts = vec![costs(results), times(results)];
    if !results.memory.is_empty() {
        parts.push(memory(results));
    }
    parts.push(cold_starts(results));
    parts.push(judgements(results));
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

/// CPU and page faults of a login.
fn costs(results: &Results) -> String {
    let row = |row: &Measured| {
        let above = results.faults_above_floor(row);
        let [ratio, error, above] = match row.is_floor() {
            true => ["1.00".to_owned(), String::new(), String::new()],
            false => [
                hundredths(row.cpu_ratio_to_floor),
                hundredths(row.cpu_ratio_standard_error),
                above.map(signed).unwrap_or_default(),
            ],
        };
        [
            names(row).to_vec(),
            vec![
                format!("{:.0}", row.cpu_micros),
                ratio,
                error,
                format!("{:.0}", row.minor_faults),
                above,
                row.requests.to_string(),
            ],
        ]
        .concat()
    };
    let head = [
        "row", "loaded", "CPU, µs", "× floor", "±", "faults", "more", "requests",
    ];
    table(&head, &results.logins.iter().map(row).collect::<Vec<_>>())
}

/// How long logins took, by the number of clients.
fn times(results: &Results) -> String {
    let loads = results.logins.first().map_or(&[][..], |row| &row.loads);
    if loads.is_empty() {
        return String::new();
    }
    let mut head = vec!["row".to_owned(), "loaded".to_owned()];
    for load in loads {
        let who = match load.clients {
            1 => "1 client".to_owned(),
            many => many.to_string(),
        };
        head.extend([
            format!("{who}: p50, ms"),
            "p99".to_owned(),
            "per s".to_owned(),
        ]);
    }
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let row = |row: &Measured| {
        let mut cells = names(row).to_vec();
        for load in &row.loads {
            cells.push(format!("{:.1}", load.p50_millis));
            cells.push(format!("{:.1}", load.p99_millis));
            cells.push(format!("{:.0}", load.per_second));
        }
        cells
    };
    table(&head, &results.logins.iter().map(row).collect::<Vec<_>>())
}

fn memory(results: &Results) -> String {
    let rows = results.memory.iter().map(|own| {
        let mut floors = results.memory.iter().filter(|other| other.is_floor());
        let floor = floors.find(|floor| floor.loaded == own.loaded);
        let above = floor.filter(|_| !own.is_floor());
        vec![
            short_name(&own.name).to_owned(),
            own.loaded.name().to_owned(),
            format!("{:.0}", own.pss_kilobytes),
            above.map_or_else(String::new, |floor| {
                signed(own.pss_kilobytes - floor.pss_kilobytes)
            }),
        ]
    });
    let head = ["row", "loaded", "Pss of an idle session, kB", "more"];
    table(&head, &rows.collect::<Vec<_>>())
}

fn cold_starts(results: &Results) -> String {
    let mut text = String::new();
    for cold in &results.cold_starts {
        text += &format!(
            "cold start, {}: {} logins at once in {:.2} s, {} failed; requests to the issuer: \
             {} discovery, {} JWKS, {} other\n",
            cold.mode.name(),
            cold.logins,
            cold.seconds,
            cold.failures,
            cold.discovery_requests,
            cold.jwks_requests,
            cold.other_requests,
        );
        if let Some(failure) = &cold.first_failure {
            text += &format!("    the first failure: {failure}\n");
        }
    }
    text
}

fn judgements(results: &Results) -> String {
    let Some(judgements) = &results.judgements else {
        return "skipped: instructions of a judgement (valgrind is not installed)\n".to_owned();
    };
    let line = |judgement: &Judgement| {
        format!(
            "instructions of a judgement, {}: {}; the first one of a process: {}\n",
            judgement.alg, judgement.further, judgement.first
        )
    };
    judgements.iter().map(line).collect()
}

fn names(row: &Measured) -> [String; 2] {
    let loaded = match row.loaded {
        Mode::BuiltIn => "",
        mode => mode.name(),
    };
    [short_name(&row.name).to_owned(), loaded.to_owned()]
}

/// Two digits; `?` for what so few logins do not tell.
pub fn hundredths(number: Option<f64>) -> String {
    number.map_or_else(|| "?".to_owned(), |number| format!("{number:.2}"))
}

/// With its sign, and none of a zero.
pub fn signed(number: f64) -> String {
    match number.round() {
        0.0 => "0".to_owned(),
        number => format!("{number:+.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;
    use crate::results::tests::{results, row};
    use crate::rows::FLOOR;

    #[test]
    fn tables_are_those_of_the_page() {
        let mut results = results(vec![
            row("trust", Mode::BuiltIn, 521.6, 0.96),
            row(FLOOR, Mode::OnDemand, 549.9, 1.0),
            row("validator RS256", Mode::OnDemand, 649.1, 1.25),
        ]);
        let memory = |name: &str, pss_kilobytes| Memory {
            name: name.to_owned(),
            loaded: Mode::OnDemand,
            sessions: 16,
            pss_kilobytes,
        };
        results.memory = vec![memory(FLOOR, 1000.4), memory("validator RS256", 1400.2)];
        assert_eq!(
            report(&results),
            "| row   | loaded    | CPU, µs | × floor |    ± | faults | more | requests |\n\
             |-------|-----------|--------:|--------:|-----:|-------:|-----:|---------:|\n\
             | trust |           |    4800 |    0.96 | 0.01 |    522 |  -28 |        0 |\n\
             | floor | on demand |    5000 |    1.00 |      |    550 |      |        0 |\n\
             | RS256 | on demand |    6250 |    1.25 | 0.01 |    649 |  +99 |        0 |\n\
             \n\
             | row   | loaded    | 1 client: p50, ms |  p99 | per s |\n\
             |-------|-----------|------------------:|-----:|------:|\n\
             | trust |           |               4.8 |  7.7 |   208 |\n\
             | floor | on demand |               5.0 |  8.0 |   200 |\n\
             | RS256 | on demand |               6.2 | 10.0 |   160 |\n\
             \n\
             | row   | loaded    | Pss of an idle session, kB | more |\n\
             |-------|-----------|---------------------------:|-----:|\n\
             | floor | on demand |                       1000 |      |\n\
             | RS256 | on demand |                       1400 | +400 |\n\
             \n\
             skipped: instructions of a judgement (valgrind is not installed)\n"
        );
    }
}
