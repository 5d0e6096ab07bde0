//! What the header may say: algorithm, extensions, type, and keys that it must not bring along.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use court::*;
use oauth_core::Algorithm;
use serde_json::{Value, json};

/// The kind of key that signs with this algorithm.
fn kind(alg: Alg) -> KeyKind {
    match alg {
        Alg::ES256 => KeyKind::P256,
        Alg::ES384 => KeyKind::P384,
        Alg::ES512 => KeyKind::P521,
        Alg::EdDSA => KeyKind::Ed25519,
        _ => KeyKind::Rsa,
    }
}

fn verdict_on_typ(accepted: &str, typ: Option<&str>) -> &'static str {
    let token = match typ {
        Some(typ) => good_token().header("typ", typ),
        None => good_token().without_header("typ"),
    };
    Court::new()
        .policy(|policy| policy.token_types(accepted.parse().unwrap()))
        .verdict(&token)
}

#[test]
fn accepts_each_asymmetric_algorithm_with_its_own_signature() {
    for alg in Alg::ASYMMETRIC {
        let key = Key::new(kind(alg));
        let token = token_by(&key).signed_by(&key, alg);
        let court = Court::new().keys(&[key.jwk()]);
        assert_eq!(court.verdict(&token), GRANTED, "{}", alg.name());
    }
}

#[test]
fn accepts_only_the_algorithms_of_the_policy() {
    for alg in Alg::ASYMMETRIC {
        let key = Key::new(kind(alg));
        let token = token_by(&key).signed_by(&key, alg);
        for only in Algorithm::ALL {
            let court = Court::new()
                .keys(&[key.jwk()])
                .policy(|policy| policy.algorithms(only.name().parse().unwrap()));
            let expected = if only.name() == alg.name() {
                GRANTED
            } else {
                "alg_not_allowed"
            };
            assert_eq!(
                court.verdict(&token),
                expected,
                "{} {}",
                alg.name(),
                only.name()
            );
        }
    }
}

#[test]
fn refuses_unsigned_tokens_in_every_spelling() {
    for name in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "none ",
        "",
        "null",
        "unsecured",
    ] {
        let token = good_token().header("alg", name);
        assert_eq!(verdict(&token), "alg_not_allowed", "{name:?}, signed");
        let unsigned = token.signature_fault(SignatureFault::Empty);
        assert_eq!(verdict(&unsigned), "alg_not_allowed", "{name:?}, unsigned");
    }
}

#[test]
fn refuses_hmac_keyed_with_what_is_public_of_the_key() {
    // CVE-2015-9235 and its kin: the public key, taken for a shared secret.
    let key = Key::new(KeyKind::Rsa);
    let der = key.public_der();
    let jwk = key.jwk();
    let lines: Vec<String> = STANDARD
        .encode(&der)
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        lines.join("\n")
    );
    let modulus = jwk["n"].as_str().unwrap();
    let secrets = [
        pem.clone().into_bytes(),
        pem.trim_end().as_bytes().to_vec(),
        der,
        from_base64url(modulus).unwrap(),
        modulus.as_bytes().to_vec(),
        jwk.to_string().into_bytes(),
        Vec::new(),
    ];
    for secret in secrets {
        let token = token_by(&key)
            .header("alg", "HS256")
            .signature_by(&Key::secret(&secret), Alg::HS256);
        for token in [token.clone(), token.without_header("kid")] {
            let court = Court::new().keys(std::slice::from_ref(&jwk));
            assert_eq!(court.verdict(&token), "alg_not_allowed");
        }
    }
}

#[test]
fn refuses_hmac_keyed_with_a_secret_of_the_key_set() {
    let secret = Key::new(KeyKind::Secret);
    let court = Court::new().keys(&[signing_key().jwk(), secret.jwk()]);
    assert_eq!(court.verdict(&token_by(&secret)), "alg_not_allowed");
}

#[test]
fn refuses_algorithms_that_are_unknown_or_spelt_otherwise() {
    for name in [
        "rs256",
        "Rs256",
        "eddsa",
        "EDDSA",
        "es256",
        " EdDSA",
        "EdDSA ",
        "EdDSA\0",
        "EdDSA,RS256",
        "ES521",
        "ES256K",
        "Ed448",
        "HS256",
        "HS384",
        "HS512",
        "RSA-OAEP",
        "RSA1_5",
        "dir",
        "RS1",
        "A256GCM",
        "ML-DSA-44",
        "EdDS\u{410}",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    ] {
        let token = good_token().header("alg", name);
        assert_eq!(verdict(&token), "alg_not_allowed", "{name:?}");
    }
    assert_eq!(
        verdict(&good_token().without_header("alg")),
        "alg_not_allowed"
    );
}

#[test]
fn refuses_crit_in_every_form() {
    // RFC 7515 §4.1.11: no extension is understood, and an empty or mistyped list is an error too.
    let forms = [
        json!([]),
        json!(["exp"]),
        json!(["b64"]),
        json!(["alg"]),
        json!([""]),
        json!([1]),
        json!("exp"),
        json!(null),
        json!(false),
        json!(0),
        json!({}),
    ];
    for crit in forms {
        let token = good_token()
            .header("crit", crit.clone())
            .header("exp", 1)
            .header("b64", false);
        assert_eq!(verdict(&token), "crit_unsupported", "{crit}");
    }
}

#[test]
fn a_default_policy_accepts_the_type_of_rfc_9068_only() {
    for typ in [
        "at+jwt",
        "AT+JWT",
        "at+JWT",
        "application/at+jwt",
        "APPLICATION/At+Jwt",
    ] {
        assert_eq!(verdict_on_typ("at+jwt", Some(typ)), GRANTED, "{typ}");
        assert_eq!(verdict(&good_token().header("typ", typ)), GRANTED, "{typ}");
    }
    let others = [
        "JWT",
        "jwt",
        "application/jwt",
        "",
        " ",
        "-",
        "at",
        "at+jwt ",
        " at+jwt",
        "at+jwt\0",
        "at+jwts",
        "at+jws",
        "x-at+jwt",
        "logout+jwt",
        "dpop+jwt",
        "id_token+jwt",
        "secevent+jwt",
        "JOSE",
        "at jwt",
        "application/",
        "application/application/at+jwt",
        "/at+jwt",
        "text/at+jwt",
        "at+jwt; charset=utf-8",
        "at%2Bjwt",
        "at+\u{237}wt",
        "application /at+jwt",
        "token-introspection+jwt",
        "at+jwt,JWT",
    ];
    for typ in others {
        assert_eq!(
            verdict_on_typ("at+jwt", Some(typ)),
            "typ_not_allowed",
            "{typ:?}"
        );
    }
    assert_eq!(verdict_on_typ("at+jwt", None), "typ_not_allowed");
}

#[test]
fn other_types_are_accepted_where_they_are_listed() {
    for (accepted, typ, expected) in [
        ("JWT", Some("jwt"), GRANTED),
        ("jwt", Some("application/JWT"), GRANTED),
        ("application/jwt", Some("JWT"), GRANTED),
        ("JWT", Some("at+jwt"), "typ_not_allowed"),
        ("JWT", None, "typ_not_allowed"),
        ("-", None, GRANTED),
        ("-", Some("-"), "typ_not_allowed"),
        ("-", Some(""), "typ_not_allowed"),
        ("-", Some("JWT"), "typ_not_allowed"),
        ("at+jwt, JWT, -", None, GRANTED),
        ("at+jwt, JWT, -", Some("JWT"), GRANTED),
        ("at+jwt, JWT, -", Some("logout+jwt"), "typ_not_allowed"),
        ("text/x", Some("TEXT/X"), GRANTED),
        ("text/x", Some("x"), "typ_not_allowed"),
        ("text/x", Some("application/text/x"), "typ_not_allowed"),
    ] {
        assert_eq!(
            verdict_on_typ(accepted, typ),
            expected,
            "{accepted}: {typ:?}"
        );
    }
}

#[test]
fn keys_that_the_header_brings_are_never_used() {
    // CVE-2018-0114 and its kin. RFC 7515 §4.1.2, §4.1.3, §4.1.5, §4.1.6: none of them is looked at.
    let attacker = Key::new(KeyKind::Ed25519).with_kid("key-1");
    let embedded: [(&str, Value); 6] = [
        ("jwk", attacker.jwk()),
        ("jku", json!("https://attacker.example/jwks.json")),
        ("jku", json!(format!("{ISSUER}/../attacker/jwks.json"))),
        ("x5u", json!("https://attacker.example/cert.pem")),
        (
            "x5c",
            json!(
                [STANDARD.encode(from_base64url(attacker.jwk()["x"].as_str().unwrap()).unwrap())]
            ),
        ),
        ("x5t#S256", json!(base64url([1; 32]))),
    ];
    for (name, value) in embedded {
        let forged = token_by(&attacker).header(name, value.clone());
        assert_eq!(
            verdict(&forged),
            "bad_signature",
            "{name}, the issuer's kid"
        );
        assert_eq!(
            verdict(&forged.clone().without_header("kid")),
            "bad_signature",
            "{name}, no kid"
        );
        let other_kid = forged.header("kid", "attacker");
        assert_eq!(
            verdict(&other_kid),
            "unknown_kid",
            "{name}, the attacker's kid"
        );
        // In a genuine token they are of no interest either, whatever their type.
        for value in [value, json!(null), json!(7)] {
            assert_eq!(
                verdict(&good_token().header(name, value)),
                GRANTED,
                "{name}, genuine"
            );
        }
    }
}

#[test]
fn a_kid_is_only_compared() {
    for kid in [
        "../../etc/passwd",
        "/dev/null",
        "https://attacker.example/key",
        "' OR '1'='1",
        "key-1\0",
        "key-1 ",
        "KEY-1",
        "key-1\n",
        "key-1/../key-1",
        "ke\u{79}\u{301}-1",
    ] {
        assert_eq!(
            verdict(&good_token().header("kid", kid)),
            "unknown_kid",
            "{kid:?}"
        );
    }
}

#[test]
fn a_payload_that_is_not_encoded_or_is_compressed_is_not_understood() {
    // RFC 7797 §3 and RFC 7516 §4.1.3: without "crit" neither member changes how a JWS is read.
    let token = good_token().header("b64", false).header("zip", "DEF");
    assert_eq!(verdict(&token), GRANTED);
    let encoded = token.encode();
    let (header, rest) = encoded.split_once('.').unwrap();
    let signature = rest.split_once('.').unwrap().1;
    let claims = String::from_utf8(token.claims_json())
        .unwrap()
        .replace('.', "%");
    let unencoded = format!("{header}.{claims}.{signature}");
    assert_eq!(verdict_on_text(&unencoded), "bad_encoding");
    let deflated = token.raw_claims(*b"\xab\xae\x05\x00");
    assert_eq!(verdict(&deflated), "claims_malformed");
}

#[test]
fn checks_alg_before_crit_before_typ_before_the_key() {
    let token = good_token()
        .header("kid", "unknown")
        .signature_fault(SignatureFault::FlippedBit);
    assert_eq!(verdict(&token), "unknown_kid");
    let token = token.header("typ", "JWT");
    assert_eq!(verdict(&token), "typ_not_allowed");
    let token = token.header("crit", json!(["exp"]));
    assert_eq!(verdict(&token), "crit_unsupported");
    let token = token.header("alg", "none");
    assert_eq!(verdict(&token), "alg_not_allowed");
}
