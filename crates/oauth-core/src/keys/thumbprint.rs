//! RFC 7638: the name of a key by its content, which does not give the key away.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::basics::digest::sha256;
use crate::keys::public_key::PublicKey;

impl PublicKey {
    /// RFC 7638 §3, with RFC 8037 §2: the SHA-256 thumbprint, base64url-encoded. `None`: the material is not a key.
    pub fn thumbprint(&self) -> Option<String> {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let kty = self.kty();
        // RFC 7638 §3.3: the required members alone, in the order of their names, without white space.
        let members = match self {
            PublicKey::Rsa { n, e } => {
                format!(
                    r#"{{"e":"{}","kty":"{kty}","n":"{}"}}"#,
                    encode(e),
                    encode(n)
                )
            }
            PublicKey::P256(point) => ec_members("P-256", point)?,
            PublicKey::P384(point) => ec_members("P-384", point)?,
            PublicKey::P521(point) => ec_members("P-521", point)?,
            PublicKey::Ed25519(x) => {
                format!(r#"{{"crv":"Ed25519","kty":"{kty}","x":"{}"}}"#, encode(x))
            }
        };
        Some(encode(&sha256(&[members.as_bytes()])))
    }
}

/// RFC 7518 §6.2.1: the two coordinates of an uncompressed point, of full length each.
fn ec_members(crv: &str, point: &[u8]) -> Option<String> {
    let coordinates = point.strip_prefix(&[4])?;
    let (x, y) = coordinates.split_at_checked(coordinates.len().div_euclid(2))?;
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    Some(format!(
        r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::jwk::JwkSet;

    fn thumbprint_of(jwk: &str) -> Option<String> {
        let set = JwkSet::parse(format!(r#"{{"keys":[{jwk}]}}"#).as_bytes()).unwrap();
        set.keys().first()?.public_key()?.thumbprint()
    }

    #[test]
    fn thumbprints_are_those_of_the_rfcs() {
        // RFC 7638 §3.1.
        let rsa = r#"{"kty":"RSA","e":"AQAB","alg":"RS256","kid":"2011-04-29","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}"#;
        assert_eq!(
            thumbprint_of(rsa).unwrap(),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
        // RFC 8037 appendix A.3.
        let ed25519 =
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        assert_eq!(
            thumbprint_of(ed25519).unwrap(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    #[test]
    fn coordinates_of_a_point_are_told_apart() {
        let point = |bytes: usize| [vec![4], vec![1; bytes], vec![2; bytes]].concat();
        let p256 = PublicKey::P256(point(32)).thumbprint();
        let members = format!(
            r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
            URL_SAFE_NO_PAD.encode([1; 32]),
            URL_SAFE_NO_PAD.encode([2; 32])
        );
        let digest = sha256(&[members.as_bytes()]);
        assert_eq!(p256, Some(URL_SAFE_NO_PAD.encode(digest)));
        assert_ne!(p256, PublicKey::P384(point(48)).thumbprint());
        let p521 = PublicKey::P521(point(66)).thumbprint();
        let members = members
            .replace("P-256", "P-521")
            .replace(
                &URL_SAFE_NO_PAD.encode([1; 32]),
                &URL_SAFE_NO_PAD.encode([1; 66]),
            )
            .replace(
                &URL_SAFE_NO_PAD.encode([2; 32]),
                &URL_SAFE_NO_PAD.encode([2; 66]),
            );
        let digest = sha256(&[members.as_bytes()]);
        assert_eq!(p521, Some(URL_SAFE_NO_PAD.encode(digest)));
        assert_eq!(PublicKey::P256(vec![2; 33]).thumbprint(), None);
        assert_eq!(PublicKey::P256(Vec::new()).thumbprint(), None);
    }
}
