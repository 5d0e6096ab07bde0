//! Several issuers side by side, each with settings of its own.

use rig::{Issuer, Login, Server, ServerBuilder, Token, oauth_line};

/// Two issuers on two lines: alice and bob log in by the first, carol by the second.
struct Providers {
    corp: Issuer,
    k8s: Issuer,
}

const K8S_AUDIENCE: &str = "https://k8s.example.test/";

impl Providers {
    fn start() -> Providers {
        Providers {
            corp: Issuer::builder().start(),
            k8s: Issuer::builder()
                .path("/cluster")
                .audience(K8S_AUDIENCE)
                .start(),
        }
    }

    fn lines(&self, options: &str) -> [String; 2] {
        let line = |issuer: &Issuer, roles: &str| {
            oauth_line(issuer.url(), options).replacen(
                "host all all",
                &format!("host all {roles}"),
                1,
            )
        };
        [line(&self.corp, "alice,bob"), line(&self.k8s, "carol")]
    }

    /// A server with both profiles, which differ in the audience.
    fn server(&self) -> ServerBuilder {
        let [corp, k8s] = self.lines("");
        Server::builder()
            .log_everything()
            .set("validator.allow_http", "on")
            .set("validator.profiles", "corp, k8s")
            .set("validator_corp.issuer", self.corp.url())
            .set("validator_corp.audience", Issuer::AUDIENCE)
            .set("validator_k8s.issuer", self.k8s.url())
            .set("validator_k8s.audience", K8S_AUDIENCE)
            .hba(&corp)
            .hba(&k8s)
    }
}

fn both_modes(test: impl Fn(fn(ServerBuilder) -> ServerBuilder)) {
    test(|builder| builder);
    test(ServerBuilder::preload);
}

fn text(token: Token) -> String {
    token.encode()
}

#[test]
fn each_issuer_has_settings_of_its_own() {
    both_modes(|mode| {
        let providers = Providers::start();
        let server = mode(providers.server()).start();
        server.admits("alice", &text(providers.corp.token("alice")));
        server.admits("carol", &text(providers.k8s.token("carol")));
        // The other profile's audience is no audience here.
        let other = providers.corp.token("alice").claim("aud", K8S_AUDIENCE);
        server.refuses("alice", &text(other), "aud_mismatch");
        let other = providers.k8s.token("carol").claim("aud", Issuer::AUDIENCE);
        server.refuses("carol", &text(other), "aud_mismatch");
    });
}

#[test]
fn a_token_of_one_issuer_never_passes_the_line_of_another() {
    let providers = Providers::start();
    let server = providers.server().start();
    server.admits("alice", &text(providers.corp.token("alice")));
    server.admits("carol", &text(providers.k8s.token("carol")));
    // Its key is not the line's issuer's, whatever it says of itself.
    let foreign = providers.corp.token("carol").claim("aud", K8S_AUDIENCE);
    server.refuses("carol", &text(foreign.clone()), "unknown_kid");
    server.refuses(
        "carol",
        &text(foreign.claim("iss", providers.k8s.url())),
        "unknown_kid",
    );
    let lying = providers
        .k8s
        .token("carol")
        .claim("iss", providers.corp.url());
    server.refuses("carol", &text(lying), "iss_mismatch");
}

#[test]
fn what_a_profile_leaves_open_the_server_decides() {
    let providers = Providers::start();
    let server = providers
        .server()
        .set("validator.client_ids", "nobody")
        .set("validator_k8s.client_ids", "psql")
        .start();
    server.refuses(
        "alice",
        &text(providers.corp.token("alice")),
        "client_not_allowed",
    );
    server.admits("carol", &text(providers.k8s.token("carol")));
    server.reload_with(&[
        ("validator.client_ids", "psql"),
        ("validator_k8s.client_ids", "other"),
    ]);
    server.admits("alice", &text(providers.corp.token("alice")));
    server.refuses(
        "carol",
        &text(providers.k8s.token("carol")),
        "client_not_allowed",
    );
}

#[test]
fn the_same_subject_at_two_issuers_is_two_identities_where_prefixes_tell_them_apart() {
    let providers = Providers::start();
    let server = providers
        .server()
        .set("validator_corp.identity_prefix", "corp:")
        .set("validator_k8s.identity_prefix", "k8s:")
        .ident("people corp:zoe alice")
        .ident("people k8s:zoe carol")
        .start();
    let [corp, k8s] = providers.lines("map=people");
    server.set_hba(&[&corp, &k8s]);
    server.reload();
    let mut session = server.admits("alice", &text(providers.corp.token("zoe")));
    assert_eq!(session.value("SELECT system_user"), "oauth:corp:zoe");
    let mut session = server.admits("carol", &text(providers.k8s.token("zoe")));
    assert_eq!(session.value("SELECT system_user"), "oauth:k8s:zoe");
    // bob's line is the first issuer's, where zoe may be alice only.
    let outcome = Login::new(&server, "bob")
        .token(&text(providers.corp.token("zoe")))
        .run();
    assert!(!outcome.is_session());
}

#[test]
fn a_profile_is_added_changed_and_removed_by_a_reload() {
    both_modes(|mode| {
        let providers = Providers::start();
        let server = mode(providers.server().set("validator.profiles", "corp")).start();
        let token = text(providers.k8s.token("carol"));
        server.admits("alice", &text(providers.corp.token("alice")));
        server.refuses("carol", &token, "audience_unset");
        server.reload_with(&[("validator.profiles", "corp, k8s")]);
        server.admits("carol", &token);
        server.reload_with(&[("validator_k8s.audience", "https://elsewhere.example/")]);
        server.refuses("carol", &token, "aud_mismatch");
        server.reload_with(&[("validator.profiles", "corp")]);
        server.refuses("carol", &token, "audience_unset");
        server.admits("alice", &text(providers.corp.token("alice")));
    });
}

#[test]
fn two_profiles_of_one_issuer_are_refused() {
    let providers = Providers::start();
    // As its well-known URI, it is the same issuer.
    let again = format!("{}/.well-known/openid-configuration", providers.corp.url());
    let server = providers
        .server()
        .set("validator_k8s.issuer", &again)
        .start();
    let verdict = server.refuses(
        "alice",
        &text(providers.corp.token("alice")),
        "setting_invalid",
    );
    assert!(
        verdict.log.contains("another profile has the same issuer"),
        "{}",
        verdict.log
    );
}

#[test]
fn a_bad_value_in_a_profile_fails_closed() {
    let providers = Providers::start();
    let server = providers
        .server()
        .set("validator_k8s.client_ids", "a,,b")
        .start();
    let verdict = server.refuses(
        "carol",
        &text(providers.k8s.token("carol")),
        "setting_invalid",
    );
    assert!(
        verdict.log.contains("validator_k8s.client_ids"),
        "{}",
        verdict.log
    );
    server.reload_with(&[("validator_k8s.client_ids", "psql")]);
    server.admits("carol", &text(providers.k8s.token("carol")));
}

#[test]
fn a_misspelt_name_in_a_profile_is_reported() {
    let providers = Providers::start();
    let server = providers
        .server()
        .set("validator_k8s.audiense", "x")
        .start();
    let mark = server.log().mark();
    server.admits("carol", &text(providers.k8s.token("carol")));
    let log = server.log().since(mark);
    assert!(
        log.contains("invalid configuration parameter name \"validator_k8s.audiense\""),
        "{log}"
    );
}

#[test]
fn names_of_profiles_are_plain_and_differ() {
    let providers = Providers::start();
    for names in [
        "Corp",
        "corp,corp",
        "a.b",
        "a-b",
        "corp,,k8s",
        &"x".repeat(33),
    ] {
        let server = providers.server().set("validator.profiles", names).start();
        server.refuses(
            "alice",
            &text(providers.corp.token("alice")),
            "setting_invalid",
        );
    }
}
