//! Panics of the module during a login. The module has no switch for them: the standard library panics where the system
//! gives it no time, so a shim takes the time away, from the module's own code in backends only, at one reading after the
//! other. The panic, and all that follows from it, is real.

use std::path::{Path, PathBuf};

use rig::{
    Issuer, Login, Outcome, Server, ServerBuilder, assert_silent_log, assert_silent_refusal,
    reasons, shim,
};

use crate::{AT_ONCE, Signal, assert_next_login_gets_in, assert_unharmed, server_of};

/// A library by which a process's Nth reading of a clock within the module fails, with N in this file. Without the file, none
/// does.
fn no_time(signal: &Path) -> PathBuf {
    shim::compile(&format!(
        "#define _GNU_SOURCE\n\
         #include <dlfcn.h>\n#include <errno.h>\n#include <stdio.h>\n#include <string.h>\n\
         #include <time.h>\n#include <unistd.h>\n\
         static _Atomic int readings;\n\
         static pid_t process;\n\
         static int fails(void *caller) {{\n\
         Dl_info from; int *type = dlsym(RTLD_DEFAULT, \"MyBackendType\"); int which = 0;\n\
         if (!type || *type != 1 || !dladdr(caller, &from) || !strstr(from.dli_fname, \"validator.so\")) return 0;\n\
         if (process != getpid()) {{ process = getpid(); readings = 0; }}\n\
         int reading = ++readings;\n\
         FILE *signal = fopen(\"{}\", \"r\");\n\
         if (!signal) return 0;\n\
         if (fscanf(signal, \"%d\", &which) != 1) which = 0;\n\
         fclose(signal);\n\
         return which == reading;\n}}\n\
         int clock_gettime(clockid_t clock, struct timespec *time) {{\n\
         int (*next)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, \"clock_gettime\");\n\
         if (fails(__builtin_return_address(0))) {{ errno = EINVAL; return -1; }}\n\
         return next(clock, time);\n}}\n",
        signal.display()
    ))
}

/// More readings than a login makes.
const MANY: usize = 100;

/// A panic at each reading of a clock in turn, until a login makes no more of them and gets in; how many there were.
fn panic_everywhere(preload: bool, token_of: impl Fn(&Issuer) -> String) -> usize {
    let issuer = Issuer::builder().start();
    let builder = server_of(&issuer);
    let builder = if preload { builder.preload() } else { builder };
    panic_on(&issuer, builder, &[], token_of)
}

/// The same on this server, into which these libraries are preloaded, too.
fn panic_on(
    issuer: &Issuer,
    builder: ServerBuilder,
    libraries: &[PathBuf],
    token_of: impl Fn(&Issuer) -> String,
) -> usize {
    let signal = Signal::new();
    let libraries = libraries.iter().cloned().chain([no_time(signal.path())]);
    let libraries: Vec<String> = libraries.map(|path| path.display().to_string()).collect();
    let server = builder
        .asks_about_opaque_tokens()
        .environment("LD_PRELOAD", &libraries.join(":"))
        .start();
    server.admits("alice", &issuer.token("alice").encode());
    for nth in 1..MANY {
        let token = token_of(issuer);
        // All that a login does: its keys and answers are not cached.
        server.forget_keys();
        let mark = server.log().mark();
        signal.give(&nth.to_string());
        let outcome = Login::new(&server, "alice").token(&token).run();
        signal.take_back();
        let log = server.log().since(mark);
        let refusal = match outcome {
            Outcome::Refused(refusal) => refusal,
            Outcome::Session(session) => {
                drop(session);
                assert_eq!(reasons(&log).count(), 0, "{log}");
                assert_unharmed(&server);
                return nth - 1;
            }
        };
        assert_silent_refusal(&refusal, "panic");
        assert_silent_log(&log, &token);
        assert!(refusal.elapsed < AT_ONCE, "{nth}: {refusal:?}");
        // One entry of ours, which names the place.
        assert_eq!(
            reasons(&log).collect::<Vec<_>>(),
            ["internal_error"],
            "{nth}: {log}"
        );
        assert!(log.contains("panic"), "{nth}: {log}");
        // Whatever it had begun for all is given up: the next login begins it again, and does not wait.
        assert_next_login_gets_in(&server, "alice", &token);
    }
    panic!("{MANY} readings of a clock in one login");
}

#[test]
fn panic_in_a_login_by_a_jwt_is_contained_wherever_it_happens() {
    for preload in [false, true] {
        let places = panic_everywhere(preload, |issuer| issuer.token("alice").encode());
        assert!(places >= 5, "{places}");
    }
}

#[test]
fn panic_in_a_login_by_an_opaque_token_is_contained_wherever_it_happens() {
    for preload in [false, true] {
        let places = panic_everywhere(preload, |issuer| issuer.opaque_token("alice"));
        assert!(places >= 5, "{places}");
    }
}

#[test]
fn panic_in_a_login_by_a_password_is_contained_wherever_it_happens() {
    if !rig::can_use_pam() {
        return;
    }
    let issuer = Issuer::builder().start();
    let builder = Server::taking_passwords(&issuer)
        .log_everything()
        .set("validator.password_requires_tls", "off");
    let library = rig::pam_library().to_owned();
    let places = panic_on(&issuer, builder, &[library], |issuer| {
        issuer.token("alice").encode()
    });
    assert!(places >= 5, "{places}");
}

/// Once PostgreSQL has accepted the user, too: the time of the login of a managed role is noted then.
#[test]
fn panic_after_a_login_was_accepted_is_contained() {
    let issuer = Issuer::builder().start();
    let builder = server_of(&issuer)
        .preload()
        .set("validator.provision_role", "validator_manager");
    let signal = Signal::new();
    let server = builder
        .environment("LD_PRELOAD", &no_time(signal.path()).display().to_string())
        .start();
    server.sql("CREATE ROLE validator_manager NOLOGIN CREATEROLE");
    server.sql("CREATE ROLE validator_managed NOLOGIN");
    server.sql("GRANT validator_managed TO alice");
    let token = issuer.token("alice").encode();
    server.admits("alice", &token);
    let mut is_last = false;
    for nth in 1..MANY {
        let mark = server.log().mark();
        signal.give(&nth.to_string());
        let outcome = Login::new(&server, "alice").token(&token).run();
        signal.take_back();
        let log = server.log().since(mark);
        match outcome {
            Outcome::Refused(refusal) => {
                assert_silent_refusal(&refusal, "panic");
                assert_eq!(
                    reasons(&log).collect::<Vec<_>>(),
                    ["internal_error"],
                    "{nth}: {log}"
                );
                is_last = log.contains("connection authenticated");
            }
            Outcome::Session(session) => {
                drop(session);
                assert!(is_last, "no reading of a clock after the acceptance: {log}");
                assert_unharmed(&server);
                return;
            }
        }
    }
    panic!("{MANY} readings of a clock in one login");
}
