//! Providers that nobody here wrote, asked about tokens that they issued and have revoked.

use std::thread;
use std::time::Duration;

use rig::{
    DeviceLogin, DeviceOutcome, DjangoOauthToolkit, Glewlwyd, Server, ServerBuilder,
    assert_silent_log, oauth_line, skip,
};

/// The secret of the client `postgresql`, with characters that each of the encodings writes in its own way.
const SECRET: &str = "s3cret+/% &=:";
const TTL: Duration = Duration::from_secs(2);

fn server_for(issuer: &str, mode: &str) -> ServerBuilder {
    Server::builder()
        .set("validator.allow_http", "on")
        .set("validator.introspection", mode)
        .set("validator.introspection_cache_ttl", "2s")
        .set("validator.client_id", "postgresql")
        .log_everything()
        .hba(&oauth_line(issuer, ""))
}

fn give_secret(server: &Server) {
    let file = server.private_file("secret", &format!("{SECRET}\n"));
    server.reload_with(&[("validator.client_secret_file", &file.display().to_string())]);
}

/// A token works until it is revoked, and then for at most the cache's TTL; no token is in the log.
#[track_caller]
fn assert_revocation_counts(server: &Server, outcome: &DeviceOutcome, revoke: impl FnOnce(&str)) {
    assert_eq!(outcome.success(), "oauth:alice is alice");
    let token = outcome.access_token();
    server.admits("alice", token);
    revoke(token);
    thread::sleep(TTL + Duration::from_millis(500));
    server.refuses("alice", token, "token_inactive");
    let log = server.log().text();
    assert_silent_log(&log, token);
    assert!(!log.contains(SECRET));
}

#[test]
fn opaque_tokens_of_django_oauth_toolkit_work_until_they_are_revoked() {
    let provider = DjangoOauthToolkit::start(SECRET);
    for mode in ["opaque", "always"] {
        // Its answers have no `sub` and no `aud`, but `username` and the scopes.
        let server = server_for(provider.issuer(), mode)
            .set("validator.audience", "https://pg.example.test/")
            .set("validator.introspection_audience_required", "off")
            .set("validator.identity_claim", "username")
            .start();
        give_secret(&server);
        let log_in = |role| {
            DeviceLogin::new(&server, role, provider.issuer())
                .sql("SELECT system_user || ' is ' || current_user")
                .run(|prompt| provider.approve(prompt, "alice"))
        };
        let other_role = log_in("bob");
        assert!(!other_role.psql.status.success(), "{other_role:?}");
        assert_revocation_counts(&server, &log_in("alice"), |token| provider.revoke(token));
    }
}

#[test]
fn jwts_of_glewlwyd_work_until_they_are_revoked() {
    let Some(provider) = Glewlwyd::start(SECRET) else {
        return skip("this machine's packages have no glewlwyd");
    };
    for mode in ["off", "opaque", "always"] {
        let server = server_for(provider.issuer(), mode)
            // What it puts there in the device flow.
            .set("validator.audience", "openid postgres")
            .set("validator.identity_claim", "preferred_username")
            // It does not decode the parts of Basic authentication.
            .set("validator.client_auth_method", "client_secret_basic_raw")
            .start();
        give_secret(&server);
        let outcome = DeviceLogin::new(&server, "alice", provider.issuer())
            .sql("SELECT system_user || ' is ' || current_user")
            .run(|prompt| provider.approve(prompt, "alice"));
        match mode {
            "always" => {
                assert_revocation_counts(&server, &outcome, |token| provider.revoke(token));
            }
            _ => {
                assert_eq!(outcome.success(), "oauth:alice is alice", "{mode}");
                let token = outcome.access_token();
                provider.revoke(token);
                server.forget_keys();
                // A JWT that nobody asks about is good until it expires.
                server.admits("alice", token);
            }
        }
    }
}
