//! Keys and tokens of every shape, good and bad, for tests. What goes wrong in here panics with a message.

mod encoding;
mod key;
mod mint;

pub use encoding::{base64url, from_base64url};
pub use key::{Alg, Key, KeyKind};
pub use mint::{SignatureFault, Token, now, random_text};
