//! What must hold of a judgement: RFC 9068 §4 and the settings, said a second time in other words than the core's.

use aws_lc_rs::digest::{SHA256, digest};
use oauth_core::{Decision, Failure, Grant, IntrospectionMode, StepReport, StringList};
use serde_json::Value;
use token_minter::base64url;

use crate::case::{Case, OPAQUE_TOKEN};
use crate::claims::{find, words};
use crate::conditions;
use crate::roles::{assert_groups, assert_role};
use crate::text::{Object, assert_no_member_twice, assert_printable, hides, object, without_mark};

/// Presets whose tokens may say nothing of scopes.
const WITHOUT_SCOPES: [&str; 8] = [
    "google",
    "gitlab",
    "github-actions",
    "kubernetes",
    "authentik",
    "zitadel",
    "spiffe",
    "dex",
];

/// Judges a case and checks all that must hold of the decision.
pub fn check(case: &Case) {
    let (decision, explained, steps) = case.judge();
    assert_same(&decision, &explained, &steps);
    match decision.outcome() {
        Err(failure) => assert_refusal(case, &decision, failure),
        Ok(_) => assert_grant(case, decision),
    }
}

/// Told step by step, the decision is the same one, and the last step is the one that failed.
pub fn assert_same(decision: &Decision, explained: &Decision, steps: &[StepReport]) {
    let code = |decision: &Decision| decision.outcome().err().map(Failure::code);
    assert_eq!(code(decision), code(explained));
    assert_eq!(decision.authn_id(), explained.authn_id());
    assert_eq!(decision.is_authorized(), decision.outcome().is_ok());
    let failed = steps
        .iter()
        .filter_map(|step| step.outcome.as_ref().err().map(Failure::code));
    assert_eq!(
        failed.collect::<Vec<_>>(),
        Vec::from_iter(code(decision)),
        "{steps:?}"
    );
    for step in steps {
        match &step.outcome {
            Ok(fact) => assert_printable(fact),
            Err(failure) => assert_printable(&failure.to_string()),
        }
    }
    let evidence = decision.evidence();
    for fact in [&evidence.kid, &evidence.client_id, &evidence.jti]
        .into_iter()
        .flatten()
    {
        assert_printable(fact.as_str());
    }
}

fn assert_refusal(case: &Case, decision: &Decision, failure: &Failure) {
    assert!(Failure::codes().any(|code| code == failure.code()));
    assert_printable(&failure.to_string());
    // RFC 9068 §4: nobody is named by a token that another issuer has issued, or for another server.
    if let (Some(authn_id), false) = (decision.authn_id(), case.settings.is_on("opaque")) {
        let claims = object(&case.payload).expect("claims that name somebody are JSON");
        assert_identity(case, authn_id, &claims);
        assert!(
            names_issuer(case, &claims) && names_audience(case, &claims),
            "{claims:?}"
        );
    }
}

fn assert_grant(case: &Case, decision: Decision) {
    let mode = case.policy.introspection().mode;
    let authn_id = decision
        .authn_id()
        .expect("a grant is somebody's")
        .to_owned();
    let grant = decision.outcome().expect("a grant");
    let expires_at = grant.expires_at();
    assert!(case.token.len() <= case.policy.max_token_size());
    let opaque = case.settings.is_on("opaque");
    let document = match opaque {
        true => without_mark(&case.answer),
        false => &case.payload,
    };
    assert_no_member_twice(document);
    let mut claims = object(document).expect("the claims of a grant are a JSON object");
    if opaque {
        assert_ne!(mode, IntrospectionMode::Off);
        assert_eq!(claims.remove("active"), Some(Value::Bool(true)));
        // What repeats the token counts for nothing.
        let has_token = |text: &str| text.contains(OPAQUE_TOKEN);
        claims.retain(|name, value| {
            !value.is_null() && !has_token(name) && !has_token(&value.to_string())
        });
        let rules = case.policy.introspection();
        assert!(names_issuer(case, &claims) || !claims.contains_key("iss"));
        assert!(
            names_audience(case, &claims)
                || !(claims.contains_key("aud") || rules.audience_required)
        );
        assert!(is_in_time(case, &claims) || !(claims.contains_key("exp") || rules.exp_required));
        // RFC 7662 §2.1: the provider may have answered about a refresh token, which says none of these.
        let shows_kind = ["token_type", "token_use", "typ", "aud", "exp"];
        assert!(shows_kind.iter().any(|name| claims.contains_key(*name)));
        assert!(!claims.contains_key("events"));
    } else {
        let typ = case
            .settings
            .0
            .get("typ")
            .map_or(Some("at+jwt"), Value::as_str);
        assert!(case.policy.token_types().accept(typ));
        assert!(names_issuer(case, &claims), "{claims:?}");
        assert!(names_audience(case, &claims), "{claims:?}");
        assert!(is_in_time(case, &claims), "{claims:?}");
        assert!(!claims.contains_key("events"));
        if case.policy.preset().name() == "dex" {
            // Its access tokens are like ID tokens, but not like those of the interactive flows.
            let of_id_tokens = ["nonce", "c_hash", "s_hash"];
            assert!(!of_id_tokens.iter().any(|name| claims.contains_key(*name)));
            assert!(claims.get("at_hash").is_some_and(|hash| !hash.is_null()));
        }
        assert!(
            claims
                .get("token_use")
                .is_none_or(|token_use| token_use == "access")
        );
    }
    let confirmed = (!opaque && mode == IntrospectionMode::Always)
        .then(|| assert_confirmed(case, grant, &authn_id, &claims));
    if confirmed.is_none() {
        assert_groups(case, grant, &authn_id, &claims);
    }
    assert_identity(case, &authn_id, &claims);
    assert_other_times(case, &claims);
    let typ = claims
        .get("typ")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_ascii_lowercase();
    assert!(
        !["id", "refresh", "offline", "logout"].contains(&typ.as_str()),
        "{claims:?}"
    );
    assert_client(case, &claims);
    assert_scopes(case, &claims);
    assert_required_claims(case, &claims);
    assert_bound(case, &claims);
    assert_role(case, &authn_id, &claims);

    let exp = claims.get("exp").and_then(Value::as_f64);
    assert!(exp.is_none_or(|exp| expires_at.unix_micros() as f64 <= exp * 1e6 + 1e-3 * exp.abs()));
    let shown = decision
        .into_claims()
        .expect("a grant has claims")
        .to_json();
    assert!(shown.is_ascii());
    if opaque {
        assert!(!shown.contains(OPAQUE_TOKEN));
    } else {
        assert_eq!(object(shown.as_bytes()), Some(confirmed.unwrap_or(claims)));
    }
}

fn names_issuer(case: &Case, claims: &Object) -> bool {
    let (issuer, iss) = (
        case.policy.issuer().identifier(),
        claims.get("iss").and_then(Value::as_str),
    );
    let of_entra = || {
        let tenant = claims
            .get("tid")
            .and_then(Value::as_str)
            .unwrap_or_default();
        case.policy.preset().name() == "entra"
            && tenant.len() == 36
            && iss == Some(&format!("https://sts.windows.net/{tenant}/"))
            && issuer == format!("https://login.microsoftonline.com/{tenant}/v2.0")
    };
    let of_adfs = || {
        let set = case.settings.text("access_token_issuer");
        let usual = issuer
            .strip_prefix("https://")
            .and_then(|rest| rest.strip_suffix("/adfs"))
            .map(|host| format!("http://{host}/adfs/services/trust"));
        let own = set.filter(|set| !set.is_empty()).or(usual.as_deref());
        iss.is_some() && iss == own
    };
    match case.policy.preset().name() {
        "adfs" => of_adfs(),
        _ => iss == Some(issuer) || of_entra(),
    }
}

fn names_audience(case: &Case, claims: &Object) -> bool {
    let accepted = |aud: &Value| {
        aud.as_str()
            .is_some_and(|aud| case.policy.audience().contains(aud))
    };
    match claims.get("aud") {
        Some(Value::Array(list)) => list.iter().all(Value::is_string) && list.iter().any(accepted),
        Some(one) => accepted(one),
        None => {
            case.policy.preset().name() == "cognito"
                && claims.get("client_id").is_some_and(accepted)
        }
    }
}

fn now(case: &Case) -> f64 {
    case.settings.now().unix_micros() as f64 / 1e6
}

fn is_in_time(case: &Case, claims: &Object) -> bool {
    let exp = claims.get("exp").and_then(Value::as_f64);
    exp.is_some_and(|exp| exp + case.policy.clock_skew().as_secs_f64() > now(case) - 1e-3)
}

fn assert_other_times(case: &Case, claims: &Object) {
    let latest = now(case) + case.policy.clock_skew().as_secs_f64() + 1e-3;
    for name in ["nbf", "iat"] {
        if let Some(time) = claims.get(name) {
            assert!(
                time.as_f64().is_some_and(|time| time <= latest),
                "{name} of {claims:?}"
            );
        }
    }
    if let Some(limit) = case.settings.number("max_token_age") {
        let iat = claims
            .get("iat")
            .and_then(Value::as_f64)
            .expect("a token that may be of an age only has one");
        assert!(iat + limit as f64 >= now(case) - case.policy.clock_skew().as_secs_f64() - 1e-3);
    }
}

/// The identity is the claim's text behind the prefix, can be read by a person, and is not empty.
fn assert_identity(case: &Case, authn_id: &str, claims: &Object) {
    assert!(authn_id.len() <= 255);
    let setting = case.policy.identity_claim().as_str();
    if !setting.contains('"') {
        let all = case.settings.text("identity_prefix").unwrap_or_default();
        let items = setting.split(',').map(str::trim);
        let mut found = items.filter_map(|item| {
            let (name, own) = item.split_once('=').unzip();
            let value = find(claims, name.unwrap_or(item).trim_end())?;
            Some((own.map_or(all, str::trim_start), value))
        });
        let (prefix, value) = found.next().expect("an identity comes from a claim");
        let claim = value.as_str().expect("an identity is a string");
        assert!(!claim.is_empty());
        let claim = match case.settings.text("identity_case") {
            Some("lower") => claim.to_ascii_lowercase(),
            _ => claim.to_owned(),
        };
        assert_eq!(authn_id, format!("{prefix}{claim}"));
    }
    assert!(
        !authn_id.chars().any(|c| c.is_control() || hides(c)),
        "{authn_id:?}"
    );
}

fn assert_client(case: &Case, claims: &Object) {
    let listed: StringList = case
        .settings
        .text("client_ids")
        .unwrap_or_default()
        .parse()
        .expect("parsed before");
    if listed.is_empty() {
        return;
    }
    let named =
        ["client_id", "azp", "appid", "cid"].map(|name| claims.get(name).and_then(Value::as_str));
    assert!(
        named
            .into_iter()
            .flatten()
            .any(|client| listed.contains(client)),
        "{claims:?}"
    );
}

fn assert_scopes(case: &Case, claims: &Object) {
    let preset = case.policy.preset();
    let optional = case.settings.text("optional_scopes").map(str::to_owned);
    let optional: StringList = optional
        .or(preset.default_of("optional_scopes"))
        .unwrap_or_default()
        .parse()
        .expect("parsed before");
    let demanded = case.settings.text("scopes").unwrap_or_default();
    let mut names = vec!["scope", "scp"];
    if WITHOUT_SCOPES.contains(&preset.name())
        && !names.iter().any(|name| claims.contains_key(*name))
    {
        return;
    }
    if preset.name() == "entra" {
        names.push("roles");
    }
    let granted: Vec<&str> = names
        .iter()
        .filter_map(|name| claims.get(*name))
        .flat_map(words)
        .collect();
    for scope in demanded
        .split_ascii_whitespace()
        .filter(|scope| !optional.contains(scope))
    {
        let short = scope
            .rsplit('/')
            .next()
            .filter(|_| ["entra", "adfs"].contains(&preset.name()));
        assert!(
            granted.contains(&scope) || short.is_some_and(|short| granted.contains(&short)),
            "{scope}"
        );
    }
}

fn assert_required_claims(case: &Case, claims: &Object) {
    let required = case.settings.text("required_claims").unwrap_or_default();
    conditions::assert_hold(required, |name| find(claims, name));
}

/// RFC 7800 §3.1, RFC 8705 §3.1.
fn assert_bound(case: &Case, claims: &Object) {
    match claims.get("cnf") {
        None => assert!(!case.settings.is_on("require_bound_token")),
        Some(methods) => {
            let der = case
                .settings
                .text("certificate")
                .expect("a bound token needs a certificate");
            let expected = base64url(digest(&SHA256, der.as_bytes()));
            assert_eq!(methods, &serde_json::json!({"x5t#S256": expected}));
        }
    }
}

/// What the provider says about a JWT must be about the same token, and good too. Returns the claims that hold.
fn assert_confirmed(case: &Case, grant: &Grant, authn_id: &str, claims: &Object) -> Object {
    let mut answer = object(without_mark(&case.answer)).expect("the answer is a JSON object");
    assert_eq!(answer.remove("active"), Some(Value::Bool(true)));
    answer.retain(|_, value| !value.is_null());
    for name in ["sub", "jti"] {
        let differs = answer
            .get(name)
            .is_some_and(|named| claims.get(name).is_some_and(|own| own != named));
        assert!(!differs, "{name} of {claims:?} and {answer:?}");
    }
    if let Some(client) = answer.get("client_id") {
        assert_client(
            case,
            &Object::from_iter([("client_id".to_owned(), client.clone())]),
        );
    }
    let both = confirmed(case, claims, &answer);
    assert!(names_issuer(case, &both) && names_audience(case, &both) && is_in_time(case, &both));
    assert_scopes(case, &both);
    assert_role(case, authn_id, &both);
    assert_bound(case, &both);
    assert_groups(case, grant, authn_id, &both);
    both
}

/// The claims of a JWT with those of the answer over them. Scopes are the answer's alone, if it has any, under each name that
/// the JWT or the preset has for them.
fn confirmed(case: &Case, claims: &Object, answer: &Object) -> Object {
    let mut both = claims.clone();
    both.extend(answer.clone());
    let Some(scopes) = answer.get("scope").or(answer.get("scp")) else {
        return both;
    };
    let reads_scp = ["okta", "entra", "adfs"].contains(&case.policy.preset().name());
    for name in ["scope", "scp"] {
        let own = claims.get(name);
        if answer.contains_key(name) || own.is_none() && (name, reads_scp) != ("scp", true) {
            continue;
        }
        let listed = || words(scopes).into_iter().filter(|word| !word.is_empty());
        let said = match own.is_some_and(Value::is_array) && scopes.is_string() {
            true => listed().collect(),
            false => scopes.clone(),
        };
        both.insert(name.to_owned(), said);
    }
    both
}
