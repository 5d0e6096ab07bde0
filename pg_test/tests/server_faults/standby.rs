//! Logins on a hot standby, which recovery may interrupt.

use std::thread;

use rig::{Endpoint, Fault, Issuer, Login, assert_silent_log, assert_silent_refusal, reasons};

use crate::{assert_next_login_gets_in, assert_unharmed, server_of};

/// All of it is real: a login looks into the catalog of roles before it asks for a token, and keeps that snapshot while it
/// waits for its provider, or for another login that does. On the primary a role goes, and vacuum removes what is left of it;
/// the standby, which may not delay that, interrupts whoever could still see it.
#[test]
fn login_that_recovery_interrupts_is_refused_and_the_next_one_is_not() {
    for preload in [false, true] {
        let issuer = Issuer::builder().start();
        let builder = server_of(&issuer)
            .set("validator.http_timeout", "60s")
            .set("max_standby_streaming_delay", "0");
        let primary = if preload { builder.preload() } else { builder }.start();
        primary.sql("CREATE EXTENSION validator");
        let standby = primary.standby();
        let token = issuer.token("alice").encode();
        // It logs people in, and writes nothing for that.
        let mut session = standby.admits("alice", &token);
        assert_eq!(session.value("SELECT pg_is_in_recovery()"), "t");
        drop(session);
        standby.sql("SELECT validator.flush_cache()");

        issuer.fail(Endpoint::Discovery, Fault::HangInBody);
        let mark = standby.log().mark();
        let start = |event: &str| {
            let login = Login::new(&standby, "alice").token(&token);
            let client = thread::spawn(move || login.run());
            standby.wait_for_backend(&format!(
                "wait_event = '{event}' AND backend_type = 'client backend'"
            ));
            client
        };
        let logins = [start("ValidatorFetch"), start("ValidatorWait")];
        primary.sql("CREATE ROLE gone");
        primary.sql("DROP ROLE gone");
        primary.sql("VACUUM pg_authid");
        for login in logins {
            let refusal = login.join().expect("no panic").refusal();
            assert_silent_refusal(&refusal, "recovery");
        }
        let log = standby.log().since(mark);
        assert_eq!(
            reasons(&log).collect::<Vec<_>>(),
            ["recovery_conflict"; 2],
            "{log}"
        );
        assert!(log.contains("HINT:  The client may try again."), "{log}");
        assert_silent_log(&log, &token);
        issuer.heal();
        assert_next_login_gets_in(&standby, "alice", &token);
        assert_unharmed(&standby);
    }
}
