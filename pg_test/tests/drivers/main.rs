//! Drivers and tools that cannot speak OAUTHBEARER send a token as their password: each is let in with a good one and
//! refused with bad ones, and gets another token for each connection. What each does is in the folders `python`, `node`,
//! `java` and `rust`, and in docs/password-clients.md.

#[path = "../browser/chromium.rs"]
mod chromium;
mod client;
mod pgadmin;
mod programs;
mod setup;
mod tap;
mod tokens;
mod tools;

use std::process::Command;
use std::time::Duration;

use rig::{Finished, child};

use client::Client;
use programs::Place;
use setup::{QUERY, Setup};
use tokens::TokenCommand;

/// A program that opens two connections and prints what [`QUERY`] gives on each.
struct Driver {
    /// How it is started; `None`: it cannot be had here, which was said.
    program: fn(&Place) -> Option<Command>,
    token: When,
}

/// When a driver gets a token for a connection.
#[derive(PartialEq)]
enum When {
    /// Once the server has asked for a password.
    Asked,
    /// Before it connects.
    Before,
}

use When::{Asked, Before};

/// The tests of one driver.
macro_rules! drivers {
    ($($name:ident: $program:expr, $token:expr;)*) => {
        $(#[test]
        fn $name() {
            Driver { program: $program, token: $token }.check();
        })*
    };
}

drivers! {
    pgjdbc_with_the_property_password: |place| programs::java("PasswordProperty", place), Before;
    pgjdbc_with_an_authentication_plugin: |place| programs::java("PluginProperty", place), Asked;
    hikaricp_with_a_credentials_provider: |place| programs::java("HikariPool", place), Before;
    hikaricp_with_an_authentication_plugin: |place| programs::java("HikariPlugin", place), Asked;
    node_pg: |place| programs::node("pool.mjs", place), Asked;
    asyncpg: |place| programs::python("pool_of_asyncpg.py", place), Before;
    psycopg: |place| programs::python("psycopg_connections.py", place), Before;
    psycopg_pool: |place| programs::python("pool_of_psycopg.py", place), Before;
    pg8000: |place| programs::python("pg8000_connections.py", place), Before;
    sqlalchemy: |place| programs::python("sqlalchemy_engine.py", place), Before;
    tokio_postgres: |place| programs::rust("tokio-postgres", place), Before;
    deadpool_postgres: |place| programs::rust("deadpool", place), Before;
    sqlx: |place| programs::rust("sqlx", place), Before;
}

impl Driver {
    fn check(&self) {
        let Some(setup) = Setup::of("alice") else {
            return;
        };
        let client = Client {
            setup: &setup,
            role: "alice",
            run: &|place, tokens| self.run(place, tokens),
        };
        let tokens = TokenCommand::new(setup.good());
        let Some(finished) = client.with(&tokens) else {
            return;
        };
        let lines: Vec<&str> = finished.success().lines().collect();
        let is_alice = |line: &&str| line.starts_with("alice pam:alice token-");
        assert!(lines.iter().all(is_alice), "{lines:?}");
        // Another token for each connection. A pool may open more of them than it is asked for.
        assert!(lines.len() == 2 && lines[0] != lines[1], "{lines:?}");
        assert!(tokens.calls() >= 2);
        let not_sent = client.is_refused_otherwise();
        if self.token == Asked {
            assert_eq!(not_sent.calls(), 0);
        }
    }

    fn run(&self, place: &Place, tokens: &TokenCommand) -> Option<Finished> {
        let mut command = (self.program)(place)?;
        command.envs(place.environment());
        command.env("TOKEN_COMMAND", tokens.path());
        command.env("QUERY", QUERY);
        Some(child::run(command, Duration::from_secs(60)))
    }
}
