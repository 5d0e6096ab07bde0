//! Faults of the identity provider, or of the way to it.

use std::fmt;
use std::time::Duration;

use crate::basics::printable::Printable;
use crate::failure::causes::causes;

/// A fault of the identity provider, or of the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// What was asked for: the URL.
    pub url: Printable,
    /// What went wrong.
    pub cause: UnavailableCause,
}

/// What the provider is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// The issuer's metadata.
    Metadata,
    /// The issuer's keys.
    Keys,
    /// What the provider says of a token.
    Introspection,
}

causes! {
    /// What went wrong in asking the provider.
    pub enum UnavailableCause {
        /// No answer within the time allowed.
        Timeout = "timeout", "no answer in time";
        /// The host name did not resolve.
        NameResolution = "name_resolution", "host name does not resolve";
        /// No connection, or it broke.
        Connection(why: Printable) = "connection", "connection failed: {why}";
        /// The TLS handshake failed in another way than those below.
        Tls(why: Printable) = "tls", "TLS failed: {why}";
        /// RFC 5280 §6.1: the certificate leads to no authority that is trusted.
        TlsUntrusted
            = "tls_untrusted", "TLS failed: certificate is of an authority that is not trusted";
        /// No authority is trusted at all, since the system has none.
        TlsNoAuthorities
            = "tls_no_authorities", "TLS failed: this system has no certificate authorities";
        /// RFC 5280 §4.2.1.9: the certificate is an authority's, which must not stand for a server.
        TlsAuthorityAsServer
            = "tls_ca_certificate", "TLS failed: certificate is that of an authority (CA:TRUE), not of a server";
        /// RFC 5280 §4.1.2.1: only version 3 has extensions.
        TlsVersion
            = "tls_certificate_version", "TLS failed: certificate is of another X.509 version than 3";
        /// RFC 9525 §2: hosts are named in subjectAltName only.
        TlsNameMissing
            = "tls_name_missing", "TLS failed: certificate names no host (it has no subjectAltName)";
        /// RFC 9525 §6: the certificate is for other hosts.
        TlsNameMismatch {
            /// The host that was asked.
            host: Printable,
            /// The names in the certificate.
            names: Printable,
        } = "tls_name_mismatch", "TLS failed: certificate is for {names}, not for {host}";
        /// RFC 5280 §4.1.2.5: the certificate, or one between it and the authority, has expired.
        TlsExpired {
            /// Seconds since then.
            seconds_ago: u64,
        } = "tls_expired", "TLS failed: certificate expired {seconds_ago} s ago";
        /// RFC 5280 §4.1.2.5: the certificate, or one between it and the authority, is not valid yet.
        TlsNotYetValid {
            /// Seconds until then.
            seconds_ahead: u64,
        } = "tls_not_yet_valid", "TLS failed: certificate becomes valid in {seconds_ahead} s";
        /// RFC 8446 §4.1.1: the two sides have no version, cipher or key exchange in common.
        TlsIncompatible(why: Printable)
            = "tls_incompatible", "TLS failed: no version or cipher in common: {why}";
        /// RFC 9110 §15.4: a redirect, which is not followed.
        Redirect {
            /// Which kind.
            status: u16,
            /// Where to, if it says so.
            to: Option<Printable>,
            /// What was asked for.
            document: Document,
        } = "redirect", "answered with redirect {status}{}, which is not followed", leading_to(to);
        /// An HTTP status other than 200.
        Status(status: u16) = "http_status", "answered with HTTP status {status}";
        /// RFC 9110 §10.2.3: too many requests, or a pause, and when to ask again.
        Busy {
            /// An HTTP status.
            status: u16,
            /// Seconds until then.
            seconds: u64,
        } = "busy", "answered with HTTP status {status}, and asks to wait for {seconds} s";
        /// The answer is larger than allowed.
        TooLarge = "too_large", "answer is too large";
        /// The answer is not the JSON document that was asked for.
        Malformed(why: Printable) = "malformed", "answer is malformed: {why}";
        /// OpenID Connect Discovery 1.0 §4.3, RFC 8414 §3.3: the document is another issuer's.
        IssuerMismatch(issuer: Printable)
            = "issuer_mismatch", "discovery document names another issuer: \"{issuer}\"";
        /// A URL in the document that may not be used (not https, or not a URL).
        BadUrl(url: Printable)
            = "bad_url", "discovery document names an unacceptable URL: \"{url}\"";
        /// The key set holds no key that could verify a signature.
        NoUsableKey(why: Printable) = "no_usable_key", "key set has no usable signature key: {why}";
        /// RFC 7662 §2.3: the provider does not accept our client's authentication.
        ClientUnauthorized
            = "introspection_unauthorized", "client credentials of this server are not accepted";
        /// The provider does not let our client ask about tokens.
        ClientForbidden
            = "introspection_forbidden", "this server's client may not introspect tokens";
        /// RFC 7662 §2.2: an answer whose `active` is missing, or not a boolean.
        ActiveMalformed
            = "active_malformed", "introspection response has no boolean \"active\"";
        /// This server could start no thread to ask.
        NoThread(why: Printable) = "no_thread", "could not start a thread to ask it: {why}";
        /// RFC 9110 §8.4: the answer is compressed, although the request accepted no content coding.
        ContentCoding(coding: Printable)
            = "content_coding", "answer has the content coding \"{coding}\", which was not asked for";
        /// The proxy on the way to the provider cannot be reached, or does not let this server through.
        Proxy {
            /// Its URL.
            proxy: Printable,
            /// What went wrong.
            why: Printable,
        } = "proxy_failed", "proxy {proxy} failed: {why}";
        /// RFC 9110 §15.5.8: the proxy demands credentials, or others than it was given.
        ProxyUnauthorized {
            /// Its URL.
            proxy: Printable,
            /// What it answered.
            status: u16,
        } = "proxy_unauthorized", "proxy {proxy} does not accept this server's credentials (status {status})";
    }
    passed on as
    /// Another login has asked, and this is how it failed.
    Reported;
}

/// Characters of the target of a redirect that are shown: a setting may need all of them.
const MAX_TARGET_CHARS: usize = 400;

fn leading_to(target: &Option<Printable>) -> String {
    target
        .as_ref()
        .map_or_else(String::new, |target| format!(" to {target}"))
}

/// Names of a certificate that are shown.
const MAX_NAMES: usize = 50;

impl UnavailableCause {
    /// A redirect to this URL.
    pub(crate) fn redirect(status: u16, to: Option<&str>, document: Document) -> Self {
        let to = to.map(|to| Printable::up_to(MAX_TARGET_CHARS, to));
        UnavailableCause::Redirect {
            status,
            to,
            document,
        }
    }

    /// A certificate that is for these names, and not for the host.
    pub fn name_mismatch<'a>(host: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names = names.into_iter();
        let shown = names.by_ref().take(MAX_NAMES);
        let mut shown: Vec<_> = shown.map(|n| Printable::new(n).to_string()).collect();
        if names.next().is_some() {
            shown.push("…".to_owned());
        }
        UnavailableCause::TlsNameMismatch {
            host: Printable::new(host),
            // Each was made safe; together they may be longer than one.
            names: Printable::from_printed(&shown.join(", ")),
        }
    }

    /// Whether a TLS handshake failed.
    fn is_tls(&self) -> bool {
        self.code().split('_').next() == Some("tls")
    }

    /// The same, where it is this proxy that was asked.
    pub fn of_proxy(self, proxy: Printable) -> Self {
        match self {
            UnavailableCause::Connection(why) => UnavailableCause::Proxy { proxy, why },
            // Of an answer to CONNECT, 401 can mean nothing else; tinyproxy answers so to a wrong password.
            UnavailableCause::Status(status @ (401 | 407)) => {
                UnavailableCause::ProxyUnauthorized { proxy, status }
            }
            cause => UnavailableCause::Proxy {
                proxy,
                why: Printable::from_printed(&cause.to_string()),
            },
        }
    }

    /// The same, where the provider was asked through this proxy, which may also be what broke the connection.
    pub fn through_proxy(self, proxy: &Printable) -> Self {
        match self {
            UnavailableCause::Connection(why) => {
                let why = format!("{why} (through proxy {proxy})");
                UnavailableCause::Connection(Printable::from_printed(&why))
            }
            cause => cause,
        }
    }

    /// Whether this server could not ask, of which the provider knows nothing.
    pub fn is_ours(&self) -> bool {
        matches!(self, UnavailableCause::NoThread(_))
    }

    /// Whether the endpoint may be at another URL by now.
    pub fn may_have_moved(&self) -> bool {
        matches!(
            self,
            UnavailableCause::NameResolution
                | UnavailableCause::TlsNameMismatch { .. }
                | UnavailableCause::Redirect { .. }
                | UnavailableCause::Status(404 | 405 | 410)
        )
    }

    /// Whether the endpoint may not answer any request. Other failures depend on the request: an endpoint that answers 500
    /// to one token may answer the next one.
    pub fn is_outage(&self) -> bool {
        // Told by another process, it is known of the endpoint already.
        let is_reported = matches!(self, UnavailableCause::Reported { .. });
        !is_reported && self.is_tls()
            || matches!(
                self,
                UnavailableCause::Timeout
                | UnavailableCause::NameResolution
                | UnavailableCause::Connection(_)
                | UnavailableCause::Busy { .. }
                | UnavailableCause::Proxy { .. }
                | UnavailableCause::ProxyUnauthorized { .. }
                // RFC 9110 §15.6, RFC 6585 §4: what is before the provider's server, or asks for a pause.
                | UnavailableCause::Status(429 | 502 | 503 | 504)
            )
    }
}

/// A failure as plain data, by which one process tells others how its request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedUnavailable {
    /// Not zero; stands for the code of the cause.
    pub code: u8,
    /// The URL, printable.
    pub url: String,
    /// The message, printable.
    pub message: String,
    /// How long the provider wants to be left alone. It does not go on to other processes: the pause does.
    pub retry_after: Duration,
}

impl Unavailable {
    /// Every code of a cause.
    pub const CAUSES: &'static [&'static str] = UnavailableCause::CODES;

    /// How long the provider wants to be left alone.
    pub fn retry_after(&self) -> Duration {
        match self.cause {
            UnavailableCause::Busy { seconds, .. } => Duration::from_secs(seconds),
            _ => Duration::ZERO,
        }
    }

    /// The failure as plain data.
    pub fn pack(&self) -> PackedUnavailable {
        let code = Self::CAUSES
            .iter()
            .position(|code| *code == self.cause.code());
        PackedUnavailable {
            code: code
                .and_then(|code| u8::try_from(code).ok()?.checked_add(1))
                .unwrap_or(1),
            url: self.url.to_string(),
            message: self.cause.to_string(),
            retry_after: self.retry_after(),
        }
    }

    /// The failure that another process packed, with this code, URL and message.
    pub fn unpack(code: u8, url: &str, message: &str) -> Option<Self> {
        let code = *Self::CAUSES.get(usize::from(code.checked_sub(1)?))?;
        let message = Printable::from_printed(message);
        Some(Unavailable {
            url: Printable::from_printed(url),
            cause: UnavailableCause::Reported { code, message },
        })
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "provider is unavailable: {}", self.cause)
    }
}

impl std::error::Error for Unavailable {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_survives_the_way_to_another_process() {
        for code in Unavailable::CAUSES {
            let message = Printable::new("a \"b\"");
            let cause = UnavailableCause::Reported { code, message };
            let failure = Unavailable {
                url: Printable::new("https://a.example"),
                cause,
            };
            let packed = failure.pack();
            let unpacked = Unavailable::unpack(packed.code, &packed.url, &packed.message);
            assert_eq!(unpacked, Some(failure));
        }
        assert_eq!(Unavailable::unpack(0, "", ""), None);
        assert_eq!(Unavailable::unpack(200, "", ""), None);
    }

    #[test]
    fn every_cause_has_its_code_in_the_list() {
        let text = || Printable::new("");
        for cause in [
            UnavailableCause::Timeout,
            UnavailableCause::NameResolution,
            UnavailableCause::Connection(text()),
            UnavailableCause::Tls(text()),
            UnavailableCause::TlsUntrusted,
            UnavailableCause::TlsNoAuthorities,
            UnavailableCause::TlsAuthorityAsServer,
            UnavailableCause::TlsVersion,
            UnavailableCause::TlsNameMissing,
            UnavailableCause::name_mismatch("", []),
            UnavailableCause::TlsExpired { seconds_ago: 1 },
            UnavailableCause::TlsNotYetValid { seconds_ahead: 1 },
            UnavailableCause::TlsIncompatible(text()),
            UnavailableCause::redirect(302, None, Document::Keys),
            UnavailableCause::Busy {
                status: 429,
                seconds: 1,
            },
            UnavailableCause::Status(500),
            UnavailableCause::TooLarge,
            UnavailableCause::Malformed(text()),
            UnavailableCause::IssuerMismatch(text()),
            UnavailableCause::BadUrl(text()),
            UnavailableCause::NoUsableKey(text()),
            UnavailableCause::ClientUnauthorized,
            UnavailableCause::ClientForbidden,
            UnavailableCause::ActiveMalformed,
            UnavailableCause::ContentCoding(text()),
            UnavailableCause::Proxy {
                proxy: text(),
                why: text(),
            },
            UnavailableCause::ProxyUnauthorized {
                proxy: text(),
                status: 407,
            },
        ] {
            assert!(Unavailable::CAUSES.contains(&cause.code()), "{cause:?}");
        }
    }

    #[test]
    fn all_names_of_a_certificate_are_shown_within_reason() {
        let long = "a".repeat(60);
        let names: Vec<String> = (0..51).map(|n| format!("{long}{n}.example")).collect();
        let text = |count: usize| {
            let names = names.iter().take(count).map(String::as_str);
            UnavailableCause::name_mismatch("idp.example", names).to_string()
        };
        let three = text(3);
        assert!(three.contains(&names[..3].join(", ")), "{three}");
        assert!(three.ends_with(", not for idp.example"), "{three}");
        assert!(text(50).contains(&names[49]) && !text(50).contains('…'));
        assert!(text(51).contains(&names[49]) && text(51).contains(", …, not for"));
        let forged = UnavailableCause::name_mismatch("x", ["a\nLOG:  b"]).to_string();
        assert!(forged.contains("a\\u{a}LOG:  b"), "{forged}");
    }

    #[test]
    fn causes_tell_an_outage_from_another_place_and_from_a_lack_of_our_own() {
        let text = || Printable::new("");
        // Whether it is an outage, and whether the endpoint may have moved.
        for (cause, is_outage, may_have_moved) in [
            (UnavailableCause::Timeout, true, false),
            (UnavailableCause::NameResolution, true, true),
            (UnavailableCause::Connection(text()), true, false),
            (UnavailableCause::Tls(text()), true, false),
            (UnavailableCause::TlsUntrusted, true, false),
            (UnavailableCause::TlsExpired { seconds_ago: 1 }, true, false),
            (UnavailableCause::name_mismatch("", []), true, true),
            (
                UnavailableCause::redirect(302, None, Document::Introspection),
                false,
                true,
            ),
            (UnavailableCause::Status(400), false, false),
            (UnavailableCause::Status(404), false, true),
            (UnavailableCause::Status(405), false, true),
            (UnavailableCause::Status(410), false, true),
            (UnavailableCause::Status(429), true, false),
            (UnavailableCause::Status(500), false, false),
            (UnavailableCause::Status(502), true, false),
            (UnavailableCause::Status(503), true, false),
            (UnavailableCause::Status(504), true, false),
            (UnavailableCause::TooLarge, false, false),
            (UnavailableCause::ClientUnauthorized, false, false),
        ] {
            let told = (cause.is_outage(), cause.may_have_moved());
            assert_eq!(told, (is_outage, may_have_moved), "{cause:?}");
            assert!(!cause.is_ours(), "{cause:?}");
        }
        let ours = UnavailableCause::NoThread(text());
        assert!(ours.is_ours() && !ours.is_outage() && !ours.may_have_moved());
    }

    #[test]
    fn a_proxy_is_told_from_the_provider() {
        let proxy = || Printable::new("http://proxy.example:3128");
        for (cause, code, text) in [
            (
                UnavailableCause::Connection(Printable::new("Connection refused")),
                "proxy_failed",
                "proxy http://proxy.example:3128 failed: Connection refused",
            ),
            (
                UnavailableCause::Timeout,
                "proxy_failed",
                "proxy http://proxy.example:3128 failed: no answer in time",
            ),
            (
                UnavailableCause::Status(503),
                "proxy_failed",
                "proxy http://proxy.example:3128 failed: answered with HTTP status 503",
            ),
            (
                UnavailableCause::Status(407),
                "proxy_unauthorized",
                "proxy http://proxy.example:3128 does not accept this server's credentials (status 407)",
            ),
            (
                UnavailableCause::Status(401),
                "proxy_unauthorized",
                "proxy http://proxy.example:3128 does not accept this server's credentials (status 401)",
            ),
        ] {
            let cause = cause.of_proxy(proxy());
            assert_eq!((cause.code(), cause.to_string().as_str()), (code, text));
            assert!(cause.is_outage());
        }
        let broken = UnavailableCause::Connection(Printable::new("reset"));
        assert_eq!(
            broken.through_proxy(&proxy()).to_string(),
            "connection failed: reset (through proxy http://proxy.example:3128)"
        );
        let other = UnavailableCause::Status(500).through_proxy(&proxy());
        assert_eq!(other, UnavailableCause::Status(500));
    }

    #[test]
    fn a_text_shows_what_was_found() {
        let issuer = Printable::new("https://a.example");
        assert_eq!(
            UnavailableCause::IssuerMismatch(issuer).to_string(),
            "discovery document names another issuer: \"https://a.example\""
        );
        assert_eq!(
            UnavailableCause::redirect(302, None, Document::Keys).to_string(),
            "answered with redirect 302, which is not followed"
        );
        let to = format!("https://a.example/{}\n", "x".repeat(300));
        let redirect = UnavailableCause::redirect(301, Some(&to), Document::Metadata).to_string();
        let shown = to.replace('\n', "\\u{a}");
        assert_eq!(
            redirect,
            format!("answered with redirect 301 to {shown}, which is not followed")
        );
        let long = "x".repeat(10_000);
        let redirect = UnavailableCause::redirect(301, Some(&long), Document::Metadata);
        assert!(redirect.to_string().len() < 500);
    }
}
