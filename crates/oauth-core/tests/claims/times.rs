//! When a token is good: `exp`, `nbf`, `iat` and the limit on age, RFC 7519 §2 and §4.1.4 to §4.1.6.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use court::*;
use oauth_core::{
    Bearer, Clock, Failure, FoundKeys, KeyReference, KeySource, LoginAttempt, NoCatalog,
    NoIntrospection, Reject, Timestamp, judge,
};
use serde_json::{Value, json};

/// A number as JSON has it, however it is written.
fn number(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A court that allows this many seconds between the clocks.
fn with_skew(skew: u64) -> Court {
    Court::new().policy(|policy| policy.clock_skew(seconds(skew)))
}

/// [`NOW`] and this many milliseconds.
fn now_and_millis(millis: u64) -> Timestamp {
    Timestamp::from_unix_seconds(NOW).plus(Duration::from_millis(millis))
}

fn failure(court: &Court, token: &Token) -> Failure {
    court.judge(&token.encode()).outcome().unwrap_err().clone()
}

#[test]
fn a_token_is_good_before_exp_and_not_at_it() {
    let court = with_skew(0);
    for (exp, expected) in [
        (json!(NOW + 1), GRANTED),
        (json!(NOW), "expired"),
        (json!(NOW - 1), "expired"),
        (json!(NOW as f64 + 0.5), GRANTED),
        (json!(NOW as f64 + 0.001), GRANTED),
        (json!(NOW as f64 - 0.001), "expired"),
        (json!(NOW as f64), "expired"),
    ] {
        assert_eq!(
            court.verdict(&good_token().claim("exp", exp.clone())),
            expected,
            "{exp}"
        );
    }
    let token = good_token().claim("exp", NOW + 1);
    for (millis, expected) in [
        (0, GRANTED),
        (999, GRANTED),
        (1000, "expired"),
        (1001, "expired"),
    ] {
        assert_eq!(
            with_skew(0).at(now_and_millis(millis)).verdict(&token),
            expected,
            "{millis}"
        );
    }
    let fraction = good_token().claim("exp", NOW as f64 + 0.25);
    for (millis, expected) in [(249, GRANTED), (250, "expired"), (251, "expired")] {
        assert_eq!(
            with_skew(0).at(now_and_millis(millis)).verdict(&fraction),
            expected,
            "{millis}"
        );
    }
}

#[test]
fn clock_skew_extends_every_bound_by_exactly_itself() {
    for skew in [0, 1, 30, 300] {
        let court = with_skew(skew);
        let seconds = i64::try_from(skew).unwrap();
        for (name, value, expected) in [
            ("exp", NOW - seconds + 1, GRANTED),
            ("exp", NOW - seconds, "expired"),
            ("nbf", NOW + seconds, GRANTED),
            ("nbf", NOW + seconds + 1, "not_yet_valid"),
            ("iat", NOW + seconds, GRANTED),
            ("iat", NOW + seconds + 1, "issued_in_future"),
        ] {
            let token = good_token().claim(name, value);
            assert_eq!(
                court.verdict(&token),
                expected,
                "skew {skew}: {name} = {value}"
            );
        }
    }
}

#[test]
fn clock_skew_is_30_seconds_by_default() {
    for (name, value, expected) in [
        ("exp", NOW - 29, GRANTED),
        ("exp", NOW - 30, "expired"),
        ("nbf", NOW + 30, GRANTED),
        ("nbf", NOW + 31, "not_yet_valid"),
        ("iat", NOW + 30, GRANTED),
        ("iat", NOW + 31, "issued_in_future"),
    ] {
        assert_eq!(
            verdict(&good_token().claim(name, value)),
            expected,
            "{name} = {value}"
        );
    }
}

#[test]
fn exp_is_required() {
    assert_eq!(verdict(&good_token().without_claim("exp")), "exp_missing");
    let elsewhere = good_token().without_claim("exp").header("exp", NOW + 300);
    assert_eq!(verdict(&elsewhere), "exp_missing");
    assert_eq!(
        verdict(&good_token().without_claim("exp").claim("Exp", NOW + 300)),
        "exp_missing"
    );
}

#[test]
fn nbf_and_iat_are_not() {
    let token = good_token().without_claim("nbf").without_claim("iat");
    assert_eq!(verdict(&token), GRANTED);
}

#[test]
fn times_are_numbers() {
    for (name, expected) in [
        ("exp", "exp_malformed"),
        ("nbf", "nbf_malformed"),
        ("iat", "iat_malformed"),
    ] {
        for value in all_but_numbers() {
            let token = good_token().claim(name, value.clone());
            assert_eq!(verdict(&token), expected, "{name}: {value}");
        }
    }
}

#[test]
fn accepts_numbers_however_they_are_written() {
    for exp in [
        "1800000300",
        "1800000300.0",
        "1.8000003e9",
        "1800000300E0",
        "18000003000e-1",
        "1800000300.999999999",
    ] {
        assert_eq!(
            verdict(&good_token().claim("exp", number(exp))),
            GRANTED,
            "{exp}"
        );
    }
    for iat in ["0", "-0", "-1", "1e9", "1799999999.5", "-1e300", "1e-300"] {
        assert_eq!(
            verdict(&good_token().claim("iat", number(iat))),
            GRANTED,
            "{iat}"
        );
        assert_eq!(
            verdict(&good_token().claim("nbf", number(iat))),
            GRANTED,
            "{iat}"
        );
    }
}

#[test]
fn extreme_times_are_compared_not_wrapped() {
    let far = [
        "1e300",
        "18446744073709551615",
        "18446744073709551616",
        "9223372036854775807",
        "1.7976931348623157e308",
    ];
    for time in far {
        assert_eq!(
            verdict(&good_token().claim("exp", number(time))),
            GRANTED,
            "{time}"
        );
        assert_eq!(
            verdict(&good_token().claim("nbf", number(time))),
            "not_yet_valid",
            "{time}"
        );
        assert_eq!(
            verdict(&good_token().claim("iat", number(time))),
            "issued_in_future",
            "{time}"
        );
    }
    for time in [
        "0",
        "-0.0",
        "-1",
        "-1800000300",
        "-1e300",
        "-9223372036854775808",
        "-9223372036854775809",
        "1e-300",
    ] {
        assert_eq!(
            verdict(&good_token().claim("exp", number(time))),
            "expired",
            "{time}"
        );
    }
    // Milliseconds instead of seconds: some 57,000 years ahead.
    assert_eq!(
        verdict(&good_token().claim("iat", NOW * 1000)),
        "issued_in_future"
    );
    for exp in ["1e999", "-1e999", "1e99999999999999999999"] {
        let claims = String::from_utf8(good_token().claims_json()).unwrap();
        let claims = claims.replace(&format!("\"exp\":{}", NOW + 300), &format!("\"exp\":{exp}"));
        assert_eq!(
            verdict(&good_token().raw_claims(claims)),
            "claims_malformed",
            "{exp}"
        );
    }
}

#[test]
fn clocks_at_the_end_of_time_do_not_overflow() {
    for (clock, expected) in [
        (i64::MAX, "expired"),
        (i64::MIN, "issued_in_future"),
        (0, "issued_in_future"),
    ] {
        let court = Court::new()
            .policy(|policy| policy.max_token_age(Some(Duration::MAX)))
            .at(Timestamp::from_unix_seconds(clock));
        assert_eq!(court.verdict(&good_token()), expected, "{clock}");
    }
    let court = Court::new().policy(|policy| {
        policy
            .clock_skew(Duration::ZERO)
            .max_token_age(Some(Duration::MAX))
    });
    assert_eq!(
        court.verdict(&good_token().claim("iat", number("-1e300"))),
        "too_old"
    );
    assert_eq!(court.verdict(&good_token()), GRANTED);
}

#[test]
fn a_limit_on_age_counts_from_iat() {
    let court = |age| {
        with_skew(10).policy(|policy| {
            policy
                .clock_skew(seconds(10))
                .max_token_age(Some(seconds(age)))
        })
    };
    for (age, iat, expected) in [
        (60, NOW, GRANTED),
        (60, NOW - 60, GRANTED),
        (60, NOW - 70, GRANTED),
        (60, NOW - 71, "too_old"),
        (60, NOW + 10, GRANTED),
        (60, NOW + 11, "issued_in_future"),
        (0, NOW - 10, GRANTED),
        (0, NOW - 11, "too_old"),
        (60, 0, "too_old"),
    ] {
        assert_eq!(
            court(age).verdict(&good_token().claim("iat", iat)),
            expected,
            "{age}: {iat}"
        );
    }
    let fraction = good_token().claim("iat", NOW as f64 - 70.5);
    assert_eq!(court(60).verdict(&fraction), "too_old");
    assert_eq!(court(61).verdict(&fraction), GRANTED);
    assert_eq!(
        court(60).verdict(&good_token().without_claim("iat")),
        "iat_missing"
    );
    for value in all_but_numbers() {
        assert_eq!(
            court(60).verdict(&good_token().claim("iat", value)),
            "iat_malformed"
        );
    }
}

#[test]
fn without_a_limit_on_age_a_token_may_be_old() {
    let token = good_token().claim("iat", 1).claim("nbf", 1);
    assert_eq!(verdict(&token), GRANTED);
}

#[test]
fn refusals_say_by_how_many_seconds() {
    let skew = with_skew(30);
    for (name, value, expected) in [
        ("exp", json!(NOW - 60), Reject::Expired { seconds_ago: 60 }),
        (
            "exp",
            json!(NOW as f64 - 60.5),
            Reject::Expired { seconds_ago: 61 },
        ),
        (
            "nbf",
            json!(NOW + 60),
            Reject::NotYetValid { seconds_ahead: 60 },
        ),
        (
            "iat",
            json!(NOW + 60),
            Reject::IssuedInFuture { seconds_ahead: 60 },
        ),
    ] {
        assert_eq!(
            failure(&skew, &good_token().claim(name, value)),
            Failure::Reject(expected)
        );
    }
    let aged = Court::new().policy(|policy| policy.max_token_age(Some(seconds(60))));
    let expected = Failure::Reject(Reject::TooOld { seconds_old: 91 });
    assert_eq!(
        failure(&aged, &good_token().claim("iat", NOW - 91)),
        expected
    );
}

#[test]
fn the_grant_expires_when_the_token_does() {
    for (exp, micros) in [
        (json!(NOW + 300), (NOW + 300) * 1_000_000),
        (json!(NOW as f64 + 0.5), NOW * 1_000_000 + 500_000),
        (json!(NOW - 10), (NOW - 10) * 1_000_000),
        (json!(1e300), i64::MAX),
    ] {
        let decision = Court::new().judge(&good_token().claim("exp", exp).encode());
        assert_eq!(
            decision.outcome().unwrap().expires_at().unix_micros(),
            micros
        );
    }
}

/// A clock that others can turn.
#[derive(Clone)]
struct WallClock(Rc<Cell<i64>>);

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.0.get())
    }
}

/// A provider that takes ten minutes to answer.
struct SlowKeys(WallClock);

impl KeySource for SlowKeys {
    fn find_keys(&self, wanted: &KeyReference<'_>) -> Result<FoundKeys, Failure> {
        self.0.0.set(self.0.0.get() + 600);
        key_set(&[signing_key().jwk()]).find_keys(wanted)
    }
}

#[test]
fn a_token_that_expires_while_keys_are_fetched_is_refused() {
    let clock = WallClock(Rc::new(Cell::new(NOW)));
    let text = good_token().encode();
    let attempt = LoginAttempt {
        token: Bearer::new(&text),
        role: SUBJECT,
        peer: &NobodyAsked,
        catalog: &NoCatalog,
        introspector: &NoIntrospection,
    };
    let decision = judge(
        &attempt,
        &policy().build().unwrap(),
        &SlowKeys(clock.clone()),
        &clock,
    );
    assert_eq!(verdict_of(&decision), "expired");
}
