//! psql and pg_basebackup, as people use them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rig::{
    Authority, Finished, Issuer, Key, KeyKind, LogMark, Server, assert_silent_log, child,
    environment, now, reasons, scratch,
};

use crate::{start, start_with};

/// A connection string for this role; `options` such as `sslmode=disable`.
fn conninfo(server: &Server, role: &str, options: &str) -> String {
    let authority = Authority::shared().file().display().to_string();
    let port = server.port();
    format!(
        "host=localhost hostaddr=127.0.0.1 port={port} dbname=postgres user={role} sslmode=verify-full \
         sslrootcert={authority} gssencmode=disable {options}"
    )
}

/// psql over TLS that asks who it is, and never asks a person.
fn psql(server: &Server, role: &str, options: &str) -> Command {
    let mut command = server.psql_command();
    let who = match environment::postgresql_version() {
        ..16 => "SELECT 'pam:' || current_user",
        _ => "SELECT system_user",
    };
    command.args(["-X", "-A", "-t", "-w", "-c", who]);
    command.arg(conninfo(server, role, options));
    command.env_remove("PGPASSWORD");
    command
}

fn with_password(server: &Server, role: &str, password: &str) -> Finished {
    let options = match environment::postgresql_version() {
        ..16 => "",
        _ => "require_auth=password",
    };
    let mut command = psql(server, role, options);
    command.env("PGPASSWORD", password);
    run(command)
}

fn run(command: Command) -> Finished {
    child::run(command, Duration::from_secs(60))
}

/// What the client was told, and what was logged for whoever may know.
#[track_caller]
fn assert_refused(server: &Server, mark: LogMark, told: &Finished, token: &str, reason: &str) {
    let log = server.log().since(mark);
    assert_eq!(reasons(&log).collect::<Vec<_>>(), [reason], "{log}");
    assert_silent_log(&log, token);
    let generic = "FATAL:  PAM authentication failed for user \"";
    assert!(told.stderr.contains(generic), "{}", told.stderr);
    for word in [reason, "reason=", "token", "DETAIL", "HINT"] {
        assert!(!told.stderr.contains(word), "{word}: {}", told.stderr);
    }
    assert_eq!((told.status.code(), told.stdout.as_str()), (Some(2), ""));
}

#[test]
fn psql_logs_in_with_a_token_in_its_environment() {
    let Some((issuer, server)) = start() else {
        return;
    };
    let told = with_password(&server, "alice", &issuer.token("alice").encode());
    assert_eq!(told.success(), "pam:alice");
}

#[test]
fn psql_logs_in_with_a_token_in_its_password_file() {
    let Some((issuer, server)) = start() else {
        return;
    };
    let (token, folder) = (
        issuer.token("alice").encode(),
        scratch::new_folder("pgpass"),
    );
    let file = folder.join("pgpass");
    let line = format!("localhost:{}:*:alice:{token}\n", server.port());
    fs::write(&file, line).expect("a file can be written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("it is ours");
    let told = run(psql(
        &server,
        "alice",
        &format!("passfile={}", file.display()),
    ));
    assert_eq!(told.success(), "pam:alice");
}

#[test]
fn psql_is_refused_with_anything_else() {
    let Some((issuer, server)) = start() else {
        return;
    };
    let stranger = Key::new(KeyKind::Rsa).with_kid("stranger");
    let expired = issuer.token("alice").claim("exp", now() - 3600);
    let other_service = issuer.token("alice").claim("aud", "https://other.example/");
    let tokens = [
        ("alice", expired.encode(), "expired"),
        ("alice", other_service.encode(), "aud_mismatch"),
        ("bob", issuer.token("alice").encode(), "identity_not_role"),
        ("alice", "hunter2".to_owned(), "not_a_jwt"),
        ("alice", stranger_token(&issuer, &stranger), "unknown_kid"),
    ];
    for (role, token, reason) in tokens {
        let mark = server.log().mark();
        let told = with_password(&server, role, &token);
        assert_refused(&server, mark, &told, &token, reason);
    }
}

fn stranger_token(issuer: &Issuer, stranger: &Key) -> String {
    let token = issuer.token("alice");
    token.signed_by(stranger, rig::Alg::RS256).encode()
}

#[test]
fn psql_without_tls_is_not_asked_for_its_token() {
    let Some((issuer, server)) = start() else {
        return;
    };
    let token = issuer.token("alice").encode();
    let mark = server.log().mark();
    let mut command = psql(&server, "alice", "sslmode=disable");
    command.env("PGPASSWORD", &token);
    let told = run(command);
    assert_refused(&server, mark, &told, &token, "tls_required");
}

#[test]
fn base_backup_and_replication_need_a_map_that_gives_such_power() {
    let started = start_with(|builder| {
        builder
            .hba(&format!(
                "hostssl replication all 127.0.0.1/32 pam pamservice={}",
                rig::PAM_SERVICE
            ))
            .ident("people backup-job keeper")
    });
    let Some((issuer, server)) = started else {
        return;
    };
    server.sql("CREATE ROLE keeper LOGIN REPLICATION");
    let token = issuer.token("backup-job").encode();
    let mut as_replicator = psql(&server, "keeper", "replication=1");
    as_replicator
        .args(["-c", "IDENTIFY_SYSTEM"])
        .env("PGPASSWORD", &token);
    let mark = server.log().mark();
    let own = issuer.token("keeper").encode();
    let told = with_password(&server, "keeper", &own);
    assert_refused(&server, mark, &told, &own, "role_too_powerful");
    server.reload_with(&[("validator.password_map", "people")]);
    let mut identify = server.psql_command();
    identify.args(["-X", "-A", "-t", "-w", "-c", "IDENTIFY_SYSTEM"]);
    identify.arg(conninfo(&server, "keeper", "replication=1"));
    identify.env("PGPASSWORD", &token);
    assert!(
        run(identify).success().contains("|1|"),
        "a system identifier"
    );
    let folder = scratch::new_folder("backup").join("data");
    assert_eq!(base_backup(&server, &folder, &token).success(), "");
    assert!(folder.join("PG_VERSION").exists());
    let mark = server.log().mark();
    let expired = issuer
        .token("backup-job")
        .claim("exp", now() - 3600)
        .encode();
    let told = base_backup(&server, &folder.with_extension("2"), &expired);
    assert!(!told.status.success());
    let log = server.log().since(mark);
    assert_eq!(reasons(&log).collect::<Vec<_>>(), ["expired"], "{log}");
}

fn base_backup(server: &Server, folder: &Path, token: &str) -> Finished {
    let mut command = Command::new(environment::bindir().join("pg_basebackup"));
    command.args(["--checkpoint=fast", "--no-sync", "-w", "-X", "stream", "-D"]);
    command
        .arg(folder)
        .arg("-d")
        .arg(conninfo(server, "keeper", ""));
    command.env("PGPASSWORD", token);
    run(command)
}
