//! Tokens that come as passwords: what is taken for one, and how identity and role belong together.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use court::*;
use oauth_core::{
    Bearer, Failure, IdentityRule, IntrospectionMode, IntrospectionRules, Policy, PolicyBuilder,
    Printable, Reject, RoleCatalog, is_token,
};

/// A server with one map, `people`: `NAME@corp` may be `NAME`; one superuser, `root`.
struct Catalog;

impl RoleCatalog for Catalog {
    fn map_allows(&self, map: &str, value: &str, role: &str) -> Result<bool, Failure> {
        Ok(map == "people" && value.strip_suffix("@corp") == Some(role))
    }

    fn server_wide_power(&self, role: &str) -> Result<Option<Printable>, Failure> {
        Ok((role == "root").then(|| Printable::new("is a superuser")))
    }
}

fn policy_with(mode: IntrospectionMode) -> Policy {
    let rules = IntrospectionRules {
        mode,
        ..IntrospectionRules::default()
    };
    policy().introspection(rules).build().unwrap()
}

fn is_taken(password: &str, mode: IntrospectionMode) -> bool {
    is_token(&Bearer::new(password), &policy_with(mode))
}

const MODES: [IntrospectionMode; 3] = [
    IntrospectionMode::Off,
    IntrospectionMode::Opaque,
    IntrospectionMode::Always,
];

#[test]
fn signed_tokens_are_taken_whole_or_cut() {
    let token = good_token().encode();
    for mode in MODES {
        for length in [token.len(), token.len() - 1, token.len() / 2, 60] {
            assert!(is_taken(&token[..length], mode), "{length} bytes, {mode:?}");
        }
        assert!(is_taken(&format!("{token}\n"), mode));
        assert!(is_taken(&format!("{token}\u{e9}"), mode));
    }
}

#[test]
fn an_encrypted_token_is_taken_and_is_nobody_elses() {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RSA-OAEP-256","enc":"A256GCM"}"#);
    let token = format!("{header}.AAAA.AAAA.AAAA.AAAA");
    for mode in MODES {
        assert!(is_taken(&token, mode), "{mode:?}");
    }
    // Where the provider is not asked about such tokens, that is what the log says.
    assert_eq!(Court::new().verdict_on_text(&token), "encrypted_jwt");
}

#[test]
fn passwords_of_people_are_not_taken_unless_all_tokens_are_opaque() {
    for password in ["hunter2", "a.b.c", "correct.horse.battery", "eyJ", "x"] {
        assert!(!is_taken(password, IntrospectionMode::Off), "{password}");
        // It asks about signed tokens, too, so it is no sign that there are opaque ones.
        assert!(!is_taken(password, IntrospectionMode::Always), "{password}");
        assert!(is_taken(password, IntrospectionMode::Opaque), "{password}");
    }
}

#[test]
fn what_has_not_the_form_of_a_bearer_token_is_never_taken() {
    for password in [
        "",
        " ",
        "=",
        "two words",
        "p\u{e4}ss",
        "a=b",
        "tab\t",
        "semi;colon",
        "{}x!",
    ] {
        for mode in [IntrospectionMode::Off, IntrospectionMode::Opaque] {
            assert!(!is_taken(password, mode), "{password:?} {mode:?}");
        }
    }
    for token in ["~", "abc==", "Az09-._~+/", "a.b"] {
        assert!(is_taken(token, IntrospectionMode::Opaque), "{token}");
    }
}

#[test]
fn what_is_too_large_is_left_to_the_judgement() {
    let limit = policy().build().unwrap().max_token_size();
    for mode in MODES {
        assert!(is_taken(&"a b".repeat(limit), mode));
    }
    assert!(!is_taken(&" ".repeat(limit), IntrospectionMode::Opaque));
}

fn court(rule: IdentityRule) -> Court {
    court_with(|policy| policy.identity_rule(Some(rule)))
}

fn court_with(change: impl FnOnce(PolicyBuilder) -> PolicyBuilder) -> Court {
    Court::new().policy(change).catalog(Catalog)
}

#[test]
fn identity_must_equal_the_role() {
    let equal = || court(IdentityRule::EqualsRole);
    let of = |subject: &str| good_token().claim("sub", subject);
    assert_eq!(equal().role("alice").verdict(&of("alice")), GRANTED);
    for (subject, role) in [
        ("alice", "bob"),
        ("alice", "Alice"),
        ("alice", "alic"),
        ("alice ", "alice"),
        ("alice", ""),
    ] {
        let verdict = equal().role(role).verdict(&of(subject));
        assert_eq!(verdict, "identity_not_role", "{subject} as {role}");
    }
}

#[test]
fn a_map_gives_the_role_to_the_identity() {
    let by_map = |name: &str| court(IdentityRule::ByMap(name.to_owned()));
    let of = |subject: &str| good_token().claim("sub", subject);
    assert_eq!(
        by_map("people").role("alice").verdict(&of("alice@corp")),
        GRANTED
    );
    for (map, subject) in [
        ("people", "alice"),
        ("people", "bob@corp"),
        ("others", "alice@corp"),
    ] {
        let verdict = by_map(map).role("alice").verdict(&of(subject));
        assert_eq!(verdict, "identity_not_mapped", "{subject} by {map}");
    }
}

#[test]
fn a_refused_identity_is_authenticated_and_told() {
    let token = good_token().claim("sub", "alice");
    let decision = court(IdentityRule::EqualsRole)
        .role("bob")
        .judge(&token.encode());
    assert_eq!(decision.authn_id(), Some("alice"));
    let identity = Printable::new("alice");
    assert_eq!(
        decision.outcome().unwrap_err(),
        &Reject::IdentityNotRole { identity }.into()
    );
}

#[test]
fn a_map_of_the_administrator_may_give_power_but_an_equal_name_may_not() {
    let token = good_token().claim("sub", "root");
    let verdict = court(IdentityRule::EqualsRole).role("root").verdict(&token);
    assert_eq!(verdict, "role_too_powerful");
    let mapped = court(IdentityRule::ByMap("people".to_owned())).role("root");
    let token = good_token().claim("sub", "root@corp");
    assert_eq!(mapped.verdict(&token), GRANTED);
}

#[test]
fn a_role_claim_must_allow_the_role_as_well() {
    let court = || {
        court_with(|policy| {
            policy
                .role_claim(Some("groups".parse().unwrap()))
                .identity_rule(Some(IdentityRule::EqualsRole))
        })
        .role("alice")
    };
    let token = |groups: &[&str]| good_token().claim("sub", "alice").claim("groups", groups);
    assert_eq!(court().verdict(&token(&["alice"])), GRANTED);
    assert_eq!(court().verdict(&token(&["bob"])), "role_not_granted");
}

#[test]
fn under_delegation_the_claim_alone_decides() {
    let court = |role| {
        court_with(|policy| {
            policy
                .delegated(true)
                .role_claim(Some("groups".parse().unwrap()))
                .identity_rule(Some(IdentityRule::EqualsRole))
        })
        .role(role)
    };
    let token = good_token()
        .claim("sub", "alice")
        .claim("groups", ["analysts"]);
    assert_eq!(court("analysts").verdict(&token), GRANTED);
    assert_eq!(court("alice").verdict(&token), "role_not_granted");
}
