//! Faults of a notice, in addition to those that it shares with access tokens.

use crate::basics::printable::Printable;
use crate::failure::causes::causes;

causes! {
    /// A fault of a logout token or a security event token: one variant for each cause. The texts have nothing that came
    /// with it.
    pub enum NoticeFault {
        /// OpenID Connect Back-Channel Logout 1.0 §2.4, RFC 8417 §2.2: `jti` is required.
        JtiMissing = "jti_missing", "token identifier is missing";
        /// RFC 7519 §4.1.7: `jti` is a string; here one that is not empty, and has at most 255 bytes.
        JtiMalformed = "jti_malformed", "token identifier is not a string of 1 to 255 bytes";
        /// RFC 8417 §2.2: `events` is required.
        EventsMissing = "events_missing", "events are missing";
        /// RFC 8417 §2.2: `events` is an object of at least one object, whose name says what has happened.
        EventsMalformed = "events_malformed", "events are not an object of objects";
        /// OpenID Connect Back-Channel Logout 1.0 §2.6: the event must be a back-channel logout.
        NotALogout = "not_a_logout", "token does not have the event of a back-channel logout";
        /// OpenID Connect Back-Channel Logout 1.0 §2.4: a `nonce` is prohibited, so that no ID token is taken for this.
        NonceProhibited = "nonce_prohibited", "a logout token must not have a nonce";
        /// OpenID Connect Back-Channel Logout 1.0 §2.4, RFC 9493 §3: nothing says who or what it is about.
        SubjectMissing = "subject_missing", "token names neither a user nor a session";
        /// OpenID Connect Back-Channel Logout 1.0 §2.4, RFC 9493 §3.2: a member that names the subject is not a string, is
        /// empty, or has a NUL.
        SubjectMalformed = "subject_malformed", "subject is malformed";
        /// RFC 9493 §3.2: the subject is named in a way that cannot name a session or its user.
        SubjectUnsupported {
            /// How it is named.
            format: Printable,
        } = "subject_unsupported", "subject is in a format that names neither a user nor a session";
        /// RFC 9493 §3.2.3: the subject is another issuer's.
        SubjectOfAnother {
            /// Whose.
            iss: Printable,
        } = "subject_of_another_issuer", "subject is a user of another issuer";
    }
}
