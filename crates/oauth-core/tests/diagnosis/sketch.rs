//! What a token says of itself, proven or not.

use court::*;
use oauth_core::{Bearer, NearMiss, Printable, Reject, Sketch, TokenKind};
use proptest::prelude::*;
use serde_json::json;

fn sketch_of(text: &str, max_size: usize) -> Option<Sketch> {
    let policy = policy().max_token_size(max_size).build().unwrap();
    Sketch::of(&Bearer::new(text), &policy)
}

fn sketch(token: &Token) -> Sketch {
    sketch_of(&token.encode(), LIMIT).expect("a JWT")
}

const LIMIT: usize = 16 << 10;

#[test]
fn reads_what_no_one_has_verified() {
    let token = good_token()
        .claim("iss", "https://evil.example/\n")
        .claim("iat", 12)
        .claim("exp", "soon");
    let read = sketch(&token);
    assert_eq!(read.issuer.as_deref(), Some("https://evil.example/\n"));
    assert!(read.other_issuer().is_some());
    assert_eq!((read.issued_at, read.expires_at), (Some(12), None));
    let good = sketch(&good_token());
    assert_eq!((good.kind.as_ref(), good.other_issuer()), (None, None));
    // What is missing or no name says nothing.
    for token in [
        good_token().without_claim("iss"),
        good_token().claim("iss", 7),
    ] {
        assert_eq!(sketch(&token).other_issuer(), None);
    }
}

#[test]
fn tells_other_kinds_of_tokens() {
    let plain = || good_token().header("typ", "JWT").without_claim("scope");
    let id = |claim| Some(TokenKind::IdToken { claim });
    let cases = [
        (plain().claim("nonce", "x"), id("nonce")),
        (plain().claim("at_hash", "x"), id("at_hash")),
        (plain().claim("c_hash", "x"), id("c_hash")),
        (good_token().claim("typ", "ID"), id("typ")),
        (good_token().claim("token_use", "id"), id("typ")),
        (plain().claim("azp", "psql").claim("aud", "psql"), id("aud")),
        (
            plain().claim("azp", "psql").claim("aud", json!(["psql"])),
            id("aud"),
        ),
        (
            good_token().claim("typ", "Refresh"),
            Some(TokenKind::RefreshToken),
        ),
        (
            good_token().claim("typ", "Offline"),
            Some(TokenKind::RefreshToken),
        ),
        (
            good_token().claim("events", json!({})),
            Some(TokenKind::LogoutToken),
        ),
        (
            good_token().header("typ", "logout+jwt"),
            Some(TokenKind::LogoutToken),
        ),
        (
            good_token()
                .header("nonce", "x")
                .claim("iss", "https://sts.windows.net/t/"),
            Some(TokenKind::MicrosoftGraph),
        ),
        (good_token().header("nonce", "x"), None),
        (
            good_token().claim("aud", "00000003-0000-0000-c000-000000000000"),
            Some(TokenKind::MicrosoftGraph),
        ),
        // An access token of a provider that repeats the nonce, and one for the client and someone else.
        (good_token().claim("nonce", "x"), None),
        (good_token().header("typ", "JWT").claim("nonce", "x"), None),
        (plain().header("typ", "at+jwt").claim("nonce", "x"), None),
        (
            plain()
                .header("typ", "application/at+jwt")
                .claim("nonce", "x"),
            None,
        ),
        (good_token().header("typ", "id_token"), id("typ")),
        (
            plain()
                .claim("azp", "psql")
                .claim("aud", json!(["psql", "db"])),
            None,
        ),
        (plain().claim("azp", "psql").claim("aud", "db"), None),
        (good_token().claim("typ", "Bearer"), None),
        (good_token().claim("typ", 7), None),
    ];
    for (token, kind) in cases {
        let claims = String::from_utf8(token.claims_json()).unwrap();
        assert_eq!(sketch(&token).kind, kind, "{claims}");
    }
}

#[test]
fn reads_nothing_of_what_is_not_a_jwt_or_too_large() {
    let token = good_token().encode();
    let (header, rest) = token.split_once('.').unwrap();
    for text in ["", ".", "..", "opaque", "a.b", header, rest, "e30.bnVsbA.x"] {
        assert_eq!(sketch_of(text, LIMIT), None, "{text}");
    }
    assert!(sketch_of(&token, token.len()).is_some());
    assert_eq!(sketch_of(&token, token.len() - 1), None);
    let twice = good_token()
        .raw_claims(*br#"{"iss":"a","iss":"b"}"#)
        .encode();
    assert_eq!(sketch_of(&twice, LIMIT), None);
}

#[test]
fn finds_what_is_only_spelt_in_another_way() {
    let policy = policy()
        .audience("https://pg.example.com/, other".parse().unwrap())
        .required_scopes("openid,postgres extra")
        .client_ids("psql-client".parse().unwrap())
        .build()
        .unwrap();
    let found = |token: Token, reject: &Reject| {
        let sketch = Sketch::of(&Bearer::new(&token.encode()), &policy).unwrap();
        let found = sketch.misspelt(reject, &policy)?;
        Some((found.named.to_string(), found.wanted.to_string(), found.by))
    };
    let nothing = || Printable::new("");
    let audience = Reject::AudMismatch { named: nothing() };
    let scope = Reject::InsufficientScope { missing: nothing() };
    let client = Reject::ClientNotAllowed { client: nothing() };
    let token = || good_token().claim("aud", json!(["account", "https://pg.example.com"]));
    let spelt = |named: &str, wanted: &str, by| Some((named.to_owned(), wanted.to_owned(), by));
    assert_eq!(
        found(token(), &audience),
        spelt(
            "https://pg.example.com",
            "https://pg.example.com/",
            NearMiss::TrailingSlash
        )
    );
    assert_eq!(found(token().claim("aud", "account"), &audience), None);
    for scopes in [json!("email Extra"), json!(["email", "Extra"])] {
        assert_eq!(
            found(token().claim("scope", scopes), &scope),
            spelt("Extra", "extra", NearMiss::Case)
        );
    }
    assert_eq!(found(token().claim("scope", "postgres"), &scope), None);
    assert_eq!(
        found(token().claim("azp", "psql_client"), &client),
        spelt("psql_client", "psql-client", NearMiss::Hyphen)
    );
    // Only what the failed check compares.
    assert_eq!(
        found(token().claim("azp", "psql_client"), &Reject::IatMissing),
        None
    );
}

proptest! {
    #[test]
    fn survives_every_text(text in "[ -~]{0,60}", payload in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = sketch_of(&text, LIMIT);
        let token = good_token().raw_claims(payload).encode();
        let _ = sketch_of(&token, LIMIT);
    }
}
