//! What an explanation goes by.

use oauth_core::{Evidence, Policy, Sketch};

/// What is known of a login besides why it was refused.
#[derive(Clone, Copy, Default)]
pub struct Circumstances<'a> {
    /// Absent where the settings did not allow one.
    pub policy: Option<&'a Policy>,
    pub evidence: Option<&'a Evidence>,
    /// What the token says of itself. None of it is verified.
    pub sketch: Option<&'a Sketch>,
    /// The number of the line of pg_hba.conf that matched.
    pub hba_line: Option<i32>,
    /// The number of a line for the issuer that the token names, where that is not the matched line's.
    pub other_line: Option<i32>,
    /// The token came as a password, through a line of the method `pam`.
    pub is_password: bool,
    /// The name of the profile that applies.
    pub profile: Option<&'a str>,
}
