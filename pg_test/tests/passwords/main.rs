//! Tokens as passwords: lines of pg_hba.conf with the method `pam`, and the PAM module in the server.

mod clients;
mod doctor;
mod interrupts;
mod judgement;
mod sessions;
mod stacks;

use rig::{Issuer, Server};

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
