//! Keys that are named by the thumbprints of their certificates, as those of AD FS are.
//!
//! The certificates themselves are never read: a thumbprint is a name that the provider has published along with a key.

use crate::basics::layout::layout_of;

/// Bytes that are kept of a thumbprint. They only tell the keys of one provider apart; the signature decides.
const TAG_BYTES: usize = 8;
/// RFC 7517 §4.8, §4.9: bytes of a SHA-1 and of a SHA-256 thumbprint.
const THUMBPRINT_BYTES: [usize; 2] = [20, 32];

/// The beginnings of the thumbprints `x5t` and `x5t#S256`, of a key or of what a token says about its key. Plain data.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateTags {
    /// All zeros: none.
    tags: [[u8; TAG_BYTES]; 2],
}

/// How a key's thumbprints compare with those that a token names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// They are of one certificate.
    Same,
    /// They are of different ones.
    Different,
    /// One side has none that the other has.
    Open,
}

impl CertificateTags {
    /// The size, and where the fields are.
    pub(crate) const LAYOUT: &[usize] = layout_of!(CertificateTags { tags });

    /// No thumbprint.
    pub const NONE: CertificateTags = CertificateTags {
        tags: [[0; TAG_BYTES]; 2],
    };

    /// Of the decoded values of `x5t` and `x5t#S256`. One that is not a thumbprint is none.
    pub(crate) fn new(x5t: Option<Vec<u8>>, x5t_s256: Option<Vec<u8>>) -> Self {
        let mut all = CertificateTags::NONE;
        let thumbprints = [x5t, x5t_s256].into_iter().zip(THUMBPRINT_BYTES);
        for (tag, (thumbprint, bytes)) in all.tags.iter_mut().zip(thumbprints) {
            let thumbprint = thumbprint.filter(|thumbprint| thumbprint.len() == bytes);
            if let Some(start) = thumbprint.as_ref().and_then(|all| all.first_chunk()) {
                *tag = *start;
            }
        }
        all
    }

    /// Whether there is no thumbprint.
    pub fn is_none(&self) -> bool {
        *self == CertificateTags::NONE
    }

    /// Thumbprints that only one side has say nothing; of the others, all must agree.
    pub(crate) fn compare(&self, other: &CertificateTags) -> Comparison {
        let is_there = |tag: &[u8; TAG_BYTES]| *tag != [0; TAG_BYTES];
        let pairs = self.tags.iter().zip(&other.tags);
        let mut comparable = pairs.filter(|(a, b)| is_there(a) && is_there(b));
        match comparable.next() {
            None => Comparison::Open,
            Some((a, b)) if a == b && comparable.all(|(a, b)| a == b) => Comparison::Same,
            Some(_) => Comparison::Different,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(x5t: u8, x5t_s256: u8) -> CertificateTags {
        let thumbprint = |byte: u8, bytes: usize| (byte != 0).then(|| vec![byte; bytes]);
        CertificateTags::new(thumbprint(x5t, 20), thumbprint(x5t_s256, 32))
    }

    #[test]
    fn what_both_sides_have_must_agree() {
        for (a, b, expected) in [
            (tags(1, 0), tags(1, 0), Comparison::Same),
            (tags(0, 2), tags(1, 2), Comparison::Same),
            (tags(1, 2), tags(1, 2), Comparison::Same),
            (tags(1, 0), tags(3, 0), Comparison::Different),
            (tags(1, 2), tags(1, 3), Comparison::Different),
            (tags(1, 2), tags(3, 2), Comparison::Different),
            (tags(1, 0), tags(0, 1), Comparison::Open),
            (tags(1, 2), tags(0, 0), Comparison::Open),
            (tags(0, 0), tags(0, 0), Comparison::Open),
        ] {
            assert_eq!(a.compare(&b), expected, "{a:?} {b:?}");
            assert_eq!(b.compare(&a), expected, "{a:?} {b:?}");
        }
    }

    #[test]
    fn what_is_no_thumbprint_is_none() {
        for bytes in [0, 1, 19, 21, 32] {
            assert!(CertificateTags::new(Some(vec![1; bytes]), None).is_none());
        }
        for bytes in [0, 20, 31, 33, 64] {
            assert!(CertificateTags::new(None, Some(vec![1; bytes])).is_none());
        }
        assert!(CertificateTags::new(None, None).is_none());
        assert!(!tags(1, 0).is_none() && !tags(0, 1).is_none());
    }
}
