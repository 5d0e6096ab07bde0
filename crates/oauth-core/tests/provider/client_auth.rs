//! How the server shows who it is: RFC 6749 §2.3.1, RFC 7523, RFC 8705 §2.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    Ed25519KeyPair, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use oauth_core::{
    AssertionKey, Bearer, ClientAuthMethod, ClientProof, FormRequest, SecretText, Timestamp,
};
use serde_json::{Value, json};

const TOKEN: &str = "a+b/c=~";

fn request(client_id: &str, proof: &ClientProof<'_>) -> (String, Option<String>) {
    let request = FormRequest::introspect(&Bearer::new(TOKEN), client_id, proof);
    let text = |text: &SecretText| text.expose().to_owned();
    (
        text(&request.body),
        request.authorization.as_ref().map(text),
    )
}

fn decoded_basic(authorization: Option<String>) -> String {
    let authorization = authorization.unwrap();
    let bytes = STANDARD.decode(authorization.strip_prefix("Basic ").unwrap());
    String::from_utf8(bytes.unwrap()).unwrap()
}

const BODY: &str = "token=a%2Bb%2Fc%3D%7E&token_type_hint=access_token";

#[test]
fn basic_is_form_encoded_and_raw_is_not() {
    let (body, header) = request("my client:1", &ClientProof::SecretBasic("p%s:ü&= "));
    assert_eq!(body, BODY);
    assert_eq!(decoded_basic(header), "my+client%3A1:p%25s%3A%C3%BC%26%3D+");
    let (body, header) = request("my client", &ClientProof::SecretBasicRaw("p%s:ü&= "));
    assert_eq!(body, BODY);
    assert_eq!(decoded_basic(header), "my client:p%s:ü&= ");
}

#[test]
fn post_puts_both_into_the_body() {
    let (body, header) = request("my client", &ClientProof::SecretPost("a&token=b"));
    assert_eq!(header, None);
    assert_eq!(
        body,
        format!("{BODY}&client_id=my+client&client_secret=a%26token%3Db")
    );
}

#[test]
fn certificate_needs_the_name_and_a_bearer_token_does_not() {
    let (body, header) = request("pg", &ClientProof::NameOnly);
    assert_eq!((body, header), (format!("{BODY}&client_id=pg"), None));
    let (body, header) = request("", &ClientProof::NameOnly);
    assert_eq!((body, header), (BODY.to_owned(), None));
    let (body, header) = request("pg", &ClientProof::Bearer("mine"));
    assert_eq!(
        (body.as_str(), header.as_deref()),
        (BODY, Some("Bearer mine"))
    );
}

#[test]
fn assertion_is_signed_and_short_lived() {
    let random = SystemRandom::new();
    let p256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let algorithms: [(
        &[u8],
        &str,
        &'static dyn aws_lc_rs::signature::VerificationAlgorithm,
    ); 2] = [
        (p256.as_ref(), "ES256", &ECDSA_P256_SHA256_FIXED),
        (ed25519.as_ref(), "EdDSA", &ED25519),
    ];
    for (der, alg, verification) in algorithms {
        let key = AssertionKey::from_der(der).unwrap();
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let assertion = key
            .assertion("pg", "https://idp.example", "id-1", now)
            .unwrap();
        let (input, signature) = assertion.rsplit_once('.').unwrap();
        let (header, claims) = input.split_once('.').unwrap();
        let read = |part: &str| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        assert_eq!(read(header), json!({"alg": alg, "typ": "JWT"}));
        assert_eq!(
            read(claims),
            json!({"iss": "pg", "sub": "pg", "aud": "https://idp.example", "jti": "id-1",
                "iat": 1_800_000_000, "exp": 1_800_000_060})
        );
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(verification, key.public_key())
            .verify(input.as_bytes(), &signature)
            .unwrap();
        let (body, header) = request("pg", &ClientProof::Assertion(assertion.clone()));
        assert_eq!(header, None);
        assert!(body.contains("&client_id=pg&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&"));
        assert!(body.ends_with(&format!("&client_assertion={assertion}")));
    }
    for wrong in [&b""[..], b"x", &[0; 100]] {
        assert!(AssertionKey::from_der(wrong).is_none());
    }
}

#[test]
fn methods_have_their_registered_names() {
    assert_eq!(
        "private_key_jwt".parse(),
        Ok(ClientAuthMethod::PrivateKeyJwt)
    );
    assert_eq!("none".parse(), Ok(ClientAuthMethod::None));
    let error = "basic".parse::<ClientAuthMethod>().unwrap_err().to_string();
    assert!(error.contains("client_secret_basic_raw"), "{error}");
}
