//! RFC 7662: the provider's word on a token, alone and over a JWT.

use std::time::Duration;

use court::*;
use http::StatusCode;
use oauth_core::{
    Bearer, Failure, IntrospectionMode, IntrospectionResponse, IntrospectionRules, Introspector,
    NotActive, PolicyBuilder, Reject, Timestamp,
};
use serde_json::{Value, json};

const OPAQUE: &str = "x7Qz-opaque-token";

/// A provider that says this of every token.
struct Says(Value);

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

fn rules(mode: IntrospectionMode) -> IntrospectionRules {
    IntrospectionRules {
        mode,
        ..IntrospectionRules::default()
    }
}

fn good_answer() -> Value {
    json!({
        "active": true, "iss": ISSUER, "aud": AUDIENCE, "sub": SUBJECT, "username": "Alice",
        "exp": NOW + 300, "iat": NOW, "nbf": NOW, "client_id": CLIENT, "scope": SCOPES,
        "token_type": "Bearer",
    })
}

/// The good answer with these members; `null` takes one out.
fn answer(changes: Value) -> Value {
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
fn verdict_on_jwt(says: Value) -> &'static str {
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

#[test]
fn nobody_is_authenticated_before_the_provider_has_confirmed_the_token() {
    let judged = |token: &Token, says: Value| {
        let decision = Court::new()
            .policy(|policy| {
                policy
                    .introspection(rules(IntrospectionMode::Always))
                    .role_claim(Some("groups".parse().unwrap()))
            })
            .introspector(Says(says))
            .judge(&token.encode());
        (
            verdict_of(&decision),
            decision.authn_id().map(str::to_owned),
        )
    };
    let alice = Some(SUBJECT.to_owned());
    let token = good_token().claim("groups", json!(["alice"]));
    let active = |groups: Value| json!({"active": true, "groups": groups});
    assert_eq!(
        judged(&token, active(json!(["alice"]))),
        (GRANTED, alice.clone())
    );
    // Confirmed, and only the role is refused.
    assert_eq!(
        judged(&token, active(json!(["bob"]))),
        ("role_not_granted", alice)
    );
    // Not confirmed, and not asked about.
    assert_eq!(
        judged(&token, json!({"active": false})),
        ("token_inactive", None)
    );
    assert_eq!(
        judged(&token, json!({"active": true, "scope": "other"})),
        ("insufficient_scope", None)
    );
    let other = good_token().claim("groups", json!(["bob"]));
    assert_eq!(
        judged(&other, active(json!(["alice"]))),
        ("role_not_granted", None)
    );
}

#[test]
fn jwt_must_be_confirmed_as_far_as_the_answer_goes() {
    assert_eq!(verdict_on_jwt(json!({"active": true})), GRANTED);
    for (changes, code) in [
        (json!({}), GRANTED),
        (json!({"iss": "https://evil.example"}), "iss_mismatch"),
        (json!({"aud": "other"}), "aud_mismatch"),
        (json!({"exp": NOW - 1000}), "expired"),
        (json!({"exp": "x"}), "exp_malformed"),
        (json!({"nbf": NOW + 1000}), "not_yet_valid"),
        (json!({"scope": "openid"}), "insufficient_scope"),
        (json!({"sub": "mallory"}), "introspection_mismatch"),
        (json!({"jti": "another"}), "introspection_mismatch"),
        (json!({"jti": "token-1"}), GRANTED),
        (json!({"cnf": {"jkt": "x"}}), "cnf_unsupported"),
        (
            json!({"token_type": "refresh_token"}),
            "not_an_access_token",
        ),
    ] {
        assert_eq!(verdict_on_jwt(answer(changes.clone())), code, "{changes}");
    }
}

#[test]
fn jwt_ends_at_the_earlier_of_both_ends() {
    for (exp, end) in [(NOW + 60, NOW + 60), (NOW + 900, NOW + 300)] {
        let decision = Court::new()
            .policy(|policy| policy.introspection(rules(IntrospectionMode::Always)))
            .introspector(Says(answer(json!({"exp": exp}))))
            .judge(&good_token().encode());
        let grant = decision.outcome().unwrap();
        assert_eq!(grant.expires_at(), Timestamp::from_unix_seconds(end));
    }
}

fn parse(status: u16, body: &str) -> Result<IntrospectionResponse, NotActive> {
    IntrospectionResponse::parse(StatusCode::from_u16(status).unwrap(), body.as_bytes())
}

#[track_caller]
fn assert_cause(status: u16, body: &str, code: &str) {
    match parse(status, body) {
        Err(NotActive::Unavailable(cause)) => assert_eq!(cause.code(), code, "{status} {body}"),
        other => panic!("{status} {body}: {other:?}"),
    }
}

#[test]
fn answer_that_is_none_is_the_providers_fault() {
    for body in [
        "",
        "<html>",
        "[]",
        "null",
        "true",
        "{\"active\":true",
        "{\"active\":true,\"active\":true}",
    ] {
        assert_cause(200, body, "malformed");
    }
    for active in ["1", "\"true\"", "null", "[true]", "{}"] {
        assert_cause(200, &format!("{{\"active\":{active}}}"), "active_malformed");
    }
    assert_cause(200, "{}", "active_malformed");
    assert_cause(200, "{\"Active\":true}", "active_malformed");
    for status in [201, 204, 400, 404, 500, 503] {
        assert_cause(status, "{\"active\":true}", "http_status");
    }
    for status in [301, 302, 307] {
        assert_cause(status, "{\"active\":true}", "redirect");
    }
    assert_cause(403, "{\"active\":true}", "introspection_forbidden");
}

#[test]
fn status_401_is_about_our_client_or_about_the_token() {
    for body in [
        "",
        "<html>",
        "{\"error\":\"invalid_client\"}",
        "{\"error\":\"unauthorized_client\"}",
    ] {
        assert_cause(401, body, "introspection_unauthorized");
    }
    for body in [
        "{\"active\":false}",
        "{\"active\":true}",
        "{\"error\":\"Unauthorized\"}",
        "{}",
    ] {
        assert_eq!(
            parse(401, body),
            Err(NotActive::Reject(Reject::IntrospectionRefused)),
            "{body}"
        );
    }
}

#[test]
fn answer_is_used_for_the_ttl_and_never_past_its_end() {
    let now = Timestamp::from_unix_seconds(NOW);
    let lifetime = |changes, ttl| {
        let response = parse(200, &answer(changes).to_string()).unwrap();
        response.lifetime(seconds(ttl), now)
    };
    assert_eq!(lifetime(json!({}), 30), seconds(30));
    assert_eq!(lifetime(json!({}), 3600), seconds(300));
    assert_eq!(lifetime(json!({"exp": null}), 3600), seconds(3600));
    assert_eq!(lifetime(json!({"exp": NOW}), 3600), Duration::ZERO);
    assert_eq!(lifetime(json!({"exp": NOW - 5}), 3600), Duration::ZERO);
    assert_eq!(
        lifetime(json!({"exp": NOW as f64 + 0.5}), 3600),
        Duration::from_millis(500)
    );
    assert_eq!(lifetime(json!({}), 0), Duration::ZERO);
    let negative = |ttl| IntrospectionResponse::negative_lifetime(seconds(ttl));
    assert_eq!(
        (negative(3600), negative(3), negative(0)),
        (seconds(10), seconds(3), seconds(0))
    );
}

#[test]
fn stored_answer_is_the_same_but_for_the_token() {
    let token = Bearer::new(OPAQUE);
    let says = answer(json!({
        "token": OPAQUE, "access_token": format!("x{OPAQUE}y"), "deep": {"a": [OPAQUE]}, OPAQUE: 1,
    }));
    let stored = parse(200, &says.to_string()).unwrap().to_stored(&token);
    assert!(!stored.contains(OPAQUE), "{stored}");
    let again = IntrospectionResponse::from_stored(&stored).unwrap();
    assert_eq!(Some(again), parse(200, &good_answer().to_string()).ok());
    assert_eq!(IntrospectionResponse::from_stored("x"), None);
}

#[test]
fn modes_are_named() {
    assert_eq!("opaque".parse(), Ok(IntrospectionMode::Opaque));
    assert_eq!("always".parse(), Ok(IntrospectionMode::Always));
    assert_eq!("off".parse(), Ok(IntrospectionMode::Off));
    for wrong in ["", "on", "Opaque", "always "] {
        assert!(wrong.parse::<IntrospectionMode>().is_err(), "{wrong}");
    }
}
