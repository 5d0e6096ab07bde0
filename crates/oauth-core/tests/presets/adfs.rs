//! AD FS (Windows Server 2016 and later): access tokens with an `iss` of their own, as people have shown them.

use crate::provider::Provider;
use court::*;
use oauth_core::{Bearer, Preset, Sketch};
use serde_json::{Value, json};

const ISSUER: &str = "https://fs.corp.example/adfs";
const TRUST: &str = "http://fs.corp.example/adfs/services/trust";
const RESOURCE: &str = "https://pg.example.com";
const CLIENT: &str = "7c12c80b-9fb5-4dec-abba-e43254ba4279";

fn adfs() -> Provider {
    Provider {
        preset: "adfs",
        issuer: ISSUER,
        scope: "https://pg.example.com/openid",
        audience: RESOURCE,
        required_claims: "",
        metadata: json!({
            "issuer": ISSUER, "jwks_uri": "https://fs.corp.example/adfs/discovery/keys",
            "access_token_issuer": TRUST,
            "device_authorization_endpoint": "https://fs.corp.example/adfs/oauth2/devicecode",
        }),
        header: json!({"typ": "JWT", "x5t": "kqVTEOn1j0Tk4yEnT5vBqn2Ybj4"}),
        claims: json!({
            "aud": RESOURCE, "iss": TRUST, "upn": "alice@corp.example", "group": "Domain Users",
            "apptype": "Public", "appid": CLIENT,
            "authmethod": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
            "auth_time": "2026-11-27T08:30:17.507Z", "ver": "1.0", "scp": "openid",
        }),
    }
}

#[test]
fn access_tokens_have_an_issuer_of_their_own() {
    let adfs = adfs();
    adfs.check();
    assert_eq!(adfs.identity().as_deref(), Some("alice@corp.example"));
    let others = [
        // What the metadata calls the issuer, and ID tokens have.
        ISSUER,
        "https://fs.corp.example/adfs/services/trust",
        "http://fs.corp.example/adfs/services/trust/",
        "http://FS.corp.example/adfs/services/trust",
        "http://fs.corp.example:80/adfs/services/trust",
        "http://fs.corp.example.evil.example/adfs/services/trust",
        "http://evil.example/adfs/services/trust",
        "",
    ];
    for iss in others {
        assert_eq!(adfs.verdict(json!({ "iss": iss })), "iss_mismatch", "{iss}");
    }
    assert_eq!(adfs.verdict(json!({"iss": [TRUST]})), "iss_malformed");

    // A token with the issuer of ID tokens is refused, and is not one of another issuer.
    let policy = adfs.policy().build().expect("a policy");
    let other = |iss: &str| {
        let token = adfs.token(json!({ "iss": iss })).encode();
        let sketch = Sketch::of(&Bearer::new(&token), &policy).expect("a JWT");
        sketch.other_issuer().map(str::to_owned)
    };
    assert_eq!(other(ISSUER), None);
    assert_eq!(
        other("http://evil.example/adfs").as_deref(),
        Some("http://evil.example/adfs")
    );
}

#[test]
fn the_issuer_of_access_tokens_can_be_set_and_nothing_else_counts_then() {
    let adfs = adfs();
    let name = "http://FS.CORP.EXAMPLE/adfs/services/trust";
    let policy = adfs.policy().access_token_issuer(name.parse().unwrap());
    let court = adfs.court_of(policy);
    let verdict = |iss: &str| court.verdict(&adfs.token(json!({ "iss": iss })));
    assert_eq!(verdict(name), GRANTED);
    assert_eq!(verdict(TRUST), "iss_mismatch");
    assert_eq!(verdict(ISSUER), "iss_mismatch");

    // An issuer from which the name does not follow: no token is accepted, until it is set.
    let elsewhere = Provider {
        issuer: "https://fs.corp.example:4443/adfs",
        ..adfs
    };
    for iss in [elsewhere.issuer, TRUST, ""] {
        assert_eq!(elsewhere.verdict(json!({ "iss": iss })), "iss_mismatch");
    }
    let policy = elsewhere
        .policy()
        .access_token_issuer(TRUST.parse().unwrap());
    let token = elsewhere.token(json!({}));
    assert_eq!(elsewhere.court_of(policy).verdict(&token), GRANTED);
}

#[test]
fn the_other_issuer_is_for_this_preset_alone() {
    let adfs = adfs();
    for preset in Preset::ALL {
        let policy = adfs
            .policy()
            .preset(preset)
            .access_token_issuer(TRUST.parse().unwrap())
            .token_types("JWT".parse().unwrap())
            .required_claims("sub=x, repository_owner=x".parse().unwrap());
        let token = adfs.token(json!({"sub": "x", "repository_owner": "x"}));
        let expected = match preset.name() {
            "adfs" => GRANTED,
            _ => "iss_mismatch",
        };
        assert_eq!(adfs.court_of(policy).verdict(&token), expected, "{preset}");
    }
}

#[test]
fn an_id_token_is_refused_even_if_it_has_the_issuer_of_access_tokens() {
    let adfs = adfs();
    // The names are the same where an administrator has made them so.
    let policy = adfs.policy().access_token_issuer(ISSUER.parse().unwrap());
    let policy = policy.audience(format!("{RESOURCE}, {CLIENT}").parse().unwrap());
    let court = adfs.court_of(policy);
    let access_token = adfs.token(json!({"iss": ISSUER}));
    assert_eq!(court.verdict(&access_token), GRANTED);
    let id_token = |more: Value| {
        let mut claims = json!({
            "aud": CLIENT, "iss": ISSUER, "nbf": NOW, "auth_time": NOW, "sub": "Jq3bT0dSe9KXlX",
            "upn": "alice@corp.example", "unique_name": "CORP\\alice", "sid": "S-1-5-21-1",
            "apptype": "Public", "appid": CLIENT, "ver": "1.0", "scp": "openid",
        });
        let more = more.as_object().unwrap().clone();
        claims.as_object_mut().unwrap().extend(more);
        court.verdict(&adfs.token_of(claims))
    };
    assert_eq!(id_token(json!({})), "not_an_access_token");
    for claim in ["nonce", "at_hash", "c_hash", "s_hash"] {
        let verdict = id_token(json!({"aud": RESOURCE, claim: "x"}));
        assert_eq!(verdict, "not_an_access_token", "{claim}");
    }
}

#[test]
fn a_token_is_for_this_server_and_names_its_client() {
    let adfs = adfs();
    adfs.check_changes([
        (json!({"aud": "urn:microsoft:userinfo"}), "aud_mismatch"),
        (
            json!({"aud": format!("microsoft:identityserver:{CLIENT}")}),
            "aud_mismatch",
        ),
        (json!({"aud": null}), "aud_missing"),
        (json!({"appid": null}), "access_token_unproven"),
        (json!({"apptype": null}), "access_token_unproven"),
        (json!({"upn": null}), "identity_missing"),
    ]);
    let own = format!("microsoft:identityserver:{CLIENT}");
    let policy = adfs.policy().audience(own.parse().unwrap());
    let token = adfs.token(json!({ "aud": own }));
    assert_eq!(adfs.court_of(policy).verdict(&token), GRANTED);
    let court = adfs.court_of(adfs.policy().client_ids(CLIENT.parse().unwrap()));
    assert_eq!(court.verdict(&adfs.token(json!({}))), GRANTED);
    let other = adfs.token(json!({"appid": "another"}));
    assert_eq!(court.verdict(&other), "client_not_allowed");
}

#[test]
fn scopes_are_named_without_the_resource_and_roles_do_not_stand_for_them() {
    let adfs = Provider {
        scope: "https://pg.example.com/postgres",
        ..adfs()
    };
    adfs.check_changes([
        (json!({"scp": "openid postgres"}), GRANTED),
        (json!({"scp": "openid"}), "insufficient_scope"),
        (json!({"scp": null}), "insufficient_scope"),
        (
            json!({"scp": null, "roles": ["postgres"]}),
            "insufficient_scope",
        ),
    ]);
}

#[test]
fn one_group_is_a_string_and_several_are_an_array() {
    let adfs = adfs();
    let court = adfs
        .court_of(adfs.policy().delegated(true))
        .role("Domain Admins");
    let groups = |groups: Value| court.verdict(&adfs.token(json!({ "group": groups })));
    assert_eq!(groups(json!("Domain Admins")), GRANTED);
    assert_eq!(groups(json!(["Domain Users", "Domain Admins"])), GRANTED);
    assert_eq!(groups(json!("Domain Users")), "role_not_granted");
    assert_eq!(groups(json!(["Domain", "Admins"])), "role_not_granted");
}
