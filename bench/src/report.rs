//! What is printed, and what is written for programs.

use serde_json::{Value, json};

use crate::cold_start::ColdStart;
use crate::judgement::Judgement;
use crate::measure::Measured;
use crate::variant::{Mode, Variant};

/// All results.
pub struct Report<'a> {
    pub variants: &'a [Variant],
    pub measured: &'a [Measured],
    pub clients: usize,
    pub cold_starts: &'a [ColdStart],
    /// `None`: could not be counted.
    pub judgements: Option<&'a [Judgement]>,
}

impl Report<'_> {
    /// The accept-all validator that a variant is compared to: of its own mode.
    fn floor(&self, mode: Mode) -> &Measured {
        let mode = match mode {
            Mode::BuiltIn => Mode::OnDemand,
            mode => mode,
        };
        let rows = self.variants.iter().zip(self.measured);
        let mut floors = rows.filter(|(variant, _)| variant.is_floor && variant.mode == mode);
        floors.next().expect("floors are always measured").1
    }

    pub fn table(&self) -> String {
        let width = self.variants.iter().map(|variant| variant.name.len());
        let width = width.max().unwrap_or(0);
        let head = format!(
            "{:width$}  {:9}  {:>8} {:>7} {:>6} {:>7} {:>6} {:>7} {:>7} {:>8} {:>8}\n",
            "",
            "",
            "CPU µs",
            "x floor",
            "±",
            "faults",
            "more",
            "p50 ms",
            "p99 ms",
            "per s",
            "requests"
        );
        let row = |(variant, measured): (&Variant, &Measured)| {
            let floor = self.floor(variant.mode);
            let (ratio, error) = measured.ratio_to(floor);
            format!(
                "{:width$}  {:9}  {:8.0} {:7.3} {:6.3} {:7.1} {:+6.1} {:7.2} {:7.2} {:8.0} {:8}\n",
                variant.name,
                variant.mode.name(),
                measured.cpu_micros,
                ratio,
                error,
                measured.faults,
                measured.faults - floor.faults,
                measured.p50_millis,
                measured.p99_millis,
                measured.per_second,
                measured.requests,
            )
        };
        let rows: String = self.variants.iter().zip(self.measured).map(row).collect();
        format!("{head}{rows}")
    }

    pub fn more(&self) -> String {
        let mut text = String::new();
        for cold in self.cold_starts {
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
        match self.judgements {
            None => {
                text += "skipped: instructions of a judgement (valgrind is not installed)\n";
            }
            Some(judgements) => {
                for judgement in judgements {
                    text += &format!(
                        "instructions of a judgement, {}: {}; the first one of a process: {}\n",
                        judgement.alg, judgement.further, judgement.first
                    );
                }
            }
        }
        text
    }

    pub fn json(&self) -> Value {
        let rows = self.variants.iter().zip(self.measured);
        let logins = rows.map(|(variant, measured)| {
            let floor = self.floor(variant.mode);
            let (ratio, error) = measured.ratio_to(floor);
            json!({
                "variant": variant.name,
                "loaded": variant.mode.name(),
                "logins": measured.logins,
                "cpu_micros": measured.cpu_micros,
                "cpu_ratio_to_floor": ratio,
                "cpu_ratio_standard_error": error,
                "minor_faults": measured.faults,
                "minor_faults_ratio_to_floor": measured.faults / floor.faults,
                "p50_millis": measured.p50_millis,
                "p50_ratio_to_floor": measured.p50_millis / floor.p50_millis,
                "p99_millis": measured.p99_millis,
                "p99_ratio_to_floor": measured.p99_millis / floor.p99_millis,
                "logins_per_second": measured.per_second,
                "logins_per_second_ratio_to_floor": measured.per_second / floor.per_second,
                "requests_to_issuer": measured.requests,
            })
        });
        let cold_starts = self.cold_starts.iter().map(|cold| {
            json!({
                "loaded": cold.mode.name(),
                "logins": cold.logins,
                "failures": cold.failures,
                "seconds": cold.seconds,
                "discovery_requests": cold.discovery_requests,
                "jwks_requests": cold.jwks_requests,
                "other_requests": cold.other_requests,
            })
        });
        let judgements = self.judgements.map(|judgements| {
            let each = judgements.iter().map(|judgement| {
                json!({
                    "alg": judgement.alg,
                    "instructions": judgement.further,
                    "instructions_of_first": judgement.first,
                })
            });
            each.collect::<Vec<_>>()
        });
        json!({
            "logins": logins.collect::<Vec<_>>(),
            "concurrent_clients": self.clients,
            "cold_starts": cold_starts.collect::<Vec<_>>(),
            "judgements": judgements,
        })
    }
}
