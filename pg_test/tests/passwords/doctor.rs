//! What check_config says of lines with the method `pam`, and try_login of a login through one.

use rig::{Issuer, Server, ServerBuilder, environment, oauth_line, skip};

use crate::has_oauth;

/// A server with the extension and a profile `corp`; `None`: it is built without PAM.
fn start_with(
    issuer: &Issuer,
    change: impl FnOnce(ServerBuilder) -> ServerBuilder,
) -> Option<Server> {
    if !environment::has_pam() {
        skip("PostgreSQL is built without PAM");
        return None;
    }
    let builder = Server::builder()
        .preload()
        .tls()
        .set("validator.audience", Issuer::AUDIENCE)
        .set("validator.allow_http", "on")
        .set("validator.password_scope", Issuer::SCOPE)
        .set("validator.profiles", "corp")
        .set("validator_corp.issuer", issuer.url());
    let builder = match environment::postgresql_version() {
        ..18 => builder,
        _ => builder.set("oauth_validator_libraries", ""),
    };
    let server = change(builder).start();
    server.sql("CREATE EXTENSION validator");
    Some(server)
}

/// The findings, each as `severity code line`; that the issuer of these tests is http is left out.
fn findings(server: &Server) -> Vec<String> {
    let rows = server.sql(
        "SELECT severity || ' ' || finding || ' ' || coalesce(hba_line::text, '-') FROM validator.check_config() \
         WHERE finding NOT IN ('issuer_http', 'worker_missing') ORDER BY 1",
    );
    rows.into_iter()
        .filter_map(|row| row.into_iter().next().flatten())
        .collect()
}

fn text_of(server: &Server, finding: &str) -> String {
    server.value(&format!(
        "SELECT detail || ' ' || advice FROM validator.check_config() WHERE finding = '{finding}' LIMIT 1"
    ))
}

const LINE: &str = "hostssl all all 127.0.0.1/32 pam pamservice=corp";

#[test]
fn service_without_a_file_and_module_that_is_not_preloaded() {
    let issuer = Issuer::builder().start();
    let Some(server) = start_with(&issuer, |builder| builder.hba(LINE)) else {
        return;
    };
    assert_eq!(findings(&server), ["error pam_file_missing 3"]);
    assert!(text_of(&server, "pam_file_missing").contains("/etc/pam.d/corp"));
    server.set("shared_preload_libraries", "");
    server.restart();
    assert_eq!(
        findings(&server),
        [
            "error pam_file_missing 3",
            "error pam_not_preloaded 3",
            "notice not_preloaded -"
        ]
    );
    let told = text_of(&server, "not_preloaded");
    assert!(
        told.contains("logins by the method pam do not load it"),
        "{told}"
    );
}

#[test]
fn advice_speaks_of_what_this_version_has() {
    let issuer = Issuer::builder().start();
    let Some(server) = start_with(&issuer, |builder| builder) else {
        return;
    };
    let has_oauth = environment::postgresql_version() >= 18;
    for finding in ["no_hba_line", "profile_unused"] {
        let told = text_of(&server, finding);
        assert!(told.contains("pam"), "{finding}: {told}");
    }
    assert_eq!(text_of(&server, "no_hba_line").contains("oauth"), has_oauth);
    server.set("shared_preload_libraries", "");
    server.restart();
    let told = text_of(&server, "not_preloaded");
    assert_eq!(told.contains("loaded at each login"), has_oauth, "{told}");
    assert_eq!(
        told.contains("no token is accepted before"),
        !has_oauth,
        "{told}"
    );
}

/// The issuers of such lines are in settings, of which there can be more than keys are cached for.
#[test]
fn issuers_that_settings_name_take_room_for_keys() {
    let issuer = Issuer::builder().start();
    let profiles: Vec<String> = (0..17).map(|n| format!("corp{n}")).collect();
    let server = start_with(&issuer, |builder| {
        let builder = builder
            .set("validator.jwks_cache_issuers", "16")
            .set("validator.http_timeout", "200ms")
            .set("validator.profiles", &profiles.join(", "));
        profiles.iter().fold(builder, |builder, name| {
            builder
                .set(
                    &format!("validator_{name}.issuer"),
                    &format!("http://127.0.0.1:9/{name}"),
                )
                .hba(&LINE.replace("pamservice=corp", &format!("pamservice={name}")))
        })
    });
    let Some(server) = server else {
        return;
    };
    let told = text_of(&server, "too_many_issuers");
    let counted =
        "have 17 issuers, with those that settings name for its lines with the method pam, but";
    assert!(told.contains(counted), "{told}");
    let advice = "validator.issuer and the profiles (validator_PROFILE.issuer), and restart";
    assert!(told.contains(advice), "{told}");
    let has_oauth = environment::postgresql_version() >= 18;
    let of_lines = "number of issuers in pg_hba.conf and,";
    assert_eq!(told.contains(of_lines), has_oauth, "{told}");
}

#[test]
fn identities_that_can_be_no_role_need_a_password_map() {
    let issuer = Issuer::builder().start();
    let started = start_with(&issuer, |builder| {
        builder.hba(LINE).set("validator.identity_prefix", "corp:")
    });
    let Some(server) = started else {
        return;
    };
    let told = text_of(&server, "identity_no_role");
    assert_eq!(told.matches("validator.password_map").count(), 2, "{told}");
    assert!(!told.contains("without map="), "{told}");
}

#[test]
fn service_whose_file_names_the_module_or_does_not() {
    if !rig::can_mount() {
        return;
    }
    let issuer = Issuer::builder().start();
    let module = "auth required pam_validator.so\naccount required pam_validator.so\n";
    let started = start_with(&issuer, |builder| {
        builder
            .etc_file("pam.d/su", module)
            .etc_file(
                "pam.d/login",
                "# pam_validator.so\nauth required pam_unix.so\n",
            )
            .set("validator.profiles", "su, login")
            .set("validator_su.issuer", issuer.url())
            .hba("hostssl all all 127.0.0.1/32 pam pamservice=su")
    });
    let Some(server) = started else {
        return;
    };
    server.unset("validator_corp.issuer");
    server.reload();
    assert_eq!(findings(&server), ["warning profile_unused -"]);
    // Not by a profile, but by the file.
    server.reload_with(&[
        ("validator.profiles", ""),
        ("validator.issuer", issuer.url()),
    ]);
    server.unset("validator_su.issuer");
    server.reload();
    assert_eq!(findings(&server), Vec::<String>::new());
    // Another service is none of our business.
    server.set_hba(&["hostssl all all 127.0.0.1/32 pam pamservice=login"]);
    server.reload();
    let found = findings(&server);
    assert!(found.iter().all(|found| found.ends_with(" -")), "{found:?}");
}

#[test]
fn service_without_an_issuer_or_of_a_bad_name() {
    let issuer = Issuer::builder().start();
    let started = start_with(&issuer, |builder| {
        builder
            .set("validator.profiles", "corp, other")
            .hba(LINE)
            .hba("hostssl all alice ::1/128 pam pamservice=OTHER")
    });
    let Some(server) = started else {
        return;
    };
    server.unset("validator_corp.issuer");
    server.reload();
    let found = findings(&server);
    for wanted in ["error issuer_unset 3", "error pam_service_other 4"] {
        assert!(
            found.iter().any(|found| found == wanted),
            "{wanted}: {found:?}"
        );
    }
}

#[test]
fn lines_that_admit_connections_without_encryption() {
    let issuer = Issuer::builder().start();
    let Some(server) = start_with(&issuer, |builder| builder) else {
        return;
    };
    for (kind, demands, severity) in [
        ("host", "on", "notice"),
        ("hostnossl", "on", "warning"),
        ("host", "off", "warning"),
        ("hostnossl", "off", "warning"),
    ] {
        server.set_hba(&[&LINE.replace("hostssl", kind)]);
        server.reload_with(&[("validator.password_requires_tls", demands)]);
        let wanted = format!("{severity} tls_not_required 3");
        let found = findings(&server);
        assert!(found.contains(&wanted), "{kind} {demands}: {found:?}");
    }
}

#[test]
fn settings_are_examined_as_for_other_lines() {
    let issuer = Issuer::builder().start();
    let started = start_with(&issuer, |builder| {
        builder
            .set("validator.password_scope", "")
            .set("validator.password_map", "nobodys")
            .set("validator.audience", "")
            .hba(LINE)
    });
    let Some(server) = started else {
        return;
    };
    let found = findings(&server);
    for wanted in [
        "error audience_unset 3",
        "error map_missing 3",
        "warning scope_empty 3",
    ] {
        assert!(
            found.iter().any(|found| found == wanted),
            "{wanted}: {found:?}"
        );
    }
    assert!(text_of(&server, "map_missing").contains("validator.password_map"));
    let scope = text_of(&server, "scope_empty");
    assert!(
        scope.contains("validator.password_scope") && !scope.contains("line's"),
        "{scope}"
    );
}

#[test]
fn line_that_is_never_reached_since_one_of_the_other_method_comes_first() {
    if !has_oauth() {
        return;
    }
    let issuer = Issuer::builder().start();
    let started = start_with(&issuer, |builder| {
        builder.set("oauth_validator_libraries", "validator")
    });
    let Some(server) = started else {
        return;
    };
    let oauth = oauth_line(issuer.url(), "");
    let shadowed = |lines: &[&str]| {
        server.set_hba(lines);
        server.reload();
        findings(&server)
            .into_iter()
            .filter(|found| found.contains(" shadowed"))
            .collect::<Vec<_>>()
    };
    assert_eq!(shadowed(&[&oauth, LINE]), ["error shadowed 4"]);
    assert_eq!(
        shadowed(&[
            &LINE.replace("hostssl", "host"),
            &oauth.replace("host all all", "hostssl all bob")
        ]),
        ["error shadowed 4"]
    );
    let none: [&str; 0] = [];
    assert_eq!(
        shadowed(&[LINE, &oauth]),
        none,
        "connections without TLS reach it"
    );
    assert_eq!(
        shadowed(&[&oauth.replace("all all", "all bob"), LINE]),
        none
    );
    assert_eq!(
        shadowed(&[&oauth.replace("127.0.0.1/32", "10.0.0.0/8"), LINE]),
        none
    );
}

#[test]
fn login_can_be_tried_and_a_token_checked() {
    let issuer = Issuer::builder().start();
    let started = start_with(&issuer, |builder| {
        builder
            .hba(LINE)
            .set("validator.password_map", "people")
            .ident("people some-subject alice")
    });
    let Some(server) = started else {
        return;
    };
    let token = issuer.token("some-subject").encode();
    let failed = |role: &str| {
        let rows = server.sql(&format!(
            "SELECT name FROM validator.try_login('{token}', '{role}', 'postgres', '127.0.0.1') WHERE passed IS FALSE"
        ));
        rows.into_iter().flatten().flatten().collect::<Vec<_>>()
    };
    assert_eq!(failed("alice"), Vec::<String>::new());
    assert_eq!(failed("bob"), ["role"]);
    server.sql(&format!(
        "SELECT validator.refresh_keys('{}')",
        issuer.url()
    ));
}
