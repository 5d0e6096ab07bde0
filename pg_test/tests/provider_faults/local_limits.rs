//! A server that has come to a limit of its own machine: the login is refused with that cause, and nothing panics.

use rig::{Issuer, Server, shim};

use crate::assert_unharmed;

#[test]
fn login_that_gets_no_thread_is_refused_and_the_limit_is_named() {
    let no_threads = shim::compile(
        "#include <errno.h>\n\
         int pthread_create(void *thread, void *attributes, void *start, void *argument)\n\
         { return EAGAIN; }\n",
    );
    for preload in [false, true] {
        let issuer = Issuer::builder().https().start();
        let builder = Server::trusting(&issuer)
            .log_everything()
            .environment("LD_PRELOAD", &no_threads.display().to_string());
        let server = if preload { builder.preload() } else { builder }.start();
        let postmaster = server.postmaster_pid();
        let token = issuer.token("alice").encode();
        let verdict = server.refuses("alice", &token, "provider_unavailable");
        for told in [
            "reason=provider_unavailable cause=no_thread url=https://",
            "could not start a thread to ask it: Resource temporarily unavailable",
            "HINT:  Raise the limit on processes and threads ",
        ] {
            assert!(verdict.log.contains(told), "{told} in {}", verdict.log);
        }
        assert!(issuer.requests().is_empty());
        server.sql("CREATE EXTENSION validator");
        let found = server.value(
            "SELECT detail FROM validator.check_config() WHERE finding = 'provider_unavailable'",
        );
        assert!(found.contains("could not start a thread"), "{found}");
        assert_unharmed(&server, postmaster);
    }
}
