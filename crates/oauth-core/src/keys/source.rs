//! Where keys come from: passed in, so that a judgement needs no network.

use crate::failure::Failure;
use crate::failure::reject::Reject;
use crate::keys::algorithm::Algorithm;
use crate::keys::certificate_tags::CertificateTags;
use crate::keys::public_key::PublicKey;

/// What a token's header says about the key that it is signed with (RFC 7515 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyReference<'a> {
    /// RFC 7515 §4.1.1: what the key has to be for.
    pub alg: Algorithm,
    /// RFC 7515 §4.1.4: the key's name; `None` if the token names none.
    pub kid: Option<&'a str>,
    /// RFC 7515 §4.1.7, §4.1.8: the key's certificate, which counts where there is no `kid`.
    pub certificate: CertificateTags,
}

impl<'a> KeyReference<'a> {
    /// Of a token with this `kid` and `alg`.
    pub fn new(kid: Option<&'a str>, alg: Algorithm) -> Self {
        KeyReference {
            alg,
            kid,
            certificate: CertificateTags::NONE,
        }
    }
}

/// The keys that a token may be signed with: one, unless the provider's set leaves open which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundKeys {
    first: PublicKey,
    /// Empty, and then without memory of its own, for almost every token.
    others: Vec<PublicKey>,
    cached: Option<u64>,
}

impl FoundKeys {
    /// This key and no other.
    pub fn one(key: PublicKey) -> Self {
        FoundKeys {
            first: key,
            others: Vec::new(),
            cached: None,
        }
    }

    /// One of these; `None` if there are none.
    pub fn one_of(keys: impl IntoIterator<Item = PublicKey>) -> Option<Self> {
        let mut keys = keys.into_iter();
        let first = keys.next()?;
        let others = keys.collect();
        Some(FoundKeys {
            first,
            others,
            cached: None,
        })
    }

    /// The same keys, as those of the answer of this number, which the source had before it was asked for them.
    pub fn cached_as(self, answer: u64) -> Self {
        FoundKeys {
            cached: Some(answer),
            ..self
        }
    }

    /// The answer of the provider's that they are from, if the source had it before: it may be out of date.
    pub fn cached(&self) -> Option<u64> {
        self.cached
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

/// Finds the key that verifies a token. Asked only for tokens whose structure and header are acceptable.
pub trait KeySource {
    /// The keys of the policy's issuer that a token with this header may be signed with, at most
    /// [`MAX_CANDIDATES`](crate::MAX_CANDIDATES).
    ///
    /// Errors: a `Reject` if the issuer has no such key, `Unavailable` if its keys are not available.
    fn find_keys(&self, wanted: &KeyReference<'_>) -> Result<FoundKeys, Failure>;

    /// The keys once more, after none of these has verified the token: the provider may have replaced one under its name.
    ///
    /// Errors: `Reject::BadSignature` if there are no newer ones, or it is too early to ask for them.
    fn find_newer_keys(
        &self,
        wanted: &KeyReference<'_>,
        tried: &FoundKeys,
    ) -> Result<FoundKeys, Failure> {
        let _ = (wanted, tried);
        Err(Reject::BadSignature { again_in: None }.into())
    }
}
