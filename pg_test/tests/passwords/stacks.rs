//! PAM files and processes of every kind: next to another PAM module, without the module `validator`, or with another one.

use std::path::Path;

use rig::{Issuer, Login, PAM_SERVICE, Refusal, Server, assert_silent_log, now, reasons, shim};

use crate::{start_with, system_user};

/// A PAM module for one password, which it does not ask for again, and that logs each one that it sees.
const ONE_PASSWORD: &str = "#include <stdio.h>\n#include <string.h>\n\
     int pam_get_item(const void *, int, const void **);\n\
     int pam_sm_authenticate(void *handle, int flags, int count, const char **arguments) {\n\
     const void *password = 0; pam_get_item(handle, 6, &password);\n\
     fprintf(stderr, \"another module was asked\\n\");\n\
     return password && !strcmp(password, \"hunter2\") ? 0 : 7; }\n\
     int pam_sm_setcred(void *handle, int flags, int count, const char **arguments) { return 0; }\n\
     int pam_sm_acct_mgmt(void *handle, int flags, int count, const char **arguments) { return 0; }\n";

/// The manual's PAM file that takes tokens, and passwords by another module. A token that is refused is not shown to that.
fn stack(other: &Path) -> String {
    let (ours, other) = (rig::pam_module(), other.display());
    let ours = ours.display();
    format!(
        "auth    [success=done ignore=ignore default=die] {ours} try_others\n\
         auth    required {other}\n\
         account [success=done ignore=ignore default=die] {ours} try_others\n\
         account required {other}\n"
    )
}

fn login(server: &Server, role: &str, password: &str) -> Login {
    Login::by_tls(server, role, None).token(password)
}

#[test]
fn tokens_and_passwords_are_taken_on_one_line() {
    let Some((issuer, server)) = start_with(|builder| builder) else {
        return;
    };
    server.set_pam_service(PAM_SERVICE, &stack(&shim::compile(ONE_PASSWORD)));
    let token = issuer.token("alice").encode();
    let mut session = server.admits_login(login(&server, "alice", &token));
    assert_eq!(system_user(&server, &mut session), "pam:alice");
    // A person's password: none of our business, and no entry in the log.
    let mark = server.log().mark();
    let mut session = login(&server, "bob", "hunter2").run().session();
    assert_eq!(system_user(&server, &mut session), "pam:bob");
    let refusal = login(&server, "bob", "hunter3").run().refusal();
    assert_eq!(refusal.error().code(), "28000");
    let log = server.log().since(mark);
    assert_eq!(reasons(&log).count(), 0, "{log}");
    assert!(!log.contains("OAuth"), "{log}");
    assert_eq!(issuer.hits(rig::Endpoint::Introspection), 0);
    // A bad token is refused, and not tried as a password.
    let expired = issuer.token("bob").claim("exp", now() - 3600).encode();
    let verdict = server.refuses_login(login(&server, "bob", &expired), &expired, "expired");
    assert!(!verdict.log.contains("another module"), "{}", verdict.log);
    server.refuses_login(
        login(&server, "bob", &token[..200]),
        &token,
        "malformed_jwt",
    );
}

#[test]
fn account_needs_a_token_that_this_module_has_accepted() {
    let Some((_issuer, server)) = start_with(|builder| builder) else {
        return;
    };
    let ours = rig::pam_module();
    let text = format!(
        "auth required pam_permit.so\naccount required {}\n",
        ours.display()
    );
    server.set_pam_service(PAM_SERVICE, &text);
    let refusal = login(&server, "alice", "anything").run().refusal();
    assert_eq!(refusal.error().code(), "28000", "{refusal:?}");
}

#[test]
fn token_of_a_login_that_another_module_refuses_opens_nothing() {
    let Some((issuer, server)) = start_with(|builder| builder) else {
        return;
    };
    server.sql("CREATE EXTENSION validator");
    let text = format!("{}auth required pam_deny.so\n", rig::pam_file(""));
    server.set_pam_service(PAM_SERVICE, &text);
    let token = issuer.token("alice").encode();
    let refusal = login(&server, "alice", &token).run().refusal();
    assert_eq!(refusal.error().code(), "28000", "{refusal:?}");
    assert_eq!(server.value("SELECT count(*) FROM validator.sessions"), "0");
    assert_eq!(
        server.value("SELECT coalesce(sum(accepted), 0) FROM validator.stats"),
        "0"
    );
}

/// A login that PAM refuses without this module's judgement: the client learns nothing, and is not asked for its token. The
/// log has this.
#[track_caller]
fn assert_refused_unjudged(server: &Server, token: &str, logged: &str) -> Refusal {
    let mark = server.log().mark();
    let refusal = login(server, "alice", token).run().refusal();
    let log = server.log().since(mark);
    assert_eq!(log.matches(logged).count(), 1, "{log}");
    assert_silent_log(&log, token);
    rig::assert_silent_refusal(&refusal, "pam_validator");
    assert!(!refusal.asked_for_password, "{refusal:?}");
    refusal
}

const NOT_LOADED: &str = "pam_validator: the module \"validator\" is not loaded";
const OTHER_INTERFACE: &str = "pam_validator: the module \"validator\" speaks another interface";

#[test]
fn without_preloading_nobody_gets_in() {
    let started = start_with(|builder| builder.set("shared_preload_libraries", ""));
    let Some((issuer, server)) = started else {
        return;
    };
    let token = issuer.token("alice").encode();
    assert_refused_unjudged(&server, &token, NOT_LOADED);
}

/// A server that has these functions in the place of the module's.
fn with_functions(source: &str, preloads_module: bool) -> Option<(Issuer, Server)> {
    if !rig::can_use_pam() {
        return None;
    }
    let (shim, pam) = (shim::compile(source), rig::pam_library());
    let both = format!("{}:{}", pam.display(), shim.display());
    start_with(|builder| {
        let libraries = if preloads_module { "validator" } else { "" };
        builder
            .set("shared_preload_libraries", libraries)
            .environment("LD_PRELOAD", &both)
    })
}

#[test]
fn module_of_another_interface_is_not_used() {
    let source = "int validator_password_begin(int i) { return i == 2 ? 0 : 2; }\n\
                  int validator_password_judge(int i, const char *p, int f) { return 0; }\n";
    let Some((issuer, server)) = with_functions(source, true) else {
        return;
    };
    let token = issuer.token("alice").encode();
    assert_refused_unjudged(&server, &token, OTHER_INTERFACE);
}

#[test]
fn module_without_one_of_the_functions_is_not_used() {
    let source = "int validator_password_begin(int i) { return 0; }\n";
    let Some((issuer, server)) = with_functions(source, false) else {
        return;
    };
    let token = issuer.token("alice").encode();
    assert_refused_unjudged(&server, &token, NOT_LOADED);
}

#[test]
fn unknown_answer_of_the_module_is_a_refusal() {
    let source = "int validator_password_begin(int i) { return 0; }\n\
                  int validator_password_judge(int i, const char *p, int f) { return -1; }\n";
    let Some((issuer, server)) = with_functions(source, false) else {
        return;
    };
    let token = issuer.token("alice").encode();
    let refusal = login(&server, "alice", &token).run().refusal();
    assert_eq!(refusal.error().code(), "28000", "{refusal:?}");
}

#[test]
fn unknown_option_of_the_pam_file_is_a_refusal() {
    let Some((issuer, server)) = start_with(|builder| builder) else {
        return;
    };
    server.set_pam_service(PAM_SERVICE, &rig::pam_file("try_other"));
    let token = issuer.token("alice").encode();
    assert_refused_unjudged(
        &server,
        &token,
        "pam_validator: unknown option in the PAM file",
    );
}

#[test]
fn two_servers_judge_each_by_its_own_settings() {
    let Some((issuer, server)) = start_with(|builder| builder) else {
        return;
    };
    let Some((other_issuer, other_server)) = start_with(|builder| builder) else {
        return;
    };
    let (token, other) = (
        issuer.token("alice").encode(),
        other_issuer.token("alice").encode(),
    );
    server.admits_login(login(&server, "alice", &token));
    other_server.admits_login(login(&other_server, "alice", &other));
    server.refuses_login(login(&server, "alice", &other), &other, "unknown_kid");
    other_server.refuses_login(login(&other_server, "alice", &token), &token, "unknown_kid");
}
