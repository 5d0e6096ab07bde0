//! A real provider that serves by itself once it is started.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::machine::child;
use crate::net::http_server::HttpServer;
use crate::person::browser::Browser;

/// A running provider. It stops when this value goes, or this process.
pub(crate) struct Daemon {
    child: Mutex<Child>,
    log: PathBuf,
}

impl Daemon {
    /// Starts a program in `folder`, its log beside it, and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(
        mut command: Command,
        folder: &Path,
        is_ready: impl Fn() -> bool,
        limit: Duration,
    ) -> Daemon {
        let log = folder.join("log");
        let output = File::options().create(true).append(true).open(&log);
        let output = output.expect("a log can be made");
        command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stderr(output.try_clone().expect("a file can be opened twice"))
            .stdout(output);
        let child = child::spawn(command, libc::SIGKILL);
        let daemon = Daemon {
            child: Mutex::new(child.expect("the provider's program can be started")),
            log,
        };
        let start = Instant::now();
        while !is_ready() {
            let ended = daemon.with_child(|child| child.try_wait().ok().flatten());
            assert!(
                ended.is_none() && start.elapsed() < limit,
                "the provider does not start ({ended:?}): {}",
                daemon.log()
            );
            thread::sleep(Duration::from_millis(100));
        }
        daemon
    }

    /// The end of what it has logged.
    fn log(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    fn with_child<T>(&self, work: impl FnOnce(&mut Child) -> T) -> T {
        work(&mut self.child.lock().unwrap_or_else(|e| e.into_inner()))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.with_child(|child| {
            let _ = child.kill();
            let _ = child.wait();
        });
    }
}

/// A port that was free a moment ago: these programs do not say which one they have taken.
pub(crate) fn free_port() -> u16 {
    HttpServer::bind().1
}

/// Whether a page is answered with 200.
pub(crate) fn is_served(url: &str) -> bool {
    let page = Browser::new().request("GET", url, "");
    page.is_ok_and(|page| page.status == 200)
}
