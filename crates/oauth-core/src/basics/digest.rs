//! Digests by which things are named and compared: SHA-256 (FIPS 180-4).

use aws_lc_rs::digest;

/// The digest that names what is cached, of everything that it depends on.
pub fn cache_key(parts: &[&str]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        // With its length, so that no two lists of parts give the same bytes.
        context.update(&part.len().to_be_bytes());
        context.update(part.as_bytes());
    }
    finish(context)
}

/// The digest of these bytes, one part after the other.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    finish(context)
}

fn finish(context: digest::Context) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}
