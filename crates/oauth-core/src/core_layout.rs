//! What the plain data of this crate looks like in memory, and what its numbers mean.

use crate::basics::layout::LayoutDigest;
use crate::failure::misconfigured::Misconfigured;
use crate::failure::reject::Reject;
use crate::failure::unavailable::Unavailable;
use crate::keys::algorithm::{Algorithm, KeyKind};
use crate::keys::certificate_tags::CertificateTags;
use crate::keys::fault::KeyFault;
use crate::keys::record::KeyHead;
use crate::provider::freshness::Freshness;

impl LayoutDigest {
    /// Of the plain data and the numbered tables of this crate.
    pub const OF_CORE: LayoutDigest = with_kinds(
        with_algorithms(
            LayoutDigest::NEW
                .numbers(Freshness::LAYOUT)
                .numbers(KeyHead::LAYOUT)
                .numbers(CertificateTags::LAYOUT)
                .texts(&KeyFault::MEMBERS)
                .texts(Reject::CODES)
                .texts(Misconfigured::CODES)
                .texts(Unavailable::CAUSES),
            &Algorithm::ALL,
        ),
        &KeyHead::KINDS,
    );
}

const fn with_algorithms(mut digest: LayoutDigest, mut algorithms: &[Algorithm]) -> LayoutDigest {
    while let Some((algorithm, rest)) = algorithms.split_first() {
        digest = digest.text(algorithm.name());
        algorithms = rest;
    }
    digest
}

const fn with_kinds(mut digest: LayoutDigest, mut kinds: &[KeyKind]) -> LayoutDigest {
    while let Some((kind, rest)) = kinds.split_first() {
        digest = digest.text(match kind {
            KeyKind::Rsa => "RSA",
            KeyKind::P256 => "P-256",
            KeyKind::P384 => "P-384",
            KeyKind::P521 => "P-521",
            KeyKind::Ed25519 => "Ed25519",
        });
        kinds = rest;
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_of_the_core_depends_on_what_is_added() {
        let of_core = LayoutDigest::OF_CORE;
        let digests = [
            LayoutDigest::NEW,
            of_core,
            of_core.text("0.1.0"),
            of_core.text("0.1.1"),
        ];
        for (n, digest) in digests.iter().enumerate() {
            assert!(!digests.iter().take(n).any(|other| other == digest), "{n}");
        }
    }
}
