//! What a run found, as it is in its JSON file. Tables, chart and comparison are made from this alone, so that they can also
//! be made from the file of an earlier run.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::cold_start::ColdStart;
use crate::judgement::Judgement;
use crate::measure::Load;
use crate::memory::Memory;
use crate::rows::{FLOOR, Mode};

/// All results of a run.
#[derive(Serialize, Deserialize)]
pub struct Results {
    /// What `git describe` says of the checkout.
    #[serde(default)]
    pub commit: Option<String>,
    pub logins: Vec<Measured>,
    #[serde(default)]
    pub memory: Vec<Memory>,
    #[serde(default)]
    pub cold_starts: Vec<ColdStart>,
    /// `None`: could not be counted.
    #[serde(default)]
    pub judgements: Option<Vec<Judgement>>,
}

/// One row of the table.
#[derive(Clone, Serialize, Deserialize)]
pub struct Measured {
    #[serde(rename = "variant")]
    pub name: String,
    pub loaded: Mode,
    /// Logins one at a time; what follows is of one of them.
    pub logins: usize,
    pub cpu_micros: f64,
    /// `None`: so few logins do not tell.
    pub cpu_ratio_to_floor: Option<f64>,
    pub cpu_ratio_standard_error: Option<f64>,
    pub minor_faults: f64,
    pub p50_millis: f64,
    pub p99_millis: f64,
    #[serde(rename = "requests_to_issuer")]
    pub requests: usize,
    /// By the number of clients, of which the first is one.
    #[serde(default)]
    pub loads: Vec<Load>,
}

impl Measured {
    pub fn is_floor(&self) -> bool {
        self.name == FLOOR
    }
}

impl Results {
    pub fn read(file: &Path) -> Result<Results, String> {
        let text = fs::read_to_string(file).map_err(|error| error.to_string());
        let results = text.and_then(|text| Results::parse(&text));
        results.map_err(|error| format!("{}: {error}", file.display()))
    }

    fn parse(text: &str) -> Result<Results, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    pub fn write(&self, file: &Path) {
        let text = serde_json::to_string_pretty(self).expect("results can be written as JSON");
        fs::write(file, text + "\n").unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }

    /// The accept-all validator that a row of this mode is compared to.
    pub fn floor(&self, loaded: Mode) -> Option<&Measured> {
        let mut floors = self.logins.iter().filter(|row| row.is_floor());
        floors.find(|floor| floor.loaded == loaded.of_floor())
    }

    /// Page faults that a row has more than its floor.
    pub fn faults_above_floor(&self, row: &Measured) -> Option<f64> {
        let floor = self.floor(row.loaded)?;
        Some(row.minor_faults - floor.minor_faults)
    }
}

/// The commit that is checked out, and whether files differ from it. `None`: git does not say.
pub fn commit() -> Option<String> {
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty", "--abbrev=12"]);
    let output = git.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A row of 100 logins that each took 5 ms, or as many times that as the CPU of the floor.
    pub fn row(name: &str, loaded: Mode, faults: f64, ratio: f64) -> Measured {
        Measured {
            name: name.to_owned(),
            loaded,
            logins: 100,
            cpu_micros: 5000.0 * ratio,
            cpu_ratio_to_floor: Some(ratio),
            cpu_ratio_standard_error: Some(0.012),
            minor_faults: faults,
            p50_millis: 5.0 * ratio,
            p99_millis: 8.0 * ratio,
            requests: 0,
            loads: vec![Load {
                clients: 1,
                logins: 100,
                p50_millis: 5.0 * ratio,
                p99_millis: 8.0 * ratio,
                per_second: 200.0 / ratio,
            }],
        }
    }

    pub fn results(rows: Vec<Measured>) -> Results {
        Results {
            commit: None,
            logins: rows,
            memory: Vec::new(),
            cold_starts: Vec::new(),
            judgements: None,
        }
    }

    #[test]
    fn row_is_compared_to_the_floor_of_its_mode_and_one_without_a_validator_to_that_on_demand() {
        let results = results(vec![
            row("trust", Mode::BuiltIn, 520.0, 0.9),
            row(FLOOR, Mode::OnDemand, 550.0, 1.0),
            row(FLOOR, Mode::Preloaded, 540.0, 1.0),
            row("validator RS256", Mode::Preloaded, 594.5, 1.1),
        ]);
        let above = |index: usize| results.faults_above_floor(&results.logins[index]);
        assert_eq!(above(0), Some(-30.0));
        assert_eq!((above(1), above(2)), (Some(0.0), Some(0.0)));
        assert_eq!(above(3), Some(54.5));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut written = results(vec![row("validator RS256", Mode::Preloaded, 594.5, 1.125)]);
        written.logins[0].cpu_ratio_standard_error = None;
        let text = serde_json::to_string(&written).unwrap();
        let read = Results::parse(&text).unwrap();
        assert_eq!(read.logins[0].loads[0].clients, 1);
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }

    #[test]
    fn reads_a_file_of_a_commit_that_measured_less() {
        let text = r#"{"concurrent_clients": 16, "cold_starts": [], "judgements": null, "logins": [
            {"variant": "floor", "loaded": "on demand", "logins": 2000, "logins_per_second": 540.8,
             "cpu_micros": 5265.0, "cpu_ratio_to_floor": 1.0, "cpu_ratio_standard_error": 0.0,
             "minor_faults": 688.8, "minor_faults_ratio_to_floor": 1.0, "p50_millis": 5.1,
             "p99_millis": 9.2, "requests_to_issuer": 0}]}"#;
        let results = Results::parse(text).unwrap();
        assert_eq!(
            results.floor(Mode::BuiltIn).map(|floor| floor.p99_millis),
            Some(9.2)
        );
        assert!(results.memory.is_empty() && results.logins[0].loads.is_empty());
    }

    #[test]
    fn says_what_is_wrong_with_a_file() {
        assert!(Results::parse("{}").is_err_and(|error| error.contains("logins")));
        let missing = Results::read(Path::new("/nowhere/bench.json"));
        assert!(missing.is_err_and(|error| error.starts_with("/nowhere/bench.json: ")));
    }
}
