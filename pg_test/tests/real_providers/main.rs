//! Logins with providers as their makers publish them: `make test-providers`. Each has a module of its name.

mod dex;
mod hydra;
mod keycloak;
mod spire;

use rig::{
    Authority, DeviceLogin, DeviceOutcome, Login, Prompt, Server, ServerBuilder, Session, Verdict,
};
use serde_json::Value;

const WHO: &str = "SELECT system_user || ' is ' || current_user";

/// A line of pg_hba.conf as the manual has it.
fn line(issuer: &str, scope: &str, options: &str) -> String {
    format!(
        "hostssl all +oauth_users 127.0.0.1/32 oauth issuer=\"{issuer}\" scope=\"{scope}\" validator=validator {options}"
    )
}

/// A server that trusts the shared authority, logs everything and speaks TLS.
fn server() -> ServerBuilder {
    Server::builder()
        .tls()
        .set("validator.ca_file", &authority())
        .set("validator.jwks_refresh_cooldown", "1s")
        .log_everything()
}

/// Starts it, with the rig's roles in the group `oauth_users`.
fn start(builder: ServerBuilder) -> Server {
    let server = builder.start();
    server.sql("CREATE ROLE oauth_users; GRANT oauth_users TO alice, bob, carol");
    server
}

fn authority() -> String {
    Authority::shared().file().display().to_string()
}

fn login(server: &Server, role: &str, token: &str) -> Login {
    Login::by_tls(server, role, None).token(token)
}

#[track_caller]
fn admits(server: &Server, role: &str, token: &str) -> Session {
    server.admits_login(login(server, role, token))
}

#[track_caller]
fn refuses(server: &Server, role: &str, token: &str, reason: &str) -> Verdict {
    server.refuses_login(login(server, role, token), token, reason)
}

/// A login whose token is good and names another role: PostgreSQL refuses it.
#[track_caller]
fn refuses_role(server: &Server, role: &str, token: &str) {
    let mark = server.log().mark();
    assert!(!login(server, role, token).run().is_session());
    assert_mismatch(&server.log().since(mark));
}

#[track_caller]
fn assert_mismatch(log: &str) {
    assert!(
        log.contains("do not match") || log.contains("no match in usermap"),
        "{log}"
    );
    // PostgreSQL does not say whose identity it is; the module does.
    let reasons: Vec<&str> = rig::reasons(log).collect();
    let is_explained = matches!(reasons[..], ["identity_not_role" | "identity_not_mapped"]);
    assert!(is_explained, "{reasons:?} {log}");
}

/// psql logs in as `role` by the device flow, over TLS that it verifies.
#[track_caller]
fn device_login(
    server: &Server,
    role: &str,
    issuer: &str,
    parameters: &str,
    approve: impl FnOnce(&Prompt),
) -> DeviceOutcome {
    let mark = server.log().mark();
    let outcome = psql(server, role, issuer, parameters).sql(WHO).run(approve);
    if outcome.psql.status.success() {
        rig::assert_silent_log(&server.log().since(mark), outcome.access_token());
    }
    outcome
}

/// psql that is to log in as `role` by the device flow, over TLS that it verifies.
fn psql<'a>(server: &'a Server, role: &str, issuer: &str, parameters: &str) -> DeviceLogin<'a> {
    let authority = authority();
    DeviceLogin::new(server, role, issuer)
        .ca_file(Authority::shared().file())
        .parameters(&format!(
            "sslmode=verify-full sslrootcert={authority} {parameters}"
        ))
}

/// A member of a token's header (0) or claims (1).
fn part(token: &str, part: usize, name: &str) -> Value {
    let json = token.split('.').nth(part).map(rig::from_base64url);
    let json: Value = serde_json::from_slice(&json.flatten().expect("a JWT")).expect("JSON");
    json[name].clone()
}

fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap_or_else(|| panic!("no {name}"))
}
