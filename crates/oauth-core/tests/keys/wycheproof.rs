//! Project Wycheproof's vectors: what attacks on signatures and keys are known, and what good ones look like.
//!
//! Each test lists where our verdict differs from Wycheproof's, and why; a difference that is not listed fails, and
//! so does one that is listed and gone.

use std::collections::BTreeMap;

use court::*;
use oauth_core::{Algorithm, JwkSet, PublicKey};
use serde_json::{Value, json};
use wycheproof::{ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

/// Vectors where our verdict differs, by what they are: `file/comment`, with their count.
type Differences = BTreeMap<String, usize>;

fn differences(expected: &[(&str, usize)]) -> Differences {
    let named = expected
        .iter()
        .map(|(name, count)| ((*name).to_owned(), *count));
    named.collect()
}

/// The groups of one file of raw signatures.
fn groups(data: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(data).unwrap();
    document["testGroups"].as_array().unwrap().clone()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    let padded = format!("{}{text}", "0".repeat(text.len() % 2));
    let digits = |at| u8::from_str_radix(&padded[at..at + 2], 16).unwrap();
    (0..padded.len()).step_by(2).map(digits).collect()
}

/// A coordinate in the size of its field.
fn coordinate(text: &str, bytes: usize) -> String {
    let number = hex(text);
    let digits = number.iter().copied().skip_while(|byte| *byte == 0);
    let digits: Vec<u8> = digits.collect();
    base64url([vec![0; bytes.saturating_sub(digits.len())], digits].concat())
}

fn ec_jwk(key: &Value, crv: &str, bytes: usize) -> Value {
    let (x, y) = (
        coordinate(text(key, "wx"), bytes),
        coordinate(text(key, "wy"), bytes),
    );
    json!({"kty": "EC", "crv": crv, "x": x, "y": y})
}

fn rsa_jwk(key: &Value) -> Value {
    let number = |name| base64url(hex(text(key, name)));
    json!({"kty": "RSA", "n": number("modulus"), "e": number("publicExponent")})
}

/// The key, if it is one that may verify signatures.
fn public_key(jwk: &Value) -> Option<PublicKey> {
    let set = JwkSet::parse(&document(std::slice::from_ref(jwk))).ok()?;
    set.keys()[0].public_key().cloned()
}

/// How many vectors of a group there are, and those where our verdict differs are noted.
fn judge_group(
    file: &str,
    key: Option<&PublicKey>,
    alg: Algorithm,
    group: &Value,
    noted: &mut Differences,
) -> usize {
    let tests = group["tests"].as_array().unwrap();
    for test in tests {
        let signature = base64url(hex(text(test, "sig")));
        let holds = key.is_some_and(|key| key.verifies(alg, &hex(text(test, "msg")), &signature));
        if holds != (text(test, "result") == "valid") {
            let what = format!("{file}/{}/{}", text(test, "result"), text(test, "comment"));
            *noted.entry(what).or_default() += 1;
        }
    }
    tests.len()
}

/// How many vectors of a group there are, which is of another algorithm than these; those that verify are noted.
fn judge_foreign_group(
    file: &str,
    key: &PublicKey,
    algs: &[Algorithm],
    group: &Value,
    noted: &mut Differences,
) -> usize {
    let tests = group["tests"].as_array().unwrap();
    for test in tests {
        let (message, signature) = (hex(text(test, "msg")), base64url(hex(text(test, "sig"))));
        for alg in algs
            .iter()
            .filter(|alg| key.verifies(**alg, &message, &signature))
        {
            assert_eq!(test["result"], "invalid", "{alg:?}: {test}");
            let what = format!("{file}/{}: {}", text(test, "comment"), alg.name());
            *noted.entry(what).or_default() += 1;
        }
    }
    tests.len()
}

#[test]
fn rsa_pkcs1_signatures() {
    use rsa_pkcs1_verify::TestName::*;
    let sets = [
        (Rsa2048Sha256, Algorithm::RS256),
        (Rsa2048Sha384, Algorithm::RS384),
        (Rsa2048Sha512, Algorithm::RS512),
        (Rsa3072Sha256, Algorithm::RS256),
        (Rsa3072Sha384, Algorithm::RS384),
        (Rsa3072Sha512, Algorithm::RS512),
        (Rsa4096Sha256, Algorithm::RS256),
        (Rsa4096Sha384, Algorithm::RS384),
        (Rsa4096Sha512, Algorithm::RS512),
        (Rsa8192Sha256, Algorithm::RS256),
        (Rsa8192Sha384, Algorithm::RS384),
        (Rsa8192Sha512, Algorithm::RS512),
    ];
    let (mut count, mut noted) = (0, Differences::new());
    for (set, alg) in sets {
        for group in groups(set.json_data()) {
            let key = public_key(&rsa_jwk(&group["publicKey"]));
            count += judge_group(&format!("{set:?}"), key.as_ref(), alg, &group, &mut noted);
        }
    }
    assert_eq!((count, noted), (3106, differences(&[])));
}

#[test]
fn rsa_pkcs1_signatures_over_other_digests_verify_nothing() {
    use rsa_pkcs1_verify::TestName::*;
    let algs = [
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
    ];
    let sets = [
        Rsa2048Sha224,
        Rsa2048Sha3_256,
        Rsa2048Sha512_224,
        Rsa2048Sha512_256,
        Rsa3072Sha3_384,
    ];
    let (mut count, mut noted) = (0, Differences::new());
    for set in sets {
        for group in groups(set.json_data()) {
            let key = public_key(&rsa_jwk(&group["publicKey"])).unwrap();
            count += judge_foreign_group(&format!("{set:?}"), &key, &algs, &group, &mut noted);
        }
    }
    // Each of these files has one vector whose fault it is to be a good signature of ours.
    let known: Differences = [
        ("Rsa2048Sha224", "SHA-224"),
        ("Rsa2048Sha3_256", "SHA3-256"),
        ("Rsa2048Sha512_224", "SHA-512/224"),
        ("Rsa2048Sha512_256", "SHA-512/256"),
        ("Rsa3072Sha3_384", "SHA3-384"),
    ]
    .into_iter()
    .flat_map(|(file, own)| {
        ["256", "384", "512"].map(|bits| {
            let what =
                format!("{file}/The message is hashed with SHA-{bits} instead of {own}.: RS{bits}");
            (what, 1)
        })
    })
    .collect();
    assert_eq!((count, noted), (1289, known));
}

#[test]
fn rsa_pss_signatures() {
    let (mut count, mut foreign, mut noted) = (0, 0, Differences::new());
    for set in rsa_pss_verify::TestName::all() {
        for group in groups(set.json_data()) {
            let sizes = (text(&group, "sha"), group["sLen"].as_u64().unwrap());
            // RFC 7518 §3.5: the salt is as long as the digest, and MGF1 uses the same one.
            let alg = match sizes {
                ("SHA-256", 32) => Some(Algorithm::PS256),
                ("SHA-384", 48) => Some(Algorithm::PS384),
                ("SHA-512", 64) => Some(Algorithm::PS512),
                _ => None,
            };
            let same_mgf = group["mgf"] == "MGF1" && group["mgfSha"] == group["sha"];
            let key = public_key(&rsa_jwk(&group["publicKey"]));
            match (alg.filter(|_| same_mgf), key) {
                (Some(alg), key) => {
                    count +=
                        judge_group(&format!("{set:?}"), key.as_ref(), alg, &group, &mut noted);
                }
                (None, Some(key)) => {
                    let algs = [
                        Algorithm::PS256,
                        Algorithm::PS384,
                        Algorithm::PS512,
                        Algorithm::RS256,
                    ];
                    foreign +=
                        judge_foreign_group(&format!("{set:?}"), &key, &algs, &group, &mut noted);
                }
                (None, None) => {}
            }
        }
    }
    // Each of these files has one vector whose fault it is to be a good signature of ours.
    let pkcs1 = [
        "RsaPss2048Sha1Mgf1SaltLen20",
        "RsaPss2048Sha1Mgf1SaltLen20WithParams",
        "RsaPss2048Sha256Mgf1SaltLen0",
        "RsaPss2048Sha256Mgf1SaltLen0WithParams",
        "RsaPss2048Sha256Mgf1Sha1_20",
        "RsaPss2048Sha512Mgf1Sha256SaltLen32WithParams",
        "RsaPss2048Sha512_224Mgf1SaltLen28",
        "RsaPss2048Sha512_256Mgf1SaltLen32",
        "RsaPss2048Shake128",
        "RsaPss2048Shake256",
        "RsaPss3072Shake128",
        "RsaPss3072Shake256",
        "RsaPss4096Sha512Mgf1SaltLen32",
        "RsaPss4096Sha512Mgf1SaltLen32WithParams",
        "RsaPss4096Shake256",
    ]
    .map(|file| format!("{file}/PKCS #1 v1.5 signature with SHA-256: RS256"));
    let salted = [
        "RsaPss2048Sha256Mgf1SaltLen0",
        "RsaPss2048Sha256Mgf1SaltLen0WithParams",
    ]
    .map(|file| format!("{file}/s_len changed to 32: PS256"));
    let known: Differences = pkcs1
        .into_iter()
        .chain(salted)
        .map(|what| (what, 1))
        .collect();
    assert_eq!((count, foreign, noted), (1186, 2311, known));
}

#[test]
fn ecdsa_signatures() {
    use ecdsa::TestName::*;
    let sets = [
        (EcdsaSecp256r1Sha256P1363, Algorithm::ES256, "P-256", 32),
        (EcdsaSecp384r1Sha384P1363, Algorithm::ES384, "P-384", 48),
        (EcdsaSecp521r1Sha512P1363, Algorithm::ES512, "P-521", 66),
    ];
    let (mut count, mut noted) = (0, Differences::new());
    for (set, alg, crv, bytes) in sets {
        for group in groups(set.json_data()) {
            let key = public_key(&ec_jwk(&group["publicKey"], crv, bytes));
            assert!(key.is_some(), "{group}");
            count += judge_group(&format!("{set:?}"), key.as_ref(), alg, &group, &mut noted);
        }
    }
    assert_eq!((count, noted), (860, differences(&[])));
}

#[test]
fn ecdsa_signatures_as_der_or_over_another_digest_verify_nothing() {
    use ecdsa::TestName::*;
    let sets = [
        (EcdsaSecp256r1Sha256, Algorithm::ES256, "P-256", 32),
        (EcdsaSecp256r1Sha512P1363, Algorithm::ES256, "P-256", 32),
        (EcdsaSecp384r1Sha384, Algorithm::ES384, "P-384", 48),
        (EcdsaSecp384r1Sha512P1363, Algorithm::ES384, "P-384", 48),
        (EcdsaSecp521r1Sha512, Algorithm::ES512, "P-521", 66),
    ];
    let (mut count, mut noted) = (0, Differences::new());
    for (set, alg, crv, bytes) in sets {
        for group in groups(set.json_data()) {
            let key = public_key(&ec_jwk(&group["publicKey"], crv, bytes)).unwrap();
            let algs = [alg, Algorithm::EdDSA, Algorithm::RS256];
            count += judge_foreign_group(&format!("{set:?}"), &key, &algs, &group, &mut noted);
        }
    }
    assert_eq!((count, noted), (2180, differences(&[])));
}

#[test]
fn keys_on_other_curves_are_not_used_under_their_own_or_another_name() {
    use ecdsa::TestName::*;
    let sets = [
        (EcdsaSecp256k1Sha256P1363, "secp256k1", 32),
        (EcdsaBrainpool256r1Sha256P1363, "brainpoolP256r1", 32),
        (EcdsaBrainpool384r1Sha384P1363, "brainpoolP384r1", 48),
        (EcdsaSecp521r1Sha512P1363, "secp521r1", 66),
    ];
    for (set, own, bytes) in sets {
        for group in groups(set.json_data()) {
            for crv in [own, "P-256", "P-384", "P-521"] {
                if (set, crv) == (EcdsaSecp521r1Sha512P1363, "P-521") {
                    continue;
                }
                assert_eq!(
                    public_key(&ec_jwk(&group["publicKey"], crv, bytes)),
                    None,
                    "{own} as {crv}"
                );
            }
        }
    }
}

#[test]
fn eddsa_signatures() {
    let (mut count, mut noted) = (0, Differences::new());
    for group in groups(eddsa::TestName::Ed25519.json_data()) {
        let key = public_key(
            &json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(hex(text(&group["publicKey"], "pk")))}),
        );
        count += judge_group(
            "Ed25519",
            key.as_ref(),
            Algorithm::EdDSA,
            &group,
            &mut noted,
        );
    }
    assert_eq!((count, noted), (151, differences(&[])));
    for group in groups(eddsa::TestName::Ed448.json_data()) {
        let x = base64url(hex(text(&group["publicKey"], "pk")));
        for crv in ["Ed448", "Ed25519"] {
            assert_eq!(public_key(&json!({"kty": "OKP", "crv": crv, "x": x})), None);
        }
    }
}

/// JSON Web Signatures and keys. Their payloads are not claims, so that a token whose signature holds is refused for
/// its claims, and every other one for something before them.
#[test]
fn json_web_signatures_and_keys() {
    let groups: Value = serde_json::from_str(include_str!("wycheproof/jws.json")).unwrap();
    let (mut count, mut noted) = (0, BTreeMap::new());
    for group in groups.as_array().unwrap() {
        let key = &group["key"];
        let jwks = key["keys"]
            .as_array()
            .cloned()
            .unwrap_or_else(|| vec![key.clone()]);
        // Beside a key that nobody uses, so that a set whose keys are all unusable can be parsed.
        let beside = Key::new(KeyKind::P384).with_kid("beside").jwk();
        let jwks: Vec<Value> = jwks.into_iter().chain([beside]).collect();
        let court = Court::new()
            .policy(|policy| policy.token_types("at+jwt, JWT, -".parse().unwrap()))
            .keys(&jwks);
        for test in group["tests"].as_array().unwrap() {
            let jws = &test["jws"];
            // The JSON serialization of RFC 7515 §7.2 is an object, and not a token.
            let jws = jws.as_str().map_or_else(|| jws.to_string(), str::to_owned);
            let verdict = court.verdict_on_text(&jws);
            let holds = ["claims_malformed", "iss_missing"].contains(&verdict);
            if holds != (text(test, "result") == "valid") {
                let file = text(group, "file");
                let what = format!(
                    "{file}/{}/{}: {verdict}",
                    text(group, "comment"),
                    text(test, "comment")
                );
                *noted.entry(what).or_default() += 1;
            }
            count += 1;
        }
    }
    let known = differences(&[
        // HMAC is never accepted, however good the MAC.
        ("json_web_crypto/jws_aes/acceptsValid: alg_not_allowed", 1),
        (
            "json_web_crypto/jws_keyset/acceptsValid: alg_not_allowed",
            1,
        ),
        ("json_web_key/HS256/long_key: alg_not_allowed", 1),
        ("json_web_key/HS384/long_key: alg_not_allowed", 1),
        ("json_web_key/HS512/long_key: alg_not_allowed", 1),
        ("json_web_key/jws_keyset/acceptsValid: alg_not_allowed", 1),
        (
            "json_web_signature/base64/ValidEdgeCaseMac: alg_not_allowed",
            2,
        ),
        ("json_web_signature/base64/ValidMac: alg_not_allowed", 1),
        (
            "json_web_signature/base64/ValidSpacesInJsonHeader: alg_not_allowed",
            1,
        ),
        (
            "json_web_signature/base64/ValidWhiteSpaceInJsonHeader: alg_not_allowed",
            1,
        ),
        ("json_web_signature/hs256/acceptsValid: alg_not_allowed", 1),
        ("json_web_signature/rfc7520/Figure35: alg_not_allowed", 2),
        // RFC 7515 §2: characters outside of the alphabet, which other libraries skip.
        (
            "json_web_signature/base64/InvalidCharacterInsertedInHeader: bad_encoding",
            1,
        ),
        (
            "json_web_signature/base64/InvalidCharacterInsertedInPayload: bad_encoding",
            1,
        ),
        // RFC 7517 §4.4: the key is for PS256, and the signature is PS384.
        ("json_web_signature/rfc7520/Figure20: key_unsuitable", 1),
        (
            "json_web_signature/rfc7520WithKeyOps/Figure20: key_unsuitable",
            1,
        ),
        // Its key is for an algorithm "ES521", which does not exist.
        ("json_web_signature/rfc7520/Figure27: key_unsuitable", 1),
        (
            "json_web_signature/rfc7520WithKeyOps/Figure27: key_unsuitable",
            1,
        ),
        // Keys of a smart card whose prime numbers can be guessed (CVE-2017-15361) are taken for others.
        (
            "json_web_crypto/jws_rsa_roca_key/rejectsKeyWithRocaVulnerability: claims_malformed",
            1,
        ),
        (
            "json_web_key/jws_rsa_roca_key/rejectsKeyWithRocaVulnerability: claims_malformed",
            1,
        ),
    ]);
    assert_eq!((count, noted), (476, known));
}
