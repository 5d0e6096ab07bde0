//! What a process holds of this machine.

use std::fs;
use std::io::Write as _;

/// What may only grow if something is lost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held {
    /// Kilobytes that are its own (`RssAnon`).
    pub private: usize,
    /// Kilobytes, with its share of what several processes have mapped (`Pss`): told, and not judged, since it grows when
    /// another process ends.
    #[allow(dead_code)]
    pub share: usize,
    /// Open files.
    pub files: usize,
    /// Mapped segments of dynamic shared memory.
    pub segments: usize,
}

impl Held {
    /// The larger of each.
    pub fn max(self, other: Held) -> Held {
        Held {
            private: self.private.max(other.private),
            share: self.share.max(other.share),
            files: self.files.max(other.files),
            segments: self.segments.max(other.segments),
        }
    }

    /// By this process, which runs.
    #[track_caller]
    pub fn by(pid: u32) -> Held {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
        };
        let kilobytes = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            number.unwrap_or_else(|| panic!("no {name} of {pid}"))
        };
        let files = fs::read_dir(format!("/proc/{pid}/fd")).expect("a process has open files");
        let maps = read("maps");
        let is_segment = |line: &&str| line.contains("/dev/shm/PostgreSQL.");
        Held {
            private: kilobytes(&read("status"), "RssAnon:"),
            share: kilobytes(&read("smaps_rollup"), "Pss:"),
            files: files.count(),
            segments: maps.lines().filter(is_segment).count(),
        }
    }
}

/// Shows a figure where `make test-long` runs: by hand, since the harness would keep what is printed by a test that passes.
pub fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
