//! What holds for every token, key set and setting that anybody could think of.

use std::sync::OnceLock;

use court::*;
use oauth_core::{
    Algorithm, Algorithms, Bearer, ClaimPath, Endpoint, IdentityClaims, IdentityPrefix,
    IntrospectionResponse, Issuer, JwkSet, KeyReference, Printable, ProviderMetadata,
    RequiredClaims, RoleSeparator, StringList, TokenTypes,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// A court of a key of each kind, so that every algorithm's verification is reached.
fn court() -> Court {
    static JWKS: OnceLock<Vec<Value>> = OnceLock::new();
    let jwks = JWKS.get_or_init(|| {
        let others = [KeyKind::Rsa, KeyKind::P256, KeyKind::P384];
        let others = others.map(|kind| Key::new(kind).with_kid("key-1").jwk());
        [signing_key().jwk()].into_iter().chain(others).collect()
    });
    Court::new()
        .keys(jwks)
        .policy(|policy| policy.token_types("at+jwt, JWT, -".parse().unwrap()))
}

/// Any JSON value, not too deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            btree_map(any_text(), inner, 0..5).prop_map(|members| json!(members)),
        ]
    })
}

/// Any text, rather often one that means something.
fn any_text() -> impl Strategy<Value = String> {
    let known = vec![
        ISSUER, AUDIENCE, SUBJECT, SCOPES, CLIENT, "key-1", "EdDSA", "ES256", "RS256", "none",
        "at+jwt", "JWT", "sig", "enc", "RSA", "EC", "OKP", "oct", "P-256", "Ed25519", "AQAB", "",
        "iss", "aud", "exp", "kid", "alg", "keys", "cnf",
    ];
    prop_oneof![
        select(known).prop_map(str::to_owned),
        any::<String>(),
        "[ -~]{0,12}"
    ]
}

/// One of these, or anything.
fn likely(values: Vec<Value>) -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        6 => select(values).prop_map(Some),
        1 => any_json().prop_map(Some),
        1 => Just(None),
    ]
}

/// Whether a character changes the order or the lines that others are shown in.
fn reorders(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Times around now, and far from it.
fn likely_times() -> Vec<Value> {
    vec![
        json!(NOW + 300),
        json!(NOW + 1),
        json!(NOW - 29),
        json!(NOW as f64 - 29.5),
        json!(NOW - 30),
        json!(NOW - 31),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(1e300),
        json!(NOW.to_string()),
        json!([NOW + 300]),
    ]
}

/// The requirements of RFC 9068 §4 on issuer, audience and expiry, written down a second time.
fn oracle(iss: Option<&Value>, aud: Option<&Value>, exp: Option<&Value>) -> bool {
    let strings = |value: &Value| -> Option<Vec<String>> {
        let list = if value.is_string() {
            json!([value])
        } else {
            value.clone()
        };
        serde_json::from_value(list).ok()
    };
    let issuer_holds = iss == Some(&json!(ISSUER));
    let audience_holds = aud
        .and_then(strings)
        .is_some_and(|named| named.contains(&AUDIENCE.to_owned()));
    let in_time = exp
        .and_then(Value::as_number)
        .and_then(|exp| exp.as_f64())
        .is_some_and(|exp| exp + 30.0 > NOW as f64);
    issuer_holds && audience_holds && in_time
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn no_text_makes_the_judgement_panic_or_grant(text in any::<String>()) {
        prop_assert_ne!(court().verdict_on_text(&text), GRANTED);
    }

    #[test]
    fn no_text_of_a_tokens_alphabet_makes_the_judgement_panic_or_grant(
        text in "[A-Za-z0-9_-]{0,40}[.][A-Za-z0-9_-]{0,40}[.][A-Za-z0-9_-]{0,90}"
    ) {
        prop_assert_ne!(court().verdict_on_text(&text), GRANTED);
    }

    #[test]
    fn no_three_strings_of_bytes_make_the_judgement_panic_or_grant(
        header in vec(any::<u8>(), 0..40),
        payload in vec(any::<u8>(), 0..40),
        signature in vec(any::<u8>(), 0..300),
    ) {
        let [header, payload, signature] = [header, payload, signature].map(base64url);
        prop_assert_ne!(court().verdict_on_text(&format!("{header}.{payload}.{signature}")), GRANTED);
    }

    #[test]
    fn no_setting_makes_its_parser_panic(
        text in prop_oneof![any::<String>(), "[\"a,=~/ -]{0,12}", any_text()],
    ) {
        let _ = text.parse::<Algorithms>();
        let _ = text.parse::<ClaimPath>();
        let _ = text.parse::<RequiredClaims>();
        let _ = text.parse::<IdentityPrefix>();
        let _ = text.parse::<RoleSeparator>();
        if let Err(error) = text.parse::<IdentityClaims>() {
            prop_assert!(error.to_string().starts_with("at character "), "{error}");
        }
        if let Ok(types) = text.parse::<TokenTypes>() {
            let listed = text.to_lowercase().contains("at+jwt");
            prop_assert!(listed || !types.accept(Some("at+jwt")));
        }
        if let Ok(list) = text.parse::<StringList>() {
            let is_plain = |item: &str| !item.is_empty() && !item.chars().any(char::is_control);
            prop_assert!(list.iter().all(is_plain));
        }
    }

    #[test]
    fn what_is_quoted_comes_out_of_a_list_as_it_went_in(items in vec("[^\\p{Cc}]{1,9}", 1..6)) {
        let quote = |item: &String| format!("\"{}\"", item.replace('"', "\"\""));
        let quoted: Vec<String> = items.iter().map(quote).collect();
        let list: StringList = quoted.join(" , ").parse().unwrap();
        prop_assert_eq!(list.iter().collect::<Vec<_>>(), items);
    }

    #[test]
    fn identity_claims_in_quotes_are_what_was_meant(
        items in vec(("[^\\p{Cc}/]{1,9}", proptest::option::of("[^\\p{Cc}]{0,9}")), 1..6),
    ) {
        let quote = |item: &str| format!("\"{}\"", item.replace('"', "\"\""));
        let written = items.iter().map(|(name, prefix)| match prefix {
            Some(prefix) => format!("{} = {}", quote(name), quote(prefix)),
            None => quote(name),
        });
        let parsed = written.collect::<Vec<_>>().join(" , ").parse::<IdentityClaims>();
        let mut names: Vec<&String> = items.iter().map(|(name, _)| name).collect();
        names.sort();
        let has_twice = names.windows(2).any(|two| two[0] == two[1]);
        prop_assert_eq!(parsed.is_err(), has_twice);
        if let Ok(parsed) = parsed {
            let all = "all:".parse::<IdentityPrefix>().unwrap();
            let prefixes: Vec<&str> = parsed.prefixes(&all).collect();
            let meant: Vec<&str> = items.iter().map(|(_, own)| own.as_deref().unwrap_or("all:")).collect();
            prop_assert_eq!(prefixes, meant);
        }
    }

    #[test]
    fn no_url_makes_its_parser_panic_or_name_another_host(
        url in prop_oneof![any::<String>(), "https?://[a-z@:.\\[\\]/?#%\\\\0-9 +-]{0,24}"],
        allow_http in any::<bool>(),
    ) {
        if let Ok(endpoint) = Endpoint::parse_allowing(&url, allow_http) {
            prop_assert_eq!(endpoint.as_str(), &url);
            let lower = url.to_ascii_lowercase();
            let plain = allow_http && lower.starts_with("http://");
            prop_assert!(plain || lower.starts_with("https://"));
            let rest = url.split_once("://").unwrap().1;
            let authority = rest.split(['/', '?']).next().unwrap();
            prop_assert!(!authority.is_empty() && !authority.contains(['@', '\\', ' ', '#']));
        }
        let issuer = Issuer::parse_allowing(&url, allow_http);
        prop_assert!(issuer.is_err() || Endpoint::parse_allowing(&url, allow_http).is_ok());
    }

    #[test]
    fn printable_text_has_nothing_that_could_forge_or_garble_a_log_line(
        text in any::<String>(), more in any::<String>(),
    ) {
        let list = Printable::list([text.as_str(), more.as_str()]);
        for printable in [Printable::new(&text), list] {
            let shown = printable.to_string();
            prop_assert_eq!(&shown, printable.as_str());
            prop_assert!(!shown.chars().any(char::is_control));
            prop_assert!(!shown.contains(reorders));
            // A double quote always follows a backslash that is not itself escaped.
            let unescaped = shown.replace("\\\\", "").replace("\\\"", "");
            prop_assert!(!unescaped.contains('"'));
            // A hundred characters, each ten when escaped, and the mark of what was cut off.
            prop_assert!(shown.chars().count() <= 1001);
        }
    }
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn no_change_of_a_good_token_is_granted(
        changes in vec((0..6_u8, any::<Index>(), any::<Index>(), any::<u8>()), 1..4)
    ) {
        let original = good_token().encode();
        let other = good_token().claim("jti", "token-2").encode();
        let mut bytes = original.clone().into_bytes();
        for (change, at, to, byte) in changes {
            if bytes.is_empty() {
                break;
            }
            let (at, to) = (at.index(bytes.len()), to.index(bytes.len()));
            match change {
                0 => bytes[at] = byte & 0x7f,
                1 => bytes[at] ^= 1 << (byte % 7),
                2 => bytes.insert(at, b"ABab09-_.="[usize::from(byte) % 10]),
                3 => drop(bytes.remove(at)),
                4 => bytes.swap(at, to),
                _ => {
                    let part = usize::from(byte) % 3;
                    let text = String::from_utf8(bytes).unwrap();
                    let swapped = text.split('.').enumerate().map(|(i, own)| {
                        if i == part { other.split('.').nth(i).unwrap() } else { own }
                    });
                    bytes = swapped.collect::<Vec<_>>().join(".").into_bytes();
                }
            }
        }
        let text = String::from_utf8(bytes).unwrap();
        let expected = text == original || text == other;
        prop_assert_eq!(court().verdict_on_text(&text) == GRANTED, expected);
    }

    #[test]
    fn a_signed_token_is_granted_exactly_if_issuer_audience_and_expiry_hold(
        iss in likely(vec![
            json!(ISSUER), json!(ISSUER), json!(format!("{ISSUER}/")), json!([ISSUER]), json!(""),
        ]),
        aud in likely(vec![
            json!(AUDIENCE), json!([AUDIENCE]), json!(["a", AUDIENCE]), json!([AUDIENCE, 1]),
            json!([]), json!("a"), json!([[AUDIENCE]]),
        ]),
        exp in likely(likely_times()),
        others in btree_map("x[a-z]{0,3}", any_json(), 0..4),
    ) {
        let mut claims = json!({"sub": SUBJECT, "scope": SCOPES});
        for (name, value) in [("iss", &iss), ("aud", &aud), ("exp", &exp)] {
            if let Some(value) = value {
                claims[name] = value.clone();
            }
        }
        for (name, value) in others {
            claims[name] = value;
        }
        let token = good_token().raw_claims(claims.to_string());
        // What is judged is the JSON, so the oracle looks at it too: a float may be null there.
        let claims: Value = serde_json::from_str(&claims.to_string()).unwrap();
        let expected = oracle(claims.get("iss"), claims.get("aud"), claims.get("exp"));
        let decision = Court::new().judge(&token.encode());
        let verdict = verdict_of(&decision);
        prop_assert_eq!(verdict == GRANTED, expected, "{} {}", verdict, claims);
        // No role is refused here, so whoever is authenticated is let in, and nobody else is authenticated.
        prop_assert_eq!(decision.authn_id(), (verdict == GRANTED).then_some(SUBJECT));
    }

    #[test]
    fn no_claims_make_the_judgement_panic_or_tell_an_unprintable_identity(
        changes in btree_map(select(vec![
            "exp", "nbf", "iat", "typ", "token_use", "nonce", "client_id", "azp", "scope", "scp",
            "acr", "amr", "cnf", "sub", "aud", "jti", "events", "groups",
        ]), any_json(), 0..5),
    ) {
        let court = Court::new().peer(Certificate(vec![1])).policy(|policy| {
            policy
                .client_ids("psql".parse().unwrap())
                .required_claims("acr=phr, /amr/0=mfa".parse().unwrap())
                .max_token_age(Some(seconds(3600)))
                .identity_prefix("corp:".parse().unwrap())
        });
        let good = good_token().claim("acr", "phr").claim("amr", json!(["mfa"]));
        let change = |token: Token, (name, value)| token.claim(name, value);
        let token = changes.into_iter().fold(good, change);
        let decision = court.judge(&token.encode());
        if let Some(identity) = decision.authn_id() {
            prop_assert!(identity.starts_with("corp:") && (6..=255).contains(&identity.len()));
            prop_assert!(!identity.chars().any(char::is_control));
        }
    }

    #[test]
    fn no_header_makes_another_key_good(
        alg in likely(vec![
            json!("EdDSA"), json!("EdDSA"), json!("ES256"), json!("RS256"), json!("none"),
        ]),
        kid in likely(vec![json!("key-1"), json!("key-1"), json!("key-2"), json!("")]),
        typ in likely(vec![json!("at+jwt"), json!("JWT")]),
        others in btree_map(any_text(), any_json(), 0..4),
    ) {
        static ATTACKER: OnceLock<Key> = OnceLock::new();
        let attacker = ATTACKER.get_or_init(|| Key::new(KeyKind::Ed25519));
        let mut header = json!(others);
        header["jwk"] = attacker.jwk();
        for (name, value) in [("alg", alg), ("kid", kid), ("typ", typ)] {
            if let Some(value) = value {
                header[name] = value;
            }
        }
        let forged = token_by(attacker).raw_header(header.to_string());
        prop_assert_ne!(court().verdict(&forged), GRANTED, "{}", header);
    }

    #[test]
    fn no_document_makes_its_parser_panic(
        document in prop_oneof![
            vec(any::<u8>(), 0..80),
            any_json().prop_map(|json| json.to_string().into_bytes()),
            vec(any_json(), 0..4).prop_map(|keys| document(&keys)),
        ],
    ) {
        let _ = JwkSet::parse(&document);
        let _ = ProviderMetadata::parse(&document, &Issuer::parse(ISSUER).unwrap());
    }

    #[test]
    fn no_change_of_a_key_set_makes_another_key_good(
        changes in vec((select(vec![
            "kty", "crv", "x", "y", "n", "e", "k", "alg", "use", "key_ops", "kid", "d", "x5c",
        ]), likely(vec![
            json!("EC"), json!("OKP"), json!("sig"), json!(["verify"]), json!("AQAB"),
        ])), 1..4),
        kind in select(vec![KeyKind::Ed25519, KeyKind::P256, KeyKind::Rsa]),
    ) {
        let mut jwk = Key::new(kind).with_kid("key-1").jwk();
        for (name, value) in changes {
            match value {
                Some(value) => jwk[name] = value,
                None => drop(jwk.as_object_mut().unwrap().remove(name)),
            }
        }
        if let Ok(set) = JwkSet::parse(&document(&[jwk.clone()])) {
            for alg in Algorithm::ALL {
                if let Ok(found) = set.select(&KeyReference::new(Some("key-1"), alg)) {
                    prop_assert!(found.iter().all(|key| key.kind() == alg.key_kind()));
                }
            }
            let court = Court::new().key_source(set);
            prop_assert_ne!(court.verdict(&good_token()), GRANTED, "{}", &jwk);
            prop_assert_ne!(court.verdict(&good_token().without_header("kid")), GRANTED, "{}", jwk);
        }
    }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn only_a_whole_answer_that_says_active_is_one(
        status in 100_u16..600,
        active in any_json(),
        members in btree_map(any_text(), any_json(), 0..5),
    ) {
        let mut answer = json!(members);
        answer["active"] = active.clone();
        let status = http::StatusCode::from_u16(status).unwrap();
        let parsed = IntrospectionResponse::parse(status, answer.to_string().as_bytes());
        prop_assert_eq!(parsed.is_ok(), status == 200 && active == json!(true));
        answer["active"] = json!(true);
        let text = answer.to_string();
        prop_assert!(IntrospectionResponse::parse(http::StatusCode::OK, text.as_bytes()).is_ok());
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            let cut = &text.as_bytes()[..end];
            prop_assert!(IntrospectionResponse::parse(http::StatusCode::OK, cut).is_err());
        }
    }

    #[test]
    fn bytes_that_are_no_answer_are_told(bytes in vec(any::<u8>(), 0..200), status in 100_u16..600) {
        let status = http::StatusCode::from_u16(status).unwrap();
        prop_assert!(IntrospectionResponse::parse(status, &bytes).is_err());
    }

    #[test]
    fn stored_answer_can_be_read_and_never_has_the_token(
        token in "[A-Za-z0-9._~+/-]{16,40}",
        members in btree_map(any_text(), any_json(), 0..5),
        place in any_text(),
    ) {
        let mut answer = json!(members);
        answer["active"] = json!(true);
        answer[format!("in {place}")] = json!({"deep": [format!("<{token}>")]});
        let response =
            IntrospectionResponse::parse(http::StatusCode::OK, answer.to_string().as_bytes()).unwrap();
        let stored = response.to_stored(&Bearer::new(&token)).unwrap();
        prop_assert!(!stored.contains(&token));
        prop_assert!(IntrospectionResponse::from_stored(&stored).is_some());
    }
}
