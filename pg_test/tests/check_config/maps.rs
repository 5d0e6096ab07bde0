//! Findings about maps of pg_ident.conf, compared with the identities that a line's tokens give.

use rig::{Issuer, Server};

use crate::{assert_findings, examine, healthy, line, only_detail, started};

/// A server whose line uses the map `people`, and whose identities begin with `corp:`.
fn mapped() -> (Issuer, Server) {
    let (issuer, builder) = healthy();
    let server = started(builder.set("validator.identity_prefix", "corp:"));
    server.set_hba(&[&line("hostssl", issuer.url(), Issuer::SCOPE, "map=people")]);
    server.reload();
    (issuer, server)
}

fn set_ident(server: &Server, lines: &[&str]) {
    server.set_ident(lines);
    server.reload();
}

#[test]
fn no_identity_with_the_prefix_matches_the_map() {
    let (_issuer, server) = mapped();
    for user in [
        "alice@corp.example",
        "shop:alice",
        "Corp:alice",
        "corp:",
        "corp",
        "/^alice@",
        "/^shop:(.*)$",
        "/^corp\\.(.*)$",
        "/^corps",
        "/^cor$",
        "/^corp:$",
    ] {
        set_ident(&server, &[&format!("people {user} alice")]);
        let found = assert_findings(&server, &["error map_unreachable"]);
        for part in ["begin with \"corp:\"", "\"people\"", "pg_ident.conf", user] {
            let shown = part.replace('\\', "\\\\");
            assert!(found[0].detail.contains(&shown), "{shown}: {found:?}");
        }
        let advice = &found[0].advice;
        assert!(advice.contains("validator.identity_prefix"), "{advice}");
    }
}

#[test]
fn maps_that_may_match_are_left_alone() {
    let (_issuer, server) = mapped();
    for user in [
        "corp:alice",
        "corp:Alice",
        "/^corp:(.*)$",
        "/^corp:alice$",
        "/^c",
        "/^co?rp",
        "/^shop*",
        "/^(shop:)?corp:a",
        "/^x*corp:",
        "/^x{0}corp:",
        "/^shop:|^corp:",
        "/^.*:alice$",
        "/alice",
        "/^[a-z]+:alice",
        "/(?i)^CORP:alice",
        "/^\\w+:alice",
    ] {
        let expected = match user {
            // It begins with shop or with sho, and neither is a prefix of corp:.
            "/^shop*" => "error map_unreachable",
            _ => "ok ok",
        };
        set_ident(&server, &[&format!("people {user} alice")]);
        assert_findings(&server, &[expected]);
    }
}

#[test]
fn small_letters_do_not_match_capitals() {
    let (_issuer, server) = mapped();
    server.reload_with(&[
        ("validator.identity_case", "lower"),
        ("validator.identity_prefix", "CORP:"),
    ]);
    for (user, expected) in [
        ("CORP:alice", "ok ok"),
        ("CORP:Alice", "error map_unreachable"),
        ("/^CORP:Al", "error map_unreachable"),
        ("/^CORP:(.*)Z$", "ok ok"),
    ] {
        set_ident(&server, &[&format!("people {user} alice")]);
        let found = assert_findings(&server, &[expected]);
        let says = found[0].detail.contains("small letters only");
        assert_eq!(says, expected != "ok ok", "{found:?}");
    }
}

#[test]
fn each_claim_of_the_identity_has_its_prefix() {
    let (_issuer, server) = mapped();
    set_ident(&server, &["people alice alice", "people service:etl alice"]);
    server.reload_with(&[(
        "validator.identity_claim",
        "preferred_username=person:, client_id=service:",
    )]);
    let detail = only_detail(&server, "warning map_unreachable");
    assert!(detail.contains("\"person:\" or \"service:\""), "{detail}");
    assert!(detail.contains("which has \"alice\""), "{detail}");
    set_ident(
        &server,
        &["people person:zoe alice", "people service:etl alice"],
    );
    assert_findings(&server, &["ok ok"]);
}

#[test]
fn some_lines_of_a_map_that_several_lines_share_may_be_for_another() {
    let (issuer, server) = mapped();
    let other = Issuer::builder().https().path("/shop").start();
    let own = line("hostssl", issuer.url(), Issuer::SCOPE, "map=people");
    let theirs = line("hostssl", other.url(), Issuer::SCOPE, "map=people").replacen(
        "10.0.0.0/8",
        "192.168.0.0/16",
        1,
    );
    let codes = || {
        let found = examine(&server).into_iter();
        found
            .map(|row| format!("{} {}", row.severity, row.code))
            .collect::<Vec<_>>()
    };
    server.reload_with(&[
        ("validator.profiles", "shop"),
        ("validator_shop.issuer", other.url()),
        ("validator_shop.identity_prefix", "shop:"),
    ]);
    server.set_hba(&[&own, &theirs]);
    set_ident(
        &server,
        &["people corp:alice alice", "people shop:alice alice"],
    );
    assert_eq!(codes(), ["ok ok", "ok ok"]);
    // For neither of both.
    set_ident(
        &server,
        &[
            "people corp:alice alice",
            "people shop:alice alice",
            "people bob bob",
            "people carol carol",
        ],
    );
    assert_eq!(codes(), ["warning map_unreachable", "ok ok"]);
    let detail = &examine(&server)[0].detail;
    assert!(
        detail.contains("\"bob\"; 1 more cannot, either"),
        "{detail}"
    );
    // Another method gives other names.
    server.set_hba(&[
        &own,
        &theirs,
        "hostssl all all 172.16.0.0/12 cert map=people",
    ]);
    server.reload();
    assert_eq!(codes(), ["ok ok", "ok ok"]);
    // One of them has no line left.
    set_ident(&server, &["people corp:alice alice"]);
    assert_eq!(codes(), ["ok ok", "error map_unreachable"]);
}

#[test]
fn no_identity_is_the_name_of_a_role() {
    let (issuer, server) = mapped();
    let set = |options: &str| {
        server.set_hba(&[&line("hostssl", issuer.url(), Issuer::SCOPE, options)]);
        server.reload();
    };
    set("");
    let found = assert_findings(&server, &["error identity_no_role"]);
    assert!(
        found[0].detail.contains("begin with \"corp:\""),
        "{found:?}"
    );
    assert!(
        found[0].advice.contains("Set map= on the line"),
        "{found:?}"
    );
    // The token decides.
    server.reload_with(&[("validator.role_claim", "groups")]);
    set("delegate_ident_mapping=1");
    assert_findings(&server, &["ok ok"]);
    set("");
    server.sql("CREATE ROLE \"corp:alice\"");
    assert_findings(&server, &["error identity_no_role"]);
    server.sql("ALTER ROLE \"corp:alice\" LOGIN");
    assert_findings(&server, &["ok ok"]);
    // The line does not admit it.
    let line = line("hostssl", issuer.url(), Issuer::SCOPE, "");
    server.set_hba(&[&line.replacen("all all", "all alice", 1)]);
    server.reload();
    only_detail(&server, "error identity_no_role");
}

#[test]
fn missing_map_is_told_with_the_near_one() {
    let (_issuer, server) = mapped();
    for (name, near) in [
        ("People", Some("capital letters")),
        ("\"people \"", Some("white space")),
        ("persons", None),
    ] {
        set_ident(&server, &[&format!("{name} corp:alice alice")]);
        let detail = only_detail(&server, "error map_missing");
        match near {
            Some(near) => {
                let told = format!("differs only by {near}");
                assert!(detail.contains(&told), "{detail}");
            }
            None => assert!(!detail.contains("differs"), "{detail}"),
        }
    }
}

#[test]
fn what_a_map_says_cannot_forge_rows() {
    let (_issuer, server) = mapped();
    let long = "y".repeat(1000);
    set_ident(&server, &[&format!("people \"x\u{202e}{long}\" alice")]);
    let detail = only_detail(&server, "error map_unreachable");
    assert!(detail.contains("x\\u{202e}yyy"), "{detail}");
    assert!(detail.len() < 700, "{detail}");
}
