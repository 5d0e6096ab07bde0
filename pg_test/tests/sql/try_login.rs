//! `try_login()`: the line that decides, the judgement on it, pg_ident.conf, and the database.

use rig::{Issuer, Login, Rows, Server, assert_silent_refusal, oauth_line};

use crate::{BOTH, server_of, steps_of, with_extension};

/// The steps of a login with this token and further arguments, of which the last tells the outcome.
fn try_login(server: &Server, token: &str, arguments: &str) -> Rows {
    steps_of(server, &format!("try_login('{token}', {arguments})"), token)
}

fn step<'a>(rows: &'a Rows, name: &str) -> (&'a str, &'a str) {
    let row = rows.iter().find(|row| row[0].as_deref() == Some(name));
    let row = row.unwrap_or_else(|| panic!("no step {name} in {rows:#?}"));
    let text = |column: usize| row[column].as_deref().unwrap_or("null");
    (text(1), text(2))
}

fn last(rows: &Rows) -> &str {
    rows.last().expect("steps")[0].as_deref().expect("a name")
}

/// Asserts that all passed.
fn admitted(rows: &Rows) {
    let passed = rows.iter().all(|row| row[1].as_deref() == Some("t"));
    assert!(passed && last(rows) == "connect", "{rows:#?}");
}

/// Asserts that this step ended it, and said so.
fn refused(rows: &Rows, name: &str, told: &[&str]) {
    assert_eq!(last(rows), name, "{rows:#?}");
    let (passed, detail) = step(rows, name);
    assert_eq!(passed, "f", "{rows:#?}");
    for part in told {
        assert!(detail.contains(part), "{part}: {detail}");
    }
}

#[test]
fn says_what_a_login_would_come_to() {
    for preload in BOTH {
        let issuer = Issuer::builder().start();
        let server = with_extension(server_of(&issuer, preload));
        let token = issuer.token("alice").encode();
        let rows = try_login(&server, &token, "'alice', tls => false");
        admitted(&rows);
        assert!(step(&rows, "line").1.contains(" decides"), "{rows:#?}");
        server.admits("alice", &token);

        let wrong = issuer.token("alice").claim("aud", "other").encode();
        let rows = try_login(&server, &wrong, "'alice', tls => false");
        refused(&rows, "audience", &["reason=aud_mismatch"]);
        server.refuses("alice", &wrong, "aud_mismatch");

        let rows = try_login(&server, &token, "'bob', tls => false");
        refused(&rows, "user_map", &["the identity is alice, the role bob"]);
        assert!(
            server
                .sql("SELECT * FROM validator.try_login(NULL, 'alice')")
                .is_empty(),
            "no token, no steps"
        );
        // Nothing of this counts as a login.
        let counted = "SELECT sum(accepted) || ' ' || sum(refused) FROM validator.stats";
        assert_eq!(server.value(counted), "1 1");
    }
}

#[test]
fn first_matching_line_decides() {
    let issuer = Issuer::builder().start();
    let server = with_extension(server_of(&issuer, false));
    let token = issuer.token("alice").encode();
    server.sql("CREATE ROLE staff");
    server.sql("CREATE ROLE \"all\" LOGIN");
    let ours = |columns: &str| {
        oauth_line(issuer.url(), "").replacen("host all all 127.0.0.1/32", columns, 1)
    };
    let all = || ours("host all all all");
    // What stands above, what follows, where the client is, whether a line for tokens decides, and what is told.
    let cases = [
        // Another method, for the same roles and addresses.
        (
            "host all alice all trust".to_owned(),
            all(),
            "NULL",
            false,
            "does not ask for a token (trust)",
        ),
        (
            "host all +staff all trust".to_owned(),
            all(),
            "NULL",
            true,
            "line SECOND",
        ),
        (
            "host other alice all trust".to_owned(),
            all(),
            "NULL",
            true,
            "line SECOND",
        ),
        (
            "host replication alice all trust".to_owned(),
            all(),
            "NULL",
            true,
            "line SECOND",
        ),
        (
            "host all \"/^ali\" all trust".to_owned(),
            all(),
            "NULL",
            false,
            "line FIRST",
        ),
        (
            "host all /^bob all trust".to_owned(),
            all(),
            "NULL",
            true,
            "line SECOND",
        ),
        // Quoted, it is the name of a role.
        (
            "host all \"all\" all trust".to_owned(),
            all(),
            "NULL",
            true,
            "line SECOND",
        ),
        // By address.
        (
            "host all all 10.0.0.0/8 trust".to_owned(),
            all(),
            "'10.1.2.3'",
            false,
            "line FIRST",
        ),
        (
            "host all all 10.0.0.0/8 trust".to_owned(),
            all(),
            "'192.0.2.7'",
            true,
            "line SECOND",
        ),
        (
            "host all all 10.0.0.0/8 trust".to_owned(),
            all(),
            "'::1'",
            true,
            "line SECOND",
        ),
        (
            "host all all ::1/128 trust".to_owned(),
            all(),
            "'::1'",
            false,
            "line FIRST",
        ),
        (
            "host all all samehost trust".to_owned(),
            all(),
            "'127.0.0.1'",
            false,
            "line FIRST",
        ),
        (
            "host all all samehost trust".to_owned(),
            all(),
            "'127.0.0.2'",
            true,
            "line SECOND",
        ),
        (
            "host all all samenet trust".to_owned(),
            all(),
            "'127.0.0.2'",
            false,
            "line FIRST",
        ),
        // Anywhere: the one that matches for some addresses is named, and the judgement goes on.
        (
            "host all all 10.0.0.0/8 trust".to_owned(),
            all(),
            "NULL",
            true,
            "comes first, if the client's address is in 10.0.0.0/8; otherwise line SECOND",
        ),
        (
            "host all all .corp.example trust".to_owned(),
            all(),
            "'10.1.2.3'",
            true,
            "has the name .corp.example; otherwise line SECOND",
        ),
        (
            ours("host all all 10.0.0.0/8"),
            "host all all all trust".to_owned(),
            "NULL",
            true,
            "line FIRST of",
        ),
        (
            "hostssl all all all trust".to_owned(),
            all(),
            "NULL",
            true,
            "line SECOND",
        ),
        (
            "local all all trust".to_owned(),
            all(),
            "NULL",
            true,
            "line SECOND",
        ),
        (
            "host all all all reject".to_owned(),
            all(),
            "NULL",
            false,
            "rejects the client",
        ),
        (
            ours("host all bob all"),
            String::new(),
            "NULL",
            false,
            "no line of pg_hba.conf matches",
        ),
    ];
    let first: usize = server
        .value("SELECT count(*) + 1 FROM pg_hba_file_rules WHERE auth_method <> 'oauth'")
        .parse()
        .expect("a number");
    for (above, below, address, found, told) in cases {
        let told = told
            .replace("FIRST", &first.to_string())
            .replace("SECOND", &(first + 1).to_string());
        server.set_hba(&[&above, &below]);
        server.reload();
        let rows = try_login(
            &server,
            &token,
            &format!("'alice', address => {address}, tls => false"),
        );
        let (passed, detail) = step(&rows, "line");
        assert_eq!(passed, if found { "t" } else { "f" }, "{above}: {detail}");
        assert!(detail.contains(&told), "{above}: {detail}");
        assert_eq!(rows.len() > 1, found);
    }
    let refusal = server.psql("SELECT validator.try_login('x', 'alice', address => '10.0.0.0/8')");
    assert!(refusal.stderr.contains("one client"), "{}", refusal.stderr);
}

#[test]
fn map_is_applied_as_a_login_applies_it() {
    let issuer = Issuer::builder().start();
    let line = oauth_line(issuer.url(), "map=people");
    let server = with_extension(server_of(&issuer, false));
    server.sql("CREATE ROLE staff");
    server.sql("CREATE ROLE \"all\" LOGIN");
    server.sql("GRANT staff TO bob");
    // A map, an identity, a role, and whether it may take it.
    let cases = [
        (
            "people alice bob",
            "alice",
            "bob",
            true,
            "line 1 of pg_ident.conf gives bob to alice",
        ),
        ("people alice bob", "carol", "bob", false, "is for carol"),
        (
            "people alice bob",
            "alice",
            "alice",
            false,
            "does not give alice to alice, but: bob",
        ),
        (
            "people /^(.*)@corp\\.example$ \\1",
            "bob@corp.example",
            "bob",
            true,
            "line 1",
        ),
        (
            "people /^(.*)@corp\\.example$ \\1",
            "bob@evil.example",
            "bob",
            false,
            "is for bob@evil.example",
        ),
        (
            "people /^(.*)@corp\\.example$ \\1",
            "all@corp.example",
            "bob",
            false,
            "but: all",
        ),
        (
            "people /^.*@corp\\.example$ \\1",
            "bob@corp.example",
            "bob",
            false,
            "cannot be applied",
        ),
        ("people alice +staff", "alice", "bob", true, "line 1"),
        (
            "people alice +staff",
            "alice",
            "alice",
            false,
            "but: +staff",
        ),
        ("people alice all", "alice", "alice", true, "line 1"),
        ("people alice \"all\"", "alice", "alice", false, "but: all"),
        ("people alice /^b", "alice", "bob", true, "line 1"),
        ("people alice /^b", "alice", "alice", false, "but: /^b"),
        (
            "others alice bob",
            "alice",
            "bob",
            false,
            "has no map people, only others",
        ),
    ];
    for (map, identity, role, allowed, told) in cases {
        server.set_hba(&[&line]);
        server.set_ident(&[map]);
        server.reload();
        let token = issuer.token(identity).encode();
        let rows = try_login(&server, &token, &format!("'{role}', tls => false"));
        let (passed, detail) = step(&rows, "user_map");
        assert_eq!(passed, if allowed { "t" } else { "f" }, "{map}: {rows:#?}");
        assert!(detail.contains(told), "{map}: {detail}");
        // The server itself comes to the same.
        match allowed {
            true => drop(server.admits(role, &token)),
            false => {
                let refusal = Login::new(&server, role).token(&token).run().refusal();
                assert_silent_refusal(&refusal, "usermap");
            }
        }
    }
}

#[test]
fn database_must_let_the_role_in() {
    let issuer = Issuer::builder().start();
    let server = with_extension(server_of(&issuer, false));
    server.sql("CREATE DATABASE closed");
    server.sql("REVOKE CONNECT ON DATABASE closed FROM PUBLIC");
    server.sql("CREATE ROLE nologin");
    let token = |identity| issuer.token(identity).encode();
    let rows = try_login(&server, &token("alice"), "'alice', 'closed', tls => false");
    refused(
        &rows,
        "connect",
        &["no CONNECT privilege on the database closed"],
    );
    let rows = try_login(&server, &token("alice"), "'alice', 'missing', tls => false");
    refused(&rows, "connect", &["the database missing does not exist"]);
    let rows = try_login(
        &server,
        &token("alice"),
        "'alice', 'template0', tls => false",
    );
    refused(
        &rows,
        "connect",
        &["the database template0 allows no connections"],
    );
    let rows = try_login(&server, &token("nologin"), "'nologin', tls => false");
    refused(&rows, "connect", &["has not the attribute LOGIN"]);
    let rows = try_login(&server, &token("nemo"), "'nemo', tls => false");
    refused(&rows, "role", &["role_unknown"]);
}
