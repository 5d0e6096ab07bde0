//! A digest of what plain data looks like in memory, and of what its numbers mean: two versions of the software that lay
//! it out differently must never share memory.

/// A digest (FNV-1a) that is computed when the software is compiled. It keeps accidents apart, not attackers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayoutDigest(u64);

impl LayoutDigest {
    /// Of nothing.
    pub const NEW: LayoutDigest = LayoutDigest(0xcbf2_9ce4_8422_2325);

    /// Together with some bytes.
    const fn bytes(self, mut bytes: &[u8]) -> LayoutDigest {
        let mut hash = self.0;
        while let Some((byte, rest)) = bytes.split_first() {
            hash = (hash ^ *byte as u64).wrapping_mul(0x0100_0000_01b3);
            bytes = rest;
        }
        LayoutDigest(hash)
    }

    /// Together with a text.
    pub const fn text(self, text: &str) -> LayoutDigest {
        // A text has no such byte, so that two lists never look alike.
        self.bytes(text.as_bytes()).bytes(&[0xff])
    }

    /// Together with texts in their order.
    pub const fn texts(self, mut texts: &[&str]) -> LayoutDigest {
        let mut digest = self;
        while let Some((text, rest)) = texts.split_first() {
            digest = digest.text(text);
            texts = rest;
        }
        digest.bytes(&[0xfe])
    }

    /// Together with numbers: sizes, and offsets of fields.
    pub const fn numbers(self, mut numbers: &[usize]) -> LayoutDigest {
        let mut digest = self;
        while let Some((number, rest)) = numbers.split_first() {
            digest = digest.bytes(&number.to_le_bytes());
            numbers = rest;
        }
        digest.bytes(&[0xfd])
    }

    /// The digest as a number.
    pub const fn value(self) -> u64 {
        self.0
    }
}

/// The size of a structure, and the offsets of all its fields: a field that is not listed is an error of compilation.
#[macro_export]
macro_rules! layout_of {
    ($type:ident { $($field:ident),+ $(,)? }) => {{
        const _: fn(&$type) = |value| {
            let $type { $($field: _),+ } = value;
        };
        &[size_of::<$type>(), $(::core::mem::offset_of!($type, $field)),+]
    }};
}

pub(crate) use layout_of;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_depends_on_every_part_and_on_the_order() {
        let new = LayoutDigest::NEW;
        let digests = [
            new,
            new.texts(&[]),
            new.texts(&["a", "b"]),
            new.texts(&["b", "a"]),
            new.texts(&["ab"]),
            new.texts(&["a"]).texts(&["b"]),
            new.text("a").text("b"),
            new.numbers(&[1, 2]),
            new.numbers(&[2, 1]),
            new.numbers(&[1]).numbers(&[2]),
            new.text("0.1.0"),
            new.text("0.1.1"),
        ];
        for (n, digest) in digests.iter().enumerate() {
            let is_same = |other: &LayoutDigest| other.value() == digest.value();
            assert!(!digests.iter().take(n).any(is_same), "{n}");
        }
        assert_eq!(new.text("a").value(), new.text("a").value());
    }
}
