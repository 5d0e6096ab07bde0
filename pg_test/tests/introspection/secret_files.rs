//! Whose files with secrets are trusted: the rule of PostgreSQL's own private keys.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::time::Duration;

use rig::{ClientCheck, Issuer, Server};

use crate::server_of;

const SECRET: &str = "correct horse battery staple";

fn issuer_and_server() -> (Issuer, Server, String) {
    let issuer = Issuer::builder().start();
    issuer.introspection_only_for(ClientCheck::SecretBasic("pg".into(), SECRET.into()));
    let server = server_of(&issuer, "opaque", false)
        .set("validator.client_auth_method", "client_secret_basic")
        .set("validator.introspection_cache_ttl", "0")
        .start();
    let token = issuer.opaque_token("alice");
    (issuer, server, token)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the mode can be set");
}

/// Makes this path the setting, and logs in.
#[track_caller]
fn admits(server: &Server, token: &str, path: &Path) {
    let path = path.to_str().expect("UTF-8");
    server.reload_with(&[("validator.client_secret_file", path)]);
    server.admits("alice", token);
}

/// The same; the log names setting and file, and says why. It never has the secret.
#[track_caller]
fn refuses(server: &Server, token: &str, path: &Path, why: &str) {
    let path = path.to_str().expect("UTF-8");
    server.reload_with(&[("validator.client_secret_file", path)]);
    let log = server.refuses("alice", token, "setting_invalid").log;
    for part in ["validator.client_secret_file", path, why] {
        assert!(log.contains(part), "no {part:?} in: {log}");
    }
    assert!(!server.log().text().contains(SECRET));
}

#[test]
fn file_that_others_may_touch_is_refused() {
    let (issuer, server, token) = issuer_and_server();
    let file = server.private_file("secret", SECRET);
    for mode in [0o600, 0o400, 0o700] {
        set_mode(&file, mode);
        admits(&server, &token, &file);
    }
    let requests = issuer.requests().len();
    for mode in [0o640, 0o660, 0o604, 0o602, 0o601, 0o610, 0o644, 0o777] {
        set_mode(&file, mode);
        refuses(&server, &token, &file, "it has group or world access");
    }
    assert_eq!(issuer.requests().len(), requests, "the provider was asked");
}

#[test]
fn file_of_roots_may_be_readable_by_the_servers_group_and_one_of_a_strangers_is_refused() {
    let (_issuer, server, token) = issuer_and_server();
    let file = server.private_file("secret", SECRET);
    let owner = fs::metadata(&file).expect("the file is there");
    // Only root can give files away.
    if fs::metadata("/proc/self").expect("/proc is mounted").uid() != 0 {
        return;
    }
    chown(&file, Some(0), Some(owner.gid())).expect("root can");
    for mode in [0o640, 0o440] {
        set_mode(&file, mode);
        admits(&server, &token, &file);
    }
    for mode in [0o660, 0o644, 0o641, 0o650] {
        set_mode(&file, mode);
        refuses(&server, &token, &file, "it has group or world access");
    }
    set_mode(&file, 0o600);
    refuses(&server, &token, &file, "ermission denied");
    // Some user who is neither.
    chown(&file, Some(owner.uid() - 1), Some(owner.gid())).expect("root can");
    set_mode(&file, 0o640);
    refuses(&server, &token, &file, "owned by");
}

#[test]
fn file_must_be_one_and_hold_something_small() {
    let (_issuer, server, token) = issuer_and_server();
    let file = server.private_file("secret", "");
    let folder = file.parent().expect("it is in a folder");
    refuses(&server, &token, &file, "it is empty");
    for (text, why) in [
        ("\n", "it is empty"),
        ("\r\n\n", "it is empty"),
        (&"x".repeat(64 * 1024 + 1), "larger than 64 kB"),
    ] {
        server.private_file("secret", text);
        refuses(&server, &token, &file, why);
    }
    fs::write(&file, b"\xff\xfe").expect("the file can be written");
    refuses(&server, &token, &file, "not UTF-8");
    refuses(&server, &token, &folder.join("data"), "not a regular file");
    refuses(
        &server,
        &token,
        &folder.join("no such file"),
        "No such file",
    );
    refuses(
        &server,
        &token,
        Path::new("/dev/null"),
        "not a regular file",
    );
    // Nobody writes into it: whoever waited for that would wait for ever.
    let pipe = std::ffi::CString::new(folder.join("pipe").to_str().expect("UTF-8"));
    // SAFETY: the path is a NUL-terminated string.
    let made = unsafe { libc::mkfifo(pipe.expect("no NUL").as_ptr(), 0o666) };
    assert_eq!(made, 0);
    set_mode(&folder.join("pipe"), 0o666);
    let start = std::time::Instant::now();
    refuses(&server, &token, &folder.join("pipe"), "not a regular file");
    assert!(start.elapsed() < Duration::from_secs(30));

    for text in [
        SECRET.to_owned(),
        format!("{SECRET}\n"),
        format!("{SECRET}\r\n"),
    ] {
        server.private_file("secret", &text);
        admits(&server, &token, &file);
    }
    // As Kubernetes mounts secrets: a link to a file in a folder that is a link.
    fs::create_dir(folder.join("..2026")).expect("a folder can be made");
    fs::rename(&file, folder.join("..2026/secret")).expect("the file can be moved");
    symlink("..2026", folder.join("..data")).expect("a link can be made");
    symlink("..data/secret", &file).expect("a link can be made");
    admits(&server, &token, &file);
    set_mode(&folder.join("..2026/secret"), 0o644);
    refuses(&server, &token, &file, "it has group or world access");
}
