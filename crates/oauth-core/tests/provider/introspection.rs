//! RFC 7662: tokens that the provider is asked about, and what an answer about an opaque one must have.

use court::*;
use http::StatusCode;
use oauth_core::{
    Bearer, Failure, IntrospectionMode, IntrospectionResponse, IntrospectionRules, Introspector,
    NotActive, PolicyBuilder, Timestamp,
};
use serde_json::{Value, json};

pub const OPAQUE: &str = "x7Qz-opaque-token";

/// A provider that says this of every token.
pub struct Says(pub Value);

impl Introspector for Says {
    fn introspect(&self, _token: &Bearer<'_>) -> Result<IntrospectionResponse, Failure> {
        let body = self.0.to_string();
        IntrospectionResponse::parse(StatusCode::OK, body.as_bytes()).map_err(|why| match why {
            NotActive::Reject(reject) => reject.into(),
            NotActive::Unavailable(cause) => panic!("{cause}"),
        })
    }
}

/// A provider that must not be asked.
struct NeverAsked;

impl Introspector for NeverAsked {
    fn introspect(&self, _token: &Bearer<'_>) -> Result<IntrospectionResponse, Failure> {
        panic!("the provider was asked")
    }
}

pub fn rules(mode: IntrospectionMode) -> IntrospectionRules {
    IntrospectionRules {
        mode,
        ..IntrospectionRules::default()
    }
}

pub fn good_answer() -> Value {
    json!({
        "active": true, "iss": ISSUER, "aud": AUDIENCE, "sub": SUBJECT, "username": "Alice",
        "exp": NOW + 300, "iat": NOW, "nbf": NOW, "client_id": CLIENT, "scope": SCOPES,
        "token_type": "Bearer",
    })
}

/// The good answer with these members; `null` takes one out.
pub fn answer(changes: Value) -> Value {
    let mut answer = good_answer();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(answer.as_object_mut().unwrap().remove(name)),
            value => drop(
                answer
                    .as_object_mut()
                    .unwrap()
                    .insert(name.clone(), value.clone()),
            ),
        }
    }
    answer
}

/// The verdict on an opaque token of which the provider says this.
fn verdict_on(says: Value) -> &'static str {
    verdict_under(says, |policy| policy)
}

fn verdict_under(says: Value, change: impl FnOnce(PolicyBuilder) -> PolicyBuilder) -> &'static str {
    Court::new()
        .policy(|policy| change(policy.introspection(rules(IntrospectionMode::Opaque))))
        .introspector(Says(says))
        .verdict_on_text(OPAQUE)
}

/// The verdict on the good JWT of which the provider says this.
pub fn verdict_on_jwt(says: Value) -> &'static str {
    Court::new()
        .policy(|policy| policy.introspection(rules(IntrospectionMode::Always)))
        .introspector(Says(says))
        .verdict(&good_token())
}

#[test]
fn opaque_token_is_what_the_provider_says() {
    let court = Court::new()
        .policy(|policy| policy.introspection(rules(IntrospectionMode::Opaque)))
        .introspector(Says(good_answer()));
    let decision = court.judge(OPAQUE);
    assert_eq!(verdict_of(&decision), GRANTED);
    assert_eq!(decision.authn_id(), Some(SUBJECT));
    let grant = decision.outcome().unwrap();
    assert_eq!(grant.expires_at(), Timestamp::from_unix_seconds(NOW + 300));
    assert_eq!(grant.claims()["username"], "Alice");
    assert_eq!(
        decision.evidence().client_id.as_ref().unwrap().as_str(),
        CLIENT
    );
}

#[test]
fn inactive_token_is_refused_whatever_else_is_said() {
    assert_eq!(verdict_on(json!({"active": false})), "token_inactive");
    assert_eq!(
        verdict_on(answer(json!({"active": false}))),
        "token_inactive"
    );
    assert_eq!(verdict_on_jwt(json!({"active": false})), "token_inactive");
}

#[test]
fn modes_say_which_tokens_the_provider_is_asked_about() {
    let court = |mode| Court::new().policy(move |policy| policy.introspection(rules(mode)));
    for mode in [IntrospectionMode::Off, IntrospectionMode::Opaque] {
        let verdict = court(mode).introspector(NeverAsked).verdict(&good_token());
        assert_eq!(verdict, GRANTED, "{mode:?}");
    }
    let off = court(IntrospectionMode::Off).introspector(NeverAsked);
    assert_eq!(off.verdict_on_text(OPAQUE), "not_a_jwt");
    assert_eq!(off.verdict_on_text("a.b.c.d.e"), "not_a_jwt");
    for mode in [IntrospectionMode::Opaque, IntrospectionMode::Always] {
        let court = court(mode).introspector(Says(good_answer()));
        assert_eq!(court.verdict_on_text(OPAQUE), GRANTED);
        assert_eq!(court.verdict_on_text("a.b.c.d.e"), GRANTED);
    }
}

#[test]
fn provider_is_not_asked_about_a_token_that_fails_without() {
    for mode in [IntrospectionMode::Opaque, IntrospectionMode::Always] {
        let court = Court::new()
            .policy(|policy| policy.introspection(rules(mode)).max_token_size(1000))
            .introspector(NeverAsked);
        for (token, code) in [
            (good_token().claim("exp", NOW - 1000), "expired"),
            (good_token().claim("aud", "other"), "aud_mismatch"),
            (good_token().claim("scope", "openid"), "insufficient_scope"),
            (good_token().header("alg", "none"), "alg_not_allowed"),
        ] {
            assert_eq!(court.verdict(&token), code);
        }
        assert_eq!(court.verdict_on_text(&"x".repeat(1001)), "token_too_large");
    }
}

#[test]
fn what_is_required_of_an_answer() {
    for (changes, code) in [
        (json!({"iss": null}), GRANTED),
        (json!({"iss": "https://evil.example"}), "iss_mismatch"),
        (json!({"iss": 1}), "iss_malformed"),
        (json!({"aud": null}), "aud_missing"),
        (json!({"aud": [AUDIENCE, "other"]}), GRANTED),
        (json!({"aud": "other"}), "aud_mismatch"),
        (json!({"aud": 1}), "aud_malformed"),
        (json!({"exp": null}), "exp_missing"),
        (json!({"exp": (NOW + 300) as f64 + 0.5}), GRANTED),
        (json!({"exp": NOW - 30}), "expired"),
        (json!({"exp": (NOW + 300).to_string()}), "exp_malformed"),
        (json!({"nbf": null, "iat": null}), GRANTED),
        (json!({"nbf": NOW + 1000}), "not_yet_valid"),
        (json!({"nbf": "x"}), "nbf_malformed"),
        (json!({"iat": NOW + 1000}), "issued_in_future"),
        (json!({"iat": true}), "iat_malformed"),
        (json!({"scope": null}), "insufficient_scope"),
        (json!({"scope": "openid"}), "insufficient_scope"),
        (json!({"scope": ["postgres"]}), GRANTED),
        (json!({"scope": 1}), "scope_malformed"),
        (json!({"sub": null}), "identity_missing"),
        (json!({"sub": 1}), "identity_malformed"),
        (json!({"sub": ""}), "identity_malformed"),
        (json!({"sub": "a\u{0}b"}), "identity_unprintable"),
        (json!({"token_type": null}), GRANTED),
        (json!({"token_type": "n_a"}), "not_an_access_token"),
        (json!({"token_type": ""}), "not_an_access_token"),
        (json!({"token_type": "DPoP"}), "cnf_unsupported"),
        (json!({"token_type": "bearer"}), GRANTED),
        (
            json!({"token_type": "refresh_token"}),
            "not_an_access_token",
        ),
        (json!({"token_type": 1}), "not_an_access_token"),
        (json!({"token_use": "refresh_token"}), "not_an_access_token"),
        (json!({"token_use": "access_token"}), GRANTED),
        (json!({"typ": "Refresh"}), "not_an_access_token"),
        (json!({"cnf": {"jkt": "x"}}), "cnf_unsupported"),
        (json!({"cnf": 1}), "cnf_malformed"),
        (json!({"cnf": {"x5t#S256": "x"}}), "cnf_malformed"),
    ] {
        assert_eq!(verdict_on(answer(changes.clone())), code, "{changes}");
    }
}

#[test]
fn null_members_count_as_absent() {
    let mut says = good_answer();
    says["iss"] = Value::Null;
    says["cnf"] = Value::Null;
    says["nbf"] = Value::Null;
    assert_eq!(verdict_on(says.clone()), GRANTED);
    says["exp"] = Value::Null;
    assert_eq!(verdict_on(says.clone()), "exp_missing");
    says["aud"] = Value::Null;
    assert_eq!(verdict_on(says), "aud_missing");
}

#[test]
fn other_kinds_of_token_are_refused_however_they_are_named() {
    for (name, kinds) in [
        (
            "token_type",
            &["refresh_token", "Refresh", "id_token", "N_A", "urn:x"][..],
        ),
        ("token_use", &["refresh", "refresh_token", "id", "x"]),
        (
            "typ",
            &[
                "Refresh",
                "Offline",
                "ID",
                "Logout",
                "refresh_token",
                "rt+jwt",
            ],
        ),
        ("tokenName", &["refresh_token"]),
        ("token_name", &["id_token"]),
        ("token_kind", &["RefreshToken"]),
        ("kind", &["RefreshToken", "refresh"]),
        ("purpose", &["refresh_token", "id_token"]),
    ] {
        for kind in kinds {
            let says = answer(json!({ name: kind }));
            assert_eq!(verdict_on(says.clone()), "not_an_access_token", "{says}");
            // Whatever else shows the contrary.
            let mut says = answer(json!({"token_use": "access_token", "typ": "Bearer"}));
            says[name] = json!(kind);
            assert_eq!(verdict_on(says.clone()), "not_an_access_token", "{says}");
            let verdict = verdict_on_jwt(says.clone());
            assert_eq!(verdict, "not_an_access_token", "{says}");
        }
    }
    let events =
        answer(json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}));
    assert_eq!(verdict_on(events), "not_an_access_token");
    for says in [
        json!({"typ": "Bearer"}),
        json!({"typ": "at+jwt"}),
        json!({"kind": "AccessToken", "purpose": "access_token", "tokenName": "access_token"}),
        json!({"kind": 1, "purpose": ["refresh_token"]}),
    ] {
        assert_eq!(verdict_on(answer(says.clone())), GRANTED, "{says}");
    }
}

#[test]
fn answer_must_show_that_the_token_is_an_access_token() {
    let under = |says: Value, scope: &'static str| {
        verdict_under(says, |policy| {
            policy
                .required_scopes(scope)
                .introspection(IntrospectionRules {
                    mode: IntrospectionMode::Opaque,
                    audience_required: false,
                    exp_required: false,
                })
        })
    };
    let bare = |changes: Value| {
        let mut says = answer(json!({"aud": null, "token_type": null}));
        for (name, value) in changes.as_object().unwrap() {
            says[name] = value.clone();
        }
        says
    };
    const UNPROVEN: &str = "access_token_unproven";
    for (changes, with_scope, without_scope) in [
        (json!({}), GRANTED, UNPROVEN),
        (json!({"token_type": "Bearer"}), GRANTED, GRANTED),
        (json!({"token_use": "access_token"}), GRANTED, GRANTED),
        (json!({"typ": "Bearer"}), GRANTED, GRANTED),
        (json!({"typ": "something"}), GRANTED, UNPROVEN),
        (json!({"aud": AUDIENCE}), GRANTED, GRANTED),
        (json!({"aud": null}), GRANTED, UNPROVEN),
        (
            json!({"aud": "https://idp.example"}),
            "aud_mismatch",
            "aud_mismatch",
        ),
        // As many refresh tokens are.
        (json!({"exp": null}), UNPROVEN, UNPROVEN),
        (
            json!({"exp": null, "token_type": "Bearer"}),
            GRANTED,
            GRANTED,
        ),
        (json!({"scope": null}), UNPROVEN, UNPROVEN),
        (json!({"scope": ""}), UNPROVEN, UNPROVEN),
        (json!({"scope": []}), UNPROVEN, UNPROVEN),
        (json!({"scope": "openid"}), "insufficient_scope", UNPROVEN),
    ] {
        let says = bare(changes.clone());
        assert_eq!(
            under(says.clone(), "openid postgres"),
            with_scope,
            "{changes}"
        );
        // Scopes that need not be there show nothing, nor does the client.
        for scope in ["", "openid", "openid offline_access"] {
            assert_eq!(under(says.clone(), scope), without_scope, "{changes}");
        }
    }
}

#[test]
fn answers_of_real_providers_pass() {
    let opaque = |says: Value| {
        verdict_under(says, |policy| {
            policy
                .identity_claim("/username".parse().unwrap())
                .introspection(IntrospectionRules {
                    mode: IntrospectionMode::Opaque,
                    audience_required: false,
                    exp_required: true,
                })
        })
    };
    // django-oauth-toolkit, Ory Hydra (access and refresh token), Spring Authorization Server (refresh token).
    for (says, verdict) in [
        (
            json!({"active": true, "scope": "openid postgres", "exp": NOW + 300, "client_id": "psql",
                   "username": "alice"}),
            GRANTED,
        ),
        (
            json!({"active": true, "scope": "postgres", "client_id": "opq", "sub": "opq", "username": "alice",
                   "exp": NOW + 3600, "iat": NOW, "nbf": NOW, "aud": [AUDIENCE], "iss": ISSUER,
                   "token_type": "Bearer", "token_use": "access_token"}),
            GRANTED,
        ),
        (
            json!({"active": true, "scope": "postgres offline_access", "client_id": "opq", "username": "alice",
                   "exp": NOW + 3600, "iat": NOW, "nbf": NOW, "aud": [AUDIENCE], "iss": ISSUER,
                   "token_type": "Bearer", "token_use": "refresh_token"}),
            "not_an_access_token",
        ),
        (
            json!({"active": true, "client_id": "psql", "iat": NOW, "exp": NOW + 3600, "username": "alice"}),
            "access_token_unproven",
        ),
    ] {
        assert_eq!(opaque(says.clone()), verdict, "{says}");
    }
}

#[test]
fn settings_excuse_absence_and_nothing_else() {
    let lenient = |policy: PolicyBuilder| {
        policy.introspection(IntrospectionRules {
            mode: IntrospectionMode::Opaque,
            audience_required: false,
            exp_required: false,
        })
    };
    for (changes, code) in [
        (json!({"aud": null, "exp": null}), GRANTED),
        (json!({"aud": "other"}), "aud_mismatch"),
        (json!({"aud": []}), "aud_mismatch"),
        (json!({"aud": 1}), "aud_malformed"),
        (json!({"exp": NOW - 30}), "expired"),
        (json!({"exp": "soon"}), "exp_malformed"),
    ] {
        assert_eq!(
            verdict_under(answer(changes.clone()), lenient),
            code,
            "{changes}"
        );
    }
    let decision = Court::new()
        .policy(lenient)
        .introspector(Says(answer(json!({"exp": null}))))
        .judge(OPAQUE);
    assert_eq!(decision.outcome().unwrap().expires_at(), Timestamp::FOREVER);
}

#[test]
fn answer_meets_the_rest_of_the_policy() {
    let clients = |policy: PolicyBuilder| policy.client_ids("psql".parse().unwrap());
    assert_eq!(verdict_under(good_answer(), clients), GRANTED);
    let other = answer(json!({"client_id": "other"}));
    assert_eq!(verdict_under(other, clients), "client_not_allowed");
    let none = answer(json!({"client_id": null}));
    assert_eq!(verdict_under(none, clients), "client_missing");

    let required = |policy: PolicyBuilder| policy.required_claims("acr=phr".parse().unwrap());
    assert_eq!(
        verdict_under(good_answer(), required),
        "required_claim_missing"
    );
    assert_eq!(
        verdict_under(answer(json!({"acr": "phr"})), required),
        GRANTED
    );
    assert_eq!(
        verdict_under(answer(json!({"acr": "x"})), required),
        "required_claim_mismatch"
    );

    let age = |policy: PolicyBuilder| policy.max_token_age(Some(seconds(60)));
    assert_eq!(
        verdict_under(answer(json!({"iat": null})), age),
        "iat_missing"
    );
    assert_eq!(
        verdict_under(answer(json!({"iat": NOW - 600})), age),
        "too_old"
    );

    let username = |policy: PolicyBuilder| policy.identity_claim("username".parse().unwrap());
    let decision = Court::new()
        .policy(|policy| username(policy.introspection(rules(IntrospectionMode::Opaque))))
        .introspector(Says(good_answer()))
        .judge(OPAQUE);
    assert_eq!(decision.authn_id(), Some("Alice"));

    let roles = |policy: PolicyBuilder| policy.role_claim(Some("groups".parse().unwrap()));
    assert_eq!(
        verdict_under(answer(json!({"groups": ["alice"]})), roles),
        GRANTED
    );
    assert_eq!(
        verdict_under(answer(json!({"groups": ["bob"]})), roles),
        "role_not_granted"
    );
    assert_eq!(verdict_under(good_answer(), roles), "role_claim_missing");
}
