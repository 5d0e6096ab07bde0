//! A key in the form that a cache keeps: plain data of fixed size, parsed once and looked up without parsing.

use crate::basics::digest::sha256;
use crate::basics::layout::layout_of;
use crate::failure::reject::Reject;
use crate::keys::algorithm::{Algorithm, KeyKind};
use crate::keys::certificate_tags::{CertificateTags, Comparison};
use crate::keys::fault::{self, KeyFault};
use crate::keys::public_key::PublicKey;
use crate::keys::source::KeyReference;

/// Keys that are tried of those that fit a token alike. A provider has two or three while it replaces one.
pub const MAX_CANDIDATES: usize = 4;

/// What a key is selected by. Plain data, so that it can live in shared memory next to the key's material.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyHead {
    /// SHA-256 of the `kid`; all zeros if the key has none.
    kid: [u8; 32],
    /// SHA-256 of kind and material; the same key twice has one fingerprint.
    fingerprint: [u8; 32],
    /// The thumbprints of its certificate.
    certificate: CertificateTags,
    /// 0: may not verify signatures; else 1 and the place in [`KeyHead::KINDS`].
    kind: u8,
    /// 0: any that fits; else 1 and the place in [`Algorithm::ALL`].
    alg: u8,
    /// Bytes of the exponent at the end of an RSA key's material.
    exponent_bytes: u8,
    /// 0: none; else 1 and the place, in [`KeyFault::MEMBERS`], of the member that makes the key unusable.
    fault: u8,
    /// Bytes of the material.
    material_bytes: u16,
}

const NO_KID: [u8; 32] = [0; 32];

/// The digest by which a `kid` is looked up.
fn kid_digest(kid: Option<&str>) -> [u8; 32] {
    kid.map_or(NO_KID, |kid| sha256(&[kid.as_bytes()]))
}

impl KeyHead {
    /// The size, and where the fields are.
    pub(crate) const LAYOUT: &[usize] = layout_of!(KeyHead {
        kid,
        fingerprint,
        certificate,
        kind,
        alg,
        exponent_bytes,
        fault,
        material_bytes
    });

    /// What `kind` counts.
    pub(crate) const KINDS: [KeyKind; 5] = [
        KeyKind::Rsa,
        KeyKind::P256,
        KeyKind::P384,
        KeyKind::P521,
        KeyKind::Ed25519,
    ];

    /// No key.
    pub const EMPTY: KeyHead = KeyHead {
        kid: NO_KID,
        fingerprint: [0; 32],
        certificate: CertificateTags::NONE,
        kind: 0,
        alg: 0,
        exponent_bytes: 0,
        fault: 0,
        material_bytes: 0,
    };

    /// The head of a key, and its material. A key that may not verify signatures has no material.
    pub fn describe(
        kid: Option<&str>,
        certificate: CertificateTags,
        alg: Option<Algorithm>,
        key: Option<&PublicKey>,
    ) -> (KeyHead, Vec<u8>) {
        let head = KeyHead {
            kid: kid_digest(kid),
            certificate,
            ..KeyHead::EMPTY
        };
        let Some(key) = key else {
            return (head, Vec::new());
        };
        let (material, exponent) = match key {
            PublicKey::Rsa { n, e } => ([n.as_slice(), e].concat(), e.len()),
            PublicKey::P256(point)
            | PublicKey::P384(point)
            | PublicKey::P521(point)
            | PublicKey::Ed25519(point) => (point.clone(), 0),
        };
        let sizes = (u8::try_from(exponent), u16::try_from(material.len()));
        // A key set (jwk.rs) bounds both far below; a key that does not fit verifies nothing.
        let (Ok(exponent_bytes), Ok(material_bytes)) = sizes else {
            return (head, Vec::new());
        };
        let kind = place(&Self::KINDS, &key.kind());
        let fingerprint = sha256(&[&[kind, exponent_bytes], &material]);
        let alg = alg.map_or(0, |alg| place(&Algorithm::ALL, &alg));
        (
            KeyHead {
                fingerprint,
                kind,
                alg,
                exponent_bytes,
                material_bytes,
                ..head
            },
            material,
        )
    }

    /// The key that this head describes, made of its material: as many bytes of `buffer` as belong to it.
    pub fn key(&self, buffer: &[u8]) -> Option<PublicKey> {
        let material = buffer.get(..usize::from(self.material_bytes))?;
        match self.kind()? {
            KeyKind::Rsa => {
                let modulus = material
                    .len()
                    .checked_sub(usize::from(self.exponent_bytes))?;
                let (n, e) = material.split_at_checked(modulus)?;
                Some(PublicKey::Rsa {
                    n: n.to_vec(),
                    e: e.to_vec(),
                })
            }
            KeyKind::P256 => Some(PublicKey::P256(material.to_vec())),
            KeyKind::P384 => Some(PublicKey::P384(material.to_vec())),
            KeyKind::P521 => Some(PublicKey::P521(material.to_vec())),
            KeyKind::Ed25519 => Some(PublicKey::Ed25519(material.to_vec())),
        }
    }

    /// The same head of a key that is unusable because of this.
    pub(crate) fn with_fault(self, fault: Option<&KeyFault>) -> Self {
        let fault = fault.map_or(0, KeyFault::code);
        KeyHead { fault, ..self }
    }

    /// The member of the JWK that makes the key unusable, if one does.
    pub fn unusable_member(&self) -> Option<&'static str> {
        fault::member_of(self.fault)
    }

    /// What kind of key this is; `None` if it may not verify signatures.
    pub fn kind(&self) -> Option<KeyKind> {
        Self::KINDS
            .get(usize::from(self.kind).checked_sub(1)?)
            .copied()
    }

    /// The only algorithm that the key may be used with (RFC 7517 §4.4), if it names one.
    pub fn alg(&self) -> Option<Algorithm> {
        Algorithm::ALL
            .get(usize::from(self.alg).checked_sub(1)?)
            .copied()
    }

    fn fits(&self, alg: Algorithm) -> bool {
        self.kind() == Some(alg.key_kind()) && self.alg().is_none_or(|own| own == alg)
    }
}

fn place<T: PartialEq>(all: &[T], one: &T) -> u8 {
    let index = all.iter().position(|each| each == one);
    index
        .and_then(|index| u8::try_from(index.saturating_add(1)).ok())
        .unwrap_or(0)
}

/// The places of the keys that a token may be signed with: at least one, at most [`MAX_CANDIDATES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidates {
    places: [usize; MAX_CANDIDATES],
    count: usize,
}

impl Candidates {
    /// The places, in the order of the set.
    pub fn places(&self) -> &[usize] {
        self.places.get(..self.count).unwrap_or_default()
    }
}

/// How a token names its key.
enum Name<'a> {
    /// By the digest of a `kid`.
    Kid([u8; 32]),
    /// By the thumbprint of its certificate, which a key of the set has.
    Certificate(&'a CertificateTags),
    /// By one that no key of the set has, or not at all: it may be one of those that have none.
    UnknownCertificate(&'a CertificateTags),
}

impl<'a> Name<'a> {
    fn of<'b>(wanted: &'a KeyReference<'_>, mut heads: impl Iterator<Item = &'b KeyHead>) -> Self {
        let certificate = &wanted.certificate;
        let is_same = |head: &KeyHead| head.certificate.compare(certificate) == Comparison::Same;
        match wanted.kid {
            Some(kid) => Name::Kid(kid_digest(Some(kid))),
            None if heads.any(is_same) => Name::Certificate(certificate),
            None => Name::UnknownCertificate(certificate),
        }
    }

    fn is_of(&self, head: &KeyHead) -> bool {
        let compared = |certificate| head.certificate.compare(certificate);
        match self {
            Name::Kid(digest) => head.kid == *digest,
            Name::Certificate(certificate) => compared(certificate) == Comparison::Same,
            Name::UnknownCertificate(certificate) => compared(certificate) == Comparison::Open,
        }
    }

    /// Why none of these keys is the token's.
    fn refusal<'b>(&self, mut heads: impl Iterator<Item = &'b KeyHead>) -> Reject {
        let unknown = Reject::UnknownKid { again_in: None };
        let unsuitable = Reject::KeyUnsuitable { again_in: None };
        match self {
            Name::Kid(_) if heads.any(|head| self.is_of(head)) => unsuitable,
            Name::Kid(_) => unknown,
            Name::Certificate(_) => unsuitable,
            // Those of another certificate are other keys.
            Name::UnknownCertificate(_) if heads.any(|head| !self.is_of(head)) => unknown,
            Name::UnknownCertificate(_) => Reject::NoFittingKey { again_in: None },
        }
    }
}

/// RFC 7515 §6, appendix D: the places, among `heads`, of the keys that a token with this header may be signed with.
///
/// The same key twice is one key. Keys that cannot be told apart, since they have no `kid`, or one `kid`, are all tried:
/// it is the signature that decides, and all are the provider's. Too many of them are refused.
pub fn select_keys<'a>(
    heads: impl IntoIterator<Item = &'a KeyHead, IntoIter: Clone>,
    wanted: &KeyReference<'_>,
) -> Result<Candidates, Reject> {
    let heads = heads.into_iter();
    let name = Name::of(wanted, heads.clone());
    let mut fitting = heads
        .clone()
        .enumerate()
        .filter(|(_, head)| name.is_of(head) && head.fits(wanted.alg));
    let Some((first, key)) = fitting.next() else {
        return Err(name.refusal(heads));
    };
    let mut found = [(first, key); MAX_CANDIDATES];
    let mut count = 1_usize;
    for (place, head) in fitting {
        let is_known = |(_, other): &(usize, &KeyHead)| other.fingerprint == head.fingerprint;
        if found.iter().take(count).any(is_known) {
            continue;
        }
        let space = found.get_mut(count);
        *space.ok_or(Reject::AmbiguousKey { again_in: None })? = (place, head);
        count = count.saturating_add(1);
    }
    Ok(Candidates {
        places: found.map(|(place, _)| place),
        count,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn select(heads: &[KeyHead], kid: Option<&str>) -> Result<Vec<usize>, Reject> {
        let wanted = KeyReference::new(kid, Algorithm::RS256);
        select_keys(heads, &wanted).map(|found| found.places().to_vec())
    }

    fn keys() -> Vec<PublicKey> {
        vec![
            PublicKey::Rsa {
                n: vec![7; 256],
                e: vec![1, 0, 1],
            },
            PublicKey::Rsa {
                n: vec![9; 1024],
                e: vec![3],
            },
            PublicKey::P256(vec![4; 65]),
            PublicKey::P384(vec![4; 97]),
            PublicKey::P521(vec![4; 133]),
            PublicKey::Ed25519(vec![5; 32]),
        ]
    }

    #[test]
    fn every_kind_of_key_survives_the_way_through_a_cache() {
        for key in keys() {
            let alg = Algorithm::ALL
                .into_iter()
                .find(|alg| alg.key_kind() == key.kind());
            let (head, mut material) =
                KeyHead::describe(Some("a"), CertificateTags::NONE, alg, Some(&key));
            material.extend([0xff; 100]);
            assert_eq!(head.key(&material), Some(key));
            assert_eq!(head.alg(), alg);
        }
    }

    #[test]
    fn a_key_that_may_not_verify_keeps_its_kid_only() {
        let (head, material) = KeyHead::describe(Some("a"), CertificateTags::NONE, None, None);
        assert_eq!((head.kind(), head.key(&material)), (None, None));
        assert_eq!(
            select(&[head], Some("a")),
            Err(Reject::KeyUnsuitable { again_in: None })
        );
        assert_eq!(
            select(&[head], Some("b")),
            Err(Reject::UnknownKid { again_in: None })
        );
        assert_eq!(
            select(&[head], None),
            Err(Reject::NoFittingKey { again_in: None })
        );
    }

    #[test]
    fn a_key_without_kid_is_not_found_by_any_kid() {
        let (head, _) = KeyHead::describe(None, CertificateTags::NONE, None, keys().first());
        for kid in ["", "\0", "0"] {
            assert_eq!(
                select(&[head], Some(kid)),
                Err(Reject::UnknownKid { again_in: None })
            );
        }
        assert_eq!(select(&[head], None), Ok(vec![0]));
        assert_eq!(select(&[head, KeyHead::EMPTY], None), Ok(vec![0]));
    }

    /// RSA keys that differ in this byte.
    fn head(kid: Option<&str>, byte: u8) -> KeyHead {
        let key = PublicKey::Rsa {
            n: vec![byte; 256],
            e: vec![1, 0, 1],
        };
        KeyHead::describe(kid, CertificateTags::NONE, None, Some(&key)).0
    }

    #[test]
    fn keys_that_can_not_be_told_apart_are_found_together_up_to_a_bound() {
        let anonymous: Vec<KeyHead> = (0..6).map(|byte| head(None, byte)).collect();
        let twins: Vec<KeyHead> = (0..6).map(|byte| head(Some("a"), byte)).collect();
        for (heads, kid) in [(&anonymous, None), (&twins, None), (&twins, Some("a"))] {
            for count in 1..=MAX_CANDIDATES {
                let found = select(&heads[..count], kid);
                assert_eq!(found, Ok((0..count).collect()));
            }
            for count in [MAX_CANDIDATES + 1, 6] {
                assert_eq!(
                    select(&heads[..count], kid),
                    Err(Reject::AmbiguousKey { again_in: None })
                );
            }
        }
        let (a, b) = (head(None, 1), head(Some("b"), 2));
        let (p256, _) = KeyHead::describe(None, CertificateTags::NONE, None, keys().get(2));
        // What does not fit is passed over, and a key that is there twice counts once, as often as it is there.
        let mixed = [p256, a, KeyHead::EMPTY, b, p256, a, a, b];
        assert_eq!(select(&mixed, None), Ok(vec![1, 3]));
        assert_eq!(select(&mixed, Some("b")), Ok(vec![3]));
        assert_eq!(select(&[a; 20], None), Ok(vec![0]));
    }

    proptest! {
        #[test]
        fn garbage_in_a_cache_makes_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64),
            kind: u8, alg: u8, exponent_bytes: u8, material_bytes: u16) {
            let head = KeyHead { kind, alg, exponent_bytes, material_bytes, ..KeyHead::EMPTY };
            let _ = head.key(&bytes);
            let _ = select(&[head], None);
        }
    }
}
