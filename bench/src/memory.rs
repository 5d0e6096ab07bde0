//! What an idle session holds of the machine's memory.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::login::Session;
use crate::rows::{FLOOR, Mode, Row};
use crate::variant::Variant;

/// What the sessions of one server hold.
#[derive(Clone, Serialize, Deserialize)]
pub struct Memory {
    #[serde(rename = "variant")]
    pub name: String,
    pub loaded: Mode,
    pub sessions: usize,
    /// Of one session, on average: its own pages, and its part of those that it shares with other processes.
    pub pss_kilobytes: f64,
}

impl Memory {
    pub fn is_floor(&self) -> bool {
        self.name == FLOOR
    }
}

/// One server after the other: servers that run at the same time share the pages of the programs, and so each would seem to
/// hold less of them.
pub fn measure_memory(sessions: usize) -> Vec<Memory> {
    if sessions == 0 {
        return Vec::new();
    }
    let modes = [Mode::OnDemand, Mode::Preloaded];
    let rows = modes.map(|mode| [Row::floor(mode), Row::rs256(mode)]);
    let measure = |row| {
        let variant = Variant::start(row, sessions);
        let open = |_| variant.client.open().expect("the server lets clients in");
        let open: Vec<Session> = (0..sessions).map(open).collect();
        let sum: u64 = open.iter().map(|session| pss_kilobytes(session.pid)).sum();
        Memory {
            name: variant.row.name.clone(),
            loaded: variant.row.mode,
            sessions,
            pss_kilobytes: sum as f64 / sessions as f64,
        }
    };
    rows.into_iter().flatten().map(measure).collect()
}

fn pss_kilobytes(pid: u32) -> u64 {
    let file = format!("/proc/{pid}/smaps_rollup");
    let rollup = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
    parse_pss(&rollup).unwrap_or_else(|| panic!("{file} has no Pss"))
}

/// The line `Pss:` of smaps_rollup (proc_pid_smaps(5)), which is in kB.
fn parse_pss(rollup: &str) -> Option<u64> {
    let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    pss.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pss_and_not_a_part_of_it() {
        let rollup = "55d0c0a00000-7ffd2b5fe000 ---p 00000000 00:00 0    [rollup]\n\
                      Rss:               17488 kB\nPss_Dirty:          1410 kB\n\
                      Pss:                4321 kB\nPss_Anon:           1234 kB\n";
        assert_eq!(parse_pss(rollup), Some(4321));
        assert_eq!(parse_pss("Rss: 1 kB\n"), None);
        assert_eq!(parse_pss("Pss: many kB\n"), None);
    }

    #[test]
    fn this_process_holds_memory() {
        assert!(pss_kilobytes(std::process::id()) > 100);
    }
}
