//! `validator.session_expiry`: sessions that end with their token.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rig::{Ending, Issuer, Login, Server, ServerMessage, Session, now, oauth_line};

use crate::{BOTH, assert_admin_shutdown, assert_ended, server_of, with_extension};

/// How long tokens of these tests live: long enough for a busy machine to have all of a test's logins meanwhile.
const LIFE: i64 = 10;

fn start(issuer: &Issuer, preload: bool) -> Server {
    server_of(issuer, preload)
        .set("validator.session_expiry", "on")
        .set("validator.clock_skew", "0")
        .start()
}

/// A session of alice's whose token expires at this time.
fn log_in(server: &Server, issuer: &Issuer, exp: i64) -> Session {
    server.admits("alice", &issuer.token("alice").claim("exp", exp).encode())
}

/// Waits for the end; the session must not have ended before `end`, and the log must say why, once.
#[track_caller]
fn assert_expires(server: &Server, session: &mut Session, end: i64) {
    assert_ended(session);
    assert_not_before(end);
    assert_logged(server, session.pid(), 1);
}

#[track_caller]
fn assert_not_before(end: i64) {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    let time = time.expect("a clock of this century").as_millis();
    assert!(
        time >= end as u128 * 1000,
        "ended at {time} ms, not {end} s"
    );
}

/// How often the log says of the process that its token has expired.
#[track_caller]
fn assert_logged(server: &Server, pid: u32, times: usize) {
    let log = server.log().text();
    let prefix = format!("[{pid}] LOG:  OAuth session of \"alice\" ended: its token expired at 20");
    let lines = log.lines().filter(|line| line.contains(&prefix));
    assert_eq!(lines.count(), times, "{log}");
}

/// Runs SQL that the token's end must interrupt.
fn interrupted(mut session: Session, sql: &str) -> thread::JoinHandle<(Session, ServerMessage)> {
    let sql = sql.to_owned();
    thread::spawn(move || {
        let error = session.query(&sql).expect_err("the session ends");
        (session, error)
    })
}

#[test]
fn sessions_end_with_their_token_whatever_they_do() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = start(&issuer, preload);
        let end = now() + LIFE;
        let log_in = || log_in(&server, &issuer, end);

        let idle = log_in();
        let mut in_transaction = log_in();
        in_transaction.query("BEGIN; SELECT 1").expect("BEGIN");
        let mut after_errors = log_in();
        for sql in ["SELECT 1/0", "x", "BEGIN; SELECT 1/0"] {
            after_errors.query(sql).expect_err("an error");
        }
        // PostgreSQL's own timeouts come and go beside it.
        let mut after_timeouts = log_in();
        let timed_out = "SET statement_timeout = '50ms'; SELECT pg_sleep(1)";
        after_timeouts.query(timed_out).expect_err("a timeout");
        let cancelled = log_in();
        let busy = [
            (log_in(), "SELECT pg_sleep(60)"),
            (log_in(), "BEGIN; SELECT 1; SELECT pg_sleep(60)"),
            (log_in(), "DO $$ BEGIN LOOP END LOOP; END $$"),
            (
                log_in(),
                "DO $$ BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN OTHERS THEN PERFORM pg_sleep(60); END $$",
            ),
        ];
        let pids: Vec<u32> = busy.iter().map(|(session, _)| session.pid()).collect();
        let busy = busy.map(|(session, sql)| interrupted(session, sql));
        cancelled.cancel();

        for mut session in [
            idle,
            in_transaction,
            after_errors,
            after_timeouts,
            cancelled,
        ] {
            assert_expires(&server, &mut session, end);
        }
        for query in busy {
            let (_, error) = query.join().expect("no panic");
            assert_admin_shutdown(&error);
        }
        assert_not_before(end);
        for pid in pids {
            assert_logged(&server, pid, 1);
        }
    }
}

#[test]
fn clock_skew_is_granted_and_the_next_login_is_refused() {
    let issuer = Issuer::builder().start();
    let server = start(&issuer, false);
    server.reload_with(&[("validator.clock_skew", "10s")]);
    let exp = now() + 1;
    let token = issuer.token("alice").claim("exp", exp).encode();
    let mut session = server.admits("alice", &token);
    while now() < exp + 1 {
        assert_eq!(session.value("SELECT 1"), "1");
        thread::sleep(Duration::from_millis(100));
    }
    // Begun after `exp`, within the skew, it ends at the same time.
    let mut late = server.admits("alice", &token);
    assert_expires(&server, &mut session, exp + 10);
    assert_expires(&server, &mut late, exp + 10);
    server.refuses("alice", &token, "expired");
}

#[test]
fn fraction_of_a_second_counts() {
    let issuer = Issuer::builder().start();
    let server = start(&issuer, false);
    let exp = now() as f64 + 9.75;
    let token = issuer.token("alice").claim("exp", exp).encode();
    let mut session = server.admits("alice", &token);
    assert_ended(&mut session);
    let time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock");
    assert!(time.as_secs_f64() >= exp, "{time:?} is before {exp}");
}

#[test]
fn replication_ends_too() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer, false)
        .set("validator.session_expiry", "on")
        .set("validator.clock_skew", "0")
        .set("wal_level", "logical")
        .set("validator.allow_superuser", "on")
        .hba(&oauth_line(issuer.url(), "").replace("host all", "host replication"))
        .start();
    server.sql("ALTER ROLE alice REPLICATION");
    server.sql("SELECT pg_create_logical_replication_slot('slot', 'pgoutput')");
    server.sql("CREATE PUBLICATION everything FOR ALL TABLES");
    let end = now() + LIFE;
    let log_in = |kind: &str| {
        let token = issuer.token("alice").claim("exp", end).encode();
        server.admits_login(
            Login::new(&server, "alice")
                .token(&token)
                .parameter("replication", kind),
        )
    };
    let mut idle = [log_in("true"), log_in("database")];
    let position = server.value("SELECT pg_current_wal_lsn()");
    let streaming = [
        interrupted(
            log_in("true"),
            &format!("START_REPLICATION PHYSICAL {position}"),
        ),
        interrupted(
            log_in("database"),
            "START_REPLICATION SLOT slot LOGICAL 0/0 (proto_version '1', publication_names 'everything')",
        ),
    ];
    server.wait_for_backend(
        "2 = (SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming')",
    );
    for session in &mut idle {
        assert_expires(&server, session, end);
    }
    for stream in streaming {
        let (session, error) = stream.join().expect("no panic");
        assert_admin_shutdown(&error);
        assert_logged(&server, session.pid(), 1);
    }
    assert_not_before(end);
}

#[test]
fn it_is_off_unless_it_is_set_and_a_profile_may_set_it() {
    let issuer = Issuer::builder().start();
    let server = server_of(&issuer, false)
        .set("validator.clock_skew", "0")
        .start();
    let mut kept = log_in(&server, &issuer, now() + LIFE);
    server.reload_with(&[
        ("validator.profiles", "corp"),
        ("validator_corp.issuer", issuer.url()),
        ("validator_corp.session_expiry", "on"),
    ]);
    let end = now() + LIFE;
    let mut ended = log_in(&server, &issuer, end);
    assert_expires(&server, &mut ended, end);
    assert_eq!(kept.value("SELECT 1"), "1");
    assert_logged(&server, kept.pid(), 0);
}

#[test]
fn session_that_ends_for_another_reason_is_not_said_to_have_expired() {
    let issuer = Issuer::builder().start();
    let server = start(&issuer, false);
    let mut session = log_in(&server, &issuer, now() + 300);
    server.sql(&format!("SELECT pg_terminate_backend({})", session.pid()));
    assert_ended(&mut session);
    assert_logged(&server, session.pid(), 0);
    let (ending, _) =
        log_in(&server, &issuer, now() + 300).wait_for_end(Duration::from_millis(300));
    assert_eq!(ending, Ending::TimedOut);
}

#[test]
fn end_beyond_all_calendars_is_no_end() {
    let issuer = Issuer::builder().start();
    let server = start(&issuer, false);
    for exp in [1e12, 1e18, 1e300] {
        let token = issuer.token("alice").claim("exp", exp).encode();
        let mut session = server.admits("alice", &token);
        assert_eq!(session.value("SELECT 1"), "1", "{exp}");
    }
}

#[test]
fn session_whose_end_can_not_be_scheduled_does_not_begin() {
    let issuer = Issuer::builder().start();
    let server = start(&issuer, false);
    // Timers count as pending signals.
    server.limit("--sigpending=0:0");
    let token = issuer.token("alice").encode();
    server.refuses("alice", &token, "internal_error");
    server.reload_with(&[("validator.session_expiry", "off")]);
    let mut session = server.admits("alice", &token);
    let (ending, _) = session.wait_for_end(Duration::from_millis(300));
    assert_eq!(ending, Ending::TimedOut);
}

#[test]
fn opaque_token_ends_when_the_provider_says_so() {
    let issuer = Issuer::builder().start();
    let server = with_extension(
        server_of(&issuer, false)
            .set("validator.session_expiry", "on")
            .set("validator.clock_skew", "0")
            .set("validator.introspection", "opaque")
            .set("validator.introspection_exp_required", "off")
            .set("validator.client_auth_method", "none"),
    );
    let log_in = |exp: Option<i64>| {
        let token = issuer.opaque_token("alice");
        let mut word = issuer.word_on("alice");
        word["exp"] = exp.into();
        issuer.say(&token, word);
        server.admits("alice", &token)
    };
    let mut endless = log_in(None);
    let end = now() + LIFE;
    let mut session = log_in(Some(end));
    assert_eq!(
        server.value(
            "SELECT string_agg(coalesce(extract(epoch FROM expires_at)::bigint::text, 'never'), ' ' ORDER BY backend_start) \
             FROM validator.sessions"
        ),
        format!("never {end}")
    );
    assert_expires(&server, &mut session, end);
    assert_eq!(endless.value("SELECT 1"), "1");
}
