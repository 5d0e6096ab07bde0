//! Findings about a line of pg_hba.conf and the settings that apply to it.

use rig::{Authority, Issuer};

use crate::{assert_findings, clinic, good_line, healthy, line, only_detail, started};

#[test]
fn audience_is_not_set() {
    let (_issuer, builder) = healthy();
    let server = started(builder.set("validator.audience", ""));
    let found = assert_findings(&server, &["error audience_unset"]);
    assert!(found[0].advice.contains("validator.audience"), "{found:?}");
}

#[test]
fn tokens_are_taken_without_tls() {
    let (issuer, builder) = healthy();
    let server = started(builder);
    let refused = "validator.require_tls refuses their tokens";
    let accepted = "with validator.require_tls off their tokens are accepted";
    for (value, kind, severity, says) in [
        ("on", "host", "notice", refused),
        ("on", "hostnogssenc", "notice", refused),
        ("on", "hostnossl", "warning", refused),
        ("off", "host", "warning", accepted),
        ("off", "hostnogssenc", "warning", accepted),
        ("off", "hostnossl", "warning", accepted),
    ] {
        server.set_hba(&[&line(kind, issuer.url(), Issuer::SCOPE, "")]);
        server.reload_with(&[("validator.require_tls", value)]);
        let detail = only_detail(&server, &format!("{severity} tls_not_required"));
        assert!(detail.contains(kind) && detail.contains(says), "{detail}");
    }
    // Such a connection stays on this machine.
    let near = line("host", issuer.url(), Issuer::SCOPE, "");
    for address in ["127.0.0.1/32", "::1/128", "localhost"] {
        server.set_hba(&[&near.replace("10.0.0.0/8", address)]);
        server.reload();
        only_detail(&server, "notice tls_not_required");
    }
    server.set_hba(&[&near.replace("host all all 10.0.0.0/8", "local all all")]);
    server.reload();
    assert_findings(&server, &["ok ok"]);
}

#[test]
fn issuer_is_not_https() {
    let issuer = Issuer::builder().start();
    let server = started(clinic().hba(&good_line(issuer.url())));
    let detail = only_detail(&server, "error issuer_http");
    assert!(detail.contains("refused"), "{detail}");
    server.reload_with(&[("validator.allow_http", "on")]);
    only_detail(&server, "warning issuer_http");
    server.set_hba(&[&good_line("http://idp.example/")]);
    server.reload();
    only_detail(&server, "error issuer_http");
}

#[test]
fn issuer_is_no_issuer() {
    let server = started(clinic().hba(&good_line("https://idp.example/?x=y")));
    let detail = only_detail(&server, "error issuer_invalid");
    assert!(detail.contains("query"), "{detail}");
}

#[test]
fn scope_is_empty_or_wholly_optional() {
    let (issuer, builder) = healthy();
    let server = started(builder);
    server.set_hba(&[&line("hostssl", issuer.url(), "", "")]);
    server.reload();
    only_detail(&server, "warning scope_empty");
    server.set_hba(&[&line("hostssl", issuer.url(), "openid", "")]);
    server.reload();
    only_detail(&server, "warning scope_empty");
}

#[test]
fn scope_has_a_comma() {
    let (issuer, builder) = healthy();
    let server = started(builder);
    server.set_hba(&[&line("hostssl", issuer.url(), "openid,postgres email", "")]);
    server.reload();
    let detail = only_detail(&server, "warning scope_with_comma");
    assert!(
        detail.contains("\"openid,postgres\" is one scope"),
        "{detail}"
    );
}

#[test]
fn delegation_has_no_claim_for_roles() {
    let (issuer, builder) = healthy();
    let server = started(builder);
    server.set_hba(&[&line(
        "hostssl",
        issuer.url(),
        Issuer::SCOPE,
        "delegate_ident_mapping=1",
    )]);
    server.reload();
    let found = assert_findings(&server, &["error role_claim_unset"]);
    assert!(
        found[0].advice.contains("validator.role_claim"),
        "{found:?}"
    );
    server.reload_with(&[("validator.role_claim", "groups")]);
    assert_findings(&server, &["ok ok"]);
    // The provider's own will do.
    server.unset("validator.role_claim");
    server.reload_with(&[("validator.provider", "keycloak")]);
    assert_findings(&server, &["ok ok"]);
}

#[test]
fn a_line_lets_a_superuser_in() {
    let (issuer, builder) = healthy();
    let server = started(builder.set("validator.role_claim", "groups"));
    server.sql(
        "CREATE ROLE oauth_users; CREATE ROLE boss LOGIN SUPERUSER; CREATE ROLE retired SUPERUSER; \
         CREATE ROLE admins; CREATE ROLE outer_admins; CREATE ROLE \"Boss\" LOGIN; GRANT oauth_users TO alice; GRANT admins TO boss; GRANT outer_admins TO admins",
    );
    let allow = |value: &str| server.reload_with(&[("validator.allow_superuser", value)]);
    let look = |roles: &str, options: &str, expected: &str| {
        let line = line("hostssl", issuer.url(), Issuer::SCOPE, options);
        let line = line.replacen("hostssl all all", &format!("hostssl all {roles}"), 1);
        server.set_hba(&[&line]);
        server.reload();
        only_detail(&server, expected)
    };
    for options in ["", "delegate_ident_mapping=1"] {
        allow("off");
        look("all", options, "ok ok");
        allow("on");
        let detail = look("all", options, "warning superuser_allowed");
        assert!(detail.contains(": boss, postgres."), "{detail}");
        for (roles, superusers) in [
            ("boss", "boss"),
            ("+admins", "boss"),
            ("+outer_admins", "boss"),
            ("alice,postgres", "postgres"),
            ("/^b", "boss"),
            ("\"/^(b|p)\"", "boss, postgres"),
        ] {
            let detail = look(roles, options, "warning superuser_allowed");
            assert!(detail.contains(&format!(": {superusers}.")), "{detail}");
        }
        for roles in ["alice", "+oauth_users", "/^a", "\"Boss\"", "alice,retired"] {
            look(roles, options, "notice superuser_allowed");
        }
    }
    allow("off");
    for (ident, superusers) in [
        ("people /^(.*)@corp\\.example$ \\1", "boss, postgres"),
        ("people /^(.*)$ b\\1", "boss"),
        ("people /^(.*)$ \\1ss", "boss"),
        ("people zoe boss", "boss"),
        ("people zoe all", "boss, postgres"),
        ("people zoe +admins", "boss"),
        ("people zoe /^po", "postgres"),
    ] {
        server.set_ident(&[ident, "others zoe postgres"]);
        let detail = look("all", "map=people", "warning superuser_mapped");
        assert!(detail.contains(&format!(": {superusers}.")), "{detail}");
        look("+oauth_users", "map=people", "ok ok");
    }
    for ident in [
        "people zoe alice",
        "people /^(.*)$ a\\1",
        "people zoe +oauth_users",
        "people zoe retired",
    ] {
        server.set_ident(&[ident, "others zoe postgres"]);
        look("all", "map=people", "ok ok");
    }
}

#[test]
fn a_line_lets_another_powerful_role_in() {
    let (issuer, builder) = healthy();
    let server = started(builder.set("validator.role_claim", "groups"));
    server.sql(
        "CREATE ROLE backup LOGIN REPLICATION; CREATE ROLE boss CREATEROLE; CREATE ROLE deputy LOGIN IN ROLE boss; \
         CREATE ROLE reader LOGIN IN ROLE pg_read_all_data; CREATE ROLE owner LOGIN BYPASSRLS; \
         CREATE ROLE watcher LOGIN IN ROLE pg_monitor; CREATE ROLE maker LOGIN CREATEDB",
    );
    let line = line("hostssl", issuer.url(), Issuer::SCOPE, "map=people");
    server.set_hba(&[&line]);
    for (ident, roles) in [
        (
            "people /^(.*)@corp\\.example$ \\1",
            Some("backup, deputy, owner, postgres, reader"),
        ),
        ("people zoe deputy", Some("deputy")),
        ("people zoe +boss", Some("deputy")),
        ("people zoe watcher", None),
        ("people zoe maker", None),
        ("people zoe boss", None),
    ] {
        server.set_ident(&[ident]);
        server.reload();
        match roles {
            None => {
                assert_findings(&server, &["ok ok"]);
            }
            Some(roles) => {
                let detail = only_detail(&server, "warning superuser_mapped");
                assert!(detail.contains(&format!(": {roles}.")), "{detail}");
            }
        }
    }
    server.set_hba(&[&line.replace("map=people", "")]);
    server.reload_with(&[("validator.allow_superuser", "on")]);
    let detail = only_detail(&server, "warning superuser_allowed");
    assert!(detail.contains(": backup, deputy, owner,"), "{detail}");
}

#[test]
fn a_map_gives_everybody_one_role() {
    let (issuer, builder) = healthy();
    let server = started(builder);
    server.sql("CREATE ROLE reporting LOGIN; CREATE ROLE staff");
    let with = |options| line("hostssl", issuer.url(), Issuer::SCOPE, options);
    for (expression, role) in [
        ("/^(.+)$", "reporting"),
        ("/.", "reporting"),
        ("/^.*$", "+staff"),
        ("/^(.*)$", "/^rep"),
        ("/", "reporting"),
        ("/^(repo:.*|[^:]*|system:.*|spiffe:.*)$", "reporting"),
    ] {
        server.set_ident(&[
            "people zoe reporting",
            &format!("people {expression} {role}"),
        ]);
        server.set_hba(&[&with("map=people")]);
        server.reload();
        let detail = only_detail(&server, "warning map_catch_all");
        for part in ["\"people\"", expression, role] {
            assert!(detail.contains(part), "{part}: {detail}");
        }
        // A map that no line uses is nobody's.
        server.set_hba(&[&with("")]);
        server.reload();
        assert_findings(&server, &["ok ok"]);
    }
    for ident in [
        "people /^(.*)$ r\\1",
        "people /^(.*)@corp\\.example$ reporting",
        "people /^[a-z]+$ reporting",
        "people /^CORP\\\\ reporting",
        "people zoe reporting",
        "people .* reporting",
    ] {
        server.set_ident(&[ident]);
        server.set_hba(&[&with("map=people")]);
        server.reload();
        assert_findings(&server, &["ok ok"]);
    }
    // The map of the superuser of an article, and one for the values of a claim.
    server.set_ident(&["people /^(.+)$ postgres"]);
    server.reload();
    assert_findings(
        &server,
        &["warning map_catch_all", "warning superuser_mapped"],
    );
    server.set_ident(&["groups /^.*$ reporting"]);
    server.set_hba(&[&with("delegate_ident_mapping=1")]);
    server.reload_with(&[
        ("validator.role_claim", "groups"),
        ("validator.role_map", "groups"),
    ]);
    only_detail(&server, "warning map_catch_all");
}

#[test]
fn an_audience_is_everybodys() {
    let (_issuer, builder) = healthy();
    let server = started(builder.set("validator.provider", "keycloak"));
    for (audience, catch_all) in [
        ("account", "account"),
        ("https://pg.example/, account", "account"),
        (
            "00000003-0000-0000-c000-000000000000",
            "00000003-0000-0000-c000-000000000000",
        ),
        (
            "https://corp.auth0.example/userinfo",
            "https://corp.auth0.example/userinfo",
        ),
    ] {
        server.reload_with(&[("validator.audience", audience)]);
        let detail = only_detail(&server, "warning audience_catch_all");
        assert!(detail.contains(&format!("\"{catch_all}\"")), "{detail}");
    }
    for audience in ["https://pg.example/", "accounts", "account-pg"] {
        server.reload_with(&[("validator.audience", audience)]);
        assert_findings(&server, &["ok ok"]);
    }
}

#[test]
fn an_audience_is_a_client() {
    let (_issuer, builder) = healthy();
    let server = started(builder.set("validator.provider", "keycloak"));
    server.reload_with(&[
        ("validator.audience", "https://pg.example/, psql"),
        ("validator.client_ids", "web, psql"),
    ]);
    let detail = only_detail(&server, "warning audience_is_client");
    assert!(
        detail.contains("\"psql\" is in validator.audience"),
        "{detail}"
    );
    // Its tokens name no other audience.
    server.reload_with(&[("validator.provider", "authentik")]);
    assert_findings(&server, &["ok ok"]);
    server.reload_with(&[
        ("validator.provider", "keycloak"),
        ("validator.audience", "https://pg.example/"),
    ]);
    assert_findings(&server, &["ok ok"]);
    let hostile = format!("x\u{202e}{}", "y".repeat(500));
    server.reload_with(&[
        ("validator.audience", &hostile),
        ("validator.client_ids", &hostile),
    ]);
    let detail = only_detail(&server, "warning audience_is_client");
    assert!(detail.contains("x\\u{202e}yyy"), "{detail}");
    assert!(detail.len() < 500, "{detail}");
}

#[test]
fn an_audience_is_the_issuer_but_for_its_spelling() {
    let (issuer, builder) = healthy();
    let server = started(builder);
    for (audience, by) in [
        (format!("{}/", issuer.url()), "a slash at the end"),
        (issuer.url().replace("https", "http"), "http for https"),
    ] {
        server.reload_with(&[("validator.audience", &audience)]);
        let detail = only_detail(&server, "warning audience_near_miss");
        assert!(detail.contains(&format!("differ only by {by}")), "{detail}");
    }
    for audience in [issuer.url().to_owned(), format!("{}/pg", issuer.url())] {
        server.reload_with(&[("validator.audience", &audience)]);
        assert_findings(&server, &["ok ok"]);
    }
}

#[test]
fn maps_are_not_in_pg_ident() {
    let (issuer, builder) = healthy();
    let server = started(
        builder
            .set("validator.role_map", "groups")
            .set("validator.role_claim", "groups"),
    );
    server.set_hba(&[&line("hostssl", issuer.url(), Issuer::SCOPE, "map=people")]);
    server.reload();
    let found = assert_findings(&server, &["error map_missing", "error map_missing"]);
    assert!(found[0].detail.contains("map=people"), "{found:?}");
    assert!(found[1].detail.contains("\"groups\""), "{found:?}");
    server.set_ident(&["people a alice", "groups b bob"]);
    server.reload();
    assert_findings(&server, &["ok ok"]);
}

#[test]
fn strangers_get_tokens_of_the_same_issuer() {
    let (_issuer, builder) = healthy();
    let server = started(builder.set("validator.provider", "github-actions"));
    only_detail(&server, "error required_claims_unset");
    server.reload_with(&[("validator.required_claims", "repository_owner=me")]);
    assert_findings(&server, &["ok ok"]);
}

#[test]
fn settings_contradict_the_preset() {
    let (_issuer, builder) = healthy();
    let server = started(
        builder
            .set("validator.provider", "kubernetes")
            .set("validator.client_ids", "psql"),
    );
    let detail = only_detail(&server, "error contradicts_preset");
    assert!(detail.contains("validator.client_ids"), "{detail}");
    server.unset("validator.client_ids");
    server.reload_with(&[
        ("validator.provider", "keycloak"),
        ("validator.token_types", "-"),
    ]);
    let detail = only_detail(&server, "error contradicts_preset");
    assert!(detail.contains("validator.token_types"), "{detail}");
}

#[test]
fn id_tokens_may_pass() {
    let (_issuer, builder) = healthy();
    let server = started(builder.set("validator.token_types", "at+jwt, JWT"));
    only_detail(&server, "warning id_token_may_pass");
}

#[test]
fn several_findings_at_one_line_are_all_told() {
    let issuer = Issuer::builder().start();
    let server = started(clinic().set("validator.audience", ""));
    server.set_hba(&[&line("host", issuer.url(), "", "delegate_ident_mapping=1")]);
    server.reload();
    let found = assert_findings(
        &server,
        &[
            "notice tls_not_required",
            "error audience_unset",
            "error role_claim_unset",
            "warning scope_empty",
            "error issuer_http",
        ],
    );
    assert!(found.iter().all(|row| row.line == "3"), "{found:?}");
}

#[test]
fn bound_tokens_need_a_server_that_asks_for_certificates() {
    let (_issuer, builder) = healthy();
    let server = started(builder.set("validator.require_bound_token", "on"));
    let detail = only_detail(&server, "error certificates_not_asked_for");
    assert!(detail.contains("all tokens are refused"), "{detail}");
    let authority = Authority::shared().file().display().to_string();
    server.reload_with(&[("ssl_ca_file", &authority)]);
    assert_findings(&server, &["ok ok"]);
    server.reload_with(&[("ssl", "off")]);
    assert_findings(
        &server,
        &["error tls_off", "error certificates_not_asked_for"],
    );
}
