//! A server that fails a login for reasons of its own: a panic, recovery, other modules. Nobody gets in, the client learns
//! nothing of it, nothing stays held, and the next login finds a server that works.

mod files;
mod other_modules;
mod panics;
mod radius;
mod standby;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, thread};

use rig::{Issuer, Server, scratch};

/// Far more than a login takes, far less than the time for which one would wait for a provider or for another login.
const AT_ONCE: Duration = Duration::from_secs(3);

/// A file by which a test tells a shim in the server when to act.
struct Signal(PathBuf);

impl Signal {
    fn new() -> Signal {
        Signal(scratch::new_folder("signal").join("act"))
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn give(&self, text: &str) {
        fs::write(&self.0, text).expect("a file can be written");
    }

    fn take_back(&self) {
        fs::remove_file(&self.0).expect("it was given");
    }
}

/// The next login gets in, at once: it finds no lock held, and waits for nobody.
#[track_caller]
fn assert_next_login_gets_in(server: &Server, role: &str, token: &str) {
    let start = Instant::now();
    server.admits(role, token);
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
}

/// The server has not started again, no process of it has crashed, and none is left.
#[track_caller]
fn assert_unharmed(server: &Server) {
    let log = server.log().text();
    for sign in [
        "PANIC:",
        "was terminated by signal",
        "terminating any other active",
        "exited with exit code 2",
        "stuck spinlock",
        "all server processes terminated",
    ] {
        assert!(!log.contains(sign), "{sign}: {log}");
    }
    let start = Instant::now();
    let others = "SELECT count(*) FROM pg_stat_activity \
                  WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    while server.value(others) != "0" {
        assert!(start.elapsed() < Duration::from_secs(10), "a backend stays");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A server that trusts this issuer, and logs everything.
fn server_of(issuer: &Issuer) -> rig::ServerBuilder {
    Server::trusting(issuer).log_everything()
}
