//! Tokens that are bound to a key: RFC 7800 §3.1, RFC 8705 §3, RFC 9449 §7.2.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use court::*;
use oauth_core::{Failure, NoCertificate, Reject};
use serde_json::{Value, json};

/// What the client presented; only its digest matters here.
const DER: &[u8] = b"\x30\x82\x01\x0a a certificate";

/// RFC 8705 §3.1: the confirmation that a certificate has.
fn thumbprint(der: &[u8]) -> String {
    base64url(digest::digest(&digest::SHA256, der))
}

/// The verdict on a token with this `cnf`, from a client with a certificate and from one without.
fn verdicts(cnf: Value) -> [&'static str; 2] {
    let token = good_token().claim("cnf", cnf);
    let with = Court::new().peer(Certificate(DER.to_vec()));
    let without = Court::new().peer(NoCertificate);
    [with.verdict(&token), without.verdict(&token)]
}

#[test]
fn accepts_a_token_that_is_bound_to_the_certificate_of_the_connection() {
    let cnf = json!({"x5t#S256": thumbprint(DER)});
    assert_eq!(verdicts(cnf), [GRANTED, "certificate_missing"]);
}

#[test]
fn accepts_the_certificate_of_rfc_8705_appendix_a() {
    let der = STANDARD
        .decode(concat!(
            "MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAxODEyMzcwOVoXDTIyMDUw",
            "MjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8Qnh",
            "xxzFQ03C7HKW9OylMbnQZjjJ/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0E",
            "AwIDSQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOVbUlJSGQgjwD5vaUa",
            "KlLR50Q2DmFfQj1L+SY=",
        ))
        .unwrap();
    let cnf = json!({"x5t#S256": "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"});
    let token = good_token().claim("cnf", cnf);
    assert_eq!(Court::new().peer(Certificate(der)).verdict(&token), GRANTED);
}

#[test]
fn refuses_the_misspelt_digest_of_rfc_8705_section_3_1() {
    // The example's last character, "2", has a bit that belongs to no byte (RFC 4648 §3.5).
    let cnf = json!({"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"});
    assert_eq!(verdicts(cnf), ["cnf_malformed"; 2]);
    let cnf = json!({"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg0"});
    assert_eq!(
        verdicts(cnf),
        ["certificate_mismatch", "certificate_missing"]
    );
}

#[test]
fn a_token_that_is_not_bound_needs_no_certificate() {
    let court = Court::new().peer(Certificate(DER.to_vec()));
    assert_eq!(court.verdict(&good_token()), GRANTED);
    assert_eq!(verdict(&good_token()), GRANTED);
    let elsewhere = good_token()
        .claim("x5t#S256", "x")
        .claim("CNF", json!({"jkt": "x"}))
        .header("cnf", json!({"jkt": "x"}));
    assert_eq!(verdict(&elsewhere), GRANTED);
}

#[test]
fn refuses_another_certificate() {
    let digest = from_base64url(&thumbprint(DER)).unwrap();
    for byte in 0..32 {
        let mut other = digest.clone();
        other[byte] ^= 0x80;
        let cnf = json!({"x5t#S256": base64url(other)});
        assert_eq!(
            verdicts(cnf),
            ["certificate_mismatch", "certificate_missing"],
            "{byte}"
        );
    }
    for other in [
        thumbprint(b""),
        thumbprint(&DER[1..]),
        base64url([0; 32]),
        base64url([0xff; 32]),
    ] {
        let cnf = json!({ "x5t#S256": other });
        assert_eq!(
            verdicts(cnf),
            ["certificate_mismatch", "certificate_missing"]
        );
    }
}

#[test]
fn refuses_thumbprints_that_are_no_sha_256_in_base64url() {
    let right = thumbprint(DER);
    let digest = from_base64url(&right).unwrap();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    for thumbprint in [
        json!(""),
        json!(right[..42].to_owned()),
        json!(format!("{right}A")),
        json!(format!("{right}=")),
        json!(format!(" {right}")),
        json!(format!("{right}\n")),
        json!(hex),
        json!(base64url(&digest[..31])),
        json!(base64url(&digest[..20])),
        json!(base64url([&digest[..], &[0]].concat())),
        json!(base64url(right.as_bytes())),
        json!("+/".repeat(21) + "A"),
        json!(null),
        json!(true),
        json!(7),
        json!([right]),
        json!({"": right}),
    ] {
        let cnf = json!({ "x5t#S256": thumbprint });
        assert_eq!(verdicts(cnf), ["cnf_malformed"; 2], "{thumbprint}");
    }
}

#[test]
fn refuses_a_confirmation_that_is_empty_or_no_object() {
    for cnf in [
        json!({}),
        json!(null),
        json!(""),
        json!(thumbprint(DER)),
        json!([]),
        json!(0),
        json!(false),
        json!([{"x5t#S256": thumbprint(DER)}]),
    ] {
        assert_eq!(verdicts(cnf.clone()), ["cnf_malformed"; 2], "{cnf}");
    }
}

#[test]
fn refuses_confirmations_that_can_not_be_proven_here_whatever_stands_beside_them() {
    let right = thumbprint(DER);
    for cnf in [
        json!({"jkt": right}),
        json!({"jkt": null}),
        json!({"jwk": signing_key().jwk()}),
        json!({"jwe": "x"}),
        json!({"kid": "x"}),
        json!({"jku": "https://x.example/"}),
        json!({"osc": {}}),
        json!({"x5t": right}),
        json!({"x5t#S512": right}),
        json!({"x5t#s256": right}),
        json!({"x5t#S256 ": right}),
        json!({"": right}),
        json!({"x5t#S256": right, "jkt": right}),
        json!({"jkt": right, "x5t#S256": right}),
        json!({"x5t#S256": right, "unknown": null}),
        json!({"x5t#S256": "", "zzz": 1}),
    ] {
        assert_eq!(verdicts(cnf.clone()), ["cnf_unsupported"; 2], "{cnf}");
    }
    let decision = Court::new().judge(&good_token().claim("cnf", json!({"a\nb": 1})).encode());
    let Failure::Reject(Reject::CnfUnsupported { method }) = decision.outcome().unwrap_err() else {
        panic!("not cnf_unsupported");
    };
    assert_eq!(method.as_str(), r"a\u{a}b");
}

#[test]
fn demands_a_binding_where_the_policy_does() {
    let bound = good_token().claim("cnf", json!({"x5t#S256": thumbprint(DER)}));
    let strict = || Court::new().policy(|policy| policy.require_bound_token(true));
    let with = || strict().peer(Certificate(DER.to_vec()));
    assert_eq!(with().verdict(&bound), GRANTED);
    assert_eq!(
        strict().peer(NoCertificate).verdict(&bound),
        "certificate_missing"
    );
    assert_eq!(with().verdict(&good_token()), "token_not_bound");
    // Nobody is asked for a certificate that proves nothing.
    assert_eq!(strict().verdict(&good_token()), "token_not_bound");
    for (cnf, reason) in [
        (json!(null), "cnf_malformed"),
        (json!({}), "cnf_malformed"),
        (json!({"jkt": "x"}), "cnf_unsupported"),
    ] {
        let token = good_token().claim("cnf", cnf);
        assert_eq!(with().verdict(&token), reason);
    }
    let elsewhere = good_token()
        .claim("x5t#S256", thumbprint(DER))
        .header("cnf", json!({"x5t#S256": thumbprint(DER)}));
    assert_eq!(with().verdict(&elsewhere), "token_not_bound");
}

#[test]
fn does_not_take_a_server_that_can_not_tell_for_a_client_without_a_certificate() {
    let bound = good_token().claim("cnf", json!({"x5t#S256": thumbprint(DER)}));
    let court = || Court::new().peer(NoTls);
    assert_eq!(court().verdict(&bound), "certificates_unsupported");
    assert_eq!(court().verdict(&good_token()), GRANTED);
    let strict = court().policy(|policy| policy.require_bound_token(true));
    assert_eq!(strict.verdict(&bound), "certificates_unsupported");
}
