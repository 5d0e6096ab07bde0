//! `make demo`: a real psql logs in to a real PostgreSQL by the OAuth device flow, and three logins that
//! must fail do. Everything runs on loopback, in a folder of its own, and is gone at the end.

// A demonstration talks to a person.
#![allow(clippy::print_stdout)]

use std::process::ExitCode;
use std::time::Duration;

use rig::{DeviceLogin, Issuer, LogMark, Login, Outcome, Server, Token, now, oauth_line};

/// How long a person may take to approve in a browser.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long psql may take when the demonstration approves by itself.
const LIMIT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let interactive = std::env::var("INTERACTIVE").is_ok_and(|value| !value.is_empty());

    heading("An identity provider and a PostgreSQL server, both on this machine only");
    let issuer = Issuer::builder().start();
    println!("The provider is {}", issuer.url());
    let server = Server::trusting(&issuer).start();
    println!(
        "The server listens on port {}. Of OAuth, its postgresql.conf says:\n",
        server.port()
    );
    println!("    oauth_validator_libraries = 'validator'");
    println!("    validator.audience = '{}'", Issuer::AUDIENCE);
    println!("    validator.allow_http = on      # the provider of this demonstration has no TLS");
    println!(
        "\nand its pg_hba.conf:\n\n    {}",
        oauth_line(issuer.url(), "").trim_end()
    );

    let mut as_said = log_in(&server, &issuer, interactive);

    heading("Logins that must fail");
    println!("The client is told nothing but \"OAuth bearer authentication failed\".");
    println!("The server's log tells the administrator why.");
    as_said &= refusal(
        &server,
        "a token that was meant for another service",
        "alice",
        issuer
            .token("alice")
            .claim("aud", "https://wiki.example.test/"),
        "reason=aud_mismatch",
    );
    as_said &= refusal(
        &server,
        "a token that has expired",
        "alice",
        issuer
            .token("alice")
            .claim("iat", now() - 900)
            .claim("exp", now() - 600),
        "reason=expired",
    );
    as_said &= refusal(
        &server,
        "alice's good token, to log in as bob",
        "bob",
        issuer.token("alice"),
        "provided user name (bob) and authenticated user name (alice) do not match",
    );

    drop(server);
    drop(issuer);
    match as_said {
        true => {
            heading("All went as said. Server and provider are stopped, their files are removed.");
            ExitCode::SUCCESS
        }
        false => {
            heading("Something did not go as said: see above.");
            ExitCode::FAILURE
        }
    }
}

/// psql asks for a code, the code is approved, psql is in.
fn log_in(server: &Server, issuer: &Issuer, interactive: bool) -> bool {
    heading("psql logs in as alice, by the device flow");
    let query = "SELECT system_user, current_user";
    println!(
        "$ psql \"host=127.0.0.1 port={} user=alice dbname=postgres\n        oauth_issuer={} oauth_client_id=psql\"\n",
        server.port(),
        issuer.url()
    );
    let mark = server.log().mark();
    let login = DeviceLogin::new(server, "alice", issuer.url())
        .sql(query)
        .limit(if interactive { PATIENCE } else { LIMIT });
    let outcome = login.run(|prompt| {
        println!(
            "Visit {} and enter the code: {}",
            prompt.url, prompt.user_code
        );
        if interactive {
            println!("\n(Do so in a browser on this machine, and approve as \"alice\".)");
        } else {
            issuer.approve(&prompt.user_code, "alice");
            println!("\n(Alice does: the demonstration has approved the code.)");
        }
    });
    if !outcome.psql.status.success() {
        println!("\n{}", outcome.messages().join("\n"));
        print_log(server, mark);
        return false;
    }
    let row = outcome.psql.stdout.trim();
    println!("\npostgres=> {query};");
    println!(" system_user | current_user");
    println!("-------------+--------------");
    let (system_user, current_user) = row.split_once('|').unwrap_or((row, ""));
    println!(" {system_user:<11} | {current_user}");
    print_log(server, mark);
    row == "oauth:alice|alice"
}

/// A login that must fail, and what the server's log says about it.
fn refusal(server: &Server, what: &str, role: &str, token: Token, expected: &str) -> bool {
    println!("\n* {what}:");
    let mark = server.log().mark();
    let outcome = Login::new(server, role).token(&token.encode()).run();
    let Outcome::Refused(refusal) = outcome else {
        println!("The login was let in, which it must not be.");
        return false;
    };
    println!(
        "\n    the client sees\n        FATAL:  {}",
        refusal.error().message()
    );
    print_log(server, mark);
    server.log().since(mark).contains(expected)
}

/// The log lines that are about logins, without the server's debugging output.
fn print_log(server: &Server, mark: LogMark) {
    println!("\n    the server logs");
    let shown = ["LOG:  ", "DETAIL:  ", "HINT:  "];
    for line in server.log().since(mark).lines() {
        // Behind the prefix of time and process.
        let Some((_, text)) = line.split_once("] ") else {
            continue;
        };
        let is_noise = [
            "connection received",
            "disconnection",
            "connection authorized",
            "Connection matched",
        ]
        .iter()
        .any(|noise| text.contains(noise));
        if shown.iter().any(|start| text.starts_with(start)) && !is_noise {
            println!("        {text}");
        }
    }
}

fn heading(text: &str) {
    println!("\n== {text}\n");
}
