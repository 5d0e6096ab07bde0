//! What a server's logins have cost, by the kernel's accounts of the postmaster's dead children.

use std::fs;
use std::ops::Sub;
use std::thread;
use std::time::{Duration, Instant};

/// What the children that have ended used.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    /// User and system time, in ticks.
    ticks: u64,
    /// Page faults that read nothing from a disk.
    pub faults: u64,
}

impl Usage {
    /// Fields 11, 16 and 17 of /proc/PID/stat (proc_pid_stat(5)).
    pub fn of_dead_children(postmaster: u32) -> Usage {
        let fields = stat_fields(postmaster).expect("the postmaster runs");
        let field = |number: usize| -> u64 {
            fields[number - 3]
                .parse()
                .expect("the kernel writes numbers")
        };
        Usage {
            ticks: field(16) + field(17),
            faults: field(11),
        }
    }

    pub fn micros(self) -> f64 {
        // USER_HZ, which is 100 on all architectures that PostgreSQL runs on.
        self.ticks as f64 * 10_000.0
    }
}

impl Sub for Usage {
    type Output = Usage;

    fn sub(self, before: Usage) -> Usage {
        Usage {
            ticks: self.ticks - before.ticks,
            faults: self.faults - before.faults,
        }
    }
}

/// How many children there are: the server's own processes and all backends.
pub fn count_children(postmaster: u32) -> usize {
    let parent = postmaster.to_string();
    let processes = fs::read_dir("/proc").expect("/proc is mounted").flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| stat_fields(*pid).is_some_and(|fields| fields[1] == parent))
        .count()
}

/// Waits until the postmaster has reaped all backends: the client sees the end of a connection before it.
pub fn wait_for_children(postmaster: u32, count: usize) {
    let start = Instant::now();
    while count_children(postmaster) > count {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "backends do not end"
        );
        thread::sleep(Duration::from_millis(2));
    }
}

/// The fields from the third on, the process's state. `None`: there is no such process.
fn stat_fields(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, and may have any character.
    let (_, fields) = stat.rsplit_once(") ")?;
    Some(fields.split_ascii_whitespace().map(str::to_owned).collect())
}
