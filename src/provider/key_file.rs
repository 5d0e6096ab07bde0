//! Keys from a file. Each login checks its version, and reads it if that has changed.

use std::fs;
use std::path::Path;

use oauth_core::{Clock, Failure, FoundKeys, JwkSet, KeySource, Misconfigured, SystemClock};

use crate::log::refusal_log::log_left_out_keys;
use crate::memory::key_cache::KeyCache;
use crate::memory::key_cache_layout::{PackedKeys, Want};
use crate::provider::file_version::file_version;
use crate::settings;

/// Bytes of the largest key file.
const MAX_FILE_BYTES: u64 = oauth_core::MAX_RESPONSE_BYTES as u64;

/// Reads the key file if the cache does not have this version of it.
pub fn find_keys(cache: &KeyCache, want: &Want<'_>, path: &Path) -> Result<FoundKeys, Failure> {
    let now = SystemClock.now();
    let metadata = fs::metadata(path).map_err(|error| invalid(&error.to_string()))?;
    let version = file_version(&metadata);
    if let Some(found) = cache.look_up(want, now)
        && found.file_version == version
    {
        return found.selected.map_err(Failure::from);
    }
    read_into(cache, want, path)?.find_keys(&want.key)
}

/// Reads the key file, whether or not it has changed.
pub fn read_into(cache: &KeyCache, want: &Want<'_>, path: &Path) -> Result<JwkSet, Misconfigured> {
    let metadata = fs::metadata(path).map_err(|error| invalid(&error.to_string()))?;
    let set = parse(path, &metadata)?;
    let packed = PackedKeys::new(&set, file_version(&metadata));
    cache.store_file(want, &packed, SystemClock.now());
    if set.left_out() != 0 {
        log_left_out_keys(want.url, set.left_out());
    }
    Ok(set)
}

/// Parses the key file.
pub fn parse(path: &Path, metadata: &fs::Metadata) -> Result<JwkSet, Misconfigured> {
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
        return Err(invalid("it is not a file, or larger than 256 kB"));
    }
    let bytes = fs::read(path).map_err(|error| invalid(&error.to_string()))?;
    JwkSet::parse(&bytes).map_err(|cause| invalid(&cause.to_string()))
}

/// The key file cannot be used.
pub fn invalid(why: &str) -> Misconfigured {
    settings::invalid("validator.jwks_file", why)
}
