//! Values that differ by what the eye overlooks.

use oauth_core::{NearMiss, near_miss};
use proptest::prelude::*;

#[test]
fn finds_what_the_eye_overlooks() {
    let cases = [
        (
            "https://idp.example.com/",
            "https://idp.example.com",
            NearMiss::TrailingSlash,
        ),
        (
            "https://idp.example.com/r//",
            "https://idp.example.com/r",
            NearMiss::TrailingSlash,
        ),
        (
            "https://IdP.example.com",
            "https://idp.example.com",
            NearMiss::Case,
        ),
        ("postgres ", "postgres", NearMiss::WhiteSpace),
        ("post gres", "postgres", NearMiss::WhiteSpace),
        ("postgres\u{200b}", "postgres", NearMiss::WhiteSpace),
        (
            "https://idp.example.com:443/r",
            "https://idp.example.com/r",
            NearMiss::DefaultPort,
        ),
        (
            "http://idp.example.com:80",
            "http://idp.example.com",
            NearMiss::DefaultPort,
        ),
        (
            "http://idp.example.com/r",
            "https://idp.example.com/r",
            NearMiss::Scheme,
        ),
        ("openid,postgres", "openid postgres", NearMiss::Comma),
        ("openid, postgres", "openid postgres", NearMiss::Comma),
        ("“postgres”", "postgres", NearMiss::Quotes),
        ("'postgres'", "postgres", NearMiss::Quotes),
        ("db_readers", "db-readers", NearMiss::Hyphen),
        ("db–readers", "db-readers", NearMiss::Hyphen),
        (
            "HTTPS://idp.example.com:443/",
            "https://idp.example.com",
            NearMiss::Several,
        ),
        (
            "\"https://idp.example.com/\" ",
            "https://IDP.example.com",
            NearMiss::Several,
        ),
    ];
    for (one, other, expected) in cases {
        assert_eq!(near_miss(one, other), Some(expected), "{one} {other}");
        assert_eq!(near_miss(other, one), Some(expected), "{other} {one}");
        assert!(!expected.to_string().is_empty());
    }
}

#[test]
fn other_values_are_no_near_miss() {
    for (one, other) in [
        ("a", "a"),
        ("", ""),
        ("", "/"),
        ("/", ""),
        ("https://idp.example.com/a", "https://idp.example.com/b"),
        ("https://idp.example.com:8443", "https://idp.example.com"),
        ("https://idp.example.com:80", "https://idp.example.com"),
        ("openid", "openid postgres"),
        ("alice", "alicia"),
    ] {
        assert_eq!(near_miss(one, other), None, "{one} {other}");
    }
}

proptest! {
    #[test]
    fn is_the_same_both_ways(one in ".{0,20}", other in ".{0,20}") {
        prop_assert_eq!(near_miss(&one, &other), near_miss(&other, &one));
        prop_assert_eq!(near_miss(&one, &one), None);
    }

    #[test]
    fn letters_alone_never_come_near(one in "[a-z]{1,8}", other in "[a-z]{1,8}") {
        prop_assert_eq!(near_miss(&one, &other), None);
    }
}
