//! The folder of this process for everything that a test leaves on disk.
//!
//! It lies in the system's temporary folder, can be read by the unprivileged user that runs
//! PostgreSQL, and goes when the process ends. A process that was killed cannot clean up: the
//! next one removes what it left.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

const PREFIX: &str = "pg_test.";

static PROCESS_FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// The folder of this process, made at the first call.
pub fn process_folder() -> &'static Path {
    PROCESS_FOLDER.get_or_init(|| {
        let folder = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{}.", std::process::id()))
            .tempdir()
            .expect("a folder for the tests can be made in the temporary folder")
            .keep();
        set_mode(&folder, 0o755);
        remove_leftovers(&folder);
        // SAFETY: atexit() only stores the pointer of a function that lives as long as the program.
        unsafe { libc::atexit(remove_process_folder) };
        folder
    })
}

/// A new, empty folder in the folder of this process; `name` says what it is for.
pub fn new_folder(name: &str) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = process_folder().join(format!("{name}{number}"));
    fs::create_dir(&folder).unwrap_or_else(|e| panic!("cannot make {}: {e}", folder.display()));
    set_mode(&folder, 0o755);
    folder
}

/// Sets the permission bits of a file or folder.
pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .unwrap_or_else(|e| panic!("cannot set the mode of {}: {e}", path.display()));
}

extern "C" fn remove_process_folder() {
    if let Some(folder) = PROCESS_FOLDER.get() {
        // A server that is going down may still write: what stays is the next process's to remove.
        let _ = fs::remove_dir_all(folder);
    }
}

/// Removes folders of our own user whose process is gone.
fn remove_leftovers(own: &Path) {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else {
        return;
    };
    let Ok(owner) = fs::metadata(own).map(|m| m.uid()) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name
            .to_str()
            .and_then(|n| n.strip_prefix(PREFIX))
            .and_then(|n| n.split('.').next());
        let Some(pid) = pid.and_then(|p| p.parse::<u32>().ok()) else {
            continue;
        };
        let ours = entry
            .metadata()
            .is_ok_and(|m| m.is_dir() && m.uid() == owner);
        if ours && !Path::new("/proc").join(pid.to_string()).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
