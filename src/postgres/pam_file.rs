//! The files of PAM services, as far as they concern pam_validator.so.

use std::fs;
use std::path::{Path, PathBuf};

/// Where libpam looks for a service's file, in this order (pam.d(5)).
const FOLDERS: [&str; 3] = ["/etc/pam.d", "/usr/etc/pam.d", "/usr/lib/pam.d"];

/// What is known of a service's file.
pub enum PamFile {
    Missing,
    /// It cannot be read by the server's user, so by libpam neither.
    Unreadable(PathBuf),
    /// Its lines do not name the module; those that it includes are not looked at.
    WithoutModule(PathBuf),
    WithModule,
}

pub fn file_of(service: &str) -> PamFile {
    let files = FOLDERS.iter().map(|folder| Path::new(folder).join(service));
    let Some(path) = files.into_iter().find(|path| path.exists()) else {
        return PamFile::Missing;
    };
    let Ok(bytes) = fs::read(&path) else {
        return PamFile::Unreadable(path);
    };
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines().map(str::trim_start);
    match lines.any(|line| !line.starts_with('#') && line.contains("pam_validator")) {
        true => PamFile::WithModule,
        false => PamFile::WithoutModule(path),
    }
}
