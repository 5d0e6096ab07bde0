//! A server that can open no more files.

use std::path::{Path, PathBuf};

use rig::{Issuer, Login, Outcome, assert_silent_log, assert_silent_refusal, reasons, shim};

use crate::{AT_ONCE, Signal, assert_next_login_gets_in, assert_unharmed, server_of};

/// A library by which no shared memory can be made, with this error, while the file is there.
fn no_shared_memory(error: &str, signal: &Path) -> PathBuf {
    shim::compile(&format!(
        "#define _GNU_SOURCE\n\
         #include <dlfcn.h>\n#include <errno.h>\n#include <fcntl.h>\n#include <sys/mman.h>\n#include <unistd.h>\n\
         int shm_open(const char *name, int flags, mode_t mode) {{\n\
         int (*next)(const char *, int, mode_t) = dlsym(RTLD_NEXT, \"shm_open\");\n\
         if (flags & O_CREAT && access(\"{}\", F_OK) == 0) {{ errno = {error}; return -1; }}\n\
         return next(name, flags, mode);\n}}\n",
        signal.display()
    ))
}

/// The error is made by a shim: a limit of the whole machine (ENFILE) would be one of all its tests.
#[test]
fn login_that_can_make_no_memory_is_refused_for_that_and_the_next_one_is_not() {
    for error in ["EMFILE", "ENFILE"] {
        let (issuer, signal) = (Issuer::builder().start(), Signal::new());
        let library = no_shared_memory(error, signal.path());
        let server = server_of(&issuer)
            .environment("LD_PRELOAD", &library.display().to_string())
            .start();
        let token = issuer.token("alice").encode();
        signal.give("");
        for _ in 0..3 {
            let verdict = server.refuses("alice", &token, "server_resources");
            assert!(
                verdict.log.contains("oo many open files"),
                "{}",
                verdict.log
            );
            assert!(verdict.refusal.elapsed < AT_ONCE, "{verdict:?}");
        }
        signal.take_back();
        assert!(issuer.requests().is_empty());
        assert_next_login_gets_in(&server, "alice", &token);
        assert_unharmed(&server);
    }
}

/// The limit is the kernel's own. From one with which a server can just accept connections, up to one with which a login
/// works, each login is refused somewhere else; and not as if the provider had failed, for which other logins would pause.
fn run_out_of_files(token_of: impl Fn(&Issuer) -> String) {
    for preload in [false, true] {
        let issuer = Issuer::builder().start();
        let builder = server_of(&issuer).asks_about_opaque_tokens();
        let server = if preload { builder.preload() } else { builder }.start();
        server.sql("CREATE EXTENSION validator");
        let token = token_of(&issuer);
        let mut admin = Login::by_socket(&server, "postgres").run().session();
        // The number of the next connection in the postmaster, which a limit has to exceed.
        let next: u32 = admin
            .value(&format!(
                "SELECT min(n) FROM generate_series(3, 1000) AS n \
                 WHERE n::text NOT IN (SELECT pg_ls_dir('/proc/{}/fd'))",
                server.postmaster_pid()
            ))
            .parse()
            .expect("a number");
        let mut ours = Vec::new();
        for limit in next + 1.. {
            assert!(limit < next + 60, "no login gets in: {ours:?}");
            let mut run = |sql: &str| {
                admin
                    .query(sql)
                    .unwrap_or_else(|e| panic!("{e}\nin: {sql}"));
            };
            run("SELECT validator.flush_cache()");
            run(&server.limit_statement(&format!("--nofile={limit}:")));
            let mark = server.log().mark();
            let outcome = Login::new(&server, "alice").token(&token).run();
            let log = server.log().since(mark);
            run(&server.limit_statement("--nofile=1024:"));
            let refusal = match outcome {
                Outcome::Session(_) => break,
                Outcome::Refused(refusal) => refusal,
            };
            assert!(refusal.elapsed < AT_ONCE, "{limit}: {refusal:?}\n{log}");
            assert_silent_log(&log, &token);
            let reasons: Vec<_> = reasons(&log).collect();
            // PostgreSQL itself may be the one that lacks files.
            if !reasons.is_empty() {
                assert_eq!(reasons, ["server_resources"], "{limit}: {log}");
                assert!(log.contains("oo many open files"), "{limit}: {log}");
                assert_silent_refusal(&refusal, "server_resources");
                ours.push(limit);
            }
            assert_next_login_gets_in(&server, "alice", &token);
        }
        assert!(ours.len() > 1, "preloaded: {preload}: {ours:?}");
        drop(admin);
        assert_unharmed(&server);
    }
}

#[test]
fn login_by_a_jwt_that_runs_out_of_files_is_refused_and_the_next_one_is_not() {
    run_out_of_files(|issuer| issuer.token("alice").encode());
}

#[test]
fn login_by_an_opaque_token_that_runs_out_of_files_is_refused_and_the_next_one_is_not() {
    run_out_of_files(|issuer| issuer.opaque_token("alice"));
}
