//! Findings about lines of pg_hba.conf that come too late: PostgreSQL uses the first one that matches.

use rig::{Issuer, Server};

use crate::{assert_findings, examine, good_line, healthy, only_detail, started};

fn patient() -> (Issuer, Server) {
    let (issuer, builder) = healthy();
    let server = started(builder);
    server.sql(
        "CREATE ROLE corp; CREATE ROLE shop; CREATE ROLE staff; GRANT corp TO alice; GRANT shop TO alice, bob; \
         GRANT staff TO corp",
    );
    (issuer, server)
}

/// A line for these clients, by which the first four columns are replaced.
fn with_columns(issuer: &Issuer, columns: &str) -> String {
    good_line(issuer.url()).replacen("hostssl all all 10.0.0.0/8", columns, 1)
}

/// What is found at the last of these lines: the code, and what it says.
fn last_found(server: &Server, lines: &[&str]) -> (String, String) {
    server.set_hba(lines);
    server.reload();
    let found = examine(server).pop().expect("a finding");
    (format!("{} {}", found.severity, found.code), found.detail)
}

#[test]
fn an_earlier_line_matches_everything() {
    let (issuer, server) = patient();
    for (earlier, columns) in [
        ("host all all all", "hostssl all all 10.0.0.0/8"),
        ("host all all 10.0.0.0/8", "hostssl all all 10.0.0.0/8"),
        (
            "hostssl all all 10.0.0.0/8",
            "hostssl all +corp 10.1.0.0/16",
        ),
        ("hostssl all all 0.0.0.0/0", "hostssl all alice 10.0.0.1/32"),
        ("hostssl all all ::/0", "hostssl all alice fd00::/8"),
        ("hostnogssenc all all all", "hostssl all all samehost"),
        ("hostssl all all samenet", "hostssl all all samehost"),
        (
            "hostssl all all .corp.example",
            "hostssl all all .corp.example",
        ),
        ("hostssl a,b +shop,bob all", "hostssl b bob,+shop all"),
        (
            "hostssl all,replication all all",
            "hostssl replication all all",
        ),
    ] {
        let earlier = format!("{earlier} scram-sha-256");
        let (code, detail) = last_found(&server, &[&earlier, &with_columns(&issuer, columns)]);
        assert_eq!(code, "error shadowed", "{earlier} {columns} {detail}");
        assert!(detail.contains("pg_hba.conf (scram-sha-256)"), "{detail}");
        assert!(detail.starts_with("Line 3 of "), "{detail}");
    }
}

#[test]
fn an_earlier_line_that_leaves_something_is_left_alone() {
    let (issuer, server) = patient();
    for (earlier, columns) in [
        ("hostssl all all 10.0.0.0/8", "host all all 10.0.0.0/8"),
        ("hostnossl all all all", "hostssl all all all"),
        ("hostnogssenc all all all", "host all all all"),
        ("local all all", "hostssl all all all"),
        ("hostssl all all 10.1.0.0/16", "hostssl all all 10.0.0.0/8"),
        ("hostssl all all 11.0.0.0/8", "hostssl all all 10.0.0.0/8"),
        ("hostssl all all 0.0.0.0/0", "hostssl all all all"),
        ("hostssl all all 0.0.0.0/0", "hostssl all all fd00::/8"),
        ("hostssl all all samehost", "hostssl all all samenet"),
        (
            "hostssl all all .corp.example",
            "hostssl all all 10.0.0.1/32",
        ),
        (
            "hostssl all all .corp.example",
            "hostssl all all .shop.example",
        ),
        ("hostssl a all all", "hostssl a,b all all"),
        ("hostssl all all all", "hostssl replication all all"),
        ("hostssl \"all\" all all", "hostssl all all all"),
        ("hostssl all \"all\" all", "hostssl all all all"),
        ("hostssl all postgres all", "hostssl all all all"),
        ("hostssl all +shop all", "hostssl all all all"),
        ("hostssl all /^a all", "hostssl all all all"),
    ] {
        let earlier = match earlier.starts_with("local") {
            true => format!("{earlier} peer"),
            false => format!("{earlier} scram-sha-256"),
        };
        let lines = [&*earlier, &*with_columns(&issuer, columns)];
        let (code, detail) = last_found(&server, &lines);
        let expected = match columns.starts_with("hostssl") {
            true => "ok ok",
            false => "notice tls_not_required",
        };
        assert_eq!(code, expected, "{earlier} {columns} {detail}");
    }
}

#[test]
fn roles_match_an_earlier_line_by_membership() {
    let (issuer, server) = patient();
    let of_corp = "hostssl all +corp 10.0.0.0/8 scram-sha-256";
    for columns in [
        "hostssl all +shop 10.0.0.0/8",
        "hostssl all alice,bob 10.0.0.0/8",
        "hostssl all +shop 10.0.0.0/24",
    ] {
        let line = with_columns(&issuer, columns);
        let (code, detail) = last_found(&server, &[of_corp, &line]);
        assert_eq!(code, "warning shadowed_by_membership", "{columns} {detail}");
        assert!(detail.contains("admits as well: alice."), "{detail}");
    }
    // Through another group.
    let of_staff = of_corp.replace("+corp", "+staff");
    let of_shop = with_columns(&issuer, "hostssl all +shop 10.0.0.0/8");
    let (code, _) = last_found(&server, &[&of_staff, &of_shop]);
    assert_eq!(code, "warning shadowed_by_membership");
    // Meant so: by name, or by a line for all.
    let by_name = of_corp.replace("+corp", "alice");
    let (code, detail) = last_found(&server, &[&by_name, &of_shop]);
    assert_eq!(code, "ok ok", "{detail}");
    // A token is as good at the earlier line.
    let same = with_columns(&issuer, "hostssl all +corp 10.0.0.0/8");
    let (code, detail) = last_found(&server, &[&same, &of_shop]);
    assert_eq!(code, "ok ok", "{detail}");
    // It is not at one for another issuer.
    let other = same.replace(issuer.url(), "https://other.example");
    server.set_hba(&[&other, &of_shop]);
    server.reload();
    let found = examine(&server);
    let is_found = |row: &crate::Found| row.code == "shadowed_by_membership" && row.line == "4";
    assert!(found.iter().any(is_found), "{found:#?}");
    server.sql("REVOKE corp FROM alice");
    let (code, detail) = last_found(&server, &[of_corp, &of_shop]);
    assert_eq!(code, "ok ok", "{detail}");
}

#[test]
fn all_roles_of_a_line_match_earlier_ones() {
    let (issuer, server) = patient();
    let of_shop = with_columns(&issuer, "hostssl all +shop 10.0.0.0/8");
    let lines = [
        "hostssl all +corp all scram-sha-256",
        "host all bob all md5",
        &of_shop,
    ];
    let (code, detail) = last_found(&server, &lines);
    assert_eq!(code, "error shadowed", "{detail}");
    for part in [
        "(alice, bob)",
        "Line 3 of",
        "(scram-sha-256); Line 4 of",
        "(md5)",
    ] {
        assert!(detail.contains(part), "{part}: {detail}");
    }
    server.sql("GRANT shop TO carol");
    let (code, _) = last_found(&server, &lines);
    assert_eq!(code, "warning shadowed_by_membership");
}

#[test]
fn no_role_is_among_those_of_a_line() {
    let (issuer, server) = patient();
    server.sql("CREATE ROLE nobody; CREATE ROLE closed; GRANT closed TO nobody");
    for roles in ["+oauth_user", "+closed", "nobody", "\"Alice\"", "/^z"] {
        let columns = format!("hostssl all {roles} 10.0.0.0/8");
        server.set_hba(&[&with_columns(&issuer, &columns)]);
        server.reload();
        let detail = only_detail(&server, "warning no_role");
        assert!(detail.contains("No role that can log in"), "{detail}");
    }
    for roles in ["+shop", "alice", "nobody,bob", "/^a", "all"] {
        let columns = format!("hostssl all {roles} 10.0.0.0/8");
        server.set_hba(&[&with_columns(&issuer, &columns)]);
        server.reload();
        assert_findings(&server, &["ok ok"]);
    }
}

#[test]
fn names_of_roles_cannot_forge_rows() {
    let (issuer, server) = patient();
    server.sql("CREATE ROLE \"x\u{202e}\n(ok)\" LOGIN IN ROLE corp, shop; REVOKE corp FROM alice");
    let of_shop = with_columns(&issuer, "hostssl all +shop 10.0.0.0/8");
    let lines = ["hostssl all +corp 10.0.0.0/8 scram-sha-256", &of_shop];
    let (code, detail) = last_found(&server, &lines);
    assert_eq!(code, "warning shadowed_by_membership");
    assert!(detail.contains("x\\u{202e}\\u{a}(ok)"), "{detail}");
}
