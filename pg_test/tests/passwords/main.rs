//! Tokens as passwords: lines of pg_hba.conf with the method `pam`, and the PAM module in the server.

mod clients;
mod doctor;
mod interrupts;
mod judgement;
mod sessions;
mod stacks;

use rig::{Issuer, Server, Session, environment};

/// A server that logs everything and takes tokens as passwords, and the issuer that it trusts. `None`: it cannot be had
/// here, which counts as skipped.
fn start() -> Option<(Issuer, Server)> {
    start_with(|builder| builder)
}

fn start_with(
    change: impl FnOnce(rig::ServerBuilder) -> rig::ServerBuilder,
) -> Option<(Issuer, Server)> {
    if !rig::can_use_pam() {
        return None;
    }
    let issuer = Issuer::builder().start();
    let builder = Server::taking_passwords(&issuer).log_everything();
    let server = change(builder).start();
    Some((issuer, server))
}

/// Who has logged in, as PostgreSQL says; before version 16 it does not say so, but the module does.
#[track_caller]
fn system_user(server: &Server, session: &mut Session) -> String {
    if environment::postgresql_version() >= 16 {
        return session.value("SELECT system_user");
    }
    server.sql("CREATE EXTENSION IF NOT EXISTS validator");
    let pid = session.pid();
    server.value(&format!(
        "SELECT 'pam:' || coalesce((SELECT identity FROM validator.sessions WHERE pid = {pid}), usename) \
         FROM pg_stat_activity WHERE pid = {pid}"
    ))
}

/// Whether PostgreSQL has the method `oauth`. If not, that is said, and the test that asks counts as skipped.
fn has_oauth() -> bool {
    let has_it = environment::postgresql_version() >= 18;
    if !has_it {
        rig::skip("before version 18 PostgreSQL has no method oauth");
    }
    has_it
}
