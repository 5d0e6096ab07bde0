//! Example signatures, which a process that forks others verifies so that each of them need not set up what they take.

use crate::keys::algorithm::Algorithm;
use crate::keys::jwk::JwkSet;
use crate::keys::public_key::PublicKey;
use crate::keys::source::KeyReference;

/// Keys of RFC 7515 appendix A.2.1 and A.3.1, and of RFC 8037 appendix A.2.
const EXAMPLE_KEYS: &str = concat!(
    r#"{"keys":[{"kty":"RSA","e":"AQAB","n":""#,
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SF",
    "d2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo",
    "7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkM",
    "Ls91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    r#""},{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","#,
    r#""y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},"#,
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#,
);

/// What they signed, and the signatures: RFC 7515 appendix A.2.1 and A.3.1, RFC 8037 appendix A.4.
const EXAMPLES: [(Algorithm, &str, &str); 3] = [
    (
        Algorithm::RS256,
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
        concat!(
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdb",
            "F9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383",
            "LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWy",
            "wlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        ),
    ),
    (
        Algorithm::ES256,
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    ),
    (
        Algorithm::EdDSA,
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    ),
];

/// Verifies one example of each kind of signature, so that a process that forks others has done for them what is done
/// once. Returns whether all are found to be good, and none of them over another text.
pub fn warm_up() -> bool {
    let keys = JwkSet::parse(EXAMPLE_KEYS.as_bytes());
    keys.is_ok_and(|keys| verify_all(&keys, &EXAMPLES))
}

fn verify_all(keys: &JwkSet, examples: &[(Algorithm, &str, &str)]) -> bool {
    examples.iter().all(|(alg, input, signature)| {
        let verifies =
            |input: &str, key: &PublicKey| key.verifies(*alg, input.as_bytes(), signature);
        keys.select(&KeyReference::new(None, *alg))
            .is_ok_and(|found| {
                found
                    .iter()
                    .all(|key| verifies(input, key) && !verifies(EXAMPLE_KEYS, key))
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_the_rfcs_verify() {
        assert!(warm_up());
    }

    #[test]
    fn each_example_must_verify_and_over_its_own_text_only() {
        let keys = JwkSet::parse(EXAMPLE_KEYS.as_bytes()).unwrap();
        for number in 0..EXAMPLES.len() {
            let (_, _, of_another) = EXAMPLES[(number + 1) % EXAMPLES.len()];
            for change in [
                |example: &mut (Algorithm, &str, &str)| example.1 = "another text",
                |example: &mut (Algorithm, &str, &str)| example.2 = "",
            ] {
                let mut examples = EXAMPLES;
                change(&mut examples[number]);
                assert!(!verify_all(&keys, &examples), "{number}");
            }
            let mut examples = EXAMPLES;
            examples[number].2 = of_another;
            assert!(!verify_all(&keys, &examples), "{number}");
        }
        assert!(verify_all(&keys, &EXAMPLES));
    }
}
