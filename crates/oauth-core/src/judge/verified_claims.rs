//! The claims of an accepted token, for decisions after the login.

use serde_json::Value;

use crate::basics::claim_path::ClaimPath;
use crate::basics::json::{Object, ascii_json};

/// The claims of an accepted token, from the verified JWT or the introspection response. Only a grant holds them.
pub struct VerifiedClaims(pub(crate) Object);

impl VerifiedClaims {
    /// All claims as one JSON object, in ASCII.
    pub fn to_json(&self) -> String {
        // Writing to a String does not fail, and a map of strings and values always is JSON.
        ascii_json(&serde_json::to_string(&self.0).unwrap_or_default())
    }

    /// One claim as JSON, in ASCII. `None`: the token has none there.
    pub fn find_json(&self, path: &ClaimPath) -> Option<String> {
        path.find(&self.0)
            .map(Value::to_string)
            .as_deref()
            .map(ascii_json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(json: &str) -> VerifiedClaims {
        VerifiedClaims(crate::basics::json::parse_object(json.as_bytes()).unwrap())
    }

    fn find(json: &str, path: &str) -> Option<String> {
        claims(json).find_json(&path.parse().unwrap())
    }

    #[test]
    fn finds_by_name_and_by_pointer() {
        let json = r#"{"tenant":"acme","a/b":1,"x":{"y":[true,null,{"z":"deep"}]}}"#;
        assert_eq!(find(json, "tenant").unwrap(), r#""acme""#);
        assert_eq!(find(json, "a/b").unwrap(), "1");
        assert_eq!(find(json, "/a~1b").unwrap(), "1");
        assert_eq!(find(json, "/x/y/2/z").unwrap(), r#""deep""#);
        assert_eq!(find(json, "/x/y/1").unwrap(), "null");
        assert_eq!(find(json, "/x/y").unwrap(), r#"[true,null,{"z":"deep"}]"#);
        for missing in ["Tenant", "/tenant/0", "/x/y/3", "x.y", "/x/y/-", "y"] {
            assert_eq!(find(json, missing), None, "{missing}");
        }
    }

    #[test]
    fn json_is_ascii_and_means_the_same() {
        let json = "{\"n\u{e4}me\":\"\u{1f511} \u{202e}\\u0000\\\"\\\\ \u{7f}\"}";
        let ascii = claims(json).to_json();
        assert!(ascii.is_ascii() && !ascii.contains('\0'), "{ascii}");
        assert!(ascii.contains(r"\ud83d\udd11"), "{ascii}");
        assert_eq!(
            serde_json::from_str::<Value>(&ascii).unwrap(),
            serde_json::from_str::<Value>(json).unwrap()
        );
    }
}
