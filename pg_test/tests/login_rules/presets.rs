//! `validator.provider`: a provider's ways are the defaults, and what is set wins.

use rig::{Alg, Endpoint, Fault, Issuer, Server, Token};
use serde_json::json;

/// A server that logs everything and knows the provider by this name, with these settings.
fn start(provider: &str, settings: &[(&str, &str)]) -> (Issuer, Server) {
    let issuer = Issuer::builder().start();
    let mut builder = Server::trusting(&issuer)
        .log_everything()
        .set("validator.provider", provider)
        .ident("people /^.*$ alice");
    for (name, value) in settings {
        builder = builder.set(name, value);
    }
    let server = builder.start();
    server.set_hba(&[&rig::oauth_line(issuer.url(), "map=people")]);
    server.reload();
    (issuer, server)
}

/// The tenant of [`start_entra`].
const TENANT: &str = "11111111-2222-3333-4444-555555555555";

/// A server that trusts this tenant of Entra, and the tenant's issuer. Its keys come from elsewhere: no test asks Microsoft.
fn start_entra() -> (Issuer, Server, String) {
    let issuer = Issuer::builder().start();
    let keys = format!("{}/jwks", issuer.url());
    let server = Server::trusting(&issuer)
        .log_everything()
        .set("validator.provider", "entra")
        .set("validator.jwks_uri", &keys)
        .ident("people /^.*$ alice")
        .start();
    let entra = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
    let line = rig::oauth_line(&entra, "map=people");
    server.set_hba(&[&line.replace(Issuer::SCOPE, "openid api://pg/postgres")]);
    server.reload();
    (issuer, server, entra)
}

/// What Keycloak issues (its documented claims): `typ` in header and payload, `azp`, a readable name.
fn keycloak(issuer: &Issuer) -> Token {
    issuer
        .token("5b4d3c2e-8a97-4a0f-9d3e-0c1f2b3a4d5e")
        .header("typ", "JWT")
        .without_claim("client_id")
        .claim("azp", "psql")
        .claim("typ", "Bearer")
        .claim("preferred_username", "alice")
        .claim("realm_access", json!({"roles": ["alice"]}))
}

#[test]
fn a_provider_is_known_by_its_name_and_its_id_token_told_apart() {
    let (issuer, server) = start("keycloak", &[]);
    server.admits("alice", &keycloak(&issuer).encode());
    let id_token = keycloak(&issuer).claim("typ", "ID").encode();
    server.refuses("alice", &id_token, "not_an_access_token");
    let unproven = keycloak(&issuer).without_claim("typ").encode();
    server.refuses("alice", &unproven, "access_token_unproven");
    // Without the name, the header's type alone is refused.
    server.unset("validator.provider");
    server.reload();
    server.refuses("alice", &keycloak(&issuer).encode(), "typ_not_allowed");
}

#[test]
fn what_is_set_wins_over_the_providers_ways_and_show_tells_what_is_in_force() {
    let (issuer, server) = start("keycloak", &[("shared_preload_libraries", "validator")]);
    assert_ne!(server.value("SHOW validator.token_types"), "at+jwt");
    server.reload_with(&[("validator.token_types", "at+jwt")]);
    assert_eq!(server.value("SHOW validator.token_types"), "at+jwt");
    server.refuses("alice", &keycloak(&issuer).encode(), "typ_not_allowed");
    server.unset("validator.token_types");
    server.reload();
    server.admits("alice", &keycloak(&issuer).encode());
    server.reload_with(&[("validator.identity_claim", "email")]);
    server.refuses("alice", &keycloak(&issuer).encode(), "identity_missing");
}

#[test]
fn tokens_of_entra_are_of_the_issuers_tenant_in_either_version() {
    let (issuer, server, entra) = start_entra();
    let token = |iss: &str, version: &str, tid: &str| {
        issuer
            .token("alice")
            .header("typ", "JWT")
            .without_claim("client_id")
            .without_claim("scope")
            .claim("iss", iss)
            .claim("azp", "psql")
            .claim("ver", version)
            .claim("tid", tid)
            .claim("oid", "00000000-0000-0000-66f3-3332eca7ea81")
            .claim("scp", "postgres")
            .encode()
    };
    let mut session = server.admits("alice", &token(&entra, "2.0", TENANT));
    assert_eq!(
        session.value("SELECT system_user"),
        "oauth:00000000-0000-0000-66f3-3332eca7ea81"
    );
    let v1 = format!("https://sts.windows.net/{TENANT}/");
    server.admits("alice", &token(&v1, "1.0", TENANT));
    let other = "99999999-2222-3333-4444-555555555555";
    server.refuses("alice", &token(&entra, "2.0", other), "tenant_mismatch");
    server.refuses("alice", &token(&v1, "1.0", other), "iss_mismatch");
    let other_v1 = format!("https://sts.windows.net/{other}/");
    server.refuses("alice", &token(&other_v1, "1.0", TENANT), "iss_mismatch");
}

#[test]
fn tokens_of_entra_for_microsoft_graph_are_told_from_forged_ones() {
    let (issuer, server, entra) = start_entra();
    let graph = "00000003-0000-0000-c000-000000000000";
    let token = issuer
        .token("alice")
        .header("typ", "JWT")
        .claim("iss", &*entra)
        .claim("aud", graph)
        .claim("tid", TENANT);
    let hint = "for Microsoft Graph";
    // Its signature is over something else than the text of the token.
    let with_nonce = token.clone().header("nonce", "x");
    let other = |token: &Token| {
        let token = token.clone();
        token.signature_by(&issuer.signing_key(), Alg::PS256)
    };
    let for_graph = other(&with_nonce);
    let verdict = server.refuses("alice", &for_graph.encode(), "bad_signature");
    assert!(verdict.log.contains(hint), "{}", verdict.log);
    assert!(
        verdict
            .log
            .contains("request a scope of your own application"),
        "{}",
        verdict.log
    );
    let forged = other(&token.clone().claim("aud", "api://pg"));
    let verdict = server.refuses("alice", &forged.encode(), "bad_signature");
    assert!(!verdict.log.contains(hint), "{}", verdict.log);
    let verdict = server.refuses("alice", &token.encode(), "aud_mismatch");
    assert!(verdict.log.contains(hint), "{}", verdict.log);
    server.refuses("alice", &with_nonce.encode(), "aud_mismatch");
    // Whatever the preset is.
    server.reload_with(&[("validator.provider", "keycloak")]);
    let verdict = server.refuses("alice", &for_graph.encode(), "bad_signature");
    assert!(verdict.log.contains(hint), "{}", verdict.log);
}

#[test]
fn entra_serves_the_keys_of_an_application_at_an_address_with_a_query() {
    let issuer = Issuer::builder().https().start();
    let discovery = format!(
        "{}/.well-known/openid-configuration?appid=6e74172b",
        issuer.url()
    );
    let keys = format!("{}/jwks?appid=6e74172b", issuer.url());
    issuer.fail(
        Endpoint::Discovery,
        Fault::altered(move |document| document["jwks_uri"] = json!(keys)),
    );
    let server = Server::trusting(&issuer)
        .log_everything()
        .set("validator.discovery_url", &discovery)
        .start();
    server.admits("alice", &issuer.token("alice").encode());
    let asked: Vec<(String, String)> = issuer
        .requests()
        .into_iter()
        .map(|(_, request)| (request.path, request.query))
        .collect();
    let query = "appid=6e74172b".to_owned();
    assert_eq!(
        asked,
        [
            (
                "/realms/corp/.well-known/openid-configuration".to_owned(),
                query.clone()
            ),
            ("/realms/corp/jwks".to_owned(), query)
        ]
    );
}

#[test]
fn where_strangers_get_tokens_too_a_required_claim_must_say_whose_are_accepted() {
    let (issuer, server) = start("github-actions", &[]);
    let token = issuer
        .token("repo:corp/db:ref:refs/heads/main")
        .header("typ", "JWT")
        .claim("repository", "corp/db")
        .claim("ref", "refs/heads/main")
        .claim("repository_owner", "corp")
        .claim("run_id", "42")
        .encode();
    let verdict = server.refuses("alice", &token, "required_claims_unset");
    assert!(
        verdict.log.contains("validator.required_claims"),
        "{}",
        verdict.log
    );
    let required = "repository=corp/db, ref=refs/heads/main";
    server.reload_with(&[("validator.required_claims", required)]);
    server.admits("alice", &token);
    for nobody in ["repository present", "repository like *", "sub like repo:*"] {
        server.reload_with(&[("validator.required_claims", nobody)]);
        server.refuses("alice", &token, "required_claims_unset");
    }
    server.reload_with(&[("validator.required_claims", "repository=corp/other")]);
    server.refuses("alice", &token, "required_claim_mismatch");
}

/// What Dex issues to `client` for this server, by the device flow: an access token in the form of an ID token.
fn dex(issuer: &Issuer, client: &str, audience: &str) -> Token {
    let token = issuer
        .token("CiRkNjI3YjZhNC05MDM4LTRmZTQtYjRkOS1jYTY0ZTU2YmUxNTISBWxvY2Fs")
        .without_header("typ")
        .without_claim("client_id")
        .without_claim("scope")
        .without_claim("jti")
        .claim("at_hash", "BEQ7Fc4d0ryGUmKXSx2dYQ")
        .claim("email", "joe@example.com")
        .claim("email_verified", true)
        .claim("name", "joe")
        .claim("preferred_username", "joe");
    match client == audience {
        true => token.claim("aud", client),
        false => token
            .claim("aud", json!([audience, client]))
            .claim("azp", client),
    }
}

#[test]
fn a_token_of_dex_opens_a_session_where_the_administrator_names_dex() {
    let (issuer, server) = start("dex", &[("validator.audience", "postgres")]);
    let line = |scope| rig::oauth_line(issuer.url(), "map=people").replace(Issuer::SCOPE, scope);
    server.set_hba(&[&line("openid email audience:server:client_id:postgres")]);
    server.reload();
    let good = dex(&issuer, "psql", "postgres");
    let mut session = server.admits("alice", &good.encode());
    assert_eq!(
        session.value("SELECT system_user"),
        "oauth:CiRkNjI3YjZhNC05MDM4LTRmZTQtYjRkOS1jYTY0ZTU2YmUxNTISBWxvY2Fs"
    );
    // ID tokens of the interactive flows, and tokens for others.
    let id_token = good.clone().claim("c_hash", "awFdRI3nmypOOR4IFRv7mA");
    server.refuses("alice", &id_token.encode(), "not_an_access_token");
    let with_nonce = good.clone().claim("nonce", "n-0S6").encode();
    let verdict = server.refuses("alice", &with_nonce, "not_an_access_token");
    assert!(
        verdict.log.contains("or to send no \"nonce\""),
        "{}",
        verdict.log
    );
    let bare = good.clone().without_claim("at_hash").encode();
    server.refuses("alice", &bare, "access_token_unproven");
    let other = dex(&issuer, "psql", "etl").encode();
    server.refuses("alice", &other, "aud_mismatch");
    let typed = good.clone().header("typ", "JWT").encode();
    server.refuses("alice", &typed, "typ_not_allowed");

    // Where clients are listed, the token must name one, as only those for another client's audience do.
    server.reload_with(&[("validator.client_ids", "psql")]);
    server.admits("alice", &good.encode());
    let of_the_audience = dex(&issuer, "postgres", "postgres").encode();
    server.refuses("alice", &of_the_audience, "client_missing");

    // The second set-up: a client that was made for this server alone.
    server.unset("validator.client_ids");
    server.reload_with(&[("validator.audience", "psql")]);
    server.set_hba(&[&line("openid email")]);
    server.reload();
    server.admits("alice", &dex(&issuer, "psql", "psql").encode());
    server.reload_with(&[
        ("validator.identity_claim", "email"),
        ("validator.required_claims", "email_verified=true"),
    ]);
    let mut session = server.admits("alice", &dex(&issuer, "psql", "psql").encode());
    assert_eq!(session.value("SELECT system_user"), "oauth:joe@example.com");
}

#[test]
fn the_hints_about_a_token_of_dex_lead_to_its_preset() {
    let (issuer, server) = start("generic", &[("validator.audience", "psql")]);
    let token = dex(&issuer, "psql", "psql").encode();
    let verdict = server.refuses("alice", &token, "typ_not_allowed");
    assert!(verdict.log.contains("'dex' for Dex"), "{}", verdict.log);
    server.reload_with(&[("validator.token_types", "at+jwt, -")]);
    let verdict = server.refuses("alice", &token, "not_an_access_token");
    let hint = "For Dex, set validator.provider = 'dex'";
    assert!(verdict.log.contains(hint), "{}", verdict.log);
    // Its ID tokens, and those of others, are not taken for access tokens.
    for claim in ["nonce", "c_hash", "s_hash"] {
        let id_token = dex(&issuer, "psql", "psql").claim(claim, "x").encode();
        let verdict = server.refuses("alice", &id_token, "not_an_access_token");
        assert!(!verdict.log.contains("Dex"), "{}", verdict.log);
    }
    server.reload_with(&[("validator.token_types", "at+jwt, JWT")]);
    let typed = dex(&issuer, "psql", "psql").header("typ", "JWT").encode();
    let verdict = server.refuses("alice", &typed, "not_an_access_token");
    assert!(!verdict.log.contains("Dex"), "{}", verdict.log);

    server.unset("validator.token_types");
    server.reload_with(&[("validator.provider", "dex")]);
    server.admits("alice", &token);
}

#[test]
fn access_tokens_of_ad_fs_have_an_issuer_of_their_own() {
    let adfs = "https://fs.corp.example/adfs";
    let trust = "http://fs.corp.example/adfs/services/trust";
    // Its keys come from a file: nothing is asked.
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .log_everything()
        .set("validator.provider", "adfs")
        .ident("people /^([a-z]+)@corp\\.example$ \\1")
        .start();
    let keys = json!({"keys": [issuer.signing_key().jwk()]}).to_string();
    let file = server.private_file("keys.json", &keys);
    server.set_hba(&[&rig::oauth_line(adfs, "map=people")
        .replace(Issuer::SCOPE, "https://pg.example.com/openid")]);
    server.reload_with(&[("validator.jwks_file", &file.display().to_string())]);
    let token = |iss: &str| {
        issuer
            .token("alice")
            .header("typ", "JWT")
            .without_claim("client_id")
            .without_claim("scope")
            .without_claim("sub")
            .without_claim("jti")
            .claim("iss", iss)
            .claim("upn", "alice@corp.example")
            .claim("group", "Domain Users")
            .claim("apptype", "Public")
            .claim("appid", "psql")
            .claim("auth_time", "2026-11-27T08:30:17.507Z")
            .claim("ver", "1.0")
            .claim("scp", "openid")
    };
    let mut session = server.admits("alice", &token(trust).encode());
    assert_eq!(
        session.value("SELECT system_user"),
        "oauth:alice@corp.example"
    );
    let of_id_tokens = token(adfs).encode();
    let verdict = server.refuses("alice", &of_id_tokens, "iss_mismatch");
    assert!(
        verdict.log.contains("as ID tokens of AD FS do"),
        "{}",
        verdict.log
    );
    let elsewhere = "http://fs.evil.example/adfs/services/trust";
    let verdict = server.refuses("alice", &token(elsewhere).encode(), "iss_mismatch");
    let hint = format!(
        "\"{trust}\" is accepted. Set validator.access_token_issuer to the value that the discovery document has"
    );
    assert!(verdict.log.contains(&hint), "{}", verdict.log);
    let id_token = token(trust).claim("aud", "psql").claim("nonce", "n");
    server.refuses("alice", &id_token.encode(), "aud_mismatch");
    server.reload_with(&[("validator.audience", "psql")]);
    server.refuses("alice", &id_token.encode(), "not_an_access_token");
    let id_token = token(trust).claim("aud", "psql").encode();
    server.refuses("alice", &id_token, "not_an_access_token");

    // An administrator has given the federation service another name.
    server.reload_with(&[
        ("validator.audience", Issuer::AUDIENCE),
        ("validator.access_token_issuer", "urn:federation:corp"),
    ]);
    server.admits("alice", &token("urn:federation:corp").encode());
    server.refuses("alice", &token(trust).encode(), "iss_mismatch");

    // Under another preset the name is none of the issuer's.
    server.reload_with(&[
        ("validator.provider", "generic"),
        ("validator.access_token_issuer", trust),
        ("validator.token_types", "JWT"),
    ]);
    let verdict = server.refuses("alice", &token(trust).encode(), "iss_mismatch");
    let hint = "For AD FS, set validator.provider = 'adfs'";
    assert!(verdict.log.contains(hint), "{}", verdict.log);
}

#[test]
fn an_unknown_provider_fails_closed() {
    let (issuer, server) = start("okta.com", &[]);
    let verdict = server.refuses("alice", &issuer.token("alice").encode(), "setting_invalid");
    assert!(
        verdict.log.contains("validator.provider"),
        "{}",
        verdict.log
    );
}
