//! What `disable_roles` means where there are standbys, which know a moment later that a role is disabled.

use std::thread;

use rig::{Hook, Issuer, Server, StopMode};

use crate::disabled::*;
use crate::*;

/// A primary with its standby, on which zoe has a role, and the hook's configuration.
fn primary_and_standby(issuer: &Issuer) -> (Server, Server, String) {
    let primary = provisioning(issuer);
    primary.sql(GRANT);
    let standby = primary.standby();
    let tables = [
        Hook::server_table("primary", &primary, ROLE),
        Hook::server_table("standby", &standby, ROLE),
    ];
    drop(primary.admits("zoe", &token(issuer, "zoe")));
    wait_until_it_may(&standby, "zoe", "true");
    let configuration = configured(issuer, &tables.concat());
    (primary, standby, configuration)
}

/// A client that comes back at once where it was sent away, while the standby is two seconds behind.
#[test]
fn whoever_comes_back_to_a_standby_does_not_stay() {
    let issuer = Issuer::builder().start();
    let (_primary, standby, configuration) = primary_and_standby(&issuer);
    standby.set("recovery_min_apply_delay", "2s");
    standby.reload();
    let hook = Hook::start(&configuration);
    let token = token(&issuer, "zoe");
    let mut session = standby.admits("zoe", &token);
    let event = disabled_user(&issuer, "zoe");
    thread::scope(|scope| {
        let answer = scope.spawn(|| hook.tell(&event, ""));
        session.wait_for_end(SOON);
        let mut back = standby.admits("zoe", &token);
        assert_status(&answer.join().expect("no panic"), 202);
        assert_ended(&mut back);
    });
    assert_no_session(&standby, "zoe");
    keeps_out(&standby, "zoe", &token);
    let log = hook.log();
    assert!(log.contains("standby: 1 ended, then 1 ended\n"), "{log}");
}

#[test]
fn provider_is_told_to_try_again_until_the_standby_has_replayed_it() {
    let issuer = Issuer::builder().start();
    let (primary, standby, configuration) = primary_and_standby(&issuer);
    let hook = Hook::start(&format!("{configuration}timeout_seconds = 2\n"));
    standby.sql("SELECT pg_wal_replay_pause()");
    let token = token(&issuer, "zoe");
    let mut session = standby.admits("zoe", &token);
    let event = disabled_user(&issuer, "zoe");
    assert_status(&hook.tell(&event, ""), 503);
    // What could be done is done.
    assert_ended(&mut session);
    keeps_out(&primary, "zoe", &token);
    hook.wait_for(
        "standby: 1 ended, but the standby has not replayed yet that role zoe cannot log in\n",
        SOON,
    );
    let mut back = standby.admits("zoe", &token);
    standby.sql("SELECT pg_wal_replay_resume()");
    assert_status(&hook.tell(&event, ""), 202);
    assert_ended(&mut back);
    keeps_out(&standby, "zoe", &token);
}

/// A role that the standby does not have by this name has another one there, or is about to come.
#[test]
fn role_that_the_standby_does_not_know_yet_is_waited_for() {
    let issuer = Issuer::builder().start();
    let (primary, standby, configuration) = primary_and_standby(&issuer);
    let hook = Hook::start(&format!("{configuration}timeout_seconds = 2\n"));
    standby.sql("SELECT pg_wal_replay_pause()");
    primary.sql("ALTER ROLE zoe RENAME TO zoey");
    drop(primary.admits("yves", &token(&issuer, "yves")));
    let [zoe, yves] = ["zoe", "yves"].map(|user| disabled_user(&issuer, user));
    for (event, role) in [(&zoe, "zoey"), (&yves, "yves")] {
        assert_status(&hook.tell(event, ""), 503);
        hook.wait_for(
            &format!("the standby has not replayed yet that role {role} cannot log in\n"),
            SOON,
        );
        assert_eq!(may_log_in(&primary, role), "false");
        assert_eq!(may_log_in(&standby, role), "");
    }
    let mut back = standby.admits("zoe", &token(&issuer, "zoe"));
    standby.sql("SELECT pg_wal_replay_resume()");
    assert_status(&hook.tell(&zoe, ""), 202);
    assert_ended(&mut back);
    assert_status(&hook.tell(&yves, ""), 202);
    assert_eq!(may_log_in(&standby, "zoe"), "");
    for role in ["zoey", "yves"] {
        assert_eq!(may_log_in(&standby, role), "false");
    }
}

/// An order that waits for others to be done has asked the standby nothing.
#[test]
fn order_that_waits_behind_others_does_not_blame_the_standby() {
    let issuer = Issuer::builder().start();
    let (primary, standby, configuration) = primary_and_standby(&issuer);
    let hook = Hook::start(&format!("{configuration}timeout_seconds = 4\n"));
    standby.sql("SELECT pg_wal_replay_pause()");
    // In four seconds, eight of them have their turn: four wait for three seconds at the same time.
    let events: Vec<String> = (0..16).map(|_| disabled_user(&issuer, "zoe")).collect();
    thread::scope(|scope| {
        let hook = &hook;
        let answers = events
            .iter()
            .map(|event| scope.spawn(move || hook.tell(event, "")));
        let answers: Vec<_> = answers.collect();
        for answer in answers {
            assert_status(&answer.join().expect("no panic"), 503);
        }
    });
    let log = hook.wait_for("too many orders wait for this standby\n", SOON);
    assert!(log.contains("the standby has not replayed yet that role zoe cannot log in\n"));
    assert!(!log.contains("no answer within"), "{log}");
    keeps_out(&primary, "zoe", &token(&issuer, "zoe"));
    standby.sql("SELECT pg_wal_replay_resume()");
    assert_status(&hook.tell(&events[0], ""), 202);
}

/// One of another cluster has roles of its own, which may have the same names.
#[test]
fn standby_of_another_primary_is_not_waited_for() {
    let issuer = Issuer::builder().start();
    let primary = provisioning(&issuer);
    let other = start(Server::trusting(&issuer).own_identifier());
    primary.sql(GRANT);
    other.sql(GRANT);
    other.sql("CREATE ROLE zoe LOGIN");
    let standby = other.standby();
    let tables = [
        Hook::server_table("primary", &primary, ROLE),
        Hook::server_table("other", &other, ROLE),
        Hook::server_table("its standby", &standby, ROLE),
    ];
    let hook = Hook::start(&configured(&issuer, &tables.concat()));
    drop(primary.admits("zoe", &token(&issuer, "zoe")));
    let mut session = standby.admits("zoe", &token(&issuer, "zoe"));
    assert_status(&hook.tell(&disabled_user(&issuer, "zoe"), ""), 202);
    assert_ended(&mut session);
    assert_eq!(may_log_in(&standby, "zoe"), "true");
}

/// As during a switchover.
#[test]
fn order_is_not_lost_while_there_is_no_primary() {
    let issuer = Issuer::builder().start();
    let (primary, standby, _) = primary_and_standby(&issuer);
    let table = Hook::server_table("standby", &standby, ROLE);
    let hook = Hook::start(&configured(&issuer, &table));
    primary.stop(StopMode::Fast);
    let token = token(&issuer, "zoe");
    let mut session = standby.admits("zoe", &token);
    let event = disabled_user(&issuer, "zoe");
    assert_status(&hook.tell(&event, ""), 503);
    assert_ended(&mut session);
    hook.wait_for(
        "standby: 1 ended, but not all roles were disabled, since the server is a standby and none of the others is its primary\n",
        SOON,
    );
    let mut back = standby.admits("zoe", &token);
    standby.sql("SELECT pg_promote()");
    assert_status(&hook.tell(&event, ""), 202);
    assert_ended(&mut back);
    assert_eq!(may_log_in(&standby, "zoe"), "false");
    keeps_out(&standby, "zoe", &token);
}

/// The provider does not send again what was acknowledged.
#[test]
fn crash_does_not_undo_what_was_acknowledged() {
    let issuer = Issuer::builder().start();
    let primary = provisioning(&issuer);
    primary.sql(GRANT);
    primary.set("wal_writer_delay", "10s");
    primary.set("synchronous_commit", "off");
    primary.reload();
    let table = Hook::server_table("primary", &primary, ROLE);
    let hook = Hook::start(&configured(&issuer, &table));
    drop(primary.admits("zoe", &token(&issuer, "zoe")));
    primary.sql("CHECKPOINT");
    assert_status(&hook.tell(&disabled_user(&issuer, "zoe"), ""), 202);
    primary.stop(StopMode::Immediate);
    primary.start_again().expect("it recovers");
    assert_eq!(may_log_in(&primary, "zoe"), "false");
}

/// Who may not know to which primary a server belongs does not know either when its roles are disabled.
#[test]
fn right_to_tell_clusters_apart_is_needed() {
    let issuer = Issuer::builder().start();
    let primary = provisioning(&issuer);
    primary.sql(GRANT);
    let table = Hook::server_table("primary", &primary, ROLE);
    let configuration = configured(&issuer, &table);
    assert!(Hook::check(&configuration).status.success());
    let hook = Hook::start(&configuration);
    let mut session = primary.admits("zoe", &token(&issuer, "zoe"));
    primary.sql("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM public");
    let event = disabled_user(&issuer, "zoe");
    assert_status(&hook.tell(&event, ""), 503);
    assert_ended(&mut session);
    hook.wait_for(
        "role zoe disabled, but permission denied for function pg_control_system (42501)",
        SOON,
    );
    let told = Hook::check(&configuration);
    let missing = "has no right to execute pg_control_system()";
    assert!(told.stdout.contains(missing), "{told:?}");
    primary.sql("GRANT EXECUTE ON FUNCTION pg_control_system() TO validator_hook");
    assert_status(&hook.tell(&event, ""), 202);
}
