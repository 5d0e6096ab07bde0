//! Secrets of this server's own: read from a file when they are used, kept in no setting and no shared memory.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use oauth_core::{Misconfigured, overwrite};

use crate::settings;

/// Bytes of the largest file that is read.
const MAX_BYTES: u64 = 64 * 1024;

/// The content of a secret file. It can be neither printed nor copied, and is overwritten when it is dropped.
pub struct Secret(String);

impl Secret {
    /// The content of `file`, which the setting `name` (without `validator.`) names; without line ends behind it.
    ///
    /// Errors: the file cannot be read, is empty or too large, or is open to others than the server's user. The rule is
    /// PostgreSQL's own for private keys: owned by the server's user with mode 0600 or less, or by root with 0640 or less.
    /// A symbolic link is followed, as those are links that Kubernetes mounts; what it leads to must obey the rule.
    pub fn read(file: &Path, name: &str) -> Result<Self, Misconfigured> {
        let invalid = |why: &str| {
            let why = format!("\"{}\": {why}", file.display());
            settings::invalid(&format!("validator.{name}"), &why)
        };
        let unreadable = |error: io::Error| invalid(&error.to_string());
        // A pipe would be waited for.
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(file)
            .map_err(unreadable)?;
        // Of the opened file, so that it cannot be replaced in between.
        let metadata = opened.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(invalid("it is not a regular file"));
        }
        // SAFETY: has no preconditions.
        let own_user = unsafe { libc::geteuid() };
        let forbidden = match metadata.uid() {
            owner if owner == own_user => 0o077,
            0 => 0o037,
            _ => return Err(invalid("it must be owned by the server's user or by root")),
        };
        if metadata.mode() & forbidden != 0 {
            return Err(invalid(
                "it has group or world access; permissions must be 0600 or less, or 0640 or less if root owns it",
            ));
        }
        // Of full size from the start: growing would leave copies behind.
        let mut bytes = Vec::with_capacity(MAX_BYTES as usize + 1);
        let read = opened.take(MAX_BYTES + 1).read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).map_err(|error| {
            overwrite(error.into_bytes());
            invalid("it is not UTF-8")
        });
        let mut secret = Secret(text?);
        read.map_err(unreadable)?;
        if secret.0.len() as u64 > MAX_BYTES {
            return Err(invalid("it is larger than 64 kB"));
        }
        let length = secret.0.trim_end_matches(['\r', '\n']).len();
        secret.0.truncate(length);
        match secret.0.is_empty() {
            true => Err(invalid("it is empty")),
            false => Ok(secret),
        }
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        overwrite(std::mem::take(&mut self.0).into_bytes());
    }
}
