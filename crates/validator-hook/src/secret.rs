//! Secrets in files.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Bytes of the largest file that is read.
const MAX_BYTES: u64 = 64 * 1024;

/// The content of a secret file. It can be neither printed nor copied.
pub struct Secret(String);

impl Secret {
    /// The content of `file` without line ends behind it.
    ///
    /// Errors: the file cannot be read, is empty or too large, or everyone may read it.
    pub fn read(file: &Path) -> Result<Secret, String> {
        let invalid = |why: &dyn std::fmt::Display| format!("\"{}\": {why}", file.display());
        let opened = File::open(file).map_err(|error| invalid(&error))?;
        let metadata = opened.metadata().map_err(|error| invalid(&error))?;
        if !metadata.is_file() {
            return Err(invalid(&"it is not a regular file"));
        }
        if metadata.mode() & 0o007 != 0 {
            return Err(invalid(
                &"everyone may read it; permissions must be 0640 or less",
            ));
        }
        let mut text = String::new();
        let read = opened.take(MAX_BYTES + 1).read_to_string(&mut text);
        read.map_err(|error| invalid(&error))?;
        if text.len() as u64 > MAX_BYTES {
            return Err(invalid(&"it is larger than 64 kB"));
        }
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
        match text.is_empty() {
            true => Err(invalid(&"it is empty")),
            false => Ok(Secret(text)),
        }
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}
