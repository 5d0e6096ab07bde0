//! What `disable_roles` adds: an account that was disabled at the provider cannot be logged in to again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rig::{Hook, Issuer, Login, Outcome, Server, Session};
use serde_json::{Value, json};

use crate::events::{DISABLED, SESSION_REVOKED, configuration_for, event_of};
use crate::*;

pub const GRANT: &str =
    "GRANT EXECUTE ON FUNCTION validator.disable_role(text, text) TO validator_hook";

/// A server that provisions roles, as docs/roles.md has it.
pub fn provisioning(issuer: &Issuer) -> Server {
    let builder = Server::trusting(issuer)
        .preload()
        .set("validator.role_claim", "groups")
        .set("validator.provision_role", "validator_manager");
    let server = start(builder);
    server.sql(
        "CREATE ROLE validator_manager NOLOGIN CREATEROLE;
         CREATE ROLE validator_managed NOLOGIN;
         GRANT validator_managed TO validator_manager WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
         CREATE ROLE analysts NOLOGIN;
         GRANT analysts TO validator_manager WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;",
    );
    server.set("validator.provision", "roles");
    server.restart();
    server.wait_for_backend("backend_type = 'validator roles' AND wait_event_type = 'Extension'");
    server
}

/// A hook's configuration that disables roles on these servers.
pub fn configured(issuer: &Issuer, servers: &str) -> String {
    configuration_for(issuer, servers, "disable_roles = true", "")
}

/// Such a server, and a hook that may disable its roles.
fn disabling(issuer: &Issuer) -> (Server, Hook) {
    let primary = provisioning(issuer);
    primary.sql(GRANT);
    let table = Hook::server_table("primary", &primary, ROLE);
    let hook = Hook::start(&configured(issuer, &table));
    (primary, hook)
}

/// A user as the subject of an event.
fn named(issuer: &Issuer, user: &str) -> Value {
    json!({"format": "iss_sub", "iss": issuer.url(), "sub": user})
}

pub fn disabled_user(issuer: &Issuer, user: &str) -> String {
    event_of(issuer, DISABLED, named(issuer, user)).encode()
}

/// An administrator's transaction that has changed a role and not ended.
fn locking(server: &Server, role: &str) -> Session {
    let mut session = Login::by_socket(server, "postgres").run().session();
    let locked = session.query(&format!("BEGIN; ALTER ROLE {role} CONNECTION LIMIT 7"));
    locked.expect("a lock on the role");
    session
}

pub fn token(issuer: &Issuer, user: &str) -> String {
    let token = issuer.token(user).claim("groups", json!(["analysts"]));
    token.encode()
}

#[track_caller]
pub fn keeps_out(server: &Server, user: &str, token: &str) {
    let verdict = server.refuses(user, token, "role_not_provisioned");
    let cause = "reason=role_not_provisioned cause=role_disabled ";
    assert!(verdict.log.contains(cause), "{}", verdict.log);
}

pub fn may_log_in(server: &Server, role: &str) -> String {
    server.value(&format!(
        "SELECT coalesce(bool_or(rolcanlogin)::text, '') FROM pg_roles WHERE rolname = '{role}'"
    ))
}

/// Those that were told to end do so in a moment.
#[track_caller]
pub fn assert_no_session(server: &Server, role: &str) {
    let start = Instant::now();
    let count = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = '{role}' AND backend_type = 'client backend'"
    );
    while server.value(&count) != "0" {
        assert!(start.elapsed() < SOON, "a session of {role} stays");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A standby is a moment behind.
#[track_caller]
pub fn wait_until_it_may(server: &Server, role: &str, log_in: &str) {
    let start = Instant::now();
    while may_log_in(server, role) != log_in {
        assert!(start.elapsed() < SOON, "the standby has not got it");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn account_that_is_disabled_can_not_log_in_again() {
    let issuer = Issuer::builder().start();
    let primary = provisioning(&issuer);
    primary.sql(GRANT);
    let standby = primary.standby();
    let tables = [
        Hook::server_table("primary", &primary, ROLE),
        Hook::server_table("standby", &standby, ROLE),
    ];
    let hook = Hook::start(&configured(&issuer, &tables.concat()));
    let (zoe, yves) = (token(&issuer, "zoe"), token(&issuer, "yves"));
    let mut other = primary.admits("yves", &yves);
    let mut session = primary.admits("zoe", &zoe);
    // An end of sessions is not one of the account.
    let revoked = event_of(&issuer, SESSION_REVOKED, named(&issuer, "zoe")).encode();
    assert_status(&hook.tell(&revoked, ""), 202);
    assert_ended(&mut session);
    let mut sessions = [&primary, &standby].map(|server| {
        wait_until_it_may(server, "zoe", "true");
        server.admits("zoe", &zoe)
    });
    let disabled = disabled_user(&issuer, "zoe");
    assert_status(&hook.tell(&disabled, ""), 202);
    sessions.iter_mut().for_each(assert_ended);
    hook.wait_for(
        ": primary: 1 ended, role zoe disabled, standby: 1 ended",
        SOON,
    );
    // The token itself is still good.
    keeps_out(&primary, "zoe", &zoe);
    keeps_out(&standby, "zoe", &zoe);
    assert_open(&mut other);
    primary.admits("yves", &yves);
    // The way back is an administrator's.
    primary.sql("ALTER ROLE zoe LOGIN");
    primary.admits("zoe", &zoe);
}

#[test]
fn log_says_why_no_role_is_disabled() {
    let issuer = Issuer::builder().start();
    let (primary, hook) = disabling(&issuer);
    // alice has a role that is not managed.
    for user in ["nobody", "alice"] {
        assert_status(&hook.tell(&disabled_user(&issuer, user), ""), 202);
        let why = format!("sub=\"{user}\" issuer=\"{}\"", issuer.url());
        let log = hook.wait_for("disabled no role, since no managed role", SOON);
        assert!(log.contains(&why), "{log}");
    }
    assert_eq!(may_log_in(&primary, "alice"), "true");
}

#[test]
fn without_the_right_sessions_end_and_the_provider_is_told_to_try_again() {
    let issuer = Issuer::builder().start();
    let primary = provisioning(&issuer);
    let table = Hook::server_table("primary", &primary, ROLE);
    let configuration = configured(&issuer, &table);
    let checked = Hook::check(&configuration);
    assert!(!checked.status.success(), "{checked:?}");
    let told = format!("{}{}", checked.stdout, checked.stderr);
    let missing = "has no right to execute validator.disable_role(text,text)";
    assert!(told.contains(missing), "{told}");
    let hook = Hook::start(&configuration);
    let mut session = primary.admits("zoe", &token(&issuer, "zoe"));
    let event = disabled_user(&issuer, "zoe");
    assert_status(&hook.tell(&event, ""), 503);
    let (_, _) = session.wait_for_end(Duration::from_secs(5));
    assert_eq!(may_log_in(&primary, "zoe"), "true");
    // The same event is good once that is corrected.
    primary.sql(GRANT);
    assert!(Hook::check(&configuration).status.success());
    assert_status(&hook.tell(&event, ""), 202);
    assert_eq!(may_log_in(&primary, "zoe"), "false");
    hook.wait_for(": primary: 0 ended, role zoe disabled\n", SOON);
}

/// As with Keycloak: identities are made of a claim that no event names. The sessions are found by `sub` all the same.
#[test]
fn sessions_of_a_disabled_account_end_whatever_claim_names_its_role() {
    let issuer = Issuer::builder().start();
    let server = provisioning(&issuer);
    server.sql(GRANT);
    server.set("validator.identity_claim", "preferred_username");
    server.reload();
    let more = "disable_roles = true\nidentity_claim = \"preferred_username\"";
    let table = Hook::server_table("primary", &server, ROLE);
    let configuration = configuration_for(&issuer, &table, more, "");
    let told = Hook::check(&configuration);
    assert!(told.success().contains("warn: issuer \""), "{told:?}");
    let hook = Hook::start(&configuration);
    let token = issuer
        .token("5f2")
        .claim("groups", json!(["analysts"]))
        .claim("preferred_username", "zoe")
        .encode();
    let mut session = server.admits("zoe", &token);
    let event = disabled_user(&issuer, "5f2");
    assert_status(&hook.tell(&event, ""), 202);
    assert_ended(&mut session);
    let log = hook.wait_for(
        "disabled no role, since it does not name the user by the claim of identity_claim: an administrator must",
        SOON,
    );
    assert!(log.contains(": primary: 1 ended\n"), "{log}");
    assert_eq!(may_log_in(&server, "zoe"), "true");
    // It is acknowledged once for all: sending it again changes nothing.
    server.admits("zoe", &token);
    assert_status(&hook.tell(&event, ""), 202);
    hook.wait_for("sent again, and acted on before", SOON);
}

/// The event of one account that is known by two names.
fn disabled_account(issuer: &Issuer, users: [&str; 2]) -> String {
    let names = users.map(|user| named(issuer, user));
    let subject = json!({"format": "aliases", "identifiers": names});
    event_of(issuer, DISABLED, subject).encode()
}

#[test]
fn role_that_cannot_be_disabled_keeps_no_other_from_it() {
    let issuer = Issuer::builder().start();
    let (primary, hook) = disabling(&issuer);
    let mut sessions = ["zoe", "yves"].map(|user| primary.admits(user, &token(&issuer, user)));
    let mut administrator = locking(&primary, "zoe");
    let event = disabled_account(&issuer, ["zoe", "yves"]);
    assert_status(&hook.tell(&event, ""), 503);
    sessions.iter_mut().for_each(assert_ended);
    assert_eq!(may_log_in(&primary, "yves"), "false");
    assert_eq!(may_log_in(&primary, "zoe"), "true");
    hook.wait_for(
        ": primary: 2 ended, role yves disabled, but canceling statement due to lock timeout (55P03)\n",
        SOON,
    );
    // The same event, once the administrator is done.
    administrator.query("COMMIT").expect("zoe is free");
    assert_status(&hook.tell(&event, ""), 202);
    assert_eq!(may_log_in(&primary, "zoe"), "false");
    hook.wait_for(": primary: 0 ended, role zoe, yves disabled\n", SOON);
}

/// By a transaction that changes their own password, people lock their own role.
#[test]
fn whoever_locks_their_own_role_is_disabled_all_the_same() {
    let issuer = Issuer::builder().start();
    let (primary, hook) = disabling(&issuer);
    let mut zoe = primary.admits("zoe", &token(&issuer, "zoe"));
    zoe.query("BEGIN; ALTER ROLE zoe PASSWORD 'one of my own'")
        .expect("a lock on zoe");
    let event = disabled_user(&issuer, "zoe");
    assert_status(&hook.tell(&event, ""), 202);
    assert_ended(&mut zoe);
    hook.wait_for(": primary: 1 ended, role zoe disabled", SOON);
    assert_no_session(&primary, "zoe");
    keeps_out(&primary, "zoe", &token(&issuer, "zoe"));
}

/// A client that comes back whenever its session was ended, and locks its role again, until it is not let in.
#[test]
fn whoever_comes_back_and_locks_their_role_again_is_disabled_all_the_same() {
    let issuer = Issuer::builder().start();
    let (primary, hook) = disabling(&issuer);
    let lock = "BEGIN; ALTER ROLE zoe PASSWORD 'one of my own'";
    let token = token(&issuer, "zoe");
    let mut session = primary.admits("zoe", &token);
    session.query(lock).expect("a lock on zoe");
    let event = disabled_user(&issuer, "zoe");
    let is_told = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_told.load(Ordering::Relaxed) {
                session.wait_for_end(SOON);
                match Login::new(&primary, "zoe").token(&token).run() {
                    Outcome::Session(new) => session = new,
                    Outcome::Refused(_) => break,
                }
                // It fails if this session was ended, too.
                let _ = session.query(lock);
            }
        });
        let answer = hook.tell(&event, "");
        is_told.store(true, Ordering::Relaxed);
        assert_status(&answer, 202);
    });
    hook.wait_for("role zoe disabled", SOON);
    assert_no_session(&primary, "zoe");
    keeps_out(&primary, "zoe", &token);
}

/// Somebody else has locked the role, until its user has come back.
#[test]
fn whoever_comes_back_before_their_role_is_disabled_does_not_stay() {
    let issuer = Issuer::builder().start();
    let (primary, hook) = disabling(&issuer);
    let token = token(&issuer, "zoe");
    let mut session = primary.admits("zoe", &token);
    let mut administrator = locking(&primary, "zoe");
    let event = disabled_user(&issuer, "zoe");
    thread::scope(|scope| {
        let answer = scope.spawn(|| hook.tell(&event, ""));
        session.wait_for_end(SOON);
        let mut back = primary.admits("zoe", &token);
        // What is not committed does not get in the way of another change.
        administrator.query("ROLLBACK").expect("zoe is free");
        assert_status(&answer.join().expect("no panic"), 202);
        assert_ended(&mut back);
    });
    hook.wait_for("role zoe disabled", SOON);
    assert_no_session(&primary, "zoe");
    keeps_out(&primary, "zoe", &token);
}

#[test]
fn one_locked_role_of_several_is_told_and_tried_again() {
    let issuer = Issuer::builder().start();
    let (primary, hook) = disabling(&issuer);
    let mut session = primary.admits("zoe", &token(&issuer, "zoe"));
    primary.sql(
        "CREATE ROLE zoe_too LOGIN; GRANT validator_managed TO zoe_too;
         DO $$ BEGIN EXECUTE format('COMMENT ON ROLE zoe_too IS %L',
             shobj_description((SELECT oid FROM pg_roles WHERE rolname = 'zoe'), 'pg_authid')); END $$",
    );
    let mut administrator = locking(&primary, "zoe_too");
    let event = disabled_user(&issuer, "zoe");
    assert_status(&hook.tell(&event, ""), 503);
    assert_ended(&mut session);
    hook.wait_for(
        ": primary: 1 ended, role zoe disabled, but 1 of 2 roles could not be disabled: the server's log says why\n",
        SOON,
    );
    assert_eq!(may_log_in(&primary, "zoe"), "false");
    assert_eq!(may_log_in(&primary, "zoe_too"), "true");
    administrator.query("COMMIT").expect("zoe_too is free");
    assert_status(&hook.tell(&event, ""), 202);
    assert_eq!(may_log_in(&primary, "zoe_too"), "false");
    hook.wait_for(": primary: 0 ended, role zoe, zoe_too disabled\n", SOON);
}

/// A pooler may give the connection to another client after each transaction.
#[test]
fn limit_for_locks_does_not_outlast_its_statement() {
    let issuer = Issuer::builder().start();
    let (primary, hook) = disabling(&issuer);
    // The next statement, and what it finds.
    primary.sql(&format!(
        "CREATE TABLE found AS SELECT current_setting('lock_timeout') AS limit LIMIT 0; GRANT INSERT ON found TO {ROLE};
         ALTER FUNCTION validator.flush_answers(text) RENAME TO flush_answers_before;
         CREATE FUNCTION validator.flush_answers(issuer text) RETURNS integer LANGUAGE sql
             AS $$ INSERT INTO public.found VALUES (current_setting('lock_timeout')); SELECT 0 $$"
    ));
    primary.admits("zoe", &token(&issuer, "zoe"));
    let event = disabled_user(&issuer, "zoe");
    assert_status(&hook.tell(&event, ""), 202);
    assert_eq!(may_log_in(&primary, "zoe"), "false");
    assert_eq!(
        primary.value("SELECT string_agg(\"limit\", ',') FROM found"),
        "0"
    );
}
