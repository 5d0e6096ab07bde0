//! The servers: all of them are reached, or the provider is asked to come again.

use std::thread;
use std::time::{Duration, Instant};

use rig::{Authority, Endpoint, Fault, Hook, Issuer, Server, StopMode};

use crate::*;

#[test]
fn sessions_of_the_primary_and_its_standby_end() {
    let issuer = Issuer::builder().start();
    let primary = server(&issuer);
    let standby = primary.standby();
    let tables = [
        Hook::server_table("primary", &primary, ROLE),
        Hook::server_table("standby", &standby, ROLE),
    ];
    let hook = Hook::start(&format!("{}{}", issuer_table(&issuer, ""), tables.concat()));
    let mut sessions = [&primary, &standby].map(|server| log_in(server, &issuer, "alice", "s1"));
    let token = logout_token(&issuer).claim("sid", "s1").encode();
    assert_status(&hook.log_out(&token), 200);
    sessions.iter_mut().for_each(assert_ended);
    hook.wait_for(": primary: 1 ended, standby: 1 ended\n", SOON);
}

#[test]
fn server_that_is_down_is_tried_again_and_then_the_provider_is_told_to() {
    let issuer = Issuer::builder().start();
    let (first, second) = (server(&issuer), server(&issuer));
    let tables = [
        Hook::server_table("first", &first, ROLE),
        Hook::server_table("second", &second, ROLE),
    ];
    let hook = Hook::start(&format!("{}{}", issuer_table(&issuer, ""), tables.concat()));
    let mut session = log_in(&first, &issuer, "alice", "s1");
    second.stop(StopMode::Fast);
    let token = logout_token(&issuer).claim("sub", "alice").encode();
    let start = Instant::now();
    let answer = hook.log_out(&token);
    assert_status(&answer, 503);
    assert!(answer.head.contains("retry-after: 10"), "{answer:?}");
    let took = start.elapsed();
    assert!(
        took > Duration::from_millis(1200) && took < SOON,
        "{took:?}"
    );
    // What could be done is done.
    assert_ended(&mut session);
    let log = hook.wait_for(
        "failed, and may be sent again: first: 1 ended, second: ",
        SOON,
    );
    assert!(log.contains("No such file or directory"), "{log}");
    // The same token is good once the server is back, since it was not used up.
    let mut session = log_in(&first, &issuer, "alice", "s1");
    second.start_again().expect("it starts");
    assert_status(&hook.log_out(&token), 200);
    assert_ended(&mut session);
    assert_status(&hook.log_out(&token), 400);
}

#[test]
fn server_that_comes_back_within_the_retries_is_enough() {
    let issuer = Issuer::builder().start();
    let server = server(&issuer);
    let hook = hook(&issuer, &server);
    server.stop(StopMode::Fast);
    let token = logout_token(&issuer).claim("sub", "alice").encode();
    let answer = thread::scope(|scope| {
        let answer = scope.spawn(|| hook.log_out(&token));
        server.start_again().expect("it starts");
        answer.join().expect("no panic")
    });
    // A slow machine may start it too late.
    assert!([200, 503].contains(&answer.status), "{answer:?}");
    if answer.status == 503 {
        assert_status(&hook.log_out(&token), 200);
    }
}

#[test]
fn missing_rights_and_functions_are_named_and_not_tried_again() {
    let issuer = Issuer::builder().start();
    let server = server(&issuer);
    let configuration = configuration(&issuer, &server);
    let good = Hook::check(&configuration);
    assert!(
        good.success().contains("good: server \"primary\""),
        "{good:?}"
    );
    assert!(good.success().contains("good: keys of "), "{good:?}");
    server.sql(&format!(
        "REVOKE EXECUTE ON FUNCTION validator.end_sessions(text, text, text, text, text) FROM {ROLE}"
    ));
    let hook = Hook::start(&configuration);
    let token = logout_token(&issuer).claim("sub", "alice").encode();
    let start = Instant::now();
    assert_status(&hook.log_out(&token), 503);
    assert!(start.elapsed() < Duration::from_millis(1200));
    hook.wait_for(
        "primary: permission denied for function end_sessions (42501)",
        SOON,
    );
    for (change, why) in [
        ("SELECT 1", "no right to execute validator.end_sessions"),
        (
            &format!("REVOKE USAGE ON SCHEMA validator FROM {ROLE}, public"),
            "no right to use the schema",
        ),
        ("DROP EXTENSION validator", "CREATE EXTENSION validator"),
        (&format!("DROP ROLE {ROLE}"), "28000"),
    ] {
        if change.starts_with("DROP ROLE") {
            server.sql(&format!("DROP OWNED BY {ROLE}"));
        }
        server.sql(change);
        let checked = Hook::check(&configuration);
        assert!(!checked.status.success(), "{checked:?}");
        assert!(checked.stdout.contains(why), "{why}: {checked:?}");
    }
    issuer.fail(Endpoint::Jwks, Fault::Status(404));
    let checked = Hook::check(&configuration);
    assert!(
        checked.stdout.contains("BAD:  keys of ") && checked.stdout.contains("404"),
        "{checked:?}"
    );
}

/// As docs/logout.md sets it up, with `nobody` for the service's user.
#[test]
fn check_by_the_service_s_user_passes_through_the_socket_and_one_by_root_does_not() {
    let issuer = Issuer::builder().start();
    let server = server(&issuer);
    let configuration = configuration(&issuer, &server);
    let (own, debian) = (
        format!("local postgres {ROLE} peer map=hook"),
        "local all all peer",
    );
    server.set_ident(&[&format!("hook nobody {ROLE}")]);
    server.set_hba(&[&own, debian]);
    server.reload();
    let Some(checked) = Hook::check_as_nobody(&configuration) else {
        return;
    };
    assert!(
        checked.success().contains("good: server \"primary\"\n"),
        "{checked:?}"
    );
    assert!(!checked.stdout.contains("this check"), "{checked:?}");
    let refused = "BAD:  server \"primary\": Peer authentication failed for user ";
    let checked = Hook::check(&configuration);
    assert!(!checked.status.success(), "{checked:?}");
    assert!(checked.stdout.contains(refused), "{checked:?}");
    let doubt = "warn: this check: root runs it, ";
    assert!(checked.stdout.contains(doubt), "{checked:?}");
    // Below the line that Debian has, it is never used.
    server.set_hba(&[debian, &own]);
    server.reload();
    let checked = Hook::check_as_nobody(&configuration).expect("we are root");
    assert!(checked.stdout.contains(refused), "{checked:?}");
}

/// As `sslmode=verify-full`: with a password, over TLS, to a server whose certificate is verified.
#[test]
fn server_is_reached_over_tls_with_a_password() {
    let issuer = Issuer::builder().start();
    let line = format!("hostssl postgres {ROLE} 127.0.0.1/32 scram-sha-256");
    let server = Server::builder()
        .set("validator.audience", Issuer::AUDIENCE)
        .set("validator.allow_http", "on")
        .hba(&line)
        .hba(&rig::oauth_line(issuer.url(), ""))
        .tls();
    let server = start(server);
    server.sql(&format!("ALTER ROLE {ROLE} PASSWORD 's3cret pass'"));
    let password = server.private_file("hook-password", "s3cret pass\n");
    let table = |host: &str, more: &str| {
        format!(
            "[[server]]\nname = \"primary\"\nconnection = \"host={host} hostaddr=127.0.0.1 port={} user={ROLE} dbname=postgres\"\n\
             password_file = \"{}\"\n{more}\n",
            server.port(),
            password.display()
        )
    };
    let authority = format!("ca_file = \"{}\"", Authority::shared().file().display());
    let other = Authority::new("other");
    let stranger = format!("ca_file = \"{}\"", other.file().display());
    for (host, more, why) in [
        ("localhost", &authority, "good: server"),
        ("localhost", &stranger, "UnknownIssuer"),
        ("db.example", &authority, "not valid for name"),
        ("localhost", &"tls = false".to_owned(), "BAD:  server"),
    ] {
        let checked = Hook::check(&format!(
            "{}{}",
            issuer_table(&issuer, ""),
            table(host, more)
        ));
        assert!(checked.stdout.contains(why), "{why}: {checked:?}");
        assert!(!checked.stdout.contains("s3cret"), "{checked:?}");
    }
    let mut session = log_in(&server, &issuer, "alice", "s1");
    let hook = Hook::start(&format!(
        "{}{}",
        issuer_table(&issuer, ""),
        table("localhost", &authority)
    ));
    let token = logout_token(&issuer).claim("sub", "alice").encode();
    assert_status(&hook.log_out(&token), 200);
    assert_ended(&mut session);
}

/// A cached answer about a token opens no session after the logout.
#[test]
fn cached_answers_are_discarded() {
    let issuer = Issuer::builder().start();
    let server = start(
        Server::trusting(&issuer)
            .asks_about_opaque_tokens()
            .set("validator.introspection_cache_ttl", "1h"),
    );
    let hook = hook(&issuer, &server);
    let token = issuer.opaque_token("alice");
    let mut session = server.admits("alice", &token);
    issuer.revoke(&token);
    server.admits("alice", &token);
    let logout = logout_token(&issuer).claim("sub", "alice").encode();
    assert_status(&hook.log_out(&logout), 200);
    assert_ended(&mut session);
    server.refuses("alice", &token, "token_inactive");
}

/// A logout concerns one user: everyone else's next login needs no request.
#[test]
fn logout_leaves_keys_and_other_issuers_answers() {
    let (issuer, other) = (Issuer::builder().start(), Issuer::builder().start());
    let server = start(
        Server::trusting(&issuer)
            .asks_about_opaque_tokens()
            .set("validator.introspection_cache_ttl", "1h"),
    );
    let line = |issuer: &Issuer, role: &str| {
        rig::oauth_line(issuer.url(), "").replace("all all", &format!("all {role}"))
    };
    server.set_hba(&[
        &format!("local postgres {ROLE} trust"),
        &line(&issuer, "alice"),
        &line(&other, "bob"),
    ]);
    server.reload();
    let hook = hook(&issuer, &server);
    let opaque = other.opaque_token("bob");
    let log_in_all = || {
        server.admits("bob", &opaque);
        log_in(&server, &issuer, "alice", "s1")
    };
    let known = || {
        let issuers = server.value("SELECT string_agg(concat_ws(',', issuer, state, keys, fetched_at), ';') FROM validator.issuers");
        let asked = [Endpoint::Discovery, Endpoint::Jwks, Endpoint::Introspection]
            .map(|endpoint| issuer.hits(endpoint) + other.hits(endpoint));
        (issuers, asked)
    };
    let mut session = log_in_all();
    let before = known();
    // The program has fetched its keys by the second one.
    let token = logout_token(&issuer).claim("sub", "carol").encode();
    assert_status(&hook.log_out(&token), 200);
    let asked = known().1;
    let token = logout_token(&issuer).claim("sub", "alice").encode();
    assert_status(&hook.log_out(&token), 200);
    assert_ended(&mut session);
    log_in_all();
    assert_eq!(known(), (before.0, asked));
}

#[test]
fn sessions_end_although_the_answers_cannot_be_flushed() {
    let issuer = Issuer::builder().start();
    let server = server(&issuer);
    let configuration = configuration(&issuer, &server);
    let hook = Hook::start(&configuration);
    let mut session = log_in(&server, &issuer, "alice", "s1");
    let function = "FUNCTION validator.flush_answers(text)";
    server.sql(&format!("REVOKE EXECUTE ON {function} FROM {ROLE}"));
    let token = logout_token(&issuer).claim("sub", "alice").encode();
    assert_status(&hook.log_out(&token), 503);
    assert_ended(&mut session);
    hook.wait_for(
        "failed, and may be sent again: primary: 1 ended, but permission denied for function flush_answers (42501)",
        SOON,
    );
    let checked = Hook::check(&configuration);
    assert!(!checked.status.success(), "{checked:?}");
    let why = "no right to execute validator.flush_answers(text)";
    assert!(checked.stdout.contains(why), "{checked:?}");
    // The token is not used up.
    server.sql(&format!("GRANT EXECUTE ON {function} TO {ROLE}"));
    assert_status(&hook.log_out(&token), 200);
}
