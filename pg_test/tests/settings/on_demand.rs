//! Loaded at login, the module sees only the values as they are: a bad one lets nobody in.

use rig::{Issuer, Server};

#[test]
fn bad_value_lets_nobody_in_until_it_is_corrected() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).log_everything().start();
    let token = issuer.token("alice").encode();
    for (setting, bad, good) in [
        ("algorithms", "HS256", "RS256"),
        ("audience", "a,,b", Issuer::AUDIENCE),
        ("token_types", "", "at+jwt"),
        ("identity_claim", "/a~2", "sub"),
        ("identity_prefix", "x\u{7}", ""),
        ("required_claims", "acr", "client_id=psql"),
        ("identity_case", "upper", "as_is"),
        ("role_separator", "\t", ""),
        ("client_ids", "a,", "psql"),
        ("optional_scopes", ",", "openid"),
        ("ca_file", "ca.pem", ""),
        ("discovery_url", "idp.test", ""),
        ("jwks_uri", "file:///etc/passwd", ""),
        ("jwks_file", "jwks.json", ""),
        ("jwks_min_ttl", "0", "1min"),
        ("jwks_max_ttl", "8d", "1d"),
        ("jwks_stale_ttl", "-1", "1d"),
        ("jwks_refresh_cooldown", "0", "10s"),
        ("clock_skew", "1h", "60s"),
        ("max_token_age", "-1", "1h"),
        ("max_token_size", "1", "16kB"),
        ("http_timeout", "forever", "5s"),
        ("enabled", "perhaps", "on"),
        ("allow_http", "perhaps", "on"),
    ] {
        let name = format!("validator.{setting}");
        server.reload_with(&[(&name, bad)]);
        let verdict = server.refuses("alice", &token, "setting_invalid");
        assert!(
            verdict
                .log
                .contains(&format!("HINT:  Correct {name} and reload")),
            "{}",
            verdict.log
        );
        assert!(verdict.log.contains("WARNING:  "), "{}", verdict.log);
        assert!(
            !verdict.refusal.received_text().contains("validator."),
            "{:?}",
            verdict.refusal
        );
        server.reload_with(&[(&name, good)]);
        server.admits("alice", &token);
    }
}

#[test]
fn bad_value_at_server_start_lets_nobody_in() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .log_everything()
        .set("validator.required_claims", "acr")
        .start();
    let token = issuer.token("alice").encode();
    server.refuses("alice", &token, "setting_invalid");
    server.unset("validator.required_claims");
    server.reload();
    server.admits("alice", &token);
}

#[test]
fn module_needs_no_restart_of_the_server() {
    let issuer = Issuer::builder().start();
    let server = Server::builder()
        .set("oauth_validator_libraries", "")
        .log_everything()
        .start();
    let postmaster = server.postmaster_pid();
    server.set_hba(&[&rig::oauth_line(issuer.url(), "").replace("validator=validator", "")]);
    server.reload_with(&[
        ("oauth_validator_libraries", "validator"),
        ("validator.audience", Issuer::AUDIENCE),
        ("validator.allow_http", "on"),
    ]);
    server.admits("alice", &issuer.token("alice").encode());
    assert_eq!(server.postmaster_pid(), postmaster);
}
