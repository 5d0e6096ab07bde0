//! A server that pg_upgrade makes of another one.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::machine::{child, environment, scratch};
use crate::server::builder::copy_template;
use crate::server::{Server, StopMode};

/// Whether this PostgreSQL has pg_upgrade. If not, that is said, and the test that asks counts as skipped.
pub fn can_upgrade() -> bool {
    let can = environment::bindir().join("pg_upgrade").exists();
    if !can {
        environment::skip("this PostgreSQL has no pg_upgrade");
    }
    can
}

impl Server {
    /// Stops this server for good, and starts the one that pg_upgrade makes of it, of the same version and with the same
    /// settings. Also what both logged while they were upgraded.
    #[track_caller]
    pub fn upgraded(&self) -> (Server, String) {
        self.stop(StopMode::Fast);
        let folder = scratch::new_folder("upgraded");
        child::give_to_server_user(&folder);
        let data = folder.join("data");
        copy_template(&data);
        let new = Server::new(folder, self.state().configuration.clone());
        new.state()
            .configuration
            .write(&data, new.socket_folder(), self.port());
        let bindir = environment::bindir();
        let mut command = Command::new(bindir.join("pg_upgrade"));
        command.args(["--retain", "--no-sync", "--username=postgres"]);
        command.arg("-b").arg(bindir).arg("-B").arg(bindir);
        command
            .arg("-d")
            .arg(self.data_folder())
            .arg("-D")
            .arg(&data);
        let port = self.port().to_string();
        command.args(["-p", &port, "-P", &port]);
        command.current_dir(new.socket_folder()).env("LC_ALL", "C");
        child::as_server_user(&mut command);
        child::run(command, Duration::from_secs(120)).success();
        let log = logs_below(&data.join("pg_upgrade_output.d"));
        new.start_on_free_port()
            .unwrap_or_else(|log| panic!("the upgraded server does not start:\n{log}"));
        (new, log)
    }
}

/// What the servers logged: pg_upgrade keeps that in a folder whose name is a time.
fn logs_below(folder: &Path) -> String {
    let runs = fs::read_dir(folder).expect("pg_upgrade has kept its logs");
    let logs = runs.flatten().map(|run| {
        let log = run.path().join("log/pg_upgrade_server.log");
        fs::read_to_string(&log).unwrap_or_else(|e| panic!("{}: {e}", log.display()))
    });
    logs.collect()
}
