//! Which version of a file is there.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::memory::plain::FileVersion;

/// Changes whenever the file does.
pub fn file_version(metadata: &fs::Metadata) -> FileVersion {
    let inode = metadata.ino().cast_signed();
    let changed = metadata
        .ctime()
        .wrapping_mul(1_000_000_000)
        .wrapping_add(metadata.ctime_nsec());
    let modified = metadata
        .mtime()
        .wrapping_mul(1_000_000_000)
        .wrapping_add(metadata.mtime_nsec());
    [
        metadata.len().cast_signed().wrapping_add(1),
        modified,
        changed,
        inode,
    ]
}
