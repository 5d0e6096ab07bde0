//! The commands that run a server, as the user of PostgreSQL.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use crate::machine::{child, environment};
use crate::server::files::Configuration;
use crate::server::pam_files;

/// `postgres` in the foreground, in a mount namespace of its own if it sees other files than we do.
pub(crate) fn postgres(data: &Path, folder: &Path, configuration: &Configuration) -> Command {
    let program = environment::bindir().join("postgres");
    let mounts = mounts(folder, configuration);
    let mut command = match mounts.is_empty() {
        true => Command::new(program),
        false => in_namespace(&mounts, &program),
    };
    command.arg("-D").arg(data).current_dir(data);
    command.env("LC_ALL", "C").env("HOME", data);
    // Whom this machine trusts is no matter of the tests.
    command
        .env_remove("SSL_CERT_FILE")
        .env_remove("SSL_CERT_DIR");
    if !configuration.pam_services.is_empty() {
        pam_files::use_services(&mut command, folder);
    }
    command.envs(configuration.environment.iter().cloned());
    if mounts.is_empty() {
        child::as_server_user(&mut command);
    }
    command
}

/// `pg_basebackup` of a server that listens in `socket_folder`, for a standby of it.
pub(crate) fn base_backup(data: &Path, socket_folder: &Path, port: u16) -> Command {
    let mut command = Command::new(environment::bindir().join("pg_basebackup"));
    command.args(["--checkpoint=fast", "--no-sync", "--write-recovery-conf"]);
    command
        .args(["-X", "stream", "-U", "postgres", "-D"])
        .arg(data);
    command.arg("-h").arg(socket_folder);
    command.arg("-p").arg(port.to_string());
    child::as_server_user(&mut command);
    command
}

/// Whether a server can have a mount namespace of its own: we are root, and may mount. If not, that is said, and the
/// test that asks counts as skipped.
pub fn can_mount() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    let can = *CAN.get_or_init(|| {
        let mut command = unshare();
        command.args(["mount", "--bind", "/etc/hosts", "/etc/hosts"]);
        child::server_user().is_some() && command.output().is_ok_and(|o| o.status.success())
    });
    if !can {
        environment::skip("a mount namespace of its own for the server needs root and unshare(1)");
    }
    can
}

/// Commands that make the mounts which a server needs, each followed by `&&`.
fn mounts(folder: &Path, configuration: &Configuration) -> String {
    let mut mounts = String::new();
    for (name, text) in &configuration.etc {
        let file = folder.join(name.replace('/', "_"));
        fs::write(&file, text).unwrap_or_else(|e| panic!("cannot write {}: {e}", file.display()));
        mounts.push_str(&format!(
            "mount --bind '{}' '/etc/{name}' && ",
            file.display()
        ));
    }
    if let Some(bytes) = configuration.dev_shm {
        mounts.push_str(&format!(
            "mount -t tmpfs -o mode=1777,size={bytes} shm /dev/shm && "
        ));
    }
    mounts
}

/// Becomes the user of PostgreSQL only after the mounts; what changes the user also resets the signal that
/// follows our end, so it is set again.
fn in_namespace(mounts: &str, program: &Path) -> Command {
    let (uid, gid) = child::server_user().expect("only root can give a server other mounts");
    let mut command = unshare();
    command.args([
        "sh",
        "-c",
        &format!("{mounts} exec \"$@\""),
        "sh",
        "setpriv",
    ]);
    command
        .arg(format!("--reuid={uid}"))
        .arg(format!("--regid={gid}"));
    command
        .args(["--clear-groups", "--pdeathsig=QUIT"])
        .arg(program);
    command
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation=private"]);
    command
}
