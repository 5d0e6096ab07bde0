//! What docs/roles.md says of people who leave, dumps, and switching it off: its statements are run as they stand there.

use std::process::Command;

use rig::{Server, environment};

use crate::{Directory, groups_of, wait_for_worker};

const PAGE: &str = include_str!("../../../docs/roles.md");

/// The statements of the page's block that has this one.
fn block_with(statement: &str) -> Vec<&'static str> {
    let mut blocks = PAGE.split("```sql\n").skip(1);
    let block = blocks
        .find_map(|rest| {
            let (block, _) = rest.split_once("```")?;
            block.contains(statement).then_some(block)
        })
        .unwrap_or_else(|| panic!("no block with {statement}"));
    block.lines().collect()
}

fn run(server: &Server, statements: &[&str]) {
    for statement in statements {
        server.sql(statement);
    }
}

#[test]
fn the_six_statements_of_the_page_set_it_up() {
    let issuer = rig::Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .preload()
        .set("validator.role_claim", "groups")
        .start();
    server.sql(
        "CREATE ROLE analysts NOLOGIN; CREATE ROLE auditors NOLOGIN; CREATE EXTENSION validator",
    );
    let statements = block_with("CREATE ROLE validator_manager");
    assert_eq!(statements.len(), 6);
    run(&server, &statements);
    let shown =
        server.sql("SELECT * FROM validator.provision_setup(ARRAY['analysts', 'auditors'])");
    let shown: Vec<String> = shown.into_iter().flatten().flatten().collect();
    assert_eq!(shown[..6], statements[..]);
    server.restart();
    wait_for_worker(&server);
    let token = issuer
        .token("zoe")
        .claim("groups", serde_json::json!(["auditors"]));
    server.admits("zoe", &token.encode());
    assert_eq!(groups_of(&server, "zoe"), "auditors");
}

#[test]
fn a_leaver_who_owns_objects_is_removed_by_the_statements_of_the_page() {
    let directory = Directory::start();
    let server = &directory.server;
    server.sql(
        "DROP ROLE alice; GRANT CREATE ON SCHEMA public TO analysts; CREATE TABLE secret (x int)",
    );
    let mut session = directory.admits("alice", &["analysts", "auditors"]);
    session
        .query("CREATE TABLE report (x int); INSERT INTO report VALUES (1)")
        .expect("alice may create it");
    server.sql("GRANT SELECT ON secret TO alice");
    let failed = server.psql("DROP ROLE alice");
    assert!(!failed.status.success());
    // Statement by statement: the role is disabled before its sessions end.
    for statement in block_with("validator.disable_role(") {
        let issuer = directory.issuer.url();
        server.sql(&statement.replace("https://idp.example.com/realms/corp", issuer));
    }
    session.wait_for_end(std::time::Duration::from_secs(5));
    directory.does_not_provision("alice", &["analysts"], "role_disabled");
    let disabled = server.sql(block_with("WHERE NOT rolcanlogin")[0]);
    let alice = || Some("alice".to_owned());
    assert_eq!(disabled, [[alice(), alice()]]);
    run(server, &block_with("ALTER ROLE alice LOGIN"));
    drop(directory.admits("alice", &["analysts"]));
    run(server, &block_with("REASSIGN OWNED BY alice"));
    assert!(!directory.exists("alice"));
    assert_eq!(server.value("SELECT count(*) FROM report"), "1");
    let owner = "SELECT relowner::regrole FROM pg_class WHERE relname = 'report'";
    assert_eq!(server.value(owner), "analysts");
    // Who comes back has none of the old rights.
    let mut session = directory.admits("alice", &["auditors"]);
    assert_eq!(
        session.value("SELECT has_table_privilege('secret', 'SELECT')"),
        "f"
    );
}

#[test]
fn unused_roles_are_found_by_the_statements_of_the_page() {
    let directory = Directory::start();
    directory.admits("zoe", &["analysts"]);
    run(
        &directory.server,
        &block_with("disable_unused_roles('90 days')"),
    );
    run(
        &directory.server,
        &block_with("FROM validator.provisioned_roles"),
    );
    directory.admits("zoe", &["analysts"]);
}

#[test]
fn what_is_left_is_removed_by_the_statements_of_the_page() {
    let directory = Directory::start();
    let server = &directory.server;
    directory.admits("zoe", &["analysts"]);
    server.sql("GRANT auditors TO zoe");
    for setting in ["validator.provision", "validator.provision_role"] {
        server.unset(setting);
    }
    server.restart();
    run(server, &block_with("DROP ROLE validator_manager"));
    server.sql("DROP ROLE validator_managed");
    assert_eq!(directory.groups_of("zoe"), "auditors");
    // As without provisioning.
    directory.refuses("zoe", &["analysts"], "role_not_granted");
    directory.admits("zoe", &["zoe"]);
}

#[test]
fn a_dump_of_roles_has_all_of_it() {
    let directory = Directory::start();
    directory.admits("zoe", &["analysts"]);
    directory.admits("o'neil", &["auditors"]);
    let server = &directory.server;
    let mut dump = Command::new(environment::bindir().join("pg_dumpall"));
    dump.args(["--roles-only", "-U", "postgres", "-h"])
        .arg(server.socket_folder())
        .arg("-p")
        .arg(server.port().to_string());
    let dump = dump.output().expect("pg_dumpall runs");
    assert!(dump.status.success(), "{dump:?}");
    let dump = String::from_utf8(dump.stdout).expect("UTF-8");

    let other = Directory::bare();
    // The roles of the rig are there already.
    let script: Vec<&str> = dump
        .lines()
        .filter(|line| {
            let creates = ["alice", "bob", "carol", "postgres"];
            !creates
                .iter()
                .any(|role| *line == format!("CREATE ROLE {role};"))
                && !line.starts_with('\\')
        })
        .collect();
    other.server.sql(&script.join("\n"));
    other.switch_on();
    let memberships = "SELECT string_agg(concat_ws(' ', roleid::regrole, member::regrole, grantor::regrole, \
         admin_option, inherit_option, set_option), E'\\n' ORDER BY roleid::regrole::text, member::regrole::text, grantor::regrole::text) \
         FROM pg_auth_members WHERE roleid >= 16384";
    assert_eq!(other.server.value(memberships), server.value(memberships));
    let rows = "SELECT string_agg(concat_ws('|', role, identity, groups, created_at), ',') FROM validator.provisioned_roles";
    assert_eq!(other.server.value(rows), server.value(rows));
    let mark = other.server.log().mark();
    other.admits("zoe", &["analysts"]);
    let log = other.server.log().since(mark);
    assert!(!log.contains("were changed"), "{log}");
    other.admits("zoe", &["auditors"]);
    assert_eq!(other.groups_of("zoe"), "auditors");
}
