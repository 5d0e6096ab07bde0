//! PostgreSQL's own tools, which take a token as `PGPASSWORD` or from a password file.

use std::fs;
use std::process::Command;
use std::time::Duration;

use rig::{Finished, child, environment, scratch};

use crate::client::Client;
use crate::programs::Place;
use crate::setup::{BACKUP, QUERY, Setup};
use crate::tokens::TokenCommand;

/// How a tool is given the token.
type Hand = fn(&mut Command, &Place, &TokenCommand);

/// Runs a tool with good and bad tokens; `expect` is told what it has printed with a good one.
fn check(role: &'static str, hand: Hand, tool: &dyn Fn() -> Command, expect: impl Fn(&str)) {
    let Some(setup) = Setup::of(role) else {
        return;
    };
    let run = |place: &Place, tokens: &TokenCommand| {
        let mut command = tool();
        command.envs(place.environment());
        hand(&mut command, place, tokens);
        Some(child::run(command, Duration::from_secs(60)))
    };
    let client = Client {
        setup: &setup,
        role,
        run: &run,
    };
    let tokens = TokenCommand::new(setup.good());
    let finished: Finished = client.with(&tokens).expect("it is part of PostgreSQL");
    expect(finished.success());
    client.is_refused_otherwise();
}

/// `PGPASSWORD=$(get-token) pg_dump …`
fn as_variable(command: &mut Command, _: &Place, tokens: &TokenCommand) {
    command.env("PGPASSWORD", &tokens.all()[0]);
}

fn tool(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(environment::bindir().join(name));
    command.args(arguments).arg("--no-password");
    command
}

#[test]
fn psql() {
    check("alice", as_variable, &query, |printed| {
        assert_eq!(printed, "alice pam:alice token-1");
    });
}

fn query() -> Command {
    tool("psql", &["-X", "-A", "-t", "-c", QUERY])
}

#[test]
fn pg_dump() {
    let dump = || tool("pg_dump", &["--schema-only"]);
    check("alice", as_variable, &dump, |printed| {
        assert!(printed.contains("PostgreSQL database dump"), "{printed}");
    });
}

/// One token serves all connections of a program, as long as it is valid when each is opened.
#[test]
fn pg_dump_with_several_connections() {
    let dump = || {
        let folder = scratch::new_folder("dump").join("dump");
        let mut command = tool("pg_dump", &["--format=directory", "--jobs=2"]);
        command.arg("--file").arg(folder);
        command
    };
    check("alice", as_variable, &dump, |_| ());
}

#[test]
fn replication_connection() {
    let identify = || {
        let mut command = tool("psql", &["-X", "-A", "-t", "-d", "replication=1"]);
        command.args(["-c", "IDENTIFY_SYSTEM"]);
        command
    };
    check(BACKUP, as_variable, &identify, |printed| {
        assert_eq!(printed.split('|').count(), 4, "{printed}");
    });
}

#[test]
fn pg_recvlogical() {
    let create = || {
        let mut command = tool("pg_recvlogical", &["--create-slot", "--if-not-exists"]);
        command.args(["--slot=one", "--dbname=postgres"]);
        command
    };
    check(BACKUP, as_variable, &create, |_| ());
}

#[test]
fn pg_basebackup() {
    let back_up = || {
        let folder = scratch::new_folder("backup").join("data");
        let mut command = tool("pg_basebackup", &["--checkpoint=fast", "--no-sync"]);
        command.args(["-X", "stream", "-D"]).arg(folder);
        command
    };
    check(BACKUP, as_variable, &back_up, |_| ());
}

/// What docs/password-clients.md lets cron run, for programs that read a password file.
#[test]
fn password_file_that_cron_keeps_fresh() {
    check("alice", by_password_file, &query, |printed| {
        assert_eq!(printed, "alice pam:alice token-2");
    });
}

fn by_password_file(command: &mut Command, place: &Place, tokens: &TokenCommand) {
    let home = scratch::new_folder("home");
    let script = home.join("refresh-pgtoken");
    let line = format!("127.0.0.1:{}:*:{}", place.port, place.role);
    let text = page_block("refresh-pgtoken");
    let text = text.replace("db.example.com:5432:*:alice", &line);
    fs::write(&script, text).expect("a script");
    for _ in 0..2 {
        let mut refresh = Command::new("sh");
        refresh.arg(&script).env("HOME", &home);
        let path = std::env::var("PATH").unwrap_or_default();
        refresh.env("PATH", format!("{}:{path}", tokens.folder().display()));
        child::run(refresh, Duration::from_secs(30)).success();
    }
    command.env("PGPASSFILE", home.join(".pgtoken"));
}

/// The block of docs/password-clients.md that follows the first mention of this file.
fn page_block(file: &str) -> String {
    let page = include_str!("../../../docs/password-clients.md");
    let (_, rest) = page.split_once(file).expect("the page names the file");
    let (_, rest) = rest.split_once("```sh\n").expect("a block follows");
    rest.split("```").next().unwrap_or_default().to_owned()
}
