//! No room for the module's shared memory: nobody gets in, nobody hangs, and logins work again as soon as there is room.
//! Preloaded, the module has its memory since the server's start.

use std::time::Duration;

use rig::{Issuer, Login, OnError, Server, StopMode, Verdict, can_mount};

use crate::{AT_ONCE, Mode, assert_nobody_waits, assert_settled, log_in};

/// Less than PostgreSQL's registry of named memory begins with.
const NO_SEGMENT: u64 = 512 * 1024;
/// Enough for that, but not for the module's keys.
const NO_KEYS: u64 = 1200 * 1024;
/// Enough for that, and for what every login needs, but not for the cached answers.
const NO_ANSWERS: u64 = 3 * 1024 * 1024;
/// Enough for all of the module's memory, several times.
const DEV_SHM: u64 = 32 * 1024 * 1024;

/// A refusal that tells the administrator of the memory, and the client nothing; the backend waits for nobody.
#[track_caller]
fn assert_refused(server: &Server, token: &str) -> Verdict {
    let verdict = server.refuses("alice", token, "server_resources");
    assert!(verdict.log.contains("enlarge /dev/shm"), "{verdict:?}");
    assert!(!verdict.log.contains("defect"), "{verdict:?}");
    assert_eq!(verdict.refusal.document, None, "the client was waited for");
    assert!(verdict.refusal.elapsed < AT_ONCE, "{verdict:?}");
    verdict
}

/// Clients that never answer are refused like others, and block none of them.
#[track_caller]
fn assert_blocks_nobody(server: &Server, token: &str) {
    std::thread::scope(|scope| {
        let mark = server.log().mark();
        let silent = scope.spawn(|| {
            let login = Login::new(server, "alice").token(token);
            login.on_error(OnError::Silence).limit(AT_ONCE * 3).run()
        });
        server.log().wait_for(mark, "HINT:  ", AT_ONCE);
        for _ in 0..3 {
            assert_refused(server, token);
        }
        let refusal = silent.join().expect("no panic").refusal();
        assert!(refusal.elapsed < AT_ONCE, "{refusal:?}");
    });
    assert_nobody_waits(server);
}

#[test]
fn login_without_room_for_shared_memory_is_refused_and_the_next_one_with_room_is_not() {
    let issuer = Issuer::builder().start();
    let server = Mode::OnDemand.server_of(&issuer).start();
    let token = issuer.token("alice").encode();
    // There is no room for PostgreSQL's registry of memory; there is for that, and not for ours.
    for limit in [NO_SEGMENT, NO_KEYS] {
        server.limit_segments(Some(limit));
        assert_refused(&server, &token);
        assert_blocks_nobody(&server, &token);
        // A token that would be refused anyway is no exception.
        assert_refused(&server, "not-a-token");
    }
    server.limit_segments(None);
    assert_settled(&server, &issuer);
}

/// A small /dev/shm, as of a container, that something else fills.
#[test]
fn login_that_finds_dev_shm_full_is_refused_and_the_next_one_with_room_is_not() {
    if !can_mount() {
        return;
    }
    let issuer = Issuer::builder().start();
    let server = Mode::OnDemand
        .server_of(&issuer)
        .asks_about_opaque_tokens()
        .dev_shm(DEV_SHM)
        .start();
    let jwt = issuer.token("alice").encode();
    for left in [0, NO_KEYS] {
        server.fill_dev_shm(Some(left));
        let verdict = assert_refused(&server, &jwt);
        assert!(verdict.log.contains("No space left on"), "{verdict:?}");
        assert_blocks_nobody(&server, &jwt);
        server.fill_dev_shm(None);
    }
    assert!(issuer.requests().is_empty());
    assert_settled(&server, &issuer);
    // What is there already needs no more room; the cached answers are not there yet.
    server.fill_dev_shm(Some(0));
    log_in(&server, &issuer);
    let opaque = issuer.opaque_token("alice");
    assert_blocks_nobody(&server, &opaque);
    log_in(&server, &issuer);
    server.fill_dev_shm(None);
    server.admits("alice", &opaque);
    assert_settled(&server, &issuer);
}

#[test]
fn server_whose_logins_find_no_room_can_be_stopped() {
    let issuer = Issuer::builder().start();
    let server = Mode::OnDemand.server_of(&issuer).start();
    server.limit_segments(Some(NO_SEGMENT));
    assert_blocks_nobody(&server, &issuer.token("alice").encode());
    // The server itself needs room for its last checkpoint.
    server.limit_segments(None);
    assert!(server.stop(StopMode::Fast) < Duration::from_secs(10));
}

#[test]
fn login_without_room_for_cached_answers_is_refused_and_holds_up_nobody() {
    let issuer = Issuer::builder().start();
    let server = Mode::OnDemand
        .server_of(&issuer)
        .asks_about_opaque_tokens()
        .start();
    log_in(&server, &issuer);
    server.limit_segments(Some(NO_ANSWERS));
    let opaque = issuer.opaque_token("alice");
    assert_blocks_nobody(&server, &opaque);
    // Who needs no answer is not concerned.
    log_in(&server, &issuer);
    server.limit_segments(None);
    server.admits("alice", &opaque);
    assert_settled(&server, &issuer);
}

#[test]
fn preloaded_module_needs_no_room() {
    let issuer = Issuer::builder().start();
    let server = Mode::Preloaded.server_of(&issuer).start();
    server.limit_segments(Some(NO_SEGMENT));
    assert_settled(&server, &issuer);
}
