//! AD FS: its access tokens have another `iss` than its metadata, the identifier of the federation service.

use std::str::FromStr;

use crate::basics::setting::SettingError;

/// Bytes of the longest one.
const MAX_BYTES: usize = 2048;

/// The `iss` of access tokens, where it is not the issuer: a name, which nobody asks as a URL. Empty: none is set.
///
/// ```
/// use oauth_core::AccessTokenIssuer;
/// let set: AccessTokenIssuer = "http://fs.corp.example/adfs/services/trust".parse().unwrap();
/// assert_eq!(set.as_str(), Some("http://fs.corp.example/adfs/services/trust"));
/// assert!("fs.corp.example".parse::<AccessTokenIssuer>().is_err());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessTokenIssuer(Option<String>);

impl AccessTokenIssuer {
    /// The name, if one is set.
    pub fn as_str(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The name that AD FS gives itself unless an administrator changes it: for an issuer `https://HOST/adfs`,
    /// `http://HOST/adfs/services/trust`.
    pub(crate) fn of_adfs(issuer: &str) -> AccessTokenIssuer {
        let host = issuer
            .strip_prefix("https://")
            .and_then(|rest| rest.strip_suffix("/adfs"))
            // The name has no port, so that of an issuer with one is unknown.
            .filter(|host| !host.is_empty() && !host.contains(['/', ':', '@']));
        AccessTokenIssuer(host.map(|host| format!("http://{host}/adfs/services/trust")))
    }

    /// This one, or else another.
    pub(crate) fn or(self, other: impl FnOnce() -> AccessTokenIssuer) -> AccessTokenIssuer {
        match self.0 {
            Some(_) => self,
            None => other(),
        }
    }
}

impl FromStr for AccessTokenIssuer {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        if text.is_empty() {
            return Ok(AccessTokenIssuer(None));
        }
        if text.len() > MAX_BYTES {
            return Err(SettingError::new("it is longer than 2048 bytes"));
        }
        // RFC 7519 §2, StringOrURI: a URI, since it has a colon.
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) || !text.contains(':') {
            return Err(SettingError::new("it is not a URI"));
        }
        Ok(AccessTokenIssuer(Some(text.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_follows_from_the_host_of_a_usual_issuer_alone() {
        let of = |issuer| AccessTokenIssuer::of_adfs(issuer).0;
        assert_eq!(
            of("https://fs.corp.example/adfs").as_deref(),
            Some("http://fs.corp.example/adfs/services/trust")
        );
        for issuer in [
            "http://fs.corp.example/adfs",
            "https://fs.corp.example/adfs/",
            "https://fs.corp.example/ADFS",
            "https://fs.corp.example/x/adfs",
            "https://fs.corp.example",
            "https://fs.corp.example:4443/adfs",
            "https:///adfs",
            "https://a@b/adfs",
            "/adfs",
            "",
        ] {
            assert_eq!(of(issuer), None, "{issuer}");
        }
    }

    #[test]
    fn a_name_is_a_uri_of_bounded_size() {
        let parse = |text: &str| text.parse::<AccessTokenIssuer>();
        assert_eq!(parse(""), Ok(AccessTokenIssuer(None)));
        for good in ["http://fs/adfs/services/trust", "urn:federation:corp"] {
            assert_eq!(parse(good), Ok(AccessTokenIssuer(Some(good.to_owned()))));
        }
        for bad in ["corp", " http://fs", "http://fs\n", "http://f\u{e9}"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        let long = |bytes: usize| format!("urn:{}", "x".repeat(bytes.saturating_sub(4)));
        assert!(parse(&long(MAX_BYTES)).is_ok());
        assert!(parse(&long(MAX_BYTES.saturating_add(1))).is_err());
    }
}
