//! What a policy must have, what it has by default, and the codes of its refusals.

use court::*;
use oauth_core::{Algorithm, Issuer, Misconfigured, Policy, Reject, TokenTypes};

#[test]
fn a_policy_without_an_audience_is_no_policy() {
    let issuer = || Issuer::parse(ISSUER).unwrap();
    let error = Policy::builder(issuer()).build().unwrap_err();
    assert_eq!(
        (&error, error.code()),
        (&Misconfigured::AudienceUnset, "audience_unset")
    );
    for empty in ["", " ", "\t"] {
        let builder = Policy::builder(issuer()).audience(empty.parse().unwrap());
        assert_eq!(
            builder.build().unwrap_err(),
            Misconfigured::AudienceUnset,
            "{empty:?}"
        );
    }
    assert!(
        Policy::builder(issuer())
            .audience("a".parse().unwrap())
            .build()
            .is_ok()
    );
}

#[test]
fn under_delegation_nobody_gets_in_while_no_claim_lists_roles() {
    let error = policy().delegated(true).build().unwrap_err();
    assert_eq!(
        (&error, error.code()),
        (&Misconfigured::RoleClaimUnset, "role_claim_unset")
    );
    assert!(policy().delegated(false).build().is_ok());
}

#[test]
fn a_default_policy_is_the_one_of_rfc_9068() {
    let policy = policy().build().unwrap();
    assert_eq!(policy.issuer().identifier(), ISSUER);
    assert_eq!(policy.audience().iter().collect::<Vec<_>>(), [AUDIENCE]);
    assert!(
        Algorithm::ALL
            .iter()
            .all(|alg| policy.algorithms().contains(*alg))
    );
    assert_eq!(policy.token_types(), &TokenTypes::default());
    assert_eq!(policy.identity_claim().as_str(), "sub");
    assert_eq!(policy.max_token_size(), 16 * 1024);
}

#[test]
fn every_scope_of_the_line_is_demanded_unless_it_is_optional() {
    let court = Court::new().policy(|policy| policy.required_scopes(" openid\tpostgres\n openid "));
    assert_eq!(court.verdict(&good_token()), GRANTED);
    assert_eq!(
        court.verdict(&good_token().claim("scope", "openid")),
        "insufficient_scope"
    );
    let without_openid = good_token().claim("scope", "postgres");
    assert_eq!(court.verdict(&without_openid), GRANTED);
    let all_demanded = Court::new().policy(|policy| {
        policy
            .required_scopes(SCOPES)
            .optional_scopes("".parse().unwrap())
    });
    assert_eq!(all_demanded.verdict(&without_openid), "insufficient_scope");
    let twice =
        Court::new().policy(|policy| policy.required_scopes("first").required_scopes("postgres"));
    assert_eq!(twice.verdict(&good_token()), GRANTED);
}

#[test]
fn clock_skew_is_five_minutes_at_most() {
    let court = Court::new().policy(|policy| policy.clock_skew(seconds(1_000_000)));
    assert_eq!(
        court.verdict(&good_token().claim("exp", NOW - 299)),
        GRANTED
    );
    assert_eq!(
        court.verdict(&good_token().claim("exp", NOW - 300)),
        "expired"
    );
}

#[test]
fn a_list_of_several_audiences_accepts_each() {
    let court = Court::new()
        .policy(|policy| policy.audience("a, https://pg.example/ , c".parse().unwrap()));
    for (aud, expected) in [
        ("a", GRANTED),
        (AUDIENCE, GRANTED),
        ("c", GRANTED),
        ("b", "aud_mismatch"),
    ] {
        assert_eq!(
            court.verdict(&good_token().claim("aud", aud)),
            expected,
            "{aud}"
        );
    }
}

#[test]
fn the_codes_of_refusals_are_stable() {
    let codes = "token_too_large not_a_jwt malformed_jwt encrypted_jwt bad_encoding header_too_large header_malformed alg_not_allowed \
        crit_unsupported typ_not_allowed unknown_kid no_fitting_key ambiguous_key \
        key_unsuitable bad_signature claims_malformed duplicate_claim iss_missing \
        iss_malformed iss_mismatch aud_missing aud_malformed aud_mismatch exp_missing \
        exp_malformed expired nbf_malformed not_yet_valid iat_malformed issued_in_future \
        iat_missing too_old not_an_access_token client_missing client_malformed \
        client_not_allowed scope_malformed insufficient_scope required_claim_missing \
        required_claim_mismatch cnf_malformed cnf_unsupported certificate_missing \
        certificate_mismatch identity_missing identity_malformed identity_too_long \
        identity_unprintable";
    let missing: Vec<&str> = codes
        .split_ascii_whitespace()
        .filter(|code| !Reject::CODES.contains(code))
        .collect();
    assert_eq!(missing, [""; 0]);
}
