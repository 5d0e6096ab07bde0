//! Keys from a file: no request is ever sent, and a change is noticed at the next login.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rig::{Issuer, Key, KeyKind, Server, scratch};
use serde_json::{Value, json};

use crate::{Mode, assert_settled, log_in};

fn write(path: &Path, jwks: &[Value]) {
    fs::write(path, json!({ "keys": jwks }).to_string()).expect("the file can be written");
}

/// Puts another file in its place, as careful administrators do.
fn replace(path: &Path, jwks: &[Value]) {
    let new = path.with_extension("new");
    write(&new, jwks);
    fs::rename(new, path).expect("the file can be replaced");
}

fn start(mode: Mode) -> (Issuer, Server, PathBuf) {
    let issuer = Issuer::builder().start();
    let path = scratch::new_folder("jwks").join("keys.json");
    write(&path, &[issuer.signing_key().jwk()]);
    let server = mode
        .server_of(&issuer)
        .set("validator.jwks_file", &path.display().to_string())
        .start();
    (issuer, server, path)
}

#[test]
fn keys_of_a_file_need_no_provider() {
    for mode in Mode::BOTH {
        let (issuer, server, _) = start(mode);
        for _ in 0..3 {
            log_in(&server, &issuer);
        }
        let stranger = issuer.token("alice").header("kid", "made-up").encode();
        server.refuses("alice", &stranger, "unknown_kid");
        server.reload_with(&[("validator.jwks_uri", &format!("{}/jwks", issuer.url()))]);
        log_in(&server, &issuer);
        assert_settled(&server, &issuer);
        assert_eq!(issuer.requests().len(), 0, "{mode:?}");
    }
}

#[test]
fn file_that_changed_is_read_at_the_next_login_without_a_reload() {
    for mode in Mode::BOTH {
        let (issuer, server, path) = start(mode);
        log_in(&server, &issuer);
        let old = issuer.token("alice").encode();
        for round in 0..10 {
            let key = Key::new(KeyKind::P256);
            // The same number of bytes each time, at times in the same file.
            match round % 2 {
                0 => write(&path, &[key.jwk()]),
                _ => replace(&path, &[key.jwk()]),
            }
            issuer.sign_with(&key);
            log_in(&server, &issuer);
            server.refuses("alice", &old, "unknown_kid");
        }
        assert_eq!(issuer.requests().len(), 0, "{mode:?}");
    }
}

#[test]
fn file_that_can_not_be_used_lets_nobody_in_until_it_is_mended() {
    for mode in Mode::BOTH {
        let (issuer, server, path) = start(mode);
        let token = issuer.token("alice").encode();
        server.admits("alice", &token);
        let good = fs::read_to_string(&path).expect("the file");
        let mode_of = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode));
        let refuses = |why: &str| {
            let verdict = server.refuses("alice", &token, "setting_invalid");
            let message = "setting \"validator.jwks_file\" cannot be used: ";
            assert!(
                verdict.log.contains(message) && verdict.log.contains(why),
                "{}",
                verdict.log
            );
            assert!(!verdict.log.contains("the whole secret"), "{}", verdict.log);
        };
        let admits = || {
            fs::write(&path, &good).expect("the file can be written");
            server.admits("alice", &token);
        };
        for (text, why) in [
            ("", ""),
            ("the whole secret", ""),
            (&good[..good.len() / 2], ""),
            ("{\"keys\": []}", ""),
            ("[]", ""),
            (
                &format!("{good}{}", " ".repeat(256 * 1024)),
                "larger than 256 kB",
            ),
        ] {
            fs::write(&path, text).expect("the file can be written");
            refuses(why);
            refuses(why);
            admits();
        }
        mode_of(0o000).expect("its mode can be set");
        // What is cached was read when it could be, yet a file that was closed on purpose counts.
        fs::write(&path, format!("{good} ")).expect("root writes it");
        refuses("Permission denied");
        mode_of(0o644).expect("its mode can be set");
        admits();
        fs::remove_file(&path).expect("it can be removed");
        refuses("No such file");
        fs::create_dir(&path).expect("a folder");
        refuses("");
        fs::remove_dir(&path).expect("it can be removed");
        admits();
        assert_eq!(
            issuer.requests().len(),
            0,
            "{mode:?}: the provider was asked"
        );
    }
}

#[test]
fn pipe_in_the_place_of_the_file_does_not_hang_a_login() {
    let (issuer, server, path) = start(Mode::OnDemand);
    fs::remove_file(&path).expect("it can be removed");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("mkfifo").success());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("its mode can be set");
    let token = issuer.token("alice").encode();
    server.refuses("alice", &token, "setting_invalid");
}
