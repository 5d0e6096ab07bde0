//! Other modules in the same server: an error in their hooks, and a second copy of this module.

use rig::{Issuer, Login, Server, StopMode, assert_silent_refusal, oauth_line, shim};

use crate::{Signal, assert_next_login_gets_in, assert_unharmed, server_of};

/// The hook of another module runs before ours, after the token was accepted. It raises an error, as PostgreSQL's own
/// hooks do, while the file is there. The library takes the place of a module that was loaded first.
#[test]
fn login_that_the_hook_of_another_module_refuses_leaves_nothing_behind() {
    let signal = Signal::new();
    let refuser = shim::compile(&format!(
        "#include <unistd.h>\n\
         #define WEAK __attribute__((weak))\n\
         extern WEAK void (*ClientAuthentication_hook)(void *, int);\n\
         extern WEAK _Bool errstart(int, const char *);\n\
         extern WEAK int errmsg(const char *, ...);\n\
         extern WEAK void errfinish(const char *, int, const char *);\n\
         static void refuse(void *port, int status) {{\n\
         if (status || access(\"{}\", F_OK)) return;\n\
         if (errstart(21, 0)) {{ errmsg(\"not today\"); errfinish(\"other.c\", 1, \"refuse\"); }}\n}}\n\
         __attribute__((constructor)) static void load(void) {{\n\
         if (&ClientAuthentication_hook) ClientAuthentication_hook = refuse;\n}}\n",
        signal.path().display()
    ));
    for preload in [false, true] {
        let issuer = Issuer::builder().start();
        let builder = server_of(&issuer)
            .set("validator.session_expiry", "on")
            .environment("LD_PRELOAD", &refuser.display().to_string());
        let server = if preload { builder.preload() } else { builder }.start();
        server.sql("CREATE EXTENSION validator");
        let token = issuer.token("alice").encode();
        let login = || Login::new(&server, "alice").token(&token);
        for _ in 0..3 {
            signal.give("");
            let refusal = login().run().refusal();
            signal.take_back();
            assert_eq!(refusal.error().message(), "not today");
            assert_eq!(refusal.error().severity(), "FATAL");
            assert_eq!(server.value("SELECT count(*) FROM validator.sessions"), "0");
        }
        assert_next_login_gets_in(&server, "alice", &token);
        let session = server.admits("alice", &token);
        assert_eq!(
            server.value("SELECT array_agg(pid) FROM validator.sessions"),
            format!("{{{}}}", session.pid())
        );
        drop(session);
        assert_eq!(server.value("SELECT accepted FROM validator.stats"), "2");
        assert_unharmed(&server);
    }
}

/// A server with two copies of the module, of which lines of pg_hba.conf name the second for bob.
fn with_two_copies(issuer: &Issuer) -> rig::ServerBuilder {
    let second = oauth_line(issuer.url(), "")
        .replacen("all all", "all bob", 1)
        .replacen("validator=validator", "validator=validator2", 1);
    Server::builder()
        .log_everything()
        .second_module("validator2")
        .set("oauth_validator_libraries", "validator, validator2")
        .set("validator.audience", Issuer::AUDIENCE)
        .set("validator.allow_http", "on")
        .hba(&second)
        .hba(&oauth_line(issuer.url(), ""))
}

#[test]
fn second_copy_of_a_preloaded_module_refuses_everyone_and_says_why() {
    let issuer = Issuer::builder().start();
    let server = with_two_copies(&issuer).preload().start();
    let token = issuer.token("bob").encode();
    for token in [&token, "garbage"] {
        let verdict = server.refuses("bob", token, "loaded_twice");
        let hint = "HINT:  Name the module by one file name only in pg_hba.conf, oauth_validator_libraries";
        assert!(verdict.log.contains(hint), "{}", verdict.log);
    }
    assert!(issuer.requests().is_empty());
    assert_next_login_gets_in(&server, "alice", &issuer.token("alice").encode());
    server.sql("CREATE EXTENSION validator");
    // The functions of a second copy would know nothing of the first one's sessions.
    let outcome = server.psql("LOAD 'validator2'");
    assert!(!outcome.status.success());
    let told = "ERROR:  another copy of the module \"validator\" is loaded";
    assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    // Alone, it is as good as the first one.
    server.unset("shared_preload_libraries");
    server.restart();
    server.admits("bob", &token);
    server.admits("alice", &issuer.token("alice").encode());
    assert_unharmed(&server);
}

#[test]
fn server_that_preloads_two_copies_does_not_start_and_says_why() {
    let issuer = Issuer::builder().start();
    let server = with_two_copies(&issuer).start();
    server.stop(StopMode::Fast);
    server.set("shared_preload_libraries", "validator, validator2");
    let log = server.start_again().expect_err("it starts");
    let told = "FATAL:  another copy of the module \"validator\" is loaded";
    assert!(log.contains(told), "{log}");
    server.set("shared_preload_libraries", "validator2");
    server.start_again().expect("it starts");
    let token = issuer.token("bob").encode();
    assert_next_login_gets_in(&server, "bob", &token);
    let refusal = Login::new(&server, "alice").token(&token).run().refusal();
    assert_silent_refusal(&refusal, "loaded_twice");
}
