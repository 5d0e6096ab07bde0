//! The token as the client sent it.

/// A bearer token as it came from the client: a secret, so it can be neither printed nor copied.
pub struct Bearer<'a>(&'a str);

impl<'a> Bearer<'a> {
    /// Takes the token's text, without the word `Bearer`.
    pub const fn new(token: &'a str) -> Self {
        Bearer(token)
    }

    /// The token's text, for code that sends or digests it. It must never be logged.
    pub fn expose(&self) -> &'a str {
        self.0
    }
}
