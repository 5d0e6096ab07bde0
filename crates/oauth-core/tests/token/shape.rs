//! Which tokens are opaque: those in which nobody, however leniently it reads, finds a JOSE header. RFC 7515 §7.1,
//! RFC 7516 §7.1.

use std::cell::Cell;
use std::rc::Rc;

use court::*;
use oauth_core::{
    Bearer, Failure, IntrospectionMode, IntrospectionResponse, IntrospectionRules, Introspector,
    Reject,
};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::json;

/// A provider that counts how often it is asked, and knows no token.
#[derive(Default, Clone)]
struct Counter(Rc<Cell<usize>>);

impl Introspector for Counter {
    fn introspect(&self, _token: &Bearer<'_>) -> Result<IntrospectionResponse, Failure> {
        self.0.set(self.0.get() + 1);
        Err(Reject::TokenInactive.into())
    }
}

/// The verdict on a text, in both modes that ask, and whether the provider was asked.
fn ask_about(text: &str) -> (&'static str, bool) {
    let [opaque, always] = [IntrospectionMode::Opaque, IntrospectionMode::Always].map(|mode| {
        let asked = Counter::default();
        let rules = IntrospectionRules {
            mode,
            ..IntrospectionRules::default()
        };
        let court = Court::new()
            .policy(|policy| policy.introspection(rules).max_token_size(60_000))
            .introspector(asked.clone());
        (court.verdict_on_text(text), asked.0.get() > 0)
    });
    assert_eq!(opaque, always, "{text}");
    opaque
}

#[track_caller]
fn assert_refused_here(text: &str, code: &str) {
    assert_eq!(ask_about(text), (code, false), "{text}");
}

#[track_caller]
fn assert_opaque(text: &str) {
    assert_eq!(ask_about(text), ("token_inactive", true), "{text}");
}

/// A JWT that the provider would know, with a signature that this server has no key for.
fn parts() -> [String; 3] {
    let text = good_token()
        .header("alg", "HS256")
        .header("typ", "JWT")
        .encode();
    let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

#[test]
fn jwt_with_any_other_number_of_parts_is_refused_and_nobody_is_asked() {
    let [h, p, s] = parts();
    for text in [
        h.clone(),
        format!("{h}."),
        format!("{h}.{p}"),
        format!("{h}.{p}.{s}."),
        format!("{h}.{p}.{s}.."),
        format!("{h}.{p}.{s}..."),
        format!("{h}.{p}.{s}....."),
        format!(".{h}.{p}.{s}"),
        format!("..{h}.{p}.{s}"),
        format!("{h}..{p}.{s}"),
        format!("{h}.{p}..{s}"),
        format!("{h}.{p}.{s}.x"),
        format!("{h}.{p}.{s}.{s}.{s}"),
        format!("x.{h}.{p}.{s}"),
        format!("x.y.{h}.{p}.{s}"),
        format!("{h}.{p}.{s}.{h}.{p}.{s}"),
        // RFC 9901: disclosures behind a signed JWT, and a second JWT.
        format!("{h}.{p}.{s}~WyJhIl0~{h}.{p}.{s}"),
        format!("~{h}.{p}.{s}.~"),
        // RFC 7515 §7.2: the JSON serialization.
        json!({"protected": h, "payload": p, "signature": s}).to_string(),
        format!(" \u{feff}{}", json!({"payload": p, "signatures": []})),
    ] {
        assert_refused_here(&text, "malformed_jwt");
    }
    // Three parts are judged as a JWT, which this one is not good for.
    assert_refused_here(&format!("{h}.{p}.{s}"), "alg_not_allowed");
    assert_refused_here(&format!("{h}.{p}."), "alg_not_allowed");
    assert_refused_here(&format!(".{h}.{p}"), "header_malformed");
    for text in [
        format!("{h}.{p}.{s}="),
        format!("{h}=.{p}.{s}"),
        format!(" {h}.{p}.{s}"),
        format!("\u{feff}{h}.{p}.{s}"),
        format!("\"{h}.{p}.{s}\""),
        format!("Bearer {h}.{p}.{s}"),
        format!("{h}.{p}.{s}\n"),
        format!("{h}.{p}.{s}~"),
    ] {
        assert_refused_here(&text, "bad_encoding");
    }
}

#[test]
fn encrypted_jwt_is_opaque_only_if_it_is_well_formed() {
    let [h, p, s] = parts();
    let jwe = base64url(r#"{"alg":"RSA-OAEP-256","enc":"A256GCM"}"#);
    assert_opaque(&format!("{jwe}.AAAA.AAAA.AAAA.AAAA"));
    // RFC 7518 §4.5: without an encrypted key.
    assert_opaque(&format!("{jwe}..AAAA.AAAA.AAAA"));
    for text in [
        format!("{jwe}.AAAA.AAAA.AAAA.AAAA."),
        format!("{jwe}.AAAA.AAAA.AAAA"),
        format!(".{jwe}.AAAA.AAAA.AAAA"),
        format!("{jwe}.AAAA.AAAA.AAAA.AA=="),
        format!("{jwe}=.AAAA.AAAA.AAAA.AAAA"),
        format!("{jwe}.{h}.{p}.{s}.AAAA"),
        format!("{jwe}.{h}.{p}.{s}."),
        format!("{jwe}.x.{h}.{p}.{s}"),
        format!("{h}.{p}.{s}.."),
        format!("{h}.AAAA.AAAA.AAAA.AAAA"),
    ] {
        assert_refused_here(&text, "malformed_jwt");
    }
    for header in [
        r#"{"alg":"dir"}"#,
        r#"{"enc":"A256GCM"}"#,
        r#"{"alg":"dir","enc":1}"#,
        r#"{"alg":"dir","enc":null}"#,
        r#"{"alg":1,"enc":"A256GCM"}"#,
        r#"{"alg":"dir","enc":"A256GCM","enc":"A128GCM"}"#,
        r#"{"alg":"dir","enc":"A256GCM"}{}"#,
        r#"{"alg":"dir","enc":"A256GCM""#,
        "\u{feff}{\"alg\":\"dir\",\"enc\":\"A256GCM\"}",
    ] {
        let text = format!("{}.AAAA.AAAA.AAAA.AAAA", base64url(header));
        assert_refused_here(&text, "malformed_jwt");
    }
    let large = format!(
        r#"{{"alg":"dir","enc":"A256GCM","x":"{}"}}"#,
        "x".repeat(20_000)
    );
    assert_refused_here(&format!("{}.A.A.A.A", base64url(large)), "malformed_jwt");
    let court = Court::new();
    let verdict = court.verdict_on_text(&format!("{jwe}.AAAA.AAAA.AAAA.AAAA"));
    assert_eq!(verdict, "encrypted_jwt");
}

#[test]
fn header_that_only_lenient_readers_take_for_one_makes_no_opaque_token() {
    let [_, p, s] = parts();
    let headers = [
        "  {\"alg\":\"none\"}",
        "\n\t{\"alg\":\"none\"}\r\n",
        "\u{feff}{\"alg\":\"none\"}",
        r#"{"alg":"none","alg":"RS256"}"#,
        r#"{"typ":"JWT"}"#,
        r#"{"enc":"A256GCM"}"#,
        r#"{"kid":"1"}"#,
        r#"{"ALG":"none"}"#,
        r#"{"Alg":"none","x":{"a":1,"a":2}}"#,
        r#"{"\u0061lg":"none"}"#,
        r#"{"\u0061lg":"none"}x"#,
        r#"{alg:"none"}"#,
        r#"{'alg':'none'}"#,
        r#"{"alg"="none"}"#,
        r#"{"alg":"none",}"#,
        r#"{"alg":"none"}{"x":1}"#,
        r#"{"alg":"none""#,
        r#"{/*c*/"alg":"none"}"#,
        "{\"alg\":\"none\",\"x\":\"\u{7f}\"",
    ];
    for header in headers {
        let header = base64url(header);
        assert_refused_here(&header, "malformed_jwt");
        assert_refused_here(&format!("{header}.{p}.{s}."), "malformed_jwt");
        assert_refused_here(&format!(".{header}.{p}.{s}"), "malformed_jwt");
        let (verdict, asked) = ask_about(&format!("{header}.{p}.{s}"));
        assert!(!asked, "{header}: {verdict}");
    }
    let deep = format!(
        r#"{{"alg":"none","x":{}{}}}"#,
        "[".repeat(500),
        "]".repeat(500)
    );
    let utf16: Vec<u8> = r#"{"alg":"none"}"#.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let not_utf8 = b"{\"alg\":\"none\",\"x\":\"\xff\xfe\"}".to_vec();
    for header in [deep.into_bytes(), utf16, not_utf8] {
        let header = base64url(header);
        assert_refused_here(&format!("{header}.{p}.{s}."), "malformed_jwt");
    }
}

#[test]
fn header_in_another_spelling_of_base64_makes_no_opaque_token() {
    // Its base64 has both characters in which the alphabets differ, and one of padding.
    let header = "{\"alg\":\"none\",\"x\":\"\u{bf}\u{fe}>>>???\"} ";
    let url_safe = base64url(header);
    assert!(
        url_safe.contains('-') && url_safe.contains('_'),
        "{url_safe}"
    );
    let standard = url_safe.replace('-', "+").replace('_', "/");
    let wrapped = format!("{}\r\n{}", &url_safe[..8], &url_safe[8..]);
    let spaced: String = url_safe.chars().flat_map(|c| [c, ' ']).collect();
    // Discarded by decoders of the other alphabet.
    let (plus, minus) = (format!("+{url_safe}"), format!("-{standard}"));
    for header in [url_safe, standard, wrapped, spaced, plus, minus] {
        for text in [
            format!("{header}.e30.x."),
            format!("{header}=.e30.x."),
            format!("{header}==.e30.x."),
            format!("{header}===.e30"),
        ] {
            assert_refused_here(&text, "malformed_jwt");
        }
    }
}

#[test]
fn tokens_that_only_the_provider_can_read_are_opaque() {
    for text in [
        "x7Qz-opaque-token",
        "2YotnFZFEjr1zCsicMWpAA",
        "mF_9.B5f-4.1JqM",
        "a.b.c.d.e",
        "a.b.c",
        "....",
        "..",
        "ya29.a0AfH6SMBexample-of-an-opaque-token",
        "ory_at_2YotnFZFEjr1zCsicMWpAA.1JqM_B5f-4mF_9tGzv3JOkF0XG5Qx2TlKWIA",
        "gho_16C7e42F292c6912E7710c838347Ae178B4a",
        "glpat-16C7e42F292c6912E7",
        "00Dxx0000001gPL!AR8AQJXg5oj8jXSgxJfA0lBog.39AsX.LVpxezPwuX5VAIrrbbHMuol7GQxnMeYMN7cj8EoWr78nt1u44zU31",
        "v1.public-16C7e42F292c6912E7710c838347Ae178B4a",
        "v2.local.97TTOvgwIxNGvV80XKiGZg_kD3tsXM_-qB4dZGHOeN1cTkgQ4PnW8888l802W8d9AvEGnoNBY3BnqHORy8a5cC8aKpbA0En8XELw2yDk2f1sVODyfnDbi6rEGMY3pSfCbLWMM2oHJxvlEl2XbQ",
        "v2.local.97TTOvgwIxNGvV80XKiGZg_kD3tsXM_-qB4dZGHOeN1cTkgQ4PnW8888l802W8d9AvEGnoNBY3BnqHORy8a5cC8aKpbA0En8XELw2yDk2f1sVODyfnDbi6rEGMY3pSfCbLWMM2oHJxvlEl2XbQ.UGFyYWdvbiBJbml0aWF0aXZlIEVudGVycHJpc2Vz",
        // Macaroons, of version 1 and 2.
        "MDAxY2xvY2F0aW9uIGh0dHBzOi8vaWRwLnRlc3QKMDAxYWlkZW50aWZpZXIgYWxpY2UKMDAyZnNpZ25hdHVyZSAK",
        "AgELaWRwLmV4YW1wbGUCBWFsaWNlAAAGIA",
        // An object that is no header, as some providers sign it in a form of their own.
        &format!(
            "{}.ZmZmZg.AbCdEf",
            base64url(r#"{"user":"alice","type":"oauth","reference":7}"#)
        ),
        &base64url(r#"{"id":"42","encoding":"x"}"#),
        "e30",
        "eyJ9",
        "eyI",
    ] {
        assert_opaque(text);
    }
    let off = Court::new();
    assert_eq!(off.verdict_on_text("v2.local.97TTOvgwIx.x"), "not_a_jwt");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_separator_and_no_junk_makes_a_jwt_opaque(
        junk in proptest::collection::vec((select(vec![
            ".", "..", ".x.", "~", "=", "==", " ", "\t", "\r\n", "\0", "\"", "'", "\u{feff}", "\u{200b}",
            "%2E", ",", ";", ":", "!", "é", ".e30", ".e30.", "*", "\\",
        ]), any::<Index>()), 0..5),
        signed in any::<bool>(),
    ) {
        let [h, p, s] = parts();
        let mut text = if signed { good_token().encode() } else { format!("{h}.{p}.{s}") };
        for (junk, at) in junk {
            let at = at.index(text.len() + 1);
            // Letters in the header, or glued to it, make another one.
            let is_separate = !junk.contains(|c: char| c.is_ascii_alphanumeric())
                || at > h.len() + 8
                || at == 0 && junk.ends_with('.');
            if is_separate && text.is_char_boundary(at) {
                text.insert_str(at, junk);
            }
        }
        if text != good_token().encode() {
            let (verdict, asked) = ask_about(&text);
            prop_assert!(!asked, "{verdict}: {text}");
        }
    }

    #[test]
    fn random_tokens_are_opaque(text in "[A-Za-z0-9_-]{20,200}([.][A-Za-z0-9_-]{20,60}){0,4}") {
        prop_assert_eq!(ask_about(&text), ("token_inactive", true));
    }

    #[test]
    fn no_text_makes_the_look_at_its_shape_panic(text in any::<String>()) {
        ask_about(&text);
    }
}
