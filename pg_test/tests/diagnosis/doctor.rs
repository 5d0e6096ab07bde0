//! What `check_config()` and `try_login()` say of broken set-ups: the finding comes before anyone has tried to log in.

use rig::{Endpoint, Fault, Issuer, Server, ServerBuilder, oauth_line};
use serde_json::json;

use crate::server_for;

/// Starts the server with the extension.
fn started(builder: ServerBuilder) -> Server {
    let server = builder.start();
    server.sql("CREATE EXTENSION validator");
    server
}

/// Asserts that check_config has this severity and code, and says all of this there.
#[track_caller]
fn finds(server: &Server, found: &str, parts: &[&str]) {
    let rows = server.sql(
        "SELECT severity || ' ' || finding, detail || ' ' || advice FROM validator.check_config()",
    );
    let text = |row: &[Option<String>], column: usize| row[column].clone().unwrap_or_default();
    let row = rows.iter().find(|row| text(row, 0) == found);
    let row = row.unwrap_or_else(|| panic!("no {found} in {rows:#?}"));
    for part in parts {
        assert!(text(row, 1).contains(part), "{part} is not in: {row:?}");
    }
}

/// Asserts that try_login ends with this step, which says all of this.
#[track_caller]
fn tries(server: &Server, token: &str, role: &str, step: &str, parts: &[&str]) {
    let rows = server.sql(&format!(
        "SELECT name, passed::text, detail FROM validator.try_login('{token}', '{role}', address => '127.0.0.1', tls => false)"
    ));
    let last: Vec<&str> = rows
        .last()
        .expect("steps")
        .iter()
        .map(|value| value.as_deref().unwrap_or("null"))
        .collect();
    assert_eq!(last[..2], [step, "false"], "{rows:#?}");
    for part in parts {
        assert!(last[2].contains(part), "{part} is not in: {}", last[2]);
    }
}

#[test]
fn line_that_comes_too_late() {
    let (issuer, other) = (Issuer::builder().start(), Issuer::builder().start());
    let server = started(server_for(&issuer).hba(&oauth_line(other.url(), "")));
    finds(&server, "error shadowed", &["Line 3 of", "never uses this"]);
    let token = other.token("alice").encode();
    let says = format!("token_issuer={}", other.url());
    tries(&server, &token, "alice", "key", &[&says]);
}

#[test]
fn role_that_an_earlier_line_asks_for_a_password() {
    let issuer = Issuer::builder().start();
    let server = started(server_for(&issuer));
    server.sql(
        "CREATE ROLE staff; CREATE ROLE people; GRANT staff TO alice; GRANT people TO alice, bob",
    );
    server.set_hba(&[
        "host all +staff 127.0.0.1/32 scram-sha-256",
        &oauth_line(issuer.url(), "").replacen("all all", "all +people", 1),
    ]);
    server.reload();
    let found = "warning shadowed_by_membership";
    finds(
        &server,
        found,
        &["(scram-sha-256)", "admits as well: alice."],
    );
    let token = issuer.token("alice").encode();
    tries(
        &server,
        &token,
        "alice",
        "line",
        &["does not ask for a token"],
    );
    server.admits("bob", &issuer.token("bob").encode());
}

#[test]
fn group_of_the_line_is_misspelt() {
    let issuer = Issuer::builder().start();
    let server = started(server_for(&issuer));
    server.sql("CREATE ROLE oauth_users; GRANT oauth_users TO alice");
    server.set_hba(&[&oauth_line(issuer.url(), "").replacen("all all", "all +oauth_user", 1)]);
    server.reload();
    finds(&server, "warning no_role", &["No role that can log in"]);
    let token = issuer.token("alice").encode();
    tries(
        &server,
        &token,
        "alice",
        "line",
        &["no line of pg_hba.conf matches"],
    );
}

#[test]
fn prefix_without_a_map() {
    let issuer = Issuer::builder().start();
    let server = started(server_for(&issuer).set("validator.identity_prefix", "corp:"));
    finds(
        &server,
        "error identity_no_role",
        &["begin with \"corp:\"", "Set map="],
    );
    let token = issuer.token("alice").encode();
    let says = ["corp:alice", "the role alice"];
    tries(&server, &token, "alice", "user_map", &says);
}

#[test]
fn map_without_the_prefix_and_map_of_another_name() {
    let issuer = Issuer::builder().start();
    let server = started(server_for(&issuer).set("validator.identity_prefix", "corp:"));
    server.set_hba(&[&oauth_line(issuer.url(), "map=people")]);
    server.set_ident(&["people alice alice"]);
    server.reload();
    finds(
        &server,
        "error map_unreachable",
        &["begin with \"corp:\"", "has \"alice\""],
    );
    let token = issuer.token("alice").encode();
    let says = ["people", "corp:alice"];
    tries(&server, &token, "alice", "user_map", &says);
    server.set_ident(&["People corp:alice alice"]);
    server.reload();
    let says = ["only: People", "differs only by capital letters"];
    finds(&server, "error map_missing", &says);
    let says = ["people", "People"];
    tries(&server, &token, "alice", "user_map", &says);
    server.set_ident(&["people corp:alice alice"]);
    server.reload();
    server.admits("alice", &token);
}

#[test]
fn comma_in_the_scope_of_a_line() {
    let issuer = Issuer::builder().start();
    let server = started(server_for(&issuer));
    let line = oauth_line(issuer.url(), "").replace("openid postgres", "openid,postgres");
    server.set_hba(&[&line]);
    server.reload();
    let says = ["\"openid,postgres\" is one scope", "by spaces"];
    finds(&server, "warning scope_with_comma", &says);
    let token = issuer.token("alice").encode();
    tries(
        &server,
        &token,
        "alice",
        "scope",
        &["reason=insufficient_scope"],
    );
}

#[test]
fn document_of_an_issuer_with_a_slash_more() {
    let issuer = Issuer::builder().start();
    let server = started(server_for(&issuer));
    let named = format!("{}/", issuer.url());
    let document = named.clone();
    issuer.fail(
        Endpoint::Discovery,
        Fault::altered(move |metadata| metadata["issuer"] = json!(document)),
    );
    let says = [&*named, "they differ only by a slash at the end"];
    finds(&server, "error issuer_mismatch", &says);
    let token = issuer.token("alice").encode();
    tries(&server, &token, "alice", "key", &["cause=issuer_mismatch"]);
}

#[test]
fn settings_that_admit_no_one() {
    let issuer = Issuer::builder().start();
    let server = started(server_for(&issuer).preload());
    let token = issuer.token("alice").encode();
    server.admits("alice", &token);
    for (setting, value, found, says, step, reason) in [
        (
            "validator.audience",
            "",
            "error audience_unset",
            "validator.audience",
            "settings",
            "reason=audience_unset",
        ),
        (
            "validator.enabled",
            "off",
            "error disabled",
            "validator.enabled",
            "settings",
            "reason=disabled",
        ),
        (
            "validator.algorithms",
            "ES512",
            "error no_usable_key",
            "validator.algorithms",
            "structure",
            "reason=alg_not_allowed",
        ),
        (
            "validator.require_bound_token",
            "on",
            "error certificates_not_asked_for",
            "all tokens are refused",
            "confirmation",
            "reason=token_not_bound",
        ),
    ] {
        let before = server.value(&format!("SHOW {setting}"));
        server.reload_with(&[(setting, value)]);
        finds(&server, found, &[says]);
        tries(&server, &token, "alice", step, &[reason]);
        server.reload_with(&[(setting, &before)]);
        server.admits("alice", &token);
    }
}

#[test]
fn profile_that_leaves_a_line_to_laxer_settings() {
    let issuer = Issuer::builder().start();
    let server = started(
        server_for(&issuer)
            .set("validator.profiles", "corp")
            .set("validator_corp.issuer", &format!("{}/", issuer.url()))
            .set("validator_corp.client_ids", "psql"),
    );
    let says = [
        "Profile \"corp\"",
        "a slash at the end",
        "server's own settings",
    ];
    finds(&server, "error profile_near_miss", &says);
    let token = issuer.token("alice").claim("client_id", "web").encode();
    server.admits("alice", &token);
    server.reload_with(&[("validator_corp.issuer", issuer.url())]);
    tries(
        &server,
        &token,
        "alice",
        "client",
        &["reason=client_not_allowed"],
    );
}
