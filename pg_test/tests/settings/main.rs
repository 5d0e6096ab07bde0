//! What an administrator can set, what nobody else can, and what a mistake does.

mod issuer_and_ca;
mod manual;
mod mistakes;
mod on_demand;
mod trust_roots;
mod who_may_set;

use oauth_core::Preset;
use rig::{Issuer, Server, ServerBuilder};

/// An issuer, and a server to be that trusts it and loads the module when it starts.
fn preloaded() -> (Issuer, ServerBuilder) {
    let issuer = Issuer::builder().start();
    let builder = Server::trusting(&issuer).preload().log_everything();
    (issuer, builder)
}

#[test]
fn every_setting_has_its_unit_range_context_and_default() {
    let (_issuer, builder) = preloaded();
    let server = builder.start();
    let shown = server.sql(
        "SELECT name, vartype, unit, min_val, max_val, boot_val, context FROM pg_settings \
         WHERE name LIKE 'validator.%' ORDER BY name COLLATE \"C\"",
    );
    let shown: Vec<String> = shown
        .into_iter()
        .map(|row| {
            row.into_iter()
                .map(|v| v.unwrap_or_else(|| "-".to_owned()))
                .collect::<Vec<_>>()
                .join("|")
        })
        .collect();
    assert_eq!(
        shown,
        [
            "validator.access_token_issuer|string|-|-|-||sighup",
            "validator.algorithms|string|-|-|-|RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA|sighup",
            "validator.allow_http|bool|-|-|-|off|sighup",
            "validator.allow_superuser|bool|-|-|-|off|sighup",
            "validator.audience|string|-|-|-||sighup",
            "validator.ca_file|string|-|-|-||sighup",
            "validator.ca_file_only|bool|-|-|-|off|sighup",
            "validator.client_auth_method|string|-|-|-|client_secret_basic|sighup",
            "validator.client_cert_file|string|-|-|-||sighup",
            "validator.client_id|string|-|-|-||sighup",
            "validator.client_ids|string|-|-|-||sighup",
            "validator.client_key_file|string|-|-|-||sighup",
            "validator.client_secret_file|string|-|-|-||sighup",
            "validator.clock_skew|integer|s|0|300|30|sighup",
            "validator.discovery_url|string|-|-|-||sighup",
            "validator.enabled|bool|-|-|-|on|sighup",
            "validator.http_bearer_file|string|-|-|-||sighup",
            "validator.http_proxy|string|-|-|-||sighup",
            "validator.http_proxy_secret_file|string|-|-|-||sighup",
            "validator.http_timeout|integer|ms|100|60000|5000|sighup",
            "validator.identity_case|string|-|-|-|as_is|sighup",
            "validator.identity_claim|string|-|-|-|sub|sighup",
            "validator.identity_prefix|string|-|-|-||sighup",
            "validator.introspection|string|-|-|-|off|sighup",
            "validator.introspection_audience_required|bool|-|-|-|on|sighup",
            "validator.introspection_cache_entries|integer|-|16|16384|1024|sighup",
            "validator.introspection_cache_ttl|integer|s|0|3600|30|sighup",
            "validator.introspection_endpoint|string|-|-|-||sighup",
            "validator.introspection_exp_required|bool|-|-|-|on|sighup",
            "validator.issuer|string|-|-|-||sighup",
            "validator.jwks_cache_issuers|integer|-|16|1024|32|sighup",
            "validator.jwks_file|string|-|-|-||sighup",
            "validator.jwks_max_ttl|integer|s|1|604800|86400|sighup",
            "validator.jwks_min_ttl|integer|s|1|86400|60|sighup",
            "validator.jwks_refresh_cooldown|integer|s|1|3600|10|sighup",
            "validator.jwks_stale_ttl|integer|s|0|2592000|86400|sighup",
            "validator.jwks_uri|string|-|-|-||sighup",
            "validator.log_accepted|bool|-|-|-|off|sighup",
            "validator.max_token_age|integer|s|0|2147483|0|sighup",
            "validator.max_token_size|integer|B|256|65536|16384|sighup",
            "validator.no_proxy|string|-|-|-||sighup",
            "validator.optional_scopes|string|-|-|-|openid, offline_access|sighup",
            "validator.password_map|string|-|-|-||sighup",
            "validator.password_requires_tls|bool|-|-|-|on|sighup",
            "validator.password_scope|string|-|-|-||sighup",
            "validator.profiles|string|-|-|-||sighup",
            "validator.provider|string|-|-|-|generic|sighup",
            "validator.provision|string|-|-|-|off|sighup",
            "validator.provision_connection_limit|integer|-|0|262143|0|sighup",
            "validator.provision_database|string|-|-|-|postgres|sighup",
            "validator.provision_inherit|bool|-|-|-|on|sighup",
            "validator.provision_require_grants|bool|-|-|-|on|sighup",
            "validator.provision_role|string|-|-|-||sighup",
            "validator.provision_set|bool|-|-|-|on|sighup",
            "validator.provision_strict|bool|-|-|-|on|sighup",
            "validator.provision_timeout|integer|ms|10|60000|2000|sighup",
            "validator.provision_valid_for|integer|s|0|2147483647|0|sighup",
            "validator.require_bound_token|bool|-|-|-|off|sighup",
            "validator.require_tls|bool|-|-|-|on|sighup",
            "validator.required_claims|string|-|-|-||sighup",
            "validator.role_claim|string|-|-|-||sighup",
            "validator.role_map|string|-|-|-||sighup",
            "validator.role_separator|string|-|-|-||sighup",
            "validator.session_expiry|bool|-|-|-|off|sighup",
            "validator.token_types|string|-|-|-|at+jwt|sighup",
        ]
    );
}

#[test]
fn every_preset_is_in_the_manual() {
    let manual = include_str!("../../../docs/configuration.md");
    let row = manual
        .lines()
        .find(|line| line.starts_with("| `validator.provider` |"))
        .expect("the setting is in the manual");
    for preset in Preset::ALL {
        assert!(row.contains(&format!("`{preset}`")), "{preset}: {row}");
    }
}

#[test]
fn every_setting_is_described_in_a_sentence() {
    let (_issuer, builder) = preloaded();
    let server = builder.start();
    for row in server
        .sql("SELECT name, short_desc, extra_desc FROM pg_settings WHERE name LIKE 'validator.%'")
    {
        let [name, short, extra] = &row[..] else {
            panic!("three columns: {row:?}")
        };
        for text in [short, extra] {
            let text = text.as_deref().unwrap_or_default();
            assert!(text.len() > 15 && text.ends_with('.'), "{name:?}: {text:?}");
            assert!(
                text.starts_with(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit()),
                "{name:?}: {text:?}"
            );
        }
    }
}

#[test]
fn settings_are_seen_by_the_next_login_without_a_restart() {
    for preload in [true, false] {
        let issuer = Issuer::builder().start();
        let builder = Server::trusting(&issuer).log_everything();
        let server = if preload { builder.preload() } else { builder }.start();
        let other = issuer.token("alice").claim("aud", "api://other").encode();
        let postmaster = server.postmaster_pid();
        server.admits("alice", &issuer.token("alice").encode());
        server.refuses("alice", &other, "aud_mismatch");
        server.reload_with(&[("validator.audience", "api://other")]);
        server.admits("alice", &other);
        server.refuses("alice", &issuer.token("alice").encode(), "aud_mismatch");
        assert_eq!(server.postmaster_pid(), postmaster);
    }
}

#[test]
fn token_is_refused_as_long_as_no_audience_is_set() {
    for preload in [true, false] {
        let issuer = Issuer::builder().start();
        let builder = Server::trusting(&issuer).log_everything();
        let server = if preload { builder.preload() } else { builder }.start();
        let good = issuer.token("alice").encode();
        server.admits("alice", &good);
        let asked = issuer.requests().len();
        for audience in [None, Some(""), Some("  ")] {
            match audience {
                None => server.unset("validator.audience"),
                Some(text) => server.set("validator.audience", text),
            }
            server.reload();
            for token in [&good, &issuer.token("alice").claim("aud", "").encode()] {
                let verdict = server.refuses("alice", token, "audience_unset");
                let hint = "HINT:  Set validator.audience to the value that the provider puts into \"aud\"";
                assert!(verdict.log.contains(hint), "{}", verdict.log);
            }
        }
        assert_eq!(issuer.requests().len(), asked, "the provider was asked");
        server.reload_with(&[("validator.audience", Issuer::AUDIENCE)]);
        server.admits("alice", &good);
    }
}

#[test]
fn kill_switch_refuses_everyone_until_it_is_put_back() {
    for preload in [true, false] {
        let issuer = Issuer::builder().start();
        let builder = Server::trusting(&issuer).log_everything();
        let server = if preload { builder.preload() } else { builder }.start();
        let token = issuer.token("alice").encode();
        let mut session = server.admits("alice", &token);
        server.reload_with(&[("validator.enabled", "off")]);
        let verdict = server.refuses("alice", &token, "disabled");
        assert!(
            verdict.log.contains("Set validator.enabled = on"),
            "{}",
            verdict.log
        );
        // Sessions that are in stay in.
        assert_eq!(session.value("SELECT 1"), "1");
        server.reload_with(&[("validator.enabled", "on")]);
        server.admits("alice", &token);
    }
}

#[test]
fn alter_system_sets_what_the_next_login_goes_by() {
    let (issuer, builder) = preloaded();
    let server = builder.start();
    let token = issuer
        .token("alice")
        .claim("sub", "0815")
        .claim("login", "alice")
        .encode();
    server.sql("ALTER SYSTEM SET validator.identity_claim = 'login'");
    server.reload();
    assert_eq!(
        server.admits("alice", &token).value("SELECT system_user"),
        "oauth:alice"
    );
    server.sql("ALTER SYSTEM RESET validator.identity_claim");
    server.reload();
    let refusal = rig::Login::new(&server, "alice")
        .token(&token)
        .run()
        .refusal();
    rig::assert_silent_refusal(&refusal, "0815");
}
