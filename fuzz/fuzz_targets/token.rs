//! Settings, then a whole token as text, or, under `"sign"`, a header whose token is signed by the issuer: nothing
//! that is not signed is granted, and nothing whose header the settings do not allow.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_mutator, fuzz_target};
use oauth_core::{
    Bearer, JwkSet, LoginAttempt, NoCatalog, NoCertificate, NoIntrospection, Policy, explain, judge,
};
use oauth_core_fuzz::case::{AUDIENCE, ISSUER, NOW, Settings, issuer_keys, keys};
use oauth_core_fuzz::text::{assert_no_member_twice, object};
use oauth_core_fuzz::{mutator, oracle};
use serde_json::{Value, json};
use std::sync::OnceLock;
use token_minter::{Alg, Token};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((line, rest)) =
        input.split_at_checked(input.iter().position(|byte| *byte == b'\n').unwrap_or(0))
    else {
        return Corpus::Reject;
    };
    let rest = rest.get(1..).unwrap_or_default();
    let Some((settings, policy)) = Settings::parse(line).and_then(|settings| {
        let policy = settings.policy()?;
        Some((settings, policy))
    }) else {
        return Corpus::Reject;
    };
    if let Some(alg) = settings.text("sign") {
        check_signed(&policy, alg, rest, settings.is_on("spoil"));
        return Corpus::Keep;
    }
    let Ok(text) = std::str::from_utf8(rest) else {
        return Corpus::Reject;
    };
    for keys in [issuer_keys(), example_keys()] {
        assert!(
            !is_granted(&policy, text, keys),
            "an unsigned text is granted"
        );
    }
    Corpus::Keep
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutator::mutate(data, size, max_size, seed)
});

/// This header, signed by a key of the issuer's with `alg`, over claims that are good.
fn check_signed(policy: &Policy, alg: &str, header: &[u8], spoil: bool) {
    let Some(alg) = Alg::ASYMMETRIC.into_iter().find(|each| each.name() == alg) else {
        return;
    };
    let key = match alg {
        Alg::EdDSA => &keys()[0],
        Alg::ES256 => &keys()[1],
        Alg::ES384 => &keys()[2],
        Alg::ES512 => &keys()[3],
        _ => &keys()[4],
    };
    let mut token = Token::new(key, ISSUER, "alice", AUDIENCE, "psql", "openid postgres")
        .claim("iat", NOW)
        .claim("exp", NOW + 300)
        .raw_header(header)
        .signature_by(key, alg)
        .encode();
    if spoil {
        // The last character of a signature may have bits that count for nothing; one before it has none.
        let at = token.len() - 3;
        let other = if token.ends_with("AAA") { "B" } else { "A" };
        let spoilt = token.get(at..=at) != Some(other);
        token.replace_range(at..=at, other);
        assert!(
            !(spoilt && is_granted(policy, &token, issuer_keys())),
            "a spoilt signature is good"
        );
        return;
    }
    if !is_granted(policy, &token, issuer_keys()) {
        return;
    }
    // RFC 7515 §4.1, RFC 8725 §3.1, §3.11: what was granted says so in its header.
    assert!(header.len() <= 8192 && token.len() <= policy.max_token_size());
    assert_no_member_twice(header);
    let header = object(header).expect("the header of a grant is a JSON object");
    let named = header.get("alg").and_then(Value::as_str);
    assert!(
        named == Some(alg.name()) || (named == Some("Ed25519") && alg == Alg::EdDSA),
        "{header:?}"
    );
    let accepted = oauth_core::Algorithm::from_name(alg.name()).expect("one of ours");
    assert!(policy.algorithms().contains(accepted));
    assert!(!header.contains_key("crit"));
    assert!(header.get("typ").is_none_or(Value::is_string));
    assert!(
        policy
            .token_types()
            .accept(header.get("typ").and_then(Value::as_str))
    );
    let names_none = |kid: &Value| kid.is_null() || kid == "";
    assert!(
        header
            .get("kid")
            .is_none_or(|kid| names_none(kid) || kid == "key-1")
    );
}

fn is_granted(policy: &Policy, text: &str, keys: &JwkSet) -> bool {
    let now = oauth_core::Timestamp::from_unix_seconds(NOW);
    let attempt = LoginAttempt {
        token: Bearer::new(text),
        role: "alice",
        peer: &NoCertificate,
        catalog: &NoCatalog,
        introspector: &NoIntrospection,
    };
    let decision = judge(&attempt, policy, keys, &now);
    let (explained, steps) = explain(&attempt, policy, keys, &now);
    oracle::assert_same(&decision, &explained, &steps);
    decision.is_authorized()
}

/// The keys of RFC 7515 appendix A.3.1 and RFC 8037 appendix A.2, whose examples are among the inputs.
fn example_keys() -> &'static JwkSet {
    static SET: OnceLock<JwkSet> = OnceLock::new();
    SET.get_or_init(|| {
        let keys = json!({"keys": [
            {"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
             "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
            {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        ]});
        JwkSet::parse(keys.to_string().as_bytes()).expect("good keys")
    })
}
