//! What a failure says in the log, and what is cached by what it depends on.

use std::collections::HashSet;

use oauth_core::{
    Failure, Internal, Misconfigured, Printable, Reject, Unavailable, UnavailableCause, cache_key,
};

#[test]
fn failure_says_what_its_cause_says() {
    let unavailable = Unavailable {
        url: Printable::new("https://idp.example.com/jwks"),
        cause: UnavailableCause::Timeout,
    };
    for (failure, said) in [
        (
            Failure::from(Reject::AudMissing),
            Reject::AudMissing.to_string(),
        ),
        (
            Failure::from(unavailable),
            "provider is unavailable: no answer in time".to_owned(),
        ),
        (
            Failure::from(Misconfigured::AudienceUnset),
            Misconfigured::AudienceUnset.to_string(),
        ),
        (
            Failure::from(Internal(Printable::new("a\nb"))),
            "internal error: a\\u{a}b".to_owned(),
        ),
    ] {
        assert!(!said.is_empty());
        assert_eq!(failure.to_string(), said);
    }
}

#[test]
fn outage_is_what_no_request_gets_through() {
    let why = || Printable::new("why");
    for (cause, is_outage) in [
        (UnavailableCause::Timeout, true),
        (UnavailableCause::NameResolution, true),
        (UnavailableCause::Connection(why()), true),
        (UnavailableCause::Tls(why()), true),
        (UnavailableCause::TlsUntrusted, true),
        (UnavailableCause::Status(429), true),
        (UnavailableCause::Status(502), true),
        (UnavailableCause::Status(503), true),
        (UnavailableCause::Status(504), true),
        // These may be about one token.
        (UnavailableCause::Status(500), false),
        (UnavailableCause::Status(404), false),
        (UnavailableCause::TooLarge, false),
        (UnavailableCause::Malformed(why()), false),
        (UnavailableCause::ActiveMalformed, false),
        (UnavailableCause::ClientUnauthorized, false),
    ] {
        assert_eq!(cause.is_outage(), is_outage, "{cause:?}");
    }
}

#[test]
fn key_of_a_cache_tells_all_lists_of_parts_apart() {
    let lists: [&[&str]; 7] = [
        &[],
        &[""],
        &["", ""],
        &["ab", "c"],
        &["a", "bc"],
        &["abc"],
        &["c", "ab"],
    ];
    let keys: HashSet<_> = lists.iter().map(|parts| cache_key(parts)).collect();
    assert_eq!(keys.len(), lists.len());
    assert_eq!(cache_key(&["ab", "c"]), cache_key(&["ab", "c"]));
}
