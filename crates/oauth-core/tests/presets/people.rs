//! Providers of people's access tokens, in the shape that their documentation gives. Entra has a file of its own.

use crate::provider::Provider;
use court::*;
use serde_json::json;

/// Keycloak Server Administration Guide, "Audience support" and "Token role mappings"; the payload `typ`:
/// org.keycloak.util.TokenUtil.
fn keycloak() -> Provider {
    const ISSUER: &str = "https://sso.example/realms/corp";
    Provider {
        preset: "keycloak",
        issuer: ISSUER,
        scope: "openid postgres",
        audience: "postgres",
        required_claims: "",
        metadata: json!({
            "issuer": ISSUER,
            "jwks_uri": "https://sso.example/realms/corp/protocol/openid-connect/certs",
            "device_authorization_endpoint": "https://sso.example/realms/corp/protocol/openid-connect/auth/device",
        }),
        header: json!({"typ": "JWT"}),
        claims: json!({
            "iss": ISSUER, "aud": ["postgres", "account"], "typ": "Bearer", "azp": "psql", "scope": "openid postgres",
            "sub": "4c7f5e5a-3a8c-4f6f-9c1e-0d8f6f1f3a11", "jti": "trrtdg:5d1b", "sid": "b1d6", "acr": "1",
            "preferred_username": "alice", "realm_access": {"roles": ["offline_access", "dba"]},
            "resource_access": {"account": {"roles": ["view-profile"]}},
        }),
    }
}

#[test]
fn keycloak_tells_its_tokens_apart_by_the_payload() {
    let keycloak = keycloak();
    keycloak.check();
    assert_eq!(keycloak.identity().as_deref(), Some("alice"));
    keycloak.check_changes([
        (json!({"aud": "account"}), "aud_mismatch"),
        (json!({"aud": null}), "aud_missing"),
        (json!({"typ": "ID"}), "not_an_access_token"),
        (
            json!({"typ": "ID", "aud": "postgres", "nonce": "n"}),
            "not_an_access_token",
        ),
        (json!({"typ": "Refresh"}), "not_an_access_token"),
        (json!({"typ": "Offline"}), "not_an_access_token"),
        (json!({"typ": "Logout"}), "not_an_access_token"),
        (json!({"typ": "Serialized-ID"}), "access_token_unproven"),
        (json!({"typ": "bearer"}), "access_token_unproven"),
        (json!({"typ": ["Bearer"]}), "access_token_unproven"),
        (json!({"typ": null}), "access_token_unproven"),
        (json!({"scope": "openid"}), "insufficient_scope"),
        (json!({"preferred_username": null}), "identity_missing"),
    ]);
    let rfc9068 = keycloak.token(json!({})).header("typ", "at+jwt");
    assert_eq!(keycloak.court().verdict(&rfc9068), GRANTED);
    let both = keycloak.token(json!({"client_id": "other"})).encode();
    let decision = keycloak.court().judge(&both);
    let client = decision.evidence().client_id.as_ref().unwrap();
    assert_eq!(client.as_str(), "psql");
}

/// Okta developer documentation, "OpenID Connect & OAuth 2.0 API", tokens and claims.
fn okta() -> Provider {
    const ISSUER: &str = "https://corp.okta.example/oauth2/aus1";
    Provider {
        preset: "okta",
        issuer: ISSUER,
        scope: "openid postgres",
        audience: "https://pg.example/",
        required_claims: "",
        metadata: json!({"issuer": ISSUER, "jwks_uri": "https://corp.okta.example/oauth2/aus1/v1/keys"}),
        header: json!({}),
        claims: json!({
            "ver": 1, "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE", "iss": ISSUER,
            "aud": "https://pg.example/", "cid": "0oabucvyc38HLL1ef0h7", "uid": "00ub0oNGTSWTBKOLGLNR",
            "scp": ["openid", "postgres"], "sub": "alice@corp.example", "groups": ["dba"],
        }),
    }
}

#[test]
fn okta_names_client_and_scopes_in_its_own_way() {
    let okta = okta();
    okta.check();
    assert_eq!(okta.identity().as_deref(), Some("alice@corp.example"));
    okta.check_changes([
        (json!({"aud": "https://corp.okta.example"}), "aud_mismatch"),
        (json!({"scp": ["openid"]}), "insufficient_scope"),
        (
            json!({"scp": ["openid"], "scope": "postgres"}),
            "insufficient_scope",
        ),
        (
            json!({"scp": null, "scope": "postgres"}),
            "access_token_unproven",
        ),
        (json!({"cid": null}), "access_token_unproven"),
        (json!({"nonce": "n"}), "not_an_access_token"),
    ]);
    // The ID token of an authorization server whose audience is, by mistake, the client.
    let id_token = json!({
        "iss": okta.issuer, "aud": okta.audience, "sub": "00ub0oNGTSWTBKOLGLNR", "ver": 1, "amr": ["pwd"],
        "idp": "00o1", "preferred_username": "alice@corp.example", "jti": "ID.1", "at_hash": "h",
    });
    assert_eq!(okta.verdict_on(id_token), "access_token_unproven");
    let named_by_nothing = json!({
        "iss": okta.issuer, "aud": okta.audience, "sub": "alice", "cid": null, "scp": ["postgres"],
    });
    assert_eq!(okta.verdict_on(named_by_nothing), "access_token_unproven");
    let decision = okta.court().judge(&okta.token(json!({})).encode());
    let client = decision.evidence().client_id.as_ref().unwrap();
    assert_eq!(client.as_str(), "0oabucvyc38HLL1ef0h7");
    let of_org_server = okta
        .token(json!({}))
        .header("typ", "application/okta-internal-at+jwt");
    assert_eq!(okta.court().verdict(&of_org_server), "typ_not_allowed");

    let listed = okta.court_of(
        okta.policy()
            .client_ids("0oabucvyc38HLL1ef0h7".parse().unwrap()),
    );
    assert_eq!(listed.verdict(&okta.token(json!({}))), GRANTED);
    let other = okta.token(json!({"cid": "0oa2", "client_id": "0oabucvyc38HLL1ef0h7"}));
    assert_eq!(listed.verdict(&other), "client_not_allowed");
}

/// Auth0 documentation, "Access Token Profiles" and "ID Token Structure".
fn auth0() -> Provider {
    const ISSUER: &str = "https://corp.auth0.example/";
    Provider {
        preset: "auth0",
        issuer: ISSUER,
        scope: "openid postgres",
        audience: "https://pg.example/",
        required_claims: "",
        metadata: json!({"issuer": ISSUER, "jwks_uri": "https://corp.auth0.example/.well-known/jwks.json"}),
        header: json!({"typ": "JWT"}),
        claims: json!({
            "iss": ISSUER, "sub": "auth0|123456", "aud": ["https://pg.example/", "https://corp.auth0.example/userinfo"],
            "azp": "my_client_id", "scope": "openid postgres", "permissions": ["dba"],
        }),
    }
}

#[test]
fn auth0_has_two_profiles_of_access_tokens() {
    let auth0 = auth0();
    auth0.check();
    assert_eq!(auth0.identity().as_deref(), Some("auth0|123456"));
    let rfc9068 =
        json!({"azp": null, "client_id": "my_client_id", "jti": "73WakrfVbNJBaAmhQtEeDv"});
    let rfc9068 = auth0.token(rfc9068).header("typ", "at+jwt");
    assert_eq!(auth0.court().verdict(&rfc9068), GRANTED);
    auth0.check_changes([
        (
            json!({"aud": "https://corp.auth0.example/userinfo"}),
            "aud_mismatch",
        ),
        (json!({"azp": null}), "access_token_unproven"),
        (json!({"azp": "https://pg.example/"}), "not_an_access_token"),
        (json!({"nonce": "n"}), "not_an_access_token"),
        (json!({"scope": "openid"}), "insufficient_scope"),
        (json!({"scope": null}), "insufficient_scope"),
    ]);
    let id_token = json!({
        "iss": auth0.issuer, "sub": "auth0|123456", "aud": "my_client_id", "name": "Alice", "nickname": "postgres",
    });
    assert_eq!(auth0.verdict_on(id_token.clone()), "aud_mismatch");
    let careless = auth0.court_of(auth0.policy().audience("my_client_id".parse().unwrap()));
    assert_eq!(
        careless.verdict(&auth0.token_of(id_token)),
        "access_token_unproven"
    );
}

/// Amazon Cognito Developer Guide, "Understanding the access token" and "Understanding the identity (ID) token".
fn cognito() -> Provider {
    const ISSUER: &str = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_EXAMPLE";
    Provider {
        preset: "cognito",
        issuer: ISSUER,
        scope: "openid postgres/login",
        audience: "1example23456789",
        required_claims: "",
        metadata: json!({"issuer": ISSUER, "jwks_uri": format!("{ISSUER}/.well-known/jwks.json")}),
        header: json!({}),
        claims: json!({
            "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "cognito:groups": ["dba"], "iss": ISSUER, "version": 2,
            "client_id": "1example23456789", "origin_jti": "o", "token_use": "access",
            "scope": "openid postgres/login", "auth_time": NOW, "jti": "j", "username": "alice",
        }),
    }
}

#[test]
fn cognito_names_its_audience_by_the_client() {
    let cognito = cognito();
    cognito.check();
    assert_eq!(
        cognito.identity().as_deref(),
        Some("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee")
    );
    cognito.check_changes([
        (json!({"client_id": "2example"}), "aud_mismatch"),
        (
            json!({"client_id": ["1example23456789", "2example"]}),
            "aud_malformed",
        ),
        (json!({"client_id": null}), "aud_missing"),
        (json!({"token_use": null}), "aud_missing"),
        (json!({"token_use": "id"}), "aud_missing"),
        // With a resource of its own, a token is for that resource, whoever its client is.
        (json!({"aud": "https://other.example"}), "aud_mismatch"),
        (json!({"aud": ["1example23456789"]}), GRANTED),
        (
            json!({"aud": "1example23456789", "token_use": null}),
            "access_token_unproven",
        ),
        (
            json!({"scope": "aws.cognito.signin.user.admin"}),
            "insufficient_scope",
        ),
    ]);
    let id_token = json!({
        "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "cognito:groups": ["dba"], "iss": cognito.issuer,
        "cognito:username": "alice", "aud": "1example23456789", "token_use": "id", "scope": "postgres/login",
    });
    assert_eq!(cognito.verdict_on(id_token), "not_an_access_token");
    // No other preset takes the client for an audience.
    let generic = cognito.policy().preset(oauth_core::Preset::GENERIC);
    let generic = generic.token_types("-".parse().unwrap());
    assert_eq!(
        cognito.court_of(generic).verdict(&cognito.token(json!({}))),
        "aud_missing"
    );
}

/// authentik's source, authentik/providers/oauth2/id_token.py: `IDToken.to_access_token` and `to_jwt`.
fn authentik() -> Provider {
    const ISSUER: &str = "https://authentik.example/application/o/postgres/";
    Provider {
        preset: "authentik",
        issuer: ISSUER,
        scope: "openid profile",
        audience: "psql",
        required_claims: "",
        metadata: json!({
            "issuer": ISSUER, "jwks_uri": "https://authentik.example/application/o/postgres/jwks/",
            "device_authorization_endpoint": "https://authentik.example/application/o/device/",
        }),
        header: json!({"typ": "JWT"}),
        claims: json!({
            "iss": ISSUER, "sub": "9f2c", "aud": "psql", "auth_time": NOW, "acr": "goauthentik.io/providers/oauth2/default",
            "amr": ["pwd"], "sid": "s", "preferred_username": "alice", "groups": ["dba"],
            "azp": "psql", "uid": "mLVd1Y5U3N7h",
        }),
    }
}

#[test]
fn authentik_tokens_of_both_kinds_have_one_audience() {
    let authentik = authentik();
    authentik.check();
    assert_eq!(authentik.identity().as_deref(), Some("alice"));
    authentik.check_changes([
        (json!({"aud": "grafana"}), "aud_mismatch"),
        (json!({"azp": null, "uid": null}), "access_token_unproven"),
        (
            json!({"azp": null, "uid": null, "nonce": "n", "at_hash": "h"}),
            "access_token_unproven",
        ),
        (json!({"uid": null}), "access_token_unproven"),
        (json!({"azp": null}), "access_token_unproven"),
        // The code flow puts a nonce into both kinds.
        (json!({"nonce": "n"}), GRANTED),
        (json!({"scope": "openid profile"}), GRANTED),
        (json!({"scope": "openid"}), "insufficient_scope"),
        (json!({"preferred_username": null}), "identity_missing"),
    ]);
}

/// ZITADEL documentation, "Claims": the table of which token has which claim.
fn zitadel() -> Provider {
    const ISSUER: &str = "https://corp.zitadel.example";
    Provider {
        preset: "zitadel",
        issuer: ISSUER,
        scope: "openid urn:zitadel:iam:org:project:id:69234237810729019:aud",
        audience: "69234237810729019",
        required_claims: "",
        metadata: json!({
            "issuer": ISSUER, "jwks_uri": "https://corp.zitadel.example/oauth/v2/keys",
            "device_authorization_endpoint": "https://corp.zitadel.example/oauth/v2/device_authorization",
        }),
        header: json!({"typ": "JWT"}),
        claims: json!({
            "iss": ISSUER, "sub": "77776025198584418", "aud": ["69234237810729234", "69234237810729019"],
            "azp": "69234237810729234", "jti": "69234237813329048", "nbf": NOW,
            "urn:zitadel:iam:org:project:roles": {"dba": {"id1": "corp.example"}},
        }),
    }
}

#[test]
fn zitadel_tokens_of_both_kinds_have_one_audience() {
    let zitadel = zitadel();
    zitadel.check();
    assert_eq!(zitadel.identity().as_deref(), Some("77776025198584418"));
    zitadel.check_changes([
        (json!({"aud": ["69234237810729234"]}), "aud_mismatch"),
        (json!({"jti": null}), "access_token_unproven"),
        (
            json!({"jti": null, "auth_time": NOW, "amr": ["pwd"]}),
            "access_token_unproven",
        ),
        (json!({"auth_time": NOW}), "not_an_access_token"),
        (json!({"amr": ["pwd", "mfa"]}), "not_an_access_token"),
        (json!({"nonce": "n"}), "not_an_access_token"),
        (json!({"at_hash": "h"}), "not_an_access_token"),
    ]);
    // Roles are an object, which lists nobody's roles.
    let policy = zitadel.policy().delegated(true);
    let policy = policy.role_claim(Some("urn:zitadel:iam:org:project:roles".parse().unwrap()));
    let court = zitadel.court_of(policy).role("dba");
    assert_eq!(
        court.verdict(&zitadel.token(json!({}))),
        "role_claim_malformed"
    );
}

/// PingOne Platform APIs, "Token claims".
fn ping() -> Provider {
    const ISSUER: &str = "https://auth.pingone.example/4e7ec0fd-3b41-4d5a-8f8b-4d5cf3bd0f0c/as";
    Provider {
        preset: "ping",
        issuer: ISSUER,
        scope: "openid postgres",
        audience: "https://pg.example/",
        required_claims: "",
        metadata: json!({"issuer": ISSUER, "jwks_uri": format!("{ISSUER}/jwks")}),
        header: json!({}),
        claims: json!({
            "iss": ISSUER, "sub": "d5e0ccd1", "aud": ["https://pg.example/"], "client_id": "c1", "scope": "openid postgres",
            "sid": "s", "auth_time": NOW, "acr": "Single_Factor",
        }),
    }
}

#[test]
fn ping_access_tokens_name_client_and_scope() {
    let ping = ping();
    ping.check();
    assert_eq!(ping.identity().as_deref(), Some("d5e0ccd1"));
    let rfc9068 = ping.token(json!({})).header("typ", "at+jwt");
    assert_eq!(ping.court().verdict(&rfc9068), GRANTED);
    let as_jwt = ping.token(json!({})).header("typ", "JWT");
    assert_eq!(ping.court().verdict(&as_jwt), "typ_not_allowed");
    ping.check_changes([
        (
            json!({"aud": ["https://api.pingone.example"]}),
            "aud_mismatch",
        ),
        (json!({"client_id": null}), "access_token_unproven"),
        (json!({"scope": null}), "access_token_unproven"),
        (json!({"scope": "openid"}), "insufficient_scope"),
        (json!({"at_hash": "h"}), "not_an_access_token"),
    ]);
    let id_token = json!({
        "iss": ping.issuer, "sub": "d5e0ccd1", "aud": ping.audience, "acr": "Single_Factor", "amr": ["pwd"],
        "at_hash": "h", "sid": "s",
    });
    assert_eq!(ping.verdict_on(id_token), "access_token_unproven");
}
