//! What makes a key of the provider's unusable, in words for an administrator.

use std::fmt;

use serde_json::Value;

use crate::basics::json::Object;
use crate::basics::printable::Printable;
use crate::keys::algorithm::Algorithm;
use crate::keys::numbers::{is_rsa_exponent, rsa_bits};

/// The member of a key because of which it may not verify signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFault {
    /// The place in [`KeyFault::MEMBERS`].
    member: u8,
    problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    Missing,
    NotAString,
    Is(Printable),
    LacksVerify,
    IsPrivate,
    HasBits(usize),
    Unsuitable(&'static str),
}

/// A key of a set that may not verify signatures, as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableKey {
    /// Its `kid`, if it has one.
    pub kid: Option<String>,
    /// Its place in the set, counted from 1.
    pub number: usize,
    /// Why.
    pub fault: KeyFault,
}

impl KeyFault {
    /// The members that can make a key unusable. Numbers that stand for them in memory count in this order.
    pub const MEMBERS: [&'static str; 17] = [
        "kty", "kid", "use", "key_ops", "alg", "crv", "n", "e", "x", "y", "d", "p", "q", "dp",
        "dq", "qi", "oth",
    ];

    fn of(member: &str, problem: Problem) -> Self {
        let place = KeyFault::MEMBERS.iter().position(|name| *name == member);
        let member = place.and_then(|place| u8::try_from(place).ok());
        KeyFault {
            member: member.unwrap_or_default(),
            problem,
        }
    }

    /// The name of the member.
    pub fn member(&self) -> &'static str {
        member_of(self.code()).unwrap_or_default()
    }

    /// Whether the key is for another use than signatures, and says so: nothing is wrong with it.
    pub fn is_of_another_use(&self) -> bool {
        ["use", "key_ops"].contains(&self.member())
    }

    /// Whether the key's private part is published: whoever reads it can sign.
    pub fn is_private(&self) -> bool {
        self.problem == Problem::IsPrivate
    }

    /// The number that stands for the member in memory: never zero.
    pub(crate) fn code(&self) -> u8 {
        self.member.saturating_add(1)
    }

    /// Looks for what is wrong with a key that is known to be unusable, in the order in which it is read.
    pub(crate) fn find(members: &Object, private: &[&str]) -> Self {
        let text = |name: &str| members.get(name).map(|value| value.as_str());
        let of_name = |name: &'static str| match text(name) {
            None => KeyFault::of(name, Problem::Missing),
            Some(None) => KeyFault::of(name, Problem::NotAString),
            Some(Some(value)) => KeyFault::of(name, Problem::Is(Printable::new(value))),
        };
        if let Some(name) = private.iter().find(|name| members.contains_key(**name)) {
            return KeyFault::of(name, Problem::IsPrivate);
        }
        if text("kid") == Some(None) {
            return of_name("kid");
        }
        if !matches!(text("use"), None | Some(Some("sig"))) {
            return of_name("use");
        }
        if members.get("key_ops").is_some_and(|list| !has_verify(list)) {
            return KeyFault::of("key_ops", Problem::LacksVerify);
        }
        let (kty, crv) = (text("kty").flatten(), text("crv").flatten());
        let numbers: &[&str] = match (kty, crv) {
            (Some("RSA"), _) => &["n", "e"],
            (Some("EC"), Some("P-256" | "P-384" | "P-521")) => &["x", "y"],
            (Some("OKP"), Some("Ed25519")) => &["x"],
            (Some("EC" | "OKP"), _) => return of_name("crv"),
            _ => return of_name("kty"),
        };
        if let Some(name) = numbers.iter().find(|name| text(name).flatten().is_none()) {
            let problem = match text(name) {
                None => Problem::Missing,
                Some(_) => Problem::NotAString,
            };
            return KeyFault::of(name, problem);
        }
        if members
            .get("alg")
            .is_some_and(|alg| !alg_fits(alg, members))
        {
            return of_name("alg");
        }
        let number = |name: &str| text(name).flatten().unwrap_or_default();
        match kty {
            Some("RSA") if !is_rsa_exponent(number("e")) => {
                KeyFault::of("e", Problem::Unsuitable("is not a usable exponent"))
            }
            Some("RSA") => KeyFault::of("n", Problem::HasBits(rsa_bits(number("n")))),
            Some("EC") => KeyFault::of(
                "x",
                Problem::Unsuitable("and \"y\" are not a point on the curve"),
            ),
            _ => KeyFault::of("x", Problem::Unsuitable("is not a point that can be used")),
        }
    }
}

/// The name of the member that this number stands for in memory; `None` for zero, which stands for none.
pub(crate) fn member_of(code: u8) -> Option<&'static str> {
    let place = usize::from(code).checked_sub(1)?;
    KeyFault::MEMBERS.get(place).copied()
}

fn has_verify(list: &Value) -> bool {
    let list = list.as_array();
    list.is_some_and(|all| {
        all.iter().all(Value::is_string) && all.iter().any(|one| one == "verify")
    })
}

/// RFC 7517 §4.4: an algorithm that exists, and is for keys of this kind.
fn alg_fits(alg: &Value, members: &Object) -> bool {
    let member = |name: &str| members.get(name).and_then(Value::as_str);
    let named = alg.as_str().and_then(Algorithm::from_name);
    named.is_some_and(|alg| {
        let (kty, crv) = alg.key_kind().names();
        member("kty") == Some(kty) && (crv.is_none() || member("crv") == crv)
    })
}

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let member = self.member();
        match &self.problem {
            Problem::Missing => write!(f, "\"{member}\" is missing"),
            Problem::NotAString => write!(f, "\"{member}\" is not a string"),
            Problem::Is(value) => write!(f, "\"{member}\" is \"{value}\""),
            Problem::LacksVerify => write!(f, "\"{member}\" does not list \"verify\""),
            Problem::IsPrivate => write!(f, "\"{member}\" publishes its private part"),
            Problem::HasBits(bits) if *bits >= 2048 => {
                write!(f, "\"{member}\" is not a usable modulus, of {bits} bits")
            }
            Problem::HasBits(bits) => write!(f, "\"{member}\" has {bits} bits"),
            Problem::Unsuitable(why) => write!(f, "\"{member}\" {why}"),
        }
    }
}

impl fmt::Display for UnusableKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kid {
            Some(kid) => write!(f, "key \"{}\": {}", Printable::new(kid), self.fault),
            None => write!(f, "key {}: {}", self.number, self.fault),
        }
    }
}

/// Some keys in words, separated by semicolons, and how many there are besides.
pub(crate) fn list(keys: &[UnusableKey], told: usize) -> String {
    let mut words: Vec<String> = keys.iter().take(told).map(UnusableKey::to_string).collect();
    let more = keys.len().saturating_sub(told);
    if more != 0 {
        words.push(format!("and {more} more"));
    }
    words.join("; ")
}
