//! The signed examples of the RFCs: each signature holds, and what is no access token is refused
//! all the same.

use crate::rfc_vectors::*;
use aws_lc_rs::hmac;
use court::*;
use oauth_core::{Algorithm, Issuer, JwkSet, KeyReference, Policy, PublicKey, Timestamp};
use serde_json::{Value, json};

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A court that accepts every type of token, as these name none or `JWT`, with these keys of the issuer.
fn court(jwks: &[&str]) -> Court {
    let jwks: Vec<Value> = jwks.iter().map(|jwk| parsed(jwk)).collect();
    Court::new()
        .policy(|policy| policy.token_types("at+jwt, JWT, -".parse().unwrap()))
        .keys(&jwks)
        .at(Timestamp::from_unix_seconds(1_300_819_000))
}

/// The token with each bit of this part flipped in turn.
fn flips(text: &str, part: usize) -> impl Iterator<Item = String> {
    let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
    let bytes = from_base64url(&parts[part]).unwrap();
    (0..bytes.len() * 8).map(move |bit| {
        let (mut parts, mut bytes) = (parts.clone(), bytes.clone());
        bytes[bit / 8] ^= 1 << (bit % 8);
        parts[part] = base64url(bytes);
        parts.join(".")
    })
}

/// The signature of a vector holds if the verdict is not about it, and any flipped bit brings it up.
#[track_caller]
fn assert_holds(court: &Court, text: &str, expected: &str) {
    assert_eq!(court.verdict_on_text(text), expected);
    for part in [1, 2] {
        for flipped in flips(text, part).step_by(7) {
            assert_eq!(court.verdict_on_text(&flipped), "bad_signature");
        }
    }
}

#[test]
fn rfc_7515_a1_hs256_is_refused_although_its_mac_is_right() {
    let (message, signature) = JWS_A1.rsplit_once('.').unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &from_base64url(JWS_A1_SECRET).unwrap());
    hmac::verify(
        &key,
        message.as_bytes(),
        &from_base64url(signature).unwrap(),
    )
    .unwrap();
    let secret = json!({"kty": "oct", "k": JWS_A1_SECRET}).to_string();
    assert_eq!(
        court(&[&secret, JWS_A2_JWK]).verdict_on_text(JWS_A1),
        "alg_not_allowed"
    );
}

#[test]
fn rfc_7515_a2_rs256_verifies() {
    // Its issuer is "joe".
    assert_holds(&court(&[JWS_A2_JWK]), JWS_A2, "iss_mismatch");
    assert_holds(
        &court(&[JWS_A3_JWK, JWS_A2_JWK, JWS_A4_JWK, ED25519_JWK]),
        JWS_A2,
        "iss_mismatch",
    );
    assert_eq!(
        court(&[JWS_A3_JWK]).verdict_on_text(JWS_A2),
        "no_fitting_key"
    );
    assert_eq!(
        court(&[COOKBOOK_RSA_JWK]).verdict_on_text(JWS_A2),
        "bad_signature"
    );
}

#[test]
fn rfc_7515_a3_es256_verifies() {
    assert_holds(&court(&[JWS_A3_JWK]), JWS_A3, "iss_mismatch");
    let only_rsa = court(&[JWS_A2_JWK]);
    assert_eq!(only_rsa.verdict_on_text(JWS_A3), "no_fitting_key");
}

#[test]
fn rfc_7515_examples_are_refused_for_their_lack_of_a_type_by_default() {
    for text in [JWS_A2, JWS_A3] {
        let court = Court::new().keys(&[parsed(JWS_A2_JWK), parsed(JWS_A3_JWK)]);
        assert_eq!(court.verdict_on_text(text), "typ_not_allowed");
    }
}

#[test]
fn rfc_7515_a4_and_rfc_7520_4_3_es512_verify() {
    // The payload of RFC 7515 A.4 is not JSON.
    for (jwk, text, expected) in [
        (JWS_A4_JWK, JWS_A4, "claims_malformed"),
        (COOKBOOK_EC_JWK, COOKBOOK_4_3, "claims_malformed"),
    ] {
        assert_holds(&court(&[jwk]), text, expected);
        let only_p256 = court(&[JWS_A3_JWK]);
        let verdict = only_p256.verdict_on_text(text);
        assert!(
            ["no_fitting_key", "unknown_kid"].contains(&verdict),
            "{verdict}"
        );
    }
}

#[test]
fn rfc_7515_a5_unsecured_and_appendix_e_are_refused() {
    for text in [JWS_A5, JWS_E] {
        assert_eq!(
            court(&[JWS_A2_JWK]).verdict_on_text(text),
            "alg_not_allowed"
        );
    }
    // The example of appendix E with an algorithm that is accepted.
    let crit = json!(["http://example.com/UNDEFINED"]);
    let token = good_token()
        .header("crit", crit)
        .header("http://example.com/UNDEFINED", true);
    assert_eq!(verdict(&token), "crit_unsupported");
}

#[test]
fn rfc_7515_appendix_f_detached_content_is_refused() {
    for text in [JWS_A2, JWS_A3] {
        let parts: Vec<&str> = text.split('.').collect();
        let detached = format!("{}..{}", parts[0], parts[2]);
        assert_eq!(
            court(&[JWS_A2_JWK, JWS_A3_JWK]).verdict_on_text(&detached),
            "bad_signature"
        );
    }
}

#[test]
fn rfc_7517_a1_key_set_has_one_key_for_signatures() {
    let set = JwkSet::parse(JWK_A1.as_bytes()).unwrap();
    let [ec, rsa] = set.keys() else {
        panic!("not two keys")
    };
    assert_eq!((ec.kid(), ec.public_key()), (Some("1"), None));
    assert_eq!(
        (rsa.kid(), rsa.alg()),
        (Some("2011-04-29"), Some(Algorithm::RS256))
    );
    let Some(PublicKey::Rsa { n, e }) = rsa.public_key() else {
        panic!("not an RSA key")
    };
    assert_eq!((n.len(), &e[..]), (256, &[1, 0, 1][..]));
    assert!(
        set.select(&KeyReference::new(Some("2011-04-29"), Algorithm::RS256))
            .is_ok()
    );
    assert!(
        set.select(&KeyReference::new(None, Algorithm::RS256))
            .is_ok()
    );
    for (kid, alg, code) in [
        (Some("1"), Algorithm::ES256, "key_unsuitable"),
        (None, Algorithm::ES256, "no_fitting_key"),
        (Some("2011-04-29"), Algorithm::PS256, "key_unsuitable"),
        (Some("2"), Algorithm::RS256, "unknown_kid"),
    ] {
        assert_eq!(
            set.select(&KeyReference::new(kid, alg)).unwrap_err().code(),
            code,
            "{kid:?}"
        );
    }
}

#[test]
fn rfc_7520_4_1_rs256_and_4_2_ps384_verify() {
    // What is signed is a sentence, and no claims.
    assert_holds(
        &court(&[COOKBOOK_RSA_JWK]),
        COOKBOOK_4_1,
        "claims_malformed",
    );
    assert_holds(
        &court(&[COOKBOOK_RSA_JWK]),
        COOKBOOK_4_2,
        "claims_malformed",
    );
    let text = COOKBOOK_4_1.split('.').nth(1).unwrap();
    let sentence = String::from_utf8(from_base64url(text).unwrap()).unwrap();
    assert!(sentence.starts_with("It’s a dangerous business, Frodo"));
}

#[test]
fn rfc_7520_5_6_encrypted_content_is_refused() {
    assert_eq!(
        court(&[COOKBOOK_RSA_JWK]).verdict_on_text(COOKBOOK_5_6),
        "encrypted_jwt"
    );
}

#[test]
fn rfc_8037_a4_eddsa_verifies() {
    assert_holds(&court(&[ED25519_JWK]), ED25519_A4, "claims_malformed");
}

/// RFC 9068 §3, figure 2: the header and the claims, in their words.
const ACCESS_TOKEN_HEADER: &str = r#"{"typ":"at+JWT","alg":"RS256","kid":"RjEwOwOA"}"#;
const ACCESS_TOKEN_CLAIMS: &str = r#"{
     "iss": "https://authorization-server.example.com/",
     "sub": "5ba552d67",
     "aud":   "https://rs.example.com/",
     "exp": 1639528912,
     "iat": 1618354090,
     "jti" : "dbe39bf3a3ba4238a513f51d6e1691c4",
     "client_id": "s6BhdRkqt3",
     "scope": "openid profile reademail"
   }"#;

/// The token of RFC 9068 §3, and the court that its resource server would be.
fn access_token() -> (Token, Court) {
    let key = Key::new(KeyKind::Rsa).with_kid("RjEwOwOA");
    let issuer = Issuer::parse("https://authorization-server.example.com/").unwrap();
    let policy = Policy::builder(issuer)
        .audience("https://rs.example.com/".parse().unwrap())
        .required_scopes("openid profile reademail")
        .client_ids("s6BhdRkqt3".parse().unwrap())
        .max_token_age(Some(seconds(3600)))
        .build()
        .unwrap();
    let court = Court::new()
        .keys(&[key.jwk()])
        .policy_of(policy)
        .at(Timestamp::from_unix_seconds(1_618_354_090));
    (
        token_by(&key)
            .raw_header(ACCESS_TOKEN_HEADER)
            .raw_claims(ACCESS_TOKEN_CLAIMS),
        court,
    )
}

#[test]
fn rfc_9068_access_token_is_accepted() {
    let (token, court) = access_token();
    let decision = court.judge(&token.encode());
    assert_eq!(verdict_of(&decision), GRANTED);
    assert_eq!(decision.authn_id(), Some("5ba552d67"));
    let grant = decision.outcome().unwrap();
    assert_eq!(
        grant.expires_at(),
        Timestamp::from_unix_seconds(1_639_528_912)
    );
    assert_eq!(grant.claims()["jti"], "dbe39bf3a3ba4238a513f51d6e1691c4");
}

#[test]
fn rfc_9068_access_token_is_refused_without_a_required_claim() {
    let (token, court) = access_token();
    for (claim, expected) in [
        ("iss", "iss_missing"),
        ("exp", "exp_missing"),
        ("aud", "aud_missing"),
        ("sub", "identity_missing"),
        ("client_id", "client_missing"),
        ("iat", "iat_missing"),
        ("scope", "insufficient_scope"),
        // RFC 9068 §2.2 has the issuer put it in; §4 does not have the resource server look for it.
        ("jti", GRANTED),
    ] {
        let mut claims = parsed(ACCESS_TOKEN_CLAIMS);
        claims.as_object_mut().unwrap().remove(claim).unwrap();
        let token = token.clone().raw_claims(claims.to_string());
        assert_eq!(court.verdict(&token), expected, "{claim}");
    }
    for typ in [json!("JWT"), json!("at"), json!("")] {
        let mut header = parsed(ACCESS_TOKEN_HEADER);
        header["typ"] = typ;
        let token = token.clone().raw_header(header.to_string());
        assert_eq!(court.verdict(&token), "typ_not_allowed");
    }
}
