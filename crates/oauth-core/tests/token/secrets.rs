//! What must never be shown: a token, or a part of one (design §3).

use std::fmt::{Debug, Display};
use std::marker::PhantomData;

use court::*;
use oauth_core::{Bearer, Decision, FormRequest, LoginAttempt, SecretText};

/// Tells of a type whether it has a trait: the inherent constant, if its bound holds, hides the trait's.
struct Has<T>(PhantomData<T>);

trait HasNot {
    const DEBUG: bool = false;
    const DISPLAY: bool = false;
    const CLONE: bool = false;
}

impl<T> HasNot for Has<T> {}

impl<T: Debug> Has<T> {
    const DEBUG: bool = true;
}

impl<T: Display> Has<T> {
    const DISPLAY: bool = true;
}

impl<T: Clone> Has<T> {
    const CLONE: bool = true;
}

#[test]
fn a_token_can_be_neither_printed_nor_copied() {
    let of_bearer = [
        Has::<Bearer>::DEBUG,
        Has::<Bearer>::DISPLAY,
        Has::<Bearer>::CLONE,
    ];
    assert_eq!(of_bearer, [false; 3]);
    let of_attempt = [
        Has::<LoginAttempt>::DEBUG,
        Has::<LoginAttempt>::DISPLAY,
        Has::<LoginAttempt>::CLONE,
    ];
    assert_eq!(of_attempt, [false; 3]);
    let of_secrets = [
        Has::<SecretText>::DEBUG,
        Has::<SecretText>::DISPLAY,
        Has::<SecretText>::CLONE,
        Has::<FormRequest>::DEBUG,
        Has::<FormRequest>::CLONE,
    ];
    assert_eq!(of_secrets, [false; 5]);
    // The probe itself works.
    assert_eq!(
        [
            Has::<Decision>::DEBUG,
            Has::<String>::DISPLAY,
            Has::<String>::CLONE
        ],
        [true; 3]
    );
}

#[test]
fn no_decision_shows_a_part_of_the_token() {
    // What is told of a token is told as Debug and Display: neither may hold a signature.
    for token in [
        good_token(),
        good_token().signature_fault(SignatureFault::FlippedBit),
        good_token().claim("exp", 1),
        good_token().header("kid", "other"),
        good_token().header("alg", "none"),
        good_token().claim("iss", "other"),
    ] {
        let text = token.encode();
        let decision = Court::new().judge(&text);
        let told = match decision.outcome() {
            Ok(_) => String::new(),
            Err(failure) => format!("{failure} {failure:?}"),
        };
        let told = format!("{told} {decision:?} {:?}", decision.evidence());
        for part in text.split('.') {
            assert!(!told.contains(part), "{told}");
        }
    }
}
