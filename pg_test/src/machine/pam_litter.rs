//! What libpam-wrapper leaves behind: each process that it is preloaded into has a folder /tmp/pam.?, with a letter or digit,
//! which stays where the process is killed. There are no more than 62 such names.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use crate::machine::child;

/// A folder without the number of its process is new, or was removed in part while a login wrote into it.
const NEW: Duration = Duration::from_secs(2);

/// Removes the folders of processes that are gone, if they are of the user who runs the servers.
pub(crate) fn remove() {
    let owner = child::server_user().map(|(uid, _)| uid);
    for entry in fs::read_dir("/tmp").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let has_name = |name: &str| name.len() == 5 && name.starts_with("pam.");
        let is_ours = |m: &Metadata| owner.is_none_or(|uid| m.uid() == uid);
        let found = entry.metadata().ok().filter(is_ours);
        let Some(folder) = found.filter(|_| name.to_str().is_some_and(has_name)) else {
            continue;
        };
        let is_gone = match fs::read_to_string(entry.path().join("pid")) {
            Ok(pid) => !Path::new("/proc").join(pid.trim()).exists(),
            Err(_) => folder
                .modified()
                .is_ok_and(|time| time.elapsed().is_ok_and(|age| age > NEW)),
        };
        if is_gone {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
