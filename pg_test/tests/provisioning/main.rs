//! Roles that come and go with the directory: `validator.provision`. In all tests the file of critical relations
//! (global/pg_internal.init) is deleted before each login, so that one which reads a catalog that it must not read fails.

mod attacks;
mod basics;
mod encodings;
mod faults;
mod leavers;
mod names;
mod passwords;
mod removal;
mod sql;
mod standby;
mod unused;
mod upgrade;
mod ways_around;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rig::{Issuer, Login, Server, ServerBuilder, Session, Verdict, oauth_line};
use serde_json::{Value, json};

/// What sets provisioning up, as docs/roles.md has it, with two groups.
const SETUP: &str = "
    CREATE ROLE validator_manager NOLOGIN CREATEROLE;
    CREATE ROLE validator_managed NOLOGIN;
    GRANT validator_managed TO validator_manager WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
    CREATE ROLE analysts NOLOGIN;
    CREATE ROLE auditors NOLOGIN;
    GRANT analysts, auditors TO validator_manager WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
    CREATE EXTENSION validator;";

/// A server that provisions roles by the claim `groups` of an issuer.
struct Directory {
    issuer: Issuer,
    server: Server,
}

impl Directory {
    fn start() -> Directory {
        Directory::with(|builder| builder)
    }

    fn with(change: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Directory {
        let directory = Directory::bare_with(change);
        directory.server.sql(SETUP);
        directory.switch_on();
        directory
    }

    /// One on which nothing is set up yet.
    fn bare() -> Directory {
        let directory = Directory::bare_with(|builder| builder);
        directory.server.sql("CREATE EXTENSION validator");
        directory
    }

    fn bare_with(change: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Directory {
        let issuer = Issuer::builder().start();
        let builder = Server::trusting(&issuer)
            .preload()
            .log_everything()
            .set("validator.role_claim", "groups");
        let server = change(builder).start();
        Directory { issuer, server }
    }

    fn switch_on(&self) {
        let server = &self.server;
        server.set("validator.provision", "roles");
        server.set("validator.provision_role", "validator_manager");
        server.restart();
        wait_for_worker(server);
    }

    /// Sets options of the line of pg_hba.conf.
    fn set_line(&self, options: &str) {
        self.server
            .set_hba(&[&oauth_line(self.issuer.url(), options)]);
        self.server.reload();
    }

    fn token(&self, user: &str, groups: &[&str]) -> String {
        self.token_of(user, json!(groups))
    }

    fn token_of(&self, user: &str, groups: Value) -> String {
        self.issuer.token(user).claim("groups", groups).encode()
    }

    /// A login as the role of that name, which must succeed.
    #[track_caller]
    fn admits(&self, user: &str, groups: &[&str]) -> Session {
        self.admits_to(&self.server, user, groups)
    }

    #[track_caller]
    fn admits_to(&self, server: &Server, user: &str, groups: &[&str]) -> Session {
        forget_critical_relations(server);
        server.admits(user, &self.token(user, groups))
    }

    /// A login that must be refused for this reason.
    #[track_caller]
    fn refuses(&self, user: &str, groups: &[&str], reason: &str) -> Verdict {
        forget_critical_relations(&self.server);
        self.server.refuses(user, &self.token(user, groups), reason)
    }

    /// A login that must be refused with `role_not_provisioned` and this cause.
    #[track_caller]
    fn does_not_provision(&self, user: &str, groups: &[&str], cause: &str) -> Verdict {
        let verdict = self.refuses(user, groups, "role_not_provisioned");
        assert_cause(&verdict, cause);
        verdict
    }

    /// The groups of a role other than the mark, by any grantor, in their order.
    #[track_caller]
    fn groups_of(&self, role: &str) -> String {
        groups_of(&self.server, role)
    }

    fn exists(&self, role: &str) -> bool {
        let role = role.replace('\'', "''");
        let count = format!("SELECT count(*) FROM pg_roles WHERE rolname = '{role}'");
        self.server.value(&count) == "1"
    }
}

#[track_caller]
fn assert_cause(verdict: &Verdict, cause: &str) {
    let fact = format!("reason=role_not_provisioned cause={cause} ");
    assert!(verdict.log.contains(&fact), "no {fact}in {}", verdict.log);
    assert!(verdict.log.contains("HINT:"), "{}", verdict.log);
}

fn groups_of(server: &Server, role: &str) -> String {
    let role = role.replace('\'', "''");
    server.value(&format!(
        "SELECT coalesce(string_agg(DISTINCT roleid::regrole::text, ',' ORDER BY roleid::regrole::text), '') \
         FROM pg_auth_members JOIN pg_roles ON pg_roles.oid = member \
         WHERE rolname = '{role}' AND roleid::regrole::text <> 'validator_managed'"
    ))
}

/// What a base backup leaves out, and VACUUM of a catalog of roles removes.
fn forget_critical_relations(server: &Server) {
    let file = server.data_folder().join("global/pg_internal.init");
    if Path::new(&file).exists() {
        fs::remove_file(&file).expect("it can be removed");
    }
}

/// The worker's process id, once it serves.
#[track_caller]
fn wait_for_worker(server: &Server) -> u32 {
    server.wait_for_backend("backend_type = 'validator roles' AND wait_event_type = 'Extension'")
}

/// The processes of this server have not crashed, and none waits.
#[track_caller]
fn assert_unharmed(server: &Server) {
    let log = server.log().text();
    for sign in [
        "PANIC:",
        "was terminated by signal",
        "without having selected a database",
        "internal_error",
        "panicked",
        "stuck spinlock",
    ] {
        assert!(!log.contains(sign), "{sign}: {log}");
    }
}

#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A login in the background.
fn log_in_aside(server: &Server, user: &str, token: &str) -> std::thread::JoinHandle<rig::Outcome> {
    forget_critical_relations(server);
    let login = Login::new(server, user)
        .token(token)
        .limit(Duration::from_secs(60));
    std::thread::spawn(move || login.run())
}
