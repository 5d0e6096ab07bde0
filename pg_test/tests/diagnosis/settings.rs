//! Settings that cannot be used, and profiles that do not apply.

use rig::{Issuer, Server};

use crate::{explain, server_for, try_login};

#[test]
fn setting_that_cannot_be_used_is_said_with_its_value_place_and_range() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer).start();
    let token = issuer.token("alice").encode();
    for (name, value, told) in [
        (
            "algorithms",
            "RS256, HS256",
            "it is \"RS256, HS256\" in line ",
        ),
        ("clock_skew", "1h", "it is \"1h\" in line "),
        ("clock_skew", "1h", "Permitted: 0 to 300 s."),
        ("http_timeout", "5", "Permitted: 100 to 60000 ms."),
        ("required_claims", "acr", "What is wrong: "),
    ] {
        let name = format!("validator.{name}");
        server.reload_with(&[(&name, value)]);
        explain(&server, "alice", &token, "setting_invalid")
            .says(&[
                &format!("Correct {name} and reload"),
                told,
                "postgresql.conf",
            ])
            .does_not_say(&["restart"]);
        server.unset(&name);
    }
    // By ALTER SYSTEM it stands in another file.
    server.reload();
    let file = server.data_folder().join("postgresql.auto.conf");
    std::fs::write(&file, "validator.clock_skew = '1h'\n").expect("postgresql.auto.conf");
    server.reload();
    explain(&server, "alice", &token, "setting_invalid")
        .says(&["in line 1 of ", "postgresql.auto.conf"]);
}

#[test]
fn setting_that_may_be_a_secret_is_not_shown() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer).start();
    let token = issuer.token("alice").encode();
    for (name, secret) in [
        ("client_secret_file", "hunter2hunter2"),
        ("http_bearer_file", "hunter2hunter2"),
        ("http_proxy", "http://me:hunter2hunter2@proxy.example:3128"),
    ] {
        let name = format!("validator.{name}");
        server.reload_with(&[(&name, secret)]);
        let explained = explain(&server, "alice", &token, "setting_invalid");
        explained.says(&[&format!("Correct {name} and reload: it is in line ")]);
        explained.does_not_say(&["hunter2"]);
        server.unset(&name);
    }
}

#[test]
fn preloaded_setting_that_is_removed_is_said_to_need_a_restart() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer)
        .preload()
        .set("validator.clock_skew", "1h")
        .start();
    let token = issuer.token("alice").encode();
    explain(&server, "alice", &token, "setting_invalid").says(&[
        "Since the module is preloaded, removing the setting takes effect only after a restart",
        "Permitted: 0 to 300 s",
    ]);
    server.unset("validator.clock_skew");
    server.reload();
    server.refuses("alice", &token, "setting_invalid");
    server.reload_with(&[("validator.clock_skew", "60s")]);
    server.admits("alice", &token);
}

/// A server with a profile for this issuer's URL, spelt in this way.
fn server_with_profile(issuer: &Issuer, url: &str) -> Server {
    server_for(issuer)
        .set("validator.profiles", "corp")
        .set("validator_corp.issuer", url)
        .set("validator_corp.audience", "https://corp.example/")
        .start()
}

#[test]
fn profile_that_differs_from_the_line_by_its_spelling_is_the_finding() {
    let issuer = Issuer::builder().start();
    let url = format!("{}/", issuer.url());
    let server = server_with_profile(&issuer, &url);
    let token = issuer
        .token("alice")
        .claim("aud", "https://corp.example/")
        .encode();
    let told = [
        "no profile names the line's issuer",
        &format!("profile \"corp\" is for \"{url}\""),
        "They differ only by a slash at the end",
    ];
    explain(&server, "alice", &token, "aud_mismatch")
        .says(&told)
        .does_not_say(&["add the value"])
        .loosens_nothing();
    let said = try_login(&server, "alice", &token);
    assert!(told.iter().all(|part| said.contains(part)), "{said}");
    server.reload_with(&[("validator.audience", "")]);
    explain(&server, "alice", &token, "audience_unset")
        .says(&told)
        .loosens_nothing();
}

#[test]
fn profile_that_applies_is_not_said_to_be_missing() {
    let issuer = Issuer::builder().start();
    let server = server_for(&issuer)
        .set("validator.profiles", "corp, other")
        .set("validator_corp.issuer", issuer.url())
        .set("validator_corp.audience", "")
        .set("validator_other.issuer", "https://idp.example.com")
        .start();
    let token = issuer.token("alice").encode();
    explain(&server, "alice", &token, "audience_unset")
        .says(&["Set validator.audience"])
        .does_not_say(&["profile"]);
}

#[test]
fn profile_for_another_issuer_is_mentioned_last() {
    let issuer = Issuer::builder().start();
    let other = "https://idp.example.com/realms/corp";
    let server = server_with_profile(&issuer, other);
    let token = issuer.token("alice").claim("aud", "x").encode();
    explain(&server, "alice", &token, "aud_mismatch").says(&[
        "validator.audience accepts",
        &format!("the nearest one, \"corp\", is for \"{other}\"."),
    ]);
}
