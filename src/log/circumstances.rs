//! What an explanation goes by.

use oauth_core::{Evidence, NearMiss, Policy, Printable, Sketch};

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
    pub findings: Option<&'a Findings>,
}

/// What was looked up once a login was refused, as far as it matters to why.
#[derive(Default)]
pub struct Findings {
    pub keys: Option<KeySet>,
    pub question: Option<Question>,
    pub no_certificate: Option<NoCertificate>,
    pub other_profile: Option<OtherProfile>,
    pub setting: Option<SettingSource>,
    /// When it was looked up, in seconds since 1970.
    pub now: i64,
}

/// The cached keys of the issuer.
pub struct KeySet {
    /// They were read from a file.
    pub is_file: bool,
    /// When they were fetched or read: as people read it, in seconds since 1970, and how many seconds ago.
    pub fetched: String,
    pub fetched_at: i64,
    pub age: i64,
    /// What the last fetch failed with, if it did.
    pub last_error: Option<Printable>,
    /// Seconds by which the provider's clock was ahead of this server's at the last good answer, if it told the time.
    pub clock_ahead: Option<i64>,
}

/// What the provider was asked about the token.
pub struct Question {
    /// Absent where it is not known any more.
    pub url: Option<Printable>,
    /// It is a setting, and not from the metadata.
    pub is_set: bool,
    /// It is at another server than the issuer's metadata.
    pub is_elsewhere: bool,
    /// The client that this server asks as.
    pub client_id: String,
}

/// Why there is no certificate of the client's.
#[derive(Clone, Copy)]
pub enum NoCertificate {
    /// The connection is not encrypted by TLS.
    NoTls,
    /// The server requests none: `ssl_ca_file` is not set.
    NotRequested,
    /// The server requested one, and the client sent none.
    NotSent,
}

/// The profile whose issuer is most like the line's, where no profile applies.
pub struct OtherProfile {
    pub name: &'static str,
    pub issuer: Printable,
    /// By what the issuers differ, if it is only their spelling.
    pub by: Option<NearMiss>,
}

/// Where a setting that cannot be used has its value from.
pub struct SettingSource {
    /// Absent where the files have none, or it may be a secret.
    pub value: Option<Printable>,
    /// The file and its line.
    pub place: Option<(String, i32)>,
    /// What is wrong with the value.
    pub why: Option<Printable>,
    /// What numbers are permitted, with their unit.
    pub range: Option<String>,
    /// The module was loaded at server start.
    pub is_preloaded: bool,
}
