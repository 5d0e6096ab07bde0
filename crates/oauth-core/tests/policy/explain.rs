//! The judgement told step by step: the same as the one that decides, and silent about the token.

use aws_lc_rs::digest;
use court::*;
use oauth_core::{
    Bearer, Failure, IntrospectionMode, IntrospectionResponse, IntrospectionRules, Introspector,
    NotActive, StepReport,
};
use serde_json::{Value, json};

/// The steps of a JWT.
const STEPS: [&str; 13] = [
    "structure",
    "key",
    "signature",
    "issuer",
    "audience",
    "expiry",
    "times",
    "access_token",
    "client",
    "scope",
    "required_claims",
    "confirmation",
    "identity",
];

fn names(steps: &[StepReport]) -> Vec<&'static str> {
    steps.iter().map(|step| step.name).collect()
}

fn fact<'a>(steps: &'a [StepReport], name: &str) -> &'a str {
    let step = steps.iter().find(|step| step.name == name).expect(name);
    step.outcome.as_ref().expect(name)
}

/// Explains, and checks that the explanation and the judgement agree.
#[track_caller]
fn explain(court: &Court, text: &str) -> Vec<StepReport> {
    let (decision, steps) = court.explain(text);
    assert_eq!(verdict_of(&decision), court.verdict_on_text(text));
    let (last, before) = steps.split_last().expect("there are steps");
    assert!(before.iter().all(|step| step.outcome.is_ok()), "{steps:#?}");
    assert_eq!(last.outcome.as_ref().err(), decision.outcome().err());
    for step in &steps {
        let told = step
            .outcome
            .as_ref()
            .map_or_else(ToString::to_string, String::clone);
        assert!(!told.chars().any(char::is_control), "{told:?}");
        for part in text.split('.').filter(|part| part.len() > 8) {
            assert!(!told.contains(part), "{told}");
        }
    }
    steps
}

#[test]
fn good_token_passes_every_step_in_its_order() {
    let steps = explain(&Court::new(), &good_token().encode());
    assert_eq!(names(&steps), [&STEPS[..], &["role"]].concat());
    assert_eq!(fact(&steps, "structure"), "alg=EdDSA kid=key-1");
    assert_eq!(fact(&steps, "key"), "OKP");
    assert_eq!(fact(&steps, "issuer"), format!("iss={ISSUER}"));
    assert_eq!(fact(&steps, "audience"), format!("aud={AUDIENCE}"));
    assert_eq!(fact(&steps, "expiry"), "300 s left");
    assert_eq!(fact(&steps, "times"), format!("no nbf, iat={NOW}"));
    assert_eq!(fact(&steps, "client"), CLIENT);
    assert_eq!(fact(&steps, "scope"), format!("scope=\"{SCOPES}\""));
    assert_eq!(fact(&steps, "confirmation"), "not bound to a certificate");
    assert_eq!(fact(&steps, "identity"), SUBJECT);
    assert_eq!(fact(&steps, "role"), "pg_ident.conf decides");
}

#[test]
fn a_token_that_is_bound_to_a_certificate_is_told() {
    let der = b"a certificate".to_vec();
    let cnf = json!({"x5t#S256": base64url(digest::digest(&digest::SHA256, &der))});
    let court = Court::new().peer(Certificate(der));
    let steps = explain(&court, &good_token().claim("cnf", cnf).encode());
    assert_eq!(
        fact(&steps, "confirmation"),
        "bound to the client certificate"
    );
}

#[test]
fn expiry_says_how_far_off_it_is() {
    for (exp, told) in [
        (NOW + 1, "1 s left"),
        (NOW, "0 s left"),
        (NOW - 1, "1 s ago, within the clock skew"),
    ] {
        let token = good_token().claim("exp", exp).encode();
        let steps = explain(&Court::new(), &token);
        assert_eq!(fact(&steps, "expiry"), told);
    }
    let mut endless = word();
    endless.as_object_mut().unwrap().remove("exp");
    let rules = IntrospectionRules {
        mode: IntrospectionMode::Opaque,
        exp_required: false,
        ..IntrospectionRules::default()
    };
    let court = Court::new()
        .policy(|policy| policy.introspection(rules))
        .introspector(Says(endless));
    let steps = explain(&court, "opaque-secret-token");
    assert_eq!(fact(&steps, "expiry"), "does not expire");
}

#[test]
fn judgement_ends_at_the_step_that_fails() {
    let cases: [(&str, Token); 9] = [
        ("structure", good_token().header("typ", "JWT")),
        ("key", good_token().header("kid", "other")),
        ("issuer", good_token().claim("iss", "https://evil.example")),
        ("audience", good_token().claim("aud", json!(["a", "b"]))),
        ("expiry", good_token().claim("exp", NOW - 31)),
        ("times", good_token().claim("nbf", NOW + 31)),
        (
            "access_token",
            good_token().claim("token_use", "id").claim("typ", "ID"),
        ),
        ("scope", good_token().claim("scope", "openid")),
        ("identity", good_token().claim("sub", "a\nb")),
    ];
    for (step, token) in cases {
        let steps = explain(&Court::new(), &token.encode());
        assert_eq!(steps.last().map(|step| step.name), Some(step), "{steps:#?}");
    }
    for text in ["", "x", "a.b", "a.b.c", "a.b.c.d.e"] {
        assert_eq!(
            names(&explain(&Court::new(), text)),
            ["structure"],
            "{text}"
        );
    }
    // The signature of another token.
    let (own, other) = (
        good_token().encode(),
        good_token().claim("jti", "2").encode(),
    );
    let parts = (own.rsplit_once('.'), other.rsplit_once('.'));
    let (Some((input, _)), Some((_, signature))) = parts else {
        panic!("a JWT has three parts");
    };
    let forged = format!("{input}.{signature}");
    let steps = explain(&Court::new(), &forged);
    assert_eq!(names(&steps), STEPS[..3]);
}

/// A provider that says this of every token.
struct Says(Value);

impl Introspector for Says {
    fn introspect(&self, _token: &Bearer<'_>) -> Result<IntrospectionResponse, Failure> {
        let status = http::StatusCode::OK;
        IntrospectionResponse::parse(status, self.0.to_string().as_bytes()).map_err(|error| {
            match error {
                NotActive::Reject(reject) => reject.into(),
                NotActive::Unavailable(cause) => panic!("{cause}"),
            }
        })
    }
}

fn asking(mode: IntrospectionMode, word: Value) -> Court {
    let rules = IntrospectionRules {
        mode,
        ..IntrospectionRules::default()
    };
    Court::new()
        .policy(|policy| policy.introspection(rules))
        .introspector(Says(word))
}

fn word() -> Value {
    json!({"active": true, "iss": ISSUER, "sub": SUBJECT, "aud": AUDIENCE, "client_id": CLIENT,
        "scope": SCOPES, "exp": NOW + 60})
}

#[test]
fn what_the_provider_is_asked_is_a_step() {
    let opaque = "opaque-secret-token";
    let steps = explain(&asking(IntrospectionMode::Opaque, word()), opaque);
    let expected = ["structure", "introspection"]
        .into_iter()
        .chain(STEPS[3..].iter().copied());
    assert_eq!(names(&steps), expected.chain(["role"]).collect::<Vec<_>>());
    let steps = explain(
        &asking(IntrospectionMode::Opaque, json!({"active": false})),
        opaque,
    );
    assert_eq!(names(&steps), ["structure", "introspection"]);

    let token = good_token().encode();
    let steps = explain(&asking(IntrospectionMode::Always, word()), &token);
    assert_eq!(names(&steps)[14..], ["introspection", "confirmed"]);
    let mut other = word();
    other["sub"] = json!("bob");
    let steps = explain(&asking(IntrospectionMode::Always, other), &token);
    assert_eq!(steps.last().map(|step| step.name), Some("confirmed"));
}
