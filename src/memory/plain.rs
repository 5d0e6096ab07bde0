//! Small pieces of plain data that several parts of the shared memory have.

use oauth_core::{LayoutDigest, PackedUnavailable, Unavailable, layout_of};

/// Number of bytes that are kept of a URL, and of the description of a failure.
pub const TEXT_BYTES: usize = 512;

/// Which version of a file was read: its size, times of change and inode. All zero: none.
pub type FileVersion = [i64; 4];

/// The last failure, in a form that other processes can report.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct StoredFailure {
    /// As `PackedUnavailable` has it; 0: none.
    pub code: u8,
    pub message: FixedText,
    pub url: FixedText,
}

/// A text that is cut at the end of its space.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct FixedText<const BYTES: usize = TEXT_BYTES> {
    length: u16,
    bytes: [u8; BYTES],
}

/// What all this looks like in memory.
pub const fn layout(digest: LayoutDigest) -> LayoutDigest {
    digest
        .numbers(layout_of!(StoredFailure { code, message, url }))
        .numbers(layout_of!(FixedText { length, bytes }))
}

impl StoredFailure {
    pub fn note(&mut self, failure: &PackedUnavailable) {
        self.code = failure.code;
        self.message.set(&failure.message);
        self.url.set(&failure.url);
    }

    pub fn report(&self) -> Option<Unavailable> {
        Unavailable::unpack(self.code, self.url.get(), self.message.get())
    }
}

impl<const BYTES: usize> FixedText<BYTES> {
    pub const EMPTY: Self = FixedText {
        length: 0,
        bytes: [0; BYTES],
    };

    pub fn set(&mut self, text: &str) {
        let mut length = text.len().min(BYTES);
        while !text.is_char_boundary(length) {
            length -= 1;
        }
        self.bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        self.length = length as u16;
    }

    pub fn get(&self) -> &str {
        let bytes = self
            .bytes
            .get(..usize::from(self.length))
            .unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}
