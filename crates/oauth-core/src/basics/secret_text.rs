//! Secrets in memory: they are overwritten once they are no longer needed.

/// A text with a secret in it, such as a header or a form. It can be neither printed nor copied, is overwritten when it is
/// dropped, and leaves no copy behind where it grows.
#[derive(Default)]
pub struct SecretText(String);

impl SecretText {
    /// These texts, one after the other.
    pub fn of(parts: &[&str]) -> Self {
        let mut text = SecretText::default();
        parts.iter().for_each(|part| text.push_str(part));
        text
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Puts more text behind it.
    pub fn push_str(&mut self, text: &str) {
        let needed = self.0.len().saturating_add(text.len());
        if needed > self.0.capacity() {
            let mut grown = String::with_capacity(needed.saturating_mul(2));
            grown.push_str(&self.0);
            // The shorter one is overwritten here.
            *self = SecretText(grown);
        }
        self.0.push_str(text);
    }
}

impl Drop for SecretText {
    fn drop(&mut self) {
        overwrite(std::mem::take(&mut self.0).into_bytes());
    }
}

/// Drops bytes of a secret, and leaves zeros in their place.
pub fn overwrite(mut bytes: Vec<u8>) {
    bytes.fill(0);
    // Keeps the compiler from leaving out writes that are never read.
    std::hint::black_box(&bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A string that grows by itself would leave what it had where it was.
    #[test]
    fn text_grows_by_a_copy_of_its_own_only() {
        let mut text = SecretText::of(&["abc"]);
        let needed = text.0.capacity() * 3;
        text.push_str(&"x".repeat(needed - 3));
        assert!(text.0.capacity() >= needed * 2, "{}", text.0.capacity());
        // What fits stays where it is.
        let before = text.0.as_ptr();
        text.push_str(&"y".repeat(needed));
        assert_eq!(text.0.as_ptr(), before);
    }

    #[test]
    fn text_is_whole_however_it_grows() {
        let mut text = SecretText::of(&["Basic ", "", "\u{e4}"]);
        let mut expected = "Basic \u{e4}".to_owned();
        for n in 0..1000 {
            let part = n.to_string();
            text.push_str(&part);
            expected.push_str(&part);
            assert_eq!(text.expose(), expected);
        }
    }
}
