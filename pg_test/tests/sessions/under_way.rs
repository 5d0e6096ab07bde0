//! Revocations that come while a login is under way: what it was judged by may be from before.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use rig::{
    Endpoint, Fault, Issuer, LogMark, Login, Outcome, Server, assert_silent_log, oauth_line,
};

use crate::registry::wait_for_count;
use crate::{BOTH, assert_admin_shutdown, server_of, with_extension};

/// How long the provider takes: long enough for a revocation, even on a busy machine.
const SLOW: Duration = Duration::from_secs(2);

fn asking_server(issuer: &Issuer, preload: bool) -> Server {
    let builder = server_of(issuer, preload)
        .asks_about_opaque_tokens()
        .set("validator.introspection_cache_ttl", "1h")
        .set("validator.http_timeout", "60s");
    with_extension(builder)
}

/// A login that is under way once the provider has been asked at this endpoint, which has its answer ready.
fn begin(server: &Server, issuer: &Issuer, slow: Endpoint, token: &str) -> JoinHandle<Outcome> {
    issuer.fail(slow, Fault::Delay(SLOW));
    let before = issuer.hits(slow);
    let login = Login::new(server, "alice").token(token);
    let login = thread::spawn(move || login.limit(Duration::from_secs(60)).run());
    while issuer.hits(slow) == before {
        thread::sleep(Duration::from_millis(5));
    }
    login
}

fn end(server: &Server, issuer: &Issuer, criteria: &str) -> String {
    server.value(&format!(
        "SELECT validator.end_sessions('{}', {criteria})",
        issuer.url()
    ))
}

/// The login was ended, and not refused: the client may come again, and the log says why.
#[track_caller]
fn assert_overtaken(server: &Server, outcome: Outcome, mark: LogMark, token: &str) {
    let refusal = outcome.refusal();
    assert_admin_shutdown(refusal.error());
    let log = server.log().since(mark);
    assert!(
        log.contains("ended: it was revoked while its login was under way"),
        "{log}"
    );
    assert_eq!(log.matches("reason=session_revoked ").count(), 1, "{log}");
    assert_silent_log(&log, token);
}

#[test]
fn end_sessions_ends_the_login_that_it_means_and_no_other() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = asking_server(&issuer, preload);
        for (criteria, meant) in [
            ("identity => 'alice'", true),
            ("jti => 't1'", true),
            ("sid => 's1', identity => 'alice'", true),
            ("sub => 'alice'", true),
            ("identity => 'bob'", false),
            ("sub => 'bob'", false),
            ("jti => 't2'", false),
            ("sid => 's1', identity => 'bob'", false),
            ("sid => ''", false),
        ] {
            let token = issuer.opaque_token("alice");
            let mut word = issuer.word_on("alice");
            word["jti"] = "t1".into();
            word["sid"] = "s1".into();
            issuer.say(&token, word);
            let mark = server.log().mark();
            let login = begin(&server, &issuer, Endpoint::Introspection, &token);
            assert_eq!(end(&server, &issuer, criteria), "0", "{criteria}");
            let outcome = login.join().expect("no panic");
            if meant {
                assert_overtaken(&server, outcome, mark, &token);
            } else {
                assert_eq!(outcome.session().value("SELECT 1"), "1", "{criteria}");
            }
        }
        // Of another issuer.
        let token = issuer.opaque_token("alice");
        let login = begin(&server, &issuer, Endpoint::Introspection, &token);
        server.value("SELECT validator.end_sessions('https://idp.test', identity => 'alice')");
        login.join().expect("no panic").session();
        // The next login is a new one.
        issuer.heal();
        server.admits("alice", &token);
        wait_for_count(&server, "0");
    }
}

#[test]
fn login_by_a_signed_token_is_ended_too() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server =
            with_extension(server_of(&issuer, preload).set("validator.http_timeout", "60s"));
        let token = issuer.token("alice").encode();
        let mark = server.log().mark();
        // Cold, so that the login waits for the keys.
        let login = begin(&server, &issuer, Endpoint::Jwks, &token);
        assert_eq!(end(&server, &issuer, "identity => 'alice'"), "0");
        assert_overtaken(&server, login.join().expect("no panic"), mark, &token);
        issuer.heal();
        server.admits("alice", &token);
    }
}

#[test]
fn mapped_login_is_known_by_its_identity() {
    let issuer = Issuer::builder().start();
    let server = asking_server(&issuer, true);
    server.set_ident(&["corp somebody alice"]);
    server.set_hba(&[&oauth_line(issuer.url(), "map=corp")]);
    server.reload();
    for (criteria, meant) in [
        ("identity => 'somebody'", true),
        ("identity => 'alice'", false),
    ] {
        let token = issuer.opaque_token("somebody");
        let mark = server.log().mark();
        let login = begin(&server, &issuer, Endpoint::Introspection, &token);
        assert_eq!(end(&server, &issuer, criteria), "0");
        let outcome = login.join().expect("no panic");
        if meant {
            assert_overtaken(&server, outcome, mark, &token);
        } else {
            let mut session = outcome.session();
            assert_eq!(session.value("SELECT system_user"), "oauth:somebody");
        }
    }
}

#[test]
fn login_that_a_flush_overtakes_is_judged_again() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = asking_server(&issuer, preload);
        let (revoked, good) = (issuer.opaque_token("alice"), issuer.opaque_token("alice"));
        let mark = server.log().mark();
        let login = begin(&server, &issuer, Endpoint::Introspection, &revoked);
        issuer.revoke(&revoked);
        server.forget_keys();
        assert_eq!(end(&server, &issuer, "identity => 'bob'"), "0");
        let refusal = login.join().expect("no panic").refusal();
        assert_eq!(refusal.error().code(), "28000");
        let log = server.log().since(mark);
        assert!(log.contains("reason=token_inactive "), "{log}");
        assert_eq!(issuer.hits(Endpoint::Introspection), 2);

        let login = begin(&server, &issuer, Endpoint::Introspection, &good);
        server.forget_keys();
        login.join().expect("no panic").session();
        assert_eq!(
            issuer.hits(Endpoint::Introspection),
            4,
            "preload: {preload}"
        );
    }
}

/// Why docs/sessions.md has sessions ended once more after the settings have changed, and the keys are flushed.
#[test]
fn login_that_began_before_a_reload_keeps_the_settings_but_not_the_keys() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = with_extension(server_of(&issuer, preload));
        let stolen = issuer.rotate();
        let token = issuer.token("alice").encode();
        drop(server.admits("alice", &token));
        wait_for_count(&server, "0");
        for is_withdrawn in [false, true] {
            let login = Login::new(&server, "alice").token(&token);
            let login = thread::spawn(move || login.hesitating_for(SLOW).run());
            // The server has asked for the token.
            thread::sleep(SLOW / 4);
            if is_withdrawn {
                issuer.withdraw(stolen.kid().expect("a name"));
                server.forget_keys();
            }
            server.reload_with(&[("validator.enabled", "off")]);
            assert_eq!(server.value("SELECT count(*) FROM validator.sessions"), "0");
            let outcome = login.join().expect("no panic");
            assert_eq!(outcome.is_session(), !is_withdrawn, "preload: {preload}");
            drop(outcome);
            server.reload_with(&[("validator.enabled", "on")]);
            wait_for_count(&server, "0");
        }
    }
}

#[test]
fn login_by_a_key_that_is_withdrawn_and_flushed_is_judged_again_without_it() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let stolen = issuer.rotate();
        let server =
            with_extension(server_of(&issuer, preload).set("validator.http_timeout", "60s"));
        let token = issuer.token("alice").encode();
        let mark = server.log().mark();
        // Its answer still has the key.
        let login = begin(&server, &issuer, Endpoint::Jwks, &token);
        issuer.withdraw(stolen.kid().expect("a name"));
        server.forget_keys();
        let refusal = login.join().expect("no panic").refusal();
        assert_eq!(refusal.error().code(), "28000");
        let log = server.log().since(mark);
        assert!(log.contains("reason=unknown_kid "), "{log}");
    }
}

/// As `validator-hook` does it: the answers, and then the sessions. Whoever is not meant is not asked about again.
#[test]
fn flush_of_answers_leaves_it_to_end_sessions_which_login_ends() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = asking_server(&issuer, preload);
        for (criteria, meant) in [("identity => 'bob'", false), ("sub => 'alice'", true)] {
            let token = issuer.opaque_token("alice");
            let mark = server.log().mark();
            let before = issuer.hits(Endpoint::Introspection);
            let login = begin(&server, &issuer, Endpoint::Introspection, &token);
            server.value(&format!(
                "SELECT validator.flush_answers('{}')",
                issuer.url()
            ));
            assert_eq!(end(&server, &issuer, criteria), "0", "{criteria}");
            let outcome = login.join().expect("no panic");
            assert_eq!(issuer.hits(Endpoint::Introspection), before + 1);
            if meant {
                assert_overtaken(&server, outcome, mark, &token);
            } else {
                outcome.session();
            }
            // What was answered to that login is not kept for another one.
            issuer.heal();
            issuer.revoke(&token);
            server.refuses("alice", &token, "token_inactive");
        }
    }
}

#[test]
fn flush_does_not_hide_an_end_that_came_before_it() {
    let issuer = Issuer::builder().start();
    let server = asking_server(&issuer, true);
    let token = issuer.opaque_token("alice");
    let mark = server.log().mark();
    let login = begin(&server, &issuer, Endpoint::Introspection, &token);
    assert_eq!(end(&server, &issuer, "identity => 'alice'"), "0");
    server.forget_keys();
    assert_overtaken(&server, login.join().expect("no panic"), mark, &token);
}

#[test]
fn login_that_is_overtaken_again_and_again_is_ended() {
    let issuer = Issuer::builder().start();
    let server = asking_server(&issuer, true);
    let token = issuer.opaque_token("alice");
    let mark = server.log().mark();
    let login = begin(&server, &issuer, Endpoint::Introspection, &token);
    while !login.is_finished() {
        server.forget_keys();
        thread::sleep(Duration::from_millis(100));
    }
    assert_overtaken(&server, login.join().expect("no panic"), mark, &token);
    assert_eq!(issuer.hits(Endpoint::Introspection), 4);
}

#[test]
fn more_revocations_than_are_remembered_end_every_login_under_way() {
    let issuer = Issuer::builder().start();
    let server = asking_server(&issuer, true);
    let many = |count: usize| {
        server.value(&format!(
            "SELECT sum(validator.end_sessions('{}', identity => 'x' || n)) FROM generate_series(1, {count}) n",
            issuer.url()
        ))
    };
    for (count, kept) in [(256, true), (257, false)] {
        let token = issuer.opaque_token("alice");
        let mark = server.log().mark();
        let login = begin(&server, &issuer, Endpoint::Introspection, &token);
        assert_eq!(many(count), "0");
        let outcome = login.join().expect("no panic");
        if kept {
            outcome.session();
        } else {
            assert_overtaken(&server, outcome, mark, &token);
        }
    }
}
