//! Settings are the administrator's: nobody who logs in can bend them, before or after.

use rig::{Issuer, Login, Server};

use crate::preloaded;

#[test]
fn user_can_not_set_them_in_a_session() {
    let (issuer, builder) = preloaded();
    let server = builder.start();
    let mut session = server.admits("alice", &issuer.token("alice").encode());
    for sql in [
        "SET validator.audience = 'evil'",
        "SET SESSION validator.enabled = off",
        "SET LOCAL validator.clock_skew = 300",
        "SELECT set_config('validator.audience', 'evil', false)",
        "UPDATE pg_settings SET setting = 'evil' WHERE name = 'validator.audience'",
        "RESET validator.audience",
        "ALTER ROLE alice SET validator.audience = 'evil'",
        "ALTER ROLE alice SET validator.max_token_age = 0",
    ] {
        let error = session.query(sql).expect_err(sql);
        assert!(["55P02", "42501"].contains(&error.code()), "{sql}: {error}");
    }
    let error = session
        .query("ALTER SYSTEM SET validator.audience = 'evil'")
        .expect_err("no superuser");
    assert_eq!(error.code(), "42501");
    assert_eq!(session.value("SHOW validator.audience"), Issuer::AUDIENCE);
}

#[test]
fn not_even_a_superuser_sets_them_for_a_session_role_or_database() {
    let (_issuer, builder) = preloaded();
    let server = builder.start();
    let mut session = Login::by_socket(&server, "postgres").run().session();
    for sql in [
        "SET validator.audience = 'evil'",
        "ALTER ROLE alice SET validator.audience = 'evil'",
        "ALTER DATABASE postgres SET validator.audience = 'evil'",
        "ALTER ROLE ALL SET validator.enabled = off",
    ] {
        assert_eq!(session.query(sql).expect_err(sql).code(), "55P02", "{sql}");
    }
}

#[test]
fn client_can_not_set_them_as_it_connects() {
    for preload in [true, false] {
        let issuer = Issuer::builder().start();
        let builder = Server::trusting(&issuer).log_everything();
        let server = if preload { builder.preload() } else { builder }.start();
        let good = issuer.token("alice").encode();
        let evil = issuer.token("alice").claim("aud", "evil").encode();
        for (name, value) in [
            ("options", "-c validator.audience=evil"),
            ("options", "--validator.audience=evil"),
            ("validator.audience", "evil"),
        ] {
            let login = Login::new(&server, "alice")
                .parameter(name, value)
                .token(&evil);
            server.refuses_login(login, &evil, "aud_mismatch");
            let login = Login::new(&server, "alice")
                .parameter(name, value)
                .token(&good);
            let refusal = login.run().refusal();
            assert_eq!(refusal.error().code(), "55P02", "{refusal:?}");
        }
        server.admits("alice", &good);
    }
}

/// Where the module is not loaded, PostgreSQL knows no such settings, and whoever may set unknown ones
/// can do so for a session, a role or a database: it must not matter to a login.
#[test]
fn what_is_set_for_a_role_while_the_module_is_not_loaded_does_not_bend_a_login() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).log_everything().start();
    let evil = issuer.token("alice").claim("aud", "evil").encode();
    server.sql("ALTER ROLE alice SET validator.audience = 'evil'");
    server.sql("ALTER DATABASE postgres SET validator.token_types = 'JWT'");
    server.refuses("alice", &evil, "aud_mismatch");
    server.refuses(
        "alice",
        &issuer.token("alice").header("typ", "JWT").encode(),
        "typ_not_allowed",
    );
    let mut session = server.admits("alice", &issuer.token("alice").encode());
    assert_eq!(session.value("SHOW validator.audience"), Issuer::AUDIENCE);
}

#[test]
fn session_that_came_in_by_a_token_can_not_set_them_where_the_module_is_loaded_on_demand() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer).start();
    let mut session = server.admits("alice", &issuer.token("alice").encode());
    let error = session
        .query("SET validator.audience = 'evil'")
        .expect_err("sighup only");
    assert_eq!(error.code(), "55P02");
}
